//! The pure core of storage: functions on the one writing connection. No clock, thread or dice.
//!
//! Two kinds of transactions. An *append* (and everything about founding and starting) commits with
//! `synchronous=FULL`: when it returns, it is on the disk. An *apply* commits with `NORMAL`: a later
//! append covers it, a power cut before that takes it back as a whole, rows, position and
//! configuration together, and it is redone from the log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::open::{self, BUSY_MS, OpenError};
use super::set_aside::suspect;
use super::tables::SqlTables;
use crate::chat::command::FormatError;
use crate::chat::digest::RowsSum;
use crate::chat_db::damage::{is_damage, is_full, wrong_checksum};
use crate::chat_db::pragma;
use crate::ids::{At, Boot, LogIndex, RaftId};

/// Frames in the WAL from which on it is written back and begun anew.
const WAL_FRAMES_MAX: i64 = 4_000;
/// Transactions between two looks at the WAL's length.
const JOBS_BETWEEN_LOOKS: u32 = 32;
/// How long beginning the WAL anew may wait for readers; they are short, or it is tried again later.
const RESTART_BUSY_MS: u64 = 20;

/// What went wrong with a job; the caller does something else for each.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing of the job was done. It is tried again until there is room.
    #[error("no room on the disk of {file}: {source}")]
    Full { file: PathBuf, source: rusqlite::Error },
    /// Reading, writing or syncing failed, or what was read is not what was written: nobody knows what
    /// the disk holds. The process ends, and the file is suspect ([`Store::suspect`]).
    #[error("{file} cannot be trusted any more: {why}")]
    Damaged { file: PathBuf, why: String },
    /// The file is in other hands, or cannot be used for another reason: the process ends.
    #[error("{file} cannot be used any more: {source}")]
    Disk { file: PathBuf, source: rusqlite::Error },
    /// A statement that cannot fail did, the same on every node: a bug.
    #[error("a statement failed that cannot fail: {0}")]
    Surprise(rusqlite::Error),
    /// A committed entry that this program cannot read: the process ends.
    #[error(
        "log entry {index} cannot be applied: {source}; it is not skipped, since the replicas would part: run the \
         program that wrote it, or a newer one"
    )]
    Unreadable { index: LogIndex, source: FormatError },
    /// State that was fetched is not what it was when it came: the process ends, and it is fetched anew.
    #[error("the state that was fetched cannot be installed: {0}")]
    Incoming(String),
}

impl StoreError {
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// The node's file, open for writing; holds the lock on its directory.
pub struct Store {
    pub(super) tables: SqlTables,
    pub(super) path: PathBuf,
    pub(super) node: String,
    pub(super) standing: Standing,
    synchronous: Synchronous,
    jobs_since_look: u32,
    _lock: File,
}

/// Where the file stands: what every job needs to know and would otherwise read again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub raft_id: RaftId,
    /// 0 until started.
    pub boot: Boot,
    /// Of the commands whose outcomes are told.
    pub asks_as: Boot,
    pub applied: LogIndex,
    pub at: At,
    /// What the rows come to.
    pub sum: RowsSum,
    pub cut: LogIndex,
    pub last: LogIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// On the disk when COMMIT returns.
    Full,
    /// On the disk with the next `Full`.
    Normal,
}

/// How the WAL stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wal {
    pub frames: i64,
    /// Of these, written back into the file.
    pub written_back: i64,
}

impl Store {
    /// Opens the directory of the node of that name; makes it when it is not there.
    ///
    /// # Errors
    /// Each variant of [`OpenError`] says what is wrong and what to do.
    pub fn open(data_dir: &Path, node: &str) -> Result<Self, OpenError> {
        Ok(Self::on(open::open(data_dir, node)?, node))
    }

    /// Opens the directory of a stopped node to look at its file: nothing is made or changed.
    ///
    /// # Errors
    /// Each variant of [`OpenError`] says what is wrong and what to do.
    pub fn open_to_look(data_dir: &Path, node: &str) -> Result<Self, OpenError> {
        Ok(Self::on(open::open_to_look(data_dir, node)?, node))
    }

    pub(super) fn on(open: open::OpenFile, node: &str) -> Self {
        Self {
            tables: SqlTables::new(open.conn),
            path: open.path,
            node: node.to_owned(),
            standing: Standing::default(),
            synchronous: Synchronous::Full,
            jobs_since_look: 0,
            _lock: open.lock,
        }
    }

    /// Outcomes are told of the commands that the process asks for under this boot; of the disk's own until this is said.
    pub fn asks_as(&mut self, boot: Boot) {
        self.standing.asks_as = boot;
    }

    /// How many entries may be applied before the log holds more than `entries_max` applied ones.
    pub fn room_to_apply(&self, entries_max: u64) -> u64 {
        (self.standing.cut.0 + entries_max).saturating_sub(self.standing.applied.0)
    }

    /// The last `at` that was applied.
    pub fn at(&self) -> At {
        self.standing.at
    }

    /// The entry before the log's first.
    pub fn cut(&self) -> LogIndex {
        self.standing.cut
    }

    /// The file, for readers to open.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a note that the file is not to be opened again, and why. Best effort: on a disk that fails it
    /// may fail as well, and the process ends all the same.
    pub fn suspect(&self, why: &str) {
        let data_dir = self.path.parent().unwrap_or(Path::new("."));
        if let Err(error) = suspect(data_dir, why) {
            tracing::error!(%error, "cannot note that the file is suspect: it is to be set aside by hand");
        }
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.tables.conn
    }

    /// Runs a job in one transaction. On any error nothing of it stays.
    pub(super) fn transaction<T, E: From<StoreError>>(
        &mut self,
        synchronous: Synchronous,
        job: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.switch(synchronous)?;
        self.run("BEGIN IMMEDIATE")?;
        let done = job(self).and_then(|done| {
            self.run("COMMIT")?;
            Ok(done)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    fn roll_back(&mut self) {
        // A full disk may have rolled back already.
        if !self.conn().is_autocommit()
            && let Err(error) = self.run("ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back");
        }
        self.tables.restart((self.standing.at, self.standing.sum));
    }

    /// Runs one statement without parameters, prepared once.
    pub(super) fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.sql(|conn| conn.prepare_cached(sql)?.raw_execute().map(|_| ()))
    }

    /// Runs something on the connection, and judges what fails.
    pub(super) fn sql<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        job(self.conn()).map_err(|error| self.judge(error))
    }

    /// What another thread found out about the disk.
    pub(super) fn damaged(&self, why: &str) -> Result<(), StoreError> {
        Err(StoreError::Damaged { file: self.path.clone(), why: why.to_owned() })
    }

    /// Switches between `FULL` and `NORMAL`, between transactions, and reads it back.
    fn switch(&mut self, to: Synchronous) -> Result<(), StoreError> {
        if self.synchronous == to {
            return Ok(());
        }
        let level = match to {
            Synchronous::Full => "2",
            Synchronous::Normal => "1",
        };
        let found = self.sql(|conn| pragma::set(conn, "synchronous", level))?;
        assert_eq!(found, level, "synchronous is what was asked for: else a commit may be no promise");
        self.synchronous = to;
        Ok(())
    }

    /// Sorts what SQLite says by what is to be done about it.
    pub(super) fn judge(&self, source: rusqlite::Error) -> StoreError {
        let file = self.path.clone();
        if is_damage(&source) {
            let why = wrong_checksum(&source).map_or_else(|| source.to_string(), |wrong| wrong.to_string());
            return StoreError::Damaged { file, why };
        }
        if is_surprise(&source) {
            return StoreError::Surprise(source);
        }
        if is_full(&source) { StoreError::Full { file, source } } else { StoreError::Disk { file, source } }
    }

    /// How the WAL stands.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn wal(&self) -> Result<Wal, StoreError> {
        self.checkpoint("PRAGMA wal_checkpoint(NOOP)").map(|(_, wal)| wal)
    }

    /// Whether the WAL should be written back. Looks now and then only: asked after each job.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn wal_is_long(&mut self) -> Result<bool, StoreError> {
        self.jobs_since_look += 1;
        if self.jobs_since_look < JOBS_BETWEEN_LOOKS {
            return Ok(false);
        }
        self.jobs_since_look = 0;
        Ok(self.wal()?.frames >= WAL_FRAMES_MAX)
    }

    /// Writes what is left of the WAL back into the file and begins it anew, so that it is overwritten
    /// and not extended. Between jobs. Waits for readers for a moment only: later is soon enough.
    ///
    /// # Errors
    /// What SQLite says. That readers were in the way is none.
    pub fn write_back(&mut self) -> Result<(), StoreError> {
        self.checkpoint_soon("PRAGMA wal_checkpoint(RESTART)").map(drop)
    }

    /// Gives back what a long transaction took: the WAL is written back and cut. Says whether it is; readers may be in the
    /// way, who are waited for as long as by [`write_back`](Self::write_back).
    ///
    /// # Errors
    /// What SQLite says.
    pub fn cut_wal(&mut self) -> Result<bool, StoreError> {
        self.checkpoint_soon("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Says whether no reader was in the way.
    fn checkpoint_soon(&self, sql: &'static str) -> Result<bool, StoreError> {
        let wait = |ms| self.sql(|conn| conn.busy_timeout(Duration::from_millis(ms)));
        wait(RESTART_BUSY_MS)?;
        let done = self.checkpoint(sql);
        wait(BUSY_MS.unsigned_abs())?;
        let (busy, Wal { frames, written_back }) = done?;
        if busy {
            tracing::debug!(frames, written_back, "readers keep the WAL from beginning anew");
        }
        Ok(!busy)
    }

    fn checkpoint(&self, sql: &'static str) -> Result<(bool, Wal), StoreError> {
        self.sql(|conn| {
            conn.prepare_cached(sql)?.query_row([], |row| {
                Ok((row.get::<_, i64>(0)? != 0, Wal { frames: row.get(1)?, written_back: row.get(2)? }))
            })
        })
    }
}

/// Whether a statement failed for what it says and for the rows that are there: then it fails alike
/// on every node. What the disk, the memory or another process has to do with it is not that.
pub(super) fn is_surprise(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        None | Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown
        )
    )
}
