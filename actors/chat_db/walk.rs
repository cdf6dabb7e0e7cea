//! Every replicated row of the chat, in canonical order, one at a time.

use rusqlite::{Connection, Result};

use super::rows::{self, columns};
use crate::chat::digest::RowsSum;
use crate::chat::tables::Row;

/// What columns of later formats hold in a file that does not have them yet: a table, a column, a value.
const LATER: &[(&str, &str, &str)] = &[
    ("users", "disabled", "0"),
    ("users", "bot", "NULL"),
    ("sessions", "time", "0"),
    ("sessions", "agent", "''"),
];

/// Shows every row, table by table, each in the order of its keys, as `chat::model` gives them. A file of
/// an earlier format shows the rows that it will have.
///
/// # Errors
/// What SQLite says.
pub fn walk(conn: &Connection, mut visit: impl FnMut(Row)) -> Result<()> {
    let mut table = |name: &str, columns: &str, key: &str, read: fn(&rusqlite::Row<'_>) -> Result<Row>| {
        let Some(columns) = there(conn, name, columns)? else { return Ok(()) };
        let sql = format!("SELECT {columns} FROM {name} ORDER BY {key}");
        for row in conn.prepare(&sql)?.query_map([], read)? {
            visit(row?);
        }
        Ok::<_, rusqlite::Error>(())
    };
    table("users", columns!(user), "name", |row| rows::user(row).map(Row::User))?;
    table("rooms", columns!(room), "room", |row| rows::room(row).map(Row::Room))?;
    table("members", columns!(member), "room, user", |row| rows::member(row).map(Row::Member))?;
    table("reads", columns!(read), "room, user", |row| rows::read(row).map(Row::Read))?;
    table("messages", columns!(message), "room, seq", |row| rows::message_row(row).map(Row::Message))?;
    table("sessions", columns!(session), "token_hash", |row| rows::session(row).map(Row::Session))?;
    table("outcomes", columns!(outcome), "user, id", |row| rows::outcome(row).map(Row::Outcome))?;
    table("mutes", columns!(mute), "room, user", |row| rows::mute(row).map(Row::Mute))?;
    table("versions", columns!(version), "room, seq, version", |row| rows::version(row).map(Row::Version))?;
    table("links", columns!(link), "token_hash", |row| rows::link(row).map(Row::Link))?;
    table("settings", columns!(setting), "key", |row| rows::setting(row).map(Row::Setting))?;
    table("attachments", columns!(attachment), "file, room, seq", |row| {
        rows::attachment(row).map(Row::Attachment)
    })?;
    table("subscriptions", columns!(subscription), "subscription", |row| {
        rows::subscription(row).map(Row::Subscription)
    })
}

/// The columns of a table, with a value for each that is not there yet; `None` when the table is not.
fn there(conn: &Connection, table: &str, columns: &str) -> Result<Option<String>> {
    let mut statement = conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let found: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_>>()?;
    if found.is_empty() {
        return Ok(None);
    }
    let or_later = |column: &str| {
        let later = LATER.iter().find(|(of, name, _)| *of == table && *name == column);
        match later.filter(|_| !found.iter().any(|name| name == column)) {
            Some((_, name, value)) => format!("{value} AS {name}"),
            None => column.to_owned(),
        }
    };
    Ok(Some(columns.split(", ").map(or_later).collect::<Vec<_>>().join(", ")))
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
