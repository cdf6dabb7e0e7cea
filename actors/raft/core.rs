//! The pure core around `RawNode`: inputs in, outputs out, in the order that asynchronous `Ready`s
//! demand (raft-rs `raw_node.rs`; Raft thesis § 10.2.1). It has no clock, thread, socket or disk.
//!
//! After any inputs, [`Core::drive`] tells what is to be done. At most one append is on its way to the
//! disk; what comes meanwhile merges into one that waits, so every fsync carries all there is.
//!
//! A snapshot that a leader offers is held back until its rows are here ([`Core::state_here`]); raft
//! hears of it then, with the position of what came. See [`super::snapshots`].

mod backlog;
mod changes;
pub mod elections;
mod held;
#[cfg(test)]
mod testing;
mod views;

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType};
use raft::{RawNode, ReadOnlyOption, StateRole};
use tracing::debug;

pub use changes::Turn;

use super::candidacy::Candidacy;
use super::log_view::{LogStart, LogView, Wanted};
use super::snapshots::Snapshots;
use crate::ids::{LogIndex, RaftId, Term};
use crate::messages::disk::{Append, Committed, Payload};
use crate::messages::transfer::Offer;
use elections::Cause;
use held::Held;

/// How Raft is tuned. Ticks, not times: the actor has the clock.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: RaftId,
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    /// The simulation fixes raft-rs's own dice: the first tick at which this node may stand.
    pub fixed_election_tick: Option<usize>,
    /// Applied entries that stay in the log, for peers that are behind.
    pub log_keep_entries: u64,
}

/// What is to be done, in this order.
#[derive(Default)]
pub struct Outputs {
    /// To peers, at once.
    pub messages: Vec<Message>,
    /// To the disk, with an fsync; answered by [`Core::persisted`].
    pub append: Option<Append>,
    /// To the tables, behind all appends asked before; answered by [`Core::applied`].
    pub apply: Vec<Committed>,
    /// Reads whose point in the order is known now: context and index.
    pub reads: Vec<(Vec<u8>, LogIndex)>,
    /// Old entries to be read from the disk; answered by [`Core::fetched`].
    pub wanted: Vec<Wanted>,
    /// This disk has gone back in time, says the sentence.
    pub went_back: Option<String>,
    /// State to be fetched; answered by [`Core::state_here`].
    pub offered: Option<Offer>,
    /// This node leads in a term that is new, and why it stood.
    pub elected: Option<Cause>,
}

/// Who leads, as this node believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    pub term: Term,
    pub leader: Option<RaftId>,
    pub leads: bool,
}

/// A proposal that Raft did not take: it does not lead, hands over, or has too much uncommitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTaken;

/// Bytes of entries in one append message.
const MESSAGE_BYTES_MAX: u64 = 256 << 10;
/// Append messages under way to one peer.
const INFLIGHT_MESSAGES_MAX: usize = 64;
/// Bytes proposed and not yet committed.
const UNCOMMITTED_BYTES_MAX: u64 = 16 << 20;
/// Bytes handed to apply at a time.
const COMMITTED_BYTES_MAX: u64 = 1 << 20;

/// Last index and term of a log that holds nothing but the founding.
const FOUNDATION: (u64, u64) = (1, 1);
/// Ticks between two tries of the founder to be elected.
const FOUNDER_STANDS_EVERY: u64 = 2;

/// See the module.
pub struct Core {
    pub(super) node: RawNode<LogView>,
    /// The append that is on the disk's way, by the number of its youngest `Ready`, with what may be
    /// sent once it is there.
    pub(super) writing: Option<Held>,
    /// What gathers behind it.
    next: Option<(Append, Held)>,
    pub(super) applied: u64,
    /// The last entry that was handed out to be applied.
    handed_out: u64,
    /// Committed, and held back until the term in which that became known is on the disk: whoever
    /// reads the tables sees no older term beside them.
    held_back: Vec<Committed>,
    held_back_term: u64,
    durable_term: u64,
    pub(super) snapshots: Snapshots,
    election_ticks: u64,
    pub(super) ticks: u64,
    /// The tick at which each peer was heard last in the present term.
    heard: Vec<(RaftId, u64)>,
    /// Until this tick what arrives may be older than an election timeout.
    stale_until: u64,
    /// The first of those who founded the chat stands at once, so that nobody waits for the dice.
    founder: bool,
    /// The term in which this node gave up a leader whose process was gone: at most once a term.
    gave_up_in: Term,
    candidacy: Candidacy,
    /// Why it stood last …
    stood: Cause,
    /// … and the last term in which it was elected.
    elected_in: Term,
}

impl Core {
    /// # Errors
    /// When raft-rs refuses the configuration.
    pub fn new(config: &Config, start: LogStart) -> raft::Result<Self> {
        let applied = start.applied;
        let first = start.conf_state.voters.iter().min() == Some(&config.id.0);
        let founder = first && (start.last, start.hard_state.term) == FOUNDATION;
        let raft_config = raft::Config {
            id: config.id.0,
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: INFLIGHT_MESSAGES_MAX,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
            min_election_tick: config.fixed_election_tick.unwrap_or(0),
            max_election_tick: config.fixed_election_tick.map_or(0, |tick| tick + 1),
            ..raft::Config::default()
        };
        let durable_term = start.hard_state.term;
        let node = RawNode::new(&raft_config, LogView::new(start), &super::logger())?;
        Ok(Self {
            node,
            writing: None,
            next: None,
            applied,
            handed_out: applied,
            held_back: Vec::new(),
            held_back_term: 0,
            durable_term,
            snapshots: Snapshots::new(config),
            election_ticks: config.election_ticks as u64,
            ticks: 0,
            heard: Vec::new(),
            stale_until: 0,
            founder,
            gave_up_in: Term(0),
            candidacy: Candidacy::default(),
            stood: Cause::default(),
            elected_in: Term(0),
        })
    }

    /// One tick of the clock.
    pub fn tick(&mut self) {
        self.ticks += 1;
        // Until a snapshot is on the disk raft-rs cannot look at its unapplied entries, as whoever
        // stands for election must.
        if self.snapshots.installing().is_some() {
            return;
        }
        let before = self.node.raft.state;
        self.node.tick();
        self.note_stand(before, Cause::Silence);
        if self.founder && self.ticks.is_multiple_of(FOUNDER_STANDS_EVERY) {
            self.found();
        }
        self.stand_again();
        // raft-rs looks at its quorum once an election timeout, so a leader may believe in one for two.
        if self.leadership().leads && !self.hears_majority() {
            debug!("no majority heard from within the election timeout: stepping down");
            self.forget_leader();
        }
        self.offer_again();
    }

    /// This node stood still for longer than an election timeout, and messages have waited for it.
    pub fn stood_still(&mut self) {
        self.stale_until = self.ticks + self.election_ticks;
    }

    /// A message from a peer. What raft-rs would panic on is refused here.
    ///
    /// So is a word to take over that may have waited while this node stood still: whoever sent it has given it up, and
    /// has told people that it leads on.
    pub fn step(&mut self, message: Message, out: &mut Outputs) {
        let kind = message.get_msg_type();
        let stays = self.snapshots.installing().is_some() || self.ticks < self.stale_until;
        if kind == MessageType::MsgPropose || (kind == MessageType::MsgTimeoutNow && stays) {
            debug!(?kind, from = message.from, "message refused");
            return;
        }
        if kind == MessageType::MsgSnapshot && message.get_snapshot().get_metadata().index > self.commit().0 {
            self.hold(message);
            return;
        }
        if kind == MessageType::MsgAppend && !message.entries.is_empty() && self.is_apply_behind() {
            debug!(from = message.from, "entries refused: too much waits to be applied");
            return;
        }
        if kind == MessageType::MsgHeartbeat && message.commit > self.node.raft.raft_log.last_index() {
            // raft-rs would panic on it.
            out.went_back = Some(format!(
                "the leader knows that this node holds its log up to entry {}, but its disk ends at entry {}",
                message.commit,
                self.node.raft.raft_log.last_index()
            ));
            return;
        }
        let from = RaftId(message.from);
        let term = message.term;
        let before = self.node.raft.state;
        let Err(error) = self.node.step(message) else {
            // No other message has a follower stand than the leader's word.
            self.note_stand(before, Cause::HandedOver);
            if term == self.node.raft.term {
                self.hear(from);
            }
            return;
        };
        debug!(%error, ?kind, %from, "message not taken");
    }

    /// Proposes data, as leader.
    ///
    /// # Errors
    /// [`NotTaken`]: keep it and try again later, or elsewhere.
    pub fn propose(&mut self, data: Vec<u8>) -> Result<(Term, LogIndex), NotTaken> {
        if !self.leadership().leads || self.node.propose(Vec::new(), data).is_err() {
            return Err(NotTaken);
        }
        Ok((Term(self.node.raft.term), LogIndex(self.node.raft.raft_log.last_index())))
    }

    /// Asks for the point of the order that a linearizable read must see. It may never be answered.
    pub fn read_index(&mut self, context: Vec<u8>) {
        self.node.read_index(context);
    }

    /// A message to this peer was lost.
    pub fn report_unreachable(&mut self, peer: RaftId) {
        self.node.report_unreachable(peer.0);
    }

    /// Everything up to this `Ready` is on the disk. Follow with [`Core::drive`].
    ///
    /// # Panics
    /// When the disk answers what it was not asked.
    pub fn persisted(&mut self, number: u64, out: &mut Outputs) {
        let written = self.writing.take().expect("the disk answers only an append that is on its way");
        assert!(number <= written.number, "the disk answers the append it was given");
        out.messages.extend(written.messages);
        // The number of the youngest Ready that rode along, with or without anything to write.
        self.node.on_persist_ready(written.number);
        self.durable_term = written.term;
        if let Some(index) = written.installs {
            self.snapshots.installed();
            self.applied(LogIndex(index));
        }
    }

    /// The tables hold everything up to `index`. Follow with [`Core::drive`].
    pub fn applied(&mut self, index: LogIndex) {
        self.applied = index.0;
        let last = self.node.raft.raft_log.last_index();
        self.node.advance_apply_to(index.0);
        if self.node.raft.raft_log.last_index() > last {
            // The entry that leaves a joint configuration: raft-rs appends it, and would send it with the
            // answer to the next heartbeat. Until it is there two majorities are needed.
            self.node.raft.bcast_append();
        }
        self.node.mut_store().set_applied(index.0);
        let raft = &self.node.raft;
        let leaves_joint = raft.state == StateRole::Leader
            && !self.node.store().conf_state().voters_outgoing.is_empty()
            && !raft.has_pending_conf();
        if leaves_joint {
            // A new leader may find a joint configuration that nobody is leaving.
            let _later = self.node.propose_conf_change(Vec::new(), ConfChangeV2::default());
        }
    }

    /// Entries that were wanted have been read (`None`: they could not be).
    pub fn fetched(&mut self, wanted: Wanted, entries: Option<Vec<Entry>>) {
        if entries.is_some() {
            self.node.mut_store().set_fetched(entries);
            self.node.on_entries_fetched(wanted.context);
            self.node.mut_store().set_fetched(None);
        }
    }

    /// Handles every `Ready` there is and says what is to be done.
    pub fn drive(&mut self, out: &mut Outputs) {
        out.elected = self.take_election().or(out.elected);
        while self.node.has_ready() {
            // A snapshot comes alone: behind all that was written and applied before it.
            let installs = self.node.snap().map(|snapshot| snapshot.get_metadata().index);
            if installs.is_some() && !self.is_idle() {
                break;
            }
            let mut ready = self.node.ready();
            let number = ready.number();
            let mut held = ready.take_messages();
            // Where one alone votes it leads at once, and would speak in a term that its disk may forget.
            if self.durable_term >= self.node.raft.term {
                out.messages.append(&mut held);
            }
            if installs.is_some() {
                let metadata = ready.snapshot().get_metadata();
                let (index, term) = (metadata.index, metadata.term);
                self.node.mut_store().restore(index, term, metadata.get_conf_state());
                self.handed_out = index;
            }
            let entries = ready.take_entries();
            self.node.mut_store().append(&entries);
            // A hard state of which only the commit is new need not be written for itself: it rides
            // with the next append, and apply stores how far it is committed at least.
            if let Some(hard_state) = ready.hs() {
                self.node.mut_store().set_hard_state(hard_state);
            }
            let must_write = ready.must_sync();
            let committed = ready.take_committed_entries();
            out.reads.extend(
                ready.take_read_states().into_iter().map(|read| (read.request_ctx, LogIndex(read.index))),
            );
            held.extend(ready.take_persisted_messages());
            self.node.advance_append_async(ready);

            for entry in committed {
                self.handed_out = entry.index;
                let committed = self.admit(entry);
                self.held_back.push(committed);
                self.held_back_term = self.node.raft.term;
            }
            if must_write {
                self.gather(number, entries, held);
            } else {
                self.ride_along(number, held, out);
            }
            if installs.is_some()
                && let Some((append, held)) = self.next.take()
            {
                self.writing = Some(Held { installs, since: self.ticks, ..held });
                out.append = Some(Append { snapshot: self.snapshots.installing().cloned(), ..append });
            }
        }
        if self.durable_term >= self.held_back_term {
            out.apply.append(&mut self.held_back);
        }
        if self.writing.is_none()
            && let Some((append, held)) = self.next.take()
        {
            self.writing = Some(Held { since: self.ticks, ..held });
            out.append = Some(append);
        }
        out.wanted.extend(self.node.mut_store().take_wanted());
        out.offered = self.snapshots.take_news().or(out.offered);
    }

    /// A committed entry on its way to the tables. Looks at the entry's type before its data: the entry
    /// that leaves a joint configuration has none.
    fn admit(&mut self, entry: Entry) -> Committed {
        let what = match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() && entry.context.is_empty() => Payload::Empty,
            EntryType::EntryNormal if entry.data.is_empty() => Payload::Node(entry.context.clone()),
            EntryType::EntryNormal => Payload::Batch(entry.data.clone()),
            EntryType::EntryConfChange => {
                let mut change = ConfChange::default();
                change.merge_from_bytes(&entry.data).expect("a committed conf change was written by raft-rs");
                let adopted = self.node.apply_conf_change(&change);
                self.adopt(entry.index, adopted, entry.context.clone())
            }
            EntryType::EntryConfChangeV2 => {
                let mut change = ConfChangeV2::default();
                change.merge_from_bytes(&entry.data).expect("a committed conf change was written by raft-rs");
                let adopted = self.node.apply_conf_change(&change);
                self.adopt(entry.index, adopted, entry.context.clone())
            }
        };
        Committed { index: LogIndex(entry.index), term: Term(entry.term), what }
    }

    fn adopt(&mut self, index: u64, adopted: raft::Result<ConfState>, row: Bytes) -> Payload {
        match adopted {
            Ok(conf_state) => {
                self.node.mut_store().set_conf_state(index, &conf_state);
                self.step_aside(&conf_state);
                Payload::Conf(conf_state, row)
            }
            Err(error) => {
                tracing::warn!(%error, "conf change refused by raft, alike on every node");
                Payload::Empty
            }
        }
    }

    /// Adds to the append that waits. The hard state goes with it each time, so that a commit is never
    /// durable later than an entry after it.
    fn gather(&mut self, number: u64, entries: Vec<Entry>, messages: Vec<Message>) {
        let hard_state = self.node.store().hard_state().clone();
        let term = hard_state.term;
        let last = self.last_index().0;
        let Some((append, held)) = &mut self.next else {
            let held = Held { since: self.ticks, last, number, messages, term, installs: None };
            self.next = Some((Append { number, snapshot: None, entries, hard_state }, held));
            return;
        };
        held.term = term;
        held.last = last;
        append.number = number;
        append.hard_state = hard_state;
        held.number = number;
        held.hold(messages);
        if let Some(first) = entries.first() {
            append.entries.retain(|entry| entry.index < first.index);
            append.entries.extend(entries);
        }
    }

    /// A `Ready` with nothing to write counts as persisted when all before it are.
    fn ride_along(&mut self, number: u64, messages: Vec<Message>, out: &mut Outputs) {
        if let Some(held) = self.next.as_mut().map(|(_, held)| held).or(self.writing.as_mut()) {
            held.number = number;
            held.hold(messages);
        } else {
            out.messages.extend(messages);
            self.node.on_persist_ready(number);
        }
    }

    /// Nothing is on its way to the disk or the tables.
    fn is_idle(&self) -> bool {
        self.writing.is_none() && self.next.is_none() && self.applied == self.handed_out
    }

    pub(super) fn hear(&mut self, peer: RaftId) {
        match self.heard.iter_mut().find(|(of, _)| *of == peer) {
            Some((_, tick)) => *tick = self.ticks,
            None => self.heard.push((peer, self.ticks)),
        }
    }

    /// Of a joint configuration, from both.
    fn hears_majority(&self) -> bool {
        let heard = |voter: &RaftId| voter.0 == self.node.raft.id || self.heard_lately(*voter);
        let heard = self.voters().into_iter().filter(heard).map(|voter| voter.0).collect();
        self.node.raft.prs().has_quorum(&heard)
    }
}
