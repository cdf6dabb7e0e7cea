//! Committed entries into rows.
//!
//! One transaction holds the rows, the applied position and the configuration of as many entries as
//! the caller has time for. It is not synced: the log is, and it is redone from there.

use std::sync::Arc;

use rusqlite::params;

use super::founding;
use super::rows::int;
use super::store::{Store, StoreError, Synchronous};
use crate::chat::apply::apply;
use crate::chat::command::{Batch, Command, Item};
use crate::chat::outcome::{Code, Effect, Notice, Outcome, Refusal, SessionEnded};
use crate::ids::{At, LogIndex, Origin};
use crate::messages::disk::{Applied, Changed, Committed, Payload};

/// What one piece of work brought about.
pub struct Piece {
    /// How many of the entries were applied: at least one.
    pub entries: usize,
    pub applied: Applied,
    /// When the position among changes moved, or a session ended.
    pub changed: Option<Changed>,
}

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
        let mut work = Work::default();
        let (index, at) = self.transaction(Synchronous::Normal, |store| {
            let mut index = store.standing.applied;
            for entry in entries {
                assert_eq!(entry.index, index.next(), "entries are applied in order");
                store.apply_entry(entry, care, &mut work)?;
                index = entry.index;
                work.entries += 1;
                if enough() {
                    break;
                }
            }
            store.write_position(index).map(|at| (index, at))
        })?;
        self.standing.applied = index;
        self.standing.at = at;
        let moved = at != before || !work.ended.is_empty();
        Ok(Piece {
            entries: work.entries,
            applied: Applied { index, outcomes: work.outcomes },
            changed: moved.then(|| Changed {
                at,
                notices: Arc::new(work.notices),
                ended: Arc::new(work.ended),
            }),
        })
    }

    fn apply_entry(&mut self, entry: &Committed, care: Care, work: &mut Work) -> Result<(), StoreError> {
        match &entry.what {
            Payload::Empty => Ok(()),
            Payload::Conf(conf_state) => self.sql(|conn| {
                let bytes = founding::encode(conf_state)?;
                conn.prepare_cached("UPDATE raft_state SET conf_state = ?1")?.execute([bytes]).map(|_| ())
            }),
            Payload::Batch(bytes) => {
                let batch = Batch::decode(bytes)
                    .map_err(|source| StoreError::Unreadable { index: entry.index, source })?;
                for item in &batch.items {
                    let effect = match care {
                        Care::None => self.apply_item(batch.time_ms, item)?,
                        Care::Savepoints => self.apply_carefully(batch.time_ms, item)?,
                    };
                    let ours =
                        item.origin.node == self.standing.raft_id && item.origin.boot == self.standing.boot;
                    work.take(effect, ours.then_some(item.origin));
                }
                Ok(())
            }
        }
    }

    fn apply_item(&mut self, time_ms: u64, item: &Item) -> Result<Effect, StoreError> {
        match Command::decode(&item.command) {
            Ok(command) => {
                let effect = apply(&mut self.tables, time_ms, &command);
                effect.map_err(|error| self.judge(error))
            }
            Err(error) => {
                tracing::error!(%error, origin = ?item.origin, "a command cannot be read");
                Ok(internal())
            }
        }
    }

    /// Applies one command so that nothing else is lost with it.
    fn apply_carefully(&mut self, time_ms: u64, item: &Item) -> Result<Effect, StoreError> {
        let before = self.tables.position();
        self.run("SAVEPOINT command")?;
        let done = self.apply_item(time_ms, item).and_then(|effect| {
            let settled = self.tables.settle();
            settled.map_err(|error| self.judge(error)).map(|()| effect)
        });
        let effect = match done {
            Err(StoreError::Surprise(error)) => {
                tracing::error!(%error, origin = ?item.origin, "a command failed that cannot fail");
                self.run("ROLLBACK TO command")?;
                self.tables.restart(before);
                internal()
            }
            done => done?,
        };
        self.run("RELEASE command")?;
        Ok(effect)
    }

    /// Writes how far the rows are, with them.
    fn write_position(&mut self, index: LogIndex) -> Result<At, StoreError> {
        let settled = self.tables.settle();
        settled.map_err(|error| self.judge(error))?;
        let at = self.tables.position();
        self.sql(|conn| {
            // What is applied is committed; Raft writes a new commit only along with an append.
            conn.prepare_cached(
                "UPDATE raft_state SET applied_index = ?1, applied_at = ?2,
                     commit_index = max(commit_index, ?1)",
            )?
            .execute(params![int(index.0), int(at.0)])
        })?;
        Ok(at)
    }
}

/// What a piece has brought about so far.
#[derive(Default)]
struct Work {
    entries: usize,
    outcomes: Vec<(Origin, Result<Outcome, Refusal>)>,
    notices: Vec<Notice>,
    ended: Vec<SessionEnded>,
}

impl Work {
    fn take(&mut self, effect: Effect, origin: Option<Origin>) {
        if let Some(origin) = origin {
            self.outcomes.push((origin, effect.outcome));
        }
        self.notices.extend(effect.notices);
        self.ended.extend(effect.ended);
    }
}

/// The outcome of a command that failed as none can, or that cannot be read: the same on every node.
fn internal() -> Effect {
    let refusal = Refusal::new(Code::Internal, "the server failed at this request: please report it");
    Effect { outcome: Err(refusal), notices: Vec::new(), ended: Vec::new() }
}
