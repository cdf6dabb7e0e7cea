//! Who is in the cluster, and what may be changed about it: rules, one change at a time, and learners
//! that become voters by themselves. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::{Core, Turn};
use crate::ids::{RaftId, Term};
use crate::membership::{NodeRow, Roll};
use crate::messages::members::{Settled, Wish};

/// Entries that a learner may be behind and count as caught up.
pub const CAUGHT_UP_LAG: u64 = 250;

/// What is to be done about a wish.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Settled(Settled),
    Change { turns: Vec<Turn>, goal: Goal },
    Move { to: RaftId },
}

/// What must be so for a change to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goal {
    pub row: Option<NodeRow>,
    pub voter: Option<RaftId>,
    /// What to say then; a join is told its id instead.
    pub says: String,
    pub joins: Option<RaftId>,
}

/// How the replicas look from the leader.
pub trait Sight {
    fn own(&self) -> RaftId;
    /// It is heard, or is this one.
    fn is_up(&self, id: RaftId) -> bool;
    /// Entries that it lacks; all there can be when it has not even the state before them.
    fn lag(&self, id: RaftId) -> u64;
}

/// See the module.
pub struct Members {
    roll: Arc<Roll>,
    looking: Option<Looking>,
    /// What a look came to, when nothing begins.
    said: Option<(u64, Settled)>,
    waiting: Option<Waiting>,
    last_number: u64,
    /// Since which tick each learner is caught up.
    calm: BTreeMap<RaftId, u64>,
    promote_ticks: u64,
    deadline_ticks: u64,
}

/// Who was heard a moment ago may be gone by now. Before votes are taken away or leadership moves, the leader looks who
/// answers it from then on.
struct Looking {
    number: u64,
    wish: Wish,
    since: u64,
}

/// Ticks after which an answer was sent after the wish, whatever was on its way then.
const LOOK_TICKS: u64 = 2;

struct Waiting {
    number: u64,
    term: Term,
    tick: u64,
    what: What,
}

enum What {
    Change(Goal),
    Lead { to: RaftId, was: String },
}

impl Members {
    pub fn new(roll: Arc<Roll>, promote_ticks: u64, deadline_ticks: u64) -> Self {
        Self {
            roll,
            looking: None,
            said: None,
            waiting: None,
            last_number: 0,
            calm: BTreeMap::new(),
            promote_ticks,
            deadline_ticks,
        }
    }

    /// Everybody, as of what was applied.
    pub fn roll(&self) -> &Arc<Roll> {
        &self.roll
    }

    pub fn replace(&mut self, roll: Arc<Roll>) {
        self.roll = roll;
    }

    /// Begins what somebody wants; its number comes back when it is settled.
    ///
    /// # Errors
    /// With what can be said at once.
    pub fn wish(&mut self, wish: &Wish, core: &mut Core, tick: u64) -> Result<u64, Settled> {
        let now = core.leadership();
        if !now.leads {
            return Err(Settled::Elsewhere(now.leader));
        }
        if self.looking.is_some()
            || self.waiting.is_some()
            || core.is_changing()
            || core.is_transferring()
            || self.roll.is_joint()
        {
            return Err(Settled::Later("another change of members is under way".to_owned()));
        }
        let lately = core.ticks().saturating_sub(core.election_ticks());
        let verdict = judge(wish, &self.roll, &Lately { core, since: lately });
        let number = self.last_number + 1;
        if verdict.relies_on_others() {
            self.looking = Some(Looking { number, wish: wish.clone(), since: core.ticks() });
        } else {
            self.begin(number, wish, verdict, core, tick)?;
        }
        self.last_number = number;
        Ok(number)
    }

    /// Begins what a look was taken for, once all answered or had the time to. Call it after each tick.
    pub fn look(&mut self, core: &mut Core, tick: u64) {
        let Some(Looking { since, .. }) = &self.looking else { return };
        let now = core.leadership();
        let sight = Lately { core, since: since + LOOK_TICKS };
        let conf = &self.roll.conf;
        let all_answer = conf.voters.iter().chain(&conf.learners).all(|&id| sight.is_up(RaftId(id)));
        if now.leads && !all_answer && core.ticks() - since < core.election_ticks() {
            return;
        }
        let Some(Looking { number, wish, since }) = self.looking.take() else { return };
        let begun = if now.leads {
            let verdict = judge(&wish, &self.roll, &Lately { core, since: since + LOOK_TICKS });
            self.begin(number, &wish, verdict, core, tick)
        } else {
            Err(Settled::Elsewhere(now.leader))
        };
        self.said = begun.err().map(|settled| (number, settled));
    }

    fn begin(
        &mut self,
        number: u64,
        wish: &Wish,
        verdict: Verdict,
        core: &mut Core,
        tick: u64,
    ) -> Result<(), Settled> {
        let what = match verdict {
            Verdict::Settled(settled) => return Err(settled),
            Verdict::Move { to } => {
                core.transfer_to(to);
                let was = self.roll.name_of(core.id());
                match wish {
                    Wish::Lead { .. } => What::Lead { to, was },
                    _ => return Err(Settled::Later(format!("{was} leads, and hands over first"))),
                }
            }
            Verdict::Change { turns, goal } => {
                let row = goal.row.as_ref().map(NodeRow::encode).transpose();
                let row = row.expect("a row in memory can always be encoded").unwrap_or_default();
                if core.propose_members(&turns, row).is_err() {
                    return Err(Settled::Later("it cannot be proposed now".to_owned()));
                }
                What::Change(goal)
            }
        };
        self.waiting = Some(Waiting { number, term: core.leadership().term, tick, what });
        Ok(())
    }

    /// What has been settled by now.
    pub fn settle(&mut self, core: &Core, tick: u64) -> Option<(u64, Settled)> {
        if let Some(said) = self.said.take() {
            return Some(said);
        }
        let waiting = self.waiting.as_ref()?;
        let late = tick - waiting.tick >= self.deadline_ticks;
        let now = core.leadership();
        let settled = match &waiting.what {
            What::Change(goal) => {
                if goal.is_reached(&self.roll) {
                    goal.settled(&self.roll)
                } else if now.term != waiting.term && core.has_applied_in_term() {
                    Settled::Later("leadership moved before it was agreed".to_owned())
                } else if late {
                    Settled::Unknown
                } else {
                    return None;
                }
            }
            What::Lead { to, was } => match now.leader {
                Some(leader) if leader == *to => {
                    Settled::Done(format!("{} leads (was {was})", self.roll.name_of(*to)))
                }
                Some(leader) if leader != core.id() => Settled::Refused(format!(
                    "{} leads instead of {}: try again",
                    self.roll.name_of(leader),
                    self.roll.name_of(*to)
                )),
                Some(_) if !core.is_transferring() || late => Settled::Refused(format!(
                    "{} did not take over in time, {was} still leads: try again",
                    self.roll.name_of(*to)
                )),
                None if late => Settled::Unknown,
                Some(_) | None => return None,
            },
        };
        let number = waiting.number;
        self.waiting = None;
        Some((number, settled))
    }

    /// Wishes that a learner which is caught up and stable becomes a voter, one at a time. Says whom.
    pub fn promote(&mut self, core: &mut Core, tick: u64) -> Option<RaftId> {
        if !core.leadership().leads {
            self.calm.clear();
            return None;
        }
        let candidates: Vec<RaftId> = self.roll.conf.learners.iter().copied().map(RaftId).collect();
        self.calm.retain(|id, _| candidates.contains(id));
        let roll = Arc::clone(&self.roll);
        for id in candidates {
            let row = roll.rows.iter().find(|row| row.raft_id == Some(id) && !row.learner && !row.removed);
            let ready = core.heard_lately(id) && core.lag_of(id) <= CAUGHT_UP_LAG;
            let Some(row) = row.filter(|_| ready) else {
                self.calm.remove(&id);
                continue;
            };
            let since = *self.calm.entry(id).or_insert(tick);
            let wish = || Wish::Promote { name: row.name.clone() };
            if tick - since >= self.promote_ticks && self.wish(&wish(), core, tick).is_ok() {
                self.calm.remove(&id);
                return Some(id);
            }
        }
        None
    }
}

impl Verdict {
    /// Whether it is only right when those who seem to be up are.
    fn relies_on_others(&self) -> bool {
        match self {
            Self::Settled(_) => false,
            Self::Move { .. } => true,
            Self::Change { turns, .. } => turns.iter().any(|turn| !matches!(turn, Turn::Learner(_))),
        }
    }
}

impl Goal {
    fn is_reached(&self, roll: &Roll) -> bool {
        !roll.is_joint()
            && self.row.as_ref().is_none_or(|row| roll.row(&row.name) == Some(row))
            && self.voter.is_none_or(|id| roll.is_voter(id))
    }

    fn settled(&self, roll: &Arc<Roll>) -> Settled {
        match self.joins {
            Some(raft_id) => Settled::Joined { raft_id, roll: Arc::clone(roll) },
            None => Settled::Done(self.says.clone()),
        }
    }
}

/// Up is who has answered from a tick on.
struct Lately<'c> {
    core: &'c Core,
    since: u64,
}

impl Sight for Lately<'_> {
    fn own(&self) -> RaftId {
        self.core.id()
    }

    fn is_up(&self, id: RaftId) -> bool {
        id == self.core.id() || self.core.heard_since(id, self.since)
    }

    fn lag(&self, id: RaftId) -> u64 {
        self.core.lag_of(id)
    }
}

/// Decides about a wish, on the leader, while no other change is under way.
pub fn judge(wish: &Wish, roll: &Roll, sight: &impl Sight) -> Verdict {
    match wish {
        Wish::Add { name, peer, public, learner } => add(roll, name, peer, public, *learner),
        Wish::Remove { name } => remove(roll, sight, name),
        Wish::Promote { name } => promote(roll, sight, name),
        Wish::Lead { name } => lead(roll, sight, name),
        Wish::Join { name, peer, public, disk, gone, level: _ } => {
            join(roll, sight, name, (peer, public), disk, *gone)
        }
    }
}

fn done(sentence: String) -> Verdict {
    Verdict::Settled(Settled::Done(sentence))
}

fn refused(sentence: String) -> Verdict {
    Verdict::Settled(Settled::Refused(sentence))
}

fn unknown(roll: &Roll, name: &str) -> Verdict {
    let names: Vec<_> = roll.listed().into_iter().map(|listed| listed.node.name).collect();
    refused(format!("no node is called {name}: there are {}", names.join(", ")))
}

/// Who else is reached at one of these addresses, in words: what is sent there would go to both.
fn address_taken(roll: &Roll, name: &str, peer: &str, public: &str) -> Option<String> {
    let mut others = roll.rows.iter().filter(|row| !row.removed && row.name != name);
    let other = &others.find(|row| row.peer == peer || row.public == public)?.name;
    Some(format!("{other} has that address: give {name} one of its own, or remove {other} first"))
}

fn add(roll: &Roll, name: &str, peer: &str, public: &str, learner: bool) -> Verdict {
    if let Some(why) = address_taken(roll, name, peer, public) {
        return refused(why);
    }
    let known = roll.row(name);
    let row = NodeRow {
        name: name.to_owned(),
        raft_id: known.and_then(|row| row.raft_id),
        disk: None,
        peer: peer.to_owned(),
        public: public.to_owned(),
        learner,
        removed: false,
    };
    if let (Some(id), Some(known)) = (roll.id_of(name), known.filter(|row| !row.removed)) {
        if known.peer != peer || known.public != public {
            let at = format!("{} and {}", known.peer, known.public);
            return refused(format!("{name} is part of the chat at {at}: remove it first"));
        }
        return match (learner, roll.is_voter(id)) {
            (true, true) => refused(format!("{name} is a voter: remove it first to make it a learner")),
            (false, false) if known.learner => refused(format!("{name} is a learner: promote it")),
            _ => done(format!("{name} is part of the chat already")),
        };
    }
    if known.is_some_and(|known| *known == row) {
        return done(format!("{name} is written down already: start it"));
    }
    let says = format!("{name} is written down: start it, and it joins");
    Verdict::Change { turns: Vec::new(), goal: Goal { row: Some(row), says, ..Goal::default() } }
}

/// Who of the voters that would be left is down, when no majority of them would be up.
fn down_without(roll: &Roll, sight: &impl Sight, gone: RaftId) -> Option<String> {
    let left: Vec<RaftId> = roll.conf.voters.iter().copied().map(RaftId).filter(|&id| id != gone).collect();
    let down: Vec<RaftId> = left.iter().copied().filter(|&id| !sight.is_up(id)).collect();
    let names = |ids: &[RaftId]| ids.iter().map(|&id| roll.name_of(id)).collect::<Vec<_>>().join(", ");
    let no_majority = (left.len() - down.len()) * 2 <= left.len();
    no_majority.then(|| match down.is_empty() {
        true => "it is the last voter".to_owned(),
        false => {
            format!("of those left ({}) no majority would be up: {} is down", names(&left), names(&down))
        }
    })
}

fn remove(roll: &Roll, sight: &impl Sight, name: &str) -> Verdict {
    let Some(row) = roll.row(name) else { return unknown(roll, name) };
    if row.removed {
        return done(format!("{name} is removed already"));
    }
    let goal = Goal {
        row: Some(NodeRow { removed: true, ..row.clone() }),
        says: format!("{name} is removed"),
        ..Goal::default()
    };
    let Some(id) = roll.id_of(name) else { return Verdict::Change { turns: Vec::new(), goal } };
    if roll.is_voter(id)
        && let Some(why) = down_without(roll, sight, id)
    {
        return refused(format!("{name} cannot be removed: {why}"));
    }
    if id == sight.own() {
        return match heir(roll, sight) {
            Some(to) => Verdict::Move { to },
            None => refused(format!("{name} leads, and nobody can take over: try again")),
        };
    }
    Verdict::Change { turns: vec![Turn::Gone(id)], goal }
}

/// The voter beside this one that is up and lacks least.
fn heir(roll: &Roll, sight: &impl Sight) -> Option<RaftId> {
    let others = roll.conf.voters.iter().copied().map(RaftId).filter(|&id| id != sight.own());
    others.filter(|&id| sight.is_up(id)).min_by_key(|&id| sight.lag(id))
}

/// Why that replica cannot be relied upon now.
fn unready(sight: &impl Sight, name: &str, id: RaftId) -> Option<String> {
    if !sight.is_up(id) {
        return Some(format!("{name} is down: start it first"));
    }
    let lag = sight.lag(id);
    let lacks = match lag {
        ..=CAUGHT_UP_LAG => return None,
        u64::MAX => "has not got the chat yet".to_owned(),
        _ => format!("lacks {lag} entries"),
    };
    Some(format!("{name} is not caught up, it {lacks}: try again later"))
}

fn promote(roll: &Roll, sight: &impl Sight, name: &str) -> Verdict {
    let Some(row) = roll.row(name).filter(|row| !row.removed) else { return unknown(roll, name) };
    let grown = NodeRow { learner: false, ..row.clone() };
    let row = (grown != *row).then_some(grown);
    let Some(id) = roll.id_of(name) else {
        let says = format!("{name} becomes a voter once it has joined and caught up: start it");
        return match row {
            Some(row) => {
                Verdict::Change { turns: Vec::new(), goal: Goal { row: Some(row), says, ..Goal::default() } }
            }
            None => done(says),
        };
    };
    if roll.is_voter(id) {
        return done(format!("{name} is a voter already"));
    }
    if let Some(why) = unready(sight, name, id) {
        return refused(why);
    }
    let goal = Goal { row, voter: Some(id), says: format!("{name} is a voter"), joins: None };
    Verdict::Change { turns: vec![Turn::Voter(id)], goal }
}

fn lead(roll: &Roll, sight: &impl Sight, name: &str) -> Verdict {
    let Some(id) = roll.id_of(name) else {
        return match roll.row(name).is_some_and(|row| !row.removed) {
            true => refused(format!("{name} has not joined yet: start it first")),
            false => unknown(roll, name),
        };
    };
    if id == sight.own() {
        return done(format!("{name} leads already"));
    }
    if !roll.is_voter(id) {
        return refused(format!("{name} is a learner: promote it first"));
    }
    match unready(sight, name, id) {
        Some(why) => refused(why),
        None => Verdict::Move { to: id },
    }
}

fn join(
    roll: &Roll,
    sight: &impl Sight,
    name: &str,
    (peer, public): (&str, &str),
    disk: &str,
    gone: Option<RaftId>,
) -> Verdict {
    let known = roll.row(name);
    let here = roll.id_of(name);
    let same_disk = known.is_some_and(|known| known.disk.as_deref() == Some(disk));
    // Asked again. A voter would not ask: an empty disk that says to be its went back in time to before it was let
    // in, and has forgotten what it promised under that id.
    if let Some(id) = here.filter(|&id| same_disk && !roll.is_voter(id)) {
        return Verdict::Settled(Settled::Joined { raft_id: id, roll: Arc::new(roll.clone()) });
    }
    if let Some(why) = address_taken(roll, name, peer, public) {
        return refused(why);
    }
    let raft_id = roll.highest().next();
    let mut turns = vec![Turn::Learner(raft_id)];
    if let (Some(old), Some(known)) = (here, known) {
        if sight.is_up(old) {
            return Verdict::Settled(Settled::Later(format!("{name} is part of the chat, and answers")));
        }
        if gone != Some(old) && !same_disk {
            return Verdict::Settled(Settled::AskOld { raft_id: old, peer: known.peer.clone() });
        }
        if roll.is_voter(old)
            && let Some(why) = down_without(roll, sight, old)
        {
            return Verdict::Settled(Settled::Later(format!("{name} cannot be replaced now: {why}")));
        }
        turns.insert(0, Turn::Gone(old));
    }
    let row = NodeRow {
        name: name.to_owned(),
        raft_id: Some(raft_id),
        disk: Some(disk.to_owned()),
        peer: peer.to_owned(),
        public: public.to_owned(),
        learner: known.is_some_and(|known| known.learner && !known.removed),
        removed: false,
    };
    Verdict::Change { turns, goal: Goal { row: Some(row), joins: Some(raft_id), ..Goal::default() } }
}

#[cfg(test)]
mod tests;
