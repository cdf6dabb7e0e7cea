//! The rooms of one user, and what is unread in them.

use rusqlite::{Result, params};

use super::view::{View, room_and_membership, room_seen_by};
use crate::chat::mentions;
use crate::chat::objects::Room;
use crate::chat_db::rows::{int, number};
use crate::chat_db::tallies::{self, CALLS};
use crate::ids::{RoomId, Seq};
use crate::messages::reading::{HomeRoom, HomeView};

impl View<'_> {
    /// The rooms that the user is in, by name, direct ones last, each with what is unread in it.
    pub fn home(&self, user: &str) -> Result<HomeView> {
        let mine = self.all(
            concat!(room_and_membership!(), " WHERE mine.member = 1 ORDER BY kind = 'direct', name"),
            [user],
            |row| room_seen_by(row, user),
        )?;
        let rooms = mine.into_iter().map(|room| self.home_room(user, room)).collect::<Result<_>>()?;
        Ok(HomeView { at: self.at, rooms })
    }

    fn home_room(&self, user: &str, room: Room) -> Result<HomeRoom> {
        let read = self.one(
            "SELECT seq FROM reads WHERE user = ?1 AND room = ?2",
            params![user, int(room.room.0)],
            |row| number(row, 0),
        )?;
        let muted = self.one(
            "SELECT muted FROM mutes WHERE user = ?1 AND room = ?2",
            params![user, int(room.room.0)],
            |row| row.get(0),
        )?;
        let (read_seq, muted) = (Seq(read.unwrap_or(0)), muted.unwrap_or(false));
        let found = self.unread(user, room.room, read_seq, room.last_seq)?;
        Ok(HomeRoom { room, read_seq, unread: found.messages, mentions: self.mentions(user, found)?, muted })
    }

    /// What others wrote behind `after` and did not delete: whole blocks by their tallies, and one by one what
    /// lies before and behind those.
    fn unread(&self, user: &str, room: RoomId, after: Seq, last: Seq) -> Result<Unread> {
        let mut found = Unread::default();
        let whole = tallies::whole_behind(after, last);
        if whole.is_empty() {
            self.count(user, room, (after, last), &mut found)?;
            return Ok(found);
        }
        self.count(user, room, (after, tallies::before(whole.start)), &mut found)?;
        self.count(user, room, (tallies::before(whole.end), last), &mut found)?;
        let blocks = (int(whole.start), int(whole.end));
        let all = self.one(
            "SELECT coalesce(sum(messages), 0) FROM tallies
             WHERE room = ?1 AND user = '' AND block >= ?2 AND block < ?3",
            params![int(room.0), blocks.0, blocks.1],
            |row| number(row, 0),
        )?;
        found.messages += all.unwrap_or(0);
        let of_user = self.all(
            "SELECT what, sum(messages) FROM tallies
             WHERE room = ?1 AND user = ?2 AND block >= ?3 AND block < ?4 GROUP BY what",
            params![int(room.0), user, blocks.0, blocks.1],
            |row| Ok((row.get::<_, String>(0)?, number(row, 1)?)),
        )?;
        for (what, messages) in of_user {
            match what.strip_prefix(CALLS) {
                Some(tail) => found.calls.push((tail.to_owned(), messages)),
                None => found.messages -= messages,
            }
        }
        Ok(found)
    }

    /// Adds what lies behind the one place, up to the other.
    fn count(&self, user: &str, room: RoomId, (after, last): (Seq, Seq), found: &mut Unread) -> Result<()> {
        if after >= last {
            return Ok(());
        }
        let key = params![int(room.0), user, int(after.0), int(last.0)];
        let messages = self.one(
            "SELECT count(*) FROM messages
             WHERE room = ?1 AND seq > ?3 AND seq <= ?4 AND author <> ?2 AND deleted = 0",
            key,
            |row| number(row, 0),
        )?;
        found.messages += messages.unwrap_or(0);
        let calls = self.all(
            "SELECT tail, count(*) FROM mentions
             WHERE room = ?1 AND user = ?2 AND seq > ?3 AND seq <= ?4 GROUP BY tail",
            key,
            |row| Ok((row.get(0)?, number(row, 1)?)),
        )?;
        found.calls.extend(calls);
        Ok(())
    }

    /// How many of the calls mean the user, and not somebody with a longer name.
    fn mentions(&self, user: &str, found: Unread) -> Result<u64> {
        let mut all = 0;
        for (tail, messages) in found.calls {
            let mut of_another = false;
            for name in mentions::longer_names(user, &tail) {
                of_another |=
                    self.conn.prepare_cached("SELECT 1 FROM users WHERE name = ?1")?.exists([name])?;
            }
            if !of_another {
                all += messages;
            }
        }
        Ok(all)
    }
}

/// What somebody has not read of a room.
#[derive(Default)]
struct Unread {
    messages: u64,
    /// Where the user's name stands behind an `@`, by what of the name could go on there.
    calls: Vec<(String, u64)>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Unread;
    use crate::chat::command::{Change, Command};
    use crate::ids::{RoomId, Seq};
    use crate::reader::ReadPool;
    use crate::reader::view::tests::people;
    use crate::storage::testing::{LIVELY, Lively, TestDir, batch, command, committed, send, setup, started};

    /// Block by block or one by one: it comes to the same, wherever somebody has read to.
    #[test]
    fn what_is_counted_by_blocks_is_what_is_counted_one_by_one() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&LIVELY, 2)))], || false).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();
        let mut lively = Lively::new(7);
        let summed = |found: Unread| {
            let mut calls: BTreeMap<String, u64> = BTreeMap::new();
            for (tail, messages) in found.calls {
                *calls.entry(tail).or_default() += messages;
            }
            calls.retain(|_, messages| *messages > 0);
            (found.messages, calls)
        };
        for entry in 3..=70 {
            store.apply(&[committed(entry, batch(entry, &lively.commands(64)))], || false).unwrap();
            if entry % 16 != 6 {
                continue;
            }
            for user in LIVELY.into_iter().chain(["nobody"]) {
                pool.read(|view| {
                    let last = view.room(user, RoomId(1))?.unwrap().last_seq;
                    let near = [0, 1, 1_023, 1_024, 1_025, 2_048, last.0 - 1, last.0, last.0 + 9];
                    for after in near.into_iter().chain((0..last.0).step_by(391)).map(Seq) {
                        let mut one_by_one = Unread::default();
                        view.count(user, RoomId(1), (after, last), &mut one_by_one)?;
                        let by_blocks = view.unread(user, RoomId(1), after, last)?;
                        assert_eq!(summed(by_blocks), summed(one_by_one), "{user} after {after} of {last}");
                    }
                    Ok(())
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn home_counts_what_others_wrote_and_did_not_delete() {
        let mut more: Vec<_> = (1..=4).map(|n| send("ann", 1, &n.to_string(), "text")).collect();
        more.push(send("bob", 1, "own", "mine"));
        more.push(command("bob", "read", Change::MarkRead { room: RoomId(1), seq: Seq(1) }));
        more.push(command("ann", "gone", Change::Delete { room: RoomId(1), seqs: vec![Seq(3)] }));
        let (_dir, _store, pool) = people(more);
        let home = pool.read(|view| view.home("bob")).unwrap();
        let rooms: Vec<_> = home
            .rooms
            .iter()
            .map(|home| (home.room.room.0, home.room.last_seq.0, home.read_seq.0, home.unread))
            .collect();
        assert_eq!(rooms, [(1, 5, 1, 2), (2, 0, 0, 0), (3, 0, 0, 0)]);
        assert_eq!(home.rooms[2].room.users, ["ann", "bob"]);
        assert_eq!(home.rooms[2].room.name, "");
        assert_eq!(home.at, pool.read(|view| Ok(view.at())).unwrap());
    }

    #[test]
    fn home_counts_mentions_and_tells_what_is_muted() {
        let register = |name: &str, token: u8| {
            let change = Change::Register {
                display: name.into(),
                password_hash: "hash".into(),
                token_hash: [token; 32],
                first_is_admin: false,
                link: None,
                closed: false,
                agent: None,
            };
            command(name, "register", change)
        };
        let texts =
            ["@bob", "hi @BOB.", "x@bob @bobby", "@bob- and @bob.", "@bob @bob", "no", "@cleo. @bob!"];
        let mut more: Vec<_> =
            (1..).zip(texts).map(|(n, text)| send("ann", 1, &n.to_string(), text)).collect();
        more.push(send("bob", 1, "own", "@bob"));
        more.push(command("ann", "gone", Change::Delete { room: RoomId(1), seqs: vec![Seq(5)] }));
        let edit = |id: &str, seq, text: &str| {
            let change =
                Change::Edit { room: RoomId(1), seq: Seq(seq), text: text.into(), version: None, keep: true };
            command("ann", id, change)
        };
        more.extend([edit("e1", 6, "oh, @bob"), edit("e2", 7, "nobody")]);
        more.push(command("bob", "mute", Change::Mute { room: RoomId(2), on: true }));
        let (_dir, mut store, pool) = people(more);
        let counted = |user: &str| {
            let home = pool.read(|view| view.home(user)).unwrap();
            home.rooms.iter().map(|home| (home.mentions, home.muted)).collect::<Vec<_>>()
        };
        assert_eq!(counted("bob"), [(4, false), (0, true), (0, false)]);
        assert_eq!(counted("cleo"), [(0, false), (0, false), (0, false)]);
        let mut entry = 2;
        let mut apply = |commands: &[Command]| {
            entry += 1;
            store.apply(&[committed(entry, batch(1, commands))], || false).unwrap();
        };
        // Somebody of that very name was meant.
        apply(&[register("bob.", 8)]);
        assert_eq!(counted("bob")[0], (3, false));
        apply(&[command("bob", "read", Change::MarkRead { room: RoomId(1), seq: Seq(2) })]);
        assert_eq!(counted("bob")[0], (2, false));
        // Whoever was not there was not called.
        apply(&[send("ann", 1, "dan", "@dan"), register("dan", 9)]);
        apply(&[command("dan", "join", Change::Join { room: RoomId(1) })]);
        assert_eq!(counted("dan"), [(0, false)]);
    }
}
