//! The Raft log's columns into entries.

use bytes::Bytes;
use protobuf::ProtobufEnum;
use raft::eraftpb::{Entry, EntryType};
use rusqlite::Connection;

use super::rows::{int, number};
use crate::ids::LogIndex;

/// The entries `[from, to)`, at most `bytes_max` of data together, but at least one when it is there.
///
/// # Errors
/// What SQLite says.
pub fn read(conn: &Connection, from: LogIndex, to: LogIndex, bytes_max: u64) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = conn.prepare_cached(
        "SELECT log_index, term, kind, data, context FROM raft_log
         WHERE log_index >= ?1 AND log_index < ?2 ORDER BY log_index",
    )?;
    let mut rows = statement.query([int(from.0), int(to.0)])?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let kind: i32 = row.get(2)?;
        let entry_type =
            EntryType::from_i32(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, kind.into()))?;
        let entry = Entry {
            entry_type,
            term: number(row, 1)?,
            index: number(row, 0)?,
            data: Bytes::copy_from_slice(row.get_ref(3)?.as_blob()?),
            context: Bytes::copy_from_slice(row.get_ref(4)?.as_blob_or_null()?.unwrap_or_default()),
            ..Entry::default()
        };
        bytes += entry.data.len() as u64;
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}
