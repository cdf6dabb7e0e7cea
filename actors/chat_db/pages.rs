//! The replicated rows in pages by `at`: what a lagging replica is sent, and what copies are made of.
//!
//! A page holds the rows of *every* replicated table whose `at` lies behind where it begins, in the
//! order of `at`, as of one read transaction; rows that share an `at` are never parted. Pages taken
//! one after the other, each from where the last one ended, make the state of the last one, though
//! rows change meanwhile: what changes gets a higher `at`, and comes again. That holds as long as no
//! page is taken from a source that is behind an earlier one (its *horizon*).
//!
//! Tables and columns are found from the schema: whatever has an `at` is replicated.

use std::borrow::Cow;
use std::fmt;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Rows, Statement, ToSql};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::rows::{at, int, number};
use super::{mentions, tallies, walk};
use crate::chat::digest::RowsSum;
use crate::ids::{At, LogIndex, Term};

/// Bytes of rows in a page, unless one `at` alone has more.
pub const PAGE_BYTES: usize = 1 << 20;
/// A page that says to be larger than this is none.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"RCHTpage";
/// The last format that changed a replicated table: the rows of later ones are read by programs of this one.
pub const ROWS_FORMAT: i32 = 3;
/// The layout of the bytes around the rows.
const LAYOUT: u32 = 1;
const COMPRESSION: &str = "lz4";
const DIGEST_BYTES: usize = 32;

/// Columns that follow from other rows; they do not travel, see [`derive`].
const DERIVED: &[(&str, &str)] = &[("rooms", "last_seq"), ("rooms", "last_time")];

/// Where a replica's tables stand: the applied position, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub cluster: String,
    pub epoch: String,
    pub index: LogIndex,
    /// Of the entry at `index`.
    pub term: Term,
    pub at: At,
    /// What the rows come to.
    pub sum: RowsSum,
    /// The term in which the replica was: whoever leads a later one has the entry at `index` as well.
    pub known_term: Term,
    /// The highest format of a command that was applied.
    pub level: u32,
    /// The members as of `index`, in the encoding of the raft crate.
    pub conf_state: ByteBuf,
}

/// What is known of a page before its rows are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub layout: u32,
    /// The format of the file that the rows come from, as far as they depend on it.
    pub format: i32,
    /// Rows with an `at` above this …
    pub from: At,
    /// … up to this: all of them.
    pub up_to: At,
    /// Nothing lies behind it: with this page the state is that of `position`.
    pub end: bool,
    pub position: Position,
    pub rows: u64,
    pub compression: String,
    pub bytes: u64,
}

/// A page, in memory.
#[derive(Clone, Debug)]
pub struct Page {
    pub header: Header,
    /// The rows, not compressed.
    body: Vec<u8>,
}

/// Why bytes are not a page, or a page cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("these bytes are not a page of state")]
    NotAPage,
    #[error("a page of state is damaged: its checksum is wrong")]
    Damaged,
    #[error("a page of state has layout {layout} and {compression}, which this program does not know")]
    Newer { layout: u32, compression: String },
    #[error("a page of state has {table}.{column}, which this program does not know: run a newer one")]
    Unknown { table: String, column: String },
    #[error("a page of state cannot be read: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("a page of state cannot be written: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The rows of one table in a page, in the order of `at`.
#[derive(Serialize, Deserialize)]
struct Part<'a> {
    table: String,
    columns: Vec<String>,
    #[serde(borrow)]
    rows: Vec<Vec<Cell<'a>>>,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

/// A replicated table, as the schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// Without those that are derived.
    pub columns: Vec<String>,
}

/// Every replicated table, by name.
///
/// # Errors
/// What SQLite says.
pub fn tables(conn: &Connection) -> rusqlite::Result<Vec<Table>> {
    let names = texts(conn, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", [])?;
    let mut tables = Vec::new();
    for name in names {
        let mut columns = texts(conn, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", [&name])?;
        columns.retain(|column| !DERIVED.contains(&(name.as_str(), column.as_str())));
        if columns.iter().any(|column| column == "at") {
            tables.push(Table { name, columns });
        }
    }
    Ok(tables)
}

/// Where the tables stand.
///
/// # Errors
/// What SQLite says.
pub fn position(conn: &Connection) -> rusqlite::Result<Position> {
    conn.prepare_cached(
        "SELECT coalesce(cluster, ''), coalesce(epoch, ''), applied_index, applied_at, term, conf_state,
             coalesce((SELECT raft_log.term FROM raft_log WHERE log_index = applied_index), cut_term), level,
             rows_sum
         FROM raft_state",
    )?
    .query_row([], |row| {
        Ok(Position {
            cluster: row.get(0)?,
            epoch: row.get(1)?,
            index: LogIndex(number(row, 2)?),
            at: at(row, 3)?,
            sum: match row.get(8)? {
                Some(kept) => RowsSum::from_bytes(kept),
                None => walk::sum(conn)?,
            },
            known_term: Term(number(row, 4)?),
            conf_state: ByteBuf::from(row.get::<_, Vec<u8>>(5)?),
            term: Term(number(row, 6)?),
            level: row.get(7)?,
        })
    })
}

/// Reads the page behind `after`, of about `bytes_max` bytes; the connection is in a transaction.
///
/// # Errors
/// What SQLite says.
pub fn read(conn: &Connection, after: At, bytes_max: usize) -> Result<Page, PageError> {
    let position = position(conn)?;
    let format: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let format = format.min(ROWS_FORMAT);
    let tables = tables(conn)?;
    let mut statements = Vec::new();
    for table in &tables {
        let sql =
            format!("SELECT at, {} FROM {} WHERE at > ?1 ORDER BY at", list(table), quoted(&table.name));
        statements.push(conn.prepare_cached(&sql)?);
    }
    let (parts, up_to) = merge(&tables, &mut statements, after, bytes_max)?;
    let end = up_to.is_none();
    let header = Header {
        layout: LAYOUT,
        format,
        from: after,
        up_to: up_to.unwrap_or(position.at),
        end,
        rows: parts.iter().map(|part| part.rows.len() as u64).sum(),
        compression: COMPRESSION.to_owned(),
        bytes: 0,
        position,
    };
    let body = rmp_serde::to_vec_named(&parts)?;
    Ok(Page { header: Header { bytes: body.len() as u64, ..header }, body })
}

/// The rows of all tables by rising `at`, until there are enough; then how far they go.
fn merge<'t>(
    tables: &'t [Table],
    statements: &mut [rusqlite::CachedStatement<'_>],
    after: At,
    bytes_max: usize,
) -> rusqlite::Result<(Vec<Part<'t>>, Option<At>)> {
    let mut heads = Vec::new();
    for (table, statement) in tables.iter().zip(statements) {
        heads.push(Head::new(table, statement, after)?);
    }
    let mut parts: Vec<Part<'t>> = Vec::new();
    parts.extend(tables.iter().map(|table| Part {
        table: table.name.clone(),
        columns: table.columns.clone(),
        rows: Vec::new(),
    }));
    let (mut bytes, mut up_to) = (0, after);
    loop {
        let next = heads.iter().enumerate().filter_map(|(place, head)| Some((head.row.as_ref()?.0, place)));
        let Some((at, place)) = next.min() else { break };
        if bytes >= bytes_max && at > up_to {
            parts.retain(|part| !part.rows.is_empty());
            return Ok((parts, Some(up_to)));
        }
        if let Some((_, cells)) = heads[place].take()? {
            bytes += cells.iter().map(Cell::bytes).sum::<usize>();
            parts[place].rows.push(cells);
        }
        up_to = at;
    }
    parts.retain(|part| !part.rows.is_empty());
    Ok((parts, None))
}

/// The next row of one table.
struct Head<'s> {
    rows: Rows<'s>,
    columns: usize,
    row: Option<(At, Vec<Cell<'static>>)>,
}

impl<'s> Head<'s> {
    fn new(table: &Table, statement: &'s mut Statement<'_>, after: At) -> rusqlite::Result<Self> {
        let rows = statement.query([int(after.0)])?;
        let mut head = Self { rows, columns: table.columns.len(), row: None };
        head.take()?;
        Ok(head)
    }

    /// The row that was next; behind it comes the one after.
    fn take(&mut self) -> rusqlite::Result<Option<(At, Vec<Cell<'static>>)>> {
        let next = match self.rows.next()? {
            None => None,
            Some(row) => {
                let cells = (1..=self.columns).map(|column| Cell::read(row.get_ref(column)?));
                Some((at(row, 0)?, cells.collect::<rusqlite::Result<_>>()?))
            }
        };
        Ok(std::mem::replace(&mut self.row, next))
    }
}

impl Page {
    /// The bytes of the page: head, compressed rows, and the SHA-256 of both.
    ///
    /// # Errors
    /// Never in practice.
    pub fn encode(&self) -> Result<Vec<u8>, PageError> {
        let header = rmp_serde::to_vec_named(&self.header)?;
        let body = lz4_flex::block::compress(&self.body);
        let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + header.len() + body.len() + DIGEST_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&u32::try_from(header.len()).map_err(|_| PageError::NotAPage)?.to_be_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        Ok(bytes)
    }

    /// Verifies the bytes and takes the rows out.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PageError> {
        let (header, compressed) = open(bytes)?;
        let expected = usize::try_from(header.bytes).unwrap_or(usize::MAX);
        if expected > PAGE_BYTES_MAX {
            return Err(PageError::NotAPage);
        }
        let body = lz4_flex::block::decompress(compressed, expected).map_err(|_| PageError::Damaged)?;
        Ok(Self { header, body })
    }

    /// Puts the rows into the tables; what is there under any of their unique keys makes room.
    /// After the last page comes [`derive`].
    ///
    /// # Errors
    /// See [`PageError`]; the transaction is to be rolled back then.
    pub fn apply(&self, conn: &Connection) -> Result<(), PageError> {
        let parts: Vec<Part<'_>> = rmp_serde::from_slice(&self.body)?;
        let known = tables(conn)?;
        for part in &parts {
            let table = known.iter().find(|table| table.name == part.table);
            let is_known = |column: &&String| table.is_some_and(|table| table.columns.contains(column));
            if let Some(column) = part.columns.iter().find(|column| !is_known(column)) {
                let (table, column) = (part.table.clone(), column.clone());
                return Err(PageError::Unknown { table, column });
            }
            insert(conn, part)?;
        }
        Ok(())
    }
}

/// Verifies the bytes of a page and tells its head.
///
/// # Errors
/// See [`PageError`].
pub fn verify(bytes: &[u8]) -> Result<Header, PageError> {
    open(bytes).map(|(header, _)| header)
}

fn open(bytes: &[u8]) -> Result<(Header, &[u8]), PageError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(PageError::NotAPage)?;
    let (rest, digest) = rest.split_last_chunk::<DIGEST_BYTES>().ok_or(PageError::NotAPage)?;
    if Sha256::digest(&bytes[..bytes.len() - DIGEST_BYTES]).as_slice() != digest {
        return Err(PageError::Damaged);
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(PageError::NotAPage)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (header, body) = rest.split_at_checked(length).ok_or(PageError::NotAPage)?;
    let header: Header = rmp_serde::from_slice(header)?;
    if header.layout != LAYOUT || header.compression != COMPRESSION {
        let Header { layout, compression, .. } = header;
        return Err(PageError::Newer { layout, compression });
    }
    Ok((header, body))
}

/// Brings what is derived up to date with the rows, of which those behind `after` are new.
///
/// # Errors
/// What SQLite says.
pub fn derive(conn: &Connection, after: At) -> rusqlite::Result<()> {
    mentions::derive(conn, after)?;
    tallies::derive(conn, after)?;
    conn.execute_batch(
        "WITH found AS (
             SELECT rooms.room AS of_room, coalesce(ends.seq, 0) AS seq, coalesce(ends.time, 0) AS time
             FROM rooms LEFT JOIN messages AS ends ON ends.room = rooms.room
                 AND ends.seq = (SELECT max(seq) FROM messages AS of WHERE of.room = rooms.room))
         UPDATE rooms SET last_seq = found.seq, last_time = found.time FROM found
         WHERE found.of_room = rooms.room AND (last_seq, last_time) IS NOT (found.seq, found.time)",
    )
}

fn insert(conn: &Connection, part: &Part<'_>) -> Result<(), PageError> {
    let table = Table { name: part.table.clone(), columns: part.columns.clone() };
    let places: Vec<_> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    let sql = format!(
        "INSERT OR REPLACE INTO {} ({}) VALUES ({})",
        quoted(&table.name),
        list(&table),
        places.join(", ")
    );
    let mut statement = conn.prepare_cached(&sql)?;
    for row in &part.rows {
        statement.execute(rusqlite::params_from_iter(row))?;
    }
    Ok(())
}

fn list(table: &Table) -> String {
    table.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn texts(conn: &Connection, sql: &str, key: impl Params) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached(sql)?.query_map(key, |row| row.get(0))?.collect()
}

impl Cell<'_> {
    fn read(value: ValueRef<'_>) -> rusqlite::Result<Cell<'static>> {
        Ok(match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(_) => Cell::Text(Cow::Owned(value.as_str()?.to_owned())),
            ValueRef::Blob(bytes) => Cell::Blob(Cow::Owned(bytes.to_owned())),
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len() + 3,
            Self::Blob(bytes) => bytes.len() + 3,
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Blob(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a row")
            }

            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::Null)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Cell<'de>, E> {
                Ok(Cell::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell<'de>, E> {
                i64::try_from(number).map(Cell::Integer).map_err(E::custom)
            }

            fn visit_f64<E>(self, number: f64) -> Result<Cell<'de>, E> {
                Ok(Cell::Real(number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Cell<'de>, E> {
                Ok(Cell::Blob(Cow::Borrowed(bytes)))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}
