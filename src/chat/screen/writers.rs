//! Who is writing in which room, until they have been silent for a while. Pure: the time, in milliseconds, is handed in.

use std::collections::BTreeMap;

use crate::chat::frames::{Event, EventKind};

/// Whoever writes says so every few seconds.
const SHOWN_MS: u64 = 5000;
/// More at a time are of no interest.
const WRITERS_MAX: usize = 100;

#[derive(Default)]
pub struct Writers {
    /// Until when they are shown.
    until: BTreeMap<(u64, String), u64>,
}

impl Writers {
    pub fn hear(&mut self, event: &Event, now: u64) {
        match &event.kind {
            EventKind::Typing { room, user } if self.until.len() < WRITERS_MAX => {
                self.until.insert((*room, user.clone()), now + SHOWN_MS);
            }
            EventKind::Message(message) => {
                self.until.remove(&(message.room, message.from.clone()));
            }
            _ => {}
        }
    }

    /// Those in a room, by name.
    pub fn in_room(&mut self, room: u64, now: u64) -> Vec<String> {
        self.until.retain(|_, until| *until > now);
        let here = self.until.keys().filter(|(other, _)| *other == room);
        here.map(|(_, user)| user.clone()).collect()
    }

    /// When somebody is to be shown no longer.
    pub fn wake_at(&self) -> Option<u64> {
        self.until.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::frames::{self, Frame};

    fn event(frame: Value) -> Event {
        match frames::read(frame.to_string().as_bytes()) {
            Some(Frame::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_writes_is_shown_until_they_have_written_or_are_silent() {
        let mut writers = Writers::default();
        let typing = |user: &str| event(json!({"ev": "typing", "room": 1, "user": user}));
        writers.hear(&typing("cy"), 0);
        writers.hear(&typing("bob"), 1000);
        assert_eq!(writers.in_room(1, 1000), ["bob", "cy"]);
        assert_eq!(writers.in_room(2, 1000), Vec::<String>::new());
        assert_eq!(writers.wake_at(), Some(5000));
        assert_eq!(writers.in_room(1, 5000), ["bob"]);
        writers.hear(&event(json!({"ev": "message", "at": 1, "room": 1, "seq": 1, "from": "bob"})), 5100);
        assert_eq!((writers.in_room(1, 5100), writers.wake_at()), (Vec::new(), None));
        for number in 0..200 {
            writers.hear(&typing(&format!("u{number}")), 6000);
        }
        assert_eq!(writers.in_room(1, 6000).len(), WRITERS_MAX);
    }
}
