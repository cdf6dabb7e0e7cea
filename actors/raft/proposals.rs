//! Who waits for which outcome, and where each command has been handed.
//!
//! A node numbers what its own people ask for. The leader joins all that waits into as few entries as
//! fit; a follower hands it on to the leader, in order, and again when leadership moves or the way
//! there lost it. An outcome comes back from apply by its origin.
//!
//! However often it is handed on, one number stands in the log **at most once**. Ids alone would not do:
//! a refusal is not remembered, so a second copy could still take effect after the asker was told no.
//! 1. What is handed on names its term, and only that term's leader takes it.
//! 2. A leader takes each number once a term.
//! 3. In a new term nothing is handed on again before an entry of that term was applied here: by then
//!    each copy of an earlier term has come out of the log, or never will.
//!
//! And they stand there **in their order**: what is handed on names the number that it follows, and the leader takes it
//! only when it has seen that one. What comes behind something that was lost is handed on again with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_bytes::ByteBuf;

use super::core::{Core, Leadership};
use crate::chat::command::{Batch, Command, FormatError, Item, LEVEL_FIRST};
use crate::ids::{Boot, Origin, RaftId, Term};
use crate::messages::consensus::{Chain, NotDone};

/// Commands of this node's people that may wait at a time.
const WAITING_MAX: usize = 8_192;
/// Commands of other nodes' people that may wait to be proposed here.
const RELAYED_MAX: usize = 16_384;
/// Bytes of commands in one entry, and in one parcel to the leader.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Entries committed and not applied yet, beyond which nothing more is proposed.
const APPLY_BACKLOG_MAX: u64 = 4_096;

/// Numbers of one node that a leader remembers as taken. Older ones count as taken.
const TAKEN_MAX: usize = 65_536;

/// How long things may take, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an outcome; then its fate is unknown, or it was never handed on.
    pub deadline_ticks: u64,
    /// For an outcome of what was handed to the leader; then it is handed on again.
    pub repeat_ticks: u64,
    /// For a majority to come back before everything is refused at once.
    pub no_quorum_ticks: u64,
    /// For a learner to stay caught up before it becomes a voter.
    pub promote_ticks: u64,
}

/// See the module.
pub struct Proposals {
    origin: (RaftId, Boot),
    patience: Patience,
    last_number: u64,
    own: BTreeMap<u64, Waiting>,
    /// The first number that the present leader has not been handed.
    next: u64,
    /// With the level of each.
    relayed: VecDeque<(Item, u8)>,
    /// What was relayed in the present term, by its node.
    taken: BTreeMap<RaftId, Taken>,
    handed_for: (Term, Option<RaftId>),
    /// Copies handed on in an earlier term may still come out of the log.
    unsettled: bool,
    /// Something was lost on the way to the leader: at the next tick all is handed on again.
    lost: bool,
}

/// The numbers of one node's present run that were taken.
#[derive(Default)]
struct Taken {
    boot: Boot,
    /// All that its node handed on up to this number has come here.
    up_to: u64,
    below: u64,
    numbers: BTreeSet<u64>,
}

struct Waiting {
    command: ByteBuf,
    level: u8,
    asked_tick: u64,
    /// When it was handed on last, if ever: then it may take effect whatever we hear.
    handed_tick: Option<u64>,
}

impl Proposals {
    pub fn new(origin: (RaftId, Boot), patience: Patience) -> Self {
        Self {
            origin,
            patience,
            last_number: 0,
            own: BTreeMap::new(),
            next: 0,
            relayed: VecDeque::new(),
            taken: BTreeMap::new(),
            handed_for: (Term(0), None),
            unsettled: false,
            lost: false,
        }
    }

    /// Takes a command in, which may be proposed as far as its level goes; its number finds the answer.
    pub fn ask(&mut self, command: Vec<u8>, level: u8, tick: u64) -> Result<u64, NotDone> {
        if self.own.len() >= WAITING_MAX {
            return Err(NotDone::Busy);
        }
        self.last_number += 1;
        let waiting = Waiting { command: ByteBuf::from(command), level, asked_tick: tick, handed_tick: None };
        self.own.insert(self.last_number, waiting);
        Ok(self.last_number)
    }

    /// Takes in what a follower handed on to this leader in `term`. What is of another term, does not fit or
    /// follows what is not here is dropped: its node repeats it. So is what not everybody can read, as `may` says
    /// of a level: in the log it would end every process that cannot.
    pub fn relay(&mut self, term: Term, chain: Chain, may: impl Fn(u8) -> bool) {
        self.enter(term);
        let Chain { mut after, items } = chain;
        for item in items {
            let taken = self.taken.entry(item.origin.node).or_default();
            if self.relayed.len() >= RELAYED_MAX || !taken.reaches(item.origin.boot, after) {
                return;
            }
            after = item.origin.number;
            taken.up_to = taken.up_to.max(after);
            let level = match level_of(&item) {
                Ok(level) if may(level) => level,
                Ok(level) => {
                    tracing::warn!(level, node = %item.origin.node, "a change was handed on that not every member is known to read");
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, node = %item.origin.node, "a change was handed on that cannot be read");
                    continue;
                }
            };
            if taken.take(item.origin) {
                self.relayed.push_back((item, level));
            }
        }
    }

    /// An outcome of ours: whose, if anybody still waits.
    pub fn settle(&mut self, origin: Origin) -> Option<u64> {
        if (origin.node, origin.boot) != self.origin {
            return None;
        }
        self.own.remove(&origin.number).map(|_| origin.number)
    }

    /// The tables moved on without showing what came of each command: whatever was handed on may have
    /// taken effect, and its outcome will not come. It is handed on no more.
    pub fn forget_handed_on(&mut self) -> Vec<u64> {
        let lost = self.own.extract_if(.., |_, waiting| waiting.handed_tick.is_some());
        lost.map(|(number, _)| number).collect()
    }

    /// The way to the leader lost something: everything unanswered is handed on again, not before the
    /// next tick, so that a way that stays broken is not flooded.
    pub fn hand_on_again(&mut self) {
        self.lost = true;
    }

    /// Proposes or hands on what waits; to whom and what, when another node leads. All members read `level`, so
    /// that what is proposed is meant as that level says.
    pub fn pump(&mut self, core: &mut Core, level: u8, time_ms: u64, tick: u64) -> Option<(RaftId, Chain)> {
        let Leadership { term, leader, leads } = core.leadership();
        self.enter(term);
        if self.handed_for != (term, leader) {
            self.handed_for = (term, leader);
            self.next = 0;
            self.lost = false;
        }
        if !leads {
            self.relayed.clear();
        }
        self.unsettled = self.unsettled && !core.has_applied_in_term();
        if leads {
            self.propose(core, level, time_ms, tick);
            return None;
        }
        if self.lost {
            // It would not be taken before what was lost.
            return None;
        }
        let after = self.handed_last();
        let (items, _) = self.take_own(tick, BATCH_BYTES_MAX);
        match leader {
            Some(leader) if !items.is_empty() => Some((leader, Chain { after, items })),
            _ => None,
        }
    }

    /// The last that was handed on and is still waited for; what was answered or given up need not be there before
    /// what comes next.
    fn handed_last(&self) -> u64 {
        self.own.range(..self.next).next_back().map_or(0, |(&number, _)| number)
    }

    /// Answers those that waited too long.
    pub fn expire(&mut self, tick: u64, ticks_without_quorum: u64) -> Vec<(u64, NotDone)> {
        let patience = self.patience;
        let hopeless = ticks_without_quorum > patience.no_quorum_ticks;
        let mut given_up = Vec::new();
        self.own.retain(|&number, waiting| {
            let late = tick - waiting.asked_tick >= patience.deadline_ticks;
            match waiting.handed_tick {
                Some(_) if late => given_up.push((number, NotDone::Unknown)),
                None if late || hopeless => given_up.push((number, NotDone::Unavailable)),
                _ => return true,
            }
            false
        });
        let repeat =
            |waiting: &Waiting| waiting.handed_tick.is_some_and(|at| tick - at >= patience.repeat_ticks);
        let unheard = self.own.first_key_value().is_some_and(|(_, waiting)| repeat(waiting));
        // What a leader has proposed stands in its own log, and will come out of it or end with its term.
        let follows = self.handed_for.1 != Some(self.origin.0);
        if follows && (self.lost || unheard) {
            self.next = 0;
        }
        self.lost = false;
        given_up
    }

    /// The first that this node does in a term.
    fn enter(&mut self, term: Term) {
        if self.handed_for.0 == term {
            return;
        }
        self.handed_for = (term, None);
        self.next = 0;
        self.taken.clear();
        self.relayed.clear();
        self.unsettled |= self.own.values().any(|waiting| waiting.handed_tick.is_some());
    }

    fn propose(&mut self, core: &mut Core, common: u8, time_ms: u64, tick: u64) {
        let backlog = core.commit().0 - core.applied_index().0;
        if core.is_transferring() || core.is_disk_behind() || backlog > APPLY_BACKLOG_MAX {
            return;
        }
        loop {
            let next = self.next;
            let (mut items, mut level) = self.take_own(tick, BATCH_BYTES_MAX);
            let mut relayed = Vec::new();
            let own = items.len();
            let mut bytes: usize = items.iter().map(|item| item.command.len()).sum();
            while bytes < BATCH_BYTES_MAX
                && let Some((item, of)) = self.relayed.pop_front()
            {
                bytes += item.command.len();
                level = level.max(of);
                relayed.push(of);
                items.push(item);
            }
            if items.is_empty() {
                return;
            }
            let batch = Batch { level: level.max(common), time_ms, items };
            let data = batch.encode().expect("a batch in memory can always be encoded");
            if core.propose(data).is_err() {
                // Not taken: all stay where they were, in order.
                self.next = next;
                for (item, of) in batch.items.into_iter().skip(own).zip(relayed).rev() {
                    self.relayed.push_front((item, of));
                }
                return;
            }
        }
    }

    /// This node's own commands from `next` on, at most so many bytes but at least one; and the highest
    /// level among them.
    fn take_own(&mut self, tick: u64, bytes_max: usize) -> (Vec<Item>, u8) {
        let (node, boot) = self.origin;
        if self.handed_for.1.is_none() || self.unsettled {
            return (Vec::new(), LEVEL_FIRST);
        }
        let mut items = Vec::new();
        let (mut bytes, mut level) = (0, LEVEL_FIRST);
        for (&number, waiting) in self.own.range_mut(self.next..) {
            if bytes >= bytes_max {
                break;
            }
            bytes += waiting.command.len();
            level = level.max(waiting.level);
            waiting.handed_tick = Some(tick);
            items.push(Item { origin: Origin { node, boot, number }, command: waiting.command.clone() });
            self.next = number + 1;
        }
        (items, level)
    }
}

fn level_of(item: &Item) -> Result<u8, FormatError> {
    Ok(Command::decode(&item.command)?.change.level())
}

impl Taken {
    /// Whether that number has come here, and with it all that its node handed on before.
    fn reaches(&mut self, boot: Boot, number: u64) -> bool {
        if boot > self.boot {
            *self = Self { boot, ..Self::default() };
        }
        // Nobody waits for the outcome of an earlier run.
        boot == self.boot && number <= self.up_to
    }

    /// Whether this is the first time.
    fn take(&mut self, origin: Origin) -> bool {
        if origin.number < self.below || !self.numbers.insert(origin.number) {
            return false;
        }
        if self.numbers.len() > TAKEN_MAX
            && let Some(oldest) = self.numbers.pop_first()
        {
            self.below = oldest + 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::Change;
    use crate::ids::RoomId;

    fn item(boot: u64, number: u64) -> Item {
        let origin = Origin { node: RaftId(2), boot: Boot(boot), number };
        let change = Change::Join { room: RoomId(1) };
        let command = Command { user: "ann".into(), id: number.to_string(), change };
        Item { origin, command: ByteBuf::from(command.encode().unwrap()) }
    }

    /// Everybody reads everything.
    fn may(_: u8) -> bool {
        true
    }

    #[test]
    fn a_leader_takes_nothing_that_not_everybody_reads() {
        let patience = Patience { deadline_ticks: 1, repeat_ticks: 1, no_quorum_ticks: 1, promote_ticks: 1 };
        let mut leader = Proposals::new((RaftId(1), Boot(1)), patience);
        leader.relay(Term(5), chain(0, vec![item(1, 1)]), |level| level > LEVEL_FIRST);
        let garbage = Item { command: ByteBuf::from(b"\xc1".to_vec()), ..item(1, 2) };
        leader.relay(Term(5), chain(1, vec![garbage, item(1, 3)]), may);
        assert_eq!(numbers(&leader), [3]);
        leader.relay(Term(5), chain(0, vec![item(1, 1)]), may);
        assert_eq!(numbers(&leader), [3, 1], "it may come again when they do");
    }

    fn chain(after: u64, items: Vec<Item>) -> Chain {
        Chain { after, items }
    }

    fn numbers(proposals: &Proposals) -> Vec<u64> {
        proposals.relayed.iter().map(|(item, _)| item.origin.number).collect()
    }

    #[test]
    fn a_leader_takes_each_number_once_a_term() {
        let patience = Patience { deadline_ticks: 1, repeat_ticks: 1, no_quorum_ticks: 1, promote_ticks: 1 };
        let mut leader = Proposals::new((RaftId(1), Boot(1)), patience);
        leader.relay(Term(5), chain(0, vec![item(1, 3), item(1, 1), item(1, 3)]), may);
        leader.relay(Term(5), chain(0, vec![item(1, 1), item(1, 2)]), may);
        assert_eq!(numbers(&leader), [3, 1, 2]);
        leader.relay(Term(5), chain(0, vec![item(2, 1), item(1, 4)]), may);
        assert_eq!(numbers(&leader), [3, 1, 2, 1], "nobody waits for what an earlier run asked");
        leader.relay(Term(6), chain(0, vec![item(2, 1)]), may);
        assert_eq!(numbers(&leader), [1], "what the earlier term did not propose is handed on again");
    }

    #[test]
    fn a_leader_takes_nothing_before_what_it_follows() {
        let patience = Patience { deadline_ticks: 1, repeat_ticks: 1, no_quorum_ticks: 1, promote_ticks: 1 };
        let mut leader = Proposals::new((RaftId(1), Boot(1)), patience);
        leader.relay(Term(5), chain(0, vec![item(1, 3), item(1, 4)]), may);
        leader.relay(Term(5), chain(5, vec![item(1, 6), item(1, 7)]), may);
        assert_eq!(numbers(&leader), [3, 4], "5 was lost on the way");
        leader.relay(Term(5), chain(0, vec![item(1, 3), item(1, 4), item(1, 5), item(1, 6)]), may);
        leader.relay(Term(5), chain(6, vec![item(1, 7)]), may);
        assert_eq!(numbers(&leader), [3, 4, 5, 6, 7]);
        leader.relay(Term(5), chain(1, vec![item(2, 2)]), may);
        leader.relay(Term(5), chain(0, vec![item(2, 1)]), may);
        assert_eq!(numbers(&leader).last(), Some(&1), "numbers begin anew with each run");
        leader.relay(Term(6), chain(1, vec![item(2, 2)]), may);
        assert_eq!(numbers(&leader), [0; 0], "… and with each term");
    }

    #[test]
    fn nothing_follows_what_was_given_up() {
        let patience = Patience { deadline_ticks: 3, repeat_ticks: 9, no_quorum_ticks: 9, promote_ticks: 1 };
        let mut follower = Proposals::new((RaftId(2), Boot(1)), patience);
        follower.handed_for = (Term(5), Some(RaftId(1)));
        for (tick, follows) in [(0, 0), (1, 1), (5, 0)] {
            follower.expire(tick, 0);
            let number = follower.ask(vec![0], LEVEL_FIRST, tick).unwrap();
            assert_eq!(follower.handed_last(), follows);
            assert_eq!(follower.take_own(tick, 1).0[0].origin.number, number);
        }
    }

    #[test]
    fn what_was_handed_on_before_the_tables_were_replaced_is_not_handed_on_again() {
        let patience = Patience { deadline_ticks: 9, repeat_ticks: 1, no_quorum_ticks: 9, promote_ticks: 1 };
        let mut node = Proposals::new((RaftId(1), Boot(1)), patience);
        node.handed_for = (Term(1), Some(RaftId(2)));
        for _ in 0..2 {
            node.ask(Vec::new(), LEVEL_FIRST, 0).unwrap();
        }
        assert_eq!(node.take_own(0, 1 << 20).0.len(), 2);
        node.ask(Vec::new(), LEVEL_FIRST, 0).unwrap();
        assert_eq!(node.forget_handed_on(), [1, 2]);
        node.next = 0;
        let again: Vec<_> = node.take_own(1, 1 << 20).0.iter().map(|item| item.origin.number).collect();
        assert_eq!(again, [3]);
    }

    #[test]
    fn who_may_wait_is_bounded() {
        let patience = Patience { deadline_ticks: 1, repeat_ticks: 1, no_quorum_ticks: 1, promote_ticks: 1 };
        let mut node = Proposals::new((RaftId(1), Boot(1)), patience);
        for _ in 0..WAITING_MAX {
            node.ask(Vec::new(), LEVEL_FIRST, 0).unwrap();
        }
        assert_eq!(node.ask(Vec::new(), LEVEL_FIRST, 0), Err(NotDone::Busy));
        assert_eq!(node.expire(1, 0).len(), WAITING_MAX);
        assert!(node.ask(Vec::new(), LEVEL_FIRST, 1).is_ok());
    }

    #[test]
    fn what_a_leader_remembers_is_bounded() {
        let mut taken = Taken::default();
        let last = TAKEN_MAX as u64 + 10;
        for number in 1..=last {
            assert!(taken.take(Origin { node: RaftId(2), boot: Boot(1), number }));
        }
        assert_eq!(taken.numbers.len(), TAKEN_MAX);
        for number in 1..=last {
            assert!(!taken.take(Origin { node: RaftId(2), boot: Boot(1), number }));
        }
    }
}
