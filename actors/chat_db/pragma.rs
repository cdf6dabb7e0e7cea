//! Settings of a connection, read back: SQLite is silent about one that it does not take.

use rusqlite::types::Value;
use rusqlite::{Connection, Result};

/// Sets a pragma and gives what it is then, as text.
///
/// # Errors
/// What SQLite says.
pub fn set(conn: &Connection, pragma: &str, value: &str) -> Result<String> {
    // Not prepared ahead: some pragmas take effect while they are compiled.
    conn.execute_batch(&format!("PRAGMA {pragma} = {value}"))?;
    get(conn, pragma)
}

/// What a pragma of this connection is now, as text.
///
/// # Errors
/// What SQLite says.
pub fn get(conn: &Connection, pragma: &str) -> Result<String> {
    conn.pragma_query_value(None, pragma, |row| {
        Ok(match row.get(0)? {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        })
    })
}
