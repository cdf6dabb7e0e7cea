//! Whether the file of a stopped node is whole. Looks only, changes nothing.
//!
//! From the outside in: SQLite's own pages, the tables' shape, the positions as a start checks them,
//! each log entry, the rules that rows obey among each other, and last the canonical digest.

use protobuf::Message as _;
use raft::eraftpb::ConfState;
use rusqlite::Connection;
use rusqlite::types::Type;
use sha2::{Digest as _, Sha256};

use super::copy::files_of;
use super::open::OpenError;
use super::schema;
use super::start::{StartError, State, read_state};
use super::store::{Store, StoreError};
use crate::chat::command::{Batch, Command};
use crate::chat_db::rows::number;
use crate::chat_db::{entries, walk};
use crate::ids::{At, FileId, LogIndex};

/// Damages that SQLite tells before it stops looking.
const DAMAGES_TOLD_MAX: usize = 5;
/// Tables that only copies have.
const OF_COPIES: [&str; 2] = ["table copy", "table file_parts"];
/// Bytes of the log that are read at a time.
const LOG_BYTES: u64 = 1 << 20;

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub applied: LogIndex,
    pub at: At,
    /// The log's last entry.
    pub last: LogIndex,
    /// The same on every node that is equally far.
    pub digest: [u8; 32],
    /// … and of who is in the cluster, which the digest says nothing about.
    pub members: [u8; 8],
    /// The format of the file.
    pub format: i32,
    /// `founded`, or why this node is part of its chat no more.
    pub foundation: String,
    /// The files that messages hold.
    pub files: Vec<FileId>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailed {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{file} is damaged: {}: keep a copy of data_dir, then empty it, and the node rejoins as a new replica", .found.join("; "))]
    Damaged { file: String, found: Vec<String> },
}

impl From<StoreError> for CheckFailed {
    fn from(error: StoreError) -> Self {
        Self::Start(StartError::Store(error))
    }
}

impl Store {
    /// Checks the whole file, opened with [`Store::open_to_look`].
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<Whole, CheckFailed> {
        self.none_of(integrity)?;
        let format: i32 = self.sql(|conn| conn.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        self.none_of(|conn| foreign_shapes(conn, format))?;
        let state = self.sql(read_state)?;
        if matches!(state.foundation.as_str(), "empty" | "proposed") {
            return Err(StartError::NotFounded.into());
        }
        let last = self.examine(&state)?.last;
        self.none_of(|conn| bad_entries(conn, format, &state, last))?;
        self.none_of(|conn| broken_rules(conn, state.at))?;
        if format > 1 {
            self.none_of(|conn| walk::difference(conn).map(|found| found.into_iter().collect()))?;
        }
        let digest = self.digest()?;
        let State { applied, at, foundation, .. } = state;
        let files = self.sql(files_of)?;
        let members = self.sql(digest_of_members)?;
        Ok(Whole { applied, at, last, digest, members, format, foundation, files })
    }

    fn none_of(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<Vec<String>>,
    ) -> Result<(), CheckFailed> {
        let found = match look(self.conn()) {
            Ok(found) => found,
            // A page that cannot be read as what it should be.
            Err(error) => vec![error.to_string()],
        };
        match found.is_empty() {
            true => Ok(()),
            false => Err(CheckFailed::Damaged { file: self.path.display().to_string(), found }),
        }
    }
}

/// Of rows and configuration, in the shape of any format. A new replica has none before it has applied anything.
fn digest_of_members(conn: &Connection) -> rusqlite::Result<[u8; 8]> {
    let mut hash = Sha256::new();
    let mut statement = conn.prepare("SELECT * FROM nodes ORDER BY name")?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            hash.update(format!("{:?}", row.get_ref(column)?));
        }
    }
    let conf: Vec<u8> = conn.query_row("SELECT conf_state FROM raft_state", [], |row| row.get(0))?;
    let conf = ConfState::parse_from_bytes(&conf)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, error.into()))?;
    let ConfState { voters, learners, voters_outgoing, learners_next, .. } = conf;
    for mut ids in [voters, learners, voters_outgoing, learners_next] {
        ids.sort_unstable();
        hash.update(format!("{ids:?}"));
    }
    let hash = hash.finalize();
    Ok(std::array::from_fn(|place| hash[place]))
}

/// What SQLite itself finds: pages, indexes, constraints.
pub(super) fn integrity(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({DAMAGES_TOLD_MAX})"))?;
    let mut found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    found.retain(|line| line != "ok");
    Ok(found)
}

/// Tables and indexes that are not as this program makes them.
pub(super) fn foreign_shapes(conn: &Connection, format: i32) -> rusqlite::Result<Vec<String>> {
    let expected = schema::shape_of_format(format)?;
    let mut found = schema::shape(conn)?;
    found.retain(|name, _| !OF_COPIES.contains(&name.as_str()));
    let missing = expected.iter().filter(|(name, _)| !found.contains_key(*name));
    let mut wrong: Vec<String> = missing.map(|(name, _)| format!("{name} is missing")).collect();
    for (name, sql) in &found {
        match expected.get(name) {
            None => wrong.push(format!("{name} is not one of the chat's own")),
            Some(made) if made != sql => wrong.push(format!("{name} has a shape that no version gave it")),
            Some(_) => {}
        }
    }
    Ok(wrong)
}

/// The first log entry that cannot be read.
fn bad_entries(
    conn: &Connection,
    format: i32,
    state: &State,
    last: LogIndex,
) -> rusqlite::Result<Vec<String>> {
    let mut next = state.cut.0.next();
    while next <= last {
        let page = match entries::read_of_format(conn, format, next, last.next(), LOG_BYTES) {
            Ok(page) => page,
            Err(error) => return Ok(vec![format!("a log entry from {next} on cannot be read: {error}")]),
        };
        for entry in &page {
            if entry.get_entry_type() == raft::eraftpb::EntryType::EntryNormal
                && !entry.data.is_empty()
                && let Err(error) = readable(&entry.data)
            {
                return Ok(vec![format!("log entry {} cannot be read: {error}", entry.index)]);
            }
            next = LogIndex(entry.index + 1);
        }
        if page.is_empty() {
            return Ok(vec![format!("log entry {next} is missing")]);
        }
    }
    Ok(Vec::new())
}

fn readable(data: &[u8]) -> Result<(), crate::chat::command::FormatError> {
    for item in Batch::decode(data)?.items {
        Command::decode(&item.command)?;
    }
    Ok(())
}

/// Rows that contradict each other or the applied position.
pub(super) fn broken_rules(conn: &Connection, at: At) -> rusqlite::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for table in schema::replicated(conn)? {
        let newest: u64 =
            conn.query_row(&format!("SELECT coalesce(max(at), 0) FROM {table}"), [], |row| number(row, 0))?;
        if newest > at.0 {
            wrong.push(format!("{table} has a row of at {newest}, but the rows are as of {at}"));
        }
    }
    let mut holes = conn.prepare(
        "SELECT rooms.room, rooms.last_seq, count(seq), coalesce(min(seq), 1), coalesce(max(seq), 0)
         FROM rooms LEFT JOIN messages ON messages.room = rooms.room GROUP BY rooms.room
         HAVING count(seq) <> coalesce(max(seq), 0) OR coalesce(min(seq), 1) <> 1
             OR last_seq <> coalesce(max(seq), 0)
         LIMIT 5",
    )?;
    let mut rows = holes.query([])?;
    while let Some(row) = rows.next()? {
        let [room, last_seq, count, least, most]: [i64; 5] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        wrong.push(format!(
            "room {room} holds {count} messages from seq {least} to {most}, and says that its last is {last_seq}"
        ));
    }
    let strays: i64 = conn.query_row(
        "SELECT count(*) FROM messages WHERE room NOT IN (SELECT room FROM rooms)",
        [],
        |row| row.get(0),
    )?;
    if strays > 0 {
        wrong.push(format!("{strays} messages are of no room"));
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::{TestDir, append, batch, committed, entry, send, setup, started};

    /// A stopped node with a few messages, the last of them in the log only.
    fn stopped(dir: &TestDir) {
        let (mut store, _) = started(dir);
        let first = batch(1, &setup(&["ann", "bob"], 2));
        let second =
            batch(2, &[send("ann", 1, "1", "one"), send("bob", 1, "2", "two"), send("ann", 2, "3", "x")]);
        let third = batch(3, &[send("ann", 1, "4", "three")]);
        let entries = vec![entry(2, 1, &first), entry(3, 1, &second), entry(4, 1, &third)];
        store.append(&append(entries, Some((1, 1, 4)))).unwrap();
        store.apply(&[committed(2, first), committed(3, second)], || false).unwrap();
    }

    fn said(dir: &TestDir) -> String {
        match Store::open_to_look(&dir.data(), "node1")
            .map_err(CheckFailed::from)
            .and_then(|store| store.check())
        {
            Ok(whole) => format!("{} {} {}", whole.applied, whole.at, whole.last),
            Err(error) => error.to_string(),
        }
    }

    fn spoil(dir: &TestDir, sql: &str) {
        let store = Store::open(&dir.data(), "node1").unwrap();
        store.conn().set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
        store.conn().execute_batch(sql).unwrap();
    }

    #[test]
    fn a_whole_file_is_told_and_not_changed() {
        let dir = TestDir::new();
        stopped(&dir);
        let bytes = || ["chat.db", "chat.db-wal"].map(|file| std::fs::read(dir.data().join(file)).unwrap());
        let before = bytes();
        assert_eq!(said(&dir), "3 16 4");
        assert_eq!(bytes(), before);
        let digest = Store::open(&dir.data(), "node1").unwrap().digest().unwrap();
        assert_eq!(Store::open_to_look(&dir.data(), "node1").unwrap().check().unwrap().digest, digest);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (sql, words) in [
            ("DELETE FROM messages WHERE seq = 1 AND room = 1", "room 1 holds 1 messages from seq 2 to 2"),
            ("UPDATE rooms SET last_seq = 9 WHERE room = 2", "its last is 9"),
            ("UPDATE messages SET at = 99 WHERE seq = 2", "messages has a row of at 99"),
            ("DELETE FROM raft_log WHERE log_index = 3", "log entry 3 is missing"),
            ("UPDATE messages SET text = 'won' WHERE seq = 1 AND room = 1", "its rows come to"),
            ("UPDATE raft_log SET data = x'c1' WHERE log_index = 4", "its checksum is wrong"),
            (
                "UPDATE raft_log SET data = x'c1', checksum = NULL WHERE log_index = 4",
                "log entry 4 cannot be read",
            ),
            ("UPDATE raft_log SET kind = 77 WHERE log_index = 4", "from 2 on cannot be read"),
            ("UPDATE raft_state SET applied_index = 9", "only 4 is committed"),
            ("CREATE TABLE birds (name TEXT)", "table birds is not one of the chat's own"),
            ("DROP INDEX messages_by_place", "index messages_by_place is missing"),
            (
                "ALTER TABLE raft_log ADD COLUMN more TEXT",
                "table raft_log has a shape that no version gave it",
            ),
            ("UPDATE raft_state SET foundation = 'empty'", "no chat was founded"),
        ] {
            let dir = TestDir::new();
            stopped(&dir);
            spoil(&dir, sql);
            assert!(said(&dir).contains(words), "{sql}: {}", said(&dir));
        }
    }

    #[test]
    fn nothing_there_and_a_node_that_runs() {
        let dir = TestDir::new();
        assert!(said(&dir).contains("there is no chat at"), "{}", said(&dir));
        assert!(!dir.data().exists());
        let (_runs, _) = started(&dir);
        assert!(said(&dir).contains("in use by another process"), "{}", said(&dir));
    }
}
