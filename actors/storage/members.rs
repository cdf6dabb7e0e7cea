//! Nodes that come and go: their rows, and what this file is to them.

use protobuf::Message;
use raft::eraftpb::ConfState;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::founding::FoundingError;
use super::store::{Store, StoreError, Synchronous};
use crate::chat::tables::Tables as _;
use crate::chat_db::rows::{Stored, number};
use crate::ids::{LogIndex, RaftId};
use crate::membership::{Admission, Foundation, Founding, NodeRow, Roll};

impl Store {
    /// Everybody as of the applied position.
    ///
    /// # Errors
    /// What SQLite says, or when a row cannot be read.
    pub fn roll(&self) -> Result<Roll, StoreError> {
        self.sql(read_roll)
    }

    /// Writes a row of `nodes` at the next `at`.
    pub(super) fn write_node(&mut self, index: LogIndex, row: &[u8]) -> Result<(), StoreError> {
        let row = NodeRow::decode(row).map_err(|source| StoreError::Unreadable { index, source })?;
        let next = self.tables.next_at();
        let at = next.map_err(|error| self.judge(error))?;
        self.sql(|conn| {
            conn.prepare_cached(
                "INSERT INTO nodes (name, at, raft_id, disk, peer, public, learner, removed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (name) DO UPDATE SET at = ?2, raft_id = ?3, disk = ?4, peer = ?5, public = ?6,
                     learner = ?7, removed = ?8",
            )?
            .execute(params![
                row.name,
                Stored(at.0),
                row.raft_id.map(|id| Stored(id.0)),
                row.disk,
                row.peer,
                row.public,
                row.learner,
                row.removed
            ])
        })?;
        Ok(())
    }

    /// The replica that this file is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn raft_id(&self) -> Result<RaftId, StoreError> {
        self.sql(|conn| {
            conn.query_row("SELECT raft_id FROM raft_state", [], |row| number(row, 0).map(RaftId))
        })
    }

    /// The id that was drawn with this file; `None` while none was.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn disk(&self) -> Result<Option<String>, StoreError> {
        let disk: String =
            self.sql(|conn| conn.query_row("SELECT disk FROM raft_state", [], |row| row.get(0)))?;
        Ok(Some(disk).filter(|disk| !disk.is_empty()))
    }

    /// Gives a file that has none its id, with an fsync.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set_disk(&mut self, disk: &str) -> Result<(), StoreError> {
        self.transaction(Synchronous::Full, |store| {
            store.sql(|conn| conn.execute("UPDATE raft_state SET disk = ?1 WHERE disk = ''", [disk]))
        })?;
        Ok(())
    }

    /// An empty file becomes a replica of a living cluster, with an fsync: its log is empty, its state is to come.
    ///
    /// # Errors
    /// [`FoundingError::Founded`] or [`FoundingError::Another`] when it is not empty.
    pub fn admit(&mut self, admission: &Admission) -> Result<(), FoundingError> {
        let record = admission.record();
        match self.foundation()? {
            Foundation::Empty => {}
            Foundation::Founded(held) if held.cluster == record.cluster => return Ok(()),
            Foundation::Proposed(held) => return Err(FoundingError::Another { cluster: held.cluster }),
            Foundation::Founded(held) => return Err(FoundingError::Founded { cluster: held.cluster }),
        }
        let text = serde_json::to_string(&record).map_err(FoundingError::Unreadable)?;
        let supersedes = serde_json::to_string(&admission.supersedes).map_err(FoundingError::Unreadable)?;
        let done: Result<usize, StoreError> = self.transaction(Synchronous::Full, |store| {
            store.sql(|conn| {
                conn.execute(
                    "UPDATE raft_state SET foundation = 'founded', founding = ?1, cluster = ?2, epoch = ?3,
                         raft_id = ?4, term = 0, vote = 0, commit_index = 0, cut_index = 0, cut_term = 0,
                         applied_index = 0, applied_at = 0, conf_state = x'', supersedes = ?5",
                    params![text, record.cluster, record.epoch, Stored(admission.raft_id.0), supersedes],
                )
            })
        });
        done?;
        Ok(())
    }
}

impl Admission {
    /// As the file keeps it, in the place of a founding.
    pub fn record(&self) -> Founding {
        Founding { cluster: self.cluster.clone(), epoch: self.epoch.clone(), nodes: self.nodes.clone() }
    }
}

/// What the tables say; before a new replica has any, what its admission said.
pub(super) fn read_roll(conn: &Connection) -> rusqlite::Result<Roll> {
    let mut statement = conn.prepare_cached(
        "SELECT name, raft_id, disk, peer, public, learner, removed FROM nodes ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        let raft_id = match row.get_ref(1)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(RaftId(number(row, 1)?)),
        };
        Ok(NodeRow {
            name: row.get(0)?,
            raft_id,
            disk: row.get(2)?,
            peer: row.get(3)?,
            public: row.get(4)?,
            learner: row.get(5)?,
            removed: row.get(6)?,
        })
    })?;
    let rows: Vec<NodeRow> = rows.collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT conf_state, raft_id, founding FROM raft_state";
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, Vec<u8>>(0)?, RaftId(number(row, 1)?), row.get::<_, Option<String>>(2)?))
    };
    let Some((conf, own, founding)) = conn.prepare_cached(sql)?.query_row([], read).optional()? else {
        return Ok(Roll::default());
    };
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error)
    };
    if rows.is_empty()
        && let Some(founding) = founding
    {
        let founding = serde_json::from_str(&founding).map_err(|error| unreadable(error.into()))?;
        return Ok(Roll::provisional(&founding, own));
    }
    let conf = ConfState::parse_from_bytes(&conf).map_err(|error| unreadable(error.into()))?;
    Ok(Roll { rows, conf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{At, Term};
    use crate::messages::disk::{Committed, Payload};
    use crate::storage::testing::{TestDir, append, entry, founding, started};

    fn row(name: &str, raft_id: Option<u64>) -> NodeRow {
        NodeRow {
            name: name.into(),
            raft_id: raft_id.map(RaftId),
            disk: None,
            peer: format!("http://{name}:1"),
            public: format!("http://{name}:2"),
            learner: false,
            removed: false,
        }
    }

    fn changed(index: u64, what: Payload) -> Committed {
        Committed { index: LogIndex(index), term: Term(1), what }
    }

    #[test]
    fn a_row_and_the_configuration_change_together_and_take_one_at() {
        let dir = TestDir::new();
        let (mut store, opened) = started(&dir);
        let conf = ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() };
        let written = row("node4", None);
        let here = row("node4", Some(4));
        let entries = (2..=4).map(|index| entry(index, 1, b"")).collect();
        store.append(&append(entries, Some((1, 1, 4)))).unwrap();
        let piece = store
            .apply(
                &[
                    changed(2, Payload::Node(written.encode().unwrap().into())),
                    changed(3, Payload::Conf(conf.clone(), here.encode().unwrap().into())),
                    changed(4, Payload::Conf(conf.clone(), bytes::Bytes::new())),
                ],
                || false,
            )
            .unwrap();
        assert_eq!(
            piece.changed.unwrap().at,
            At(opened.at.0 + 2),
            "leaving a joint configuration takes none"
        );
        let roll = piece.members.unwrap().roll;
        assert_eq!((roll.row("node4"), &roll.conf), (Some(&here), &conf));
        assert_eq!((roll.highest(), roll.listed().len()), (RaftId(4), 4));
        drop(store);
        let opened = Store::open(&dir.data(), "node1").unwrap().start().unwrap();
        assert_eq!((*roll == opened.roll, opened.conf_state), (true, conf));
    }

    #[test]
    fn a_new_replica_begins_with_nothing_but_its_admission() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node4").unwrap();
        store.set_disk("d4").unwrap();
        store.set_disk("another").unwrap();
        assert_eq!(store.disk().unwrap().as_deref(), Some("d4"));
        let mut nodes = founding().nodes;
        nodes.push(crate::membership::Node { name: "node4".into(), raft_id: RaftId(7), ..nodes[0].clone() });
        let admission = Admission {
            raft_id: RaftId(7),
            cluster: "c".into(),
            epoch: "e".into(),
            supersedes: vec!["b".into()],
            nodes,
        };
        store.admit(&admission).unwrap();
        store.admit(&admission).unwrap();
        let other = Admission { cluster: "d".into(), ..admission.clone() };
        assert!(matches!(store.admit(&other), Err(FoundingError::Founded { .. })));
        assert_eq!(store.foundation().unwrap(), Foundation::Founded(admission.record()));
        assert_eq!(store.supersedes().unwrap(), ["b"]);
        let roll = store.roll().unwrap();
        assert!(roll.is_voter(RaftId(1)) && !roll.is_voter(RaftId(7)) && roll.is_here(RaftId(7)));
    }
}
