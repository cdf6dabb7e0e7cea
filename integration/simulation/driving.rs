//! Driving the nodes: starts, ticks, what a node wants done, and what its disk has done.

use std::sync::Arc;

use chat_actors::chat::command::{Item, LEVEL};
use chat_actors::ids::{LogIndex, RaftId, Term};
use chat_actors::messages::consensus::Chain;
use chat_actors::messages::disk::{Append, Committed, Payload};
use chat_actors::messages::news::{DiskReport, DiskRoom};
use chat_actors::raft::core::Config;
use chat_actors::raft::node::{Handed, Node, Todo};

use super::Failure;
use super::bugs::Bug;
use super::host::{Doing, Process, Run};
use super::truth::Applied;
use super::world::{Checked, Event, World};

/// Messages that one drive may send to each peer: the window of appends, and a few of other kinds.
const MESSAGES_MAX: usize = 64 + 16;
/// Entries that may wait to be applied, and requests to be answered, at one node.
const APPLY_MAX: usize = 4_096 + 1_024;
const WAITING_MAX: usize = 8_192;
const ELECTION_TICKS: usize = 10;
const HEARTBEAT_TICKS: usize = 2;
/// Ticks that are repaid at once after a pause.
const TICKS_REPAID_MAX: u64 = 3;
/// How much longer a slow disk takes.
const SLOW: u64 = 50;

impl World {
    /// Opens the disk and makes the node.
    pub fn start(&mut self, host: usize) {
        if self.is_any_set_back() && !self.hosts[host].set_back {
            // It would not know of the one that was set back.
            return self.soon((50_000, 100_000), Event::Start { host });
        }
        let taken: Vec<_> = self.hosts.iter().map(|other| other.election_tick).collect();
        let tick = loop {
            let tick = ELECTION_TICKS + self.dice.index(ELECTION_TICKS);
            if !taken.contains(&tick) {
                break tick;
            }
        };
        let at = &mut self.hosts[host];
        if !at.restarting || at.process.is_some() || at.joining.is_some() {
            return;
        }
        at.restarting = false;
        at.election_tick = tick;
        at.life += 1;
        let boot = at.disk.boot();
        // Each process draws another number.
        let asks_as = boot.of_process(at.life as u32);
        let config = Config {
            id: at.id,
            election_ticks: ELECTION_TICKS,
            heartbeat_ticks: HEARTBEAT_TICKS,
            fixed_election_tick: Some(tick),
            log_keep_entries: self.knobs.log_keep_entries,
        };
        let start = at.disk.log_start(self.knobs.keep_in_memory);
        let mut patience = self.knobs.patience;
        if self.bug == Some(Bug::PromotedAtOnce) {
            patience.promote_ticks = 0;
        }
        let mut node = Node::new(&config, asks_as, patience, start).expect("the configuration is good");
        node.members(Arc::new(at.disk.roll()));
        // All run the same program, also those who are yet to come.
        node.reached(LEVEL);
        at.process = Some(Process::new(node, (boot, asks_as), self.now, self.knobs.bounds));
        let life = at.life;
        self.trace(|world| {
            format!("{} starts, boot {boot}, tick {tick}: {}", host + 1, world.hosts[host].describe())
        });
        self.soon((1, 50_000), Event::Tick { host, life });
    }

    /// An input for a node that lives; the drive follows, after whatever else comes until then.
    pub fn input(&mut self, host: usize, input: impl FnOnce(&mut Node)) {
        let at = &mut self.hosts[host];
        let life = at.life;
        let Some(process) = &mut at.process else { return };
        input(&mut process.node);
        if !process.drive_waits {
            process.drive_waits = true;
            self.soon((0, 150), Event::Drive { host, life });
        }
    }

    /// Commands that a follower handed on arrive.
    pub fn forwarded(
        &mut self,
        host: usize,
        (by, heard): (Run, Option<String>),
        to: RaftId,
        term: Term,
        chain: Chain,
    ) {
        if to != self.hosts[host].id || !self.lets_in(host, by, heard.as_deref()) {
            return;
        }
        let any_term = self.bug == Some(Bug::ForwardsOfAnyTerm);
        self.input(host, |node| {
            let now = node.core().leadership().term;
            node.forwarded(if any_term { now } else { term }, chain);
        });
    }

    pub fn tick(&mut self, host: usize) {
        let now = self.now;
        let at = &mut self.hosts[host];
        let (life, tick_us) = (at.life, at.tick_us);
        let Some(process) = &mut at.process else { return };
        let due = ((now - process.last_tick_us) / tick_us).clamp(1, TICKS_REPAID_MAX);
        process.last_tick_us = now;
        let rooms = self.rooms_heard_of(host);
        self.input(host, |node| {
            rooms.into_iter().for_each(|report| node.disk_report(report));
            (0..due).for_each(|_| node.tick());
        });
        self.hears_of_removal(host);
        self.after(tick_us, Event::Tick { host, life });
    }

    /// What nodes say of their disks that this one can hear, itself included.
    fn rooms_heard_of(&mut self, host: usize) -> Vec<DiskReport> {
        let (id, now) = (self.hosts[host].id, self.now);
        let mut reports = Vec::new();
        for (place, other) in self.hosts.iter().enumerate().filter(|(_, other)| other.process.is_some()) {
            if other.id == id || !self.network.is_cut(place, host) {
                let low = other.full_until.max(other.low_until) > now;
                let node = format!("node{}", other.id);
                let room = DiskRoom { node, free_mb: u64::from(!low), low, transfer: None };
                reports.push(DiskReport { of: other.id, room });
            }
        }
        reports
    }

    pub fn died(&mut self, host: usize, peer: RaftId) {
        let mut stands = None;
        self.input(host, |node| stands = node.died(peer));
        if let Some((term, rank)) = stands {
            let life = self.hosts[host].life;
            self.trace(|_| format!("{} gives up {peer}, rank {rank}", host + 1));
            let jitter = self.dice.below(2_000);
            self.after(rank as u64 * 20_000 + jitter, Event::Stand { host, life, term });
        }
    }

    /// Lets a node do all it can, and does what it wants done.
    pub fn drive(&mut self, host: usize) -> Checked {
        let time_ms = self.hosts[host].time_ms(self.now);
        let Some(process) = &mut self.hosts[host].process else { return Ok(()) };
        process.drive_waits = false;
        let todo = process.node.drive(time_ms);
        self.truth.check_node(process.node.core(), &mut process.checked)?;
        self.handed_over += usize::from(todo.hands_over.is_some());
        if self.hosts[host].set_back && todo.went_back.is_some() {
            return self.went_back(host);
        }
        if let Some(what) = todo.went_back {
            return Err(Failure { checker: "no disk goes back", what: format!("node {}: {what}", host + 1) });
        }
        if let Some(role) = &todo.role {
            self.trace(|_| format!("{}: {role:?}", host + 1));
        }
        self.carry_out(host, todo)
    }

    fn carry_out(&mut self, host: usize, todo: Todo) -> Checked {
        self.check_bounds(host, &todo)?;
        let (life, now) = (self.hosts[host].life, self.now);
        let Some(by) = self.hosts[host].run() else { return Ok(()) };
        for message in todo.messages {
            let to = RaftId(message.to);
            self.notice_change(&message)?;
            let Some(place) = self.place_of(to) else {
                self.soon((500, 60_000), Event::Unreachable { host, peer: to });
                continue;
            };
            let heard = self.hosts[host].heard_of(to);
            let fate = self.network.raft_message(now, host, place);
            for &at in fate.arrives.iter().skip(1) {
                let (heard, message) = (heard.clone(), Box::new(message.clone()));
                self.at(at, Event::Deliver { host: place, by, heard, message });
            }
            if let Some(&at) = fate.arrives.first() {
                self.at(at, Event::Deliver { host: place, by, heard, message: Box::new(message) });
            }
            if let Some(at) = fate.unreachable {
                self.at(at, Event::Unreachable { host, peer: to });
            }
        }
        if let Some(Handed { to, term, mut chain }) = todo.forward
            && let Some(place) = self.place_of(to)
        {
            self.trace(|_| {
                let numbers: Vec<_> = chain.items.iter().map(|item| item.origin.number).collect();
                format!("{} hands {numbers:?} on to {to} in term {term}", host + 1)
            });
            let heard = self.hosts[host].heard_of(to);
            let fate = self.network.forwards(now, host, place);
            if let Some(&at) = fate.arrives.first()
                && self.bug != Some(Bug::ForwardsLost)
            {
                if self.bug == Some(Bug::ForwardsOvertake) {
                    chain.after = 0;
                }
                self.at(at, Event::Forwarded { host: place, by, heard, to, term, chain });
            }
            if let Some(at) = fate.unreachable {
                self.at(at, Event::Unreachable { host, peer: to });
            }
        }
        for wanted in todo.wanted {
            // A read may fail.
            let fails = !self.calm && self.dice.per_mille(100);
            let entries = self.hosts[host].disk.entries(wanted.from, wanted.to).filter(|_| !fails);
            self.soon((50, 5_000), Event::Fetched { host, life, wanted, entries });
        }
        if let Some(process) = &mut self.hosts[host].process {
            if let Some(append) = todo.append {
                assert!(process.queue.append.replace(append).is_none(), "one append is under way at a time");
            }
            process.queue.apply.extend(todo.apply);
            process.queue.compact = process.queue.compact.max(todo.compact.map_or(0, |to| to.0));
        }
        if let Some(offer) = todo.fetch {
            self.fetch(host, offer);
        }
        if todo.fetch_over {
            self.fetch_over(host);
        }
        self.disk_goes_on(host);
        if let Some((number, settled)) = todo.settled {
            self.settled(host, number, settled);
        }
        for (number, answer) in todo.outcomes {
            self.answer(host, number, answer)?;
        }
        for (number, answer) in todo.reads {
            self.read_answered(host, number, answer)?;
        }
        Ok(())
    }

    fn check_bounds(&self, host: usize, todo: &Todo) -> Checked {
        let Some(process) = &self.hosts[host].process else { return Ok(()) };
        let image = &self.hosts[host].disk.written;
        let held = (image.applied - image.cut.0) as usize;
        let bounds = [
            ("messages at once", todo.messages.len(), MESSAGES_MAX * self.hosts.len()),
            ("messages held", process.node.core().held_messages(), MESSAGES_MAX * self.hosts.len()),
            ("entries to apply", process.queue.apply.len() + todo.apply.len(), APPLY_MAX),
            ("commands waiting", process.waiting.len(), WAITING_MAX),
            ("reads waiting", process.reads.len(), WAITING_MAX),
            ("applied entries in the log", held, 2 * self.knobs.log_keep_entries as usize),
        ];
        match bounds.into_iter().find(|(_, found, bound)| found > bound) {
            None => Ok(()),
            Some((what, found, bound)) => {
                Err(Failure { checker: "bounded memory", what: format!("{what}: {found}, at most {bound}") })
            }
        }
    }

    /// Begins the next job if the disk is idle: an append before anything else.
    fn disk_goes_on(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        let Some(process) = &mut at.process else { return };
        let queue = &mut process.queue;
        let held = at.disk.written.applied - at.disk.written.cut.0;
        let room = (2 * self.knobs.log_keep_entries).saturating_sub(held);
        if queue.doing.is_some() {
            return;
        }
        if let Some(append) = queue.append.take() {
            queue.doing = Some(Doing::Write(append));
        } else if queue.compact.min(at.disk.written.applied) > at.disk.written.cut.0 {
            let to = at.disk.written.cut.0 + self.dice.between((1, 8));
            queue.doing = Some(Doing::Compact(to.min(queue.compact).min(at.disk.written.applied)));
        } else if !queue.apply.is_empty() && room > 0 {
            let count = self.dice.between((1, 8)).min(queue.apply.len() as u64).min(room) as usize;
            let entries: Vec<_> = queue.apply.drain(..count).collect();
            if self.bug == Some(Bug::AppliedTooEarly)
                && let Some(last) = entries.last()
            {
                process.node.applied(last.index, Vec::new());
            }
            queue.doing = Some(Doing::Apply(entries));
        } else {
            return;
        }
        self.disk_takes(host, self.knobs.write_us);
    }

    fn disk_takes(&mut self, host: usize, range: (u64, u64)) {
        let slow = if self.hosts[host].slow_until > self.now { SLOW } else { 1 };
        let life = self.hosts[host].life;
        let us = self.dice.between(range) * slow;
        self.after(us, Event::Disk { host, life });
    }

    /// A step of the disk is done.
    pub fn disk_done(&mut self, host: usize) -> Checked {
        if std::mem::take(&mut self.hosts[host].fails) && self.disk_fails(host) {
            return Ok(());
        }
        let now = self.now;
        let at = &mut self.hosts[host];
        let full = at.full_until > now;
        let Some(doing) = at.process.as_mut().and_then(|process| process.queue.doing.take()) else {
            return Ok(());
        };
        if full && !matches!(doing, Doing::Sync(_)) {
            // The same job again, in order, and nothing behind it.
            if let Some(process) = &mut at.process {
                process.queue.doing = Some(doing);
            }
            self.disk_takes(host, (5_000, 20_000));
            return Ok(());
        }
        match doing {
            Doing::Write(append) => self.written(host, append),
            Doing::Sync(number) => {
                self.hosts[host].disk.sync();
                if self.bug != Some(Bug::PersistedBeforeSync) {
                    self.input(host, |node| node.persisted(number));
                }
                self.disk_goes_on(host);
                self.snipe(host);
            }
            Doing::Compact(to) => {
                at.disk.write_compact(to);
                self.disk_goes_on(host);
                self.snipe(host);
            }
            Doing::Apply(entries) => {
                self.apply(host, entries)?;
                self.disk_goes_on(host);
                self.snipe(host);
            }
        }
        Ok(())
    }

    /// What the disk was about to do fails. Says whether that ended the process.
    fn disk_fails(&mut self, host: usize) -> bool {
        if self.bug == Some(Bug::FailedSyncRepeated) {
            self.hosts[host].disk.fail();
            return false;
        }
        let ends = self.may_go(host);
        if ends {
            self.trace(|_| format!("the disk of {} fails", host + 1));
            self.lose_disk(host);
        }
        ends
    }

    fn written(&mut self, host: usize, append: Append) {
        let number = append.number;
        let installs = append.snapshot.is_some();
        let at = &mut self.hosts[host];
        at.disk.write_append(append);
        if installs {
            self.installed(host);
            self.members_changed(host);
        }
        let at = &mut self.hosts[host];
        if let Some(process) = &mut at.process {
            process.queue.doing = Some(Doing::Sync(number));
        }
        if self.bug == Some(Bug::PersistedBeforeSync) {
            self.input(host, |node| node.persisted(number));
        }
        self.disk_takes(host, self.knobs.sync_us);
        self.snipe(host);
    }

    /// One transaction of applied entries: rows, then the word of it to node and people.
    fn apply(&mut self, host: usize, entries: Vec<Committed>) -> Checked {
        let Some(last) = entries.last().map(|entry| entry.index) else { return Ok(()) };
        let at = &mut self.hosts[host];
        let (id, boot) = (at.id, at.process.as_ref().map(|process| process.asks_as));
        for entry in &entries {
            self.truth.check_entry(id, entry)?;
        }
        let indexes: Vec<_> = entries.iter().map(|entry| entry.index).collect();
        let members = entries.iter().any(|entry| matches!(entry.what, Payload::Conf(..) | Payload::Node(_)));
        let mut seen: Vec<(LogIndex, Item, Applied)> = Vec::new();
        let mut outcomes = Vec::new();
        let mut notices = Vec::new();
        at.disk.write_apply(entries, &mut |index, item, effect, model| {
            if Some(item.origin.boot) == boot && item.origin.node == id {
                outcomes.push((item.origin, effect.outcome.clone()));
            }
            notices.extend(effect.notices.iter().cloned());
            let applied = Applied { origin: item.origin, effect: effect.clone(), at: model.present() };
            seen.push((index, item.clone(), applied));
        });
        for (index, item, applied) in &seen {
            self.trace(|_| {
                format!("{} applies {index} {:?}: {:?}", host + 1, item.origin, applied.effect.outcome)
            });
        }
        let mut seen = seen.into_iter().peekable();
        for index in indexes {
            let mut effects = Vec::new();
            while let Some((_, item, applied)) = seen.next_if(|(of, _, _)| *of == index) {
                effects.push((item, applied));
            }
            self.truth.check_applied(id, index, effects)?;
        }
        self.publish(host, &notices);
        if members || self.dice.per_mille(50) {
            // A checkpoint, or whoever else syncs.
            self.hosts[host].disk.sync();
        }
        if members {
            self.members_changed(host);
        }
        self.input(host, |node| node.applied(last, outcomes));
        Ok(())
    }
}
