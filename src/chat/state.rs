//! The chat as the screen knows it: rooms, what was loaded of them, and how things stand. Pure.

use std::collections::BTreeMap;

use super::frames::{Event, EventKind, Message, Room, Welcome};

/// Messages of a room that are kept in memory: older ones are loaded anew when they are wanted.
const MESSAGES_MAX: usize = 5000;
/// The same for a room in which one looks back: what one sees is to stay.
const LOOKED_BACK_MAX: usize = 4 * MESSAGES_MAX;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Connecting,
    Connected {
        node: String,
    },
    Lost,
}

#[derive(Default)]
pub struct State {
    pub me: String,
    pub phase: Phase,
    /// Whether the node that serves us sees a majority.
    pub quorum: bool,
    pub rooms: BTreeMap<u64, Seen>,
}

/// A room and what is known of its messages: a run without a hole, up to the newest.
#[derive(Default)]
pub struct Seen {
    pub room: Room,
    pub messages: BTreeMap<u64, Message>,
    pub has_older: bool,
    /// Whether the newest messages were loaded since nothing was missed.
    pub is_loaded: bool,
}

impl Seen {
    /// Whether no older messages are to be loaded: they would be let go of at once.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= LOOKED_BACK_MAX
    }
}

impl State {
    /// A node serves us. Says whether what is held has to be loaded anew.
    pub fn welcome(&mut self, welcome: &Welcome) -> bool {
        self.me.clone_from(&welcome.user.name);
        self.phase = Phase::Connected { node: welcome.node.clone() };
        self.quorum = welcome.cluster.quorum;
        let mut before = std::mem::take(&mut self.rooms);
        for room in &welcome.rooms {
            let mut seen = before.remove(&room.room).unwrap_or_default();
            if !welcome.resumed {
                seen = Seen::default();
            }
            // A node that is behind knows less than was told already.
            if !welcome.behind || seen.room.last_seq <= room.last_seq {
                seen.room = Room { member: true, ..room.clone() };
            }
            self.rooms.insert(room.room, seen);
        }
        !welcome.resumed
    }

    pub fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => self.message(message),
            EventKind::Room(room) if room.member => self.enter(room.clone()),
            EventKind::Room(room) => drop(self.rooms.remove(&room.room)),
            EventKind::Read { room, seq } => self.read(*room, *seq),
            EventKind::Cluster(cluster) => self.quorum = cluster.quorum,
            EventKind::Typing { .. } | EventKind::Bye { .. } | EventKind::Other => {}
        }
    }

    /// One is in that room now.
    pub fn enter(&mut self, room: Room) {
        let seen = self.rooms.entry(room.room).or_insert_with(|| Seen {
            room: Room { read_seq: room.last_seq, ..Room::default() },
            ..Seen::default()
        });
        let Room { read_seq, unread, last_seq, .. } = seen.room;
        seen.room = Room { read_seq, unread, last_seq: last_seq.max(room.last_seq), ..room };
    }

    /// Everything up to there was read, here or elsewhere.
    pub fn read(&mut self, room: u64, seq: u64) {
        let Some(seen) = self.rooms.get_mut(&room) else { return };
        if seq <= seen.room.read_seq {
            return;
        }
        seen.room.read_seq = seq;
        let first = seen.messages.keys().next().copied().unwrap_or(u64::MAX);
        seen.room.unread = if seq >= seen.room.last_seq {
            0
        } else if first <= seq + 1 {
            let others = seen.messages.range(seq + 1..);
            let others = others.filter(|(_, message)| message.from != self.me && !message.deleted);
            others.count() as u64
        } else {
            seen.room.unread.min(seen.room.last_seq - seq)
        };
    }

    /// Messages that were asked for: the newest, or those before what is held.
    pub fn page(&mut self, room: u64, messages: Vec<Message>, more: bool, is_newest: bool) {
        let Some(seen) = self.rooms.get_mut(&room) else { return };
        if is_newest {
            // What came as an event meanwhile stays, if it follows.
            let last = messages.last().map_or(0, |message| message.seq);
            let mut next = last + 1;
            seen.is_loaded = true;
            for (seq, message) in
                std::mem::take(&mut seen.messages).into_iter().filter(|(seq, _)| *seq > last)
            {
                if seq == next {
                    seen.messages.insert(seq, message);
                    next += 1;
                } else {
                    // Something lies between: loaded once more.
                    seen.is_loaded = false;
                }
            }
        } else if seen.messages.keys().next().is_none_or(|first| {
            // Trimmed or dropped since it was asked for.
            messages.last().is_some_and(|last| last.seq + 1 != *first)
        }) {
            return;
        }
        seen.has_older = more;
        for message in messages {
            let is_newer = |held: &Message| held.at > message.at;
            if !seen.messages.get(&message.seq).is_some_and(is_newer) {
                seen.room.last_seq = seen.room.last_seq.max(message.seq);
                seen.messages.insert(message.seq, message);
            }
        }
    }

    /// Rooms in the order in which they are listed: by name, then conversations.
    pub fn listed(&self) -> Vec<(u64, String)> {
        let mut listed: Vec<_> = self
            .rooms
            .values()
            .map(|seen| (seen.room.kind == "direct", seen.room.title(&self.me), seen.room.room))
            .collect();
        listed.sort();
        listed.into_iter().map(|(_, title, room)| (room, title)).collect()
    }

    /// Lets go of what is too much, oldest first; later in the room in which one looks back.
    pub fn trim(&mut self, looked_back: Option<u64>) {
        for (room, seen) in &mut self.rooms {
            let most = if looked_back == Some(*room) { LOOKED_BACK_MAX } else { MESSAGES_MAX };
            while seen.messages.len() > most {
                seen.messages.pop_first();
                seen.has_older = true;
            }
        }
    }

    fn message(&mut self, message: &Message) {
        let Some(seen) = self.rooms.get_mut(&message.room) else { return };
        let newest = seen.messages.keys().next_back().copied();
        let is_new = message.seq > seen.room.last_seq;
        if is_new {
            seen.room.last_seq = message.seq;
            if message.from == self.me {
                seen.room.read_seq = seen.room.read_seq.max(message.seq);
                seen.room.unread = 0;
            } else if message.seq > seen.room.read_seq && !message.deleted {
                seen.room.unread += 1;
            }
        }
        let is_held = seen.messages.contains_key(&message.seq);
        let follows = newest.is_none_or(|newest| newest + 1 == message.seq);
        if is_held || follows {
            seen.messages.insert(message.seq, message.clone());
        } else if newest.is_some_and(|newest| newest < message.seq) {
            // A hole: the newest are to be loaded anew.
            seen.is_loaded = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::frames::{self, Frame};

    fn welcome(last_seq: u64, unread: u64, resumed: bool) -> Welcome {
        let welcome = json!({
            "user": {"name": "ann"}, "node": "node1", "cursor": 0, "epoch": "e", "resumed": resumed,
            "cluster": {"quorum": true}, "rooms": [
                {"room": 1, "name": "general", "kind": "public", "last_seq": last_seq, "unread": unread,
                 "read_seq": last_seq - unread},
                {"room": 2, "kind": "direct", "users": ["ann", "bob"]},
            ],
        });
        serde_json::from_value(welcome).unwrap()
    }

    fn event(frame: Value) -> Event {
        match frames::read(frame.to_string().as_bytes()) {
            Some(Frame::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn message(seq: u64, from: &str) -> Event {
        event(json!({"ev": "message", "at": seq + 10, "room": 1, "seq": seq, "from": from, "text": "x"}))
    }

    fn page(seqs: std::ops::RangeInclusive<u64>) -> Vec<Message> {
        seqs.map(|seq| Message { room: 1, seq, at: seq + 10, from: "bob".into(), ..Message::default() })
            .collect()
    }

    fn held(state: &State) -> Vec<u64> {
        state.rooms[&1].messages.keys().copied().collect()
    }

    #[test]
    fn unread_counts_what_others_wrote_once() {
        let mut state = State::default();
        state.welcome(&welcome(4, 1, false));
        let unread = |state: &State| state.rooms[&1].room.unread;
        state.event(&message(5, "bob"));
        state.event(&message(5, "bob"));
        assert_eq!(unread(&state), 2);
        // Told again after a failover.
        state.welcome(&welcome(6, 3, true));
        state.event(&message(6, "bob"));
        assert_eq!(unread(&state), 3);
        state.event(&event(json!({"ev": "read", "at": 20, "room": 1, "seq": 6})));
        assert_eq!(unread(&state), 0);
        state.event(&message(7, "ann"));
        assert_eq!(unread(&state), 0);
        assert_eq!(state.listed(), [(1, "general".to_owned()), (2, "@bob".to_owned())]);
    }

    #[test]
    fn what_is_held_has_no_hole() {
        let mut state = State::default();
        state.welcome(&welcome(10, 0, false));
        state.event(&message(11, "bob"));
        state.page(1, page(5..=10), true, true);
        assert_eq!(held(&state), [5, 6, 7, 8, 9, 10, 11]);
        state.page(1, page(2..=4), true, false);
        state.page(1, page(2..=3), true, false);
        assert_eq!(held(&state), (2..=11).collect::<Vec<_>>());
        state.event(&message(13, "bob"));
        assert_eq!((held(&state).last(), state.rooms[&1].is_loaded), (Some(&11), false));
        state.page(1, page(12..=13), true, true);
        assert_eq!((held(&state), state.rooms[&1].is_loaded), (vec![12, 13], true));
        // A page from before what came meanwhile is not the end of it.
        let mut state = State::default();
        state.welcome(&welcome(10, 0, false));
        state.event(&message(12, "bob"));
        state.page(1, page(5..=10), true, true);
        assert_eq!((held(&state).last(), state.rooms[&1].is_loaded), (Some(&10), false));
    }

    #[test]
    fn what_is_held_has_a_bound_in_every_room() {
        for (looked_back, most) in [(None, MESSAGES_MAX), (Some(1), LOOKED_BACK_MAX)] {
            let mut state = State::default();
            state.welcome(&welcome(0, 0, false));
            state.page(1, page(1..=LOOKED_BACK_MAX as u64 + 9), true, true);
            assert!(state.rooms[&1].is_full());
            state.trim(looked_back);
            assert_eq!(held(&state).len(), most, "{looked_back:?}");
            assert_eq!(held(&state).last(), Some(&(LOOKED_BACK_MAX as u64 + 9)));
        }
    }

    #[test]
    fn rooms_come_and_go() {
        let mut state = State::default();
        state.welcome(&welcome(4, 0, false));
        let room = json!({"ev": "room", "at": 9, "room": 3, "name": "new", "kind": "public", "member": true});
        state.event(&event(room));
        assert_eq!(state.rooms[&3].room.title("ann"), "new");
        state.event(&event(json!({"ev": "room", "at": 10, "room": 3, "member": false})));
        assert!(!state.rooms.contains_key(&3));
        state.event(&event(json!({"ev": "cluster", "quorum": false, "nodes": []})));
        assert!(!state.quorum);
    }
}
