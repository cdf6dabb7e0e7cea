//! Where the stories are played. Nothing happens by itself: messages wait until they are delivered,
//! disks until they are told to go on, clocks until they tick.
//!
//! | step | does |
//! |---|---|
//! | `keep COUNT` | how many applied entries the nodes keep in their logs; before they are founded |
//! | `nodes TICK…` | founds a cluster; each node stands for election after so many silent ticks |
//! | `propose NODE TEXT` · `read NODE` | somebody asks that node |
//! | `tick NODE COUNT` | its clock |
//! | `deliver [FROM TO]` | all messages that are under way now, or those of one link |
//! | `lose [FROM TO]` | throws them away, and tells the senders |
//! | `doubt FROM TO` | delivers them, and tells the sender that they may be lost |
//! | `persist NODE` · `apply NODE` | its disk has done what it was asked |
//! | `stabilize` | all of this until nothing is under way; tells only what came of it |
//! | `die NODE` · `stand NODE` | a process is gone, and the others notice; its turn to stand comes |
//! | `vanish NODE` · `start NODE` | a process is gone, and nobody notices; it starts on what it had written |
//! | `step_down NODE` | it is going |
//! | `room NODE OF MB` | it hears how much room a node has; below 64 that one's disk is nearly full |
//! | `fetch NODE FROM` | the rows of that node, as they are now, have come to one that was offered state |
//! | `status` | how all of them stand |

use std::collections::BTreeMap;

use chat_actors::chat::command::{Batch, Change, Command};
use chat_actors::chat::outcome::{Done, Outcome};
use chat_actors::chat_db::pages::Position;
use chat_actors::ids::{At, Boot, LogIndex, Origin, RaftId, RoomId, Term};
use chat_actors::messages::consensus::NotDone;
use chat_actors::messages::disk::{Append, Committed, Install, Payload};
use chat_actors::messages::news::{DiskReport, DiskRoom};
use chat_actors::raft::core::Config;
use chat_actors::raft::disks::HandsOver;
use chat_actors::raft::log_view::LogStart;
use chat_actors::raft::node::{Handed, Node, Todo};
use chat_actors::raft::proposals::Patience;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Message};
use serde_bytes::ByteBuf;

const PATIENCE: Patience = Patience { deadline_ticks: 100, repeat_ticks: 20, no_quorum_ticks: 30 };

#[derive(Default)]
pub struct Stage {
    actors: BTreeMap<u64, Actor>,
    under_way: Vec<Parcel>,
    said: Vec<String>,
    /// Only what came of it is told, not each message.
    briefly: bool,
    log_keep_entries: Option<u64>,
}

/// A node with its disk.
struct Actor {
    node: Option<Node>,
    election_tick: usize,
    boot: u64,
    hard_state: HardState,
    /// The entry before the log's first: index and term.
    cut: (u64, u64),
    log: Vec<Entry>,
    applied: u64,
    append: Option<Append>,
    apply: Vec<Committed>,
    stands: Option<Term>,
}

enum Parcel {
    Raft(Message),
    Commands { from: u64, handed: Handed },
}

impl Parcel {
    fn link(&self) -> (u64, u64) {
        match self {
            Self::Raft(message) => (message.from, message.to),
            Self::Commands { from, handed } => (*from, handed.to.0),
        }
    }

    fn describe(&self) -> String {
        let (from, to) = self.link();
        match self {
            Self::Raft(message) => format!("{from} to {to}: {}", message_text(message)),
            Self::Commands { handed, .. } => {
                let texts: Vec<_> = handed.items.iter().map(|item| command_text(&item.command)).collect();
                format!(
                    "{from} to {to}: commands for the leader of term {}: {}",
                    handed.term,
                    texts.join(", ")
                )
            }
        }
    }
}

impl Stage {
    /// Does one step and tells what came of it.
    pub fn step(&mut self, step: &str) -> Vec<String> {
        let words: Vec<_> = step.split_whitespace().collect();
        let number =
            |place: usize| -> u64 { words[place].parse().unwrap_or_else(|_| panic!("{step}: a number")) };
        let link = || (words.len() == 3).then(|| (number(1), number(2)));
        match words[0] {
            "keep" => self.log_keep_entries = Some(number(1)),
            "fetch" => self.fetch(number(1), number(2)),
            "nodes" => self.found(&words[1..]),
            "room" => self.room(number(1), number(2), number(3)),
            "propose" => self.propose(number(1), &words[2..].join(" ")),
            "read" => self.read(number(1)),
            "tick" => (0..number(2)).for_each(|_| self.with(number(1), Node::tick)),
            "deliver" => self.deliver(link()),
            "lose" => self.lose(link()),
            "doubt" => {
                self.deliver(link());
                self.with(number(1), |node| node.unreachable(RaftId(number(2))));
            }
            "persist" => self.persist(number(1)),
            "apply" => self.apply(number(1)),
            "stabilize" => self.stabilize(),
            "die" => self.die(number(1)),
            "stand" => self.stand(number(1)),
            "vanish" => self.vanish(number(1)),
            "start" => self.start(number(1)),
            "step_down" => self.step_down(number(1)),
            "status" => self.status(),
            _ => panic!("{step}: no such step"),
        }
        std::mem::take(&mut self.said)
    }

    fn say(&mut self, line: String) {
        self.said.push(line);
    }

    fn found(&mut self, ticks: &[&str]) {
        for (id, tick) in (1..).zip(ticks) {
            let hard_state = HardState { term: 1, commit: 1, ..HardState::default() };
            let actor = Actor {
                node: None,
                election_tick: tick.parse().expect("ticks"),
                boot: 0,
                hard_state,
                cut: (1, 1),
                log: Vec::new(),
                applied: 1,
                append: None,
                apply: Vec::new(),
                stands: None,
            };
            self.actors.insert(id, actor);
        }
        for id in self.ids() {
            self.start(id);
        }
        self.said.clear();
    }

    fn ids(&self) -> Vec<u64> {
        self.actors.keys().copied().collect()
    }

    fn start(&mut self, id: u64) {
        let voters = self.ids();
        let log_keep_entries = self.log_keep_entries.unwrap_or(1_000);
        let actor = self.actor(id);
        actor.boot += 1;
        let mut hard_state = actor.hard_state.clone();
        hard_state.commit = hard_state.commit.max(actor.applied);
        let mut term_runs: Vec<(u64, u64)> = Vec::new();
        for entry in &actor.log {
            if term_runs.last().is_none_or(|&(_, term)| term != entry.term) {
                term_runs.push((entry.index, entry.term));
            }
        }
        let start = LogStart {
            hard_state,
            conf_state: ConfState { voters, ..ConfState::default() },
            applied: actor.applied,
            cut: actor.cut,
            term_runs,
            tail: actor.log.clone(),
            last: actor.cut.0 + actor.log.len() as u64,
        };
        let config = Config {
            id: RaftId(id),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: Some(actor.election_tick),
            log_keep_entries,
        };
        let node = Node::new(&config, Boot(actor.boot), PATIENCE, start).expect("a good configuration");
        actor.node = Some(node);
        self.with(id, |_| {});
    }

    fn actor(&mut self, id: u64) -> &mut Actor {
        self.actors.get_mut(&id).expect("a node of the story")
    }

    /// Gives a node that lives an input, and carries out what it wants done.
    fn with(&mut self, id: u64, input: impl FnOnce(&mut Node)) {
        let Some(node) = &mut self.actor(id).node else { return };
        input(node);
        let todo = node.drive(1_000);
        self.carry_out(id, todo);
    }

    fn carry_out(&mut self, id: u64, todo: Todo) {
        if let Some(role) = todo.role {
            let leader = role.leader.map_or("nobody leads".to_owned(), |leader| match role.leads {
                true => "leads".to_owned(),
                false => format!("follows {leader}"),
            });
            let quorum = if role.quorum { "with a majority" } else { "without a majority" };
            self.say(format!("{id}: {leader} in term {}, {quorum}", role.term));
        }
        if let Some(HandsOver { to, trouble }) = todo.hands_over {
            self.say(format!("{id} hands over to {to}, since its disk is {trouble:?}"));
        }
        for message in todo.messages {
            self.send(Parcel::Raft(message));
        }
        if let Some(handed) = todo.forward {
            self.send(Parcel::Commands { from: id, handed });
        }
        if let Some(append) = todo.append {
            if !self.briefly {
                self.say(format!("{id} writes {}", append_text(&append)));
            }
            assert!(self.actor(id).append.replace(append).is_none(), "one append at a time");
        }
        if !todo.apply.is_empty() {
            if !self.briefly {
                let entries: Vec<_> = todo.apply.iter().map(committed_text).collect();
                self.say(format!("{id} may apply {}", entries.join(", ")));
            }
            self.actor(id).apply.extend(todo.apply);
        }
        if let Some(to) = todo.compact {
            self.forget(id, to.0);
        }
        if let Some(offer) = todo.fetch {
            self.say(format!(
                "{id} is to fetch the state as of {} or later, offered by {}",
                offer.index, offer.from
            ));
        }
        if todo.fetch_over {
            self.say(format!("{id} needs no more state"));
        }
        for (number, outcome) in todo.outcomes {
            self.say(format!("{id}: proposal {number} is {}", outcome_text(&outcome)));
        }
        for (number, answer) in todo.reads {
            let applied = self.actor(id).applied;
            match answer {
                Ok(()) => self.say(format!("{id}: read {number} may read, applied {applied}")),
                Err(why) => self.say(format!("{id}: read {number} is {why:?}")),
            }
        }
    }

    fn send(&mut self, parcel: Parcel) {
        if !self.briefly {
            self.say(parcel.describe());
        }
        self.under_way.push(parcel);
    }

    fn room(&mut self, id: u64, of: u64, free_mb: u64) {
        let room = DiskRoom { node: format!("node{of}"), free_mb, low: free_mb < 64 };
        self.with(id, |node| node.disk_report(DiskReport { of: RaftId(of), room }));
    }

    fn propose(&mut self, id: u64, text: &str) {
        let change = Change::Send { room: RoomId(1), text: text.to_owned(), reply_to: None };
        let command = Command { user: "ann".to_owned(), id: text.to_owned(), change };
        let mut refused = None;
        self.with(id, |node| refused = node.propose(&command).err());
        if let Some(why) = refused {
            self.say(format!("{id}: refused at once, {why:?}"));
        }
    }

    fn read(&mut self, id: u64) {
        let mut refused = None;
        self.with(id, |node| refused = node.read().err());
        if let Some(why) = refused {
            self.say(format!("{id}: refused at once, {why:?}"));
        }
    }

    fn take(&mut self, link: Option<(u64, u64)>) -> Vec<Parcel> {
        let all = std::mem::take(&mut self.under_way);
        let (taken, kept) = all.into_iter().partition(|parcel| link.is_none_or(|link| parcel.link() == link));
        self.under_way = kept;
        taken
    }

    fn deliver(&mut self, link: Option<(u64, u64)>) {
        for parcel in self.take(link) {
            let (_, to) = parcel.link();
            match parcel {
                Parcel::Raft(message) => self.with(to, |node| node.step(message)),
                Parcel::Commands { handed, .. } => {
                    self.with(to, |node| node.forwarded(handed.term, handed.items));
                }
            }
        }
    }

    fn lose(&mut self, link: Option<(u64, u64)>) {
        for parcel in self.take(link) {
            let (from, to) = parcel.link();
            self.with(from, |node| node.unreachable(RaftId(to)));
        }
    }

    fn persist(&mut self, id: u64) {
        let actor = self.actor(id);
        let Some(append) = actor.append.take() else { return };
        if let Some(install) = append.snapshot {
            actor.cut = (install.position.index.0, install.position.term.0);
            actor.log.clear();
        }
        if let Some(first) = append.entries.first() {
            actor.log.truncate((first.index - actor.cut.0) as usize - 1);
            actor.log.extend(append.entries);
        }
        actor.hard_state = append.hard_state;
        actor.applied = actor.applied.max(actor.cut.0);
        self.with(id, |node| node.persisted(append.number));
    }

    /// Each command is done; its `at` is its entry's index.
    fn apply(&mut self, id: u64) {
        let entries = std::mem::take(&mut self.actor(id).apply);
        let Some(last) = entries.last().map(|entry| entry.index) else { return };
        let mut outcomes: Vec<(Origin, _)> = Vec::new();
        for entry in &entries {
            let Payload::Batch(data) = &entry.what else { continue };
            let batch = Batch::decode(data).expect("a batch");
            outcomes.extend(batch.items.into_iter().map(|item| {
                (item.origin, Ok(Outcome { at: At(entry.index.0), duplicate: false, done: Done::Plain }))
            }));
        }
        self.actor(id).applied = last.0;
        let mine = Boot(self.actor(id).boot);
        outcomes.retain(|(origin, _)| origin.node.0 == id && origin.boot == mine);
        self.with(id, |node| node.applied(last, outcomes));
    }

    fn stabilize(&mut self) {
        self.briefly = true;
        loop {
            let busy = |actor: &Actor| actor.append.is_some() || !actor.apply.is_empty();
            if self.under_way.is_empty() && !self.actors.values().any(busy) {
                break;
            }
            self.deliver(None);
            for id in self.ids() {
                self.persist(id);
                self.apply(id);
            }
        }
        self.briefly = false;
    }

    fn forget(&mut self, id: u64, to: u64) {
        let actor = self.actor(id);
        let forgotten: Vec<_> = actor.log.drain(..(to - actor.cut.0) as usize).collect();
        actor.cut = forgotten.last().map_or(actor.cut, |last| (last.index, last.term));
        if !self.briefly {
            self.say(format!("{id} forgets its log up to {to}"));
        }
    }

    /// What a fetch of that node's rows brings, as of now.
    fn fetch(&mut self, id: u64, from: u64) {
        let voters = ConfState { voters: self.ids(), ..ConfState::default() };
        let source = self.actor(from);
        let entry = source.log.iter().find(|entry| entry.index == source.applied);
        let position = Position {
            index: LogIndex(source.applied),
            term: Term(entry.map_or(source.cut.1, |entry| entry.term)),
            known_term: Term(source.hard_state.term),
            conf_state: ByteBuf::from(voters.write_to_bytes().expect("it can be encoded")),
            ..Position::default()
        };
        let index = position.index;
        let mut verdict = None;
        self.with(id, |node| verdict = Some(node.state_here(Install { position, pages: 1 })));
        let verdict = verdict.expect("a node that lives");
        self.say(format!("{id} has the state as of {index}: {verdict:?}"));
    }

    fn vanish(&mut self, id: u64) {
        let actor = self.actor(id);
        actor.node = None;
        actor.append = None;
        actor.apply.clear();
        // What is on its way to it or from it goes nowhere.
        self.under_way.retain(|parcel| parcel.link().0 != id && parcel.link().1 != id);
    }

    fn die(&mut self, id: u64) {
        self.vanish(id);
        for other in self.ids() {
            let mut stands = None;
            self.with(other, |node| stands = node.died(RaftId(id)));
            if let Some((term, rank)) = stands {
                self.actor(other).stands = Some(term);
                self.say(format!("{other} will stand with rank {rank}"));
            }
        }
    }

    fn stand(&mut self, id: u64) {
        if let Some(term) = self.actor(id).stands.take() {
            self.with(id, |node| node.stand(term));
        }
    }

    fn step_down(&mut self, id: u64) {
        let mut to = None;
        self.with(id, |node| to = node.step_down());
        match to {
            Some(to) => self.say(format!("{id} hands over to {to}")),
            None => self.say(format!("{id} has nothing to hand over")),
        }
    }

    fn status(&mut self) {
        let lines: Vec<_> = self.actors.iter().map(|(id, actor)| status_text(*id, actor)).collect();
        self.said.extend(lines);
    }
}

fn status_text(id: u64, actor: &Actor) -> String {
    let Some(node) = &actor.node else {
        return format!("{id}: down, {} entries on its disk", actor.log.len());
    };
    let view = node.view();
    let leader = view.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
    let last = node.core().last_index();
    format!(
        "{id}: term {}, leader {leader}, last {last}, commit {}, applied {}",
        view.term, view.commit, view.applied
    )
}

fn outcome_text(outcome: &Result<Outcome, NotDone>) -> String {
    match outcome {
        Ok(outcome) => format!("done at {}", outcome.at),
        Err(why) => format!("{why:?}"),
    }
}

fn append_text(append: &Append) -> String {
    let HardState { term, vote, commit, .. } = append.hard_state;
    let state =
        append.snapshot.as_ref().map(|install| format!("the state as of {}, ", install.position.index));
    let entries = entries_text(&append.entries);
    format!("{}{entries}term {term}, vote {vote}, commit {commit}", state.unwrap_or_default())
}

fn committed_text(entry: &Committed) -> String {
    match &entry.what {
        Payload::Batch(data) => format!("{} {}", entry.index, batch_text(data)),
        Payload::Empty => format!("{} (empty)", entry.index),
        Payload::Conf(_) => format!("{} (members)", entry.index),
    }
}

/// Only what says something.
fn message_text(message: &Message) -> String {
    let kind = format!("{:?}", message.get_msg_type());
    let mut text = format!("{} in term {}", kind.trim_start_matches("Msg"), message.term);
    for (name, value) in [("index", message.index), ("of term", message.log_term), ("commit", message.commit)]
    {
        if value > 0 {
            text += &format!(", {name} {value}");
        }
    }
    if message.get_snapshot().get_metadata().index > 0 {
        let metadata = message.get_snapshot().get_metadata();
        text += &format!(", of the state as of {} of term {}", metadata.index, metadata.term);
    }
    if message.reject {
        text += ", rejected";
    }
    let entries: Vec<_> = message.entries.iter().filter(|entry| entry.index > 0).cloned().collect();
    match entries_text(&entries) {
        entries if entries.is_empty() => text,
        entries => format!("{text}, {}", entries.trim_end_matches(", ")),
    }
}

fn entries_text(entries: &[Entry]) -> String {
    let one = |entry: &Entry| match entry.data.is_empty() {
        true => format!("entry {}/{} (empty), ", entry.index, entry.term),
        false => format!("entry {}/{} {}, ", entry.index, entry.term, batch_text(&entry.data)),
    };
    entries.iter().map(one).collect()
}

fn batch_text(data: &[u8]) -> String {
    let batch = Batch::decode(data).expect("a batch");
    let texts: Vec<_> = batch.items.iter().map(|item| command_text(&item.command)).collect();
    format!("[{}]", texts.join(", "))
}

fn command_text(bytes: &[u8]) -> String {
    Command::decode(bytes).expect("a command").id
}
