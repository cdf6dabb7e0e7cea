//! How a file becomes part of a chat: nothing, a record proposed, a chat founded.

use protobuf::Message;
use raft::eraftpb::ConfState;
use rusqlite::params;

use super::rows::int;
use super::store::{Store, StoreError, Synchronous};
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
        Ok(if state == "founded" { Foundation::Founded(founding) } else { Foundation::Proposed(founding) })
    }

    /// Stores a record, with an fsync. From then on any other is refused; the same one again is fine.
    ///
    /// # Errors
    /// [`FoundingError::Founded`], [`FoundingError::Another`], [`FoundingError::NotListed`].
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
                        "INSERT INTO nodes (at, name, raft_id, peer, public) VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![int(at), node.name, int(node.raft_id.0), node.peer, node.public],
                    )?;
                }
                conn.execute(
                    "UPDATE raft_state SET foundation = 'founded', cluster = ?1, epoch = ?2, raft_id = ?3,
                         term = ?4, vote = 0, commit_index = ?5, cut_index = ?5, cut_term = ?4,
                         applied_index = ?5, applied_at = ?6, conf_state = ?7",
                    params![
                        founding.cluster,
                        founding.epoch,
                        int(raft_id.0),
                        int(FIRST_TERM.0),
                        int(FIRST_INDEX.0),
                        int(first_at(&founding).0),
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
