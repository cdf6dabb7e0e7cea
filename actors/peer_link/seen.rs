//! What was heard of each replica, by which a disk that went back in time shows.
//!
//! A disk that was put back to an older copy has forgotten what it promised since: votes, terms, entries. It must not
//! promise anew under the same Raft id. Each run of a process has a number that its disk counts, and a name that
//! it draws; and what a node says in any term was on its disk before. So a smaller number, another name under the
//! same number, or a run that speaks of a smaller term than an earlier run did is that of another past.
//!
//! Each is told what was heard of it with all that it is asked ([`Seen::heard_of`], [`OwnRun::is_behind`]): so a node
//! whose disk went back knows that itself, before it has acted on anything.
//!
//! It is kept in memory only: when all others have started again since, a disk that went back shows by its log alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use raft::eraftpb::{Message, MessageType};

use crate::ids::{Boot, RaftId, Term};

/// See the module. One entry for each replica that this run has heard.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<BTreeMap<RaftId, Latest>>>);

/// This run of a process.
#[derive(Clone, Debug)]
pub struct OwnRun {
    pub boot: Boot,
    /// As it was drawn.
    pub name: String,
    /// What the disk held as it began: all that earlier runs promised is no later.
    pub began_in: Term,
}

impl OwnRun {
    /// Whether others have heard of this node what its disk does not know: nothing may come of what they ask then.
    /// `heard` is what [`Seen::heard_of`] says; another text says nothing.
    pub fn is_behind(&self, heard: &str) -> bool {
        let mut words = heard.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(boot), Some(term)) = (number(), number()) else { return false };
        let is_other = words.next().is_some_and(|name| name != self.name);
        boot > self.boot.0
            || boot == self.boot.0 && is_other
            || boot < self.boot.0 && Term(term) > self.began_in
    }
}

#[derive(Debug, Default)]
struct Latest {
    boot: u64,
    /// As it draws it; empty for a node of a version that draws none.
    run: String,
    /// The highest term in which it spoke in this run.
    term: Term,
    /// The highest in which earlier runs did.
    promised: Term,
}

impl Seen {
    /// Whether this is not an earlier run than one that was heard already, nor another one under its number.
    pub fn goes_on(&self, id: RaftId, boot: u64, run: &str) -> bool {
        self.with(id, |latest| {
            if boot > latest.boot {
                latest.promised = latest.promised.max(latest.term);
                latest.term = Term(0);
                (latest.boot, latest.run) = (boot, run.to_owned());
                return true;
            }
            if latest.run.is_empty() {
                run.clone_into(&mut latest.run);
            }
            boot == latest.boot && (run.is_empty() || run == latest.run)
        })
    }

    /// Whether a run says nothing in a term that is smaller than one in which an earlier run spoke. What was on its
    /// way when a later run began says nothing of either.
    pub fn keeps_word(&self, id: RaftId, boot: u64, messages: &[Message]) -> bool {
        self.with(id, |latest| {
            if boot != latest.boot {
                return true;
            }
            let spoken =
                messages.iter().filter(|message| is_promise(message)).map(|message| Term(message.term));
            let Some((lowest, highest)) = spoken.fold(None, |ends: Option<(Term, Term)>, term| {
                let (low, high) = ends.unwrap_or((term, term));
                Some((low.min(term), high.max(term)))
            }) else {
                return true;
            };
            latest.term = latest.term.max(highest);
            lowest >= latest.promised
        })
    }

    /// What was heard of that node: number, highest term and name of its latest run.
    pub fn heard_of(&self, id: RaftId) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Latest { boot, run, term, promised } = seen.get(&id)?;
        let spoken = (*term).max(*promised);
        Some(if run.is_empty() { format!("{boot} {spoken}") } else { format!("{boot} {spoken} {run}") })
    }

    fn with<T>(&self, id: RaftId, look: impl FnOnce(&mut Latest) -> T) -> T {
        // A panic elsewhere leaves the map whole.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(seen.entry(id).or_default())
    }
}

/// Whether the term of a message was on the sender's disk before it was sent. A pre-vote is about a term that may
/// never begin; what a follower asks of its leader has none.
fn is_promise(message: &Message) -> bool {
    let kind = message.get_msg_type();
    let pre_vote = matches!(kind, MessageType::MsgRequestPreVote | MessageType::MsgRequestPreVoteResponse);
    message.term > 0 && !pre_vote
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RaftId = RaftId(3);

    #[test]
    fn a_node_knows_from_what_others_heard_that_its_disk_went_back() {
        let own = OwnRun { boot: Boot(5), name: "b".to_owned(), began_in: Term(7) };
        for (heard, expected) in [
            ("5 9 b", false),
            ("5 9", false),
            ("4 7 a", false),
            ("4 8 a", true),
            ("5 7 a", true),
            ("6 0 c", true),
            ("6 0", true),
            ("", false),
            ("b 5", false),
        ] {
            assert_eq!(own.is_behind(heard), expected, "{heard}");
        }
        let seen = Seen::default();
        assert_eq!(seen.heard_of(ID), None);
        assert!(seen.goes_on(ID, 5, "a") && seen.keeps_word(ID, 5, &[append(8)]));
        assert_eq!(seen.heard_of(ID).as_deref(), Some("5 8 a"));
        assert!(seen.goes_on(ID, 6, "b"));
        assert_eq!(seen.heard_of(ID).as_deref(), Some("6 8 b"), "what earlier runs promised holds");
    }

    fn says(kind: MessageType, term: u64) -> Message {
        let mut message = Message { from: ID.0, term, ..Message::default() };
        message.set_msg_type(kind);
        message
    }

    fn append(term: u64) -> Message {
        says(MessageType::MsgAppendResponse, term)
    }

    #[test]
    fn an_earlier_run_and_another_one_under_its_number_are_found() {
        let seen = Seen::default();
        for (boot, run, expected) in [
            (2, "b", true),
            (2, "b", true),
            (1, "a", false),
            // A copy of run 1 starts as another run 2.
            (2, "c", false),
            (2, "b", true),
            (3, "d", true),
            (2, "b", false),
            // A version that draws no name.
            (3, "", true),
            (4, "", true),
            (4, "e", true),
            (4, "f", false),
        ] {
            assert_eq!(seen.goes_on(ID, boot, run), expected, "{boot} {run}");
        }
        assert!(seen.goes_on(RaftId(4), 1, "x"), "each by itself");
    }

    /// The copy was made while the run that was heard went on: number and name tell nothing.
    #[test]
    fn a_run_that_forgot_a_term_is_found() {
        let seen = Seen::default();
        assert!(seen.goes_on(ID, 5, "a"));
        assert!(seen.keeps_word(ID, 5, &[append(7), append(4)]), "messages overtake each other");
        assert!(seen.goes_on(ID, 6, "b"));
        assert!(seen.keeps_word(ID, 5, &[append(3)]), "late, of the run before");
        assert!(seen.keeps_word(ID, 6, &[says(MessageType::MsgRequestPreVote, 6)]));
        assert!(seen.keeps_word(ID, 6, &[says(MessageType::MsgReadIndex, 0)]));
        assert!(seen.keeps_word(ID, 6, &[append(7)]));
        assert!(!seen.keeps_word(ID, 6, &[append(8), append(6)]));
        assert!(seen.goes_on(ID, 7, "c") && !seen.keeps_word(ID, 7, &[append(7)]));
    }

    #[test]
    fn a_pre_vote_promises_nothing() {
        let seen = Seen::default();
        assert!(seen.goes_on(ID, 1, "a"));
        for kind in [MessageType::MsgRequestPreVote, MessageType::MsgRequestPreVoteResponse] {
            assert!(seen.keeps_word(ID, 1, &[says(kind, 9)]));
        }
        assert!(seen.goes_on(ID, 2, "b") && seen.keeps_word(ID, 2, &[append(8)]));
    }
}
