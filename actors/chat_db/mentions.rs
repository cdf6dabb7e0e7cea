//! The mentions that a node counts for `hello`: a table that follows from the messages. It is not compared,
//! and does not travel.
//!
//! Only who was in the room is noted: whoever comes later begins behind what was said before.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Result, params};

use super::rows::{Stored, int, is_member};
use crate::chat::mentions::mentions;
use crate::chat::objects::Message;
use crate::ids::At;

/// Notes whom a message mentions.
///
/// # Errors
/// What SQLite says.
pub fn note(conn: &Connection, message: &Message) -> Result<()> {
    if message.deleted || !message.text.contains('@') {
        return Ok(());
    }
    for (name, tail) in mentions(&message.text) {
        if name == message.from {
            continue;
        }
        conn.prepare_cached(concat!(
            "INSERT OR REPLACE INTO mentions (room, seq, user, tail) SELECT ?1, ?2, ?3, ?4 WHERE ",
            is_member!("?3", "?1")
        ))?
        .execute(params![Stored(message.room.0), Stored(message.seq.0), name, tail])?;
    }
    Ok(())
}

/// Notes whom a message mentions that said something else before.
///
/// # Errors
/// What SQLite says.
pub fn note_anew(conn: &Connection, message: &Message) -> Result<()> {
    let sql = "DELETE FROM mentions WHERE room = ?1 AND seq = ?2";
    conn.prepare_cached(sql)?.execute([int(message.room.0), int(message.seq.0)])?;
    note(conn, message)
}

/// Notes anew whom the messages behind an `at` mention.
///
/// # Errors
/// What SQLite says.
pub fn derive(conn: &Connection, after: At) -> Result<()> {
    make_function(conn)?;
    conn.execute(
        "DELETE FROM mentions WHERE (room, seq) IN (SELECT room, seq FROM messages WHERE at > ?1)",
        [int(after.0)],
    )?;
    conn.execute(
        "INSERT INTO mentions (room, seq, user, tail)
         SELECT messages.room, messages.seq, members.user, found.value
         FROM messages, json_each(mentions(messages.text)) AS found
             JOIN members ON members.room = messages.room AND members.user = found.key AND member = 1
         WHERE messages.at > ?1 AND deleted = 0 AND instr(text, '@') > 0 AND members.user <> author",
        [int(after.0)],
    )?;
    Ok(())
}

/// Makes `mentions(text)` known to SQL: an object of names and tails.
///
/// # Errors
/// What SQLite says.
pub fn make_function(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("mentions", 1, flags, |call| {
        let found = mentions(call.get_raw(0).as_str()?);
        serde_json::to_string(&found).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    })
}
