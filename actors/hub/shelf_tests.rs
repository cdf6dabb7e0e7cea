use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const ANN: SessionKey = SessionKey(1);
const PASS: Pass = Pass(1);
const TOKEN: TokenHash = [7; 32];

fn event(at: u64, audience: Audience, room: Option<u64>, member: Option<bool>) -> Encoded {
    Encoded { at: At(at), audience, room: room.map(RoomId), member, frame: ByteString::from(at.to_string()) }
}

fn message(at: u64, room: u64) -> Encoded {
    event(at, Audience::Room, Some(room), None)
}

/// `user` comes into the room, or goes.
fn membership(at: u64, user: &str, room: u64, member: bool) -> Encoded {
    event(at, Audience::User(user.to_owned()), Some(room), Some(member))
}

fn batch(events: &[Encoded]) -> Published {
    let at = events.last().map_or(At(0), |event| event.at);
    Published { at, events: events.into(), ended: Arc::default(), gap: false }
}

fn caught_up(up_to: u64, rooms: &[u64]) -> CaughtUp {
    let rooms = rooms.iter().copied().map(RoomId).collect();
    CaughtUp { key: ANN, pass: PASS, up_to: At(up_to), rooms, rooms_at: At(up_to), told: At(0) }
}

/// A shelf, and what it said since it was last asked.
struct Stage {
    shelf: Shelf,
    out: Vec<Out>,
}

impl Stage {
    fn with_ann(bounds: Bounds) -> Self {
        let mut stage = Self { shelf: Shelf::new(bounds), out: Vec::new() };
        stage.shelf.arrive(ANN);
        stage.shelf.enter(ANN, PASS, "ann", TOKEN, &mut stage.out);
        assert_eq!(std::mem::take(&mut stage.out), [Out::Online { user: "ann".to_owned() }]);
        stage
    }

    fn publish(&mut self, events: &[Encoded]) {
        self.shelf.publish(&batch(events), &mut self.out);
    }

    fn caught_up(&mut self, up_to: u64, rooms: &[u64]) {
        self.shelf.caught_up(&caught_up(up_to, rooms), &mut self.out);
    }

    fn delivered(&mut self) {
        self.shelf.delivered(ANN, PASS, &mut self.out);
    }

    /// What was delivered, one line a `Deliver`: frames, then how far that is.
    fn said(&mut self) -> Vec<String> {
        let line = |out| match out {
            Out::Deliver { frames, up_to, .. } => {
                format!("{} to {up_to}", frames.iter().map(|frame| &frame[..]).collect::<Vec<_>>().join(" "))
            }
            Out::FellBehind { .. } => "fell behind".to_owned(),
            other => format!("{other:?}"),
        };
        std::mem::take(&mut self.out).into_iter().map(line).collect()
    }
}

#[test]
fn one_deliver_is_outstanding_and_the_next_carries_all_that_waited() {
    let mut stage = Stage::with_ann(Bounds::default());
    stage.caught_up(0, &[1]);
    stage.publish(&[message(1, 1), message(2, 2), message(3, 1)]);
    assert_eq!(stage.said(), ["1 3 to 3"]);
    stage.publish(&[message(4, 1)]);
    stage.publish(&[message(5, 1), message(6, 2)]);
    assert!(stage.said().is_empty());
    stage.delivered();
    assert_eq!(stage.said(), ["4 5 to 6"]);
    stage.delivered();
    assert!(stage.said().is_empty());
}

#[test]
fn what_was_kept_follows_what_was_read_without_gap_or_repeat() {
    let mut stage = Stage::with_ann(Bounds::default());
    stage.publish(&[message(1, 1), message(2, 1)]);
    stage.publish(&[message(3, 1), membership(4, "ann", 1, false), message(5, 1), message(6, 2)]);
    assert!(stage.said().is_empty());
    stage.caught_up(2, &[1, 2]);
    assert_eq!(stage.said(), ["3 4 6 to 6"]);
    stage.delivered();
    stage.publish(&[message(7, 1), membership(8, "bob", 1, true), membership(9, "ann", 1, true)]);
    stage.publish(&[message(10, 1)]);
    assert_eq!(stage.said(), ["9 to 9"]);
    stage.delivered();
    assert_eq!(stage.said(), ["10 to 10"]);
}

#[test]
fn a_read_that_saw_more_than_was_published_is_not_repeated() {
    let mut stage = Stage::with_ann(Bounds::default());
    // The tables were read at 5, where room 1 had been left already; the news of it comes late.
    stage.caught_up(5, &[2]);
    stage.publish(&[membership(2, "ann", 1, true), message(3, 1), membership(4, "ann", 1, false)]);
    stage.publish(&[message(5, 2), message(6, 1), message(7, 2)]);
    assert_eq!(stage.said(), ["7 to 7"]);
}

#[test]
fn a_node_behind_the_cursor_stays_silent_until_it_has_passed_it() {
    let mut stage = Stage::with_ann(Bounds::default());
    // The cursor is 6, the tables are at 2.
    stage.shelf.caught_up(&CaughtUp { rooms_at: At(2), ..caught_up(6, &[1]) }, &mut stage.out);
    stage.publish(&[message(3, 1), membership(4, "ann", 2, true), message(5, 2)]);
    assert!(stage.said().is_empty());
    stage.publish(&[message(6, 2), message(7, 2), message(8, 1)]);
    assert_eq!(stage.said(), ["7 8 to 8"]);
}

#[test]
fn one_that_does_not_keep_up_reads_the_tables() {
    let bounds = Bounds { frames: 2, ..Bounds::default() };
    let mut stage = Stage::with_ann(bounds);
    stage.caught_up(0, &[1]);
    stage.publish(&[message(1, 1)]);
    assert_eq!(stage.said(), ["1 to 1"]);
    stage.publish(&[message(2, 1), message(3, 1), message(4, 1)]);
    stage.publish(&[message(5, 1)]);
    assert!(stage.said().is_empty(), "it has not taken the first yet");
    stage.delivered();
    assert_eq!(stage.said(), ["fell behind"]);
    stage.publish(&[message(6, 1)]);
    stage.caught_up(5, &[1]);
    assert_eq!(stage.said(), ["6 to 6"]);
}

#[test]
fn what_happens_during_a_long_read_is_bounded() {
    let mut stage = Stage::with_ann(Bounds { buffered_events: 2, ..Bounds::default() });
    stage.publish(&[message(1, 1), message(2, 1), message(3, 1)]);
    stage.caught_up(0, &[1]);
    assert_eq!(stage.said(), ["fell behind"]);
    stage.publish(&[message(4, 1)]);
    stage.caught_up(3, &[1]);
    assert_eq!(stage.said(), ["4 to 4"]);
}

#[test]
fn after_a_gap_everybody_reads_the_tables() {
    let mut stage = Stage::with_ann(Bounds::default());
    stage.caught_up(0, &[1]);
    let gap = Published { gap: true, ..batch(&[message(9, 1)]) };
    stage.shelf.publish(&gap, &mut stage.out);
    assert_eq!(stage.said(), ["fell behind"]);
    stage.caught_up(8, &[1]);
    assert_eq!(stage.said(), ["9 to 9"]);
}

#[test]
fn passing_news_reaches_who_is_there() {
    let mut stage = Stage::with_ann(Bounds::default());
    let typing = |except: &str| Whom::Room { room: RoomId(1), except: except.to_owned() };
    stage.shelf.pass_on(&Whom::Everybody, &"hello".into(), &mut stage.out);
    assert_eq!(stage.said(), ["hello to 0"]);
    stage.delivered();
    stage.caught_up(0, &[1]);
    stage.shelf.pass_on(&typing("bob"), &"bob types".into(), &mut stage.out);
    stage.delivered();
    stage.shelf.pass_on(&typing("ann"), &"ann types".into(), &mut stage.out);
    assert_eq!(stage.said(), ["bob types to 0"]);
}

#[test]
fn a_beat_moves_a_quiet_cursor_and_no_other() {
    let mut stage = Stage::with_ann(Bounds::default());
    stage.caught_up(0, &[1]);
    stage.publish(&[message(1, 2)]);
    stage.shelf.beat(ANN, &mut stage.out);
    assert_eq!(stage.said(), [r#"{"ev":"cursor","at":1} to 1"#]);
    stage.delivered();
    stage.shelf.beat(ANN, &mut stage.out);
    assert!(stage.said().is_empty(), "an event has an at of its own");
    stage.publish(&[message(2, 1)]);
    stage.delivered();
    stage.shelf.beat(ANN, &mut stage.out);
    assert_eq!(stage.said(), ["2 to 2"]);
}

#[test]
fn tokens_end_and_people_go() {
    let mut stage = Stage::with_ann(Bounds::default());
    let ended = crate::chat::outcome::SessionEnded { token_hash: TOKEN };
    stage.shelf.publish(&Published { ended: Arc::new(vec![ended]), ..batch(&[]) }, &mut stage.out);
    assert_eq!(std::mem::take(&mut stage.out), [Out::Ended { key: ANN, token_hash: TOKEN }]);
    // Entering again is not going and coming.
    stage.shelf.enter(ANN, Pass(2), "ann", [8; 32], &mut stage.out);
    assert!(stage.out.is_empty());
    stage.shelf.enter(ANN, Pass(3), "bob", [9; 32], &mut stage.out);
    let turned = [Out::Offline { user: "ann".to_owned() }, Out::Online { user: "bob".to_owned() }];
    assert_eq!(std::mem::take(&mut stage.out), turned);
    stage.shelf.depart(ANN, &mut stage.out);
    assert_eq!(std::mem::take(&mut stage.out), [Out::Offline { user: "bob".to_owned() }]);
    assert!(stage.shelf.is_empty() && stage.shelf.users.is_empty() && stage.shelf.tokens.is_empty());
    assert!(stage.shelf.rooms.is_empty() && stage.shelf.buffering.is_empty());
}

/// A chat at random, clients that take what they get at random times, and tables that are read at random
/// times: each client sees exactly what its user may see, in rising `at`, whatever overflowed on the way.
#[test]
fn every_client_sees_all_it_may_and_nothing_else() {
    for seed in 0..200 {
        World::new(seed).run();
    }
}

struct World {
    dice: SmallRng,
    shelf: Shelf,
    /// All that ever happened; the tables.
    log: Vec<Encoded>,
    /// How much of it the shard was told.
    told: usize,
    clients: BTreeMap<SessionKey, Client>,
}

#[derive(Default)]
struct Client {
    user: String,
    pass: Pass,
    joined_at: u64,
    cursor: u64,
    seen: Vec<u64>,
    /// A `Deliver` that it has not taken yet.
    in_hand: Option<(Vec<ByteString>, At)>,
    reading: bool,
}

const USERS: [&str; 3] = ["ann", "bob", "cleo"];

impl World {
    fn new(seed: u64) -> Self {
        let bounds = Bounds { frames: 4, bytes: 1 << 20, buffered_events: 6 };
        let dice = SmallRng::seed_from_u64(seed);
        Self { dice, shelf: Shelf::new(bounds), log: Vec::new(), told: 0, clients: BTreeMap::new() }
    }

    fn run(&mut self) {
        for number in 0..5 {
            let (key, user) = (SessionKey(number), USERS[number as usize % USERS.len()].to_owned());
            self.clients.insert(key, Client { user: user.clone(), pass: Pass(1), ..Client::default() });
            self.shelf.arrive(key);
        }
        for _ in 0..400 {
            self.step();
        }
        // Then all is quiet, and everybody takes what there is.
        for _ in 0..200 {
            self.publish();
            let keys: Vec<_> = self.clients.keys().copied().collect();
            for key in keys {
                self.take(key);
                self.read(key);
            }
        }
        for (key, client) in &self.clients {
            let may = self.visible(&client.user, client.joined_at, self.log.len() as u64);
            if client.reading || client.joined_at > 0 {
                assert_eq!(client.seen, may, "{key:?} {}", client.user);
            }
        }
    }

    fn step(&mut self) {
        let key = SessionKey(self.dice.random_range(0..5));
        match self.dice.random_range(0..10) {
            0..4 => self.happen(),
            4 | 5 => self.publish(),
            6 | 7 => self.take(key),
            8 => self.read(key),
            _ => self.enter(key),
        }
    }

    fn happen(&mut self) {
        let at = self.log.len() as u64 + 1;
        let (room, user) = (self.dice.random_range(1..4), USERS[self.dice.random_range(0..USERS.len())]);
        let is_in = self.rooms(user, at - 1).contains(&RoomId(room));
        self.log.push(match self.dice.random_range(0..4) {
            0 => membership(at, user, room, !is_in),
            1 => event(at, Audience::RoomWithout(user.to_owned()), Some(room), None),
            2 => event(at, Audience::Everybody, None, None),
            _ => message(at, room),
        });
    }

    fn publish(&mut self) {
        let new = self.log[self.told..].to_vec();
        self.told = self.log.len();
        let mut out = Vec::new();
        if !new.is_empty() {
            self.shelf.publish(&batch(&new), &mut out);
        }
        self.heed(out);
    }

    fn enter(&mut self, key: SessionKey) {
        let client = self.clients.get_mut(&key).unwrap();
        if client.joined_at > 0 {
            return;
        }
        client.joined_at = self.log.len() as u64 + 1;
        client.cursor = self.log.len() as u64;
        client.reading = true;
        let (user, pass) = (client.user.clone(), client.pass);
        let mut out = Vec::new();
        self.shelf.enter(key, pass, &user, [key.0 as u8; 32], &mut out);
        self.heed(out);
    }

    /// Reads all that the tables hold, and says so.
    fn read(&mut self, key: SessionKey) {
        let end = self.log.len() as u64;
        let (user, pass, cursor, reading) = {
            let client = &self.clients[&key];
            (client.user.clone(), client.pass, client.cursor, client.reading)
        };
        if !reading {
            return;
        }
        let page = self.visible(&user, cursor + 1, end);
        let rooms = self.rooms(&user, end).into_iter().collect();
        let client = self.clients.get_mut(&key).unwrap();
        client.seen.extend(page);
        client.cursor = end;
        client.reading = false;
        let (up_to, told) = (At(end), At(0));
        let mut out = Vec::new();
        self.shelf.caught_up(&CaughtUp { key, pass, up_to, rooms, rooms_at: up_to, told }, &mut out);
        self.heed(out);
    }

    fn take(&mut self, key: SessionKey) {
        let client = self.clients.get_mut(&key).unwrap();
        let Some((frames, up_to)) = client.in_hand.take() else { return };
        for frame in frames {
            let at = frame.parse().unwrap();
            assert!(
                client.seen.last().is_none_or(|last| *last < at),
                "{key:?}: {at} after {:?}",
                client.seen
            );
            client.seen.push(at);
        }
        client.cursor = client.cursor.max(up_to.0);
        let pass = client.pass;
        let mut out = Vec::new();
        self.shelf.delivered(key, pass, &mut out);
        self.heed(out);
    }

    fn heed(&mut self, out: Vec<Out>) {
        for out in out {
            match out {
                Out::Deliver { key, frames, up_to, .. } => {
                    let client = self.clients.get_mut(&key).unwrap();
                    assert!(client.in_hand.is_none(), "two at a time");
                    client.in_hand = Some((frames, up_to));
                }
                Out::FellBehind { key, .. } => self.clients.get_mut(&key).unwrap().reading = true,
                Out::Ended { .. } | Out::Online { .. } | Out::Offline { .. } => {}
            }
        }
    }

    fn rooms(&self, user: &str, up_to: u64) -> BTreeSet<RoomId> {
        let mut rooms = BTreeSet::new();
        for event in self.log.iter().filter(|event| event.at.0 <= up_to) {
            if event.audience == Audience::User(user.to_owned()) {
                match (event.member, event.room) {
                    (Some(true), Some(room)) => drop(rooms.insert(room)),
                    (Some(false), Some(room)) => drop(rooms.remove(&room)),
                    _ => {}
                }
            }
        }
        rooms
    }

    /// What the user may see of what happened from `from` to `to`, as a member of the moment.
    fn visible(&self, user: &str, from: u64, to: u64) -> Vec<u64> {
        let seen = self.log.iter().filter(|event| (from..=to).contains(&event.at.0));
        let seen = seen.filter(|event| {
            let is_in = || event.room.is_some_and(|room| self.rooms(user, event.at.0).contains(&room));
            match &event.audience {
                Audience::Everybody => true,
                Audience::Room => is_in(),
                Audience::RoomWithout(other) => other != user && is_in(),
                Audience::User(one) => one == user,
            }
        });
        seen.map(|event| event.at.0).collect()
    }
}
