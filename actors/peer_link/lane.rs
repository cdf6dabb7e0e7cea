//! What waits for one connection to a peer: the pure core of `PeerLink`.
//!
//! One POST is under way at a time; the next carries all that waited meanwhile, so batches grow with
//! the load and nothing waits for a timer. What is lost is lost as a whole, with everything behind it:
//! Raft sends again, commands are repeated by their owner, and nobody sees a gap in the middle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;

use super::wire::Parcel;
use crate::chat::command::Item;
use crate::ids::Term;
use crate::messages::links::Word;

/// How much may wait for one connection.
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    pub messages_max: usize,
    pub bytes_max: usize,
    /// One POST takes no more than this, unless a single message is larger.
    pub parcel_bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { messages_max: 4_096, bytes_max: 16 * 1024 * 1024, parcel_bytes: 8 * 1024 * 1024 }
    }
}

/// The pause after the first failed POST; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// More waits already than may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Something that one POST can carry.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// An encoded Raft message.
    Raft(Vec<u8>),
    /// A command for the leader of a term, and the number of the one that it follows.
    Item {
        term: Term,
        after: u64,
        item: Item,
    },
    Word(Word),
}

impl Cargo {
    /// About the bytes that it takes in a parcel.
    fn bytes(&self) -> usize {
        const FRAME: usize = 64;
        FRAME
            + match self {
                Self::Raft(message) => message.len(),
                Self::Item { item, .. } => item.command.len(),
                Self::Word(Word::Typing { user, .. }) => user.len(),
                Self::Word(Word::Rows { .. }) => 32,
                Self::Word(Word::Disk(room)) => 16 + room.node.len(),
                Self::Word(Word::Here { users }) => users.iter().map(|user| user.len() + 5).sum(),
            }
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing waits, or a POST is under way.
    Nothing,
    /// The peer did not answer just now: look again after this time.
    Pause(Duration),
    /// Send this; then say [`Lane::arrived`] or [`Lane::lost`].
    Post(Parcel),
}

/// The queue in front of one connection.
#[derive(Debug)]
pub struct Lane {
    limits: LaneLimits,
    waiting: VecDeque<Cargo>,
    bytes: usize,
    under_way: bool,
    /// Failed POSTs since the last good one.
    failures: u32,
    not_before: Option<Instant>,
    last_sent: Option<Instant>,
}

impl Lane {
    pub fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            bytes: 0,
            under_way: false,
            failures: 0,
            not_before: None,
            last_sent: None,
        }
    }

    /// Puts something behind all that waits.
    ///
    /// # Errors
    /// [`Full`] when there is no room: it is dropped.
    pub fn put(&mut self, cargo: Cargo) -> Result<(), Full> {
        let bytes = cargo.bytes();
        if self.waiting.len() >= self.limits.messages_max || self.bytes + bytes > self.limits.bytes_max {
            return Err(Full);
        }
        self.bytes += bytes;
        self.waiting.push_back(cargo);
        Ok(())
    }

    /// What to send now, if anything.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.under_way || self.waiting.is_empty() {
            return Next::Nothing;
        }
        if let Some(pause) = self.pause(now) {
            return Next::Pause(pause);
        }
        let mut parcel = Parcel::default();
        let mut bytes = 0;
        while let Some(cargo) = self.waiting.front() {
            bytes += cargo.bytes();
            if bytes > self.limits.parcel_bytes && bytes > cargo.bytes() {
                break;
            }
            self.bytes -= cargo.bytes();
            match self.waiting.pop_front() {
                Some(Cargo::Raft(message)) => parcel.raft.push(ByteBuf::from(message)),
                Some(Cargo::Item { term, after, item }) => {
                    parcel.items.push((term, item));
                    parcel.after.push(after);
                }
                Some(Cargo::Word(word)) => parcel.words.push(word),
                None => break,
            }
        }
        self.depart(now);
        Next::Post(parcel)
    }

    /// An empty parcel that keeps the connection open and measures the round trip, when nothing was
    /// sent for `idle`.
    pub fn ping(&mut self, now: Instant, idle: Duration) -> Option<Parcel> {
        let quiet = self.last_sent.is_none_or(|sent| now.saturating_duration_since(sent) >= idle);
        if self.under_way || !self.waiting.is_empty() || !quiet || self.pause(now).is_some() {
            return None;
        }
        self.depart(now);
        Some(Parcel::default())
    }

    /// The POST under way was answered well.
    pub fn arrived(&mut self) {
        self.under_way = false;
        self.recovered();
    }

    /// The POST under way failed: what it carried and all that waited is dropped.
    pub fn lost(&mut self, now: Instant) {
        self.under_way = false;
        self.waiting.clear();
        self.bytes = 0;
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(8)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
    }

    /// The peer was seen alive: no reason to wait any longer.
    pub fn recovered(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    fn depart(&mut self, now: Instant) {
        self.under_way = true;
        self.last_sent = Some(now);
    }

    fn pause(&self, now: Instant) -> Option<Duration> {
        self.not_before.map(|then| then.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: LaneLimits = LaneLimits { messages_max: 3, bytes_max: 10_000, parcel_bytes: 1_000 };

    fn posted(next: Next) -> Vec<Vec<u8>> {
        match next {
            Next::Post(parcel) => parcel.raft.into_iter().map(ByteBuf::into_vec).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn raft(byte: u8) -> Cargo {
        Cargo::Raft(vec![byte])
    }

    #[test]
    fn one_is_under_way_and_the_next_carries_all_that_waited() {
        let now = Instant::now();
        let mut lane = Lane::new(SMALL);
        assert_eq!(lane.next(now), Next::Nothing);
        lane.put(raft(1)).unwrap();
        assert_eq!(posted(lane.next(now)), [[1]]);
        lane.put(raft(2)).unwrap();
        lane.put(raft(3)).unwrap();
        assert_eq!(lane.next(now), Next::Nothing);
        lane.arrived();
        assert_eq!(posted(lane.next(now)), [[2], [3]]);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_dropped() {
        let mut lane = Lane::new(SMALL);
        assert_eq!(lane.put(Cargo::Raft(vec![0; 10_000])), Err(Full));
        for byte in 1..=3 {
            lane.put(raft(byte)).unwrap();
        }
        assert_eq!(lane.put(raft(4)), Err(Full));
        assert_eq!(posted(lane.next(Instant::now())), [[1], [2], [3]]);
        assert_eq!(lane.bytes, 0);
    }

    #[test]
    fn a_parcel_is_cut_at_its_size_and_a_large_message_goes_alone() {
        let now = Instant::now();
        let mut lane = Lane::new(SMALL);
        for bytes in [600, 600, 5_000] {
            lane.put(Cargo::Raft(vec![0; bytes])).unwrap();
        }
        for bytes in [600, 600, 5_000] {
            assert_eq!(posted(lane.next(now)).iter().map(Vec::len).collect::<Vec<_>>(), [bytes]);
            lane.arrived();
        }
    }

    #[test]
    fn a_loss_takes_all_that_waited_and_pauses_a_little() {
        let now = Instant::now();
        let mut lane = Lane::new(SMALL);
        lane.put(raft(1)).unwrap();
        lane.next(now);
        lane.put(raft(2)).unwrap();
        lane.lost(now);
        assert_eq!(lane.next(now), Next::Nothing);
        lane.put(raft(3)).unwrap();
        assert_eq!(lane.next(now), Next::Pause(PAUSE_MIN));
        assert_eq!(posted(lane.next(now + PAUSE_MIN)), [[3]]);
        for _ in 0..100 {
            lane.lost(now);
        }
        lane.put(raft(4)).unwrap();
        assert_eq!(lane.next(now), Next::Pause(PAUSE_MAX));
        lane.recovered();
        assert_eq!(posted(lane.next(now)), [[4]]);
    }

    #[test]
    fn only_an_idle_lane_pings() {
        let now = Instant::now();
        let idle = Duration::from_secs(1);
        let mut lane = Lane::new(SMALL);
        assert_eq!(lane.ping(now, idle), Some(Parcel::default()));
        assert_eq!(lane.ping(now + idle, idle), None, "under way");
        lane.arrived();
        assert_eq!(lane.ping(now + idle / 2, idle), None, "just used");
        assert!(lane.ping(now + idle, idle).is_some());
    }
}
