//! What is on the screen, and what keys (`handling`) and news do to it. Pure: what is to be asked and written comes out
//! as acts.

mod draft;
mod handling;

use std::collections::HashMap;

use serde_json::{Value, json};

use self::draft::Draft;
use crate::chat::frames::{self, Message, Outcome, Room, User, Welcome};
use crate::chat::input::Input;
use crate::chat::keep::Item;
use crate::chat::places::Place;
use crate::chat::state::{Phase, State};
use crate::chat::talk;

/// Messages that are asked for at once.
const PAGE: u64 = 100;

/// What is to be done, in this order.
#[derive(Debug, PartialEq)]
pub enum Act {
    Ask {
        op: &'static str,
        fields: Value,
        then: Then,
    },
    /// Into the outbox.
    Write {
        op: &'static str,
        room: u64,
        fields: Value,
    },
    /// Out of the outbox, and into it again if it is to be tried again.
    Discard {
        item: Box<Item>,
        again: bool,
    },
    Redraw,
    Quit,
}

/// What an answer is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    Newest {
        room: u64,
        is_local: bool,
    },
    Older(u64),
    Found,
    /// One wants to enter the room of this name.
    Entering(String),
    /// A room to open, and what to say in it.
    Open {
        text: String,
    },
    Members,
    Nothing,
}

/// What one is doing.
#[derive(Debug, Default, PartialEq)]
pub enum Mode {
    #[default]
    Writing,
    /// A message is picked, by its `seq`.
    Picking(u64),
    /// A picked message is to be deleted, if that is meant.
    Deleting(u64),
    /// The emoji with which one reacts to a picked message.
    Reacting(u64),
    Choosing,
    Searching,
    Results {
        found: Vec<Message>,
        place: usize,
    },
    Help,
}

#[derive(Default)]
pub struct Desk {
    pub state: State,
    pub mode: Mode,
    pub current: Option<u64>,
    /// What is being written in the current room.
    pub draft: Draft,
    /// What is looked for while choosing and searching, and the emoji while reacting.
    pub filter: Input,
    /// The message at the foot; the newest if `None`.
    pub foot: Option<u64>,
    /// Where what was unread begins, as it was when the room was opened.
    pub new_from: Option<u64>,
    pub notice: Option<String>,
    pub outbox: Vec<Item>,
    /// Who is writing in the current room.
    pub writers: Vec<String>,
    /// The first and last message that were drawn.
    pub shown: Option<(u64, u64)>,
    /// What was begun in other rooms.
    drafts: HashMap<u64, Draft>,
    /// Where to begin, by name.
    wanted: Option<Place>,
    older_asked: bool,
}

impl Desk {
    pub fn new(wanted: Option<Place>) -> Self {
        Self { wanted, ..Self::default() }
    }

    pub fn welcome(&mut self, welcome: &Welcome) -> Vec<Act> {
        let is_anew = self.state.welcome(welcome);
        self.older_asked = false;
        if self.current.is_some_and(|room| !self.state.rooms.contains_key(&room)) {
            self.leave();
        }
        if is_anew {
            self.foot = None;
        }
        let mut acts = Vec::new();
        if let Some(place) = self.wanted.take() {
            match place.among(&welcome.rooms, &welcome.user.name) {
                Some(room) => self.open(room.room, &mut acts),
                None => self.notice = Some("you are not in that room: /join it".into()),
            }
        }
        match self.current {
            Some(room) => self.load(room, &mut acts),
            None => {
                let listed = self.state.listed();
                let first = listed.iter().find(|(room, _)| self.state.rooms[room].room.unread > 0);
                if let Some((room, _)) = first.or(listed.first()) {
                    self.open(*room, &mut acts);
                }
            }
        }
        acts
    }

    pub fn event(&mut self, event: &frames::Event) -> Vec<Act> {
        self.state.event(event);
        self.trim();
        let mut acts = Vec::new();
        match self.current {
            Some(room) if !self.state.rooms.contains_key(&room) => {
                self.notice = Some("you are no longer in that room".into());
                self.leave();
                self.next_room(1, &mut acts);
            }
            Some(room) => self.load(room, &mut acts),
            None => self.next_room(1, &mut acts),
        }
        acts
    }

    pub fn lost(&mut self) {
        self.state.phase = Phase::Lost;
    }

    pub fn answered(&mut self, then: Then, outcome: Outcome) -> Vec<Act> {
        let mut acts = Vec::new();
        let reply = match outcome {
            Ok(reply) => reply,
            Err(problem) => {
                self.older_asked &= !matches!(then, Then::Older(_));
                match then {
                    // Without a majority a node still shows what it has.
                    Then::Newest { room, is_local: false } => acts.push(history(room, None, "local")),
                    // Loaded when the next news comes.
                    Then::Newest { room, .. } => {
                        if let Some(seen) = self.state.rooms.get_mut(&room) {
                            seen.is_loaded = false;
                        }
                    }
                    Then::Found
                        if problem.code == "bad_request" && problem.message.contains("unknown op") =>
                    {
                        self.notice =
                            Some("this chat cannot be searched: its servers do not offer it".into());
                    }
                    _ => self.notice = Some(problem.message),
                }
                return acts;
            }
        };
        match then {
            Then::Newest { room, .. } | Then::Older(room) => {
                self.older_asked &= !matches!(then, Then::Older(_));
                let more = reply["more"] == true;
                let is_newest = matches!(then, Then::Newest { .. });
                self.state.page(room, frames::messages(&reply), more, is_newest);
                if let Some(room) = self.current {
                    self.load(room, &mut acts);
                }
            }
            Then::Found => {
                let found = frames::messages(&reply);
                if found.is_empty() {
                    self.notice = Some("nothing found".into());
                    self.mode = Mode::Writing;
                } else {
                    self.notice = None;
                    self.mode = Mode::Results { found, place: 0 };
                }
            }
            Then::Entering(name) => {
                let rooms: Vec<Room> = frames::list(&reply, "rooms");
                match Place::Named(name.clone()).among(&rooms, &self.state.me) {
                    Some(room) => acts.push(Act::Ask {
                        op: "join",
                        fields: json!({"room": room.room}),
                        then: Then::Open { text: String::new() },
                    }),
                    None => self.notice = Some(format!("there is no room {name} that you may enter")),
                }
            }
            Then::Open { text } => match serde_json::from_value::<Room>(reply["room"].clone()) {
                Ok(room) => {
                    let number = room.room;
                    self.state.enter(room);
                    self.open(number, &mut acts);
                    if !text.is_empty() {
                        acts.push(Act::Write {
                            op: "send",
                            room: number,
                            fields: talk::message(&text, None),
                        });
                    }
                }
                Err(error) => self.notice = Some(format!("the node's answer is not a room: {error}")),
            },
            Then::Members => {
                let users: Vec<User> = frames::list(&reply, "users");
                let name = |user: &User| format!("{}{}", user.name, if user.online { " (here)" } else { "" });
                let names: Vec<String> = users.iter().map(name).collect();
                self.notice = Some(format!("in this room: {}", names.join(", ")));
            }
            Then::Nothing => {}
        }
        acts
    }

    /// What was written was refused for good.
    pub fn refused(&mut self, why: &str) {
        self.notice = Some(format!("not sent: {why}; /again or /drop"));
    }

    /// What was entered could not be kept: it is written here still.
    pub fn not_kept(&mut self, op: &str, fields: &Value) {
        let begun = std::mem::take(&mut self.draft);
        self.draft.input.set(fields["text"].as_str().unwrap_or_default());
        self.draft.reply_to = fields["reply_to"].as_u64();
        self.draft.editing = fields["seq"].as_u64().filter(|_| op == "edit");
        self.draft.lay_on(Some(begun));
    }

    /// What of the current room is read by now: to be told to the servers.
    pub fn read_up_to(&mut self) -> Option<(u64, u64)> {
        let room = self.current?;
        let seen = self.state.rooms.get(&room)?;
        let last = seen.messages.keys().next_back().copied()?;
        if self.foot.is_some()
            || last <= seen.room.read_seq
            || !matches!(self.state.phase, Phase::Connected { .. })
        {
            return None;
        }
        self.state.read(room, last);
        Some((room, last))
    }

    /// Older messages, when the first that is held is in view.
    pub fn older(&mut self) -> Option<Act> {
        let room = self.current?;
        let seen = self.state.rooms.get(&room)?;
        let first = seen.messages.keys().next().copied()?;
        let is_near = self.shown.is_some_and(|(shown, _)| shown <= first + PAGE / 4);
        if self.older_asked || !seen.has_older || !is_near || seen.is_full() {
            return None;
        }
        self.older_asked = true;
        let reads = if self.state.quorum { "linearizable" } else { "local" };
        Some(history(room, Some(first), reads))
    }

    pub fn paste(&mut self, text: &str) {
        match self.mode {
            Mode::Choosing | Mode::Searching | Mode::Reacting(_) => {
                self.filter.insert(&text.replace(['\r', '\n'], " "));
            }
            Mode::Writing => self.draft.input.insert(text),
            _ => {}
        }
    }

    /// Rooms whose name holds what is looked for.
    pub fn choices(&self) -> Vec<(u64, String)> {
        let part = self.filter.text().to_lowercase();
        let is_it = |(_, title): &(u64, String)| title.to_lowercase().contains(&part);
        self.state.listed().into_iter().filter(is_it).collect()
    }

    fn next_room(&mut self, step: isize, acts: &mut Vec<Act>) {
        let listed = self.state.listed();
        if listed.is_empty() {
            return;
        }
        let place = listed.iter().position(|(room, _)| Some(*room) == self.current);
        let count = listed.len();
        let next = match (place, step) {
            (None, _) => 0,
            (Some(place), 1..) => (place + 1) % count,
            (Some(place), _) => (place + count - 1) % count,
        };
        self.open(listed[next].0, acts);
    }

    fn open(&mut self, room: u64, acts: &mut Vec<Act>) {
        if self.current != Some(room) {
            self.leave();
            let kept = self.drafts.remove(&room);
            if self.draft.is_begun() {
                // While no room was open.
                self.draft.lay_on(kept);
            } else {
                self.draft = kept.unwrap_or_default();
            }
            self.current = Some(room);
            self.older_asked = false;
            self.shown = None;
            let seen = self.state.rooms.get(&room);
            self.new_from = seen.filter(|seen| seen.room.unread > 0).map(|seen| seen.room.read_seq + 1);
        }
        self.foot = None;
        self.mode = Mode::Writing;
        self.load(room, acts);
    }

    /// Looks at no room; what was begun in the one that was looked at is kept.
    fn leave(&mut self) {
        let Some(room) = self.current.take() else { return };
        let draft = std::mem::take(&mut self.draft);
        if draft.is_begun() {
            self.drafts.insert(room, draft);
        }
    }

    /// Lets go of what is too much. Who looks back sees it stay, up to a bound.
    fn trim(&mut self) {
        self.state.trim(self.current.filter(|_| self.foot.is_some()));
        let seen = self.current.and_then(|room| self.state.rooms.get(&room));
        let first = seen.and_then(|seen| seen.messages.keys().next().copied());
        self.foot = self.foot.filter(|foot| first.is_some_and(|first| *foot >= first));
    }

    /// The newest messages, unless they are there.
    fn load(&mut self, room: u64, acts: &mut Vec<Act>) {
        let Some(seen) = self.state.rooms.get_mut(&room) else { return };
        if !seen.is_loaded {
            // Asked for now; a hole that shows meanwhile asks again.
            seen.is_loaded = true;
            acts.push(history(room, None, "linearizable"));
        }
    }
}

fn history(room: u64, before: Option<u64>, read: &str) -> Act {
    let mut fields = json!({"room": room, "limit": PAGE, "read": read});
    let then = match before {
        Some(seq) => {
            fields["before"] = seq.into();
            Then::Older(room)
        }
        None => Then::Newest { room, is_local: read == "local" },
    };
    Act::Ask { op: "history", fields, then }
}

#[cfg(test)]
pub mod tests;
