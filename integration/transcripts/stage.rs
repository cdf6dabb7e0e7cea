//! Where the stories are played. Nothing happens by itself: messages wait until they are delivered,
//! disks until they are told to go on, clocks until they tick.
//!
//! | step | does |
//! |---|---|
//! | `keep COUNT` | how many applied entries the nodes keep in their logs; before they are founded |
//! | `nodes TICK…` | founds a cluster; each node stands for election after so many silent ticks |
//! | `propose NODE TEXT` · `mark NODE SEQ` · `read NODE` | somebody asks that node; to mark what was read takes no room |
//! | `fill NODE COUNT` | somebody asks that node for so many things |
//! | `mute NODE TEXT` | somebody asks that node for a change of the second level |
//! | `knows NODE PEER LEVEL` | that node hears up to which level a peer reads changes |
//! | `tick NODE COUNT` | its clock |
//! | `run NODE COUNT` | its clock, and after each tick all that comes of it, as by `stabilize` |
//! | `deliver [FROM TO]` | all messages that are under way now, or those of one link |
//! | `lose [FROM TO]` | throws them away, and tells the senders |
//! | `doubt FROM TO` | delivers them, and tells the sender that they may be lost |
//! | `persist NODE` · `apply NODE` | its disk has done what it was asked |
//! | `stabilize` | all of this until nothing is under way; tells only what came of it |
//! | `die NODE` · `stand NODE` | a process is gone, and the others notice; its turn to stand comes |
//! | `vanish NODE` · `start NODE` | a process is gone, and nobody notices; it starts on what it had written |
//! | `step_down NODE` | it is going |
//! | `begin NODE TICK` | a node that is no member yet, on the disk that founders begin with |
//! | `join LEADER NODE [LEVEL]` · `promote LEADER NODE` · `remove LEADER NODE` · `lead LEADER NODE` | somebody asks the leader for that |
//! | `members NODE` | who is in the cluster, as that node has applied it |
//! | `room NODE OF MB` | it hears how much room a node has; below 64 that one's disk is nearly full |
//! | `fetch NODE FROM` | the rows of that node, as they are now, have come to one that was offered state |
//! | `status` | how all of them stand |

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_actors::chat::command::{Batch, Change, Command, LEVEL, LEVEL_FIRST};
use chat_actors::chat::outcome::{Done, Outcome};
use chat_actors::chat_db::pages::Position;
use chat_actors::ids::{At, Boot, LogIndex, Origin, RaftId, RoomId, Seq, Term};
use chat_actors::membership::{NodeRow, Roll};
use chat_actors::messages::disk::{Install, Payload};
use chat_actors::messages::members::Wish;
use chat_actors::messages::news::{DiskReport, DiskRoom};
use chat_actors::raft::core::Config;
use chat_actors::raft::disks::HandsOver;
use chat_actors::raft::log_view::LogStart;
use chat_actors::raft::node::{Node, Todo};
use chat_actors::raft::proposals::Patience;
use protobuf::Message as _;
use raft::eraftpb::ConfState;
use serde_bytes::ByteBuf;

use super::host::{Actor, Parcel, row, status_text};
use super::words::{append_text, committed_text, outcome_text, settled_text};

const PATIENCE: Patience =
    Patience { deadline_ticks: 100, repeat_ticks: 20, no_quorum_ticks: 30, promote_ticks: 100 };

#[derive(Default)]
pub struct Stage {
    actors: BTreeMap<u64, Actor>,
    under_way: Vec<Parcel>,
    said: Vec<String>,
    /// Only what came of it is told, not each message.
    briefly: bool,
    /// What every disk begins with.
    founding: Roll,
    log_keep_entries: Option<u64>,
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
            "fill" => {
                (0..number(2)).for_each(|_| self.quietly(|stage| stage.propose(number(1), "one of many")));
            }
            "mute" => self.mute(number(1), words[2]),
            "knows" => {
                let level = words[3].parse().expect("a level");
                self.with(number(1), |node| node.reads_up_to(RaftId(number(2)), level));
            }
            "mark" => self.mark(number(1), number(2)),
            "read" => self.read(number(1)),
            "tick" => (0..number(2)).for_each(|_| self.with(number(1), Node::tick)),
            "run" => (0..number(2)).for_each(|_| {
                self.quietly(|stage| stage.with(number(1), Node::tick));
                self.stabilize();
            }),
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
            "begin" => self.begin(number(1), words[2]),
            "join" if words.len() == 4 => self.join(number(1), words[2], number(3)),
            "join" => self.join(number(1), words[2], LEVEL.into()),
            "promote" | "remove" | "lead" => self.wish(number(1), words[0], words[2]),
            "members" => self.members(number(1)),
            "status" => self.status(),
            _ => panic!("{step}: no such step"),
        }
        std::mem::take(&mut self.said)
    }

    fn say(&mut self, line: String) {
        self.said.push(line);
    }

    fn found(&mut self, ticks: &[&str]) {
        let row = |id: u64| NodeRow { disk: None, ..row(id) };
        let founders: Vec<u64> = (1..).zip(ticks).map(|(id, _)| id).collect();
        let conf = ConfState { voters: founders.clone(), ..ConfState::default() };
        self.founding = Roll { rows: founders.iter().map(|&id| row(id)).collect(), conf };
        for (id, tick) in founders.into_iter().zip(ticks) {
            self.actors.insert(id, Actor::new(tick, self.founding.clone()));
        }
        for id in self.ids() {
            self.start(id);
        }
        self.said.clear();
    }

    fn begin(&mut self, id: u64, tick: &str) {
        self.actors.insert(id, Actor::new(tick, self.founding.clone()));
        self.start(id);
    }

    fn join(&mut self, leader: u64, node: &str, level: u64) {
        let name = format!("node{node}");
        let NodeRow { peer, public, .. } = row(node.parse().expect("a node's number"));
        let level = u8::try_from(level).expect("a level");
        let disk = format!("disk{node}");
        self.ask_leader(leader, &Wish::Join { name, peer, public, disk, gone: None, level });
    }

    fn wish(&mut self, leader: u64, what: &str, node: &str) {
        let name = format!("node{node}");
        let wish = match what {
            "promote" => Wish::Promote { name },
            "remove" => Wish::Remove { name },
            _ => Wish::Lead { name },
        };
        self.ask_leader(leader, &wish);
    }

    fn ask_leader(&mut self, leader: u64, wish: &Wish) {
        let mut said = None;
        self.with(leader, |node| said = node.wish(wish).err());
        if let Some(settled) = said {
            self.say(format!("{leader}: at once, {}", settled_text(&settled)));
        }
    }

    fn members(&mut self, id: u64) {
        let conf = &self.actors[&id].roll.conf;
        let sorted = |ids: &[u64]| ids.iter().copied().collect::<std::collections::BTreeSet<_>>();
        let (voters, learners) = (sorted(&conf.voters), sorted(&conf.learners));
        let voters_outgoing = sorted(&conf.voters_outgoing);
        let old = match voters_outgoing.is_empty() {
            true => String::new(),
            false => format!(", until now {voters_outgoing:?}"),
        };
        self.say(format!("{id}: voters {voters:?}{old}, learners {learners:?}"));
    }

    fn ids(&self) -> Vec<u64> {
        self.actors.keys().copied().collect()
    }

    fn start(&mut self, id: u64) {
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
            conf_state: actor.roll.conf.clone(),
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
        let mut node = Node::new(&config, Boot(actor.boot), PATIENCE, start).expect("a good configuration");
        node.members(Arc::new(actor.roll.clone()));
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
        if let Some((_, settled)) = todo.settled {
            self.say(format!("{id}: {}", settled_text(&settled)));
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
        let room = DiskRoom { node: format!("node{of}"), free_mb, low: free_mb < 64, transfer: None };
        self.with(id, |node| node.disk_report(DiskReport { of: RaftId(of), room }));
    }

    fn propose(&mut self, id: u64, text: &str) {
        let change = Change::Send { room: RoomId(1), text: text.to_owned(), reply_to: None };
        self.ask(id, &Command { user: "ann".to_owned(), id: text.to_owned(), change });
    }

    fn mark(&mut self, id: u64, seq: u64) {
        let change = Change::MarkRead { room: RoomId(1), seq: Seq(seq) };
        self.ask(id, &Command { user: "ann".to_owned(), id: format!("read {seq}"), change });
    }

    fn mute(&mut self, id: u64, text: &str) {
        let change = Change::Mute { room: RoomId(1), on: true };
        self.ask(id, &Command { user: "ann".to_owned(), id: text.to_owned(), change });
    }

    /// Tells only what comes of it.
    fn quietly(&mut self, step: impl FnOnce(&mut Self)) {
        self.briefly = true;
        step(self);
        self.briefly = false;
    }

    fn ask(&mut self, id: u64, command: &Command) {
        let mut refused = None;
        self.with(id, |node| refused = node.propose(command).err());
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
                    self.with(to, |node| node.forwarded(handed.term, handed.chain));
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
        let mut level = LEVEL_FIRST;
        for entry in &entries {
            let Payload::Batch(data) = &entry.what else { continue };
            let batch = Batch::decode(data).expect("a batch");
            level = level.max(batch.level);
            outcomes.extend(batch.items.into_iter().map(|item| {
                (item.origin, Ok(Outcome { at: At(entry.index.0), duplicate: false, done: Done::Plain }))
            }));
        }
        let actor = self.actor(id);
        actor.applied = last.0;
        let changed = entries.iter().filter(|entry| actor.takes_members(&entry.what)).count() > 0;
        let roll = Arc::new(actor.roll.clone());
        if changed && let Some(node) = &mut actor.node {
            node.members(roll);
        }
        let mine = Boot(self.actor(id).boot);
        outcomes.retain(|(origin, _)| origin.node.0 == id && origin.boot == mine);
        self.with(id, |node| {
            node.reached(level);
            node.applied(last, outcomes);
        });
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
        let roll = self.actor(from).roll.clone();
        let source = self.actor(from);
        let entry = source.log.iter().find(|entry| entry.index == source.applied);
        let position = Position {
            index: LogIndex(source.applied),
            term: Term(entry.map_or(source.cut.1, |entry| entry.term)),
            known_term: Term(source.hard_state.term),
            conf_state: ByteBuf::from(roll.conf.write_to_bytes().expect("it can be encoded")),
            ..Position::default()
        };
        let index = position.index;
        self.actor(id).roll = roll;
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
