//! How a file becomes part of a chat: nothing, a record proposed, a chat founded.

use std::path::PathBuf;

use protobuf::Message;
use raft::eraftpb::ConfState;
use rusqlite::params;

use super::set_aside::was_set_aside;
use super::store::{Store, StoreError, Synchronous};
use crate::chat_db::rows::Stored;
use crate::ids::{At, LogIndex, Term};
use crate::membership::{Foundation, Founding};

/// Where the log of every founder begins: as if its first entry had been compacted away.
pub const FIRST_INDEX: LogIndex = LogIndex(1);
pub const FIRST_TERM: Term = Term(1);

/// Why a step of founding was refused.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    #[error("this node is part of the chat {cluster} already: wipe its data_dir to begin anew")]
    Founded { cluster: String },
    #[error("another founding, {cluster}, waits on this disk: let it be confirmed or dropped first")]
    Another { cluster: String },
    #[error("no founding waits on this disk")]
    NothingProposed,
    #[error("the founding does not list this node, {node}: name it in cluster.members on every node")]
    NotListed { node: String },
    #[error(
        "a chat was on this disk and is set aside in {dir}: this node founds no other; start the nodes that \
         have that chat, and list one of them in cluster.members or cluster.join; if there is none any more, empty the \
         whole directory to begin anew"
    )]
    SetAside { dir: PathBuf },
    #[error("the founding record on this disk cannot be read: {0}")]
    Unreadable(serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// How far this disk has come.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn foundation(&self) -> Result<Foundation, FoundingError> {
        let (state, record) = self.sql(|conn| {
            conn.query_row("SELECT foundation, founding FROM raft_state", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
            })
        })?;
        let Some(record) = record else { return Ok(Foundation::Empty) };
        let founding = serde_json::from_str(&record).map_err(FoundingError::Unreadable)?;
        // A retired file was founded; whoever may not serve it asks for its retirement first.
        Ok(if state == "proposed" { Foundation::Proposed(founding) } else { Foundation::Founded(founding) })
    }

    /// Stores a record, with an fsync. From then on any other is refused; the same one again is fine.
    ///
    /// # Errors
    /// [`FoundingError::Founded`], [`FoundingError::Another`], [`FoundingError::NotListed`],
    /// [`FoundingError::SetAside`].
    pub fn propose_founding(&mut self, founding: &Founding) -> Result<(), FoundingError> {
        match self.foundation()? {
            Foundation::Empty => {}
            Foundation::Proposed(stored) | Foundation::Founded(stored) if stored == *founding => {
                return Ok(());
            }
            Foundation::Proposed(other) => return Err(FoundingError::Another { cluster: other.cluster }),
            Foundation::Founded(other) => return Err(FoundingError::Founded { cluster: other.cluster }),
        }
        if !founding.nodes.iter().any(|node| node.name == self.node) {
            return Err(FoundingError::NotListed { node: self.node.clone() });
        }
        if let Some(dir) = self.path.parent()
            && was_set_aside(dir).unwrap_or(true)
        {
            return Err(FoundingError::SetAside { dir: dir.to_owned() });
        }
        let record = serde_json::to_string(founding).map_err(FoundingError::Unreadable)?;
        self.write_foundation("UPDATE raft_state SET foundation = 'proposed', founding = ?1", [record])
    }

    /// Every member stored the record: the chat exists. Writes what every founder begins with, rows,
    /// configuration and log position, the same bytes on each; with an fsync.
    ///
    /// # Errors
    /// [`FoundingError::NothingProposed`].
    pub fn confirm_founding(&mut self) -> Result<(), FoundingError> {
        let founding = match self.foundation()? {
            Foundation::Empty => return Err(FoundingError::NothingProposed),
            Foundation::Founded(_) => return Ok(()),
            Foundation::Proposed(founding) => founding,
        };
        let Some(own) = founding.nodes.iter().find(|node| node.name == self.node) else {
            return Err(FoundingError::NotListed { node: self.node.clone() });
        };
        let raft_id = own.raft_id;
        let conf_state = first_conf_state(&founding);
        let done: Result<usize, StoreError> = self.transaction(Synchronous::Full, |store| {
            store.sql(|conn| {
                for (at, node) in (1..).zip(&founding.nodes) {
                    conn.execute(
                        "INSERT INTO nodes (at, name, raft_id, peer, public, learner, removed)
                         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
                        params![Stored(at), node.name, Stored(node.raft_id.0), node.peer, node.public],
                    )?;
                }
                conn.execute(
                    "UPDATE raft_state SET foundation = 'founded', cluster = ?1, epoch = ?2, raft_id = ?3,
                         term = ?4, vote = 0, commit_index = ?5, cut_index = ?5, cut_term = ?4,
                         applied_index = ?5, applied_at = ?6, conf_state = ?7",
                    params![
                        founding.cluster,
                        founding.epoch,
                        Stored(raft_id.0),
                        Stored(FIRST_TERM.0),
                        Stored(FIRST_INDEX.0),
                        Stored(first_at(&founding).0),
                        encode(&conf_state)?,
                    ],
                )
            })
        });
        done?;
        Ok(())
    }

    /// Forgets an unconfirmed record, with an fsync.
    ///
    /// # Errors
    /// [`FoundingError::Founded`] when it is confirmed.
    pub fn drop_founding(&mut self) -> Result<(), FoundingError> {
        if let Foundation::Founded(founding) = self.foundation()? {
            return Err(FoundingError::Founded { cluster: founding.cluster });
        }
        self.write_foundation("UPDATE raft_state SET foundation = 'empty', founding = NULL", [])
    }

    fn write_foundation(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<(), FoundingError> {
        let done: Result<usize, StoreError> =
            self.transaction(Synchronous::Full, |store| store.sql(|conn| conn.execute(sql, values)));
        done?;
        Ok(())
    }
}

/// The configuration that every founder begins with: all are voters.
pub fn first_conf_state(founding: &Founding) -> ConfState {
    let mut voters: Vec<u64> = founding.nodes.iter().map(|node| node.raft_id.0).collect();
    voters.sort_unstable();
    ConfState { voters, ..ConfState::default() }
}

/// The `at` after founding: each node's row took one.
pub fn first_at(founding: &Founding) -> At {
    At(founding.nodes.len() as u64)
}

/// A configuration as it is stored.
pub(super) fn encode(conf_state: &ConfState) -> rusqlite::Result<Vec<u8>> {
    conf_state.write_to_bytes().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RaftId;
    use crate::storage::testing::{TestDir, founding, started};

    #[test]
    fn a_founding_is_proposed_kept_and_confirmed() {
        let dir = TestDir::new();
        let open = || Store::open(&dir.data(), "node2").unwrap();
        let mut store = open();
        assert_eq!(store.foundation().unwrap(), Foundation::Empty);
        assert!(matches!(store.confirm_founding(), Err(FoundingError::NothingProposed)));
        store.propose_founding(&founding()).unwrap();
        drop(store);

        let mut store = open();
        assert_eq!(store.foundation().unwrap(), Foundation::Proposed(founding()));
        store.propose_founding(&founding()).unwrap();
        store.confirm_founding().unwrap();
        store.confirm_founding().unwrap();
        drop(store);

        let mut store = open();
        assert_eq!(store.foundation().unwrap(), Foundation::Founded(founding()));
        let opened = store.start().unwrap();
        assert_eq!((opened.raft_id, opened.nodes), (RaftId(2), founding().nodes));
        assert_eq!((opened.cluster, opened.epoch), ("c".repeat(32), "e".repeat(16)));
    }

    #[test]
    fn another_founding_is_refused_until_the_first_is_dropped_and_for_good_once_confirmed() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node1").unwrap();
        let other = Founding { cluster: "d".repeat(32), ..founding() };
        store.propose_founding(&founding()).unwrap();
        let refused = store.propose_founding(&other).unwrap_err();
        assert!(
            matches!(&refused, FoundingError::Another { cluster } if *cluster == "c".repeat(32)),
            "{refused}"
        );

        store.drop_founding().unwrap();
        assert_eq!(store.foundation().unwrap(), Foundation::Empty);
        store.propose_founding(&other).unwrap();
        store.confirm_founding().unwrap();
        assert!(matches!(store.propose_founding(&founding()), Err(FoundingError::Founded { .. })));
        assert!(matches!(store.drop_founding(), Err(FoundingError::Founded { .. })));
    }

    #[test]
    fn a_founding_without_this_node_is_refused() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node9").unwrap();
        let refused = store.propose_founding(&founding()).unwrap_err();
        assert!(matches!(refused, FoundingError::NotListed { .. }), "{refused}");
    }

    #[test]
    fn all_founders_begin_alike() {
        let rows = |node: &str| {
            let dir = TestDir::new();
            let mut store = Store::open(&dir.data(), node).unwrap();
            store.propose_founding(&founding()).unwrap();
            store.confirm_founding().unwrap();
            let opened = store.start().unwrap();
            let mut nodes = store.conn().prepare("SELECT at, name, raft_id FROM nodes ORDER BY at").unwrap();
            let nodes = nodes.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            let nodes: Vec<(i64, String, i64)> = nodes.map(Result::unwrap).collect();
            (nodes, opened.hard_state, opened.conf_state, opened.applied, opened.at, opened.cut, opened.terms)
        };
        let first = rows("node1");
        assert_eq!(first, rows("node2"));
        assert_eq!(first.0, [(1, "node1".into(), 1), (2, "node2".into(), 2), (3, "node3".into(), 3)]);
    }

    #[test]
    fn a_founder_begins_behind_entry_one() {
        let dir = TestDir::new();
        let (_store, opened) = started(&dir);
        let state = (opened.hard_state.term, opened.hard_state.vote, opened.hard_state.commit);
        assert_eq!(state, (1, 0, 1));
        assert_eq!(opened.conf_state.voters, [1, 2, 3]);
        assert_eq!((opened.applied, opened.at, opened.last), (LogIndex(1), At(3), LogIndex(1)));
        assert_eq!((opened.cut, opened.boot.0), ((LogIndex(1), Term(1)), 1));
        assert!(opened.unapplied.is_empty());
    }
}
