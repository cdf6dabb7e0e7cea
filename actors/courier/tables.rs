//! What of `chat.db` is needed to post messages.

use rusqlite::{Connection, OptionalExtension, Result};

use crate::chat::objects::Message;
use crate::chat::tables::SubscriptionRow;
use crate::chat_db::rows::{self, columns, int, maker_may_see, number};
use crate::ids::{RoomId, Seq};

/// A subscription that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub row: SubscriptionRow,
    /// Of its room.
    pub last_seq: Seq,
    /// Whoever asked for it may see the room now.
    pub allowed: bool,
}

/// Those that are on, by number; the connection is in a read transaction.
///
/// # Errors
/// What SQLite says.
pub fn listed(chat: &Connection) -> Result<Vec<Listed>> {
    let sql = concat!(
        "SELECT ",
        columns!(subscription),
        ", (SELECT last_seq FROM rooms WHERE rooms.room = subscriptions.room), ",
        maker_may_see!(),
        " FROM subscriptions WHERE state = 'on' ORDER BY subscription"
    );
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Listed { row: rows::subscription(row)?, last_seq: Seq(number(row, 11)?), allowed: row.get(12)? })
    };
    chat.prepare_cached(sql)?.query_map([], read)?.collect()
}

/// A message as it is now.
///
/// # Errors
/// What SQLite says.
pub fn message(chat: &Connection, room: RoomId, seq: Seq) -> Result<Option<Message>> {
    let sql = concat!("SELECT ", columns!(message), " FROM messages WHERE room = ?1 AND seq = ?2");
    chat.prepare_cached(sql)?.query_row([int(room.0), int(seq.0)], rows::message).optional()
}

/// Another one, and the same `seq` may be another message.
///
/// # Errors
/// What SQLite says.
pub fn epoch(chat: &Connection) -> Result<String> {
    chat.prepare_cached("SELECT coalesce(epoch, '') FROM raft_state")?.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Change, Report};
    use crate::chat::objects::RoomKind;
    use crate::chat_db::read_only;
    use crate::ids::SubscriptionId;
    use crate::storage::testing::{TestDir, batch, command, committed, send, setup, started};

    #[test]
    fn what_is_on_is_listed_with_where_its_room_ends_and_whether_it_may_be_served() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob"], 1);
        let room = Change::CreateRoom { name: "b".into(), kind: RoomKind::Private, topic: String::new() };
        commands.push(command("bob", "room", room));
        let subscribe = |user: &str, room: u64| {
            let change = Change::CreateSubscription {
                room: RoomId(room),
                url: format!("http://{user}"),
                secret: "s".into(),
            };
            command(user, &format!("subscribe {room}"), change)
        };
        commands.extend([subscribe("ann", 1), subscribe("bob", 2), send("ann", 1, "1", "one")]);
        let invite = Change::Invite { room: RoomId(2), user: "ann".into() };
        commands.extend([command("bob", "in", invite), send("ann", 2, "2", "two")]);
        store.apply(&[committed(2, batch(7, &commands))], || false).unwrap();
        let chat = read_only::open(store.path(), 100).unwrap();
        let seen = |chat: &Connection| {
            let listed = listed(chat).unwrap().into_iter();
            let seen = listed.map(|one| (one.row.url, one.row.delivered.0, one.last_seq.0, one.allowed));
            seen.collect::<Vec<_>>()
        };
        assert_eq!(
            seen(&chat),
            [("http://ann".to_owned(), 0, 1, true), ("http://bob".to_owned(), 0, 1, true)]
        );
        assert_eq!(message(&chat, RoomId(2), Seq(1)).unwrap().unwrap().text, "two");
        assert_eq!(message(&chat, RoomId(2), Seq(2)).unwrap(), None);

        let leave = command("bob", "leave", Change::Leave { room: RoomId(2) });
        let off = Report {
            subscription: SubscriptionId(1),
            delivered: Seq(1),
            failing_since: 1,
            error: "no answer".into(),
            off: true,
        };
        let given_up = command("", "report", Change::Delivered { reports: vec![off] });
        store.apply(&[committed(3, batch(8, &[leave, given_up]))], || false).unwrap();
        assert_eq!(seen(&chat), [("http://bob".to_owned(), 0, 1, false)]);
    }
}
