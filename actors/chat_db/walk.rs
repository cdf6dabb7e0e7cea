//! Every replicated row of the chat, in canonical order, one at a time.

use rusqlite::{Connection, Result};

use super::rows::{self, columns};
use crate::chat::digest::RowsSum;
use crate::chat::tables::Row;

/// Shows every row, table by table, each in the order of its keys, as `chat::model` gives them.
///
/// # Errors
/// What SQLite says.
pub fn walk(conn: &Connection, mut visit: impl FnMut(Row)) -> Result<()> {
    let mutes = is_there(conn, "mutes")?;
    let versions = is_there(conn, "versions")?;
    let attachments = is_there(conn, "attachments")?;
    let mut table = |sql: &str, read: fn(&rusqlite::Row<'_>) -> Result<Row>| {
        for row in conn.prepare(sql)?.query_map([], read)? {
            visit(row?);
        }
        Ok::<_, rusqlite::Error>(())
    };
    table(concat!("SELECT ", columns!(user), " FROM users ORDER BY name"), |row| {
        rows::user(row).map(Row::User)
    })?;
    table(concat!("SELECT ", columns!(room), " FROM rooms ORDER BY room"), |row| {
        rows::room(row).map(Row::Room)
    })?;
    table(concat!("SELECT ", columns!(member), " FROM members ORDER BY room, user"), |row| {
        rows::member(row).map(Row::Member)
    })?;
    table(concat!("SELECT ", columns!(read), " FROM reads ORDER BY room, user"), |row| {
        rows::read(row).map(Row::Read)
    })?;
    table(concat!("SELECT ", columns!(message), " FROM messages ORDER BY room, seq"), |row| {
        rows::message_row(row).map(Row::Message)
    })?;
    table(concat!("SELECT ", columns!(session), " FROM sessions ORDER BY token_hash"), |row| {
        rows::session(row).map(Row::Session)
    })?;
    table(concat!("SELECT ", columns!(outcome), " FROM outcomes ORDER BY user, id"), |row| {
        rows::outcome(row).map(Row::Outcome)
    })?;
    if mutes {
        table(concat!("SELECT ", columns!(mute), " FROM mutes ORDER BY room, user"), |row| {
            rows::mute(row).map(Row::Mute)
        })?;
    }
    if versions {
        table(concat!("SELECT ", columns!(version), " FROM versions ORDER BY room, seq, version"), |row| {
            rows::version(row).map(Row::Version)
        })?;
    }
    if attachments {
        table(
            concat!("SELECT ", columns!(attachment), " FROM attachments ORDER BY file, room, seq"),
            |row| rows::attachment(row).map(Row::Attachment),
        )?;
    }
    Ok(())
}

/// A file of an earlier format, which is looked at as it is, has fewer tables.
fn is_there(conn: &Connection, table: &str) -> Result<bool> {
    conn.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([table])
}

/// What all rows come to, counted anew.
///
/// # Errors
/// What SQLite says.
pub fn sum(conn: &Connection) -> Result<RowsSum> {
    let mut sum = RowsSum::default();
    walk(conn, |row| sum.add(&row))?;
    Ok(sum)
}

/// In what the rows differ from the sum that was kept with them, in words; `None`: in nothing.
///
/// # Errors
/// What SQLite says.
pub fn difference(conn: &Connection) -> Result<Option<String>> {
    let kept: Option<[u8; 16]> = conn.query_row("SELECT rows_sum FROM raft_state", [], |row| row.get(0))?;
    let Some(kept) = kept.map(RowsSum::from_bytes) else { return Ok(None) };
    let found = sum(conn)?;
    Ok((found != kept).then(|| format!("its rows come to {found}, and {kept} was written down with them")))
}
