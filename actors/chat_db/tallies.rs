//! How many messages each block of a room holds, so that what somebody has not read need not be counted one
//! by one: a table that follows from the messages and their mentions. It is not compared, and does not travel.
//!
//! A block is [`BLOCK`] places of a room. Only whole ones have rows, from the message on that fills them: sending
//! costs no more but for that one, and what lies in the room's last block, or in the one that was read halfway,
//! is few enough to be counted.

use std::ops::Range;

use rusqlite::{Connection, Result, params};

use super::rows::int;
use crate::chat::objects::Message;
use crate::ids::{At, Seq};

/// Places in a block; the migration that made the table counted by it as well.
pub const BLOCK: u64 = 1_024;

/// What is counted, under whom: all that is not deleted (under nobody), what somebody wrote of that, and what
/// calls somebody, by the tail of the mention.
macro_rules! what {
    (all) => {
        "''"
    };
    (wrote) => {
        "'wrote'"
    };
    (calls) => {
        "'calls ' || tail"
    };
}

/// What in the table comes before the tail of a mention.
pub const CALLS: &str = "calls ";

/// The whole blocks that lie behind `after`, in a room that ends with `last`.
pub fn whole_behind(after: Seq, last: Seq) -> Range<u64> {
    after.0.div_ceil(BLOCK)..last.0 / BLOCK
}

/// The last place before a block.
pub fn before(block: u64) -> Seq {
    Seq(block.saturating_mul(BLOCK))
}

/// The block that a message is in, if the room's end lies behind it.
fn whole_block_of(seq: Seq, last: Seq) -> Option<u64> {
    let block = seq.0.saturating_sub(1) / BLOCK;
    (block < last.0 / BLOCK).then_some(block)
}

/// After a message and its mentions were written: counts the block that it fills.
///
/// # Errors
/// What SQLite says.
pub fn sent(conn: &Connection, message: &Message) -> Result<()> {
    let Some(block) = whole_block_of(message.seq, message.seq) else { return Ok(()) };
    let key = params![int(message.room.0), int(block), int(before(block).0), int(message.seq.0)];
    conn.prepare_cached(concat!(
        "WITH wrote AS MATERIALIZED (
             SELECT author, count(*) AS messages FROM messages
             WHERE room = ?1 AND seq > ?3 AND seq <= ?4 AND deleted = 0 GROUP BY author)
         INSERT INTO tallies (room, user, block, what, messages)
             SELECT ?1, '', ?2, ",
        what!(all),
        ", coalesce(sum(messages), 0) FROM wrote UNION ALL SELECT ?1, author, ?2, ",
        what!(wrote),
        ", messages FROM wrote UNION ALL SELECT ?1, user, ?2, ",
        what!(calls),
        ", count(*) FROM mentions WHERE room = ?1 AND seq > ?3 AND seq <= ?4 GROUP BY user, tail"
    ))?
    .execute(key)
    .map(|_| ())
}

/// Before a message of a room that ends with `last` changes in what is counted: takes it away.
///
/// # Errors
/// What SQLite says.
pub fn take(conn: &Connection, message: &Message, last: Seq) -> Result<()> {
    count(conn, message, last, -1)
}

/// After it has changed, and its mentions: adds it.
///
/// # Errors
/// What SQLite says.
pub fn add(conn: &Connection, message: &Message, last: Seq) -> Result<()> {
    count(conn, message, last, 1)
}

fn count(conn: &Connection, message: &Message, last: Seq, by: i64) -> Result<()> {
    let Some(block) = whole_block_of(message.seq, last) else { return Ok(()) };
    if message.deleted {
        return Ok(());
    }
    let key = params![int(message.room.0), message.from, int(block), int(message.seq.0), by];
    conn.prepare_cached(concat!(
        "INSERT INTO tallies (room, user, block, what, messages)
             SELECT ?1, '', ?3, ",
        what!(all),
        ", ?5 UNION ALL SELECT ?1, ?2, ?3, ",
        what!(wrote),
        ", ?5 UNION ALL SELECT ?1, user, ?3, ",
        what!(calls),
        ", ?5 FROM mentions WHERE room = ?1 AND seq = ?4
             ON CONFLICT DO UPDATE SET messages = messages + excluded.messages"
    ))?
    .execute(key)
    .map(|_| ())
}

/// Counts anew the blocks in which something changed behind an `at`, after the mentions were noted.
///
/// # Errors
/// What SQLite says.
pub fn derive(conn: &Connection, after: At) -> Result<()> {
    conn.execute_batch("CREATE TEMP TABLE touched (room INTEGER, block INTEGER, PRIMARY KEY (room, block))")?;
    conn.execute(
        "INSERT INTO touched SELECT DISTINCT room, (seq - 1) / ?2 FROM messages AS of WHERE at > ?1
             AND EXISTS (SELECT 1 FROM messages WHERE room = of.room AND seq = ((of.seq - 1) / ?2 + 1) * ?2)",
        [int(after.0), int(BLOCK)],
    )?;
    conn.execute("DELETE FROM tallies WHERE (room, block) IN (SELECT room, block FROM touched)", [])?;
    conn.execute(
        concat!(
            "WITH wrote AS MATERIALIZED (
                 SELECT touched.room, block, author, count(*) AS messages FROM touched CROSS JOIN messages
                     ON messages.room = touched.room AND seq > block * ?1 AND seq <= (block + 1) * ?1
                 WHERE deleted = 0 GROUP BY touched.room, block, author)
             INSERT INTO tallies (room, user, block, what, messages)
                 SELECT room, '', block, ",
            what!(all),
            ", sum(messages) FROM wrote GROUP BY room, block UNION ALL SELECT room, author, block, ",
            what!(wrote),
            ", messages FROM wrote UNION ALL SELECT touched.room, user, block, ",
            what!(calls),
            ", count(*) FROM touched CROSS JOIN mentions
                     ON mentions.room = touched.room AND seq > block * ?1 AND seq <= (block + 1) * ?1
                 GROUP BY touched.room, block, user, tail"
        ),
        [int(BLOCK)],
    )?;
    conn.execute_batch("DROP TABLE temp.touched")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat_db::{mentions, pages};
    use crate::storage::schema;
    use crate::storage::testing::{LIVELY, Lively, TestDir, batch, committed, setup, started};

    /// All that is told of, as text.
    fn told(conn: &Connection) -> Vec<String> {
        let sql = "SELECT room || ' ' || user || ' ' || block || ' ' || what || ': ' || messages
                       FROM tallies WHERE messages <> 0 ORDER BY room, user, block, what";
        conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The same, counted by something else on a connection of its own; nothing of it stays.
    fn told_after(path: &std::path::Path, count: impl FnOnce(&Connection)) -> Vec<String> {
        let conn = Connection::open(path).unwrap();
        mentions::make_function(&conn).unwrap();
        let anew = conn.unchecked_transaction().unwrap();
        count(&anew);
        told(&anew)
    }

    #[test]
    fn blocks_begin_behind_what_was_read_and_end_before_the_end() {
        for (after, last, whole) in [
            (0, 0, 0..0),
            (0, 1_023, 0..0),
            (0, 1_024, 0..1),
            (1, 2_047, 1..1),
            (1_024, 3_072, 1..3),
            (1_025, 3_073, 2..3),
            (5_100, 5_200, 5..5),
        ] {
            assert_eq!(whole_behind(Seq(after), Seq(last)), whole, "{after} to {last}");
        }
        for (seq, last, block) in
            [(1, 1_023, None), (1, 1_024, Some(0)), (1_024, 1_024, Some(0)), (1_025, 1_025, None)]
        {
            assert_eq!(whole_block_of(Seq(seq), Seq(last)), block, "{seq} of {last}");
        }
    }

    #[test]
    fn what_follows_changes_is_what_is_counted_anew_and_what_another_replica_counts() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&LIVELY, 2)))], || false).unwrap();
        let mut other = Connection::open_in_memory().unwrap();
        schema::migrate(&mut other, 0).unwrap();
        let reader = crate::chat_db::read_only::open(store.path(), 1_000).unwrap();
        let mut lively = Lively::new(3);
        let mut had = At(0);
        for entry in 3..=60 {
            let piece =
                store.apply(&[committed(entry, batch(entry, &lively.commands(64)))], || false).unwrap();
            assert!(piece.applied.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
            if entry % 19 != 3 {
                continue;
            }
            let found = told(&reader);
            assert_eq!(told_after(store.path(), |conn| derive(conn, At(0)).unwrap()), found);
            let page = pages::read(&reader, had, usize::MAX).unwrap();
            page.apply(&other).unwrap();
            pages::derive(&other, had).unwrap();
            assert_eq!(told(&other), found);
            had = store.at();
        }
        let found = told(&reader);
        let kinds = ["1  0 : ", "1 ann 0 wrote: ", "1 bob 1 calls : ", "1 bob 1 calls .: "];
        for kind in kinds {
            assert!(found.iter().any(|line| line.starts_with(kind)), "{kind}: {found:?}");
        }
        let migrated = told_after(store.path(), |conn| {
            conn.execute_batch("DROP TABLE tallies").unwrap();
            conn.execute_batch(schema::V4_TALLIES).unwrap();
        });
        assert_eq!(migrated, found);
    }
}
