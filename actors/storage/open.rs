//! The directory of a node: its lock, its file, and every reason not to open it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::members::read_roll;
use super::schema::{self, APPLICATION_ID, FORMAT, PAGE_BYTES};
use super::set_aside::{keep_peers, set_aside, suspect, suspicion};
use crate::chat::command::LEVEL;
use crate::chat_db::damage::is_damage;
use crate::chat_db::pragma;

/// The file that holds the Raft log and the chat.
pub const FILE: &str = "chat.db";
/// Locked for as long as a process uses the directory.
pub(super) const LOCK: &str = "lock";

/// More than the number of statements the writer has.
const STATEMENTS_CACHED: usize = 128;
/// Kibibytes of pages that the writer keeps in memory.
const CACHE_KIB: i64 = 64 * 1024;
/// How long another program may hold the file before that is an error.
pub const BUSY_MS: i64 = 5_000;

/// Why a directory is not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{dir} is in use by another process: stop that one, or give this node a data_dir of its own")]
    Locked { dir: PathBuf },
    #[error(
        "cannot write {path}: {source}: make it a folder that this user may write to, or choose another data_dir"
    )]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}: let this user read it, or choose another data_dir")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} belongs to {found}, not to {node}: give {node} a data_dir of its own")]
    AnotherNode { path: PathBuf, found: String, node: String },
    #[error("{path} is not a chat: choose another data_dir, or move that file away")]
    NotAChat { path: PathBuf },
    #[error("there is no chat at {path}: choose the data_dir of a node that has one")]
    Nothing { path: PathBuf },
    #[error("{path} has format {found}, this program knows up to {FORMAT}: run a newer replicated-chat")]
    Newer { path: PathBuf, found: i32 },
    #[error(
        "{path} holds changes of level {found}, this program knows up to {LEVEL}: run a newer replicated-chat"
    )]
    NewerLevel { path: PathBuf, found: i64 },
    #[error("{path}: the setting {pragma} did not take: it is {found}; is this an unusual file system?")]
    Setting { path: PathBuf, pragma: &'static str, found: String },
    #[error("cannot set the suspect file in {dir} aside: {source}: this node needs another disk")]
    SetAside { dir: PathBuf, source: io::Error },
    #[error(
        "{path} is damaged: {source}: start this node again: the file is set aside then, and the chat comes \
         anew from the others"
    )]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("cannot open {path}: {source}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// An open directory: the lock and the one writing connection.
pub(super) struct OpenFile {
    pub conn: Connection,
    pub path: PathBuf,
    pub lock: File,
}

/// Opens `data_dir` for the node of that name; makes it when it is not there.
pub(super) fn open(data_dir: &Path, node: &str) -> Result<OpenFile, OpenError> {
    make_directory(data_dir)?;
    let lock = take_lock(data_dir)?;
    set_suspect_aside(data_dir, node)
        .map_err(|source| OpenError::SetAside { dir: data_dir.to_owned(), source })?;
    let path = data_dir.join(FILE);
    let conn = open_chat(&path, data_dir, node)?;
    Ok(OpenFile { conn, path, lock })
}

/// Opens the file of a stopped node to look at it. Nothing is made, migrated or changed.
pub(super) fn open_to_look(data_dir: &Path, node: &str) -> Result<OpenFile, OpenError> {
    let path = data_dir.join(FILE);
    let nothing = || OpenError::Nothing { path: path.clone() };
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(nothing()),
        Err(source) => return Err(OpenError::Unreadable { path, source }),
    }
    if is_one_byte(&path) {
        return Err(OpenError::NotAChat { path });
    }
    let lock = take_lock(data_dir)?;
    let failed = |source| explain(&path, data_dir, source);
    let conn = connect_to_look(&path).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    if format_of(&conn, &path, data_dir)? == 0 {
        return Err(nothing());
    }
    for (name, value) in [("cell_size_check", "on"), ("trusted_schema", "off")] {
        pragma::set(&conn, name, value).map_err(failed)?;
    }
    let node_found = conn.query_row("SELECT node FROM raft_state", [], |row| row.get(0)).optional();
    match node_found.map_err(failed)? {
        None => Err(nothing()),
        Some::<String>(found) if found != node => {
            Err(OpenError::AnotherNode { path, found, node: node.to_owned() })
        }
        Some(_) => Ok(OpenFile { conn, path, lock }),
    }
}

/// Alone with the file, SQLite keeps the index of the WAL in memory, so that not even chat.db-shm is written.
/// Being alone takes a file that could be written to: that it is not is said beside it. Beside another
/// program that reads, it is opened like that one's.
fn connect_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let open = |flags| {
        let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok::<_, rusqlite::Error>(conn)
    };
    let alone = || {
        let conn = open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.busy_timeout(Duration::ZERO)?;
        for (name, value) in [("query_only", "on"), ("locking_mode", "exclusive")] {
            pragma::set(&conn, name, value)?;
        }
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(conn)
    };
    match alone() {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::DatabaseBusy => {
            let conn = open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            pragma::set(&conn, "query_only", "on")?;
            Ok(conn)
        }
        done => done,
    }
}

/// Takes a directory for a file that is to be made in it; makes the directory when it is not there.
pub(super) fn take_directory(dir: &Path) -> Result<File, OpenError> {
    make_directory(dir)?;
    take_lock(dir)
}

/// Makes the directory of a node when it is not there, for its owner alone.
pub(super) fn make_directory(dir: &Path) -> Result<(), OpenError> {
    let unwritable = |source| OpenError::Unwritable { path: dir.to_owned(), source };
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(unwritable)?;
    // A directory that a power cut forgets takes the file in it along. SQLite syncs only its own.
    let full = dir.canonicalize().map_err(unwritable)?;
    for ancestor in full.ancestors().skip(1).take(2) {
        File::open(ancestor).and_then(|parent| parent.sync_all()).map_err(unwritable)?;
    }
    Ok(())
}

/// A new file is for its owner alone, whatever the directory allows: it holds all messages, and what
/// passwords are checked against. SQLite gives what it makes beside it the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
        Ok(lock) => lock,
        Err(source) => return Err(OpenError::Unwritable { path, source }),
    };
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Unwritable { path, source }),
    }
}

/// Whether a process uses that directory now.
pub fn is_in_use(dir: &Path) -> bool {
    let lock = File::options().write(true).open(dir.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// A file that an earlier run found untrustworthy is not opened: the node begins with an empty one.
fn set_suspect_aside(dir: &Path, node: &str) -> io::Result<()> {
    if let Some(reason) = suspicion(dir)? {
        let peers = others_in(&dir.join(FILE), node);
        if !peers.is_empty() {
            keep_peers(dir, &peers)?;
        }
        let aside = set_aside(dir, &reason)?;
        tracing::warn!(aside = %aside.display(), reason, "the file was suspect: set aside, beginning with an empty one");
    }
    Ok(())
}

/// Where the other nodes are, as far as a file says it of which nothing is certain: it is only where to ask.
fn others_in(file: &Path, node: &str) -> Vec<String> {
    let read = || {
        let conn = connect_to_look(file)?;
        let roll = read_roll(&conn)?;
        Ok::<_, rusqlite::Error>(
            roll.here().into_iter().filter(|of| of.name != node).map(|of| of.peer).collect(),
        )
    };
    read().unwrap_or_default()
}

/// SQLite takes a file of one byte for an empty one, and writes over it.
fn is_one_byte(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == 1)
}

fn open_chat(path: &Path, dir: &Path, node: &str) -> Result<Connection, OpenError> {
    let failed = |source| explain(path, dir, source);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(path).map_err(|source| OpenError::Unwritable { path: path.to_owned(), source })?;
    if is_one_byte(path) {
        return Err(OpenError::NotAChat { path: path.to_owned() });
    }
    let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS.unsigned_abs())).map_err(failed)?;
    // Before anything is written: what is it?
    let found = format_of(&conn, path, dir)?;
    set_pragmas(&conn, path, dir)?;
    schema::migrate(&mut conn, found).map_err(failed)?;
    forbid_clock_and_dice(&conn).map_err(failed)?;
    belongs_to(&conn, path, dir, node)?;
    level_is_known(&conn, path, dir)?;
    Ok(conn)
}

/// The format of the file; 0 for a new one.
fn format_of(conn: &Connection, path: &Path, dir: &Path) -> Result<i32, OpenError> {
    let failed = |source| explain(path, dir, source);
    let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(failed);
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application == APPLICATION_ID && format > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found: format });
    }
    if application == APPLICATION_ID && format > 0 {
        return Ok(format);
    }
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application == 0 && format == 0 && tables == 0 {
        return Ok(0);
    }
    Err(OpenError::NotAChat { path: path.to_owned() })
}

fn set_pragmas(conn: &Connection, path: &Path, dir: &Path) -> Result<(), OpenError> {
    let failed = |source| explain(path, dir, source);
    // The WAL stays where it is when the last connection closes: overwriting it syncs in about half
    // the time of extending a new one.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    let cache = -CACHE_KIB;
    let pragmas: [(&'static str, &str, String); 11] = [
        ("page_size", "4096", PAGE_BYTES.to_string()),
        ("journal_mode", "wal", "wal".to_owned()),
        ("synchronous", "full", "2".to_owned()),
        ("wal_autocheckpoint", "0", "0".to_owned()),
        ("journal_size_limit", "-1", "-1".to_owned()),
        ("cell_size_check", "on", "1".to_owned()),
        ("foreign_keys", "off", "0".to_owned()),
        ("trusted_schema", "off", "0".to_owned()),
        ("temp_store", "memory", "2".to_owned()),
        ("cache_size", &cache.to_string(), cache.to_string()),
        ("busy_timeout", &BUSY_MS.to_string(), BUSY_MS.to_string()),
    ];
    for (name, value, expected) in pragmas {
        let found = pragma::set(conn, name, value).map_err(failed)?;
        if found != expected {
            return Err(OpenError::Setting { path: path.to_owned(), pragma: name, found });
        }
    }
    Ok(())
}

/// On the writer the same statement gives the same rows on every node: what would ask a clock or
/// throw dice fails, and says so.
fn forbid_clock_and_dice(conn: &Connection) -> rusqlite::Result<()> {
    const FORBIDDEN: [(&str, i32); 13] = [
        ("random", 0),
        ("randomblob", 1),
        ("date", -1),
        ("time", -1),
        ("datetime", -1),
        ("julianday", -1),
        ("unixepoch", -1),
        ("strftime", -1),
        ("timediff", 2),
        ("current_time", 0),
        ("current_date", 0),
        ("current_timestamp", 0),
        ("sqlite_source_id", 0),
    ];
    for (name, arguments) in FORBIDDEN {
        conn.create_scalar_function(name, arguments, FunctionFlags::SQLITE_UTF8, move |_| {
            let message = format!("{name}() differs from node to node: the value belongs into the command");
            Err::<i64, _>(rusqlite::Error::UserFunctionError(message.into()))
        })?;
    }
    Ok(())
}

/// Writes the node's name into a new file, and compares it in another.
fn belongs_to(conn: &Connection, path: &Path, dir: &Path, node: &str) -> Result<(), OpenError> {
    let failed = |source| explain(path, dir, source);
    let found: Option<String> =
        conn.query_row("SELECT node FROM raft_state", [], |row| row.get(0)).optional().map_err(failed)?;
    match found {
        None => conn
            .execute("INSERT INTO raft_state (one, node) VALUES (1, ?1)", [node])
            .map(|_| ())
            .map_err(failed),
        Some(found) if found == node => Ok(()),
        Some(found) => Err(OpenError::AnotherNode { path: path.to_owned(), found, node: node.to_owned() }),
    }
}

/// A newer program has applied what this one could not read.
fn level_is_known(conn: &Connection, path: &Path, dir: &Path) -> Result<(), OpenError> {
    let found: i64 = conn
        .query_row("SELECT level FROM raft_state", [], |row| row.get(0))
        .map_err(|source| explain(path, dir, source))?;
    match found <= i64::from(LEVEL) {
        true => Ok(()),
        false => Err(OpenError::NewerLevel { path: path.to_owned(), found }),
    }
}

/// A node's file always has its WAL beside it: it is not somebody's diary, whatever its head says.
fn has_wal(dir: &Path) -> bool {
    fs::metadata(dir.join("chat.db-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// Turns what SQLite says on opening into what the operator can do.
fn explain(path: &Path, dir: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) if !has_wal(dir) => OpenError::NotAChat { path },
        _ if is_damage(&source) => {
            // Best effort: on a disk that fails the note may fail as well.
            match suspect(dir, &source.to_string()) {
                Ok(()) => OpenError::Damaged { path, source },
                Err(_) => OpenError::Sqlite { path, source },
            }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Unwritable { path, source: io::Error::new(io::ErrorKind::PermissionDenied, source) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::Locked { dir: dir.to_owned() }
        }
        _ => OpenError::Sqlite { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Store;
    use crate::storage::testing::TestDir;

    fn refusal(dir: &Path, node: &str) -> OpenError {
        Store::open(dir, node).err().expect("it is refused")
    }

    #[test]
    fn a_directory_is_made_and_belongs_to_one_node_and_one_process() {
        let dir = TestDir::new();
        let data = dir.path().join("a/b");
        let store = Store::open(&data, "node1").unwrap();
        assert!(matches!(refusal(&data, "node1"), OpenError::Locked { .. }));
        drop(store);
        drop(Store::open(&data, "node1").unwrap());
        let refused = refusal(&data, "node2");
        assert!(refused.to_string().contains("belongs to node1, not to node2"), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TestDir::new();
        // As somebody else made it: readable by everybody.
        fs::create_dir(dir.data()).unwrap();
        fs::set_permissions(dir.data(), fs::Permissions::from_mode(0o755)).unwrap();
        let _store = Store::open(&dir.data(), "node1").unwrap();
        for name in ["chat.db", "chat.db-wal", "chat.db-shm"] {
            let mode = fs::metadata(dir.data().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_chat_is_told_and_left_alone() {
        let dir = TestDir::new();
        let file = dir.path().join(FILE);
        let other = Connection::open(&file).unwrap();
        other.execute_batch("CREATE TABLE birds (name TEXT)").unwrap();
        drop(other);
        let before = fs::read(&file).unwrap();
        assert!(matches!(refusal(dir.path(), "node1"), OpenError::NotAChat { .. }));
        assert_eq!(fs::read(&file).unwrap(), before);

        for text in ["Dear diary, ".repeat(1000).as_str(), "De", "D"] {
            fs::write(&file, text).unwrap();
            assert!(matches!(refusal(dir.path(), "node1"), OpenError::NotAChat { .. }), "{text}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert!(matches!(open_to_look(dir.path(), "node1"), Err(OpenError::NotAChat { .. })));
    }

    #[test]
    fn a_chat_whose_head_went_bad_is_suspect_and_set_aside_at_the_next_start() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node1").unwrap();
        assert!(store.cut_wal().unwrap());
        store.change_for_test("UPDATE raft_state SET boot = ?1", crate::ids::At(7)).unwrap();
        drop(store);
        let file = dir.data().join(FILE);
        let mut bytes = fs::read(&file).unwrap();
        bytes[..16].fill(0xa5);
        fs::write(&file, bytes).unwrap();
        let refused = refusal(&dir.data(), "node1");
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        drop(Store::open(&dir.data(), "node1").unwrap());
        assert!(dir.data().join("set-aside-1/chat.db").is_file());
    }

    #[test]
    fn a_look_changes_no_byte_of_the_directory() {
        let dir = TestDir::new();
        let mut store = Store::open(&dir.data(), "node1").unwrap();
        let bytes = || {
            let files = fs::read_dir(dir.data()).unwrap().map(|entry| entry.unwrap().path());
            files
                .map(|file| (file.clone(), fs::read(file).unwrap()))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        store.change_for_test("UPDATE raft_state SET boot = ?1", crate::ids::At(7)).unwrap();
        drop(store);
        // As after a kill: what is newest is in the WAL, and its index is of no use.
        fs::write(dir.data().join("chat.db-shm"), vec![0xa5; 32 * 1024]).unwrap();
        let before = bytes();
        let looked = open_to_look(&dir.data(), "node1").unwrap();
        let boot: i64 = looked.conn.query_row("SELECT boot FROM raft_state", [], |row| row.get(0)).unwrap();
        assert_eq!(boot, 7);
        assert!(looked.conn.execute("UPDATE raft_state SET boot = 8", []).is_err());
        drop(looked);
        assert!(bytes() == before);

        // Somebody reads the file with another program.
        let reader = Connection::open(dir.data().join(FILE)).unwrap();
        reader.query_row("SELECT boot FROM raft_state", [], |_| Ok(())).unwrap();
        drop(open_to_look(&dir.data(), "node1").unwrap());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = TestDir::new();
        let store = Store::open(&dir.data(), "node1").unwrap();
        store.conn().pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop(store);
        let refused = refusal(&dir.data(), "node1").to_string();
        assert!(refused.contains("run a newer replicated-chat"), "{refused}");
    }

    #[test]
    fn changes_of_a_newer_level_are_refused() {
        let dir = TestDir::new();
        let store = Store::open(&dir.data(), "node1").unwrap();
        store.conn().execute("UPDATE raft_state SET level = ?1", [LEVEL + 1]).unwrap();
        drop(store);
        let refused = refusal(&dir.data(), "node1").to_string();
        assert!(refused.contains("changes of level") && refused.contains("run a newer"), "{refused}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let dir = TestDir::new();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = refusal(&file.join("data"), "node1");
        assert!(matches!(&refused, OpenError::Unwritable { .. }), "{refused}");
        // chat.db is a directory.
        fs::create_dir_all(dir.data().join(FILE)).unwrap();
        let refused = refusal(&dir.data(), "node1");
        assert!(matches!(&refused, OpenError::Unwritable { .. }), "{refused}");
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_not_an_empty_one() {
        let dir = TestDir::new();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for (place, is_unreadable) in [(file, true), (dir.path().join("nothing"), false)] {
            let refused = open_to_look(&place, "node1").err().unwrap();
            assert_eq!(matches!(refused, OpenError::Unreadable { .. }), is_unreadable, "{refused}");
            assert_eq!(matches!(refused, OpenError::Nothing { .. }), !is_unreadable, "{refused}");
        }
    }

    #[test]
    fn the_writer_has_neither_clock_nor_dice() {
        let dir = TestDir::new();
        let store = Store::open(&dir.data(), "node1").unwrap();
        for call in [
            "random()",
            "randomblob(8)",
            "date()",
            "time('now')",
            "datetime('now')",
            "julianday()",
            "unixepoch()",
            "strftime('%s')",
            "current_timestamp",
            "current_time",
            "current_date",
        ] {
            let failed = store.conn().query_row(&format!("SELECT {call}"), [], |_| Ok(())).unwrap_err();
            assert!(failed.to_string().contains("belongs into the command"), "{call}: {failed}");
        }
    }

    #[test]
    fn the_wal_stays_when_the_file_is_closed() {
        let dir = TestDir::new();
        drop(Store::open(&dir.data(), "node1").unwrap());
        assert!(fs::metadata(dir.data().join("chat.db-wal")).unwrap().len() > 0);
    }
}
