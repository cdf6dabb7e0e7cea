//! The state of another replica in the place of this one's: rows, position, members and log at once.

use std::path::Path;

use rusqlite::params;

use super::store::{Standing, Store, StoreError};
use crate::chat_db::incoming::Incoming;
use crate::chat_db::pages::{self, Header, PageError};
use crate::chat_db::rows::Stored;
use crate::ids::At;
use crate::messages::disk::Install;

impl Store {
    /// Where the file stands once that state is in it.
    pub(super) fn after_install(&self, install: &Install) -> Standing {
        let position = &install.position;
        Standing {
            applied: position.index,
            at: position.at,
            sum: position.sum,
            cut: position.index,
            last: position.index,
            ..self.standing
        }
    }

    /// Puts the pages that came in into the tables, within the caller's transaction. Nothing of the log
    /// stays: what it held is in the rows, or was never committed.
    pub(super) fn install(&mut self, install: &Install) -> Result<(), StoreError> {
        let incoming = Incoming::of(self.path.parent().unwrap_or(Path::new(".")));
        let mut up_to = None;
        for number in 1..=install.pages {
            let page = incoming.page(number).map_err(|error| StoreError::Incoming(error.to_string()))?;
            self.check_page(number, up_to, &page.header, install)?;
            up_to = Some(page.header.up_to);
            page.apply(self.conn()).map_err(|error| match error {
                PageError::Sqlite(error) => self.judge(error),
                other => StoreError::Incoming(other.to_string()),
            })?;
        }
        let (position, before) = (&install.position, self.standing.at);
        self.sql(|conn| {
            pages::derive(conn, before)?;
            conn.execute("DELETE FROM raft_log", [])?;
            conn.execute(
                "UPDATE raft_state SET applied_index = ?1, cut_index = ?1, cut_term = ?2, applied_at = ?3, rows_sum = ?6,
                     conf_state = ?4, level = max(level, ?5), commit_index = max(commit_index, ?1)",
                params![
                    Stored(position.index.0),
                    Stored(position.term.0),
                    Stored(position.at.0),
                    &position.conf_state[..],
                    position.level,
                    position.sum.bytes(),
                ],
            )
        })?;
        Ok(())
    }

    /// Each page goes on where the one before ended, the first no later than these tables, and the last
    /// is what was said.
    fn check_page(
        &self,
        number: u64,
        before: Option<At>,
        header: &Header,
        install: &Install,
    ) -> Result<(), StoreError> {
        let goes_on = match before {
            None => header.from <= self.standing.at,
            Some(up_to) => header.from == up_to,
        };
        let is_last = number == install.pages;
        if !goes_on || is_last && (!header.end || header.position != install.position) {
            let (from, up_to) = (header.from, header.up_to);
            return Err(StoreError::Incoming(format!(
                "page {number}, from {from} to {up_to}, does not belong there"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{Dice, Script};
    use crate::chat_db::pages::{PAGE_BYTES, Page};
    use crate::chat_db::walk;
    use crate::ids::{LogIndex, Term};
    use crate::messages::disk::{Append, Committed};
    use crate::storage::testing::{TestDir, append, batch, committed, joining, setup, started};

    /// Every row of every replicated table, as text.
    fn everything(store: &Store) -> Vec<String> {
        let mut rows = Vec::new();
        for table in pages::tables(store.conn()).unwrap() {
            let sql = format!("SELECT * FROM {} ORDER BY 1, 2, 3", table.name);
            let mut statement = store.conn().prepare(&sql).unwrap();
            let columns = statement.column_count();
            let text = |row: &rusqlite::Row<'_>| {
                let cells = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
                Ok(format!("{} {}", table.name, cells.collect::<Vec<_>>().join(" ")))
            };
            rows.extend(statement.query_map([], text).unwrap().map(Result::unwrap));
        }
        rows
    }

    /// Replicas that play one script, each as far as it likes.
    struct Replica {
        _dir: TestDir,
        store: Store,
    }

    impl Replica {
        fn new() -> Self {
            let dir = TestDir::new();
            let (store, _) = started(&dir);
            Self { _dir: dir, store }
        }

        fn play(&mut self, log: &[Vec<u8>], up_to: usize) {
            let from = self.store.standing.applied.0 as usize - 1;
            for (index, data) in (2 + from as u64..).zip(&log[from..up_to.max(from)]) {
                self.store.apply(&[committed(index, data.clone())], || false).unwrap();
            }
        }

        fn page(&self, after: At, bytes_max: usize) -> Vec<u8> {
            pages::read(self.store.conn(), after, bytes_max).unwrap().encode().unwrap()
        }
    }

    fn log(seed: u64, entries: usize) -> Vec<Vec<u8>> {
        let mut script = Script::new(seed);
        let mut dice = Dice::new(seed);
        let mut one = || {
            let steps: Vec<_> = script.by_ref().take(1 + dice.below(12) as usize).collect();
            let time_ms = steps[steps.len() - 1].time_ms;
            batch(time_ms, &steps.into_iter().map(|step| step.command).collect::<Vec<_>>())
        };
        (0..entries).map(|_| one()).collect()
    }

    fn snapshot(install: Install) -> Append {
        let index = install.position.index.0;
        Append { snapshot: Some(install), ..append(vec![], Some((1, 0, index))) }
    }

    /// Pages of any size, from either of two sources, while both go on; into a replica that lags and
    /// into one that is empty.
    #[test]
    fn pages_make_the_state_of_their_source() {
        let mut pages_taken = 0;
        for seed in 0..8 {
            let log = log(seed, 220);
            let mut dice = Dice::new(seed + 100);
            let mut sources = [Replica::new(), Replica::new()];
            let dir = TestDir::new();
            let mut store = if seed % 2 == 0 { joining(&dir).0 } else { started(&dir).0 };
            let began = if seed % 2 == 0 { 0 } else { dice.below(100) as usize };
            for (index, data) in (2..).zip(&log[..began]) {
                store.apply(&[committed(index, data.clone())], || false).unwrap();
            }
            let incoming = Incoming::of(&dir.data());
            let (mut after, mut horizon, mut number) = (store.at(), At(0), 0);
            let mut played = began;
            let position = loop {
                for source in &mut sources {
                    played = (played + dice.below(8) as usize).min(log.len());
                    source.play(&log, played);
                }
                let source = dice.pick(&sources);
                if source.store.at() < horizon.max(after) {
                    continue;
                }
                let bytes = source.page(after, 1 + dice.below(2_000) as usize);
                let header = pages::verify(&bytes).unwrap();
                assert_eq!(header.from, after);
                (after, horizon) = (header.up_to, header.position.at);
                number += 1;
                incoming.put(number, &bytes).unwrap();
                if header.end && dice.percent(30) {
                    break header.position;
                }
            };
            pages_taken += number;
            store.append(&snapshot(Install { position: position.clone(), pages: number })).unwrap();

            let mut expected = Replica::new();
            expected.play(&log, position.index.0 as usize - 1);
            assert_eq!(expected.store.at(), position.at);
            assert_eq!(everything(&store), everything(&expected.store), "seed {seed}");
            assert_eq!(store.digest().unwrap(), expected.store.digest().unwrap());
            assert_eq!(store.standing.sum, walk::sum(store.conn()).unwrap());
            assert_eq!(store.standing.last, position.index);
            store.cut_wal().unwrap();
            assert_eq!(std::fs::metadata(dir.data().join("chat.db-wal")).unwrap().len(), 0);

            // It goes on from there, like any other.
            drop(store);
            let node = if seed % 2 == 0 { "node4" } else { "node1" };
            let mut store = Store::open(&dir.data(), node).unwrap();
            let opened = store.start().unwrap();
            assert_eq!((opened.applied, opened.at), (position.index, position.at));
            assert_eq!((opened.cut, opened.conf_state.voters), ((position.index, Term(1)), vec![1, 2, 3]));
            let rest: Vec<Committed> = (position.index.0 + 1..)
                .zip(&log[position.index.0 as usize - 1..])
                .map(|(index, data)| committed(index, data.clone()))
                .collect();
            if !rest.is_empty() {
                store.apply(&rest, || false).unwrap();
            }
            expected.play(&log, log.len());
            assert_eq!(everything(&store), everything(&expected.store), "seed {seed}");
        }
        assert!(pages_taken > 100, "{pages_taken}");
    }

    #[test]
    fn a_delta_holds_only_what_changed() {
        let log = log(7, 100);
        let mut source = Replica::new();
        source.play(&log, 90);
        let before = source.store.at();
        source.play(&log, 91);
        let page = Page::decode(&source.page(before, PAGE_BYTES)).unwrap();
        let rows = page.header.rows;
        assert!(page.header.end && rows > 0 && rows <= 2 * (page.header.up_to.0 - before.0), "{rows}");
        let none = Page::decode(&source.page(source.store.at(), PAGE_BYTES)).unwrap();
        assert_eq!((none.header.rows, none.header.end), (0, true));
    }

    #[test]
    fn what_is_damaged_or_does_not_follow_is_not_installed() {
        let mut source = Replica::new();
        source.play(&log(3, 60), 60);
        let whole = source.page(At(0), PAGE_BYTES);
        for place in (0..whole.len()).step_by(97) {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            assert!(Page::decode(&damaged).is_err(), "byte {place}");
        }
        assert!(Page::decode(&whole[..whole.len() / 2]).is_err());

        let dir = TestDir::new();
        let (mut store, opened) = joining(&dir);
        assert_eq!((opened.applied, opened.last, opened.at), (LogIndex(0), LogIndex(0), At(0)));
        let incoming = Incoming::of(&dir.data());
        let position = pages::verify(&whole).unwrap().position;
        let behind = source.page(At(5), PAGE_BYTES);
        for (name, pages) in [("a hole", vec![&behind]), ("twice", vec![&whole, &whole]), ("missing", vec![])]
        {
            incoming.clear().unwrap();
            for (number, page) in (1..).zip(&pages) {
                incoming.put(number, page).unwrap();
            }
            let pages = pages.len().max(1) as u64;
            let install = Install { position: position.clone(), pages };
            let error = store.append(&snapshot(install)).unwrap_err();
            assert!(matches!(error, StoreError::Incoming(_)), "{name}: {error}");
            assert!(everything(&store).is_empty(), "{name}");
        }
    }

    #[test]
    fn who_reads_a_new_state_leaves_the_wal_to_be_cut_later() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&["ann"], 1)))], || false).unwrap();
        let reader = rusqlite::Connection::open(store.path()).unwrap();
        let moment = reader.unchecked_transaction().unwrap();
        assert!(moment.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0)).unwrap() > 0);
        assert!(!store.cut_wal().unwrap());
        drop(moment);
        assert!(store.cut_wal().unwrap());
        assert_eq!(store.wal().unwrap().frames, 0);
    }
}
