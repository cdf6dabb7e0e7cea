//! One client's stream of events: its session resumes from the cursor on whichever node, page by page
//! from the tables, then follows what the Hub's own core (`hub::shelf`) hands it. What the client has
//! been told must in the end be what the tables show its user.

use std::collections::BTreeMap;

use chat_actors::chat::model::Model;
use chat_actors::chat::objects::Event;
use chat_actors::chat::outcome::{Audience, Notice};
use chat_actors::chat::tables::{Row, Tables};
use chat_actors::hub::shelf::{Out, Shelf};
use chat_actors::ids::{At, RoomId, Seq};
use chat_actors::messages::hub::{CaughtUp, Pass, SessionKey};
use serde_json::Value;

use super::Failure;
use super::bugs::Bug;

/// A row as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    User(String),
    Member(RoomId, String),
    Read(RoomId),
    Mute(RoomId),
    Message(RoomId, Seq),
}

/// One connection, as the node's session keeps it (see `session::stream`).
struct Session {
    key: SessionKey,
    /// Everything up to here was sent.
    cursor: At,
    /// The last event that the session itself has sent.
    told: At,
    page: Option<Page>,
    live: bool,
    /// What the Hub said and the session has not looked at yet.
    on_its_way: usize,
}

struct Page {
    events: Vec<Event>,
    up_to: At,
    end: bool,
    rooms: Vec<RoomId>,
}

pub struct Stream {
    user: String,
    /// The highest `at` of the events seen.
    cursor: At,
    session: Option<Session>,
    /// What the client holds: each row's `at`.
    view: BTreeMap<Key, At>,
    bug: Option<Bug>,
}

/// Every client comes in once a connection.
const PASS: Pass = Pass(1);

impl Stream {
    pub fn new(user: &str, bug: Option<Bug>) -> Self {
        Self { user: user.to_owned(), cursor: At(0), session: None, view: BTreeMap::new(), bug }
    }

    /// From here on the Hub keeps events for it.
    pub fn connect(&mut self, key: SessionKey, shelf: &mut Shelf, out: &mut Vec<Out>) {
        shelf.arrive(key);
        shelf.enter(key, PASS, &self.user, [0; 32], out);
        let cursor = match self.bug {
            Some(Bug::ResumeOffByOne) => self.cursor.next(),
            _ => self.cursor,
        };
        self.session = Some(Session { key, cursor, told: At(0), page: None, live: false, on_its_way: 0 });
    }

    pub fn disconnect(&mut self) -> Option<SessionKey> {
        self.session.take().map(|session| session.key)
    }

    pub fn key(&self) -> Option<SessionKey> {
        self.session.as_ref().map(|session| session.key)
    }

    /// Nothing is on its way that the client does not have.
    pub fn is_live(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.live && session.on_its_way == 0)
    }

    /// The Hub said something that the session will look at.
    pub fn expects(&mut self) {
        if let Some(session) = &mut self.session {
            session.on_its_way += 1;
        }
    }

    /// Reads one page of rows.
    pub fn read_page(&mut self, changes: &[Notice], model: &mut Model, limit: usize) {
        let Some(after) = self.session.as_ref().map(|session| session.cursor) else { return };
        let here = model.present();
        let events = self.page(changes, after, here, model, limit);
        let end = events.len() < limit;
        let up_to = if end { here } else { events.last().map_or(here, Event::at) };
        let Ok(rooms) = model.rooms_of(&self.user);
        if let Some(session) = &mut self.session {
            session.page = Some(Page { events, up_to, end, rooms });
        }
    }

    pub fn describe_page(&self) -> String {
        let Some(page) = self.session.as_ref().and_then(|session| session.page.as_ref()) else {
            return String::new();
        };
        let ats: Vec<_> = page.events.iter().map(|event| event.at().0).collect();
        format!(
            " from {}: {ats:?} up to {}, end {}, rooms {:?}",
            self.cursor, page.up_to, page.end, page.rooms
        )
    }

    /// Tells the page that was read, some time after; says whether another one must be read.
    pub fn tell_page(
        &mut self,
        model: &mut Model,
        shelf: &mut Shelf,
        out: &mut Vec<Out>,
    ) -> Result<bool, Failure> {
        let Some(page) = self.session.as_mut().and_then(|session| session.page.take()) else {
            return Ok(false);
        };
        for event in &page.events {
            self.told(event, model)?;
        }
        let Some(session) = &mut self.session else { return Ok(false) };
        session.told = page.events.last().map_or(session.told, Event::at);
        // A node that is behind the client's cursor has read less far than the client.
        session.cursor = session.cursor.max(page.up_to);
        if !page.end {
            return Ok(true);
        }
        session.live = true;
        let mut up_to = session.cursor;
        if self.bug == Some(Bug::BufferDropsOneTooMany) {
            up_to = up_to.next();
        }
        let Session { key, told, .. } = *session;
        shelf.caught_up(
            &CaughtUp { key, pass: PASS, up_to, rooms: page.rooms, rooms_at: page.up_to, told },
            out,
        );
        Ok(false)
    }

    /// Looks at what the Hub said; says whether pages must be read again.
    pub fn hear(
        &mut self,
        said: Out,
        model: &mut Model,
        shelf: &mut Shelf,
        out: &mut Vec<Out>,
    ) -> Result<bool, Failure> {
        let Some(session) = &mut self.session else { return Ok(false) };
        session.on_its_way -= 1;
        match said {
            Out::Deliver { key, pass, frames, up_to, .. } => {
                session.cursor = session.cursor.max(up_to);
                for frame in frames {
                    self.frame(&frame, model)?;
                }
                shelf.delivered(key, pass, out);
                Ok(false)
            }
            Out::FellBehind { .. } => {
                session.live = false;
                Ok(true)
            }
            Out::Ended { .. } | Out::Online { .. } | Out::Offline { .. } => Ok(false),
        }
    }

    /// The rows changed after `after`, as they are `here`, that the user may see; by rising `at`.
    fn page(&self, changes: &[Notice], after: At, here: At, model: &mut Model, limit: usize) -> Vec<Event> {
        let from = changes.partition_point(|notice| notice.event.at() <= after);
        let to = changes.partition_point(|notice| notice.event.at() <= here);
        let mut latest = BTreeMap::new();
        let mut page = Vec::new();
        for notice in changes[from.min(to)..to].iter().rev() {
            let at = notice.event.at();
            if *latest.entry(self.key_of(notice)).or_insert(at) == at && self.may_see(notice, model) {
                page.push(&notice.event);
            }
        }
        page.into_iter().rev().take(limit).cloned().collect()
    }

    /// An event as the page's JavaScript would see it.
    fn frame(&mut self, frame: &str, model: &mut Model) -> Result<(), Failure> {
        let value: Value = serde_json::from_str(frame).expect("the Hub encodes JSON");
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (at, room) = (At(number("at")), RoomId(number("room")));
        match value["ev"].as_str() {
            Some("cursor") => {
                self.cursor = self.cursor.max(at);
                return Ok(());
            }
            Some("user") => self.learn_at(at, Key::User(text("name")))?,
            Some("read") => self.learn_at(at, Key::Read(room))?,
            Some("mute") => self.learn_at(at, Key::Mute(room))?,
            Some("message") => self.learn_at(at, Key::Message(room, Seq(number("seq"))))?,
            Some("member") => self.member(at, Key::Member(room, text("user")), value["member"] == true)?,
            Some("room") => self.room(at, room, value["member"] == true, model)?,
            other => panic!("no such event: {other:?}"),
        }
        Ok(())
    }

    fn told(&mut self, event: &Event, model: &mut Model) -> Result<(), Failure> {
        let at = event.at();
        match event {
            Event::User(event) => self.learn_at(at, Key::User(event.user.name.clone())),
            Event::Read { room, .. } => self.learn_at(at, Key::Read(*room)),
            Event::Mute { room, .. } => self.learn_at(at, Key::Mute(*room)),
            Event::Message(message) => self.learn_at(at, Key::Message(message.room, message.seq)),
            Event::Member { room, user, member, .. } => {
                self.member(at, Key::Member(*room, user.clone()), *member)
            }
            Event::Room(room) => self.room(at, room.room, room.member, model),
        }
    }

    fn follows(&mut self, at: At) -> Result<(), Failure> {
        if at <= self.cursor {
            let what = format!("{} is told of {at} after {}", self.user, self.cursor);
            return Err(Failure { checker: "rising at in a stream", what });
        }
        self.cursor = at;
        Ok(())
    }

    fn learn_at(&mut self, at: At, key: Key) -> Result<(), Failure> {
        self.follows(at)?;
        self.learn(key, at);
        Ok(())
    }

    fn member(&mut self, at: At, key: Key, member: bool) -> Result<(), Failure> {
        self.follows(at)?;
        if member {
            self.learn(key, at);
        } else if self.view.get(&key).is_some_and(|known| *known < at) {
            self.view.remove(&key);
        }
        Ok(())
    }

    fn room(&mut self, at: At, room: RoomId, member: bool, model: &mut Model) -> Result<(), Failure> {
        self.follows(at)?;
        if member {
            self.load(room, model);
        } else {
            self.forget(room);
        }
        Ok(())
    }

    /// `room` with `member: true` is the sign to load that room's history and people.
    fn load(&mut self, room: RoomId, model: &mut Model) {
        if !self.is_in(room, model) {
            return;
        }
        let messages: Vec<_> =
            model.messages(room).map(|row| (Key::Message(room, row.message.seq), row.message.at)).collect();
        let Ok(people) = model.members(room);
        for user in people {
            if let Ok(Some(row)) = model.member(room, &user) {
                self.learn(Key::Member(room, user), row.at);
            }
        }
        for (key, at) in messages {
            self.learn(key, at);
        }
    }

    fn forget(&mut self, room: RoomId) {
        self.view.retain(|key, _| match key {
            Key::Member(of, _) | Key::Message(of, _) => *of != room,
            Key::User(_) | Key::Read(_) | Key::Mute(_) => true,
        });
    }

    /// The higher `at` wins.
    fn learn(&mut self, key: Key, at: At) {
        let known = self.view.entry(key).or_insert(at);
        *known = at.max(*known);
    }

    fn key_of(&self, notice: &Notice) -> Key {
        match (&notice.event, &notice.audience) {
            (Event::User(event), _) => Key::User(event.user.name.clone()),
            (Event::Message(message), _) => Key::Message(message.room, message.seq),
            (Event::Member { room, user, .. }, _) => Key::Member(*room, user.clone()),
            (Event::Room(room), Audience::User(user)) => Key::Member(room.room, user.clone()),
            (Event::Room(room), _) => Key::Member(room.room, String::new()),
            (Event::Mute { room, .. }, Audience::User(user)) if *user == self.user => Key::Mute(*room),
            (Event::Mute { room, .. }, _) => Key::User(format!("somebody mutes {room}")),
            (Event::Read { room, user, .. }, _) if *user == self.user => Key::Read(*room),
            // Another's mark: any key that is nobody's here.
            (Event::Read { room, user, .. }, _) => Key::User(format!("{user} reads {room}")),
        }
    }

    fn may_see(&self, notice: &Notice, model: &mut Model) -> bool {
        let mut is_in = |room| self.is_in(room, model);
        match (&notice.audience, &notice.event) {
            (Audience::Everybody, _) => true,
            (Audience::User(user), _) => *user == self.user,
            (Audience::RoomWithout(user), Event::Member { room, .. }) => *user != self.user && is_in(*room),
            (Audience::Room, Event::Message(message)) => is_in(message.room),
            (Audience::Room, Event::Room(room)) => is_in(room.room),
            (Audience::Room | Audience::RoomWithout(_), event) => {
                unreachable!("no such audience for {event:?}")
            }
        }
    }

    /// What the client holds is what the tables show its user.
    pub fn check_complete(&self, model: &mut Model) -> Result<(), Failure> {
        let mut expected = BTreeMap::new();
        for row in model.rows() {
            match row {
                Row::User(row) => expected.insert(Key::User(row.name), row.at),
                Row::Read(row) if row.user == self.user => expected.insert(Key::Read(row.room), row.at),
                Row::Mute(row) if row.user == self.user => expected.insert(Key::Mute(row.room), row.at),
                Row::Member(row) if row.member && self.is_in(row.room, model) => {
                    expected.insert(Key::Member(row.room, row.user), row.at)
                }
                Row::Message(row) if self.is_in(row.message.room, model) => {
                    expected.insert(Key::Message(row.message.room, row.message.seq), row.message.at)
                }
                _ => None,
            };
        }
        if expected == self.view {
            return Ok(());
        }
        let missing = expected.iter().find(|(key, at)| self.view.get(key) != Some(at));
        let extra = self.view.iter().find(|(key, _)| !expected.contains_key(key));
        let what = format!("{} at {} lacks {missing:?}, holds {extra:?} too many", self.user, self.cursor);
        Err(Failure { checker: "no hole in a stream", what })
    }

    fn is_in(&self, room: RoomId, model: &mut Model) -> bool {
        matches!(model.member(room, &self.user), Ok(Some(row)) if row.member)
    }
}
