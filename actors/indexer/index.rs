//! The pure core of search: `search.db`, made from the messages of `chat.db`. No clock, thread or dice.
//!
//! One row of an FTS5 table without contents for each message, under the `at` of the message: so newest
//! first is the order of rows, and nothing has to be sorted. Before its words a row has a mark of its room
//! and one of its author, so that who is in few rooms walks through the hits of those rooms only. The
//! words are cut here (`words::cut`); SQLite parts them at blanks.
//!
//! The index follows by `at`, as everything does: a message that changes comes again with a higher one, and
//! its old row goes. All that is derived: a file that is missing, damaged, of another layout or chat, or
//! ahead of `chat.db` is made anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prometheus::IntCounter;
use rusqlite::{Connection, OptionalExtension, params};

use crate::chat::objects::File;
use crate::chat_db::pragma;
use crate::chat_db::rows::{self, int};
use crate::ids::{At, RoomId};
use crate::words;

/// The file beside `chat.db`.
pub const FILE: &str = "search.db";

/// What the index holds of a text, and how: another number, and it is made anew.
const LAYOUT: i32 = 1;
/// Kibibytes of pages kept in memory.
const CACHE_KIB: i64 = 16 * 1024;
/// Pages in the WAL before it is copied back, with the only two fsyncs there are.
const CHECKPOINT_PAGES: i64 = 8_000;
const STATEMENTS_CACHED: usize = 32;

const TABLES: &str = "
CREATE TABLE state (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    cluster TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    at      INTEGER NOT NULL    -- everything up to here is in the index
) STRICT;
-- Messages that changed after they were sent: under which at they are in the index.
CREATE TABLE moved (
    sent_at INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT;
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2 3');
";

/// What went wrong, and with which of the two files.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("cannot read chat.db: {0}")]
    Chat(rusqlite::Error),
    #[error("cannot use search.db: {0}")]
    Search(rusqlite::Error),
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// The index; the one connection to it.
pub struct Index {
    pub(super) conn: Connection,
    at: At,
}

/// Where `chat.db` stands, as of one read transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub cluster: String,
    pub epoch: String,
    pub at: At,
}

/// A message to be indexed.
struct Row {
    at: At,
    room: RoomId,
    author: String,
    text: String,
    deleted: bool,
    sent_at: At,
    files: Vec<File>,
}

impl Standing {
    /// # Errors
    /// What SQLite says.
    pub fn of(chat: &Connection) -> rusqlite::Result<Self> {
        chat.prepare_cached("SELECT coalesce(cluster, ''), coalesce(epoch, ''), applied_at FROM raft_state")?
            .query_row([], |row| Ok(Self { cluster: row.get(0)?, epoch: row.get(1)?, at: rows::at(row, 2)? }))
    }
}

impl Index {
    /// Opens the index in a directory, or makes it anew when it is not that of this chat; then says why.
    /// `spoiled`: it is not to be opened any more, for this reason.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(
        dir: &Path,
        chat: &Standing,
        spoiled: Option<String>,
    ) -> Result<(Self, Option<String>), IndexError> {
        let path = dir.join(FILE);
        match spoiled.map_or_else(|| Self::open_there(&path, chat), Err) {
            Ok(index) => Ok((index, None)),
            Err(why) => {
                remove(&path)?;
                Ok((Self::make(&path, chat).map_err(IndexError::Search)?, Some(why)))
            }
        }
    }

    /// Everything up to here is in it.
    pub fn at(&self) -> At {
        self.at
    }

    /// Takes in what changed behind it, the oldest first, at most so many messages. `chat` is in a read
    /// transaction. Says whether nothing is left.
    ///
    /// # Errors
    /// See [`IndexError`]; then nothing of it stays.
    pub fn follow(
        &mut self,
        chat: &Connection,
        messages_max: usize,
        counted: &IntCounter,
    ) -> Result<bool, IndexError> {
        let present = Standing::of(chat).map_err(IndexError::Chat)?.at;
        if present <= self.at {
            return Ok(true);
        }
        let changed = self.changed(chat, messages_max).map_err(IndexError::Chat)?;
        let whole = changed.len() < messages_max;
        let at = if whole { present } else { changed.last().map_or(present, |row| row.at) };
        self.write(&changed, at).map_err(IndexError::Search)?;
        self.at = at;
        counted.inc_by(changed.len() as u64);
        Ok(whole)
    }

    fn changed(&self, chat: &Connection, messages_max: usize) -> rusqlite::Result<Vec<Row>> {
        let sql = "SELECT at, room, author, text, deleted, sent_at, files FROM messages WHERE at > ?1
                   ORDER BY at LIMIT ?2";
        let limit = int(messages_max as u64);
        chat.prepare_cached(sql)?
            .query_map([int(self.at.0), limit], |row| {
                Ok(Row {
                    at: rows::at(row, 0)?,
                    room: RoomId(rows::number(row, 1)?),
                    author: row.get(2)?,
                    text: row.get(3)?,
                    deleted: row.get(4)?,
                    sent_at: rows::at(row, 5)?,
                    files: rows::from_json(row, 6)?,
                })
            })?
            .collect()
    }

    fn write(&mut self, changed: &[Row], at: At) -> rusqlite::Result<()> {
        let transaction = self.conn.transaction()?;
        let mut words = String::new();
        for row in changed {
            if row.at != row.sent_at {
                forget(&transaction, row)?;
            }
            if !row.deleted {
                words.clear();
                row.words(&mut words);
                transaction
                    .prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?
                    .execute(params![int(row.at.0), words])?;
            }
        }
        transaction.prepare_cached("UPDATE state SET at = ?1")?.execute([int(at.0)])?;
        transaction.commit()
    }

    /// # Errors
    /// Why the file is of no use here, in words.
    fn open_there(path: &Path, chat: &Standing) -> Result<Self, String> {
        if !path.exists() {
            return Err("there is none yet".to_owned());
        }
        let look = || {
            let conn = connect(path)?;
            let layout: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if layout != LAYOUT {
                return Ok(Err("it is of another version".to_owned()));
            }
            let found = conn.query_row("SELECT cluster, epoch, at FROM state", [], |row| {
                Ok(Standing { cluster: row.get(0)?, epoch: row.get(1)?, at: rows::at(row, 2)? })
            })?;
            if (&found.cluster, &found.epoch) != (&chat.cluster, &chat.epoch) {
                return Ok(Err("it is of another chat".to_owned()));
            }
            if found.at > chat.at {
                return Ok(Err("it is ahead of chat.db".to_owned()));
            }
            // Reads the structure of the words' table.
            conn.query_row("SELECT count(*) FROM words WHERE words MATCH 'a' AND rowid < 0", [], |_| Ok(()))?;
            Ok(Ok(Self { conn, at: found.at }))
        };
        look().unwrap_or_else(|error: rusqlite::Error| Err(format!("it cannot be read: {error}")))
    }

    fn make(path: &Path, chat: &Standing) -> rusqlite::Result<Self> {
        let mut conn = connect(path)?;
        let transaction = conn.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.execute(
            "INSERT INTO state (one, cluster, epoch, at) VALUES (1, ?1, ?2, 0)",
            [&chat.cluster, &chat.epoch],
        )?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
        transaction.commit()?;
        Ok(Self { conn, at: At(0) })
    }
}

/// Takes the row out that a message had before it changed, and notes where it has one now.
fn forget(index: &Connection, row: &Row) -> rusqlite::Result<()> {
    let sent_at = int(row.sent_at.0);
    let before: Option<i64> = index
        .prepare_cached("SELECT at FROM moved WHERE sent_at = ?1")?
        .query_row([sent_at], |row| row.get(0))
        .optional()?;
    let before = before.unwrap_or(sent_at);
    index.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([before])?;
    if row.deleted {
        index.prepare_cached("DELETE FROM moved WHERE sent_at = ?1")?.execute([sent_at])?;
    } else {
        index
            .prepare_cached("INSERT OR REPLACE INTO moved (sent_at, at) VALUES (?1, ?2)")?
            .execute([sent_at, int(row.at.0)])?;
    }
    Ok(())
}

impl Row {
    /// What the index holds of it: marks, words, and behind a mark of their own the words of its files' names.
    fn words(&self, into: &mut String) {
        into.push_str(&room_mark(self.room));
        into.push(' ');
        into.push_str(&author_mark(&self.author));
        push_words(&self.text, into);
        for file in &self.files {
            // Parts the words of one text from those of the next.
            into.push_str(" \u{e005}");
            push_words(&file.name, into);
        }
    }
}

fn push_words(text: &str, into: &mut String) {
    words::cut(text, |word| {
        into.push(' ');
        into.push_str(word.key);
    });
}

/// No word of a text begins like a mark: what begins so is parted from it there. For SQLite's `ascii` every
/// character above ASCII belongs to a word.
pub(super) fn room_mark(room: RoomId) -> String {
    format!("\u{e000}{room}")
}

/// A name holds what `ascii` would part words at.
pub(super) fn author_mark(name: &str) -> String {
    let mut mark = String::from("\u{e001}");
    for c in name.chars() {
        match c {
            '.' => mark.push('\u{e002}'),
            '_' => mark.push('\u{e003}'),
            '-' => mark.push('\u{e004}'),
            c => mark.push(c),
        }
    }
    mark
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // A commit waits for no disk: a power cut takes some of them back, and the index follows anew from there.
    for (name, value) in [
        ("journal_mode", "wal".to_owned()),
        ("synchronous", "1".to_owned()),
        ("wal_autocheckpoint", CHECKPOINT_PAGES.to_string()),
        ("cell_size_check", "1".to_owned()),
        ("cache_size", (-CACHE_KIB).to_string()),
        ("temp_store", "2".to_owned()),
    ] {
        pragma::set(&conn, name, &value)?;
    }
    Ok(conn)
}

fn remove(path: &Path) -> Result<(), IndexError> {
    for ending in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(IndexError::File { path: file.into(), source }),
        }
    }
    Ok(())
}
