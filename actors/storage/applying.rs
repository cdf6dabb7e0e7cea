//! Committed entries into rows.
//!
//! One transaction holds the rows, the applied position and the configuration of as many entries as
//! the caller has time for. It is not synced, unless members change: the log is, and it is redone from there.

use std::sync::Arc;

use rusqlite::params;

use super::founding;
use super::store::{Store, StoreError, Synchronous, is_surprise};
use super::tables::SqlTables;
use crate::chat::apply::Stamp;
use crate::chat::batch::{BatchFailed, Gathered, Here, apply_batch_with, apply_item, internal};
use crate::chat::command::{Command, Item};
use crate::chat::digest::RowsSum;
use crate::chat::outcome::Effect;
use crate::chat_db::rows::Stored;
use crate::ids::{At, LogIndex};
use crate::messages::disk::{Applied, Changed, Committed, Members, Payload};

/// What one piece of work brought about.
pub struct Piece {
    /// How many of the entries were applied: at least one.
    pub entries: usize,
    pub applied: Applied,
    /// When the position among changes moved, or a session ended.
    pub changed: Option<Changed>,
    /// What the rows came to at each entry whose number says so, to be compared with other replicas.
    pub counted: Vec<(LogIndex, RowsSum)>,
    /// When members changed.
    pub members: Option<Members>,
}

/// At every entry whose number is a multiple of this, replicas compare what their rows come to.
pub const COMPARED_EVERY: u64 = 256;

/// How a piece treats a command that fails as none can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// The whole piece is rolled back.
    None,
    /// Each command has a savepoint, and only that command is undone.
    Savepoints,
}

impl Store {
    /// Applies committed entries in order, until all are done or `enough` says so at the end of one.
    ///
    /// # Errors
    /// [`StoreError::Full`]: nothing of it is done, try again. Others: the process must end.
    ///
    /// # Panics
    /// When the entries do not follow what was applied: a bug in the caller.
    pub fn apply(
        &mut self,
        entries: &[Committed],
        mut enough: impl FnMut() -> bool,
    ) -> Result<Piece, StoreError> {
        assert_ne!(self.standing.boot.0, 0, "the store was started");
        match self.try_apply(entries, &mut enough, Care::None) {
            Err(StoreError::Surprise(error)) => {
                tracing::error!(%error, "a command failed that cannot fail, trying its neighbours alone");
                self.try_apply(entries, &mut enough, Care::Savepoints)
            }
            done => done,
        }
    }

    fn try_apply(
        &mut self,
        entries: &[Committed],
        enough: &mut impl FnMut() -> bool,
        care: Care,
    ) -> Result<Piece, StoreError> {
        let before = self.standing.at;
        let mut gathered = Gathered::default();
        let mut counted = Vec::new();
        // Who was removed is told as soon as this is known, and gives up its file: that must not be forgotten, or
        // its vote would be needed again.
        let synchronous = match entries.iter().any(of_members) {
            true => Synchronous::Full,
            false => Synchronous::Normal,
        };
        let (done, index, (at, sum)) = self.transaction(synchronous, |store| {
            let (mut done, mut index) = (0, store.standing.applied);
            for entry in entries {
                assert_eq!(entry.index, index.next(), "entries are applied in order");
                store.apply_entry(entry, care, &mut gathered)?;
                (done, index) = (done + 1, entry.index);
                if index.0.is_multiple_of(COMPARED_EVERY) {
                    counted.push((index, store.tables.position().1));
                }
                if enough() {
                    break;
                }
            }
            store.write_position(index, gathered.level).map(|position| (done, index, position))
        })?;
        self.standing.applied = index;
        (self.standing.at, self.standing.sum) = (at, sum);
        let Gathered { outcomes, notices, ended, level } = gathered;
        let moved = at != before || !ended.is_empty();
        let members = match entries[..done].iter().any(of_members) {
            true => Some(Members { roll: Arc::new(self.roll()?) }),
            false => None,
        };
        Ok(Piece {
            members,
            entries: done,
            applied: Applied { index, at, outcomes, level },
            changed: moved.then(|| Changed { at, notices: Arc::new(notices), ended: Arc::new(ended) }),
            counted,
        })
    }

    /// Applies entries within a transaction of the caller's, all of them, and writes how far the rows
    /// are. Nobody waits for the outcomes.
    pub(super) fn apply_whole(&mut self, entries: &[Committed]) -> Result<(), StoreError> {
        let mut unheard = Gathered::default();
        for entry in entries {
            self.apply_entry(entry, Care::Savepoints, &mut unheard)?;
        }
        let index = entries.last().map_or(self.standing.applied, |entry| entry.index);
        self.write_position(index, unheard.level).map(|_| ())
    }

    fn apply_entry(
        &mut self,
        entry: &Committed,
        care: Care,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let data = match &entry.what {
            Payload::Empty => return Ok(()),
            Payload::Conf(conf_state, row) => {
                self.sql(|conn| {
                    let bytes = founding::encode(conf_state)?;
                    conn.prepare_cached("UPDATE raft_state SET conf_state = ?1")?.execute([bytes])
                })?;
                return if row.is_empty() { Ok(()) } else { self.write_node(entry.index, row) };
            }
            Payload::Node(row) => return self.write_node(entry.index, row),
            Payload::Batch(data) => data,
        };
        let here = Here { node: self.standing.raft_id, boot: self.standing.asks_as };
        let one = match care {
            Care::None => apply_item,
            Care::Savepoints => apply_alone,
        };
        match apply_batch_with(&mut self.tables, data, here, gathered, one) {
            Ok(()) => Ok(()),
            Err(BatchFailed::Format(source)) => Err(StoreError::Unreadable { index: entry.index, source }),
            Err(BatchFailed::Tables(error)) => Err(self.judge(error)),
        }
    }

    /// Writes how far the rows are, with them, and the highest level of a command among them.
    fn write_position(&mut self, index: LogIndex, level: u8) -> Result<(At, RowsSum), StoreError> {
        let settled = self.tables.settle();
        settled.map_err(|error| self.judge(error))?;
        let (at, sum) = self.tables.position();
        self.sql(|conn| {
            // What is applied is committed; Raft writes a new commit only along with an append.
            conn.prepare_cached(
                "UPDATE raft_state SET applied_index = ?1, applied_at = ?2, rows_sum = ?3,
                     commit_index = max(commit_index, ?1), level = max(level, ?4)",
            )?
            .execute(params![Stored(index.0), Stored(at.0), sum.bytes(), level])
        })?;
        Ok((at, sum))
    }
}

/// Whether an entry changes who the members are.
fn of_members(entry: &Committed) -> bool {
    matches!(entry.what, Payload::Conf(..) | Payload::Node(_))
}

/// Applies one command so that nothing else is lost with it.
fn apply_alone(
    tables: &mut SqlTables,
    stamp: Stamp,
    item: &Item,
    command: &Command,
) -> rusqlite::Result<Effect> {
    let before = tables.position();
    tables.conn.execute_batch("SAVEPOINT command")?;
    let done = apply_item(tables, stamp, item, command).and_then(|effect| tables.settle().map(|()| effect));
    let effect = match done {
        Err(error) if is_surprise(&error) => {
            tracing::error!(%error, origin = ?item.origin, "a command failed that cannot fail");
            tables.conn.execute_batch("ROLLBACK TO command")?;
            tables.restart(before);
            internal("the server failed at this change: a bug")
        }
        done => done?,
    };
    tables.conn.execute_batch("RELEASE command")?;
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use crate::chat::command::Batch;
    use crate::ids::Boot;
    use crate::storage::testing::{TestDir, batch, committed, setup, started};

    /// A disk that is set back counts its boots again, and numbers begin at 1 in each process.
    #[test]
    fn what_another_process_of_the_same_boot_asked_for_is_told_to_nobody() {
        let dir = TestDir::new();
        let (mut store, opened) = started(&dir);
        let [earlier, present] = [7, 8].map(|drawn| opened.boot.of_process(drawn));
        store.asks_as(present);
        let asked_by = |boot: Boot, people: &[&str]| {
            let mut asked = Batch::decode(&batch(1, &setup(people, 0))).unwrap();
            asked.items.iter_mut().for_each(|item| item.origin.boot = boot);
            asked.encode().unwrap()
        };
        let entries = [committed(2, asked_by(earlier, &["ann"])), committed(3, asked_by(present, &["bob"]))];
        let told = store.apply(&entries, || false).unwrap().applied.outcomes;
        let boots: Vec<Boot> = told.iter().map(|(origin, _)| origin.boot).collect();
        assert_eq!(boots, [present]);
    }
}
