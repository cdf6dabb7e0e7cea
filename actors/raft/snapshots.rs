//! The part of the core that keeps the log short, and helps whoever is behind its beginning.
//!
//! A leader offers where its tables stand, without a row. The receiver holds that offer while it fetches
//! the state, page by page, from any replica; then raft steps it as if the leader had offered the very
//! position that came.

use protobuf::Message as _;
use raft::eraftpb::{ConfState, Message};
use raft::{ProgressState, SnapshotStatus};
use tracing::{debug, warn};

use super::core::{Config, Core};
use crate::ids::{LogIndex, RaftId, Term};
use crate::messages::disk::Install;
use crate::messages::transfer::Offer;

/// Election timeouts after which an offer counts as lost, and is made again.
const OFFER_AGAIN_ELECTIONS: u64 = 2;
/// Entries that are cut off at a time, if the bound allows.
const CUT_AT_ONCE: u64 = 128;

/// What of snapshots is under way at this node.
pub(super) struct Snapshots {
    log_keep_entries: u64,
    offer_again_ticks: u64,
    /// The leader's offer, whose rows are being fetched.
    offered: Option<Message>,
    /// The entry that state is being fetched for, also when its offer stands no more.
    wanted: Option<u64>,
    /// It has not been told yet.
    is_news: bool,
    /// What raft was told of, until it is on the disk.
    installing: Option<Install>,
    /// As leader: since when which peer has an offer of ours.
    offered_to: Vec<(RaftId, u64)>,
}

/// What became of state that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the disk, or something else does already.
    Installs,
    /// The log has brought this node as far.
    NotNeeded,
    /// A later offer wants more; it is being fetched.
    NotEnough,
    /// Nobody's offer stands: the present leader is to make one.
    NoOffer,
    /// This node is not a member as of that state.
    NotAMember,
}

impl Snapshots {
    pub fn new(config: &Config) -> Self {
        Self {
            log_keep_entries: config.log_keep_entries.max(1),
            offer_again_ticks: OFFER_AGAIN_ELECTIONS * config.election_ticks as u64,
            offered: None,
            wanted: None,
            is_news: false,
            installing: None,
            offered_to: Vec::new(),
        }
    }

    pub fn installing(&self) -> Option<&Install> {
        self.installing.as_ref()
    }

    pub fn installed(&mut self) {
        self.installing = None;
        self.wanted = None;
    }

    /// The offer, once.
    pub fn take_news(&mut self) -> Option<Offer> {
        let offer = self.offered.as_ref().filter(|_| self.is_news).map(|message| Offer {
            from: RaftId(message.from),
            term: Term(message.term),
            index: LogIndex(message.get_snapshot().get_metadata().index),
        });
        self.is_news = false;
        offer
    }
}

impl Core {
    /// Keeps a leader's offer until its rows are here. A later one takes its place.
    pub(super) fn hold(&mut self, message: Message) {
        if message.term < self.node.raft.term || self.snapshots.installing.is_some() {
            debug!(from = message.from, term = message.term, "an offer of state comes too late");
            return;
        }
        if message.term == self.node.raft.term {
            self.hear(RaftId(message.from));
        }
        self.snapshots.wanted = Some(message.get_snapshot().get_metadata().index);
        self.snapshots.offered = Some(message);
        self.snapshots.is_news = true;
    }

    /// The entry before the log's first.
    pub fn log_cut(&self) -> LogIndex {
        LogIndex(self.node.store().cut())
    }

    /// State is being fetched or installed.
    pub fn lacks_state(&self) -> bool {
        self.snapshots.wanted.is_some()
    }

    /// Raft was told of a snapshot that is not on the disk yet.
    pub fn is_installing(&self) -> bool {
        self.snapshots.installing.is_some()
    }

    /// State was fetched. Follow with [`Core::drive`].
    pub fn state_here(&mut self, install: Install) -> Verdict {
        let position = &install.position;
        if self.snapshots.installing.is_some() {
            // Its pages are being read.
            return Verdict::Installs;
        }
        let Some(mut message) = self.snapshots.offered.take() else {
            return if position.index > self.commit() { Verdict::NoOffer } else { Verdict::NotNeeded };
        };
        // A leader of an earlier term than the state's need not have the entry: to acknowledge it there
        // would let it count this node for entries of its own.
        if message.term < self.node.raft.term || message.term < position.known_term.0 {
            return Verdict::NoOffer;
        }
        if position.index.0 < message.get_snapshot().get_metadata().index {
            self.snapshots.offered = Some(message);
            return Verdict::NotEnough;
        }
        let conf_state = match ConfState::parse_from_bytes(&position.conf_state) {
            Ok(conf_state) => conf_state,
            Err(error) => {
                warn!(%error, "the members in the state that came cannot be read");
                return Verdict::NotAMember;
            }
        };
        let own = self.node.raft.id;
        let members = [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing];
        if !members.iter().any(|ids| ids.contains(&own)) {
            return Verdict::NotAMember;
        }
        let metadata = message.mut_snapshot().mut_metadata();
        metadata.index = position.index.0;
        metadata.term = position.term.0;
        metadata.set_conf_state(conf_state);
        if let Err(error) = self.node.step(message) {
            debug!(%error, "an offer of state is not taken");
        }
        if self.node.snap().is_none() {
            self.snapshots.wanted = None;
            return Verdict::NotNeeded;
        }
        self.snapshots.installing = Some(install);
        Verdict::Installs
    }

    /// The log has brought this node as far as the last offer: says so once.
    pub fn needs_no_state(&mut self) -> bool {
        let applied = self.applied;
        if self.snapshots.installing.is_some()
            || self.snapshots.wanted.take_if(|index| *index <= applied).is_none()
        {
            return false;
        }
        self.snapshots.offered = None;
        true
    }

    /// Cuts the log when it is long. Up to here the disk may forget it.
    pub fn cut_log(&mut self) -> Option<LogIndex> {
        let keep = self.snapshots.log_keep_entries;
        let (cut, applied) = (self.node.store().cut(), self.applied);
        let mut to = applied.saturating_sub(keep);
        if let Some(needed) = self.needed_by_peers() {
            // A peer that is heard may still need what comes after this; for a while that is kept.
            to = to.min(needed.max(applied.saturating_sub(keep + keep / 2)));
        }
        if to < cut + CUT_AT_ONCE.min(keep.div_ceil(4)) {
            return None;
        }
        self.node.mut_store().cut_to(to);
        Some(LogIndex(to))
    }

    /// The least entry that all peers who are heard have, or have been offered.
    fn needed_by_peers(&self) -> Option<u64> {
        if !self.leadership().leads {
            return None;
        }
        let peers = self.node.raft.prs().iter();
        let heard = peers.filter(|&(&id, _)| id != self.node.raft.id && self.heard_lately(RaftId(id)));
        heard.map(|(_, progress)| progress.matched.max(progress.pending_snapshot)).min()
    }

    /// An offer that was lost would pause its peer for ever: one that takes long is made again.
    pub(super) fn offer_again(&mut self) {
        if !self.leadership().leads {
            self.snapshots.offered_to.clear();
            return;
        }
        let mut now = Vec::new();
        for (&id, progress) in self.node.raft.prs().iter() {
            if progress.state == ProgressState::Snapshot {
                let before = self.snapshots.offered_to.iter().find(|(peer, _)| peer.0 == id);
                now.push(before.copied().unwrap_or((RaftId(id), self.ticks)));
            }
        }
        let (ticks, patience) = (self.ticks, self.snapshots.offer_again_ticks);
        let late: Vec<_> = now.extract_if(.., |(_, since)| ticks - *since >= patience).collect();
        self.snapshots.offered_to = now;
        for (peer, _) in late {
            debug!(%peer, "an offer of state is made again");
            self.node.report_snapshot(peer.0, SnapshotStatus::Failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{Entry, HardState, MessageType};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::chat_db::pages::Position;
    use crate::raft::core::Outputs;
    use crate::raft::log_view::LogStart;

    fn message(kind: MessageType, term: u64) -> Message {
        let mut message = Message { from: 1, to: 4, term, ..Message::default() };
        message.set_msg_type(kind);
        message
    }

    fn offer(term: u64, index: u64) -> Message {
        let mut message = message(MessageType::MsgSnapshot, term);
        message.mut_snapshot().mut_metadata().index = index;
        message.mut_snapshot().mut_metadata().term = term;
        message
    }

    fn state(index: u64, known_term: u64, learner: u64) -> Install {
        let conf_state = ConfState { voters: vec![1, 2, 3], learners: vec![learner], ..ConfState::default() };
        let position = Position {
            index: LogIndex(index),
            term: Term(3),
            known_term: Term(known_term),
            conf_state: ByteBuf::from(conf_state.write_to_bytes().unwrap()),
            ..Position::default()
        };
        Install { position, pages: 1 }
    }

    fn drive(core: &mut Core) -> Outputs {
        let mut out = Outputs::default();
        core.drive(&mut out);
        out
    }

    fn config() -> Config {
        Config {
            id: RaftId(4),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: None,
            log_keep_entries: 10,
        }
    }

    /// The leader that made the offer is none any more when the state is here, and the log of the next one goes back
    /// far enough.
    #[test]
    fn who_is_caught_up_by_the_log_needs_no_more_state() {
        let start = LogStart {
            hard_state: HardState { term: 1, commit: 1, ..HardState::default() },
            conf_state: ConfState { voters: vec![1, 2, 4], ..ConfState::default() },
            applied: 1,
            cut: (1, 1),
            last: 1,
            ..LogStart::default()
        };
        let mut core = Core::new(&config(), start).unwrap();
        core.step(offer(5, 20), &mut Outputs::default());
        assert_eq!(core.state_here(state(25, 6, 4)), Verdict::NoOffer);
        assert!(core.lacks_state() && !core.needs_no_state());

        let mut append = Message { index: 1, log_term: 1, commit: 20, ..message(MessageType::MsgAppend, 6) };
        let entry = |index| Entry { index, term: 6, ..Entry::default() };
        append.entries = (2..=20).map(entry).collect::<Vec<_>>().into();
        core.step(append, &mut Outputs::default());
        let mut out = drive(&mut core);
        core.persisted(out.append.unwrap().number, &mut Outputs::default());
        out = drive(&mut core);
        assert_eq!(out.apply.last().map(|last| last.index), Some(LogIndex(20)));
        core.applied(LogIndex(20));
        assert!(core.needs_no_state() && !core.needs_no_state() && !core.lacks_state());
    }

    /// With an empty log, and knowing of nobody.
    #[test]
    fn who_joins_begins_with_a_snapshot() {
        let mut core = Core::new(&config(), LogStart::default()).unwrap();
        (0..100).for_each(|_| core.tick());
        assert!(drive(&mut core).messages.is_empty(), "it stands for nothing");

        core.step(message(MessageType::MsgHeartbeat, 5), &mut Outputs::default());
        core.step(offer(5, 20), &mut Outputs::default());
        let out = drive(&mut core);
        let expected = Offer { from: RaftId(1), term: Term(5), index: LogIndex(20) };
        assert_eq!(out.offered, Some(expected));
        core.persisted(out.append.unwrap().number, &mut Outputs::default());

        for (install, verdict) in [(state(19, 5, 4), Verdict::NotEnough), (state(25, 6, 4), Verdict::NoOffer)]
        {
            assert_eq!(core.state_here(install), verdict);
        }
        core.step(offer(5, 20), &mut Outputs::default());
        assert_eq!(core.state_here(state(25, 5, 9)), Verdict::NotAMember);
        core.step(offer(5, 20), &mut Outputs::default());
        assert_eq!(core.state_here(state(25, 5, 4)), Verdict::Installs);
        // Told twice, since an offer came meanwhile: whoever throws the pages away now takes them from the disk.
        assert_eq!(core.state_here(state(25, 5, 4)), Verdict::Installs);
        let append = drive(&mut core).append.unwrap();
        assert_eq!(append.snapshot, Some(state(25, 5, 4)));
        assert_eq!((append.entries.len(), append.hard_state.commit), (0, 25));
        core.tick();
        core.step(message(MessageType::MsgTimeoutNow, 5), &mut Outputs::default());
        assert!(core.is_installing() && drive(&mut core).messages.is_empty());

        let mut out = Outputs::default();
        core.persisted(append.number, &mut out);
        core.drive(&mut out);
        let acknowledged: Vec<_> = out.messages.iter().map(|message| message.index).collect();
        assert_eq!((core.applied_index(), acknowledged.last()), (LogIndex(25), Some(&25)));
        assert_eq!((core.term_of(LogIndex(25)), core.log_cut()), (Some(Term(3)), LogIndex(25)));
        assert_eq!(core.state_here(state(25, 5, 4)), Verdict::NotNeeded);
        assert!(!core.lacks_state());
    }
}
