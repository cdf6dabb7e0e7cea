//! All replicated rows of the chat in their canonical order: what replicas are compared by.

use rusqlite::{Connection, Result};

use super::store::{Store, StoreError};
use crate::chat::digest;
use crate::chat::tables::Row;
use crate::chat_db::walk;

impl Store {
    /// All rows in the order of their keys, as `chat::model` gives them.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let mut all = Vec::new();
        self.sql(|conn| walk::walk(conn, |row| all.push(row)))?;
        Ok(all)
    }

    /// The same for two replicas that hold the same rows, and for nothing else.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn digest(&self) -> Result<[u8; 32], StoreError> {
        self.sql(digest_of)
    }
}

/// The digest of the rows that a connection sees; holds one of them at a time.
pub(super) fn digest_of(conn: &Connection) -> Result<[u8; 32]> {
    let mut canon = digest::begin_rows();
    walk::walk(conn, |row| {
        canon.row(&row);
    })?;
    Ok(canon.finish())
}

#[cfg(test)]
mod tests {
    use crate::chat::batch::{Gathered, Here, apply_batch};
    use crate::chat::command::{Attached, Change, Command};
    use crate::chat::digest::RowsSum;
    use crate::chat::model::Model;
    use crate::chat::outcome::{Code, Done};
    use crate::chat::script::{Dice, Script};
    use crate::ids::{Boot, FileId, RaftId, RoomId};
    use crate::messages::disk::{Committed, Payload};
    use crate::storage::Store;
    use crate::storage::testing::{TestDir, append, batch, committed, entry, send, setup, started};

    const HERE: Here = Here { node: RaftId(1), boot: Boot(1) };

    /// One random script, on the model in memory and on SQLite, cut into entries and pieces at random,
    /// with the store opened anew now and then.
    #[test]
    fn the_store_and_the_model_agree() {
        for seed in 0..6 {
            let dir = TestDir::new();
            let (mut store, opened) = started(&dir);
            let mut model = Model::default();
            model.install(opened.at, &[]);
            let (mut script, mut dice) = (Script::new(seed), Dice::new(seed));
            let mut index = 1;
            for round in 0..60 {
                let mut entries = Vec::new();
                let mut expected = Gathered::default();
                for _ in 0..=dice.below(4) {
                    index += 1;
                    let steps: Vec<_> = script.by_ref().take(dice.below(12) as usize).collect();
                    let time_ms = steps.last().map_or(1, |step| step.time_ms);
                    let commands: Vec<_> = steps.into_iter().map(|step| step.command).collect();
                    let data = batch(time_ms, &commands);
                    apply_batch(&mut model, &data, HERE, &mut expected).unwrap();
                    store.append(&append(vec![entry(index, 1, &data)], Some((1, 1, index)))).unwrap();
                    entries.push(committed(index, data));
                }
                if store.standing.boot != HERE.boot {
                    expected.outcomes.clear();
                }

                let mut found = Gathered::default();
                let mut rest = &entries[..];
                while !rest.is_empty() {
                    let piece = store.apply(rest, || dice.percent(50)).unwrap();
                    rest = &rest[piece.entries..];
                    found.outcomes.extend(piece.applied.outcomes);
                    found.level = found.level.max(piece.applied.level);
                    if let Some(changed) = piece.changed {
                        found.notices.extend(changed.notices.iter().cloned());
                        found.ended.extend(changed.ended.iter().cloned());
                    }
                }
                assert_eq!(found, expected, "seed {seed} round {round}");
                assert_eq!(store.standing.at, model.present());
                if dice.percent(10) {
                    drop(store);
                    store = Store::open(&dir.data(), "node1").unwrap();
                    assert_eq!(store.start().unwrap().at, model.present());
                }
                if dice.percent(20) {
                    store.write_back().unwrap();
                }
            }
            assert_eq!(store.rows().unwrap(), model.rows(), "seed {seed}");
            assert_eq!(store.digest().unwrap(), model.digest());
            assert_eq!(store.standing.sum, RowsSum::of_rows(&model.rows()), "seed {seed}");
        }
    }

    #[test]
    fn derived_columns_follow_from_the_rows() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let commands: Vec<_> = Script::new(9).take(800).map(|step| step.command).collect();
        for (index, commands) in (2..).zip(commands.chunks(20)) {
            store.apply(&[committed(index, batch(index, commands))], || false).unwrap();
        }
        let wrong: i64 = store
            .conn()
            .query_row(
                "SELECT count(*) FROM rooms WHERE (last_seq, last_time) IS NOT
                     (SELECT coalesce(max(seq), 0), coalesce(max(time), 0) FROM messages
                      WHERE messages.room = rooms.room)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(wrong, 0);
    }

    /// Nobody knows how a statement could fail here: so the test makes one fail.
    #[test]
    fn a_command_that_fails_as_none_can_is_internal_and_its_neighbours_are_done() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&["ann"], 1)))], || false).unwrap();
        let trigger = "CREATE TRIGGER fails AFTER INSERT ON messages WHEN new.text = 'poison'
                       BEGIN SELECT raise(ABORT, 'as none can'); END";
        store.conn().execute_batch(trigger).unwrap();
        let before = store.standing.at;
        let sends = |texts: [&str; 3]| {
            let commands: Vec<_> = texts.iter().map(|text| send("ann", 1, text, text)).collect();
            batch(2, &commands)
        };
        let entries = [
            committed(3, sends(["a", "poison", "b"])),
            Committed { what: Payload::Empty, ..committed(4, vec![]) },
            committed(5, sends(["c", "d", "a"])),
        ];
        let piece = store.apply(&entries, || false).unwrap();

        let seqs: Vec<_> = piece
            .applied
            .outcomes
            .iter()
            .map(|(_, outcome)| match outcome {
                Ok(outcome) => match outcome.done {
                    Done::Sent { seq, .. } => seq.0,
                    _ => panic!("{outcome:?}"),
                },
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Internal);
                    0
                }
            })
            .collect();
        assert_eq!((piece.entries, seqs), (3, vec![1, 0, 2, 3, 4, 1]));
        assert_eq!(store.standing.at.0, before.0 + 4);
        let stored: i64 = store.conn().query_row("SELECT last_seq FROM rooms", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, 4);
    }

    /// A number that no column holds is not stored as another one: what is stored is what is summed.
    #[test]
    fn a_number_that_does_not_fit_is_not_stored() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&["ann"], 1)))], || false).unwrap();
        let before = store.rows().unwrap();
        let with_file = |id: &str, bytes: u64| {
            let (file, name, kind) = (FileId([1; 32]), "a".to_owned(), "text/plain".to_owned());
            let files = vec![Attached { file, name, bytes, kind, uploaded: true }];
            let (room, text) = (RoomId(1), String::new());
            let change = Change::SendFiles { room, text, reply_to: None, files };
            Command { user: "ann".into(), id: id.into(), change }
        };
        store.apply(&[committed(3, batch(1, &[with_file("1", i64::MAX as u64 + 1)]))], || false).unwrap();
        assert_eq!(store.rows().unwrap(), before);
        let piece = store.apply(
            &[committed(4, batch(1, &[with_file("2", u64::MAX), with_file("3", i64::MAX as u64)]))],
            || false,
        );
        let internal = piece
            .unwrap()
            .applied
            .outcomes
            .into_iter()
            .map(|(_, outcome)| outcome.is_err_and(|refusal| refusal.code == Code::Internal));
        assert_eq!(internal.collect::<Vec<_>>(), [true, false]);
        assert_eq!(store.standing.sum, RowsSum::of_rows(&store.rows().unwrap()));
    }
}
