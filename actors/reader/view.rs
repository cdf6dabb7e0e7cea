//! What may be seen of the tables, as of one moment.
//!
//! A user sees a room only while in it, and then all of it; of a public room anybody sees that it is
//! there. What one may not see is answered as what is not there.

use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};

use crate::chat::command::TokenHash;
use crate::chat::objects::{Message, Room, RoomKind, User, Version};
use crate::chat::rules;
use crate::chat::tables::{MemberRow, UserRow, VersionRow};
use crate::chat_db::entries;
use crate::chat_db::pages::{self, PageError, Position};
use crate::chat_db::rows::{self, columns, int, number, rooms_of};
use crate::ids::{At, LogIndex, RoomId, Seq};
use crate::messages::reading::{HistoryPage, PageOf, SessionUser, StatePageAnswer};

/// The tables as of one moment: a read transaction that is open.
pub struct View<'c> {
    pub(super) conn: &'c Connection,
    pub(super) at: At,
}

/// A room joined with one user's membership in it, if there is a row of it: for [`room_seen_by`].
macro_rules! room_and_membership {
    () => {
        "SELECT rooms.at, rooms.room, name, kind, topic, creator, last_seq, mine.at, mine.member
         FROM rooms LEFT JOIN members AS mine ON mine.room = rooms.room AND mine.user = ?1"
    };
}
pub(super) use room_and_membership;

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
    pub fn session_of(&self, token_hash: &TokenHash) -> Result<Option<SessionUser>> {
        self.one(
            "SELECT users.at, name, display, role, password_hash, deleted, disabled, bot
             FROM sessions JOIN users ON users.name = sessions.user
             WHERE token_hash = ?1 AND ended = 0 AND deleted = 0 AND disabled = 0",
            [token_hash],
            |row| Ok(SessionUser { user: rows::profile(row)?.1, rights: rows::rights(row)? }),
        )
    }

    pub fn account(&self, name: &str) -> Result<Option<UserRow>> {
        self.one(concat!("SELECT ", columns!(user), " FROM users WHERE name = ?1"), [name], rows::user)
    }

    /// What a message said and says, the oldest first.
    pub fn versions(&self, user: &str, room: RoomId, seq: Seq) -> Result<Option<Vec<Version>>> {
        let Some(message) = self.message(user, room, seq)? else { return Ok(None) };
        if message.deleted {
            return Ok(Some(Vec::new()));
        }
        let mut versions = self.kept_versions(room, seq)?;
        // Never edited, or while not every node kept what was before.
        if versions.last().is_none_or(|last| last.version != message.version) {
            let time = versions.last().map_or(message.time, |last| last.time);
            versions.push(Version { version: message.version, text: message.text, time });
        }
        Ok(Some(versions))
    }

    /// What is kept of the versions of a message, the oldest first.
    pub(super) fn kept_versions(&self, room: RoomId, seq: Seq) -> Result<Vec<Version>> {
        let kept = self.all(
            concat!(
                "SELECT ",
                columns!(version),
                " FROM versions WHERE room = ?1 AND seq = ?2 AND gone = 0 ORDER BY version"
            ),
            [int(room.0), int(seq.0)],
            rows::version,
        )?;
        let version = |row: VersionRow| Version { version: row.version, text: row.text, time: row.time };
        Ok(kept.into_iter().map(version).collect())
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

    /// Accounts by name, deleted ones too. `pattern`, in lower case, is of the name or of the shown one.
    pub fn users(&self, pattern: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<User>> {
        let sql = concat!("SELECT ", columns!(user), " FROM users WHERE name > ?1 ORDER BY name");
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query([after.unwrap_or_default()])?;
        let mut users = Vec::new();
        while users.len() < limit
            && let Some(row) = found.next()?
        {
            let [name, display] = [row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?];
            if fits(pattern, name) || fits(pattern, &display.to_lowercase()) {
                users.push(rows::profile(row)?.1);
            }
        }
        Ok(users)
    }

    /// Public rooms and the user's own, by name, direct ones last. A direct one has the names of the
    /// others for a name. `all`: for an admin, private rooms of others as well; else `None`.
    pub fn rooms(&self, user: &str, pattern: Option<&str>, all: bool) -> Result<Option<Vec<Room>>> {
        if all && !self.is_admin(user)? {
            return Ok(None);
        }
        let mut rooms = self.all(
            concat!(
                room_and_membership!(),
                " WHERE kind = 'public' OR mine.member = 1 OR (?2 AND kind = 'private')
                 ORDER BY kind = 'direct', name"
            ),
            params![user, all],
            |row| room_seen_by(row, user),
        )?;
        rooms.retain(|room| match room.kind {
            RoomKind::Direct => room.users.iter().any(|other| other != user && fits(pattern, other)),
            RoomKind::Public | RoomKind::Private => fits(pattern, &room.name),
        });
        Ok(Some(rooms))
    }

    /// Who is in a room, by name; `None` when the user is not.
    pub fn members(&self, user: &str, room: RoomId) -> Result<Option<Vec<User>>> {
        if !self.is_member(room, user)? {
            return Ok(None);
        }
        let users = self.all(
            "SELECT users.at, name, display, role, password_hash, deleted, disabled, bot
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
        let sql = concat!(rooms_of!("?1"), " ORDER BY room");
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

    /// The replicated rows behind `after`, encoded, unless this node is behind `horizon`.
    pub fn state_page(&self, after: At, horizon: At, bytes_max: usize) -> Result<StatePageAnswer> {
        if self.at < horizon.max(after) {
            return Ok(StatePageAnswer::Behind(self.at));
        }
        let page = pages::read(self.conn, after, bytes_max).and_then(|page| page.encode());
        match page {
            Ok(bytes) => Ok(StatePageAnswer::Page(bytes.into())),
            Err(PageError::Sqlite(error)) => Err(error),
            Err(other) => Err(rusqlite::Error::UserFunctionError(other.into())),
        }
    }

    pub fn position(&self) -> Result<Position> {
        pages::position(self.conn)
    }

    fn is_member(&self, room: RoomId, user: &str) -> Result<bool> {
        let sql = "SELECT member FROM members WHERE room = ?1 AND user = ?2";
        Ok(self.one(sql, params![int(room.0), user], |row| row.get(0))?.unwrap_or(false))
    }

    pub(super) fn one<T>(
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
pub(super) fn room_seen_by(row: &Row<'_>, user: &str) -> Result<Room> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::chat::command::{Change, Command};
    use crate::reader::ReadPool;
    use crate::storage::Store;
    use crate::storage::testing::{TestDir, batch, command, committed, send, setup, started};

    /// ann, bob and cleo in rooms 1 and 2; ann and bob's direct one is 3, cleo's private one is 4.
    pub fn people(more: Vec<Command>) -> (TestDir, Store, ReadPool) {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob", "cleo"], 2);
        let users = vec!["ann".to_owned(), "bob".to_owned()];
        commands.push(command("ann", "direct", Change::OpenDirect { users }));
        let (name, kind, topic) = ("secret".to_owned(), RoomKind::Private, String::new());
        commands.push(command("cleo", "secret", Change::CreateRoom { name, kind, topic }));
        commands.extend(more);
        let piece = store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        for (origin, outcome) in piece.applied.outcomes {
            assert!(outcome.is_ok(), "{origin:?}: {outcome:?}");
        }
        let pool = ReadPool::open(store.path(), 2).unwrap();
        (dir, store, pool)
    }

    #[test]
    fn history_pages_both_ways_and_only_inside() {
        let sends = (1..=5).map(|n| send("ann", 1, &n.to_string(), &format!("text {n}"))).collect();
        let (_dir, _store, pool) = people(sends);
        for (page, limit, expected, more) in [
            (PageOf::Newest, 2, vec![4, 5], true),
            (PageOf::Newest, 5, vec![1, 2, 3, 4, 5], false),
            (PageOf::Before(Seq(4)), 2, vec![2, 3], true),
            (PageOf::Before(Seq(3)), 2, vec![1, 2], false),
            (PageOf::Before(Seq(1)), 2, vec![], false),
            (PageOf::Before(Seq(u64::MAX)), 1, vec![5], true),
            (PageOf::After(Seq(0)), 2, vec![1, 2], true),
            (PageOf::After(Seq(3)), 2, vec![4, 5], false),
            (PageOf::After(Seq(u64::MAX)), 2, vec![], false),
        ] {
            let found = pool.read(|view| view.history("bob", RoomId(1), page, limit)).unwrap().unwrap();
            let seqs: Vec<_> = found.messages.iter().map(|message| message.seq.0).collect();
            assert_eq!((seqs, found.more), (expected, more), "{page:?} by {limit}");
        }
        for room in [3, 4, 9] {
            let found = pool.read(|view| view.history("cleo", RoomId(room), PageOf::Newest, 1)).unwrap();
            assert_eq!(found.is_some(), room == 4);
        }
        let one = |user: &str, seq| pool.read(|view| view.message(user, RoomId(1), Seq(seq))).unwrap();
        assert_eq!(one("bob", 2).unwrap().text, "text 2");
        assert!(one("bob", 6).is_none() && one("nobody", 2).is_none());
    }

    #[test]
    fn versions_of_a_message() {
        let edit = |id: &str, text: &str, keep| {
            let change =
                Change::Edit { room: RoomId(1), seq: Seq(1), text: text.into(), version: None, keep };
            command("ann", id, change)
        };
        let sends = vec![send("ann", 1, "1", "one"), send("ann", 1, "2", "alone")];
        let (_dir, mut store, pool) = people(sends);
        let texts = |user: &str, seq| {
            let versions = pool.read(|view| view.versions(user, RoomId(1), Seq(seq))).unwrap();
            let shown = |version: Version| format!("{} {}", version.version, version.text);
            versions.map(|versions| versions.into_iter().map(shown).collect::<Vec<_>>().join(", "))
        };
        assert_eq!(texts("bob", 2).unwrap(), "1 alone");
        store.apply(&[committed(3, batch(5, &[edit("a", "two", true)]))], || false).unwrap();
        assert_eq!(texts("bob", 1).unwrap(), "1 one, 2 two");
        store.apply(&[committed(4, batch(6, &[edit("b", "three", false)]))], || false).unwrap();
        assert_eq!(texts("bob", 1).unwrap(), "1 one, 2 two, 3 three");
        store.apply(&[committed(5, batch(7, &[edit("c", "four", true)]))], || false).unwrap();
        assert_eq!(texts("bob", 1).unwrap(), "1 one, 2 two, 3 three, 4 four");
        assert_eq!((texts("nobody", 1), texts("bob", 9)), (None, None));
        let delete = command("ann", "d", Change::Delete { room: RoomId(1), seqs: vec![Seq(1)] });
        store.apply(&[committed(6, batch(8, &[delete]))], || false).unwrap();
        assert_eq!(texts("bob", 1).unwrap(), "");
        let left = "SELECT count(*) FROM versions WHERE text <> ''";
        let left: i64 = pool.read(|view| view.conn.query_row(left, [], |row| row.get(0))).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn lists_show_what_is_public_and_what_is_ones_own() {
        let leave = command("cleo", "leave", Change::Leave { room: RoomId(2) });
        let shown = command("ann", "profile", Change::SetProfile { display: "Änne Weiß".into() });
        let (_dir, _store, pool) = people(vec![leave, shown]);
        let rooms = |user: &str, pattern: Option<&str>| {
            let rooms = pool.read(|view| view.rooms(user, pattern, false)).unwrap().unwrap();
            rooms.iter().map(|room| (room.room.0, room.member)).collect::<Vec<_>>()
        };
        assert_eq!(rooms("ann", None), [(1, true), (2, true), (3, true)]);
        assert_eq!(rooms("cleo", None), [(1, true), (2, false), (4, true)]);
        assert_eq!(rooms("cleo", Some("s*t")), [(4, true)]);
        assert_eq!(rooms("ann", Some("b?b")), [(3, true)]);
        assert_eq!(rooms("ann", Some("room[12]")), []);

        let users = |pattern, after, limit| {
            let users = pool.read(|view| view.users(pattern, after, limit)).unwrap();
            users.into_iter().map(|user| user.name).collect::<Vec<_>>()
        };
        assert_eq!(users(None, None, 2), ["ann", "bob"]);
        assert_eq!(users(None, Some("bob"), 2), ["cleo"]);
        assert_eq!(users(Some("*o*"), None, 9), ["bob", "cleo"]);
        assert_eq!(users(Some("*ä?ne*"), None, 9), ["ann"]);
        assert_eq!(users(Some("ann"), None, 9), ["ann"]);

        let members = |user: &str, room| {
            let members = pool.read(|view| view.members(user, RoomId(room))).unwrap();
            members.map(|users| users.into_iter().map(|user| user.name).collect::<Vec<_>>())
        };
        assert_eq!(members("ann", 2).unwrap(), ["ann", "bob"]);
        assert_eq!(members("cleo", 2), None);
    }

    #[test]
    fn a_token_is_somebodys_until_its_session_ends() {
        let logout = command("bob", "out", Change::Logout { token_hash: [1; 32] });
        let (_dir, _store, pool) = people(vec![logout]);
        let session_of = |token: [u8; 32]| pool.read(|view| view.session_of(&token)).unwrap();
        assert_eq!(session_of([0; 32]).unwrap().user.name, "ann");
        assert_eq!(session_of([1; 32]), None);
        assert_eq!(session_of([9; 32]), None);
        let account = pool.read(|view| view.account("bob")).unwrap().unwrap();
        assert_eq!((account.password_hash.as_str(), account.display.as_str()), ("hash", "BOB"));
        assert_eq!(pool.read(|view| view.account("nobody")).unwrap(), None);
    }

    #[test]
    fn a_view_is_of_one_moment_and_cannot_write() {
        let (_dir, mut store, pool) = people(vec![]);
        let before = pool.read(|view| Ok(view.at())).unwrap();
        let seen = pool
            .read(|view| {
                let first = view.history("ann", RoomId(1), PageOf::Newest, 9)?;
                store.apply(&[committed(3, batch(1, &[send("ann", 1, "1", "text")]))], || false).unwrap();
                let second = view.history("ann", RoomId(1), PageOf::Newest, 9)?;
                Ok((first.unwrap().messages.len(), second.unwrap().messages.len(), view.at()))
            })
            .unwrap();
        assert_eq!(seen, (0, 0, before));
        assert!(pool.read(|view| Ok(view.at())).unwrap() > before);
        assert!(pool.read(|view| view.conn.execute("DELETE FROM users", [])).is_err());
    }
}
