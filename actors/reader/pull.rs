//! What changed behind a cursor: the rows of the five tables that people see, merged by `at`.
//!
//! Rows are states: what changed twice comes once, as it is now, at the `at` of its last change. So a
//! page that ends at some `at` and the next one that begins there leave nothing out, whatever
//! changes in between.

use std::collections::HashSet;

use rusqlite::{Result, Row, params};

use super::view::View;
use crate::chat::objects::{Event, Room, RoomKind, UserEvent};
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
                let seen = inside.contains(&row.room);
                Ok(seen.then(|| Event::Member {
                    at: row.at,
                    room: row.room,
                    user: row.user,
                    member: row.member,
                }))
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
        // As it was when one left: what happened in it since is not one's own.
        let last_seq = if room.kind == RoomKind::Public { room.last_seq } else { Seq(0) };
        return Some(Event::Room(Room { at, last_seq, ..room }));
    }
    // A room that changed after that is told with its own row.
    (room.at == at).then_some(Event::Room(room))
}
