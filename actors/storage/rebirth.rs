//! A file becomes a cluster of its own: what `recover` does to the survivor of a lost majority.
//!
//! The whole log is applied first, also what nobody knows to be committed: it may have been
//! acknowledged. Then the file gets another cluster id, epoch and Raft id, everybody else is gone, and
//! the log begins anew behind the last entry. All of that is one transaction, so an end in the middle
//! leaves the file as it was.

use std::collections::BTreeSet;

use protobuf::Message;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType};
use rusqlite::{Connection, params};

use super::founding::encode;
use super::start::{Opened, StartError, keep_sum, read_state};
use super::store::{Standing, Store, StoreError, Synchronous};
use crate::chat_db::rows::{Stored, number};
use crate::ids::{At, LogIndex, RaftId, Term};
use crate::membership::{Founding, Node};
use crate::messages::disk::{Committed, Payload};

/// What the new cluster is to be, drawn and read from the settings by whoever asks.
#[derive(Clone, Debug)]
pub struct NewCluster {
    /// 32 hexadecimal digits.
    pub cluster: String,
    /// 16 hexadecimal digits.
    pub epoch: String,
    /// Where this node is now.
    pub peer: String,
    pub public: String,
}

/// What a rebirth would begin with.
#[derive(Clone, Debug)]
pub struct Outlook {
    pub cluster: String,
    /// Everybody but this node, by Raft id.
    pub others: Vec<Node>,
    /// The raft ids that vote, this node's perhaps among them.
    pub voters: BTreeSet<RaftId>,
    pub at: At,
    pub last: LogIndex,
    /// Entries that the new cluster will hold though this node does not know them to be committed.
    pub uncommitted: u64,
}

impl Outlook {
    /// The file is a cluster of this node alone already.
    pub fn is_alone(&self) -> bool {
        self.others.is_empty() && self.voters.len() <= 1
    }
}

/// Why a file cannot become a cluster of its own.
#[derive(Debug, thiserror::Error)]
pub enum RebirthError {
    #[error("this node was removed from its chat: recover from a node that is still a member")]
    Removed,
    #[error(
        "another cluster came in the place of this file's already: empty data_dir, and the node joins that"
    )]
    Superseded,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("what is to be stored cannot be written as text: {0}")]
    Text(#[from] serde_json::Error),
}

impl From<StoreError> for RebirthError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Store {
    /// What [`recover`](Self::recover) would begin with. Changes nothing.
    ///
    /// # Errors
    /// When the file is not a member's, or is damaged.
    pub fn outlook(&self) -> Result<Outlook, RebirthError> {
        let opened = self.look_as_member()?;
        let voters = opened.conf_state.voters.iter().chain(&opened.conf_state.voters_outgoing);
        Ok(Outlook {
            cluster: opened.cluster,
            others: opened.nodes.into_iter().filter(|node| node.name != self.node).collect(),
            voters: voters.map(|id| RaftId(*id)).collect(),
            at: opened.at,
            last: opened.last,
            uncommitted: opened.last.0.saturating_sub(opened.hard_state.commit),
        })
    }

    /// Makes the file a cluster of this node alone, with all that its log holds, in one transaction
    /// with an fsync. Its sessions stay.
    ///
    /// # Errors
    /// As for [`outlook`](Self::outlook), or when the disk fails; the file is then as it was.
    pub fn recover(&mut self, new: &NewCluster) -> Result<At, RebirthError> {
        let opened = self.look_as_member()?;
        let used = highest_id_in(&opened);
        self.transaction(Synchronous::Full, |store| {
            let sum = store.sql(keep_sum)?;
            store.standing = Standing {
                raft_id: opened.raft_id,
                boot: opened.boot,
                asks_as: opened.boot,
                applied: opened.applied,
                at: opened.at,
                sum,
                cut: opened.cut.0,
                last: opened.last,
            };
            store.tables.restart((opened.at, sum));
            store.apply_whole(&opened.unapplied.iter().map(as_committed).collect::<Vec<_>>())?;
            let term = opened.terms.last().map_or(opened.cut.1, |run| run.term);
            store.begin_anew(new, (opened.last, term), used)
        })
    }

    fn look_as_member(&self) -> Result<Opened, RebirthError> {
        match self.sql(read_state)?.foundation.as_str() {
            "removed" => Err(RebirthError::Removed),
            "superseded" => Err(RebirthError::Superseded),
            _ => Ok(self.look()?),
        }
    }

    /// Inside a transaction, with rows as of `position`: makes the file a cluster of this node alone,
    /// whose log begins there. `used`: the highest Raft id known beside those in the table.
    pub(super) fn begin_anew(
        &mut self,
        new: &NewCluster,
        position: (LogIndex, Term),
        used: RaftId,
    ) -> Result<At, RebirthError> {
        let highest = self.sql(|conn| {
            conn.query_row("SELECT coalesce(max(raft_id), 0) FROM nodes", [], |row| number(row, 0))
        })?;
        let own = Node {
            name: self.node.clone(),
            raft_id: RaftId(highest.max(used.0)).next(),
            peer: new.peer.clone(),
            public: new.public.clone(),
        };
        let founding =
            Founding { cluster: new.cluster.clone(), epoch: new.epoch.clone(), nodes: vec![own.clone()] };
        let mut supersedes = self.supersedes()?;
        let of_old: Option<String> =
            self.sql(|conn| conn.query_row("SELECT cluster FROM raft_state", [], |row| row.get(0)))?;
        supersedes.extend(of_old);
        let (record, supersedes) = (serde_json::to_string(&founding)?, serde_json::to_string(&supersedes)?);

        let at = self.sql(|conn| leave_alone(conn, &own))?;
        self.sql(|conn| {
            let conf_state = ConfState { voters: vec![own.raft_id.0], ..ConfState::default() };
            conn.execute("DELETE FROM raft_log", [])?;
            conn.execute(
                "UPDATE raft_state SET foundation = 'founded', founding = ?1, cluster = ?2, supersedes = ?3,
                     epoch = ?4, raft_id = ?5, term = max(term, ?6), vote = 0, commit_index = ?7,
                     cut_index = ?7, cut_term = ?6, applied_index = ?7, applied_at = ?8, conf_state = ?9,
                     rows_sum = NULL",
                params![
                    record,
                    founding.cluster,
                    supersedes,
                    founding.epoch,
                    Stored(own.raft_id.0),
                    Stored(position.1.0),
                    Stored(position.0.0),
                    Stored(at.0),
                    encode(&conf_state)?,
                ],
            )
        })?;
        Ok(at)
    }
}

/// Marks every other node as removed and writes this one's row; each takes the next `at`.
fn leave_alone(conn: &Connection, own: &Node) -> rusqlite::Result<At> {
    let mut at = conn.query_row("SELECT applied_at FROM raft_state", [], |row| number(row, 0))?;
    let mut statement =
        conn.prepare("SELECT name FROM nodes WHERE NOT removed AND name <> ?1 ORDER BY name")?;
    let others: Vec<String> =
        statement.query_map([&own.name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in others {
        at += 1;
        conn.execute("UPDATE nodes SET at = ?1, removed = 1 WHERE name = ?2", params![Stored(at), name])?;
    }
    at += 1;
    conn.execute(
        "INSERT INTO nodes (name, at, raft_id, disk, peer, public, learner, removed)
         SELECT ?1, ?2, ?3, nullif(disk, ''), ?4, ?5, 0, 0 FROM raft_state WHERE true
         ON CONFLICT (name) DO UPDATE SET at = excluded.at, raft_id = excluded.raft_id,
             disk = excluded.disk, peer = excluded.peer, public = excluded.public, learner = 0, removed = 0",
        params![own.name, Stored(at), Stored(own.raft_id.0), own.peer, own.public],
    )?;
    Ok(At(at))
}

/// As Raft would hand it out, but for who the members are: they end here.
fn as_committed(entry: &Entry) -> Committed {
    let what = match entry.get_entry_type() {
        EntryType::EntryNormal if !entry.data.is_empty() => Payload::Batch(entry.data.clone()),
        _ => Payload::Empty,
    };
    Committed { index: LogIndex(entry.index), term: Term(entry.term), what }
}

/// The highest Raft id in the configuration and in changes of it that wait in the log.
fn highest_id_in(opened: &Opened) -> RaftId {
    let conf = &opened.conf_state;
    let members = [&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next];
    let changed = opened.unapplied.iter().filter_map(|entry| match entry.get_entry_type() {
        EntryType::EntryNormal => None,
        // What cannot be read names nobody.
        EntryType::EntryConfChange => {
            ConfChange::parse_from_bytes(&entry.data).ok().map(|change| change.node_id)
        }
        EntryType::EntryConfChangeV2 => {
            let change = ConfChangeV2::parse_from_bytes(&entry.data).ok()?;
            change.changes.iter().map(|single| single.node_id).max()
        }
    });
    let highest = members.into_iter().flatten().copied().chain(changed).max();
    RaftId(highest.unwrap_or_default().max(opened.raft_id.0))
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::ConfChangeSingle;

    use super::*;
    use crate::membership::Retirement;
    use crate::storage::testing::{TestDir, append, batch, committed, entry, send, setup, started};

    fn new_cluster() -> NewCluster {
        NewCluster {
            cluster: "d".repeat(32),
            epoch: "f".repeat(16),
            peer: "http://127.0.0.1:9201".into(),
            public: "http://127.0.0.1:9101".into(),
        }
    }

    /// Entry 2 is applied, 3 committed, 4 to 6 only written: a message, and raft id 7 on its way in.
    fn survivor(dir: &TestDir) -> Store {
        let (mut store, _) = started(dir);
        let first = batch(1, &setup(&["ann"], 1));
        let mut change = entry(5, 2, b"");
        change.set_entry_type(EntryType::EntryConfChangeV2);
        let single = ConfChangeSingle { node_id: 7, ..ConfChangeSingle::default() };
        let changes = ConfChangeV2 { changes: vec![single].into(), ..ConfChangeV2::default() };
        change.data = changes.write_to_bytes().unwrap().into();
        let entries = vec![
            entry(2, 1, &first),
            entry(3, 1, &batch(2, &[send("ann", 1, "1", "committed")])),
            entry(4, 2, &batch(3, &[send("ann", 1, "2", "only written")])),
            change,
            entry(6, 2, b""),
        ];
        store.append(&append(entries, Some((3, 2, 3)))).unwrap();
        store.apply(&[committed(2, first)], || false).unwrap();
        store
    }

    fn texts(store: &Store) -> Vec<String> {
        let mut statement = store.conn().prepare("SELECT text FROM messages ORDER BY seq").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_whole_log_is_applied_and_a_cluster_of_one_begins() {
        let dir = TestDir::new();
        let mut store = survivor(&dir);
        let outlook = store.outlook().unwrap();
        assert_eq!((outlook.others.len(), outlook.uncommitted, outlook.is_alone()), (2, 3, false));
        store.recover(&new_cluster()).unwrap();
        assert_eq!(texts(&store), ["committed", "only written"]);
        drop(store);

        Store::open_to_look(&dir.data(), "node1").unwrap().check().unwrap();
        let mut store = Store::open(&dir.data(), "node1").unwrap();
        let opened = store.start().unwrap();
        assert_eq!((opened.cluster, opened.epoch), ("d".repeat(32), "f".repeat(16)));
        assert_eq!((opened.raft_id, opened.conf_state.voters), (RaftId(8), vec![8]));
        assert_eq!(
            (opened.cut, opened.applied, opened.last),
            ((LogIndex(6), Term(2)), LogIndex(6), LogIndex(6))
        );
        let state = opened.hard_state;
        assert_eq!((state.term, state.vote, state.commit), (3, 0, 6));
        assert_eq!(
            opened.nodes.iter().map(|node| node.peer.as_str()).collect::<Vec<_>>(),
            ["http://127.0.0.1:9201"]
        );
        assert_eq!(store.supersedes().unwrap(), ["c".repeat(32)]);
        let outlook = store.outlook().unwrap();
        assert!(outlook.is_alone() && outlook.uncommitted == 0, "{outlook:?}");
        // The log goes on where it ended.
        store.append(&append(vec![entry(7, 4, b"")], Some((4, 8, 6)))).unwrap();
    }

    #[test]
    fn a_recovery_that_fails_leaves_the_file_as_it_was() {
        let dir = TestDir::new();
        let mut store = survivor(&dir);
        let failing = "CREATE TEMP TRIGGER power_cut BEFORE UPDATE OF cluster ON main.raft_state
                       BEGIN SELECT raise(ABORT, 'power cut'); END";
        store.conn().execute_batch(failing).unwrap();
        store.recover(&new_cluster()).unwrap_err();
        drop(store);

        let mut store = Store::open(&dir.data(), "node1").unwrap();
        assert!(texts(&store).is_empty());
        let opened = store.start().unwrap();
        assert_eq!((opened.cluster, opened.raft_id), ("c".repeat(32), RaftId(1)));
        assert_eq!((opened.applied, opened.last, opened.hard_state.commit), (LogIndex(2), LogIndex(6), 3));
    }

    #[test]
    fn who_is_a_member_no_more_recovers_nothing() {
        let dir = TestDir::new();
        let mut store = survivor(&dir);
        assert_eq!(store.retirement().unwrap(), None);
        for (why, words) in
            [(Retirement::Removed, "was removed"), (Retirement::Superseded, "came in the place")]
        {
            store.retire(why).unwrap();
            assert_eq!(store.retirement().unwrap(), Some(why));
            assert!(store.outlook().unwrap_err().to_string().contains(words));
            assert!(store.recover(&new_cluster()).unwrap_err().to_string().contains(words));
        }
    }
}
