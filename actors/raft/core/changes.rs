//! Changes of members and of leadership, as the core proposes them.

use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};

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

    /// Hands leadership to that voter.
    pub fn transfer_to(&mut self, peer: RaftId) {
        self.node.transfer_leader(peer.0);
    }
}
