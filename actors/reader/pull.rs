//! What changed behind a cursor: the rows of the six tables that people see, merged by `at`.
//!
//! Rows are states: what changed twice comes once, as it is now, at the `at` of its last change. So a
//! page that ends at some `at` and the next one that begins there leave nothing out, whatever
//! changes in between.

use std::collections::HashSet;

use rusqlite::{Result, Row, params};

use super::view::View;
use crate::chat::objects::{Event, Room, RoomKind, UserEvent};
use crate::chat::tables::MemberRow;
use crate::chat_db::rows::{self, columns, int, number};
use crate::ids::{At, RoomId, Seq};
use crate::messages::reading::PullPage;

/// Rows of one table that one read looks at. Who sees few of them gets a shorter page, soon.
const ROWS_MAX: usize = 20_000;

/// What a page gathers.
struct Gathering {
    after: At,
    limit: usize,
    rows_max: usize,
    events: Vec<Event>,
    /// Every table was read up to here.
    complete_to: At,
}

impl View<'_> {
    /// The events with `at` > `after` that the user may see, at most `limit` of them.
    pub fn pull(&self, user: &str, after: At, limit: usize) -> Result<PullPage> {
        self.pull_some(user, after, limit, ROWS_MAX)
    }

    fn pull_some(&self, user: &str, after: At, limit: usize, rows_max: usize) -> Result<PullPage> {
        let rooms = self.rooms_of(user)?;
        let inside: HashSet<RoomId> = rooms.iter().copied().collect();
        let mut page =
            Gathering { after, limit: limit.max(1), rows_max, events: Vec::new(), complete_to: self.at() };

        page.read(
            self,
            concat!("SELECT ", columns!(message), " FROM messages WHERE at > ?1 ORDER BY at"),
            |row| match inside.contains(&RoomId(number(row, 1)?)) {
                true => Ok(Some(Event::Message(rows::message(row)?))),
                false => Ok(None),
            },
        )?;
        page.read(
            self,
            concat!("SELECT ", columns!(member), " FROM members WHERE at > ?1 ORDER BY at"),
            |row| {
                let row = rows::member(row)?;
                if row.user == user {
                    return Ok(self.room(user, row.room)?.and_then(|room| own_membership(room, row.at)));
                }
                if !inside.contains(&row.room) {
                    return Ok(None);
                }
                let MemberRow { at, room, user, member } = row;
                Ok(Some(Event::Member { at, room, user, member }))
            },
        )?;
        page.read(self, "SELECT at, room FROM rooms WHERE at > ?1 ORDER BY at", |row| {
            let (at, room) = (rows::at(row, 0)?, RoomId(number(row, 1)?));
            if !inside.contains(&room) {
                return Ok(None);
            }
            // An older row than one's own membership is told with that.
            Ok(self.room(user, room)?.filter(|seen| seen.at == at).map(Event::Room))
        })?;
        page.read(
            self,
            concat!("SELECT ", columns!(user), " FROM users WHERE at > ?1 ORDER BY at"),
            |row| {
                let (at, user) = rows::profile(row)?;
                Ok(Some(Event::User(UserEvent { at, user })))
            },
        )?;
        // Few, one a room: by user, not by at.
        let reads = self.all(
            concat!("SELECT ", columns!(read), " FROM reads WHERE user = ?1 AND +at > ?2"),
            params![user, int(after.0)],
            rows::read,
        )?;
        page.events.extend(reads.into_iter().map(|row| Event::Read {
            at: row.at,
            room: row.room,
            user: row.user,
            seq: row.seq,
        }));

        let mutes = self.all(
            concat!("SELECT ", columns!(mute), " FROM mutes WHERE user = ?1 AND +at > ?2"),
            params![user, int(after.0)],
            rows::mute,
        )?;
        let muted = mutes.into_iter().map(|row| Event::Mute { at: row.at, room: row.room, muted: row.muted });
        page.events.extend(muted);

        let (events, up_to) = page.cut();
        Ok(PullPage { events, up_to, end: up_to == self.at(), rooms })
    }
}

impl Gathering {
    /// Adds what `see` lets through of one table, by rising `at`, until there is enough of it.
    fn read(
        &mut self,
        view: &View<'_>,
        sql: &str,
        mut see: impl FnMut(&Row<'_>) -> Result<Option<Event>>,
    ) -> Result<()> {
        let mut statement = view.conn.prepare_cached(sql)?;
        let mut found = statement.query([int(self.after.0)])?;
        let (mut looked_at, mut seen) = (0, 0);
        while let Some(row) = found.next()? {
            let at = rows::at(row, 0)?;
            if at > self.complete_to {
                break;
            }
            if let Some(event) = see(row)? {
                self.events.push(event);
                seen += 1;
            }
            looked_at += 1;
            if seen == self.limit || looked_at == self.rows_max {
                self.complete_to = at;
                break;
            }
        }
        Ok(())
    }

    /// The events in order, and up to where nothing is missing among them.
    fn cut(mut self) -> (Vec<Event>, At) {
        self.events.retain(|event| event.at() <= self.complete_to);
        self.events.sort_unstable_by_key(Event::at);
        if self.events.len() > self.limit {
            self.events.truncate(self.limit);
            self.complete_to = self.events.last().map_or(self.complete_to, Event::at);
        }
        (self.events, self.complete_to)
    }
}

/// One's own membership row, as the room event that it is.
fn own_membership(room: Room, at: At) -> Option<Event> {
    if !room.member {
        if room.kind == RoomKind::Public {
            return Some(Event::Room(Room { at, ..room }));
        }
        // What happened in it since one left is not one's own.
        let room =
            if room.at == at { room } else { Room { name: String::new(), topic: String::new(), ..room } };
        return Some(Event::Room(Room { at, last_seq: Seq(0), ..room }));
    }
    // A room that changed after that is told with its own row.
    (room.at == at).then_some(Event::Room(room))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chat::command::Change;
    use crate::chat::script::Script;
    use crate::chat::tables::{MuteRow, Row as TableRow};
    use crate::reader::ReadPool;
    use crate::storage::Store;
    use crate::storage::testing::{TestDir, batch, command, committed, send, setup, started};

    fn played(dir: &TestDir, seed: u64, steps: usize) -> Store {
        let (mut store, _) = started(dir);
        let steps: Vec<_> = Script::new(seed).take(steps).collect();
        for (index, steps) in (2..).zip(steps.chunks(16)) {
            let commands: Vec<_> = steps.iter().map(|step| step.command.clone()).collect();
            store.apply(&[committed(index, batch(steps[0].time_ms, &commands))], || false).unwrap();
        }
        store
    }

    /// The same rules, said once more over all rows at once.
    fn visible(rows: &[TableRow], user: &str) -> Vec<Event> {
        let own = |room: RoomId| -> Option<&MemberRow> {
            rows.iter().find_map(|row| match row {
                TableRow::Member(row) if row.room == room && row.user == user => Some(row),
                _ => None,
            })
        };
        let inside = |room: RoomId| own(room).is_some_and(|row| row.member);
        let last_seq = |room: RoomId| {
            let seqs = rows.iter().filter_map(|row| match row {
                TableRow::Message(row) if row.message.room == room => Some(row.message.seq),
                _ => None,
            });
            seqs.max().unwrap_or_default()
        };
        let mut events: Vec<Event> = rows
            .iter()
            .filter_map(|row| match row {
                TableRow::Message(row) => {
                    inside(row.message.room).then(|| Event::Message(row.message.clone()))
                }
                TableRow::Member(row) if row.user == user => {
                    let TableRow::Room(room) = rows
                        .iter()
                        .find(|other| matches!(other, TableRow::Room(room) if room.room == row.room))?
                    else {
                        return None;
                    };
                    let mut seen = room.seen(Some(row), last_seq(row.room));
                    if row.member {
                        return (room.at < row.at).then_some(Event::Room(seen));
                    }
                    if room.kind != RoomKind::Public {
                        seen.last_seq = Seq(0);
                        if room.at > row.at {
                            (seen.name, seen.topic) = (String::new(), String::new());
                        }
                    }
                    Some(Event::Room(Room { at: row.at, ..seen }))
                }
                TableRow::Member(row) => inside(row.room).then(|| Event::Member {
                    at: row.at,
                    room: row.room,
                    user: row.user.clone(),
                    member: row.member,
                }),
                TableRow::Read(row) => (row.user == user).then(|| Event::Read {
                    at: row.at,
                    room: row.room,
                    user: row.user.clone(),
                    seq: row.seq,
                }),
                TableRow::Mute(row) => {
                    let MuteRow { at, room, muted, .. } = *row;
                    (row.user == user).then_some(Event::Mute { at, room, muted })
                }
                TableRow::User(row) => Some(Event::User(UserEvent { at: row.at, user: row.seen() })),
                TableRow::Room(row) => {
                    let own = own(row.room).filter(|own| own.member && own.at < row.at)?;
                    Some(Event::Room(row.seen(Some(own), last_seq(row.room))))
                }
                TableRow::Session(_)
                | TableRow::Outcome(_)
                | TableRow::Version(_)
                | TableRow::Link(_)
                | TableRow::Setting(_)
                | TableRow::Attachment(_)
                | TableRow::Subscription(_) => None,
            })
            .collect();
        events.sort_by_key(Event::at);
        events
    }

    #[test]
    fn pages_of_any_size_from_any_cursor_are_together_all_that_one_may_see() {
        for seed in 0..3 {
            let dir = TestDir::new();
            let store = played(&dir, seed, 500);
            let pool = ReadPool::open(store.path(), 1).unwrap();
            let rows = store.rows().unwrap();
            let present = pool.read(|view| Ok(view.at())).unwrap();
            for user in ["ann", "bob", "hal", "nobody"] {
                let all = visible(&rows, user);
                assert!(all.len() > 5);
                for (limit, rows_max) in [(1, 999), (2, 3), (3, 999), (7, 1), (50, 20), (9_999, 9_999)] {
                    for after in [0, 3, 4, present.0 / 2, present.0 - 1, present.0, present.0 + 5] {
                        let mut found = Vec::new();
                        let mut cursor = At(after);
                        loop {
                            let page =
                                pool.read(|view| view.pull_some(user, cursor, limit, rows_max)).unwrap();
                            assert!(page.events.len() <= limit && page.up_to <= present);
                            assert!(page.events.iter().all(|event| event.at() <= page.up_to));
                            found.extend(page.events);
                            if page.end {
                                assert_eq!(page.up_to, present);
                                break;
                            }
                            assert!(page.up_to > cursor, "each page comes further");
                            cursor = page.up_to;
                        }
                        let expected: Vec<_> =
                            all.iter().filter(|event| event.at().0 > after).cloned().collect();
                        assert_eq!(found, expected, "{user} after {after} by {limit}, {rows_max} rows");
                    }
                }
                let page = pool.read(|view| view.pull(user, At(0), 1)).unwrap();
                let rooms: BTreeSet<_> = rows
                    .iter()
                    .filter_map(|row| match row {
                        TableRow::Member(row) if row.user == user && row.member => Some(row.room),
                        _ => None,
                    })
                    .collect();
                assert_eq!(page.rooms, rooms.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn who_left_is_told_that_and_nothing_of_what_came_after() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob"], 1);
        commands.push(send("ann", 1, "1", "before"));
        commands.push(command("bob", "leave", Change::Leave { room: RoomId(1) }));
        commands.push(send("ann", 1, "2", "after"));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();

        let seen = |user: &str| pool.read(|view| view.pull(user, At(0), 99)).unwrap();
        let texts = |page: &PullPage| {
            let texts = page.events.iter().filter_map(|event| match event {
                Event::Message(message) => Some(message.text.clone()),
                _ => None,
            });
            texts.collect::<Vec<_>>()
        };
        let (ann, bob) = (seen("ann"), seen("bob"));
        assert_eq!(texts(&ann), ["before", "after"]);
        assert_eq!(texts(&bob), Vec::<String>::new());
        let bobs: Vec<_> = bob
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Room(room) => Some((room.room, room.member)),
                _ => None,
            })
            .collect();
        assert_eq!(bobs, [(RoomId(1), false)]);
        assert!(bob.rooms.is_empty());
    }

    /// Told once, at its own place.
    #[test]
    fn a_room_that_changed_after_one_joined_is_told_at_its_own_at() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&["ann", "bob"], 2)))], || false).unwrap();
        let at = store.rows().unwrap().iter().map(TableRow::at).max().unwrap().next();
        store.change_for_test("UPDATE rooms SET at = ?1, topic = 'new' WHERE room = 1", at).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();
        let page = pool.read(|view| view.pull("bob", At(0), 99)).unwrap();
        let rooms: Vec<_> = page
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Room(room) => Some((room.room.0, room.at, room.topic.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(rooms.len(), 2, "{rooms:?}");
        assert_eq!(rooms[1], (1, at, "new"));
    }
}
