//! The Raft log's columns into entries, and the checksum that lies beside each.

use bytes::Bytes;
use protobuf::ProtobufEnum;
use raft::eraftpb::{Entry, EntryType};
use rusqlite::{Connection, Row};

use super::damage::WrongChecksum;
use super::rows::{int, number};
use crate::ids::LogIndex;

const PAGE: &str = "SELECT log_index, term, kind, data, context, checksum FROM raft_log
    WHERE log_index >= ?1 AND log_index < ?2 ORDER BY log_index";
/// Its entries had no checksum.
const PAGE_OF_FORMAT_1: &str = "SELECT log_index, term, kind, data, context, NULL FROM raft_log
    WHERE log_index >= ?1 AND log_index < ?2 ORDER BY log_index";

/// The entries `[from, to)`, at most `bytes_max` of data together, but at least one when it is there.
///
/// # Errors
/// What SQLite says, and [`WrongChecksum`].
pub fn read(conn: &Connection, from: LogIndex, to: LogIndex, bytes_max: u64) -> rusqlite::Result<Vec<Entry>> {
    read_page(conn, PAGE, from, to, bytes_max)
}

/// As [`read`], from a file that may not have been brought to the newest format.
///
/// # Errors
/// As [`read`].
pub fn read_of_format(
    conn: &Connection,
    format: i32,
    from: LogIndex,
    to: LogIndex,
    bytes_max: u64,
) -> rusqlite::Result<Vec<Entry>> {
    let sql = if format == 1 { PAGE_OF_FORMAT_1 } else { PAGE };
    read_page(conn, sql, from, to, bytes_max)
}

fn read_page(
    conn: &Connection,
    sql: &str,
    from: LogIndex,
    to: LogIndex,
    bytes_max: u64,
) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([int(from.0), int(to.0)])?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        bytes += entry.data.len() as u64;
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Reads the whole log, for its checksums alone.
///
/// # Errors
/// As [`read`].
pub fn check(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn
        .prepare("SELECT log_index, term, kind, data, context, checksum FROM raft_log ORDER BY log_index")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        entry(row)?;
    }
    Ok(())
}

/// What is written beside an entry: a CRC-32 of all that makes it.
pub fn checksum(index: u64, term: u64, kind: i32, data: &[u8], context: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&index.to_le_bytes());
    hasher.update(&term.to_le_bytes());
    hasher.update(&kind.to_le_bytes());
    // Its length, so that a byte cannot move from one to the other unseen.
    hasher.update(&(data.len() as u64).to_le_bytes());
    hasher.update(data);
    hasher.update(context);
    hasher.finalize()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (index, term, kind) = (number(row, 0)?, number(row, 1)?, row.get(2)?);
    let data = row.get_ref(3)?.as_blob()?;
    let context = row.get_ref(4)?.as_blob_or_null()?.unwrap_or_default();
    // Format 1 wrote none.
    let written: Option<i64> = row.get(5)?;
    if written.is_some_and(|written| written != i64::from(checksum(index, term, kind, data, context))) {
        return Err(WrongChecksum { index: LogIndex(index) }.into());
    }
    let entry_type =
        EntryType::from_i32(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, kind.into()))?;
    let (data, context) = (Bytes::copy_from_slice(data), Bytes::copy_from_slice(context));
    Ok(Entry { entry_type, term, index, data, context, ..Entry::default() })
}
