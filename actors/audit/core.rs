//! When a node vouches for its rows, and when it leaves its file: the pure core of `Auditor`.
//!
//! Only ever a minority leaves its file. Who differs from a majority is one. Who finds by itself that its file
//! is damaged cannot know how the others are: it goes on until all of them are there and vote, and they go one
//! after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::comparing::{Comparison, Verdict};
use crate::chat::digest::RowsSum;
use crate::ids::{LogIndex, RaftId};
use crate::membership::Roll;
use crate::messages::audit::Unsound;

/// What counting the file anew came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Sound,
    /// It could not be read, for a reason that is no damage.
    Nothing,
    /// In what it is damaged.
    Damaged(String),
}

/// What a report of rows came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Nothing,
    /// That replica is not of the majority, and will find out by itself.
    Differs {
        who: RaftId,
        index: LogIndex,
    },
    /// This node is to leave its file, for this reason.
    Leave(String),
}

/// See the module.
pub struct Audit {
    own: RaftId,
    comparison: Comparison,
    roll: Arc<Roll>,
    up: BTreeSet<RaftId>,
    /// How long each further voter waits before it leaves its file.
    place_waits: Duration,
    counting: bool,
    /// What is being counted was replaced meanwhile.
    anew: bool,
    /// The rows were what they are to be, since this process began or they were replaced.
    sound: bool,
    damage: Option<Damage>,
    leaves: bool,
}

struct Damage {
    why: String,
    /// Since when nothing stands against leaving the file.
    free_since: Option<Duration>,
}

impl Audit {
    /// `place_waits` is longer than joining anew takes when little is to be fetched: then the voters are not complete.
    pub fn new(own: RaftId, roll: Arc<Roll>, place_waits: Duration) -> Self {
        let mut audit = Self {
            own,
            comparison: Comparison::new(own),
            roll: Arc::default(),
            up: BTreeSet::new(),
            place_waits,
            counting: false,
            anew: false,
            sound: false,
            damage: None,
            leaves: false,
        };
        audit.follow(roll);
        audit
    }

    /// Who the members are changed.
    pub fn follow(&mut self, roll: Arc<Roll>) {
        self.comparison.set_voters(voters(&roll).collect());
        self.roll = roll;
    }

    pub fn link(&mut self, peer: RaftId, up: bool) {
        if up {
            self.up.insert(peer);
        } else {
            self.up.remove(&peer);
        }
    }

    /// What the rows of a replica, of this one or another, came to at that entry.
    pub fn report(&mut self, from: RaftId, index: LogIndex, sum: RowsSum) -> Finding {
        match self.comparison.report(from, index, sum) {
            Verdict::Nothing => Finding::Nothing,
            Verdict::Differs { who, index } => Finding::Differs { who, index },
            Verdict::WeDiffer { index } => {
                let word = format!("the rows here differ from those of the majority as of entry {index}");
                self.leave(word).map_or(Finding::Nothing, Finding::Leave)
            }
        }
    }

    /// Somebody read the file, and it is damaged. Says whether that is news.
    pub fn found(&mut self, why: String) -> bool {
        let is_news = self.damage.is_none();
        self.sound = false;
        self.damage.get_or_insert(Damage { why, free_since: None });
        is_news
    }

    /// The file is to be counted anew. Says whether to begin: not while that is being done.
    pub fn begin_count(&mut self) -> bool {
        !std::mem::replace(&mut self.counting, true)
    }

    /// The count that was to begin could not.
    pub fn not_begun(&mut self) {
        self.counting = false;
    }

    /// A count is over. Says whether it was of rows that are gone, so that another one is to begin.
    pub fn counted(&mut self, found: &Found) -> bool {
        self.counting = false;
        if std::mem::take(&mut self.anew) {
            return self.begin_count();
        }
        if *found == Found::Sound {
            self.sound = self.damage.is_none() && !self.leaves;
        }
        false
    }

    /// The state of another replica came in: is it what was promised? Says whether to begin a count.
    pub fn replaced(&mut self) -> bool {
        self.sound = false;
        self.anew = self.counting;
        self.begin_count()
    }

    /// Whether others may get the rows here.
    ///
    /// # Errors
    /// Why not. What was not counted is to be counted then.
    pub fn vouch(&self) -> Result<(), Unsound> {
        match (&self.damage, self.sound) {
            (Some(_), _) => Err(Unsound::Damaged),
            (None, true) => Ok(()),
            (None, false) => Err(Unsound::NotCounted),
        }
    }

    /// Asked now and then: a reason to leave a file that was found damaged by itself, when every voter is there
    /// and it is this one's turn. `now` counts from any moment.
    pub fn look(&mut self, now: Duration) -> Option<String> {
        let others = || voters(&self.roll).filter(|&voter| voter != self.own);
        // Who lost its file before this one has to vote again first: else few are left to decide.
        let members = self.roll.rows.iter().filter(|row| !row.removed && !row.learner);
        let all_vote = members.filter_map(|row| row.raft_id).all(|id| self.roll.is_voter(id));
        let complete = all_vote && others().count() > 1 && others().all(|voter| self.up.contains(&voter));
        let place = others().filter(|&voter| voter < self.own).count();
        let damage = self.damage.as_mut()?;
        if !complete {
            damage.free_since = None;
            return None;
        }
        let waited = now.saturating_sub(*damage.free_since.get_or_insert(now));
        if waited < self.place_waits.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)) {
            return None;
        }
        let word = damage.why.clone();
        self.leave(word)
    }

    /// Once.
    fn leave(&mut self, word: String) -> Option<String> {
        self.sound = false;
        (!std::mem::replace(&mut self.leaves, true)).then_some(word)
    }
}

fn voters(roll: &Roll) -> impl Iterator<Item = RaftId> {
    roll.conf.voters.iter().map(|&id| RaftId(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::NodeRow;

    const WAITS: Duration = Duration::from_secs(20);

    fn audit(own: u64, roll: Roll) -> Audit {
        let mut audit = Audit::new(RaftId(own), Arc::new(roll), WAITS);
        (1..=4).map(RaftId).for_each(|id| audit.link(id, true));
        audit
    }

    /// Four members, of which these vote.
    fn roll(voters: &[u64]) -> Roll {
        let row = |id| NodeRow {
            name: format!("node{id}"),
            raft_id: Some(RaftId(id)),
            disk: None,
            peer: String::new(),
            public: String::new(),
            learner: false,
            removed: false,
        };
        let mut roll = Roll { rows: (1..=4).map(row).collect(), ..Roll::default() };
        roll.conf.voters = voters.to_vec();
        roll
    }

    #[test]
    fn nobody_vouches_for_what_was_not_counted_or_is_damaged() {
        let mut audit = audit(1, Roll::default());
        assert_eq!(audit.vouch(), Err(Unsound::NotCounted));
        assert!(audit.begin_count() && !audit.begin_count());
        assert!(!audit.counted(&Found::Nothing));
        assert_eq!(audit.vouch(), Err(Unsound::NotCounted));
        assert!(audit.begin_count() && !audit.counted(&Found::Sound));
        assert_eq!(audit.vouch(), Ok(()));
        assert!(audit.found("a row went bad".to_owned()) && !audit.found("another".to_owned()));
        assert_eq!(audit.vouch(), Err(Unsound::Damaged));
    }

    #[test]
    fn rows_that_were_replaced_are_counted_before_anybody_gets_them() {
        let mut audit = audit(1, Roll::default());
        assert!(audit.begin_count() && !audit.counted(&Found::Sound));
        assert!(audit.begin_count());
        assert!(!audit.replaced(), "a count is under way already");
        assert!(audit.counted(&Found::Sound), "it was of rows that are gone");
        assert_eq!(audit.vouch(), Err(Unsound::NotCounted));
        assert!(!audit.counted(&Found::Sound));
        assert_eq!(audit.vouch(), Ok(()));
    }

    #[test]
    fn a_damaged_file_is_left_only_when_all_members_vote_and_are_there() {
        let mut audit = audit(1, roll(&[1, 2, 3]));
        audit.found("a row went bad".to_owned());
        assert_eq!(audit.look(Duration::ZERO), None, "node4 came back with an empty disk, and learns");
        audit.follow(Arc::new(roll(&[1, 2, 3, 4])));
        audit.link(RaftId(2), false);
        assert_eq!(audit.look(Duration::ZERO), None, "node2 is away");
        audit.link(RaftId(2), true);
        assert_eq!(audit.look(Duration::ZERO), Some("a row went bad".to_owned()));
        assert_eq!(audit.look(Duration::ZERO), None, "it was said");
    }

    #[test]
    fn each_waits_for_those_before_it() {
        let mut audit = audit(3, roll(&[1, 2, 3, 4]));
        audit.found("a row went bad".to_owned());
        assert_eq!(audit.look(WAITS), None);
        assert_eq!(audit.look(3 * WAITS - Duration::from_secs(1)), None);
        audit.link(RaftId(1), false);
        assert_eq!(audit.look(4 * WAITS), None, "the first one goes");
        audit.link(RaftId(1), true);
        assert_eq!(audit.look(5 * WAITS), None, "it waits anew");
        assert_eq!(audit.look(7 * WAITS), Some("a row went bad".to_owned()));
    }

    #[test]
    fn who_differs_from_the_majority_leaves_at_once() {
        let mut audit = audit(1, roll(&[1, 2, 3]));
        let sum = |byte| RowsSum::from_bytes([byte; 16]);
        for (from, byte) in [(2, 1), (3, 1)] {
            assert_eq!(audit.report(RaftId(from), LogIndex(256), sum(byte)), Finding::Nothing);
        }
        assert!(audit.begin_count() && !audit.counted(&Found::Sound));
        let Finding::Leave(word) = audit.report(RaftId(1), LogIndex(256), sum(2)) else {
            panic!("it differs")
        };
        assert!(word.contains("differ from those of the majority as of entry 256"), "{word}");
        assert!(audit.vouch().is_err());
    }
}
