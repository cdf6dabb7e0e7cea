//! What Raft begins with: counted, read and checked before `RawNode` sees it, which would panic.

use protobuf::Message;
use raft::eraftpb::{ConfState, Entry, HardState};
use rusqlite::Connection;

use super::store::{Standing, Store, StoreError, Synchronous};
use crate::chat::digest::RowsSum;
use crate::chat_db::damage::{WrongChecksum, wrong_checksum};
use crate::chat_db::rows::{at, number};
use crate::chat_db::{entries, walk};
use crate::ids::{At, Boot, LogIndex, RaftId, Term};
use crate::membership::{Node, Roll};

/// What a node is and where it stands, as of its start.
#[derive(Clone, Debug)]
pub struct Opened {
    pub node: String,
    pub raft_id: RaftId,
    pub cluster: String,
    pub epoch: String,
    /// Everybody in the chat, by Raft id.
    pub nodes: Vec<Node>,
    /// Everybody who is or was in the chat, as of `applied`.
    pub roll: Roll,
    /// This run of the process: on the disk already.
    pub boot: Boot,
    pub hard_state: HardState,
    /// As of `applied`.
    pub conf_state: ConfState,
    pub applied: LogIndex,
    pub at: At,
    /// The highest format level of a command that was applied.
    pub level: u8,
    /// The entry before the log's first.
    pub cut: (LogIndex, Term),
    /// The terms of the cut and of every entry after it, by rising index.
    pub terms: Vec<TermRun>,
    /// The log's last entry, or the cut.
    pub last: LogIndex,
    /// Every entry above `applied`.
    pub unapplied: Vec<Entry>,
}

/// From `first` on, until the next run, entries are of this term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRun {
    pub first: LogIndex,
    pub term: Term,
}

/// Why a file is not what Raft can begin with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("no chat was founded on this disk")]
    NotFounded,
    #[error("chat.db is damaged: it names no members (conf_state): {RESCUE}")]
    NoMembers,
    #[error("chat.db is damaged: its members cannot be read ({source}): {RESCUE}")]
    BadMembers { source: protobuf::ProtobufError },
    #[error(
        "chat.db is damaged: the log ends at {last}, but entry {commit} is known to be committed: {RESCUE}"
    )]
    CommitPastEnd { commit: LogIndex, last: LogIndex },
    #[error("chat.db is damaged: committed up to {commit}, but the log was cut at {cut}: {RESCUE}")]
    CommitBeforeCut { commit: LogIndex, cut: LogIndex },
    #[error(
        "chat.db is damaged: the rows are as of entry {applied}, but only {commit} is committed: {RESCUE}"
    )]
    AppliedPastCommit { applied: LogIndex, commit: LogIndex },
    #[error("chat.db is damaged: the rows are as of entry {applied}, but the log was cut at {cut}: {RESCUE}")]
    AppliedBeforeCut { applied: LogIndex, cut: LogIndex },
    #[error("chat.db is damaged: log entry {missing} is missing: {RESCUE}")]
    Hole { missing: LogIndex },
    #[error("chat.db is damaged: log entry {index} is of term {term}, after one of term {before}: {RESCUE}")]
    TermFalls { index: LogIndex, term: Term, before: Term },
    #[error(
        "chat.db is damaged: the log is of term {log}, but this node knows only of term {term}: {RESCUE}"
    )]
    TermBehindLog { term: Term, log: Term },
    #[error("chat.db is damaged: {wrong}: {RESCUE}")]
    Checksum { wrong: WrongChecksum },
    #[error(transparent)]
    Store(#[from] StoreError),
}

const RESCUE: &str =
    "start this node again: the file is set aside then, and the chat comes anew from the others";

impl StartError {
    /// Whether the file is not what a node leaves behind.
    fn is_damage(&self) -> bool {
        match self {
            Self::NotFounded => false,
            Self::Store(error) => error.is_damage(),
            _ => true,
        }
    }
}

/// The one row of `raft_state`.
pub(super) struct State {
    pub foundation: String,
    pub cluster: String,
    epoch: String,
    raft_id: RaftId,
    boot: Boot,
    hard_state: HardState,
    pub cut: (LogIndex, Term),
    pub applied: LogIndex,
    pub at: At,
    conf_state: Vec<u8>,
}

/// What the checks found out by the way.
pub(super) struct Examined {
    conf_state: ConfState,
    terms: Vec<TermRun>,
    pub last: LogIndex,
}

impl Store {
    /// Counts this run of the process, with an fsync of that and of all that lies before it in the
    /// WAL; then says what Raft may use. A process killed between writing a commit and syncing it
    /// finds those frames again, though nothing has promised yet that a power cut spares them.
    ///
    /// # Errors
    /// Each variant of [`StartError`]; the file is then as it was, and suspect when it is damaged.
    pub fn start(&mut self) -> Result<Opened, StartError> {
        self.try_start().inspect_err(|error| {
            if error.is_damage() {
                self.suspect(&error.to_string());
            }
        })
    }

    fn try_start(&mut self) -> Result<Opened, StartError> {
        let (opened, sum) = self.transaction(Synchronous::Full, |store| {
            store.run("UPDATE raft_state SET boot = boot + 1")?;
            let sum = store.sql(keep_sum)?;
            Ok::<_, StartError>((store.look()?, sum))
        })?;
        self.standing = Standing {
            raft_id: opened.raft_id,
            boot: opened.boot,
            asks_as: opened.boot,
            applied: opened.applied,
            at: opened.at,
            sum,
            cut: opened.cut.0,
            last: opened.last,
        };
        self.tables.restart((opened.at, sum));
        Ok(opened)
    }

    /// Everybody in the chat, by Raft id.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        Ok(self.roll()?.here())
    }

    /// What Raft may use, checked; changes nothing.
    pub(super) fn look(&self) -> Result<Opened, StartError> {
        let state = self.sql(read_state)?;
        if state.foundation != "founded" {
            return Err(StartError::NotFounded);
        }
        let Examined { conf_state, terms, last } = self.examine(&state)?;
        let roll = self.roll()?;
        let nodes = roll.here();
        let level = self.sql(|conn| conn.query_row("SELECT level FROM raft_state", [], |row| row.get(0)))?;
        let unapplied =
            self.sql(|conn| match entries::read(conn, state.applied.next(), last.next(), u64::MAX) {
                Err(error) => wrong_checksum(&error).map(Err).ok_or(error),
                Ok(entries) => Ok(Ok(entries)),
            })?;
        let unapplied = unapplied.map_err(|wrong| StartError::Checksum { wrong })?;
        Ok(Opened {
            node: self.node.clone(),
            raft_id: state.raft_id,
            cluster: state.cluster,
            epoch: state.epoch,
            nodes,
            roll,
            boot: state.boot,
            hard_state: state.hard_state,
            conf_state,
            applied: state.applied,
            at: state.at,
            level,
            cut: state.cut,
            terms,
            last,
            unapplied,
        })
    }

    /// Checks log, commit, applied and configuration against each other.
    pub(super) fn examine(&self, state: &State) -> Result<Examined, StartError> {
        let conf_state = ConfState::parse_from_bytes(&state.conf_state)
            .map_err(|source| StartError::BadMembers { source })?;
        let (terms, last) = self.walk_log(state.cut)?;
        // Who joins knows of nobody until it has been sent the state.
        let joins = (state.applied, last) == (LogIndex(0), LogIndex(0));
        if conf_state.voters.is_empty() && !joins {
            return Err(StartError::NoMembers);
        }
        check_positions(state, last)?;
        let (term, log_term) = (Term(state.hard_state.term), terms.last().map_or(Term(0), |run| run.term));
        if term < log_term {
            return Err(StartError::TermBehindLog { term, log: log_term });
        }
        Ok(Examined { conf_state, terms, last })
    }

    /// The terms of the whole log and its last index; that no entry is missing, and none out of order.
    fn walk_log(&self, cut: (LogIndex, Term)) -> Result<(Vec<TermRun>, LogIndex), StartError> {
        let mut terms = vec![TermRun { first: cut.0, term: cut.1 }];
        let (mut last, mut before) = cut;
        let mut wrong = None;
        self.sql(|conn| {
            let mut statement = conn.prepare("SELECT log_index, term FROM raft_log ORDER BY log_index")?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let (index, term) = (LogIndex(number(row, 0)?), Term(number(row, 1)?));
                if index != last.next() {
                    wrong = Some(StartError::Hole { missing: last.next() });
                    return Ok(());
                }
                if term < before {
                    wrong = Some(StartError::TermFalls { index, term, before });
                    return Ok(());
                }
                if term > before {
                    terms.push(TermRun { first: index, term });
                }
                (last, before) = (index, term);
            }
            Ok(())
        })?;
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok((terms, last)),
        }
    }
}

fn check_positions(state: &State, last: LogIndex) -> Result<(), StartError> {
    let (commit, cut, applied) = (LogIndex(state.hard_state.commit), state.cut.0, state.applied);
    if commit > last {
        return Err(StartError::CommitPastEnd { commit, last });
    }
    if commit < cut {
        return Err(StartError::CommitBeforeCut { commit, cut });
    }
    if applied > commit {
        return Err(StartError::AppliedPastCommit { applied, commit });
    }
    if applied < cut {
        return Err(StartError::AppliedBeforeCut { applied, cut });
    }
    Ok(())
}

pub(super) fn read_state(conn: &Connection) -> rusqlite::Result<State> {
    conn.query_row(
        "SELECT foundation, coalesce(cluster, ''), coalesce(epoch, ''), raft_id, boot, term, vote,
             commit_index, cut_index, cut_term, applied_index, applied_at, conf_state FROM raft_state",
        [],
        |row| {
            let hard_state = HardState {
                term: number(row, 5)?,
                vote: number(row, 6)?,
                commit: number(row, 7)?,
                ..HardState::default()
            };
            Ok(State {
                foundation: row.get(0)?,
                cluster: row.get(1)?,
                epoch: row.get(2)?,
                raft_id: RaftId(number(row, 3)?),
                boot: Boot(number(row, 4)?),
                hard_state,
                cut: (LogIndex(number(row, 8)?), Term(number(row, 9)?)),
                applied: LogIndex(number(row, 10)?),
                at: at(row, 11)?,
                conf_state: row.get(12)?,
            })
        },
    )
}

/// What the rows come to; counted once when a file of an earlier format has not kept it.
pub(super) fn keep_sum(conn: &Connection) -> rusqlite::Result<RowsSum> {
    if let Some(kept) = conn.query_row("SELECT rows_sum FROM raft_state", [], |row| row.get(0))? {
        return Ok(RowsSum::from_bytes(kept));
    }
    let counted = walk::sum(conn)?;
    conn.execute("UPDATE raft_state SET rows_sum = ?1", [counted.bytes()])?;
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::set_aside::suspicion;
    use crate::storage::testing::{TestDir, append, batch, committed, entry, founded, started};

    #[test]
    fn each_start_is_counted() {
        let dir = TestDir::new();
        drop(founded(&dir));
        for boot in 1..=3 {
            let mut store = Store::open(&dir.data(), "node1").unwrap();
            assert_eq!(store.start().unwrap().boot, Boot(boot));
        }
    }

    #[test]
    fn nothing_starts_before_the_founding() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node1").unwrap();
        assert!(matches!(store.start(), Err(StartError::NotFounded)));
    }

    #[test]
    fn each_way_in_which_a_file_can_be_wrong_is_told_and_changes_nothing() {
        for (damage, expected) in [
            ("UPDATE raft_state SET conf_state = x''", "names no members"),
            ("UPDATE raft_state SET conf_state = x'ffff'", "members cannot be read"),
            ("UPDATE raft_state SET commit_index = 9", "the log ends at 4, but entry 9"),
            (
                "UPDATE raft_state SET commit_index = 0, applied_index = 0",
                "committed up to 0, but the log was cut at 1",
            ),
            (
                "UPDATE raft_state SET applied_index = 4",
                "the rows are as of entry 4, but only 3 is committed",
            ),
            (
                "UPDATE raft_state SET applied_index = 0",
                "the rows are as of entry 0, but the log was cut at 1",
            ),
            (
                "UPDATE raft_log SET data = x'00' WHERE log_index = 3",
                "log entry 3 is not what was written there",
            ),
            ("DELETE FROM raft_log WHERE log_index = 3", "log entry 3 is missing"),
            ("DELETE FROM raft_log WHERE log_index = 2", "log entry 2 is missing"),
            (
                "UPDATE raft_log SET term = 2 WHERE log_index = 2",
                "log entry 3 is of term 1, after one of term 2",
            ),
            (
                "UPDATE raft_log SET term = 7 WHERE log_index = 4",
                "the log is of term 7, but this node knows only of term 1",
            ),
        ] {
            let dir = TestDir::new();
            let (mut store, _) = started(&dir);
            let entries = (2..=4).map(|index| entry(index, 1, &batch(1, &[]))).collect();
            store.append(&append(entries, Some((1, 1, 3)))).unwrap();
            store.apply(&[committed(2, batch(1, &[]))], || false).unwrap();
            store.conn().execute_batch(damage).unwrap();
            drop(store);

            let mut store = Store::open(&dir.data(), "node1").unwrap();
            let sentence = store.start().unwrap_err().to_string();
            assert!(sentence.contains(expected) && sentence.contains("set aside"), "{damage}: {sentence}");
            let noted = suspicion(&dir.data()).unwrap().unwrap();
            assert_eq!(noted, sentence);
            let boot: i64 =
                store.conn().query_row("SELECT boot FROM raft_state", [], |row| row.get(0)).unwrap();
            assert_eq!(boot, 1, "{damage}");
        }
    }

    /// What SIGKILL leaves: the files as they are at an instant, nothing closed.
    #[test]
    fn a_killed_process_finds_all_that_was_appended_and_applied() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        for index in 2..=40 {
            store.append(&append(vec![entry(index, 1, &batch(1, &[]))], Some((1, 1, index - 1)))).unwrap();
            if index % 3 == 0 {
                let applied = store.standing.applied.0;
                let entries: Vec<_> =
                    (applied + 1..index).map(|index| committed(index, batch(1, &[]))).collect();
                store.apply(&entries, || false).unwrap();
            }
            if index % 7 == 0 {
                store.write_back().unwrap();
            }
            let copy = TestDir::new();
            std::fs::create_dir(copy.data()).unwrap();
            for file in ["chat.db", "chat.db-wal"] {
                // Drops SQLite's locks on the file; no other process is there to take advantage.
                std::fs::copy(dir.data().join(file), copy.data().join(file)).unwrap();
            }
            let opened = Store::open(&copy.data(), "node1").unwrap().start().unwrap();
            assert_eq!((opened.last.0, opened.applied), (index, store.standing.applied));
            assert_eq!((opened.boot, opened.hard_state.commit), (Boot(2), index - 1));
        }
    }
}
