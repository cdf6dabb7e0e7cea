//! The pure core of a shard: which session gets which event, in which order, and what happens to
//! one that does not keep up. No clock, no mailbox: calls in, [`Out`]s out.
//!
//! A seat is in one of these modes:
//! - `Standing`: connected, not entered; gets nothing.
//! - `Buffering`: its session reads the tables; all events are kept for it, within a bound.
//! - `Live`: events for its user go to it.
//! - `Lagging`: too much waited; it gets nothing until its outstanding `Deliver` is taken, then buffers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;

use super::encode;
use crate::chat::command::TokenHash;
use crate::chat::outcome::Audience;
use crate::ids::{At, RoomId};
use crate::messages::hub::{CaughtUp, Encoded, Pass, Published, SessionKey, Whom};

/// How much may wait for one session.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub frames: usize,
    pub bytes: usize,
    /// Events of the whole node kept while a session reads the tables.
    pub buffered_events: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { frames: 1024, bytes: 512 * 1024, buffered_events: 4096 }
    }
}

/// What the shard is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    Deliver { key: SessionKey, pass: Pass, frames: Vec<ByteString>, events: usize, up_to: At },
    FellBehind { key: SessionKey, pass: Pass },
    Ended { key: SessionKey, token_hash: TokenHash },
    Online { user: String },
    Offline { user: String },
}

#[derive(Default)]
pub struct Shelf {
    bounds: Bounds,
    at: At,
    seats: HashMap<SessionKey, Seat>,
    /// May name seats that are not live just now.
    rooms: HashMap<RoomId, Vec<SessionKey>>,
    users: HashMap<String, Vec<SessionKey>>,
    tokens: HashMap<TokenHash, Vec<SessionKey>>,
    buffering: BTreeSet<SessionKey>,
    /// Seats with something new to deliver, until the end of the call.
    touched: Vec<SessionKey>,
}

struct Seat {
    pass: Pass,
    user: String,
    token_hash: TokenHash,
    mode: Mode,
    rooms: HashSet<RoomId>,
    /// Everything up to here was sent: later calls bring only what is above.
    seen: At,
    /// The rooms are as of here.
    rooms_at: At,
    /// The last event sent had this `at`.
    told: At,
    waiting: Vec<ByteString>,
    waiting_bytes: usize,
    waiting_events: usize,
    in_flight: bool,
    touched: bool,
}

enum Mode {
    Standing,
    Buffering { kept: Vec<Arc<[Encoded]>>, events: usize, overflowed: bool },
    Live,
    Lagging,
}

impl Shelf {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The last `at` published here.
    pub fn at(&self) -> At {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub fn arrive(&mut self, key: SessionKey) {
        self.seats.insert(key, Seat::standing());
    }

    /// From here on events are kept for this session.
    pub fn enter(
        &mut self,
        key: SessionKey,
        pass: Pass,
        user: &str,
        token_hash: TokenHash,
        out: &mut Vec<Out>,
    ) {
        if !self.seats.contains_key(&key) {
            return;
        }
        let stays = self.seats.get(&key).is_some_and(|seat| seat.user == user);
        self.unlist(key, Some(user), out);
        let seat = self.seats.entry(key).or_insert_with(Seat::standing);
        *seat = Seat { pass, user: user.to_owned(), token_hash, mode: Mode::buffering(), ..Seat::standing() };
        self.buffering.insert(key);
        self.tokens.entry(token_hash).or_default().push(key);
        let there = self.users.entry(user.to_owned()).or_default();
        there.push(key);
        if there.len() == 1 && !stays {
            out.push(Out::Online { user: user.to_owned() });
        }
    }

    /// The session has sent everything up to `up_to`: what was kept beyond follows, then it is live.
    pub fn caught_up(&mut self, news: &CaughtUp, out: &mut Vec<Out>) {
        let CaughtUp { key, pass, .. } = *news;
        let Some(seat) = self.seats.get_mut(&key).filter(|seat| seat.pass == pass) else { return };
        let Mode::Buffering { kept, overflowed, .. } = &mut seat.mode else { return };
        seat.seen = seat.seen.max(news.up_to);
        seat.told = seat.told.max(news.told);
        if *overflowed {
            seat.mode = Mode::buffering();
            out.push(Out::FellBehind { key, pass });
            return;
        }
        let kept = std::mem::take(kept);
        seat.mode = Mode::Live;
        self.buffering.remove(&key);
        seat.rooms_at = news.rooms_at;
        let before = std::mem::replace(&mut seat.rooms, news.rooms.iter().copied().collect());
        for event in kept.iter().flat_map(|batch| batch.iter()) {
            seat.take(event, &self.bounds);
        }
        seat.touched = true;
        self.touched.push(key);
        let after = seat.rooms.clone();
        for room in before.difference(&after) {
            self.leave_room(*room, key);
        }
        for room in after.difference(&before) {
            self.rooms.entry(*room).or_default().push(key);
        }
        self.flush(out);
    }

    /// What the chat has become, in the order of `at`.
    pub fn publish(&mut self, news: &Published, out: &mut Vec<Out>) {
        if news.gap {
            self.all_fall_behind(out);
        }
        let bound = self.bounds.buffered_events;
        for key in &self.buffering {
            if let Some(seat) = self.seats.get_mut(key) {
                seat.keep(&news.events, bound);
            }
        }
        for event in news.events.iter() {
            self.route(event);
        }
        self.at = self.at.max(news.at);
        self.flush(out);
        for ended in news.ended.iter() {
            for key in self.tokens.get(&ended.token_hash).into_iter().flatten() {
                out.push(Out::Ended { key: *key, token_hash: ended.token_hash });
            }
        }
    }

    /// News without `at`, for whoever is there.
    pub fn pass_on(&mut self, whom: &Whom, frame: &ByteString, out: &mut Vec<Out>) {
        let Self { seats, rooms, touched, bounds, .. } = self;
        match whom {
            Whom::Everybody => {
                for (key, seat) in seats.iter_mut() {
                    seat.take_passing(*key, frame, bounds, touched);
                }
            }
            Whom::Room { room, except } => {
                for key in rooms.get(room).into_iter().flatten() {
                    // One that is not live may have lost the room meanwhile.
                    let live = |seat: &&mut Seat| matches!(seat.mode, Mode::Live) && seat.user != *except;
                    if let Some(seat) = seats.get_mut(key).filter(live) {
                        seat.take_passing(*key, frame, bounds, touched);
                    }
                }
            }
        }
        self.flush(out);
    }

    /// The session took its `Deliver`: the next one holds all that waited.
    pub fn delivered(&mut self, key: SessionKey, pass: Pass, out: &mut Vec<Out>) {
        let Some(seat) = self.seats.get_mut(&key).filter(|seat| seat.pass == pass) else { return };
        seat.in_flight = false;
        if matches!(seat.mode, Mode::Lagging) {
            self.read_again(key, out);
        } else {
            self.touched.push(key);
            self.flush(out);
        }
    }

    /// A ping goes out: moves a quiet client's cursor along, unless its last event did so. None is told
    /// twice: events come in rising `at`.
    pub fn beat(&mut self, key: SessionKey, out: &mut Vec<Out>) {
        let at = self.at;
        let Some(seat) = self.seats.get_mut(&key) else { return };
        let at = at.max(seat.seen);
        if !matches!(seat.mode, Mode::Live) || seat.told >= at {
            return;
        }
        seat.told = at;
        seat.wait(encode::cursor(at), &self.bounds);
        self.touched.push(key);
        self.flush(out);
    }

    pub fn depart(&mut self, key: SessionKey, out: &mut Vec<Out>) {
        self.unlist(key, None, out);
        self.seats.remove(&key);
    }

    fn all_fall_behind(&mut self, out: &mut Vec<Out>) {
        let mut again = Vec::new();
        for (key, seat) in &mut self.seats {
            match &mut seat.mode {
                Mode::Standing | Mode::Lagging => {}
                Mode::Buffering { kept, overflowed, .. } => {
                    kept.clear();
                    *overflowed = true;
                }
                Mode::Live => {
                    seat.fall_behind();
                    if !seat.in_flight {
                        again.push(*key);
                    }
                }
            }
        }
        again.sort_unstable();
        for key in again {
            self.read_again(key, out);
        }
    }

    fn read_again(&mut self, key: SessionKey, out: &mut Vec<Out>) {
        let Some(seat) = self.seats.get_mut(&key) else { return };
        seat.mode = Mode::buffering();
        self.buffering.insert(key);
        out.push(Out::FellBehind { key, pass: seat.pass });
    }

    fn route(&mut self, event: &Encoded) {
        let Self { seats, rooms, users, touched, bounds, .. } = self;
        let mut offer = |key: &SessionKey| {
            if let Some(seat) = seats.get_mut(key)
                && matches!(seat.mode, Mode::Live)
                && seat.take(event, bounds)
                && !seat.touched
            {
                seat.touched = true;
                touched.push(*key);
            }
        };
        match &event.audience {
            Audience::Everybody => users.values().flatten().for_each(&mut offer),
            Audience::Room | Audience::RoomWithout(_) => {
                event.room.and_then(|room| rooms.get(&room)).into_iter().flatten().for_each(&mut offer);
            }
            Audience::User(user) => users.get(user).into_iter().flatten().for_each(&mut offer),
        }
        if let (Some(_), Some(room), Audience::User(user)) = (event.member, event.room, &event.audience) {
            self.list_room(user, room);
        }
    }

    /// Brings the index of a room up to date with what its user's seats now say; also for a seat that
    /// this very event made lag.
    fn list_room(&mut self, user: &str, room: RoomId) {
        for key in self.users.get(user).cloned().unwrap_or_default() {
            let Some(seat) = self.seats.get(&key) else { continue };
            let listed = self.rooms.get(&room).is_some_and(|keys| keys.contains(&key));
            match (seat.rooms.contains(&room), listed) {
                (true, false) => self.rooms.entry(room).or_default().push(key),
                (false, true) => self.leave_room(room, key),
                _ => {}
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<Out>) {
        for key in std::mem::take(&mut self.touched) {
            let Some(seat) = self.seats.get_mut(&key) else { continue };
            seat.touched = false;
            if seat.in_flight {
                continue;
            }
            if matches!(seat.mode, Mode::Lagging) {
                self.read_again(key, out);
                continue;
            }
            if seat.waiting.is_empty() {
                continue;
            }
            if matches!(seat.mode, Mode::Live) {
                seat.seen = seat.seen.max(self.at);
            }
            seat.in_flight = true;
            seat.waiting_bytes = 0;
            out.push(Out::Deliver {
                key,
                pass: seat.pass,
                frames: std::mem::take(&mut seat.waiting),
                events: std::mem::take(&mut seat.waiting_events),
                up_to: seat.seen,
            });
        }
    }

    /// Takes a seat out of every index. `next`: who sits there next.
    fn unlist(&mut self, key: SessionKey, next: Option<&str>, out: &mut Vec<Out>) {
        let Some(seat) = self.seats.get_mut(&key) else { return };
        let (user, token_hash) = (std::mem::take(&mut seat.user), seat.token_hash);
        let rooms = std::mem::take(&mut seat.rooms);
        for room in rooms {
            self.leave_room(room, key);
        }
        self.buffering.remove(&key);
        remove(&mut self.tokens, &token_hash, key);
        if remove(&mut self.users, &user, key) && next != Some(user.as_str()) {
            out.push(Out::Offline { user });
        }
    }

    fn leave_room(&mut self, room: RoomId, key: SessionKey) {
        remove(&mut self.rooms, &room, key);
    }
}

impl Mode {
    fn buffering() -> Self {
        Self::Buffering { kept: Vec::new(), events: 0, overflowed: false }
    }
}

impl Seat {
    fn standing() -> Self {
        Self {
            pass: Pass::default(),
            user: String::new(),
            token_hash: TokenHash::default(),
            mode: Mode::Standing,
            rooms: HashSet::new(),
            seen: At::default(),
            rooms_at: At::default(),
            told: At::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_events: 0,
            in_flight: false,
            touched: false,
        }
    }

    fn keep(&mut self, batch: &Arc<[Encoded]>, bound: usize) {
        let Mode::Buffering { kept, events, overflowed } = &mut self.mode else { return };
        if *overflowed || batch.is_empty() {
            return;
        }
        *events += batch.len();
        if *events > bound {
            kept.clear();
            *overflowed = true;
        } else {
            kept.push(Arc::clone(batch));
        }
    }

    /// Follows the user's membership, and queues the event if it is for this user.
    fn take(&mut self, event: &Encoded, bounds: &Bounds) -> bool {
        let wanted = match &event.audience {
            Audience::Everybody => true,
            Audience::Room => self.is_in(event.room),
            Audience::RoomWithout(user) => *user != self.user && self.is_in(event.room),
            Audience::User(user) => *user == self.user,
        };
        if !wanted {
            return false;
        }
        if let (Some(member), Some(room)) = (event.member, event.room)
            && event.at > self.rooms_at
        {
            if member {
                self.rooms.insert(room);
            } else {
                self.rooms.remove(&room);
            }
        }
        if event.at <= self.seen || !matches!(self.mode, Mode::Live) {
            return false;
        }
        self.told = event.at;
        self.waiting_events += 1;
        self.wait(event.frame.clone(), bounds);
        true
    }

    fn take_passing(
        &mut self,
        key: SessionKey,
        frame: &ByteString,
        bounds: &Bounds,
        touched: &mut Vec<SessionKey>,
    ) {
        match self.mode {
            Mode::Live => self.wait(frame.clone(), bounds),
            // What does not fit while the tables are read is missed: it was passing news.
            Mode::Buffering { .. } if self.waiting.len() < bounds.frames / 2 => {
                self.wait(frame.clone(), bounds);
            }
            _ => return,
        }
        if !self.touched {
            self.touched = true;
            touched.push(key);
        }
    }

    fn wait(&mut self, frame: ByteString, bounds: &Bounds) {
        self.waiting_bytes += frame.len();
        self.waiting.push(frame);
        let too_much = self.waiting.len() > bounds.frames || self.waiting_bytes > bounds.bytes;
        if too_much && matches!(self.mode, Mode::Live) {
            self.fall_behind();
        }
    }

    fn fall_behind(&mut self) {
        self.mode = Mode::Lagging;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.waiting_events = 0;
    }

    fn is_in(&self, room: Option<RoomId>) -> bool {
        room.is_some_and(|room| self.rooms.contains(&room))
    }
}

/// Takes a key out of one list of an index; says whether that list is empty now and was not before.
fn remove<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<SessionKey>>, of: &K, key: SessionKey) -> bool {
    let Some(keys) = index.get_mut(of) else { return false };
    let Some(place) = keys.iter().position(|there| *there == key) else { return false };
    keys.swap_remove(place);
    if keys.is_empty() {
        index.remove(of);
        return true;
    }
    false
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
