//! Pages of an export. What one user gets is what its rooms are as of each page: who is removed from a room
//! while the lines come gets no more of it.

use rusqlite::{Params, Result, Row, params};

use super::view::View;
use crate::chat::portable::{
    End, Line, Place, PortableBot, PortableMessage, PortableRoom, PortableSubscription,
};
use crate::chat::tables::SubscriptionRow;
use crate::chat_db::rows::{self, columns, int, number, rooms_of};
use crate::ids::{At, RoomId, Seq, SubscriptionId};
use crate::messages::reading::ExportedPage;

/// The rooms of which one page looks at messages, at most: many may hold none.
const ROOMS_MAX: usize = 200;
/// Bytes of a page that are set aside before its lines are written.
const PAGE_BYTES: usize = 64 * 1024;
/// What a line takes besides its texts, about.
const LINE_BYTES: usize = 150;

/// The rooms that the user `?1` is in; all of them when that is NULL.
macro_rules! in_view {
    ($room:literal) => {
        concat!("(?1 IS NULL OR ", $room, " IN (", rooms_of!("?1"), "))")
    };
}

/// What a page gathers.
struct Gathering {
    lines: Vec<Line>,
    /// How many more bytes fit.
    room_left: usize,
}

impl Gathering {
    fn add(&mut self, line: Line) {
        self.room_left = self.room_left.saturating_sub(size(&line));
        self.lines.push(line);
    }

    fn is_full(&self) -> bool {
        self.room_left == 0
    }
}

impl View<'_> {
    /// The lines behind a place, of everything or of what `user` may see; `None`: there is no such user.
    pub fn export_page(
        &self,
        user: Option<&str>,
        after: &Place,
        up_to: At,
        bytes_max: usize,
    ) -> Result<Option<ExportedPage>> {
        if let Some(name) = user
            && self.account(name)?.is_none_or(|row| row.deleted)
        {
            return Ok(None);
        }
        let mut page = Gathering { lines: Vec::new(), room_left: bytes_max };
        let mut next = Some(after.clone());
        while let Some(place) = &next
            && !page.is_full()
        {
            next = self.export_some(user, place, up_to, &mut page)?;
            if matches!(next, Some(Place::Messages(..))) {
                // After each round: whether to go on with messages is counted in rooms.
                break;
            }
        }
        let mut counted = End::default();
        let mut text = Vec::with_capacity(bytes_max.min(PAGE_BYTES));
        for line in &page.lines {
            counted.count(line);
            serde_json::to_writer(&mut text, line)
                .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
            text.push(b'\n');
        }
        Ok(Some(ExportedPage { text: text.into(), counted, next }))
    }

    /// Adds what is behind a place in its table, as far as it fits.
    fn export_some(
        &self,
        user: Option<&str>,
        after: &Place,
        up_to: At,
        page: &mut Gathering,
    ) -> Result<Option<Place>> {
        match after {
            Place::Users(name) => {
                let sql = concat!("SELECT ", columns!(user), " FROM users WHERE name > ?1 ORDER BY name");
                let last = self.gather(page, sql, [name], |row| Ok(Line::User(rows::profile(row)?.1)))?;
                Ok(Some(match last {
                    Some(Line::User(last)) => Place::Users(last.name),
                    _ => Place::Rooms(RoomId(0)),
                }))
            }
            Place::Rooms(room) => {
                let sql = concat!(
                    "SELECT ",
                    columns!(room),
                    " FROM rooms WHERE room > ?2 AND ",
                    in_view!("room"),
                    " ORDER BY room"
                );
                let line = |row: &Row<'_>| Ok(Line::Room(PortableRoom::of(rows::room(row)?, user.is_none())));
                let last = self.gather(page, sql, params![user, int(room.0)], line)?;
                Ok(Some(match last {
                    Some(Line::Room(last)) => Place::Rooms(last.room),
                    _ => Place::Members(RoomId(0), String::new()),
                }))
            }
            Place::Members(room, name) => {
                let sql = concat!(
                    "SELECT room, user FROM members WHERE (room, user) > (?2, ?3) AND member = 1 AND ",
                    in_view!("room"),
                    " ORDER BY room, user"
                );
                let line =
                    |row: &Row<'_>| Ok(Line::Member { room: RoomId(number(row, 0)?), user: row.get(1)? });
                let last = self.gather(page, sql, params![user, int(room.0), name], line)?;
                Ok(Some(match last {
                    Some(Line::Member { room, user }) => Place::Members(room, user),
                    _ => Place::Messages(RoomId(0), Seq(0)),
                }))
            }
            Place::Messages(room, seq) => self.export_messages(user, (*room, *seq), up_to, page),
            Place::Reads(name, room) => {
                let sql = concat!(
                    "SELECT user, room, seq FROM reads WHERE (user, room) > (?2, ?3)
                     AND (?1 IS NULL OR user = ?1) AND ",
                    in_view!("room"),
                    " ORDER BY user, room"
                );
                let line = |row: &Row<'_>| {
                    let (room, seq) = (RoomId(number(row, 1)?), Seq(number(row, 2)?));
                    Ok(Line::Read { room, user: row.get(0)?, seq })
                };
                let last = self.gather(page, sql, params![user, name, int(room.0)], line)?;
                Ok(Some(match last {
                    Some(Line::Read { room, user, .. }) => Place::Reads(user, room),
                    _ => Place::Mutes(String::new(), RoomId(0)),
                }))
            }
            Place::Mutes(name, room) => {
                let sql = concat!(
                    "SELECT user, room FROM mutes WHERE (user, room) > (?2, ?3) AND muted = 1
                     AND (?1 IS NULL OR user = ?1) AND ",
                    in_view!("room"),
                    " ORDER BY user, room"
                );
                let line =
                    |row: &Row<'_>| Ok(Line::Mute { room: RoomId(number(row, 1)?), user: row.get(0)? });
                let last = self.gather(page, sql, params![user, name, int(room.0)], line)?;
                Ok(match last {
                    Some(Line::Mute { room, user }) => Some(Place::Mutes(user, room)),
                    // What follows is for who may see everything.
                    _ => user.is_none().then(|| Place::Bots(String::new())),
                })
            }
            Place::Bots(name) => self.export_bots(name, page),
            Place::Subscriptions(id) => self.export_subscriptions(*id, page),
        }
    }

    /// Those that nobody has given anything to do here have no line.
    fn export_bots(&self, after: &str, page: &mut Gathering) -> Result<Option<Place>> {
        let sql = concat!(
            "SELECT ",
            columns!(user),
            " FROM users WHERE name > ?1 AND bot IS NOT NULL AND deleted = 0 AND bot ->> 'owner' <> ''
             ORDER BY name"
        );
        let line = |row: &Row<'_>| {
            let user = rows::user(row)?;
            let bot = user.bot.and_then(|bot| PortableBot::of(user.name, bot));
            bot.map(Line::Bot).ok_or(rusqlite::Error::QueryReturnedNoRows)
        };
        Ok(Some(match self.gather(page, sql, [after], line)? {
            Some(Line::Bot(last)) => Place::Bots(last.name),
            _ => Place::Subscriptions(SubscriptionId(0)),
        }))
    }

    fn export_subscriptions(&self, after: SubscriptionId, page: &mut Gathering) -> Result<Option<Place>> {
        let sql = concat!(
            "SELECT ",
            columns!(subscription),
            " FROM subscriptions WHERE subscription > ?1 AND state <> 'gone' ORDER BY subscription"
        );
        let line = |row: &Row<'_>| {
            let SubscriptionRow { subscription: id, room, url, by, .. } = rows::subscription(row)?;
            Ok(Line::Subscription(PortableSubscription { id, room, url, by }))
        };
        Ok(match self.gather(page, sql, [int(after.0)], line)? {
            Some(Line::Subscription(last)) => Some(Place::Subscriptions(last.id)),
            _ => None,
        })
    }

    /// Messages behind a place, and those of the next rooms while they fit.
    fn export_messages(
        &self,
        user: Option<&str>,
        (mut room, mut seq): (RoomId, Seq),
        up_to: At,
        page: &mut Gathering,
    ) -> Result<Option<Place>> {
        let sql = concat!(
            "SELECT ",
            columns!(message),
            " FROM messages WHERE room = ?2 AND seq > ?3 AND sent_at <= ?4 AND ",
            in_view!("room"),
            " ORDER BY seq"
        );
        let line = |row: &Row<'_>| {
            let message = rows::message(row)?;
            let versions = match message.edited && !message.deleted {
                true => self.kept_versions(message.room, message.seq)?,
                false => Vec::new(),
            };
            Ok(Line::Message(Box::new(PortableMessage::of(message, versions))))
        };
        for _ in 0..ROOMS_MAX {
            let key = params![user, int(room.0), int(seq.0), int(up_to.0)];
            if let Some(Line::Message(last)) = self.gather(page, sql, key, line)? {
                return Ok(Some(Place::Messages(room, last.seq)));
            }
            let sql = concat!(
                "SELECT room FROM rooms WHERE room > ?2 AND ",
                in_view!("room"),
                " ORDER BY room LIMIT 1"
            );
            let Some(next) = self.one(sql, params![user, int(room.0)], |row| number(row, 0))? else {
                return Ok(Some(Place::Reads(String::new(), RoomId(0))));
            };
            (room, seq) = (RoomId(next), Seq(0));
        }
        Ok(Some(Place::Messages(room, seq)))
    }

    /// Adds rows while they fit. Gives the last one if there may be more behind it.
    fn gather(
        &self,
        page: &mut Gathering,
        sql: &str,
        key: impl Params,
        line: impl Fn(&Row<'_>) -> Result<Line>,
    ) -> Result<Option<Line>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query(key)?;
        while let Some(row) = found.next()? {
            page.add(line(row)?);
            if page.is_full() {
                return Ok(page.lines.last().cloned());
            }
        }
        Ok(None)
    }
}

fn size(line: &Line) -> usize {
    LINE_BYTES
        + match line {
            Line::Message(message) => {
                let versions = message.versions.iter().map(|version| LINE_BYTES + version.text.len());
                let reactions = message.reactions.values().map(|names| LINE_BYTES * names.len());
                let files = message.files.len() * 2 * LINE_BYTES;
                message.text.len() + versions.sum::<usize>() + reactions.sum::<usize>() + files
            }
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Change, Command};
    use crate::chat::objects::RoomKind;
    use crate::reader::ReadPool;
    use crate::storage::testing::{TestDir, batch, command, committed, setup, started};

    const LATE: At = At(u64::MAX >> 1);

    fn read(page: &ExportedPage) -> Vec<Line> {
        let text = std::str::from_utf8(&page.text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All lines, so many bytes a page.
    fn lines(pool: &ReadPool, user: Option<&str>, up_to: At, bytes_max: usize) -> Vec<Line> {
        let (mut lines, mut next) = (Vec::new(), Some(Place::start()));
        while let Some(place) = next {
            let page = pool.read(|view| view.export_page(user, &place, up_to, bytes_max)).unwrap().unwrap();
            lines.extend(read(&page));
            next = page.next;
        }
        lines
    }

    fn send(user: &str, id: &str, room: u64, text: &str) -> Command {
        let change = Change::Send { room: RoomId(room), text: text.into(), reply_to: None };
        command(user, id, change)
    }

    fn room_of(line: &Line) -> Option<u64> {
        match line {
            Line::Room(room) => Some(room.room.0),
            Line::Member { room, .. } | Line::Read { room, .. } | Line::Mute { room, .. } => Some(room.0),
            Line::Message(message) => Some(message.room.0),
            Line::Subscription(subscription) => Some(subscription.room.0),
            Line::Bot(bot) => bot.hook.map(|room| room.0),
            Line::Header(_) | Line::User(_) | Line::End(_) | Line::Unknown => None,
        }
    }

    /// ann and bob share the rooms 1 and 2; in 3, 4 (left by ann) and 5 ann is not.
    fn chat(dir: &TestDir) -> (crate::storage::Store, ReadPool) {
        let (mut store, _) = started(dir);
        let mut commands = setup(&["ann", "bob", "cleo"], 2);
        let create =
            |name: &str, kind| Change::CreateRoom { name: name.into(), kind, topic: "hidden topic".into() };
        commands.push(command("bob", "3", create("secret", RoomKind::Private)));
        commands.push(command("bob", "4", create("left", RoomKind::Public)));
        let users = vec!["bob".to_owned(), "cleo".to_owned()];
        commands.push(command("bob", "5", Change::OpenDirect { users }));
        commands.push(command("ann", "in", Change::Join { room: RoomId(4) }));
        for room in 1..=5 {
            commands.push(send("bob", &format!("b{room}"), room, &format!("bob in {room}")));
        }
        commands.push(send("ann", "a4", 4, "ann was here"));
        commands.push(command("ann", "read", Change::MarkRead { room: RoomId(4), seq: Seq(1) }));
        commands.push(command("ann", "out", Change::Leave { room: RoomId(4) }));
        for (user, room) in [("ann", 1), ("bob", 2), ("bob", 3)] {
            commands.push(command(
                user,
                &format!("mute {room}"),
                Change::Mute { room: RoomId(room), on: true },
            ));
        }
        commands.push(command("bob", "unmute", Change::Mute { room: RoomId(3), on: false }));
        let (name, display) = ("robot".to_owned(), "Robot".to_owned());
        let rights = vec!["read".to_owned()];
        commands.push(command(
            "ann",
            "bot",
            Change::CreateBot { name, display, rights, token_hash: [7; 32] },
        ));
        let (room, name, display) = (RoomId(2), "hook".to_owned(), "Hook".to_owned());
        commands.push(command(
            "ann",
            "hook",
            Change::CreateHook { room, name, display, token_hash: [8; 32] },
        ));
        for (id, secret) in [("s1", "a secret"), ("s2", "another secret")] {
            let (room, url) = (RoomId(1), format!("https://elsewhere/{id}"));
            commands.push(command(
                "ann",
                id,
                Change::CreateSubscription { room, url, secret: secret.into() },
            ));
        }
        let subscription = SubscriptionId(1);
        commands.push(command("ann", "gone", Change::DeleteSubscription { subscription }));
        let edit = Change::Edit {
            room: RoomId(1),
            seq: Seq(1),
            text: "bob edited".into(),
            version: None,
            keep: true,
        };
        commands.push(command("bob", "edit", edit));
        let piece = store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        assert!(piece.applied.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
        let pool = ReadPool::open(store.path(), 1).unwrap();
        (store, pool)
    }

    #[test]
    fn pages_of_any_size_give_the_same_lines() {
        let dir = TestDir::new();
        let (_store, pool) = chat(&dir);
        let whole = lines(&pool, None, LATE, 1 << 20);
        assert_eq!(whole, lines(&pool, None, LATE, 1));
        assert_eq!(whole, lines(&pool, None, LATE, 500));
        let count = |is: fn(&Line) -> bool| whole.iter().filter(|line| is(line)).count();
        assert_eq!(count(|line| matches!(line, Line::User(_))), 5);
        let rest = whole
            .iter()
            .filter(|line| matches!(line, Line::Mute { .. } | Line::Bot(_) | Line::Subscription(_)));
        let rest: Vec<_> = rest.map(|line| serde_json::to_string(line).unwrap()).collect();
        assert_eq!(
            rest,
            [
                r#"{"type":"mute","room":1,"user":"ann"}"#,
                r#"{"type":"mute","room":2,"user":"bob"}"#,
                r#"{"type":"bot","name":"hook","owner":"ann","rights":[],"hook":2}"#,
                r#"{"type":"bot","name":"robot","owner":"ann","rights":["read"]}"#,
                r#"{"type":"subscription","id":2,"room":1,"url":"https://elsewhere/s2","by":"ann"}"#,
            ]
        );
        assert_eq!(count(|line| matches!(line, Line::Room(_))), 5);
        assert_eq!(count(|line| matches!(line, Line::Message(_))), 6);
        let edited = whole.iter().find_map(|line| match line {
            Line::Message(message) if message.edited => Some(message),
            _ => None,
        });
        let said: Vec<_> = edited.unwrap().versions.iter().map(|version| version.text.as_str()).collect();
        assert_eq!(said, ["bob in 1", "bob edited"]);
    }

    #[test]
    fn a_user_gets_nothing_of_other_rooms() {
        let dir = TestDir::new();
        let (_store, pool) = chat(&dir);
        for bytes_max in [1, 300, 1 << 20] {
            let own = lines(&pool, Some("ann"), LATE, bytes_max);
            assert!(own.iter().filter_map(room_of).all(|room| room <= 2), "{own:?}");
            let text = serde_json::to_string(&own).unwrap();
            for hidden in [
                "\"bot\",",
                "elsewhere",
                "secret",
                "hidden topic",
                "in 3",
                "in 4",
                "in 5",
                "ann was here",
                "secret",
                "creator",
            ] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
            assert!(text.contains("bob edited") && text.contains("bob in 2"));
            let others = own.iter().any(|line| match line {
                Line::Read { user, .. } | Line::Mute { user, .. } => user != "ann",
                _ => false,
            });
            assert!(!others, "{own:?}");
            assert!(own.contains(&Line::Mute { room: RoomId(1), user: "ann".into() }));
        }
        let none = pool.read(|view| view.export_page(Some("nobody"), &Place::start(), LATE, 9)).unwrap();
        assert!(none.is_none());
        // A place that somebody made up leads nowhere.
        for place in [Place::Messages(RoomId(3), Seq(0)), Place::Messages(RoomId(4), Seq(0))] {
            let page = pool.read(|view| view.export_page(Some("ann"), &place, LATE, 1 << 20)).unwrap();
            assert!(read(&page.unwrap()).iter().filter_map(room_of).all(|room| room <= 2));
        }
    }

    #[test]
    fn who_is_removed_meanwhile_gets_no_more_and_later_messages_wait_for_the_next_time() {
        let dir = TestDir::new();
        let (mut store, pool) = chat(&dir);
        let at = pool.read(|view| Ok(view.at())).unwrap();
        let more = [
            send("bob", "late", 1, "too late"),
            send("bob", "more", 2, "out of sight"),
            command("ann", "leaves", Change::Leave { room: RoomId(2) }),
        ];
        store.apply(&[committed(3, batch(2, &more))], || false).unwrap();
        let place = Place::Messages(RoomId(2), Seq(0));
        let page = pool.read(|view| view.export_page(Some("ann"), &place, LATE, 1 << 20)).unwrap().unwrap();
        assert!(read(&page).iter().filter_map(room_of).all(|room| room != 2));
        let text = serde_json::to_string(&lines(&pool, None, at, 1 << 20)).unwrap();
        assert!(!text.contains("too late") && text.contains("bob in 1"));
    }
}
