//! What is known to be true of the whole cluster, and the checks that hold every node against it.

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_actors::chat::command::{Change, Command, Item};
use chat_actors::chat::model::Model;
use chat_actors::chat::objects::Event;
use chat_actors::chat::outcome::{Done, Effect, Notice, Outcome};
use chat_actors::chat::tables::Tables;
use chat_actors::ids::{At, Boot, LogIndex, Origin, RaftId, RoomId, Seq};
use chat_actors::messages::consensus::NotDone;
use chat_actors::messages::disk::{Committed, Payload};
use chat_actors::raft::core::Core;
use raft::eraftpb::ConfState;

use super::Failure;

type Checked = Result<(), Failure>;

/// One committed entry.
struct Known {
    term: u64,
    /// The term of the first node that was seen to know it committed.
    committed_in: u64,
    /// Known once somebody applies it.
    data: Option<Bytes>,
    /// Known with it.
    applied: Option<Vec<Applied>>,
}

/// One command of an entry, and what it brought about.
#[derive(PartialEq, Eq)]
pub struct Applied {
    pub origin: Origin,
    pub effect: Effect,
    /// The last `at` given out after it.
    pub at: At,
}

/// What became of one try of a command.
#[derive(Default)]
struct Try {
    /// Told the asker that it will never take effect.
    told_never: bool,
    /// What its first copy in the log did.
    first: Option<Effect>,
}

/// What a request brought about when it was done first.
struct First {
    /// Which one it was, of several under one id.
    change: Change,
    outcome: Outcome,
    /// It found something to change.
    changed: bool,
}

#[derive(Default)]
pub struct Truth {
    /// From index 2 on.
    log: Vec<Known>,
    leaders: BTreeMap<u64, RaftId>,
    /// The last `at` that any node has applied.
    pub at: At,
    /// By rising `at`.
    pub changes: Vec<Notice>,
    ends: BTreeMap<RoomId, (Seq, u64)>,
    /// The first time that a request, by user and id, was done.
    done: BTreeMap<(String, String), First>,
    acknowledged: Vec<(Command, Outcome)>,
    tries: BTreeMap<Origin, Try>,
    /// Of each run of a node, by what it numbered: the `at` of what was done for the first time and acknowledged.
    in_order: BTreeMap<(RaftId, Boot), BTreeMap<u64, At>>,
}

const FIRST: u64 = 2;

impl Truth {
    /// Looks at a node after each step. `checked`: how far its log was compared before.
    pub fn check_node(&mut self, core: &Core, checked: &mut u64) -> Checked {
        let leadership = core.leadership();
        if leadership.leads {
            self.check_leader(core)?;
        }
        let commit = core.commit().0;
        if core.applied_index().0 > commit {
            return fail("applied above commit", format!("{} > {commit}", core.applied_index()));
        }
        if core.is_installing() {
            // Raft has the snapshot; the log follows when all before it is done.
            return Ok(());
        }
        let known = FIRST + self.log.len() as u64 - 1;
        // What a snapshot brought or what was compacted away is not in the log any more.
        let held = core.log_cut().0.min(known);
        for index in FIRST.max((*checked).min(known) + 1).max(held)..=commit {
            let Some(term) = core.term_of(LogIndex(index)) else {
                return fail(
                    "logs equal",
                    format!("node {} has committed {index} and does not hold it", core.id()),
                );
            };
            match self.log.get((index - FIRST) as usize) {
                None => self.log.push(Known {
                    term: term.0,
                    committed_in: leadership.term.0,
                    data: None,
                    applied: None,
                }),
                Some(known) if known.term == term.0 => {}
                Some(known) => {
                    return fail(
                        "logs equal",
                        format!(
                            "entry {index} is of term {term} at node {}, of {} elsewhere",
                            core.id(),
                            known.term
                        ),
                    );
                }
            }
        }
        *checked = commit.max(*checked);
        Ok(())
    }

    fn check_leader(&mut self, core: &Core) -> Checked {
        let term = core.leadership().term.0;
        match self.leaders.get(&term) {
            Some(&leader) if leader == core.id() => return Ok(()),
            Some(leader) => {
                return fail("one leader a term", format!("{leader} and {} in term {term}", core.id()));
            }
            None => self.leaders.insert(term, core.id()),
        };
        // A leader that hears of its election late may find more committed already, in later terms.
        let Some(place) = self.log.iter().rposition(|known| known.committed_in < term) else { return Ok(()) };
        let (index, last) = (FIRST + place as u64, &self.log[place]);
        match core.term_of(LogIndex(index)) {
            None if index < core.log_cut().0 => Ok(()),
            Some(found) if found.0 == last.term => Ok(()),
            found => fail(
                "leader completeness",
                format!(
                    "{} leads term {term} with {found:?} at {index}, committed in {}",
                    core.id(),
                    last.term
                ),
            ),
        }
    }

    /// A node begins to apply an entry.
    pub fn check_entry(&mut self, node: RaftId, entry: &Committed) -> Checked {
        let Some(known) = self.log.get_mut((entry.index.0 - FIRST) as usize) else {
            return fail(
                "logs equal",
                format!("node {node} applies {}, which nobody committed", entry.index),
            );
        };
        let data = match &entry.what {
            Payload::Batch(data) | Payload::Node(data) => data.clone(),
            Payload::Conf(conf, row) => members(conf, row),
            Payload::Empty => Bytes::new(),
        };
        if known.term == entry.term.0 && *known.data.get_or_insert_with(|| data.clone()) == data {
            return Ok(());
        }
        fail("logs equal", format!("node {node} applies another entry at {}", entry.index))
    }

    /// A node applied one entry: these are its commands and what they brought about.
    pub fn check_applied(&mut self, node: RaftId, index: LogIndex, applied: Vec<(Item, Applied)>) -> Checked {
        let Some(known) = self.log.get_mut((index.0 - FIRST) as usize) else { return Ok(()) };
        if let Some(first) = &known.applied {
            if first.iter().eq(applied.iter().map(|(_, applied)| applied)) {
                return Ok(());
            }
            return fail(
                "tables equal",
                format!("applying {index} brought about something else on node {node}"),
            );
        }
        for (item, applied) in &applied {
            self.note(item, applied)?;
        }
        self.log[(index.0 - FIRST) as usize].applied =
            Some(applied.into_iter().map(|(_, applied)| applied).collect());
        Ok(())
    }

    /// The first time that anybody applies this.
    fn note(&mut self, item: &Item, applied: &Applied) -> Checked {
        let Applied { origin, effect, at } = applied;
        let command = Command::decode(&item.command).expect("the clients encode what can be decoded");
        let changed = *at > self.at;
        let mut last = self.at.next();
        for notice in &effect.notices {
            if notice.event.at() < last || notice.event.at() > *at {
                return fail("rising at", format!("{} after {last} by {command:?}", notice.event.at()));
            }
            last = notice.event.at();
            if let Event::Message(message) = &notice.event {
                self.check_message_order(message.room, message.seq, message.time)?;
            }
            self.changes.push(notice.clone());
        }
        self.at = *at;
        let of_origin = self.tries.entry(*origin).or_default();
        if changed && of_origin.told_never {
            return fail(
                "no means no",
                format!("{origin:?} took effect after its asker was told that it never will: {command:?}"),
            );
        }
        if of_origin.first.replace(effect.clone()).is_some() {
            return fail("one copy in the log", format!("{origin:?} stands in the log twice: {command:?}"));
        }
        if let Ok(outcome) = &effect.outcome
            && changed
            && is_remembered(&command.change)
        {
            let key = (command.user, command.id);
            if let Some(First { outcome: first, .. }) = self.done.get(&key) {
                return fail(
                    "nothing twice",
                    format!("{key:?} was done at {} and again at {}", first.at, outcome.at),
                );
            }
            // One that found nothing to change is told the `at` before its own memory took one.
            let first =
                First { change: command.change, outcome: outcome.clone(), changed: outcome.at == *at };
            self.done.insert(key, first);
        }
        Ok(())
    }

    fn check_message_order(&mut self, room: RoomId, seq: Seq, time: u64) -> Checked {
        let (end, last_time) = self.ends.entry(room).or_default();
        if seq <= *end {
            return Ok(());
        }
        if seq != end.next() {
            return fail("no hole in seq", format!("room {room}: {seq} after {end}"));
        }
        if time < *last_time {
            return fail("time runs forward", format!("room {room}, {seq}: {time} after {last_time}"));
        }
        (*end, *last_time) = (seq, time);
        Ok(())
    }

    /// Somebody was told what became of a try.
    pub fn told(&mut self, origin: Origin, command: &Command, answer: &Result<Outcome, NotDone>) -> Checked {
        let of_origin = self.tries.entry(origin).or_default();
        match answer {
            Ok(outcome) => {
                let Some(Effect { outcome: Ok(first), .. }) = &of_origin.first else {
                    return fail(
                        "acknowledged is applied",
                        format!("{command:?} was not done by {origin:?}"),
                    );
                };
                if first != outcome {
                    return fail("acknowledged is applied", format!("told {outcome:?}, was {first:?}"));
                }
                let key = (command.user.clone(), command.id.clone());
                if let Some(First { outcome: first, .. }) = self.done.get(&key)
                    && is_remembered(&command.change)
                    && (first.at != outcome.at || first.done != outcome.done)
                {
                    return fail("first outcome again", format!("{command:?}: {outcome:?}, first {first:?}"));
                }
                self.acknowledged.push((command.clone(), outcome.clone()));
                self.check_order(origin, outcome)?;
            }
            Err(NotDone::Unknown) => {}
            Err(
                NotDone::Refused(_)
                | NotDone::Unavailable
                | NotDone::NoRoom(_)
                | NotDone::Busy
                | NotDone::TooNew { .. },
            ) => {
                of_origin.told_never = true;
                if let Some(Effect { outcome: Ok(first), .. }) = &of_origin.first
                    && !first.duplicate
                {
                    return fail(
                        "no means no",
                        format!("{command:?} was done by {origin:?}, told {answer:?}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Whoever asked a node for one thing and then, on the same connection, for another finds them in that order.
    fn check_order(&mut self, origin: Origin, outcome: &Outcome) -> Checked {
        if outcome.duplicate {
            return Ok(());
        }
        let Origin { node, boot, number } = origin;
        let asked = self.in_order.entry((node, boot)).or_default();
        let before = asked.range(..number).next_back().is_some_and(|(_, at)| *at > outcome.at);
        let after = asked.range(number..).next().is_some_and(|(_, at)| *at < outcome.at);
        asked.insert(number, outcome.at);
        if before || after {
            return fail(
                "in the order asked",
                format!("{origin:?} was done at {}, out of its turn", outcome.at),
            );
        }
        Ok(())
    }

    /// Whether this is what the request brought about, and not only how things were.
    pub fn is_change(&self, command: &Command, outcome: &Outcome) -> bool {
        let key = (command.user.clone(), command.id.clone());
        self.done.get(&key).is_some_and(|first| first.changed && first.outcome.at == outcome.at)
    }

    /// Whether another request under the same id was done, so that this one never will be.
    pub fn is_forestalled(&self, key: &(String, String), change: &Change) -> bool {
        self.done.get(key).is_some_and(|first| first.change != *change)
    }

    /// At the end: what was acknowledged is in the tables.
    pub fn check_nothing_lost(&self, model: &mut Model) -> Checked {
        for (command, outcome) in &self.acknowledged {
            if !is_remembered(&command.change) {
                continue;
            }
            let kept = match &outcome.done {
                Done::Sent { seq, time } => {
                    let Ok(row) = model.message_by_id(&command.user, &command.id);
                    row.is_some_and(|row| {
                        row.sent_at == outcome.at && row.message.seq == *seq && row.message.time == *time
                    })
                }
                _ => {
                    let Ok(row) = model.outcome(&command.user, &command.id);
                    row.is_some_and(|row| {
                        row.outcome.at == outcome.at && is_same(&row.outcome.done, &outcome.done)
                    })
                }
            };
            if !kept {
                return fail("nothing acknowledged lost", format!("{command:?} {outcome:?}"));
            }
        }
        Ok(())
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    pub fn entries(&self) -> usize {
        self.log.len()
    }
}

/// Who is in a configuration, whatever their order, and the row that changes with it.
fn members(conf: &ConfState, row: &Bytes) -> Bytes {
    let mut ids =
        [&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next].map(Clone::clone);
    ids.iter_mut().for_each(|ids| ids.sort_unstable());
    Bytes::from(format!("{ids:?} {row:?}"))
}

/// A secret is told, and not kept with what was done.
fn is_same(kept: &Done, told: &Done) -> bool {
    match (kept, told) {
        (Done::Subscribed { subscription: kept, .. }, Done::Subscribed { subscription: told, .. }) => {
            kept == told
        }
        _ => kept == told,
    }
}

/// Whose repeat gives the first outcome again, whatever happened since.
fn is_remembered(change: &Change) -> bool {
    !matches!(
        change,
        Change::Register { .. }
            | Change::Login { .. }
            | Change::DeleteAccount { .. }
            // Repeats of these give another secret.
            | Change::CreateInvite { .. }
            | Change::ResetPassword { .. }
            | Change::Appoint { .. }
            // Each item of it is its own memory.
            | Change::Import { .. }
            | Change::CreateBot { .. }
            | Change::CreateHook { .. }
            | Change::RenewBotToken { .. }
            // Nobody's, and may be done twice.
            | Change::Delivered { .. }
    )
}

fn fail(checker: &'static str, what: String) -> Checked {
    Err(Failure { checker, what })
}
