//! Changes of members and of leadership, as the core proposes them.

use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};

use super::{Core, NotTaken};
use crate::ids::RaftId;

/// What becomes of a replica in a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Voter(RaftId),
    Learner(RaftId),
    Gone(RaftId),
}

impl Core {
    /// Proposes a change of members, as leader: through a joint configuration, which is left by itself.
    /// `row` is the encoded `NodeRow` that changes with it; it alone changes when there are no `changes`.
    ///
    /// # Errors
    /// [`NotTaken`]: it does not lead, hands over, or an earlier change is not done.
    pub fn propose_members(&mut self, changes: &[Turn], row: Vec<u8>) -> Result<(), NotTaken> {
        if !self.leadership().leads || self.is_transferring() || self.is_changing() {
            return Err(NotTaken);
        }
        if changes.is_empty() {
            return self.node.propose(row, Vec::new()).map_err(|_| NotTaken);
        }
        let single = |turn: &Turn| {
            let (id, kind) = match *turn {
                Turn::Voter(id) => (id, ConfChangeType::AddNode),
                Turn::Learner(id) => (id, ConfChangeType::AddLearnerNode),
                Turn::Gone(id) => (id, ConfChangeType::RemoveNode),
            };
            ConfChangeSingle { node_id: id.0, change_type: kind, ..ConfChangeSingle::default() }
        };
        let change = ConfChangeV2 {
            transition: ConfChangeTransition::Implicit,
            changes: changes.iter().map(single).collect::<Vec<_>>().into(),
            ..ConfChangeV2::default()
        };
        self.node.propose_conf_change(row, change).map_err(|_| NotTaken)
    }

    /// A change of members is under way, as far as this node knows; or may be, early in a term.
    pub fn is_changing(&self) -> bool {
        self.node.raft.has_pending_conf()
            || !self.node.store().conf_state().voters_outgoing.is_empty()
            || !self.has_applied_in_term()
    }

    /// A leader that is part of the configuration no more leads no longer: it was elected while it was on the way
    /// out. raft-rs leaves it in office, and panics when more of its log is written.
    pub(super) fn step_aside(&mut self, conf_state: &ConfState) {
        let own = self.node.raft.id;
        let ConfState { voters, voters_outgoing, learners, learners_next, .. } = conf_state;
        let is_here = [voters, voters_outgoing, learners, learners_next].iter().any(|ids| ids.contains(&own));
        if self.leadership().leads && !is_here {
            // That they are rid of it.
            self.node.raft.bcast_append();
            self.forget_leader();
        }
    }

    /// Hands leadership to that voter.
    pub fn transfer_to(&mut self, peer: RaftId) {
        self.node.transfer_leader(peer.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{core, settle};
    use super::*;

    /// It was elected while it was on the way out: whoever removes the leader moves leadership first.
    #[test]
    fn a_leader_that_is_gone_leads_no_longer() {
        let mut core = core(&[1, 2]);
        for _ in 0..2 {
            core.tick();
            settle(&mut core);
        }
        assert!(core.leadership().leads);
        core.propose_members(&[Turn::Gone(RaftId(1))], b"row".to_vec()).unwrap();
        settle(&mut core);
        assert_eq!(core.voters(), [RaftId(2)]);
        assert!(!core.leadership().leads);
        assert_eq!(core.propose(b"more".to_vec()), Err(NotTaken));
    }
}
