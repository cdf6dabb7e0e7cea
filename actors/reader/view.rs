//! What may be seen of the tables, as of one moment.
//!
//! A user sees a room only while in it, and then all of it; of a public room anybody sees that it is
//! there. What one may not see is answered as what is not there.

use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};

use crate::chat::command::TokenHash;
use crate::chat::objects::{Message, Room, RoomKind, User};
use crate::chat::rules;
use crate::chat::tables::{MemberRow, UserRow};
use crate::chat_db::entries;
use crate::chat_db::rows::{self, columns, int, number};
use crate::ids::{At, LogIndex, RoomId, Seq};
use crate::messages::reading::{HistoryPage, HomeRoom, HomeView, PageOf};

/// The tables as of one moment: a read transaction that is open.
pub struct View<'c> {
    pub(super) conn: &'c Connection,
    at: At,
}

/// A room joined with one user's membership in it, if there is a row of it.
macro_rules! room_and_membership {
    () => {
        "SELECT rooms.at, rooms.room, name, kind, topic, creator, last_seq, mine.at, mine.member
         FROM rooms LEFT JOIN members AS mine ON mine.room = rooms.room AND mine.user = ?1"
    };
}

impl<'c> View<'c> {
    /// The connection must be in a transaction.
    pub(super) fn new(conn: &'c Connection) -> Result<Self> {
        let sql = "SELECT applied_at FROM raft_state";
        let at = conn.prepare_cached(sql)?.query_row([], |row| rows::at(row, 0))?;
        Ok(Self { conn, at })
    }

    /// The moment: the last `at` of the applied position.
    pub fn at(&self) -> At {
        self.at
    }

    /// Whose token this is, unless the session ended.
    pub fn session_of(&self, token_hash: &TokenHash) -> Result<Option<User>> {
        self.one(
            "SELECT users.at, name, display, role, password_hash, deleted
             FROM sessions JOIN users ON users.name = sessions.user
             WHERE token_hash = ?1 AND ended = 0 AND deleted = 0",
            [token_hash],
            |row| Ok(rows::profile(row)?.1),
        )
    }

    pub fn account(&self, name: &str) -> Result<Option<UserRow>> {
        self.one(concat!("SELECT ", columns!(user), " FROM users WHERE name = ?1"), [name], rows::user)
    }

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
        let read_seq = Seq(read.unwrap_or(0));
        if read_seq >= room.last_seq {
            return Ok(HomeRoom { room, read_seq, unread: 0 });
        }
        let unread = self.one(
            "SELECT count(*) FROM messages WHERE room = ?1 AND seq > ?2 AND author <> ?3 AND deleted = 0",
            params![int(room.room.0), int(read_seq.0), user],
            |row| number(row, 0),
        )?;
        Ok(HomeRoom { room, read_seq, unread: unread.unwrap_or(0) })
    }

    /// A page of a room by rising seq; `None` when the user is not in it.
    pub fn history(
        &self,
        user: &str,
        room: RoomId,
        page: PageOf,
        limit: usize,
    ) -> Result<Option<HistoryPage>> {
        if !self.is_member(room, user)? {
            return Ok(None);
        }
        let down = concat!(
            "SELECT ",
            columns!(message),
            " FROM messages WHERE room = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
        );
        let up = concat!(
            "SELECT ",
            columns!(message),
            " FROM messages WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
        );
        let (sql, from) = match page {
            PageOf::Newest => (down, i64::MAX),
            PageOf::Before(seq) => (down, int(seq.0)),
            PageOf::After(seq) => (up, int(seq.0)),
        };
        // One more than asked for tells whether there are more.
        let one_more = int(limit as u64).saturating_add(1);
        let mut messages = self.all(sql, params![int(room.0), from, one_more], rows::message)?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        if !matches!(page, PageOf::After(_)) {
            messages.reverse();
        }
        Ok(Some(HistoryPage { messages, more, at: self.at }))
    }

    pub fn message(&self, user: &str, room: RoomId, seq: Seq) -> Result<Option<Message>> {
        if !self.is_member(room, user)? {
            return Ok(None);
        }
        self.one(
            concat!("SELECT ", columns!(message), " FROM messages WHERE room = ?1 AND seq = ?2"),
            [int(room.0), int(seq.0)],
            rows::message,
        )
    }

    /// Accounts by name, deleted ones too.
    pub fn users(&self, pattern: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<User>> {
        let sql = concat!("SELECT ", columns!(user), " FROM users WHERE name > ?1 ORDER BY name");
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query([after.unwrap_or_default()])?;
        let mut users = Vec::new();
        while users.len() < limit
            && let Some(row) = found.next()?
        {
            if fits(pattern, row.get_ref(1)?.as_str()?) {
                users.push(rows::profile(row)?.1);
            }
        }
        Ok(users)
    }

    /// Public rooms and the user's own, by name, direct ones last. A direct one has the names of the
    /// others for a name.
    pub fn rooms(&self, user: &str, pattern: Option<&str>) -> Result<Vec<Room>> {
        let mut rooms = self.all(
            concat!(
                room_and_membership!(),
                " WHERE kind = 'public' OR mine.member = 1 ORDER BY kind = 'direct', name"
            ),
            [user],
            |row| room_seen_by(row, user),
        )?;
        rooms.retain(|room| match room.kind {
            RoomKind::Direct => room.users.iter().any(|other| other != user && fits(pattern, other)),
            RoomKind::Public | RoomKind::Private => fits(pattern, &room.name),
        });
        Ok(rooms)
    }

    /// Who is in a room, by name; `None` when the user is not.
    pub fn members(&self, user: &str, room: RoomId) -> Result<Option<Vec<User>>> {
        if !self.is_member(room, user)? {
            return Ok(None);
        }
        let users = self.all(
            "SELECT users.at, name, display, role, password_hash, deleted
             FROM members JOIN users ON users.name = members.user
             WHERE room = ?1 AND member = 1 ORDER BY members.user",
            [int(room.0)],
            |row| Ok(rows::profile(row)?.1),
        )?;
        Ok(Some(users))
    }

    /// A room as the user sees it, whatever the membership.
    pub(super) fn room(&self, user: &str, room: RoomId) -> Result<Option<Room>> {
        self.one(
            concat!(room_and_membership!(), " WHERE rooms.room = ?2"),
            params![user, int(room.0)],
            |row| room_seen_by(row, user),
        )
    }

    /// The rooms that the user is in, by number.
    pub fn rooms_of(&self, user: &str) -> Result<Vec<RoomId>> {
        let sql = "SELECT room FROM members WHERE user = ?1 AND member = 1 ORDER BY room";
        self.all(sql, [user], |row| number(row, 0).map(RoomId))
    }

    /// Log entries `[from, to)`: at least one when it is there, and at most `bytes_max` together.
    pub fn log_entries(
        &self,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<raft::eraftpb::Entry>> {
        entries::read(self.conn, from, to, bytes_max)
    }

    fn is_member(&self, room: RoomId, user: &str) -> Result<bool> {
        let sql = "SELECT member FROM members WHERE room = ?1 AND user = ?2";
        Ok(self.one(sql, params![int(room.0), user], |row| row.get(0))?.unwrap_or(false))
    }

    fn one<T>(
        &self,
        sql: &str,
        key: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.conn.prepare_cached(sql)?.query_row(key, read).optional()
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        key: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.conn.prepare_cached(sql)?.query_map(key, read)?.collect()
    }
}

/// Out of [`room_and_membership`].
fn room_seen_by(row: &Row<'_>, user: &str) -> Result<Room> {
    let room = rows::room(row)?;
    let mine = match row.get::<_, Option<bool>>(8)? {
        Some(member) => {
            Some(MemberRow { at: rows::at(row, 7)?, room: room.room, user: user.to_owned(), member })
        }
        None => None,
    };
    Ok(room.seen(mine.as_ref(), Seq(number(row, 6)?)))
}

fn fits(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| rules::matches(pattern, name))
}
