//! What replicas say that their rows come to, at the same entry of the log: the pure core of `Auditor`.
//!
//! Apply is a function of command and tables, so all come to the same. One that does not has been
//! damaged, or was made by other hands. Who is wrong, the majority says: only a minority that differs
//! takes itself out.

use std::collections::{BTreeMap, BTreeSet};

use crate::chat::digest::RowsSum;
use crate::ids::{LogIndex, RaftId};

/// Entries for which reports are kept; older ones have been compared or never will be.
const ENTRIES_KEPT_MAX: usize = 64;

/// What comparing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Too few have reported, or all is well.
    Nothing,
    /// A majority of the voters came to the same, and this node to something else.
    WeDiffer { index: LogIndex },
    /// This node is of the majority; that one is not, and will find out by itself.
    Differs { who: RaftId, index: LogIndex },
}

/// See the module.
#[derive(Debug)]
pub struct Comparison {
    own: RaftId,
    voters: BTreeSet<RaftId>,
    reports: BTreeMap<LogIndex, BTreeMap<RaftId, RowsSum>>,
}

impl Comparison {
    pub fn new(own: RaftId) -> Self {
        Self { own, voters: BTreeSet::new(), reports: BTreeMap::new() }
    }

    /// Who votes now. A majority is one of these; learners report too, and are compared.
    pub fn set_voters(&mut self, voters: BTreeSet<RaftId>) {
        self.voters = voters;
    }

    /// Takes a report in, this node's own or a peer's.
    pub fn report(&mut self, from: RaftId, index: LogIndex, sum: RowsSum) -> Verdict {
        self.reports.entry(index).or_default().insert(from, sum);
        while self.reports.len() > ENTRIES_KEPT_MAX {
            self.reports.pop_first();
        }
        let Some(reports) = self.reports.get(&index) else { return Verdict::Nothing };
        let (Some(own), Some(agreed)) = (reports.get(&self.own), self.agreed(reports)) else {
            return Verdict::Nothing;
        };
        if *own != agreed {
            return Verdict::WeDiffer { index };
        }
        // Once, when the report that shows it comes in.
        let differs = |(who, sum): (&RaftId, &RowsSum)| (*sum != agreed).then_some(*who);
        let shown = from == self.own || reports.get(&from).is_some_and(|sum| *sum != agreed);
        match reports.iter().find_map(differs) {
            Some(who) if shown => Verdict::Differs { who, index },
            _ => Verdict::Nothing,
        }
    }

    /// What a majority of the voters came to.
    fn agreed(&self, reports: &BTreeMap<RaftId, RowsSum>) -> Option<RowsSum> {
        let voted = || reports.iter().filter(|(who, _)| self.voters.contains(who)).map(|(_, sum)| *sum);
        voted().find(|sum| voted().filter(|other| other == sum).count() > self.voters.len() / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: LogIndex = LogIndex(256);

    fn sum(byte: u8) -> RowsSum {
        RowsSum::from_bytes([byte; 16])
    }

    fn of_five(own: u64) -> Comparison {
        let mut comparison = Comparison::new(RaftId(own));
        comparison.set_voters((1..=5).map(RaftId).collect());
        comparison
    }

    #[test]
    fn only_a_minority_finds_that_it_differs() {
        for (reports, expected) in [
            ([1, 1, 1, 1, 1], Verdict::Nothing),
            ([2, 1, 1, 1, 1], Verdict::WeDiffer { index: AT }),
            ([2, 2, 1, 1, 1], Verdict::WeDiffer { index: AT }),
            ([2, 2, 2, 1, 1], Verdict::Differs { who: RaftId(4), index: AT }),
            ([1, 2, 3, 1, 2], Verdict::Nothing),
        ] {
            let mut comparison = of_five(1);
            let verdicts: Vec<_> = (1..)
                .zip(reports)
                .map(|(who, byte)| comparison.report(RaftId(who), AT, sum(byte)))
                .filter(|verdict| *verdict != Verdict::Nothing)
                .collect();
            assert_eq!(verdicts.first().copied().unwrap_or(Verdict::Nothing), expected, "{reports:?}");
        }
    }

    #[test]
    fn nothing_is_said_before_a_majority_and_the_node_itself_have_reported() {
        let mut comparison = of_five(5);
        for who in 1..=3 {
            assert_eq!(comparison.report(RaftId(who), AT, sum(1)), Verdict::Nothing);
        }
        assert_eq!(comparison.report(RaftId(5), AT, sum(9)), Verdict::WeDiffer { index: AT });
    }

    #[test]
    fn a_learner_is_compared_and_does_not_count() {
        let mut comparison = of_five(6);
        for (who, byte) in [(6, 2), (7, 2), (8, 2), (1, 1), (2, 1)] {
            assert_eq!(comparison.report(RaftId(who), AT, sum(byte)), Verdict::Nothing);
        }
        assert_eq!(comparison.report(RaftId(3), AT, sum(1)), Verdict::WeDiffer { index: AT });
    }

    #[test]
    fn old_reports_are_forgotten() {
        let mut comparison = of_five(1);
        for index in 1..=1_000 {
            comparison.report(RaftId(2), LogIndex(index), sum(1));
        }
        assert_eq!(comparison.reports.len(), ENTRIES_KEPT_MAX);
    }
}
