//! Connections to `chat.db` that read beside the writer.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::pragma;

/// How long a connection waits for the writer while the WAL is recovered.
const BUSY_MS: i64 = 5_000;
/// More than the number of statements there are.
const STATEMENTS_CACHED: usize = 64;

/// Opens a file that a store has opened before.
///
/// # Errors
/// What SQLite says.
pub fn open(file: &Path, cache_kib: i64) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(file, flags())?;
    prepare(&conn, cache_kib)?;
    Ok(conn)
}

/// How such a connection is opened.
pub fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Makes a connection fit for reading, with so many kibibytes of pages in memory.
///
/// # Errors
/// What SQLite says, or that a setting did not take.
pub fn prepare(conn: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    for (name, value) in [
        ("query_only", 1),
        ("busy_timeout", BUSY_MS),
        ("cache_size", -cache_kib),
        ("cell_size_check", 1),
        ("trusted_schema", 0),
    ] {
        let value = value.to_string();
        let found = pragma::set(conn, name, &value)?;
        if found != value {
            let message = format!("the setting {name} did not take: it is {found}");
            return Err(rusqlite::Error::UserFunctionError(message.into()));
        }
    }
    Ok(())
}
