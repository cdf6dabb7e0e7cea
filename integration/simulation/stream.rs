//! One client's stream of events: it resumes from its cursor on whichever node, then follows live.
//! What it has been told must in the end be what the tables show its user.

use std::collections::BTreeMap;

use chat_actors::chat::model::Model;
use chat_actors::chat::objects::Event;
use chat_actors::chat::outcome::{Audience, Notice};
use chat_actors::chat::tables::{Row, Tables};
use chat_actors::ids::{At, RoomId, Seq};

use super::Failure;
use super::bugs::Bug;

/// Events that may wait while the rows are read.
const BUFFER_MAX: usize = 16;

/// A row as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    User(String),
    Member(RoomId, String),
    Read(RoomId),
    Message(RoomId, Seq),
}

#[derive(Debug)]
enum Mode {
    Off,
    /// Registered; live events wait in the buffer while pages of rows are read.
    Pulling {
        buffer: Vec<Event>,
        overflown: bool,
        page: Option<Page>,
    },
    Live,
}

#[derive(Debug)]
struct Page {
    events: Vec<Event>,
    /// It is the last one, and ends here.
    last: Option<At>,
}

pub struct Stream {
    user: String,
    /// The highest `at` of the events seen.
    cursor: At,
    mode: Mode,
    /// What the client holds: each row's `at`.
    view: BTreeMap<Key, At>,
    bug: Option<Bug>,
}

impl Stream {
    pub fn new(user: &str, bug: Option<Bug>) -> Self {
        Self { user: user.to_owned(), cursor: At(0), mode: Mode::Off, view: BTreeMap::new(), bug }
    }

    pub fn connect(&mut self) {
        self.mode = Mode::Pulling { buffer: Vec::new(), overflown: false, page: None };
    }

    pub fn disconnect(&mut self) {
        self.mode = Mode::Off;
    }

    pub fn is_connected(&self) -> bool {
        !matches!(self.mode, Mode::Off)
    }

    pub fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live)
    }

    /// The node applied a change; `model` is as it was right after it.
    pub fn published(&mut self, notice: &Notice, model: &mut Model) -> Result<(), Failure> {
        if !self.is_connected() || !self.may_see(notice, model) {
            return Ok(());
        }
        match &mut self.mode {
            Mode::Off => Ok(()),
            Mode::Live => self.deliver(&notice.event, model),
            Mode::Pulling { buffer, overflown, .. } => {
                if buffer.len() >= BUFFER_MAX {
                    *overflown = true;
                    buffer.clear();
                }
                if !*overflown {
                    buffer.push(notice.event.clone());
                }
                Ok(())
            }
        }
    }

    /// Reads one page of rows. A node that is behind the cursor is asked again later: `false`.
    pub fn read_page(&mut self, changes: &[Notice], model: &mut Model, limit: usize) -> bool {
        let here = model.present();
        if here < self.cursor || !self.is_connected() {
            return false;
        }
        let mut after = self.cursor;
        if self.bug == Some(Bug::ResumeOffByOne) {
            after = after.next();
        }
        let events = self.page(changes, after, here, model, limit);
        let last = (events.len() < limit).then_some(here);
        if let Mode::Pulling { page, .. } = &mut self.mode {
            *page = Some(Page { events, last });
        }
        true
    }

    /// Tells the page that was read, some time after; says whether the stream is live now.
    pub fn tell_page(&mut self, model: &mut Model) -> Result<bool, Failure> {
        let Mode::Pulling { buffer, overflown, page } = &mut self.mode else { return Ok(true) };
        let (buffered, overflown) = (std::mem::take(buffer), std::mem::take(overflown));
        let Some(page) = page.take() else { return Ok(false) };
        for event in &page.events {
            self.deliver(event, model)?;
        }
        let Some(mut end) = page.last.filter(|_| !overflown) else {
            if let (Mode::Pulling { buffer, .. }, false) = (&mut self.mode, overflown) {
                *buffer = buffered;
            }
            return Ok(false);
        };
        if self.bug == Some(Bug::BufferDropsOneTooMany) {
            end = end.next();
        }
        self.mode = Mode::Live;
        for event in buffered.iter().filter(|event| event.at() > end) {
            self.deliver(event, model)?;
        }
        Ok(true)
    }

    /// The rows changed after `after`, as they are `here`, that the user may see; by rising `at`.
    fn page(&self, changes: &[Notice], after: At, here: At, model: &mut Model, limit: usize) -> Vec<Event> {
        let from = changes.partition_point(|notice| notice.event.at() <= after);
        let to = changes.partition_point(|notice| notice.event.at() <= here);
        let mut latest = BTreeMap::new();
        let mut page = Vec::new();
        for notice in changes[from.min(to)..to].iter().rev() {
            let at = notice.event.at();
            if *latest.entry(self.key(notice)).or_insert(at) == at && self.may_see(notice, model) {
                page.push(&notice.event);
            }
        }
        page.into_iter().rev().take(limit).cloned().collect()
    }

    fn deliver(&mut self, event: &Event, model: &mut Model) -> Result<(), Failure> {
        let at = event.at();
        if at <= self.cursor {
            let what = format!("{} is told of {at} after {}", self.user, self.cursor);
            return Err(Failure { checker: "rising at in a stream", what });
        }
        self.cursor = at;
        match event {
            Event::User(event) => self.learn(Key::User(event.user.name.clone()), at),
            Event::Read { room, .. } => self.learn(Key::Read(*room), at),
            Event::Message(message) => self.learn(Key::Message(message.room, message.seq), at),
            Event::Member { room, user, member: true, .. } => {
                self.learn(Key::Member(*room, user.clone()), at)
            }
            Event::Member { room, user, member: false, .. } => {
                self.view.remove(&Key::Member(*room, user.clone()));
            }
            Event::Room(room) if room.member => self.load(room.room, model),
            Event::Room(room) => self.forget(room.room),
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
            Key::User(_) | Key::Read(_) => true,
        });
    }

    /// The higher `at` wins.
    fn learn(&mut self, key: Key, at: At) {
        let known = self.view.entry(key).or_insert(at);
        *known = at.max(*known);
    }

    fn key(&self, notice: &Notice) -> Key {
        match (&notice.event, &notice.audience) {
            (Event::User(event), _) => Key::User(event.user.name.clone()),
            (Event::Message(message), _) => Key::Message(message.room, message.seq),
            (Event::Member { room, user, .. }, _) => Key::Member(*room, user.clone()),
            (Event::Room(room), Audience::User(user)) => Key::Member(room.room, user.clone()),
            (Event::Room(room), _) => Key::Member(room.room, String::new()),
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
