//! What `--follow` prints: each room's events without a hole, whatever becomes of nodes and connections. Pure.
//!
//! A room's messages are followed by `seq`. One that is not the next, a start from further back, or a stream that could
//! not be resumed asks for history; what comes meanwhile is held until that is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::frames::{Event, EventKind, Room, Welcome};

/// Events of a room that are held; those beyond are forgotten, and asked for as history.
const HELD_MAX: usize = 10_000;

#[derive(Debug, PartialEq)]
pub enum Step {
    /// An event as it came, or a message of the history as one.
    Print(Value),
    /// Ask for the room's messages behind this one.
    Ask { room: u64, after: u64 },
}

#[derive(Default)]
pub struct Feed {
    /// Every room, if none is named.
    only: Option<u64>,
    has_begun: bool,
    /// The stream's events are known up to this `at`.
    seen: u64,
    rooms: BTreeMap<u64, Track>,
}

struct Track {
    /// The next message.
    next: u64,
    load: Option<Load>,
    /// The `at` of messages that were printed from history and may still come as events.
    printed: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Load {
    held: Vec<Event>,
    has_forgotten: bool,
    /// How far the stream was when it was begun: what changed later comes as an event too.
    since: u64,
}

impl Feed {
    /// Of one room, from behind this message on; the stream is known up to `seen`.
    pub fn of_room(room: u64, last: u64, seen: u64) -> Self {
        let rooms = BTreeMap::from([(room, Track::from(last + 1))]);
        Self { only: Some(room), has_begun: true, seen, rooms }
    }

    /// What to ask first.
    pub fn begin(&mut self) -> Vec<Step> {
        self.rooms.iter_mut().map(|(room, track)| track.ask(*room, self.seen)).collect()
    }

    pub fn welcome(&mut self, welcome: &Welcome) -> Vec<Step> {
        let mut steps = Vec::new();
        if !welcome.resumed {
            self.seen = welcome.cursor;
        }
        let rooms = welcome.rooms.iter().filter(|room| self.only.is_none_or(|only| only == room.room));
        for Room { room, last_seq, .. } in rooms {
            let Some(track) = self.rooms.get_mut(room) else {
                // From now on.
                self.rooms.insert(*room, Track::from(last_seq + 1));
                continue;
            };
            let is_gap = !welcome.resumed && self.has_begun;
            // A chat that was restored from a copy ends earlier.
            if is_gap && *last_seq + 1 < track.next {
                track.next = last_seq + 1;
            }
            if is_gap && *last_seq >= track.next && track.load.is_none() {
                steps.push(track.ask(*room, self.seen));
            }
        }
        self.has_begun = true;
        steps
    }

    pub fn event(&mut self, event: Event) -> Vec<Step> {
        let before = self.seen;
        self.seen = event.at.unwrap_or(before).max(before);
        let Some(room) = event.room() else { return Vec::new() };
        if event.at.is_none() || self.only.is_some_and(|only| only != room) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        // A room that one has entered begins with what comes first.
        if let EventKind::Message(message) = &event.kind {
            self.rooms.entry(room).or_insert_with(|| Track::from(message.seq));
        }
        match self.rooms.get_mut(&room) {
            Some(track) => track.take(room, event, before, &mut steps),
            None => steps.push(Step::Print(event.frame)),
        }
        steps
    }

    /// A page of history: messages by rising `seq` as JSON.
    pub fn page(&mut self, room: u64, reply: &Value) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(track) = self.rooms.get_mut(&room) else { return steps };
        let Some(load) = &mut track.load else { return steps };
        for message in reply["messages"].as_array().into_iter().flatten() {
            let (Some(seq), Some(at)) = (message["seq"].as_u64(), message["at"].as_u64()) else { continue };
            if seq >= track.next {
                track.next = seq + 1;
                if at > load.since {
                    track.printed.insert(seq, at);
                }
                let mut message = message.clone();
                message["ev"] = "message".into();
                steps.push(Step::Print(message));
            }
        }
        if reply["more"] == true || load.has_forgotten {
            load.has_forgotten = reply["more"] == true && load.has_forgotten;
            steps.push(Step::Ask { room, after: track.next - 1 });
            return steps;
        }
        let held = track.load.take().map(|load| load.held).unwrap_or_default();
        for event in held {
            let before = event.at.unwrap_or_default().saturating_sub(1);
            track.take(room, event, before, &mut steps);
        }
        steps
    }

    /// One is not in that room any more.
    pub fn forget(&mut self, room: u64) {
        self.rooms.remove(&room);
    }

    /// What to ask again: the answer did not come.
    pub fn unanswered(&self, room: u64) -> Option<Step> {
        let track = self.rooms.get(&room)?;
        track.load.is_some().then(|| Step::Ask { room, after: track.next - 1 })
    }
}

impl Track {
    fn from(next: u64) -> Self {
        Self { next, load: None, printed: BTreeMap::new() }
    }

    fn ask(&mut self, room: u64, since: u64) -> Step {
        self.load = Some(Load { since, ..Load::default() });
        Step::Ask { room, after: self.next - 1 }
    }

    /// Takes the stream's next event; `before` is how far it was until then.
    fn take(&mut self, room: u64, event: Event, before: u64, steps: &mut Vec<Step>) {
        if let Some(load) = &mut self.load {
            if load.held.len() < HELD_MAX {
                load.held.push(event);
            } else {
                load.has_forgotten = true;
            }
            return;
        }
        let at = event.at.unwrap_or_default();
        if let EventKind::Message(message) = &event.kind {
            if message.seq > self.next {
                steps.push(self.ask(room, before));
                self.take(room, event, before, steps);
                return;
            }
            let known = self.printed.get(&message.seq).is_some_and(|printed| *printed >= at);
            self.printed.retain(|_, printed| *printed > at);
            if known {
                return;
            }
            self.next = self.next.max(message.seq + 1);
        }
        steps.push(Step::Print(event.frame));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::frames::{self, Frame};

    fn welcome(last_seq: u64, resumed: bool) -> Welcome {
        let welcome = json!({
            "user": {"name": "ann"}, "node": "node1", "cursor": 0, "epoch": "e", "resumed": resumed,
            "rooms": [{"room": 1, "name": "general", "last_seq": last_seq}],
        });
        serde_json::from_value(welcome).unwrap()
    }

    fn message(seq: u64, at: u64) -> Value {
        json!({"ev": "message", "at": at, "room": 1, "seq": seq, "from": "bob", "text": "x"})
    }

    fn event(frame: &Value) -> Event {
        match frames::read(frame.to_string().as_bytes()) {
            Some(Frame::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn printed(steps: &[Step]) -> Vec<(u64, u64)> {
        let place = |step: &Step| match step {
            Step::Print(frame) => Some((frame["seq"].as_u64()?, frame["at"].as_u64()?)),
            Step::Ask { .. } => None,
        };
        steps.iter().filter_map(place).collect()
    }

    #[test]
    fn from_now_on_each_message_once_and_then_its_changes() {
        let mut feed = Feed::of_room(1, 4, 0);
        assert_eq!(feed.begin(), [Step::Ask { room: 1, after: 4 }]);
        assert_eq!(feed.page(1, &json!({"messages": [], "more": false, "at": 1})), []);
        for (seq, at) in [(5, 10), (6, 11), (5, 12)] {
            assert_eq!(printed(&feed.event(event(&message(seq, at)))), [(seq, at)]);
        }
        assert_eq!(feed.event(event(&json!({"ev": "typing", "room": 1, "user": "bob"}))), []);
        assert_eq!(feed.event(event(&json!({"ev": "message", "at": 13, "room": 2, "seq": 1}))), []);
        let member = json!({"ev": "member", "at": 14, "room": 1, "user": "cy", "member": true});
        assert_eq!(feed.event(event(&member)), [Step::Print(member)]);
    }

    #[test]
    fn from_further_back_and_what_comes_meanwhile_follows() {
        let mut feed = Feed::of_room(1, 2, 0);
        assert_eq!(feed.begin(), [Step::Ask { room: 1, after: 2 }]);
        assert_eq!(feed.event(event(&message(5, 10))), []);
        assert_eq!(feed.event(event(&message(3, 11))), []);
        assert_eq!(feed.unanswered(1), Some(Step::Ask { room: 1, after: 2 }));
        let page = json!({"messages": [message(3, 11), message(4, 4)], "more": true, "at": 11});
        let steps = feed.page(1, &page);
        assert_eq!(printed(&steps), [(3, 11), (4, 4)]);
        assert_eq!(steps.last(), Some(&Step::Ask { room: 1, after: 4 }));
        // The last page holds what also came as an event.
        let page = json!({"messages": [message(5, 10), message(6, 12)], "more": false, "at": 12});
        assert_eq!(printed(&feed.page(1, &page)), [(5, 10), (6, 12)]);
        assert_eq!(feed.event(event(&message(6, 12))), []);
        assert_eq!(printed(&feed.event(event(&message(6, 13)))), [(6, 13)]);
        assert_eq!(feed.unanswered(1), None);
    }

    #[test]
    fn a_hole_is_filled_first() {
        let mut feed = Feed::default();
        feed.welcome(&welcome(4, false));
        // Resumed states come in the order of `at`: 5 was edited after 6 was sent.
        assert_eq!(feed.welcome(&welcome(6, true)), []);
        assert_eq!(feed.event(event(&message(6, 20))), [Step::Ask { room: 1, after: 4 }]);
        let page = json!({"messages": [message(5, 21), message(6, 20)], "more": false, "at": 22});
        assert_eq!(printed(&feed.page(1, &page)), [(5, 21), (6, 20)]);
        assert_eq!(feed.event(event(&message(5, 21))), []);
        assert_eq!(printed(&feed.event(event(&message(7, 22)))), [(7, 22)]);
    }

    #[test]
    fn a_stream_that_is_not_resumed_is_made_whole_from_history() {
        let mut feed = Feed::default();
        feed.welcome(&welcome(4, false));
        assert_eq!(feed.welcome(&welcome(9, false)), [Step::Ask { room: 1, after: 4 }]);
        assert_eq!(feed.page(1, &json!({"messages": [], "more": false, "at": 1})), []);
        // Restored from a copy that ends earlier.
        assert_eq!(feed.welcome(&welcome(2, false)), []);
        assert_eq!(printed(&feed.event(event(&message(3, 30)))), [(3, 30)]);
    }
}
