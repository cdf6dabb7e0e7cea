//! Read-only connections to `chat.db`.

use std::path::Path;
use std::time::Duration;

use r2d2::ManageConnection;
use r2d2_sqlite::SqliteConnectionManager;

use super::view::View;
use crate::chat_db::damage::is_damage;
use crate::chat_db::read_only;
use crate::messages::reading::ReadFailed;

/// Kibibytes of pages that each connection keeps in memory.
const CACHE_KIB: i64 = 16 * 1024;
/// How long a question waits for a connection; there is one for each thread.
const WAIT: Duration = Duration::from_secs(5);

/// Connections to one file; cheap to clone.
#[derive(Clone)]
pub struct ReadPool {
    pool: r2d2::Pool<SqliteConnectionManager>,
}

impl ReadPool {
    /// Opens `connections` to a file that a store has opened before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(file: &Path, connections: u32) -> Result<Self, ReadFailed> {
        let manager = SqliteConnectionManager::file(file)
            .with_flags(read_only::flags())
            .with_init(|conn| read_only::prepare(conn, CACHE_KIB));
        // The pool would try for as long as a question may wait, and say nothing of the reason.
        let tried = manager.connect();
        drop(tried.map_err(|error| ReadFailed::of(error.to_string()))?);
        let pool = r2d2::Pool::builder()
            .max_size(connections)
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(WAIT)
            .build(manager);
        Ok(Self { pool: pool.map_err(|error| ReadFailed::of(error.to_string()))? })
    }

    /// Reads in one transaction: all as of one moment.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn read<T>(&self, read: impl FnOnce(&View<'_>) -> rusqlite::Result<T>) -> Result<T, ReadFailed> {
        let conn = self.pool.get().map_err(|error| ReadFailed::of(error.to_string()))?;
        let run = || {
            // Ends when dropped, whatever happens: an open one would keep the WAL from beginning anew.
            let transaction = conn.unchecked_transaction()?;
            read(&View::new(&transaction)?)
        };
        run().map_err(|error| ReadFailed { why: error.to_string(), damage: is_damage(&error) })
    }
}
