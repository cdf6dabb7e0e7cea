//! Proof that the checkers can fail: each planted bug is caught, and by a checker that is meant for it.

use super::bugs::Bug;
use super::play;

/// Plays seeds until one of these checkers catches the bug.
fn is_caught(bug: Bug, seeds: u64, checkers: &[&str]) {
    for seed in 1..=seeds {
        if let Err(failure) = play(seed, Some(bug), false) {
            println!("{bug:?} is caught in seed {seed} by \"{}\": {}", failure.checker, failure.what);
            assert!(checkers.contains(&failure.checker), "{bug:?} is caught by \"{}\"", failure.checker);
            return;
        }
    }
    panic!("{bug:?} is not caught in {seeds} seeds");
}

macro_rules! planted {
    ($($name:ident: $bug:ident in $seeds:literal by $($checker:literal)|+;)*) => {$(
        #[test]
        fn $name() {
            is_caught(Bug::$bug, $seeds, &[$($checker),+]);
        }
    )*};
}

planted! {
    persisted_before_sync: PersistedBeforeSync in 2000 by "no disk goes back" | "leader completeness" | "logs equal" | "one leader a term";
    vote_not_persisted: VoteNotPersisted in 2000 by "no disk goes back" | "one leader a term" | "logs equal" | "leader completeness";
    failed_sync_repeated: FailedSyncRepeated in 500 by "no disk goes back" | "one leader a term" | "logs equal" | "leader completeness";
    start_without_boot_commit: StartWithoutBootCommit in 6000 by "no disk goes back" | "leader completeness" | "progress of all" | "one leader a term";
    outcomes_forgotten: OutcomesForgotten in 100 by "nothing twice" | "first outcome again";
    resume_off_by_one: ResumeOffByOne in 100 by "no hole in a stream";
    buffer_drops_one_too_many: BufferDropsOneTooMany in 100 by "no hole in a stream";
    applied_apart_from_rows: AppliedApartFromRows in 200 by
        "tables equal" | "linearizable reads" | "rising at" | "nothing twice" | "no hole in a stream" | "bounded memory";
    apply_in_another_order: ApplyInAnotherOrder in 100 by "tables equal";
    deadline_as_refused: DeadlineAsRefused in 200 by "no means no";
    stale_read: StaleRead in 100 by "linearizable reads";
    stale_read_for_the_judge: StaleReadForTheJudge in 100 by "linearizable history";
    applied_too_early: AppliedTooEarly in 300 by "linearizable reads" | "one copy in the log";
    forwards_lost: ForwardsLost in 10 by "progress of a majority";
    position_without_rows: PositionWithoutRows in 1000 by "tables equal" | "rising at" | "linearizable reads" | "nothing twice" | "no hole in a stream";
    source_behind_horizon: SourceBehindHorizon in 2000 by "tables equal" | "rising at" | "linearizable reads" | "nothing twice" | "no hole in a stream" | "linearizable history";
    promoted_at_once: PromotedAtOnce in 10 by "promoted when stable";
    forwards_overtake: ForwardsOvertake in 200 by "in the order asked";
    forwards_of_any_term: ForwardsOfAnyTerm in 2000 by "one copy in the log";
}
