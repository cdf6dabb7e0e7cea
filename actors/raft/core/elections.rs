//! Who stands for election when, and why: beside raft-rs's own dice, whatever need not wait for them.

use raft::{INVALID_ID, StateRole};

use super::{Core, FOUNDATION};
use crate::ids::{RaftId, Term};
use crate::raft::candidacy::Votes;

/// Why a node stood for election, at its first try. Those after it, when it came to nothing, have the same reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing was heard of a leader for an election timeout.
    #[default]
    Silence,
    /// The leader's process was seen to be gone.
    LeaderDied,
    /// The leader gave the word.
    HandedOver,
    /// The chat was just founded.
    Founding,
}

impl Cause {
    pub const ALL: [Self; 4] = [Self::Silence, Self::LeaderDied, Self::HandedOver, Self::Founding];

    /// As metrics and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::LeaderDied => "leader_died",
            Self::HandedOver => "handed_over",
            Self::Founding => "founding",
        }
    }
}

impl Core {
    /// The leader's process is gone. When this node follows exactly that peer, it forgets it, once a
    /// term, and says how many places it stands behind the others in who is to stand for election.
    pub fn leader_died(&mut self, peer: RaftId) -> Option<usize> {
        let now = self.leadership();
        let follows = self.node.raft.state == StateRole::Follower && now.leader == Some(peer);
        if !follows || self.gave_up_in == now.term {
            return None;
        }
        self.gave_up_in = now.term;
        self.forget_leader();
        let mut others: Vec<_> = self.voters().into_iter().filter(|&voter| voter != peer).collect();
        others.sort_unstable();
        others.iter().position(|&voter| voter.0 == self.node.raft.id)
    }

    /// Stands for election if nobody leads in this term by now, after [`Core::leader_died`].
    pub fn stand(&mut self, term: Term) {
        let now = self.leadership();
        let is_free = now.leader.is_none() && self.snapshots.installing().is_none();
        if now.term == term && is_free && self.node.raft.state == StateRole::Follower {
            self.campaign(Cause::LeaderDied);
        }
    }

    /// Pre-votes until the others are there to answer; over with the first term that anybody begins.
    pub(super) fn found(&mut self) {
        self.founder = (self.last_index().0, self.node.raft.term) == FOUNDATION;
        if self.founder && self.leadership().leader.is_none() {
            self.campaign(Cause::Founding);
        }
    }

    /// See [`Candidacy`](crate::raft::candidacy::Candidacy).
    pub(super) fn stand_again(&mut self) {
        let raft = &self.node.raft;
        let mut voters = self.voters();
        voters.sort_unstable();
        let Some(rank) = voters.iter().position(|voter| voter.0 == raft.id) else { return };
        let (granted, rejected, _) = raft.prs().tally_votes();
        if self.candidacy.tick(raft.state, rank, Votes { granted, rejected, voters: voters.len() }) {
            self.campaign(self.stood);
        }
    }

    fn campaign(&mut self, cause: Cause) {
        let before = self.node.raft.state;
        // Cannot fail: a hup is a local message that every role takes.
        let _never = self.node.campaign();
        self.note_stand(before, cause);
    }

    /// A follower that is none any more stands, or where it votes alone leads already.
    pub(super) fn note_stand(&mut self, before: StateRole, cause: Cause) {
        if before == StateRole::Follower && self.node.raft.state != StateRole::Follower {
            self.stood = cause;
        }
    }

    /// Why this node was elected, once for each term that it leads in.
    pub(super) fn take_election(&mut self) -> Option<Cause> {
        let now = self.leadership();
        let is_new = now.leads && self.elected_in != now.term;
        is_new.then(|| {
            self.elected_in = now.term;
            self.stood
        })
    }

    pub(super) fn forget_leader(&mut self) {
        // The same term: another one would clear the vote.
        let term = self.node.raft.term;
        self.node.raft.become_follower(term, INVALID_ID);
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{Message, MessageType};

    use super::super::testing::{core, settle};
    use super::*;
    use crate::raft::core::Outputs;

    fn from_leader(core: &mut Core, kind: MessageType) {
        let mut message = Message { from: 2, to: 1, term: 5, ..Message::default() };
        message.set_msg_type(kind);
        core.step(message, &mut Outputs::default());
    }

    /// Node 1 of three, in a term that node 2 leads.
    fn follower() -> Core {
        let mut core = core(&[1, 2, 3]);
        from_leader(&mut core, MessageType::MsgHeartbeat);
        assert_eq!(settle(&mut core), None);
        core
    }

    #[test]
    fn the_first_of_a_new_chat_is_elected_at_once() {
        let mut core = core(&[1, 2, 3]);
        let elected = (1..=2).find_map(|_| {
            core.tick();
            settle(&mut core)
        });
        assert_eq!(elected, Some(Cause::Founding));
        assert_eq!(settle(&mut core), None, "it is told once");
    }

    #[test]
    fn a_leader_that_died_is_replaced_without_a_tick() {
        let mut core = follower();
        let rank = core.leader_died(RaftId(2));
        assert_eq!(rank, Some(0));
        core.stand(Term(5));
        assert_eq!(settle(&mut core), Some(Cause::LeaderDied));
        assert!(core.leadership().leads);
    }

    #[test]
    fn pre_votes_that_were_lost_are_asked_again_for_the_same_reason() {
        let mut core = follower();
        core.leader_died(RaftId(2));
        core.stand(Term(5));
        core.drive(&mut Outputs::default());
        core.tick();
        core.tick();
        assert_eq!(settle(&mut core), Some(Cause::LeaderDied));
    }

    #[test]
    fn who_is_told_to_lead_leads() {
        let mut core = follower();
        from_leader(&mut core, MessageType::MsgTimeoutNow);
        assert_eq!(settle(&mut core), Some(Cause::HandedOver));
    }

    #[test]
    fn a_leader_that_says_nothing_is_replaced_after_an_election_timeout() {
        let mut core = follower();
        let ticks = (1..=30).find(|_| {
            core.tick();
            settle(&mut core) == Some(Cause::Silence)
        });
        assert!((10..=20).contains(&ticks.unwrap()), "{ticks:?}");
    }
}
