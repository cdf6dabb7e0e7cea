//! One node's consensus as a whole: the Raft core, the proposals and the reads. Pure: the actor gives
//! it messages and time, the simulation does the same with a network and disks of its own.

use std::sync::Arc;

use crate::chat::command::Command;
use crate::chat::outcome::{Outcome, Refusal};
use crate::ids::{At, Boot, LogIndex, Origin, RaftId, Term};
use crate::membership::Roll;
use crate::messages::consensus::{Chain, ClusterView, NotDone, PeerProgress};
use crate::messages::disk::{Append, Committed, Install};
use crate::messages::members::{Settled, Wish};
use crate::messages::news::{DiskReport, Role};
use crate::messages::transfer::Offer;

use super::core::elections::Cause;
use super::core::{Config, Core, Outputs};
use super::disks::{Disks, HandsOver};
use super::levels::Levels;
use super::log_view::{LogStart, Wanted};
use super::members::Members;
use super::proposals::{Patience, Proposals};
use super::reads::Reads;
use super::snapshots::Verdict;

/// What is to be done after inputs.
#[derive(Default)]
pub struct Todo {
    /// To peers, at once and in order.
    pub messages: Vec<raft::eraftpb::Message>,
    pub append: Option<Append>,
    pub apply: Vec<Committed>,
    pub wanted: Vec<Wanted>,
    /// The disk may forget log entries up to here.
    pub compact: Option<LogIndex>,
    /// State to be fetched, answered by [`Node::state_here`] …
    pub fetch: Option<Offer>,
    /// … or not needed any more.
    pub fetch_over: bool,
    /// To the leader of the present term, in order.
    pub forward: Option<Handed>,
    pub outcomes: Vec<(u64, Result<Outcome, NotDone>)>,
    pub reads: Vec<(u64, Result<(), NotDone>)>,
    /// A change of members that somebody waits for.
    pub settled: Option<(u64, Settled)>,
    /// Leadership or majority changed.
    pub role: Option<Role>,
    /// The leader knows more of this node than its disk does: it must not go on as that replica.
    pub went_back: Option<String>,
    /// This leader's disk is in trouble.
    pub hands_over: Option<HandsOver>,
    /// This node was elected, and why it stood.
    pub elected: Option<Cause>,
}

/// For so many election timeouts after its start a node waits for members that it has not heard.
const NEW_ELECTIONS: u64 = 5;

/// Commands on their way to a leader.
pub struct Handed {
    pub to: RaftId,
    /// Only as the leader of this term may it take them.
    pub term: Term,
    pub chain: Chain,
}

/// See the module.
pub struct Node {
    core: Core,
    proposals: Proposals,
    levels: Levels,
    reads: Reads,
    members: Members,
    disks: Disks,
    hands_over: Option<HandsOver>,
    patience: Patience,
    out: Outputs,
    outcomes: Vec<(u64, Result<Outcome, NotDone>)>,
    read_answers: Vec<(u64, Result<(), NotDone>)>,
    role: Role,
    ticks: u64,
    quorum_tick: u64,
    fetch_over: bool,
    /// This node is going: it stands for no election any more.
    leaving: bool,
}

impl Node {
    /// # Errors
    /// When raft-rs refuses the configuration.
    pub fn new(config: &Config, boot: Boot, patience: Patience, start: LogStart) -> raft::Result<Self> {
        let core = Core::new(config, start)?;
        let origin = (config.id, boot);
        let role = Role { leader: None, leads: false, term: core.leadership().term, quorum: false };
        Ok(Self {
            core,
            proposals: Proposals::new(origin, patience),
            levels: Levels::default(),
            reads: Reads::new(origin, patience.deadline_ticks),
            members: Members::new(Arc::default(), patience.promote_ticks, patience.deadline_ticks),
            disks: Disks::default(),
            hands_over: None,
            patience,
            out: Outputs::default(),
            outcomes: Vec::new(),
            read_answers: Vec::new(),
            role,
            ticks: 0,
            quorum_tick: 0,
            fetch_over: false,
            leaving: false,
        })
    }

    /// Takes a command in; the number comes back with its outcome.
    ///
    /// # Errors
    /// When it is refused at once: too much waits, there has been no majority for a while, a member is not
    /// known to read it, or there is no room for what it adds.
    pub fn propose(&mut self, command: &Command) -> Result<u64, NotDone> {
        if self.ticks_without_quorum() > self.patience.no_quorum_ticks {
            return Err(NotDone::Unavailable);
        }
        let level = command.change.level();
        if let Some(member) = self.levels.obstacle(level, self.core.id(), self.core.members()) {
            return Err(NotDone::TooNew { member });
        }
        if command.change.takes_room()
            && let Some(why) = self.disks.refusal(&self.core)
        {
            return Err(NotDone::NoRoom(why));
        }
        let bytes = command.encode().expect("a command in memory can always be encoded");
        self.proposals.ask(bytes, level, self.ticks)
    }

    /// Whether a command should be held for a moment: this node has just begun, and a member that has said nothing
    /// yet may read such commands. In a new chat the links come up one after the other, and what people ask for first
    /// is not to be refused for that.
    pub fn is_early(&self, command: &Command) -> bool {
        let obstacle = self.levels.obstacle(command.change.level(), self.core.id(), self.core.members());
        let is_new = self.ticks < NEW_ELECTIONS * self.core.election_ticks();
        is_new && obstacle.is_some_and(|member| !self.levels.has_heard(member))
    }

    /// Takes a linearizable read in; the number comes back when this node has applied far enough.
    ///
    /// # Errors
    /// As for [`Node::propose`].
    pub fn read(&mut self) -> Result<u64, NotDone> {
        if self.ticks_without_quorum() > self.patience.no_quorum_ticks {
            return Err(NotDone::Unavailable);
        }
        self.reads.ask(self.ticks)
    }

    /// A command of this level was applied here.
    pub fn reached(&mut self, level: u8) {
        self.levels.reach(level);
    }

    /// A peer says that it reads commands up to this level.
    pub fn reads_up_to(&mut self, peer: RaftId, level: u8) {
        self.levels.hear(peer, level);
    }

    /// Begins a change of members; the number comes back when it is settled.
    ///
    /// # Errors
    /// With what can be said at once.
    pub fn wish(&mut self, wish: &Wish) -> Result<u64, Settled> {
        if let Wish::Join { name, level, .. } = wish
            && let Some(reached) = self.levels.above(*level)
        {
            return Err(Settled::Refused(format!(
                "the chat holds changes of level {reached}, and {name} reads up to level {level}: run a newer \
                 replicated-chat on it"
            )));
        }
        self.members.wish(wish, &mut self.core, self.ticks)
    }

    /// Everybody, as of what is about to be reported as applied.
    pub fn members(&mut self, roll: Arc<Roll>) {
        self.members.replace(roll);
    }

    pub fn roll(&self) -> &Arc<Roll> {
        self.members.roll()
    }

    /// See [`Core::stood_still`].
    pub fn stood_still(&mut self) {
        self.core.stood_still();
    }

    pub fn step(&mut self, message: raft::eraftpb::Message) {
        self.core.step(message, &mut self.out);
    }

    /// Commands that a follower handed to the leader of `term`.
    pub fn forwarded(&mut self, term: Term, chain: Chain) {
        let now = self.core.leadership();
        if now.leads && now.term == term {
            let may = |level| self.levels.obstacle(level, self.core.id(), self.core.members()).is_none();
            self.proposals.relay(term, chain, may);
        }
    }

    pub fn tick(&mut self) {
        self.ticks += 1;
        if !self.leaving || self.core.leadership().leads {
            self.core.tick();
        }
        if self.core.quorum() {
            self.quorum_tick = self.ticks;
        }
        self.members.look(&mut self.core, self.ticks);
        if let Some(id) = self.members.promote(&mut self.core, self.ticks) {
            tracing::info!(
                node = self.members.roll().name_of(id),
                "a learner has caught up and is to become a voter"
            );
        }
        if !self.leaving {
            self.hands_over = self.disks.tick(&mut self.core).or(self.hands_over);
        }
        let without = self.ticks_without_quorum();
        let given_up = self.proposals.expire(self.ticks, without);
        self.outcomes.extend(given_up.into_iter().map(|(number, why)| (number, Err(why))));
        let late = self.reads.expire(self.ticks, without > self.patience.no_quorum_ticks);
        self.read_answers.extend(late.into_iter().map(|number| (number, Err(NotDone::Unavailable))));
    }

    pub fn persisted(&mut self, number: u64) {
        let before = self.core.applied_index();
        self.core.persisted(number, &mut self.out);
        if self.core.applied_index() > before {
            self.installed();
        }
    }

    /// State was fetched.
    pub fn state_here(&mut self, install: Install) -> Verdict {
        let level = install.position.level;
        let verdict = self.core.state_here(install);
        self.fetch_over |= verdict == Verdict::NotNeeded;
        if verdict == Verdict::Installs {
            // Its commands never pass through apply here.
            self.levels.reach(u8::try_from(level).unwrap_or(u8::MAX));
        }
        verdict
    }

    /// The tables are those of another replica now: what the commands in between came to is not known.
    fn installed(&mut self) {
        self.fetch_over = true;
        let lost = self.proposals.forget_handed_on();
        self.outcomes.extend(lost.into_iter().map(|number| (number, Err(NotDone::Unknown))));
    }

    pub fn applied(&mut self, index: LogIndex, outcomes: Vec<(Origin, Result<Outcome, Refusal>)>) {
        self.core.applied(index);
        self.fetch_over |= self.core.needs_no_state();
        for (origin, outcome) in outcomes {
            if let Some(number) = self.proposals.settle(origin) {
                self.outcomes.push((number, outcome.map_err(|refusal| NotDone::Refused(Box::new(refusal)))));
            }
        }
        let ready = self.reads.ready(index);
        self.read_answers.extend(ready.into_iter().map(|number| (number, Ok(()))));
    }

    pub fn unreachable(&mut self, peer: RaftId) {
        self.core.report_unreachable(peer);
        if self.core.leadership().leader == Some(peer) {
            self.proposals.hand_on_again();
        }
    }

    /// See [`Core::leader_died`].
    pub fn died(&mut self, peer: RaftId) -> Option<(Term, usize)> {
        let rank = self.core.leader_died(peer)?;
        Some((self.core.leadership().term, rank))
    }

    /// How much room a node has said to have.
    pub fn disk_report(&mut self, report: DiskReport) {
        self.disks.report(report.of, report.room);
    }

    pub fn stand(&mut self, term: Term) {
        if !self.leaving {
            self.core.stand(term);
        }
    }

    pub fn fetched(&mut self, wanted: Wanted, entries: Option<Vec<raft::eraftpb::Entry>>) {
        self.core.fetched(wanted, entries);
    }

    /// This node is going: it hands leadership over and stands for none. To whom, if it led.
    pub fn step_down(&mut self) -> Option<RaftId> {
        self.leaving = true;
        self.disks.leave(&mut self.core)
    }

    /// Does everything that the inputs so far make possible.
    pub fn drive(&mut self, time_ms: u64) -> Todo {
        let mut todo = Todo::default();
        self.core.drive(&mut self.out);
        // First, so that the next question can leave at once for those who waited behind this one.
        self.answer_reads();
        let level = self.levels.common(self.core.id(), self.core.members());
        if let Some((to, chain)) = self.proposals.pump(&mut self.core, level, time_ms, self.ticks) {
            todo.forward = Some(Handed { to, term: self.core.leadership().term, chain });
        }
        self.reads.pump(&mut self.core, self.ticks);
        self.core.drive(&mut self.out);
        self.answer_reads();

        let out = std::mem::take(&mut self.out);
        todo.messages = out.messages;
        todo.append = out.append;
        todo.apply = out.apply;
        todo.wanted = out.wanted;
        todo.compact = self.core.cut_log();
        todo.fetch = out.offered;
        todo.fetch_over = std::mem::take(&mut self.fetch_over);
        todo.outcomes = std::mem::take(&mut self.outcomes);
        todo.reads = std::mem::take(&mut self.read_answers);
        todo.settled = self.members.settle(&self.core, self.ticks);
        todo.role = self.role_change();
        todo.went_back = out.went_back;
        todo.elected = out.elected;
        todo.hands_over = self.hands_over.take();
        todo
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn view(&self) -> ClusterView {
        let leadership = self.core.leadership();
        let last = self.core.last_index().0;
        let peers = self.core.progress().into_iter().map(|(peer, matched, learner)| PeerProgress {
            peer,
            matched,
            lag: last.saturating_sub(matched.0),
            learner,
            active: peer == self.core.id() || self.core.heard_lately(peer),
        });
        ClusterView {
            leader: leadership.leader,
            term: leadership.term,
            quorum: self.core.quorum(),
            applied: self.core.applied_index(),
            at: At(0),
            commit: self.core.commit(),
            peers: peers.collect(),
            transfer: None,
            disks: self.disks.rooms().clone(),
        }
    }

    fn answer_reads(&mut self) {
        for (context, index) in self.out.reads.drain(..) {
            self.reads.answered(&context, index);
        }
        let ready = self.reads.ready(self.core.applied_index());
        self.read_answers.extend(ready.into_iter().map(|number| (number, Ok(()))));
    }

    fn role_change(&mut self) -> Option<Role> {
        let leadership = self.core.leadership();
        let role = Role {
            leader: leadership.leader,
            leads: leadership.leads,
            term: leadership.term,
            quorum: self.core.quorum(),
        };
        (role != self.role).then(|| {
            self.role = role;
            role
        })
    }

    /// A majority that came back since the last tick counts at once: the node calls itself ready by then.
    fn ticks_without_quorum(&self) -> u64 {
        if self.core.quorum() { 0 } else { self.ticks - self.quorum_tick }
    }
}

#[cfg(test)]
mod tests {
    use protobuf::Message as _;
    use raft::eraftpb::{ConfState, HardState, Message, MessageType};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::chat::command::{Change, LEVEL, LEVEL_FIRST};
    use crate::chat_db::pages::Position;
    use crate::ids::RoomId;

    /// The order to take over may have waited for it, and who gave it says by then that it leads on.
    #[test]
    fn who_stood_still_does_not_take_over() {
        let config = Config {
            id: RaftId(1),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: Some(19),
            log_keep_entries: 10,
        };
        let patience = Patience { deadline_ticks: 9, repeat_ticks: 9, no_quorum_ticks: 9, promote_ticks: 9 };
        let conf_state = ConfState { voters: vec![1, 2, 3], ..ConfState::default() };
        let hard_state = HardState { term: 1, commit: 1, ..HardState::default() };
        let start =
            LogStart { hard_state, conf_state, applied: 1, cut: (1, 1), last: 1, ..LogStart::default() };
        let mut node = Node::new(&config, Boot(1), patience, start).unwrap();
        let from_leader = |kind| {
            let mut message = Message { from: 2, to: 1, term: 5, ..Message::default() };
            message.set_msg_type(kind);
            message
        };
        node.step(from_leader(MessageType::MsgHeartbeat));
        node.stood_still();
        node.step(from_leader(MessageType::MsgTimeoutNow));
        assert_eq!(node.core().leadership().term, Term(5));
        for _ in 0..10 {
            node.tick();
        }
        node.step(from_leader(MessageType::MsgTimeoutNow));
        assert_eq!(node.core().leadership().term, Term(6));
    }

    #[test]
    fn what_a_silent_member_may_read_is_held_at_first() {
        let config = Config {
            id: RaftId(1),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: None,
            log_keep_entries: 10,
        };
        let patience = Patience { deadline_ticks: 9, repeat_ticks: 9, no_quorum_ticks: 9, promote_ticks: 9 };
        let conf_state = ConfState { voters: vec![1, 2], ..ConfState::default() };
        let start = LogStart { conf_state, ..LogStart::default() };
        let node = || Node::new(&config, Boot(1), patience, start.clone()).unwrap();
        let command = |change| Command { user: "ann".into(), id: "1".into(), change };
        let old = command(Change::Join { room: RoomId(1) });
        let new = command(Change::Mute { room: RoomId(1), on: true });

        let mut silent = node();
        assert!(silent.is_early(&new) && !silent.is_early(&old));
        for _ in 0..50 {
            silent.tick();
        }
        assert!(!silent.is_early(&new), "it may be dead, and is waited for no longer");
        for level in [LEVEL_FIRST, LEVEL] {
            let mut heard = node();
            heard.reads_up_to(RaftId(2), level);
            assert!(!heard.is_early(&new), "of one that reads up to {level} it is known");
        }
    }

    /// Whoever leads after that must not let in a node that cannot read what the state holds.
    #[test]
    fn the_level_of_installed_state_was_reached() {
        let config = Config {
            id: RaftId(4),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: None,
            log_keep_entries: 10,
        };
        let patience = Patience { deadline_ticks: 9, repeat_ticks: 9, no_quorum_ticks: 9, promote_ticks: 9 };
        let mut node = Node::new(&config, Boot(1), patience, LogStart::default()).unwrap();
        let mut offer = Message { from: 1, to: 4, term: 5, ..Message::default() };
        offer.set_msg_type(MessageType::MsgSnapshot);
        offer.mut_snapshot().mut_metadata().index = 20;
        offer.mut_snapshot().mut_metadata().term = 5;
        node.step(offer);
        let conf_state = ConfState { voters: vec![1], learners: vec![4], ..ConfState::default() };
        let position = Position {
            index: LogIndex(20),
            term: Term(5),
            known_term: Term(5),
            level: 7,
            conf_state: ByteBuf::from(conf_state.write_to_bytes().unwrap()),
            ..Position::default()
        };
        assert_eq!(node.state_here(Install { position, pages: 1 }), Verdict::Installs);
        assert_eq!((node.levels.above(6), node.levels.above(7)), (Some(7), None));
    }
}
