//! What is to be done until a majority holds the bytes of files, and when it is: pure.
//!
//! Answers are taken as they come, so a node that gives none holds up nothing once the others suffice.

use std::collections::BTreeSet;

use raft::eraftpb::ConfState;

use super::majorities::is_majority;
use crate::ids::{FileId, RaftId};
use crate::messages::files::{Held, NotSecured};

/// Some files on their way to a majority.
#[derive(Debug)]
pub struct Securing {
    own: RaftId,
    conf: ConfState,
    answering: BTreeSet<RaftId>,
    files: Vec<Holding>,
    /// Of what is carried: not at its end yet.
    under_way: usize,
    /// Why the last that failed did.
    why: Option<String>,
}

#[derive(Debug)]
struct Holding {
    file: FileId,
    by: BTreeSet<RaftId>,
    /// Who has it, or is being brought it, or did not take it.
    begun: BTreeSet<RaftId>,
}

/// A file that is to be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Here, from whoever has it.
    Fetch {
        file: FileId,
    },
    Push {
        file: FileId,
        to: RaftId,
    },
}

impl Securing {
    /// On the node `own`, among these members.
    pub fn new(own: RaftId, conf: ConfState, files: &[FileId]) -> Self {
        let holding = |file: &FileId| Holding { file: *file, by: BTreeSet::new(), begun: BTreeSet::new() };
        let files = files.iter().map(holding).collect();
        Self { own, conf, answering: BTreeSet::new(), files, under_way: 0, why: None }
    }

    /// A node, this one too, says what it has of the files, in their order.
    pub fn heard(&mut self, node: RaftId, held: &[Held]) {
        self.answering.insert(node);
        for (holding, _) in self.files.iter_mut().zip(held).filter(|(_, held)| held.bytes.is_some()) {
            holding.by.insert(node);
            holding.begun.insert(node);
        }
    }

    /// A step came to its end.
    pub fn carried(&mut self, step: Step, done: Result<(), String>) {
        self.under_way = self.under_way.saturating_sub(1);
        let (brought, node) = match step {
            Step::Fetch { file } => (file, self.own),
            Step::Push { file, to } => (file, to),
        };
        match done {
            Ok(()) => {
                for holding in self.files.iter_mut().filter(|holding| holding.file == brought) {
                    holding.by.insert(node);
                }
            }
            Err(why) => self.why = Some(why),
        }
    }

    /// What is to be begun now: nothing before a majority answers, and nothing for a file that a majority has.
    pub fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        if !is_majority(&self.conf, &self.answering) {
            return steps;
        }
        for holding in &mut self.files {
            let file = holding.file;
            if is_majority(&self.conf, &holding.by) || holding.by.is_empty() {
                continue;
            }
            if !holding.by.contains(&self.own) {
                if holding.begun.insert(self.own) {
                    steps.push(Step::Fetch { file });
                }
                continue;
            }
            for to in self.answering.iter().copied() {
                if holding.begun.insert(to) {
                    steps.push(Step::Push { file, to });
                }
            }
        }
        self.under_way += steps.len();
        steps
    }

    /// How it ended, if it did. `all_heard`: no further node will answer.
    pub fn outcome(&self, all_heard: bool) -> Option<Result<(), NotSecured>> {
        if self.files.iter().all(|holding| is_majority(&self.conf, &holding.by)) {
            return Some(Ok(()));
        }
        if !all_heard {
            return None;
        }
        if !is_majority(&self.conf, &self.answering) {
            return Some(Err(NotSecured::NoMajority));
        }
        if let Some(holding) = self.files.iter().find(|holding| holding.by.is_empty()) {
            return Some(Err(NotSecured::Nowhere(holding.file)));
        }
        let failed = || Err(self.why.clone().map_or(NotSecured::NotYet, NotSecured::Refused));
        (self.under_way == 0).then(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId([1; 32]);
    const OTHER: FileId = FileId([2; 32]);

    fn securing(files: &[FileId]) -> Securing {
        let conf = ConfState { voters: vec![1, 2, 3, 4, 5], learners: vec![6], ..ConfState::default() };
        Securing::new(RaftId(1), conf, files)
    }

    fn held(which: &[bool]) -> Vec<Held> {
        let held = |has: &bool| Held { bytes: has.then_some(7), uploaded: None };
        which.iter().map(held).collect()
    }

    fn push(file: FileId, to: u64) -> Step {
        Step::Push { file, to: RaftId(to) }
    }

    #[test]
    fn a_silent_node_is_not_waited_for_once_a_majority_holds() {
        let mut securing = securing(&[FILE]);
        for node in [1, 2] {
            securing.heard(RaftId(node), &held(&[true]));
            assert_eq!((securing.steps(), securing.outcome(false)), (vec![], None));
        }
        securing.heard(RaftId(6), &held(&[true]));
        assert_eq!((securing.steps(), securing.outcome(false)), (vec![], None), "a learner does not count");
        securing.heard(RaftId(3), &held(&[true]));
        assert_eq!((securing.steps(), securing.outcome(false)), (vec![], Some(Ok(()))));
    }

    #[test]
    fn it_is_brought_to_whoever_answers_until_a_majority_has_it() {
        let mut securing = securing(&[FILE, OTHER]);
        securing.heard(RaftId(1), &held(&[true, true]));
        securing.heard(RaftId(2), &held(&[false, true]));
        assert_eq!(securing.steps(), []);
        securing.heard(RaftId(3), &held(&[false, true]));
        assert_eq!(securing.steps(), [push(FILE, 2), push(FILE, 3)]);
        assert_eq!(securing.steps(), [], "each once");
        securing.carried(push(FILE, 2), Ok(()));
        assert_eq!(securing.outcome(false), None);
        // Another one comes late, and one does not take it.
        securing.heard(RaftId(4), &held(&[false, false]));
        assert_eq!(securing.steps(), [push(FILE, 4)]);
        securing.carried(push(FILE, 3), Err("no room".into()));
        assert_eq!(securing.outcome(true), None);
        securing.carried(push(FILE, 4), Ok(()));
        assert_eq!((securing.steps(), securing.outcome(false)), (vec![], Some(Ok(()))));
    }

    #[test]
    fn what_is_elsewhere_comes_here_first() {
        let mut securing = securing(&[FILE]);
        securing.heard(RaftId(1), &held(&[false]));
        securing.heard(RaftId(2), &held(&[false]));
        securing.heard(RaftId(3), &held(&[false]));
        assert_eq!((securing.steps(), securing.outcome(false)), (vec![], None), "it may still be found");
        securing.heard(RaftId(4), &held(&[true]));
        let fetch = Step::Fetch { file: FILE };
        assert_eq!(securing.steps(), [fetch]);
        securing.carried(fetch, Ok(()));
        assert_eq!(securing.steps(), [push(FILE, 2), push(FILE, 3)]);
        securing.carried(push(FILE, 2), Ok(()));
        assert_eq!(securing.outcome(false), Some(Ok(())));
    }

    #[test]
    fn why_it_failed() {
        let mut few = securing(&[FILE]);
        few.heard(RaftId(1), &held(&[true]));
        few.heard(RaftId(2), &held(&[true]));
        assert_eq!(few.outcome(true), Some(Err(NotSecured::NoMajority)));
        let mut nowhere = securing(&[FILE, OTHER]);
        for node in 1..=3 {
            nowhere.heard(RaftId(node), &held(&[true, false]));
        }
        assert_eq!((nowhere.steps(), nowhere.outcome(true)), (vec![], Some(Err(NotSecured::Nowhere(OTHER)))));
        let mut refused = securing(&[FILE]);
        for node in 1..=3 {
            refused.heard(RaftId(node), &held(&[node == 1]));
        }
        for step in refused.steps() {
            refused.carried(step, Err("no room".into()));
        }
        assert_eq!(refused.outcome(false), None, "another one may take it");
        assert_eq!(refused.outcome(true), Some(Err(NotSecured::Refused("no room".into()))));
        let mut not_fetched = securing(&[FILE]);
        for node in 1..=3 {
            not_fetched.heard(RaftId(node), &held(&[node == 2]));
        }
        assert_eq!(not_fetched.steps(), [Step::Fetch { file: FILE }]);
        not_fetched.carried(Step::Fetch { file: FILE }, Err("gone".into()));
        assert_eq!(not_fetched.outcome(true), Some(Err(NotSecured::Refused("gone".into()))));
    }
}
