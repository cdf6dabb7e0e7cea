//! Which replicas make a majority that may be relied upon for a file. Pure.

use std::collections::BTreeSet;

use raft::eraftpb::ConfState;

use crate::ids::RaftId;

/// Whether these are a majority of the nodes that vote: in a joint configuration of both.
pub fn is_majority(conf: &ConfState, of: &BTreeSet<RaftId>) -> bool {
    let most = |voters: &[u64]| {
        let count = voters.iter().filter(|id| of.contains(&RaftId(**id))).count();
        count > voters.len() / 2
    };
    most(&conf.voters) && (conf.voters_outgoing.is_empty() || most(&conf.voters_outgoing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learners_do_not_count_and_joint_majorities_are_two() {
        let conf = |voters: &[u64], outgoing: &[u64]| ConfState {
            voters: voters.to_vec(),
            voters_outgoing: outgoing.to_vec(),
            learners: vec![9],
            ..ConfState::default()
        };
        for (voters, outgoing, of, expected) in [
            (&[1, 2, 3][..], &[][..], &[1, 2][..], true),
            (&[1, 2, 3], &[], &[1, 9], false),
            (&[1, 2, 3, 4], &[], &[1, 2], false),
            (&[1], &[], &[1], true),
            (&[], &[], &[], false),
            (&[1, 2, 3], &[3, 4, 5], &[1, 3], false),
            (&[1, 2, 3], &[3, 4, 5], &[1, 3, 4], true),
        ] {
            let of = of.iter().map(|id| RaftId(*id)).collect();
            assert_eq!(is_majority(&conf(voters, outgoing), &of), expected, "{voters:?} {outgoing:?} {of:?}");
        }
    }
}
