//! Copies the WAL back into the file, beside the writer.
//!
//! Most of a checkpoint is copying pages and syncing the file. On the writer's thread every append
//! behind it would wait for that; here it goes on beside them, and the writer only ends it with what
//! has come in meanwhile ([`Store::write_back`](super::Store::write_back)).

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::chat_db::damage::is_damage;

/// Why there is no thread for this.
#[derive(Debug, thiserror::Error)]
pub enum NoWriteBack {
    #[error("cannot write the WAL back: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("cannot write the WAL back: {0}")]
    Io(#[from] io::Error),
}

/// A thread that copies when it is told to.
pub struct WriteBack {
    ask: SyncSender<()>,
    copying: Arc<AtomicBool>,
    failed: Failure,
}

/// Why the disk cannot be trusted any more, until the writer has heard of it.
type Failure = Arc<Mutex<Option<String>>>;

impl WriteBack {
    /// `file` is open for writing in a store.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not be started.
    pub fn start(file: &Path) -> Result<Self, NoWriteBack> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")?;
        // Beside SQLite's own: a checkpoint that the writer overtakes syncs nothing by itself. Closing
        // this drops the process's locks on the file, so it is closed last, with the thread.
        let to_sync = File::open(file)?;
        let (ask, asked) = sync_channel(1);
        let copying = Arc::new(AtomicBool::new(false));
        let failed = Failure::default();
        let (done, failure) = (Arc::clone(&copying), Arc::clone(&failed));
        thread::Builder::new().name("write-back".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                match copy(&conn, &to_sync) {
                    Ok(()) => {}
                    // A sync that failed once says nothing when it is tried again: the writer must hear of it.
                    Err(error) if error.is_damage() => *lock(&failure) = Some(error.to_string()),
                    // The writer meets it too, and knows what to do about it.
                    Err(error) => tracing::warn!(%error, "the WAL is not written back"),
                }
                done.store(false, Ordering::Release);
            }
        })?;
        Ok(Self { ask, copying, failed })
    }

    /// Begins to copy what the WAL holds now.
    pub fn begin(&self) {
        self.copying.store(true, Ordering::Release);
        match self.ask.try_send(()) {
            // Full: it has been asked and has not yet begun.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => self.copying.store(false, Ordering::Release),
        }
    }

    /// Why copying failed for good, if it did. The file is not to be trusted then.
    pub fn take_failure(&self) -> Option<String> {
        lock(&self.failed).take()
    }

    /// What was begun is done.
    pub fn is_done(&self) -> bool {
        !self.copying.load(Ordering::Acquire)
    }
}

impl NoWriteBack {
    fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_damage(error),
            Self::Io(_) => true,
        }
    }
}

fn lock(failure: &Failure) -> MutexGuard<'_, Option<String>> {
    // Nothing can panic while it is held.
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}

fn copy(conn: &Connection, to_sync: &File) -> Result<(), NoWriteBack> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    to_sync.sync_data()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread::yield_now;

    use super::*;
    use crate::storage::Store;
    use crate::storage::testing::{TestDir, append, entry, started};

    #[test]
    fn the_wal_is_copied_beside_the_writer_and_begun_anew() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let write_back = WriteBack::start(store.path()).unwrap();
        let mut begun = 0;
        for index in 2..=200 {
            store.append(&append(vec![entry(index, 1, &[7; 2000])], None)).unwrap();
            if index % 50 == 0 {
                let frames = store.wal().unwrap().frames;
                write_back.begin();
                store.append(&append(vec![], Some((1, 1, 1)))).unwrap();
                while !write_back.is_done() {
                    yield_now();
                }
                assert!(store.wal().unwrap().written_back >= frames);
                store.write_back().unwrap();
                store.append(&append(vec![], None)).unwrap();
                assert!(store.wal().unwrap().frames < 5, "it began anew");
                begun += 1;
            }
        }
        assert_eq!(begun, 4);
        drop(store);
        let opened = Store::open(&dir.data(), "node1").unwrap().start().unwrap();
        assert_eq!(opened.unapplied.len(), 199);
    }

    #[test]
    fn readers_put_off_the_new_beginning_and_nothing_else() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let reader = Connection::open(store.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM raft_log").unwrap();
        store.append(&append(vec![entry(2, 1, b"two")], None)).unwrap();
        let before = store.wal().unwrap();
        store.write_back().unwrap();
        store.append(&append(vec![entry(3, 1, b"three")], None)).unwrap();
        assert!(store.wal().unwrap().frames > before.frames);
        reader.execute_batch("COMMIT").unwrap();
        store.write_back().unwrap();
        store.append(&append(vec![entry(4, 1, b"four")], None)).unwrap();
        assert!(store.wal().unwrap().frames < before.frames);
    }
}
