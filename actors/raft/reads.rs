//! Who waits for which point of the order (ReadIndex, Raft thesis § 6.4).
//!
//! One question is on its way to the leader; reads that come meanwhile share the next. raft-rs may
//! lose a question in silence, so each has a deadline and is asked again under another context.

use std::collections::BTreeMap;

use super::core::Core;
use crate::ids::{Boot, LogIndex, RaftId, Term};
use crate::messages::consensus::NotDone;

/// Reads that may wait at a time.
const WAITING_MAX: usize = 8_192;
/// A question that was not answered for so long is asked again.
const REPEAT_TICKS: u64 = 4;

/// See the module.
pub struct Reads {
    origin: (RaftId, Boot),
    deadline_ticks: u64,
    last_number: u64,
    last_question: u64,
    /// Not asked yet.
    gathering: Vec<Read>,
    asked: Option<Question>,
    /// The point is known; applied is not there yet.
    ahead: BTreeMap<LogIndex, Vec<Read>>,
    ahead_count: usize,
}

struct Read {
    number: u64,
    asked_tick: u64,
}

struct Question {
    context: Vec<u8>,
    tick: u64,
    asked_of: (Term, Option<RaftId>),
    reads: Vec<Read>,
}

impl Reads {
    pub fn new(origin: (RaftId, Boot), deadline_ticks: u64) -> Self {
        Self {
            origin,
            deadline_ticks,
            last_number: 0,
            last_question: 0,
            gathering: Vec::new(),
            asked: None,
            ahead: BTreeMap::new(),
            ahead_count: 0,
        }
    }

    pub fn ask(&mut self, tick: u64) -> Result<u64, NotDone> {
        let asked = self.asked.as_ref().map_or(0, |question| question.reads.len());
        if self.gathering.len() + asked + self.ahead_count >= WAITING_MAX {
            return Err(NotDone::Busy);
        }
        self.last_number += 1;
        self.gathering.push(Read { number: self.last_number, asked_tick: tick });
        Ok(self.last_number)
    }

    /// Asks the next question if none is on its way, or asks again one that was lost.
    pub fn pump(&mut self, core: &mut Core, tick: u64) {
        let leadership = core.leadership();
        let asked_of = (leadership.term, leadership.leader);
        let lost = |asked: &Question| tick - asked.tick >= REPEAT_TICKS || asked.asked_of != asked_of;
        if self.asked.as_ref().is_some_and(lost)
            && let Some(asked) = self.asked.take()
        {
            self.gathering.splice(0..0, asked.reads);
        }
        // A leader drops what it is asked before an entry of its term is committed, and says nothing.
        let can_ask = leadership.leader.is_some() && core.has_committed_in_term();
        if self.asked.is_some() || self.gathering.is_empty() || !can_ask {
            return;
        }
        self.last_question += 1;
        let (node, boot) = self.origin;
        let context: Vec<u8> =
            [node.0, boot.0, self.last_question].iter().flat_map(|part| part.to_be_bytes()).collect();
        core.read_index(context.clone());
        let reads = std::mem::take(&mut self.gathering);
        self.asked = Some(Question { context, tick, asked_of, reads });
    }

    /// The leader's answer to a question: its reads must see everything up to `index`.
    pub fn answered(&mut self, context: &[u8], index: LogIndex) {
        if self.asked.as_ref().is_some_and(|asked| asked.context == context)
            && let Some(asked) = self.asked.take()
        {
            self.ahead_count += asked.reads.len();
            self.ahead.entry(index).or_default().extend(asked.reads);
        }
    }

    /// The reads that may read now.
    pub fn ready(&mut self, applied: LogIndex) -> Vec<u64> {
        let mut ready = Vec::new();
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= applied
        {
            ready.extend(entry.remove().into_iter().map(|read| read.number));
        }
        self.ahead_count -= ready.len();
        ready
    }

    /// Those that waited too long, or for a majority that is not there.
    pub fn expire(&mut self, tick: u64, no_quorum: bool) -> Vec<u64> {
        let deadline_ticks = self.deadline_ticks;
        let mut late = Vec::new();
        let mut keep = |read: &Read, hopeless: bool| {
            let keeps = !hopeless && tick - read.asked_tick < deadline_ticks;
            if !keeps {
                late.push(read.number);
            }
            keeps
        };
        self.gathering.retain(|read| keep(read, no_quorum));
        if let Some(asked) = &mut self.asked {
            asked.reads.retain(|read| keep(read, no_quorum));
        }
        for reads in self.ahead.values_mut() {
            reads.retain(|read| keep(read, false));
        }
        self.ahead.retain(|_, reads| !reads.is_empty());
        self.ahead_count = self.ahead.values().map(Vec::len).sum();
        late
    }
}
