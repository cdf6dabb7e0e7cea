//! Copies of a chat: one SQLite file with everything replicated, sealed.
//!
//! A copy is a `chat.db` without a log, and with a table `copy` that says where it comes from and holds
//! the *seal*: the SHA-256 of the whole file with the seal itself taken as zeros. So every byte counts,
//! also those that SQLite would not look at. The table is made first: it lies in the file's second page.
//! The bytes of files lie in the table `file_parts`, a mebibyte at a time: so they are never in memory whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use sha2::{Digest, Sha256};

use super::canon::digest_of;
use super::check::{broken_rules, foreign_shapes, integrity};
use super::schema::{self, APPLICATION_ID, FORMAT, PAGE_BYTES};
use crate::chat::command::LEVEL;
use crate::chat::digest::RowsSum;
use crate::chat_db::pages::{self, Header, Page, PageError};
use crate::chat_db::rows::{Stored, at, number};
use crate::chat_db::walk;
use crate::ids::{At, FileId};

const SEAL_BYTES: usize = 32;
/// Stands where the seal will be.
const UNSEALED: &[u8; SEAL_BYTES] = b"here will be the seal of a copy.";
const CHUNK_BYTES: usize = 1 << 20;
/// Of a file, in one row.
pub const PART_BYTES: usize = 1 << 20;

/// Only copies have it, like `copy` itself.
pub(super) const FILE_PARTS: &str = "file_parts";

const TABLE: &str = "
CREATE TABLE copy (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    seal      BLOB NOT NULL,
    made_by   TEXT NOT NULL,
    node      TEXT NOT NULL,
    rows_at   INTEGER NOT NULL,
    digest    BLOB NOT NULL
) STRICT;
INSERT INTO copy VALUES (1, x'', '', '', 0, x'');
CREATE TABLE file_parts (
    file  BLOB NOT NULL,
    part  INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (file, part)
) STRICT;
";

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The cluster and the epoch that it was made of.
    pub cluster: String,
    pub epoch: String,
    /// The node that it was made from.
    pub node: String,
    pub at: At,
    pub format: i32,
    pub digest: [u8; 32],
    /// Files whose bytes are in it.
    pub files: u64,
    /// Files of messages whose bytes no node could give.
    pub files_lacking: u64,
}

/// Why a copy cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("cannot read {path}: {source}: name a file that is there and can be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}: use another copy")]
    Unread { path: PathBuf, source: rusqlite::Error },
    #[error("cannot write {path}: {source}: choose a place that is there, with room, that you may write to")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{path} is not a copy that `replicated-chat backup` made")]
    NotACopy { path: PathBuf },
    #[error("{path} is damaged: {why}: use another copy")]
    Damaged { path: PathBuf, why: String },
    #[error("{path} was made by a newer program ({what}): run that one")]
    Newer { path: PathBuf, what: String },
    #[error("what the node sent is no copy of its chat: {0}")]
    Pages(String),
    #[error(
        "the rows of {node} are damaged, they come to {found}, and {kept} was written down with them: copy from \
         another node"
    )]
    BadRows { node: String, found: RowsSum, kept: RowsSum },
    #[error("the copy cannot be written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Page(#[from] PageError),
}

/// A copy in the making: a file that is nobody's until it is finished.
pub struct CopyInTheMaking {
    conn: Connection,
    path: PathBuf,
    last: Option<Header>,
}

impl CopyInTheMaking {
    /// Makes the file, readable by its owner alone; it must not be there yet.
    ///
    /// # Errors
    /// When it is there, or cannot be written.
    pub fn begin(path: &Path) -> Result<Self, CopyError> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map_err(|source| CopyError::Unwritable { path: path.to_owned(), source })?;
        let mut conn = Connection::open(path)?;
        conn.pragma_update(None, "page_size", PAGE_BYTES)?;
        // Until it is finished it is of no use to anybody: nothing in it needs to survive.
        conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
        conn.execute_batch(TABLE)?;
        schema::migrate(&mut conn, 0)?;
        conn.execute_batch("BEGIN")?;
        Ok(Self { conn, path: path.to_owned(), last: None })
    }

    /// From where the next page goes on.
    pub fn up_to(&self) -> At {
        self.last.as_ref().map_or(At(0), |header| header.up_to)
    }

    /// Adds the page that follows; gives its head.
    ///
    /// # Errors
    /// When it is damaged, or does not follow.
    pub fn add(&mut self, page: &[u8]) -> Result<&Header, CopyError> {
        let page = Page::decode(page)?;
        let header = page.header.clone();
        if header.from != self.up_to() {
            let (from, up_to) = (header.from, self.up_to());
            return Err(CopyError::Pages(format!("a page goes on from at {from}, not from {up_to}")));
        }
        if let Some(last) = &self.last
            && last.position.cluster != header.position.cluster
        {
            let (one, other) = (&last.position.cluster, &header.position.cluster);
            return Err(CopyError::Pages(format!("it belonged to cluster {one}, and now to {other}")));
        }
        page.apply(&self.conn)?;
        Ok(self.last.insert(header))
    }

    /// After the last page: the files whose bytes belong to it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn files(&self) -> Result<Vec<FileId>, CopyError> {
        Ok(files_of(&self.conn)?)
    }

    /// Adds a part of a file, from part 0 on. An empty file has one that is empty.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_part(&mut self, file: FileId, part: u64, bytes: &[u8]) -> Result<(), CopyError> {
        let sql = "INSERT INTO file_parts (file, part, bytes) VALUES (?1, ?2, ?3)";
        self.conn.prepare_cached(sql)?.execute(params![file.0, Stored(part), bytes])?;
        Ok(())
    }

    /// Takes back the parts of a file that did not come whole.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn without(&mut self, file: FileId) -> Result<(), CopyError> {
        self.conn.execute("DELETE FROM file_parts WHERE file = ?1", [file.0])?;
        Ok(())
    }

    /// After the last page and file: verifies what is in the file, seals and syncs it.
    ///
    /// # Errors
    /// When it is not what the node itself has counted, not as a node's own rows must be, or the disk fails.
    pub fn finish(self, node: &str, made_by: &str) -> Result<Copied, CopyError> {
        let Self { conn, path, last } = self;
        let Some(Header { end: true, position, .. }) = last else {
            return Err(CopyError::Pages("it ended in the middle".to_owned()));
        };
        pages::derive(&conn, At(0))?;
        conn.execute(
            "INSERT INTO raft_state (one, node, foundation, cluster, epoch, term, commit_index, cut_index,
                 cut_term, applied_index, applied_at, level, conf_state)
             VALUES (1, ?1, 'founded', ?2, ?3, ?4, ?5, ?5, ?4, ?5, ?6, ?7, ?8)",
            params![
                node,
                position.cluster,
                position.epoch,
                Stored(position.term.0),
                Stored(position.index.0),
                Stored(position.at.0),
                position.level,
                &position.conf_state[..]
            ],
        )?;
        let (found, kept) = (walk::sum(&conn)?, position.sum);
        if found != kept {
            return Err(CopyError::BadRows { node: node.to_owned(), found, kept });
        }
        let digest = digest_of(&conn)?;
        conn.execute(
            "UPDATE copy SET seal = ?1, made_by = ?2, node = ?3, rows_at = ?4, digest = ?5",
            params![UNSEALED, made_by, node, Stored(position.at.0), digest],
        )?;
        conn.execute_batch("COMMIT")?;
        conn.close().map_err(|(_, error)| error)?;
        seal(&path)?;
        verify(&path)
    }
}

/// Looks through a copy: the seal, the file, the shapes, the rules among its rows, the digest. Changes
/// nothing.
///
/// # Errors
/// Says what is wrong.
pub fn verify(path: &Path) -> Result<Copied, CopyError> {
    let damaged = |why: String| CopyError::Damaged { path: path.to_owned(), why };
    let (found, place) = seal_of(path)?;
    if sum(path, place)? != found {
        return Err(damaged("its seal is broken".to_owned()));
    }
    let conn = open(path)?;
    let unread = |source| CopyError::Unread { path: path.to_owned(), source };
    let setting = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(unread);
    let format = setting("user_version")?;
    if setting("application_id")? != APPLICATION_ID || format <= 0 {
        return Err(CopyError::NotACopy { path: path.to_owned() });
    }
    let newer = |what: String| CopyError::Newer { path: path.to_owned(), what };
    if format > FORMAT {
        return Err(newer(format!("format {format}, this one knows up to {FORMAT}")));
    }
    let copied = conn.query_row(
        "SELECT coalesce(cluster, ''), coalesce(epoch, ''), copy.node, applied_at, digest, level
         FROM raft_state, copy",
        [],
        |row| {
            let (cluster, epoch, node) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (at, digest) = (at(row, 3)?, row.get(4)?);
            let copied = Copied { cluster, epoch, node, at, format, digest, files: 0, files_lacking: 0 };
            Ok((copied, row.get::<_, i64>(5)?))
        },
    );
    let (mut copied, level) = copied.map_err(|error| damaged(error.to_string()))?;
    if level > i64::from(LEVEL) {
        return Err(newer(format!("changes of level {level}, this one knows up to {LEVEL}")));
    }
    for look in [integrity(&conn), foreign_shapes(&conn, format), broken_rules(&conn, copied.at)] {
        match look {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => return Err(damaged(wrong.join("; "))),
            Err(error) => return Err(damaged(error.to_string())),
        }
    }
    match digest_of(&conn) {
        Ok(digest) if digest == copied.digest => {}
        Ok(_) => return Err(damaged("its rows are not those that were copied".to_owned())),
        Err(error) => return Err(damaged(error.to_string())),
    }
    // A copy of an earlier version has no files.
    if conn.table_exists(None, FILE_PARTS).map_err(unread)? {
        let count = |sql| conn.query_row(sql, [], |row| number(row, 0)).map_err(unread);
        copied.files = count("SELECT count(*) FROM file_parts WHERE part = 0")?;
        copied.files_lacking = count(
            "SELECT count(DISTINCT file) FROM attachments
             WHERE gone = 0 AND file NOT IN (SELECT file FROM file_parts)",
        )?;
    }
    Ok(copied)
}

/// Shows the files of a copy, part by part in their order.
///
/// # Errors
/// What SQLite says, and what `take` says.
pub fn each_part<E: From<CopyError>>(
    path: &Path,
    mut take: impl FnMut(FileId, u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let conn = open(path)?;
    let failed = |source| E::from(CopyError::Unread { path: path.to_owned(), source });
    if !conn.table_exists(None, FILE_PARTS).map_err(failed)? {
        return Ok(());
    }
    let sql = "SELECT file, part, bytes FROM file_parts ORDER BY file, part";
    let mut statement = conn.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let file = FileId(row.get(0).map_err(failed)?);
        let part = number(row, 1).map_err(failed)?;
        let bytes = row.get_ref(2).map_err(failed)?;
        take(file, part, bytes.as_blob().map_err(|error| failed(error.into()))?)?;
    }
    Ok(())
}

/// The files that messages hold, by hash.
pub(super) fn files_of(conn: &Connection) -> rusqlite::Result<Vec<FileId>> {
    if !conn.table_exists(None, "attachments")? {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT file FROM attachments WHERE gone = 0 ORDER BY file";
    conn.prepare(sql)?.query_map([], |row| row.get(0).map(FileId))?.collect()
}

/// Opens a file that nobody changes, to read it.
fn open(path: &Path) -> Result<Connection, CopyError> {
    // SQLite only says that it cannot.
    File::open(path).map_err(|source| CopyError::Unreadable { path: path.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let settings = "PRAGMA query_only = on; PRAGMA cell_size_check = on; PRAGMA trusted_schema = off";
    let opened = Connection::open_with_flags(path, flags).and_then(|conn| {
        conn.execute_batch(settings)?;
        Ok(conn)
    });
    opened.map_err(|source| CopyError::Unread { path: path.to_owned(), source })
}

/// Writes the seal where its place is held, and syncs the file.
fn seal(path: &Path) -> Result<(), CopyError> {
    let unwritable = |source| CopyError::Unwritable { path: path.to_owned(), source };
    let place = place_of(path, UNSEALED)?.ok_or_else(|| CopyError::NotACopy { path: path.to_owned() })?;
    let sum = sum(path, place)?;
    let mut file = File::options().write(true).open(path).map_err(unwritable)?;
    file.seek(SeekFrom::Start(place)).map_err(unwritable)?;
    file.write_all(&sum).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)
}

/// The seal of a copy, and where it lies.
fn seal_of(path: &Path) -> Result<([u8; SEAL_BYTES], u64), CopyError> {
    let not_a_copy = || CopyError::NotACopy { path: path.to_owned() };
    let damaged = |why: String| CopyError::Damaged { path: path.to_owned(), why };
    // Before SQLite: it would take an empty file for an empty database.
    let length =
        fs::metadata(path).map_err(|source| CopyError::Unreadable { path: path.to_owned(), source })?;
    if length.len() < 2 * PAGE_BYTES.unsigned_abs() {
        return Err(not_a_copy());
    }
    let sql = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name = 'copy')";
    let conn = open(path)?;
    let is_copy = conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => not_a_copy(),
            _ => damaged(error.to_string()),
        }
    })?;
    if is_copy == 0 {
        return Err(not_a_copy());
    }
    let seal: [u8; SEAL_BYTES] = conn
        .query_row("SELECT seal FROM copy", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    match place_of(path, &seal)? {
        Some(place) => Ok((seal, place)),
        None => Err(damaged("its seal is not where it should be".to_owned())),
    }
}

/// Where these bytes lie in the second page of the file.
fn place_of(path: &Path, bytes: &[u8; SEAL_BYTES]) -> Result<Option<u64>, CopyError> {
    let unreadable = |source| CopyError::Unreadable { path: path.to_owned(), source };
    let page = PAGE_BYTES.unsigned_abs();
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(page)).map_err(unreadable)?;
    let mut second = Vec::new();
    file.take(page).read_to_end(&mut second).map_err(unreadable)?;
    let place = second.windows(SEAL_BYTES).position(|window| window == bytes);
    Ok(place.map(|place| page + place as u64))
}

/// The SHA-256 of the file, with zeros where the seal lies.
fn sum(path: &Path, place: u64) -> Result<[u8; SEAL_BYTES], CopyError> {
    let unreadable = |source| CopyError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let feed = |hash: &mut Sha256, from: &mut dyn io::Read| -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut chunk)? {
                0 => return Ok(()),
                count => hash.update(&chunk[..count]),
            }
        }
    };
    feed(&mut hash, &mut (&mut file).take(place)).map_err(unreadable)?;
    hash.update([0; SEAL_BYTES]);
    file.seek(SeekFrom::Start(place + SEAL_BYTES as u64)).map_err(unreadable)?;
    feed(&mut hash, &mut file).map_err(unreadable)?;
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::TestDir;

    #[cfg(unix)]
    #[test]
    fn a_copy_that_cannot_be_read_is_not_told_as_one_that_cannot_be_written() {
        let dir = TestDir::new();
        // Nobody can open it, not even root.
        let path = dir.path().join("copy");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let said = open(&path).err().unwrap().to_string();
        assert!(said.starts_with(&format!("cannot read {}", path.display())), "{said}");
    }
}
