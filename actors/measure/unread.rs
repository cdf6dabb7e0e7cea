//! What it costs to write a large room's messages, and to count those that somebody has not read.

use std::time::{Duration, Instant};

use super::{messages, times};
use crate::chat::command::{Change, Command};
use crate::ids::{RoomId, Seq};
use crate::reader::ReadPool;
use crate::storage::Store;
use crate::storage::testing::{TestDir, batch, committed, send, setup, started};

/// Everybody but cleo writes: every fourth message is dan's and calls eve, most others are of these many people.
const WRITERS: u64 = 50;
const ENTRY: u64 = 64;
const DELETED_AT_ONCE: u64 = 100;
const ROOM: RoomId = RoomId(1);

/// A store, and how far it is.
struct Filling {
    store: Store,
    entry: u64,
    applying: Duration,
}

impl Filling {
    fn apply(&mut self, commands: &[Command]) {
        let batch = batch(self.entry, commands);
        let began = Instant::now();
        let piece = self.store.apply(&[committed(self.entry, batch)], || false).unwrap();
        if self.store.wal_is_long().unwrap() {
            self.store.write_back().unwrap();
        }
        self.applying += began.elapsed();
        self.entry += 1;
        assert!(piece.applied.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    }

    /// How many a second were applied since it was asked last.
    fn pace(&mut self, count: u64) -> f64 {
        count as f64 / std::mem::take(&mut self.applying).as_secs_f64()
    }
}

#[test]
fn measure_a_reader_far_behind() {
    let messages = messages();
    let writers: Vec<String> = (0..WRITERS).map(|number| format!("writer{number}")).collect();
    let dir = TestDir::new();
    let (store, _) = started(&dir);
    let mut filling = Filling { store, entry: 2, applying: Duration::ZERO };
    let people = ["ann", "cleo", "dan", "eve"].into_iter().chain(writers.iter().map(String::as_str));
    filling.apply(&setup(&people.collect::<Vec<_>>(), 2));
    let _setup = filling.pace(1);

    let message = |number: u64| {
        let id = format!("{number:016x}");
        match number % 4 {
            0 => send("dan", 1, &id, "@eve, look at this"),
            1 => send("ann", 1, &id, "some words of a message like many"),
            _ => {
                let writer = &writers[(number.wrapping_mul(0x9e37_79b9) / 7 % WRITERS) as usize];
                send(writer, 1, &id, "some words of a message like many")
            }
        }
    };
    for first in (0..messages).step_by(ENTRY as usize) {
        let sends: Vec<_> = (first..(first + ENTRY).min(messages)).map(message).collect();
        filling.apply(&sends);
    }
    let pace = filling.pace(messages);
    filling.store.cut_wal().unwrap();
    let size = std::fs::metadata(dir.data().join("chat.db")).unwrap().len() as f64 / 1e6;
    eprintln!("{messages} messages in batches of {ENTRY}: {pace:.0} a second; chat.db of {size:.1} MB");

    let pool = ReadPool::open(filling.store.path(), 1).unwrap();
    let tell = |what: &str, user: &str, unread: u64, mentions: u64| {
        let told = times(|| {
            let home = pool.read(|view| view.home(user)).unwrap();
            assert_eq!((home.rooms[0].unread, home.rooms[0].mentions), (unread, mentions), "{what}");
        });
        eprintln!("rooms of a hello, {what}: {told}");
    };
    let calls = messages.div_ceil(4);
    let own = (messages + 2) / 4;
    tell("all unread", "cleo", messages, 0);
    tell("a quarter one's own", "ann", messages - own, 0);
    tell("called in a quarter", "eve", messages, calls);

    let gone = messages / 2;
    for first in (1..=gone).step_by(DELETED_AT_ONCE as usize) {
        let seqs = (first..=gone.min(first + DELETED_AT_ONCE - 1)).map(Seq).collect();
        let change = Change::Delete { room: ROOM, seqs };
        let id = format!("delete {first}");
        filling.apply(&[Command { user: "ann".into(), id, change }]);
    }
    eprintln!("{gone} deleted: {:.0} a second", filling.pace(gone));
    filling.store.cut_wal().unwrap();
    tell("half of it deleted", "cleo", messages - gone, 0);

    let mark = Change::MarkRead { room: ROOM, seq: Seq(messages) };
    filling.apply(&[Command { user: "cleo".into(), id: "read".into(), change: mark }]);
    tell("all read", "cleo", 0, 0);
}
