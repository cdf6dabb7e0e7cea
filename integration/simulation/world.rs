//! The world of one seed: its machines, its network, its people, and the order of what happens.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use chat_actors::chat::script::Script;
use chat_actors::hub::shelf::Out;
use chat_actors::ids::{RaftId, Term};
use chat_actors::messages::consensus::Chain;
use chat_actors::raft::log_view::Wanted;
use raft::eraftpb::{Entry, Message};

use super::Failure;
use super::bugs::Bug;
use super::dice::Dice;
use super::disk::Disk;
use super::host::{Host, Run};
use super::knobs::Knobs;
use super::network::Network;
use super::people::Person;
use super::record::Record;
use super::state::Came;
use super::truth::Truth;

pub type Checked = Result<(), Failure>;

/// Microseconds of a tick by a clock that is right.
pub const TICK_US: u64 = 50_000;
/// How soon a majority without faults must have done something new, and then all of them everything.
const PROGRESS_US: u64 = 8_000_000;

/// What happens, and to which process of which node.
pub enum Event {
    Start {
        host: usize,
    },
    Tick {
        host: usize,
        life: u64,
    },
    Drive {
        host: usize,
        life: u64,
    },
    Disk {
        host: usize,
        life: u64,
    },
    Fetched {
        host: usize,
        life: u64,
        wanted: Wanted,
        entries: Option<Vec<Entry>>,
    },
    Stand {
        host: usize,
        life: u64,
        term: Term,
    },
    Deliver {
        host: usize,
        by: Run,
        /// What the sender had heard of the receiver.
        heard: Option<String>,
        message: Box<Message>,
    },
    Forwarded {
        host: usize,
        by: Run,
        heard: Option<String>,
        to: RaftId,
        term: Term,
        chain: Chain,
    },
    Unreachable {
        host: usize,
        peer: RaftId,
    },
    Died {
        host: usize,
        peer: RaftId,
    },
    Ended {
        host: usize,
        life: u64,
    },
    Ask,
    Read {
        probe: Option<usize>,
    },
    Person {
        person: usize,
    },
    ReadPage {
        person: usize,
        visit: u64,
    },
    TellPage {
        person: usize,
        visit: u64,
    },
    Hear {
        person: usize,
        visit: u64,
        said: Box<Out>,
    },
    /// Somebody wants other members, or loses a disk.
    Members,
    /// An empty disk asks to be let in.
    AskToJoin {
        host: usize,
    },
    /// It was told that it is part of the cluster no more.
    Dismissed {
        host: usize,
        id: RaftId,
    },
    /// It was told that its disk went back in time.
    WentBack {
        host: usize,
        life: u64,
    },
    Fault,
    SecondStrike {
        host: usize,
    },
    Heal,
    /// A node asks another for a page of state, and is answered.
    AskState {
        host: usize,
        life: u64,
    },
    StateCame {
        host: usize,
        life: u64,
        came: Came,
    },
}

impl Event {
    /// The process that must not be standing still for this to happen.
    fn host(&self) -> Option<(usize, Option<u64>)> {
        match *self {
            Self::Tick { host, life }
            | Self::Drive { host, life }
            | Self::Disk { host, life }
            | Self::Fetched { host, life, .. }
            | Self::AskState { host, life }
            | Self::StateCame { host, life, .. }
            | Self::Stand { host, life, .. } => Some((host, Some(life))),
            Self::Deliver { host, .. }
            | Self::Forwarded { host, .. }
            | Self::Unreachable { host, .. }
            | Self::Died { host, .. } => Some((host, None)),
            _ => None,
        }
    }
}

struct Timed {
    at: (u64, u64),
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

pub struct World {
    pub now: u64,
    happened: u64,
    queue: BinaryHeap<Reverse<Timed>>,
    pub knobs: Knobs,
    seed: u64,
    pub dice: Dice,
    pub hosts: Vec<Host>,
    pub network: Network,
    pub truth: Truth,
    pub record: Record,
    pub people: Vec<Person>,
    pub script: Script,
    pub drawn: u64,
    pub requests: u64,
    pub bug: Option<Bug>,
    /// The first act is over: no more faults.
    pub calm: bool,
    /// Nothing new is asked for.
    pub quiet: bool,
    /// Nodes that stay away while a majority must go on.
    pub away: Vec<usize>,
    /// Linearizable reads of the second act that were answered.
    pub probes_read: usize,
    /// Snapshots installed.
    pub installs: usize,
    /// Changes of members that were made, and disks that were lost.
    pub members_changed: usize,
    pub wiped: usize,
    /// Disks that were set back, and found out.
    pub found_out: usize,
    /// No disk is lost before this: what was proposed to others is on its way.
    pub wipes_from: u64,
    /// Since when each replica that was let in is a learner, and those that were looked at when they became voters.
    pub learners: BTreeMap<u64, u64>,
    /// Machines that an operator has asked to promote.
    pub by_hand: BTreeSet<usize>,
    /// Leaders that handed over since their disks stood still.
    pub handed_over: usize,
    pub trace: bool,
}

/// What a run was, for those who look at many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub events: u64,
    pub acknowledged: usize,
    pub entries: usize,
    pub installs: usize,
    pub members_changed: usize,
    pub wiped: usize,
    pub found_out: usize,
    pub handed_over: usize,
    /// The longest that a majority took, and its seed; then all.
    pub majority_us: (u64, u64),
    pub all_us: (u64, u64),
}

impl Summary {
    /// Sums, and the longest waits.
    pub fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            acknowledged: self.acknowledged + other.acknowledged,
            entries: self.entries + other.entries,
            installs: self.installs + other.installs,
            members_changed: self.members_changed + other.members_changed,
            wiped: self.wiped + other.wiped,
            found_out: self.found_out + other.found_out,
            handed_over: self.handed_over + other.handed_over,
            majority_us: self.majority_us.max(other.majority_us),
            all_us: self.all_us.max(other.all_us),
        }
    }
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, trace: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut knobs = Knobs::draw(&mut dice, bug);
        if bug.is_none() {
            knobs.add(&mut Dice::new(!seed));
        }
        let founders: Vec<_> = (1..=knobs.founders as u64).collect();
        let mut hosts = Vec::new();
        for place in 0..knobs.nodes {
            let tick_us = TICK_US * dice.between((970, 1_030)) / 1000;
            hosts.push(match founders.get(place) {
                Some(&id) => Host::new(Disk::founded(RaftId(id), founders.clone(), bug), tick_us),
                None => Host::new(Disk::admitted(RaftId(0), Vec::new(), bug), tick_us),
            });
        }
        let network = Network::new(knobs.nodes, knobs.weather.clone(), dice.fork());
        let script = Script::new(dice.next());
        Self {
            now: 0,
            happened: 0,
            queue: BinaryHeap::new(),
            knobs,
            seed,
            dice,
            hosts,
            network,
            truth: Truth::default(),
            record: Record::default(),
            people: Vec::new(),
            script,
            drawn: 0,
            requests: 0,
            bug,
            calm: false,
            quiet: false,
            away: Vec::new(),
            probes_read: 0,
            installs: 0,
            members_changed: 0,
            wiped: 0,
            found_out: 0,
            wipes_from: 0,
            learners: BTreeMap::new(),
            by_hand: BTreeSet::new(),
            handed_over: 0,
            trace,
        }
    }

    /// Plays both acts.
    ///
    /// # Errors
    /// The first thing that a checker found.
    pub fn play(&mut self) -> Result<Summary, Failure> {
        self.trace(|world| format!("{:?}", world.knobs));
        for host in 0..self.knobs.founders {
            self.hosts[host].restarting = true;
            let at = self.dice.below(100_000);
            self.after(at, Event::Start { host });
        }
        for host in self.knobs.founders..self.hosts.len() {
            self.draw_disk(host);
        }
        for event in [Event::Ask, Event::Read { probe: None }, Event::Fault] {
            let at = self.dice.between((500_000, 1_000_000));
            self.after(at, event);
        }
        if self.knobs.members_every_us > 0 {
            self.after(1_500_000, Event::Members);
        }
        self.run_until(self.knobs.first_act_us)?;

        self.trace(|_| "a majority goes on".to_owned());
        self.faults_stop_for_a_majority();
        let majority_us = self.run_while(World::majority_waits, "progress of a majority")?;

        self.trace(|_| "all come back".to_owned());
        self.all_come_back();
        let all_us = self.run_while(World::anybody_waits, "progress of all")?;
        self.check_end()?;
        Ok(Summary {
            events: self.happened,
            acknowledged: self.truth.acknowledged(),
            entries: self.truth.entries(),
            installs: self.installs,
            members_changed: self.members_changed,
            wiped: self.wiped,
            found_out: self.found_out,
            handed_over: self.handed_over,
            majority_us: (majority_us, self.seed),
            all_us: (all_us, self.seed),
        })
    }

    pub fn after(&mut self, us: u64, event: Event) {
        self.happened += 1;
        self.queue.push(Reverse(Timed { at: (self.now + us, self.happened), event }));
    }

    pub fn at(&mut self, at: u64, event: Event) {
        self.after(at.saturating_sub(self.now), event);
    }

    /// Something within a range from now.
    pub fn soon(&mut self, range: (u64, u64), event: Event) {
        let us = self.dice.between(range);
        self.after(us, event);
    }

    pub fn trace(&self, line: impl FnOnce(&Self) -> String) {
        if self.trace {
            println!("{:>10.3} {}", self.now as f64 / 1000.0, line(self));
        }
    }

    fn run_until(&mut self, end: u64) -> Checked {
        while let Some(Reverse(next)) = self.queue.peek()
            && next.at.0 <= end
        {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            self.now = next.at.0;
            self.happen(next.event)?;
        }
        self.now = end;
        Ok(())
    }

    /// Runs as long as something waits; says how long that was.
    fn run_while(
        &mut self,
        waits: fn(&Self) -> Option<String>,
        checker: &'static str,
    ) -> Result<u64, Failure> {
        let began = self.now;
        while let Some(what) = waits(self) {
            // Who lost a disk must first be let in, one after the other.
            let patience = if self.knobs.loses_disks() { 2 * PROGRESS_US } else { PROGRESS_US };
            if self.now - began > patience {
                let views: Vec<_> = self.hosts.iter().map(Host::describe).collect();
                return Err(Failure { checker, what: format!("{what}\n  {}", views.join("\n  ")) });
            }
            self.run_until(self.now + 20_000)?;
        }
        Ok(self.now - began)
    }

    fn happen(&mut self, event: Event) -> Checked {
        if let Some((host, life)) = event.host() {
            let at = &self.hosts[host];
            if at.process.is_none() || life.is_some_and(|life| life != at.life) {
                return Ok(());
            }
            if at.stalled_until > self.now {
                self.at(at.stalled_until, event);
                return Ok(());
            }
        }
        match event {
            Event::Start { host } => self.start(host),
            Event::Tick { host, .. } => self.tick(host),
            Event::Drive { host, .. } => return self.drive(host),
            Event::Disk { host, .. } => return self.disk_done(host),
            Event::Fetched { host, wanted, entries, .. } => {
                self.input(host, |node| node.fetched(wanted, entries));
            }
            Event::Stand { host, term, .. } => self.input(host, |node| node.stand(term)),
            Event::Deliver { host, by, heard, message } => self.deliver(host, (by, heard), *message),
            Event::Forwarded { host, by, heard, to, term, chain } => {
                self.forwarded(host, (by, heard), to, term, chain);
            }
            Event::Unreachable { host, peer } => self.input(host, |node| node.unreachable(peer)),
            Event::Died { host, peer } => self.died(host, peer),
            Event::Ended { host, life } if self.is_any_set_back() => {
                self.soon((50_000, 100_000), Event::Ended { host, life });
            }
            Event::Ended { host, life } if self.hosts[host].life == life => self.kill(host, true),
            Event::Ended { .. } => {}
            Event::Ask => self.somebody_asks(),
            Event::Read { probe } => return self.somebody_reads(probe),
            Event::Person { person } => return self.person_acts(person),
            Event::ReadPage { person, visit } => self.read_page(person, visit),
            Event::TellPage { person, visit } => return self.tell_page(person, visit),
            Event::Hear { person, visit, said } => return self.hear(person, visit, *said),
            Event::Members => self.members_act(),
            Event::AskToJoin { host } => self.ask_to_join(host),
            Event::Dismissed { host, id } => self.dismissed(host, id),
            Event::WentBack { host, life } if self.hosts[host].life == life => return self.went_back(host),
            Event::WentBack { .. } => {}
            Event::Fault => self.fault(),
            Event::SecondStrike { host } => self.second_strike(host),
            Event::Heal => self.heal(),
            Event::AskState { host, .. } => self.ask_state(host),
            Event::StateCame { host, came, .. } => self.state_came(host, came),
        }
        Ok(())
    }

    fn faults_stop_for_a_majority(&mut self) {
        self.calm = true;
        self.network.calm();
        self.heal();
        let mut ids: Vec<_> = (0..self.hosts.len()).collect();
        for _ in 0..(self.hosts.len() - 1) / 2 {
            let place = self.dice.index(ids.len());
            if !self.may_go(ids[place]) {
                continue;
            }
            let gone = ids.remove(place);
            self.away.push(gone);
            if self.dice.per_mille(500) {
                self.kill(gone, false);
            } else {
                self.cut_off(gone);
            }
        }
        for &host in &ids {
            self.hosts[host].stop_faults(self.now);
            self.restart_soon(host);
            self.add_probe(host);
            self.soon((1, 100_000), Event::Read { probe: Some(host) });
        }
    }

    fn all_come_back(&mut self) {
        self.quiet = true;
        self.away.clear();
        self.heal();
        for host in 0..self.hosts.len() {
            self.hosts[host].stop_faults(self.now);
            self.restart_soon(host);
        }
    }

    fn majority_waits(&self) -> Option<String> {
        let wanted = self.hosts.len() - self.away.len();
        if self.probes_read < wanted {
            return Some(format!("{} of {wanted} reads were answered", self.probes_read));
        }
        self.people.iter().find(|person| person.is_probe() && !person.open.is_empty()).map(Person::describe)
    }

    fn anybody_waits(&self) -> Option<String> {
        if let Some(person) = self.people.iter().find(|person| !person.open.is_empty()) {
            return Some(person.describe());
        }
        let mut applied = self.hosts.iter().map(|host| (host.disk.written.applied, host.disk.last_index()));
        let first = applied.next();
        if applied.any(|other| Some(other) != first) || first.is_none_or(|(applied, last)| applied != last) {
            return Some("not all have applied everything".to_owned());
        }
        let waiting = self.people.iter().find(|person| !person.is_probe() && !person.stream.is_live());
        waiting.map(|person| format!("the stream of {} does not go on", person.user))
    }

    fn check_end(&mut self) -> Checked {
        let (first, others) = self.hosts.split_at_mut(1);
        for other in others {
            let same_rows = other.disk.written.nodes == first[0].disk.written.nodes;
            if !same_rows {
                let what = format!("nodes 1 and {} know others at the end", other.id);
                return Err(Failure { checker: "tables equal", what });
            }
            let model = &mut first[0].disk.model;
            if other.disk.model != *model || other.disk.model.digest() != model.digest() {
                let what = format!("nodes 1 and {} differ at the end", other.id);
                return Err(Failure { checker: "tables equal", what });
            }
        }
        let model = &mut first[0].disk.model;
        self.truth.check_nothing_lost(model)?;
        self.record.check(&self.truth, model)?;
        for person in self.people.iter().filter(|person| !person.is_probe()) {
            person.stream.check_complete(model)?;
        }
        Ok(())
    }
}
