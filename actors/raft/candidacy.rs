//! When to stand again in an election that comes to nothing.
//!
//! raft-rs lets a candidate wait for another draw of the dice, up to two election timeouts. Two cases need not wait so
//! long. Pre-votes that others ignored, because they had heard the leader a moment later than this node, or that were
//! lost: they begin no term and touch no disk, so they are asked again soon. And votes that were split: once a
//! majority has answered and not elected this node, nobody else is likely to be elected in that term either. Who
//! stands again first follows from the order of the nodes, so that the same ones do not meet once more.

use raft::StateRole;

/// Ticks that the first in the order waits for; each further one waits for one more.
const WAIT_TICKS: usize = 2;

/// The answers to a candidate so far, its own vote among them.
#[derive(Clone, Copy, Debug)]
pub struct Votes {
    pub granted: usize,
    pub rejected: usize,
    pub voters: usize,
}

/// See the module.
#[derive(Default)]
pub struct Candidacy {
    role: StateRole,
    waited: usize,
}

impl Candidacy {
    /// Counts a tick; says whether to stand again now. `rank`: this node's place among the voters.
    pub fn tick(&mut self, role: StateRole, rank: usize, votes: Votes) -> bool {
        if role != self.role {
            (self.role, self.waited) = (role, 0);
        }
        let is_stuck = match role {
            StateRole::PreCandidate => true,
            StateRole::Candidate => votes.rejected > 0 && votes.granted + votes.rejected > votes.voters / 2,
            StateRole::Follower | StateRole::Leader => false,
        };
        if !is_stuck {
            self.waited = 0;
            return false;
        }
        self.waited += 1;
        let is_due = self.waited >= WAIT_TICKS + rank;
        if is_due {
            self.waited = 0;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(granted: usize, rejected: usize) -> Votes {
        Votes { granted, rejected, voters: 5 }
    }

    /// The tick at which it stands again, if within ten.
    fn stands_at(role: StateRole, rank: usize, votes: Votes) -> Option<usize> {
        let mut candidacy = Candidacy::default();
        (1..=10).find(|_| candidacy.tick(role, rank, votes))
    }

    #[test]
    fn pre_votes_are_asked_again_in_the_order_of_the_nodes() {
        for (rank, tick) in [(0, 2), (1, 3), (4, 6)] {
            assert_eq!(stands_at(StateRole::PreCandidate, rank, votes(1, 0)), Some(tick));
        }
    }

    #[test]
    fn votes_are_asked_again_when_a_majority_has_answered_and_not_elected() {
        assert_eq!(stands_at(StateRole::Candidate, 0, votes(2, 2)), Some(2));
        // Disks may be slow: what is not answered yet may still be granted.
        assert_eq!(stands_at(StateRole::Candidate, 0, votes(2, 0)), None);
        assert_eq!(stands_at(StateRole::Candidate, 0, votes(1, 1)), None);
    }

    #[test]
    fn each_try_has_its_time() {
        let mut candidacy = Candidacy::default();
        assert!(!candidacy.tick(StateRole::PreCandidate, 0, votes(1, 0)));
        assert!(!candidacy.tick(StateRole::Candidate, 0, votes(2, 2)));
        assert!(candidacy.tick(StateRole::Candidate, 0, votes(2, 2)));
        assert!(!candidacy.tick(StateRole::Candidate, 0, votes(2, 2)));
        assert!(!candidacy.tick(StateRole::Follower, 0, votes(0, 0)));
        assert!(!candidacy.tick(StateRole::Leader, 0, votes(5, 0)));
    }
}
