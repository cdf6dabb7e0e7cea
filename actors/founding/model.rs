//! Founding against every schedule of a few nodes that crash, lose their disks, or find them set back to an
//! older copy.
//!
//! The model: what is on each disk and was on it before, what each node has heard so far in its present round, and
//! every ask that was ever sent: it may arrive at any later time, several times, or never. A copy of a chat that is
//! on no disk any more is not put back: that chat was lost with them all, and whoever brings it back beside another
//! one has two.

use std::collections::{BTreeSet, HashMap, HashSet};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::tests::{drawn, listed, record};
use super::*;

/// A disk, with the record known by the life of the founder that drew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Disk {
    Empty,
    Proposed(u8),
    Founded(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Asked {
    Store(u8),
    Drop(u8),
    Confirm(u8),
}

/// The run of a process, and how often its disk changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Run {
    process: u8,
    changes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    disks: Vec<Disk>,
    /// What each node has read in its round: its own disk first, then the others' in order.
    rounds: Vec<Round>,
    /// To whom, and to which run of it.
    asks: BTreeSet<(usize, Run, Asked)>,
    /// The founder draws another record in each run of its process.
    runs: Vec<Run>,
    /// What was on each disk so far: copies may have been made of it.
    copies: Vec<BTreeSet<Disk>>,
    faults: Faults,
}

/// How many faults may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Faults {
    crashes: u8,
    wipes: u8,
    rollbacks: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Read(usize),
    Decide(usize),
    Arrive(usize, Run, Asked),
    Crash(usize),
    Wipe(usize),
    Rollback(usize, Disk),
}

/// What the core decided, in the model's words.
#[derive(Clone, Debug)]
enum Decided {
    Nothing,
    TakeNoPart,
    Write(Disk, Vec<(usize, Run, Asked)>),
    Ask(Vec<(usize, Run, Asked)>),
}

/// What a node has read of itself and the others: disks, and the runs of their processes.
type Round = Vec<(Disk, Run)>;

impl Run {
    fn text(self) -> String {
        format!("{}.{}", self.process, self.changes)
    }

    fn read(text: &str) -> Self {
        let (process, changes) = text.split_once('.').unwrap();
        Self { process: process.parse().unwrap(), changes: changes.parse().unwrap() }
    }
}

/// The real core, asked once for each question.
#[derive(Default)]
struct Core {
    next: HashMap<(usize, Round, u8), Decided>,
    obey: HashMap<(usize, Run, Disk, Run, Asked), Disk>,
}

impl Core {
    fn next(&mut self, nodes: usize, node: usize, round: &[(Disk, Run)], own_run: u8) -> Decided {
        let key = (node, round.to_vec(), own_run);
        self.next.entry(key).or_insert_with(|| decide(nodes, node, round, own_run)).clone()
    }

    fn obey(&mut self, nodes: usize, node: usize, run: Run, disk: Disk, of_run: Run, asked: Asked) -> Disk {
        *self.obey.entry((node, run, disk, of_run, asked)).or_insert_with(|| {
            let cluster = |life| format!("c{life}");
            let ask = match asked {
                Asked::Store(life) => Ask::Store(record(nodes, life)),
                Asked::Drop(life) => Ask::Drop { cluster: cluster(life) },
                Asked::Confirm(life) => Ask::Confirm { cluster: cluster(life) },
            };
            let request = Request { run: of_run.text(), ask, without: Vec::new() };
            let (own, run) = (format!("node{}", node + 1), run.text());
            match (obey(&own, &run, &listed(nodes), &real(nodes, disk), &request), disk) {
                (Ok(Deed::Store(record)), _) => Disk::Proposed(life(&record.cluster)),
                (Ok(Deed::Drop), _) => Disk::Empty,
                (Ok(Deed::Confirm), Disk::Proposed(life)) => Disk::Founded(life),
                (Ok(Deed::Nothing) | Err(_), _) => disk,
                impossible => panic!("{impossible:?}"),
            }
        })
    }
}

fn real(nodes: usize, disk: Disk) -> Foundation {
    match disk {
        Disk::Empty => Foundation::Empty,
        Disk::Proposed(life) => Foundation::Proposed(record(nodes, life)),
        Disk::Founded(life) => Foundation::Founded(record(nodes, life)),
    }
}

fn life(cluster: &str) -> u8 {
    cluster.trim_start_matches('c').parse().unwrap()
}

fn decide(nodes: usize, node: usize, round: &[(Disk, Run)], own_run: u8) -> Decided {
    let others = (0..nodes).filter(|other| *other != node);
    let hear = |(other, (disk, run)): (usize, &(Disk, Run))| {
        let name = format!("node{}", other + 1);
        let foundation = real(nodes, *disk);
        let (run, members) = (run.text(), listed(nodes));
        let answer = Answer {
            name: name.clone(),
            run,
            members,
            foundation,
            supersedes: Vec::new(),
            disk: String::new(),
        };
        (name, Heard::Answer(answer))
    };
    let heard: Vec<_> = others.zip(&round[1..]).map(hear).collect();
    let asks = |requests: Vec<(String, Request)>| {
        let ask = |(name, request): (String, Request)| {
            let to = name.trim_start_matches("node").parse::<usize>().unwrap() - 1;
            let asked = match request.ask {
                Ask::Store(record) => Asked::Store(life(&record.cluster)),
                Ask::Drop { cluster } => Asked::Drop(life(&cluster)),
                Ask::Confirm { cluster } => Asked::Confirm(life(&cluster)),
            };
            (to, Run::read(&request.run), asked)
        };
        requests.into_iter().map(ask).collect()
    };
    let own = format!("node{}", node + 1);
    let own_disk = round[0].0;
    match (next(&own, &listed(nodes), &real(nodes, own_disk), &heard, &drawn(own_run)), own_disk) {
        (Step::Wait(_) | Step::Start(_), _) => Decided::Nothing,
        (Step::TakeNoPart(_) | Step::Join { .. }, _) => Decided::TakeNoPart,
        (Step::Store(record), _) => Decided::Write(Disk::Proposed(life(&record.cluster)), Vec::new()),
        (Step::Drop, _) => Decided::Write(Disk::Empty, Vec::new()),
        (Step::Confirm { tell }, Disk::Proposed(life)) => Decided::Write(Disk::Founded(life), asks(tell)),
        (Step::Ask(requests), _) => Decided::Ask(asks(requests)),
        impossible => panic!("{impossible:?}"),
    }
}

impl World {
    fn new(nodes: usize, faults: Faults) -> Self {
        Self {
            disks: vec![Disk::Empty; nodes],
            rounds: vec![Vec::new(); nodes],
            asks: BTreeSet::new(),
            runs: vec![Run { process: 1, changes: 0 }; nodes],
            copies: vec![BTreeSet::new(); nodes],
            faults,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for node in 0..self.disks.len() {
            if self.rounds[node].len() == self.disks.len() {
                events.push(Event::Decide(node));
            } else if !self.rounds[node].is_empty() || self.may_act(node) {
                events.push(Event::Read(node));
            }
            if self.faults.crashes > 0 {
                events.push(Event::Crash(node));
            }
            if self.faults.wipes > 0 && self.disks[node] != Disk::Empty {
                events.push(Event::Wipe(node));
            }
            if self.faults.rollbacks > 0 {
                let older = self.copies[node].iter().filter(|&&copy| self.may_come_back(node, copy));
                events.extend(older.map(|&copy| Event::Rollback(node, copy)));
            }
        }
        events.extend(self.asks.iter().map(|(to, run, asked)| Event::Arrive(*to, *run, *asked)));
        events
    }

    /// An empty copy is a lost disk, and a chat that is on no disk stays lost.
    fn may_come_back(&self, node: usize, copy: Disk) -> bool {
        copy != self.disks[node]
            && match copy {
                Disk::Empty => false,
                Disk::Proposed(_) => true,
                Disk::Founded(_) => self.disks.contains(&copy),
            }
    }

    /// Whether a round that begins now may change anything: not for one that is founded, nor for an
    /// empty one that only waits to be asked.
    fn may_act(&self, node: usize) -> bool {
        match self.disks[node] {
            Disk::Empty => node == 0,
            Disk::Proposed(_) => true,
            Disk::Founded(_) => false,
        }
    }

    fn happen(&mut self, event: Event, core: &mut Core) {
        let nodes = self.disks.len();
        for (copies, &disk) in self.copies.iter_mut().zip(&self.disks) {
            copies.insert(disk);
        }
        match event {
            Event::Read(node) => {
                // Its own disk first, then the others in order.
                let read = match self.rounds[node].len() {
                    0 => node,
                    count if count <= node => count - 1,
                    count => count,
                };
                self.rounds[node].push((self.disks[read], self.runs[read]));
            }
            Event::Decide(node) => {
                let round = std::mem::take(&mut self.rounds[node]);
                match core.next(nodes, node, &round, self.runs[node].process) {
                    Decided::Nothing | Decided::TakeNoPart => {}
                    Decided::Write(..) if self.runs[node] != round[0].1 => {}
                    Decided::Write(disk, tell) => {
                        self.write(node, disk);
                        self.asks.extend(tell);
                    }
                    Decided::Ask(asks) => self.asks.extend(asks),
                }
            }
            Event::Arrive(to, run, asked) => {
                let disk = core.obey(nodes, to, self.runs[to], self.disks[to], run, asked);
                self.write(to, disk);
            }
            Event::Crash(node) => {
                self.faults.crashes -= 1;
                self.restart(node);
            }
            Event::Wipe(node) => {
                self.faults.wipes -= 1;
                self.disks[node] = Disk::Empty;
                self.restart(node);
            }
            Event::Rollback(node, copy) => {
                self.faults.rollbacks -= 1;
                self.disks[node] = copy;
                self.restart(node);
            }
        }
        // A node refuses what was meant for it as it was: nothing to look at any more.
        self.asks.retain(|(to, run, _)| *run == self.runs[*to]);
        let founded = self.founded();
        assert!(founded.len() <= 1, "two chats: {self:?}");
    }

    fn restart(&mut self, node: usize) {
        self.rounds[node].clear();
        self.runs[node] = Run { process: self.runs[node].process + 1, changes: 0 };
    }

    fn write(&mut self, node: usize, disk: Disk) {
        self.runs[node].changes += u8::from(disk != self.disks[node]);
        self.disks[node] = disk;
    }

    fn founded(&self) -> HashSet<u8> {
        let record = |disk: &Disk| match disk {
            Disk::Founded(life) => Some(*life),
            _ => None,
        };
        self.disks.iter().filter_map(record).collect()
    }

    /// Everybody is up, nothing is late: round after round of all nodes.
    fn settle(&mut self, core: &mut Core) {
        self.asks.clear();
        for _ in 0..12 {
            for node in 0..self.disks.len() {
                while self.rounds[node].len() < self.disks.len() {
                    self.happen(Event::Read(node), core);
                }
                self.happen(Event::Decide(node), core);
                for (to, run, asked) in std::mem::take(&mut self.asks) {
                    self.happen(Event::Arrive(to, run, asked), core);
                }
            }
        }
    }
}

/// Goes through every schedule; returns how many states there are.
fn explore(nodes: usize, faults: Faults) -> usize {
    let mut core = Core::default();
    let start = World::new(nodes, faults);
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        for event in world.events() {
            if let Event::Arrive(to, run, asked) = event
                && core.obey(nodes, to, world.runs[to], world.disks[to], run, asked) == world.disks[to]
            {
                continue;
            }
            let mut then = world.clone();
            then.happen(event, &mut core);
            if !seen.contains(&then) {
                seen.insert(then.clone());
                open.push(then);
            }
        }
    }
    println!("{nodes} nodes, {faults:?}: {} states", seen.len());
    seen.len()
}

#[test]
fn no_schedule_of_two_nodes_founds_two_chats() {
    assert!(explore(2, Faults { crashes: 1, wipes: 2, rollbacks: 0 }) > 1_000);
}

#[test]
fn no_schedule_of_three_nodes_founds_two_chats() {
    assert!(explore(3, Faults { crashes: 0, wipes: 1, rollbacks: 0 }) > 1_000);
}

#[test]
fn no_disk_that_is_set_back_founds_a_second_chat() {
    assert!(explore(2, Faults { crashes: 1, wipes: 1, rollbacks: 1 }) > 10_000);
    assert!(explore(3, Faults { crashes: 0, wipes: 0, rollbacks: 1 }) > 1_000);
}

/// What the second node has heard is of a chat that was lost with its founder's disk; it holds the record of that one
/// again, since a copy of that disk was put back.
#[test]
fn nobody_confirms_by_what_was_heard_before_its_disk_changed() {
    let mut core = Core::default();
    let mut world = World::new(3, Faults { crashes: 0, wipes: 1, rollbacks: 1 });
    let found = |world: &mut World, core: &mut Core, arrives: &[usize]| {
        (0..3).for_each(|_| world.happen(Event::Read(0), core));
        world.happen(Event::Decide(0), core);
        for (to, run, asked) in world.asks.clone() {
            if arrives.contains(&to) {
                world.happen(Event::Arrive(to, run, asked), core);
            }
        }
    };
    found(&mut world, &mut core, &[]);
    found(&mut world, &mut core, &[1, 2]);
    found(&mut world, &mut core, &[]);
    assert_eq!(world.disks, [Disk::Founded(1), Disk::Proposed(1), Disk::Proposed(1)]);
    (0..3).for_each(|_| world.happen(Event::Read(1), &mut core));

    world.happen(Event::Wipe(0), &mut core);
    found(&mut world, &mut core, &[1, 2]);
    found(&mut world, &mut core, &[]);
    found(&mut world, &mut core, &[1, 2]);
    found(&mut world, &mut core, &[]);
    assert_eq!(world.disks, [Disk::Founded(2), Disk::Proposed(2), Disk::Proposed(2)]);
    let confirm = (2, world.runs[2], Asked::Confirm(2));
    assert!(world.asks.contains(&confirm));

    world.happen(Event::Rollback(0, Disk::Proposed(1)), &mut core);
    found(&mut world, &mut core, &[1]);
    found(&mut world, &mut core, &[1]);
    world.happen(Event::Arrive(confirm.0, confirm.1, confirm.2), &mut core);
    assert_eq!(world.disks, [Disk::Proposed(1), Disk::Proposed(1), Disk::Founded(2)]);
    world.happen(Event::Decide(1), &mut core);
    assert_eq!(world.disks[1], Disk::Proposed(1));
}

/// Longer schedules than can be gone through, drawn by lot; and each ends well once the faults do.
#[test]
fn random_schedules_found_one_chat_and_always_end() {
    let mut core = Core::default();
    let mut began_anew = 0;
    for seed in 0..4_000 {
        let mut dice = SmallRng::seed_from_u64(seed);
        let nodes = dice.random_range(1..=4);
        let mut few = || dice.random_range(0..4);
        let faults = Faults { crashes: few(), wipes: few(), rollbacks: few() };
        let mut world = World::new(nodes, faults);
        // Whether a disk was lost or set back when somebody knew, or may just have found, that the chat is founded.
        let mut lost = false;
        for _ in 0..dice.random_range(0..200) {
            let events = world.events();
            if events.is_empty() {
                break;
            }
            let event = events[dice.random_range(0..events.len())];
            // Faults are rarer than steps, or nothing would get far.
            let is_fault = matches!(event, Event::Crash(_) | Event::Wipe(_) | Event::Rollback(..));
            if is_fault && dice.random_range(0..8) > 0 {
                continue;
            }
            let under_way = !world.founded().is_empty() || world.rounds.iter().any(|round| !round.is_empty());
            lost |= matches!(event, Event::Wipe(_)) && under_way || matches!(event, Event::Rollback(..));
            world.happen(event, &mut core);
        }
        began_anew += u32::from(world.runs[0].process > 1);
        world.settle(&mut core);
        assert_eq!(world.founded().len(), 1, "seed {seed}: nothing founded: {world:?}");
        for node in 0..nodes {
            if !matches!(world.disks[node], Disk::Founded(_)) {
                assert!(lost, "seed {seed}: node{} is left out: {world:?}", node + 1);
                let others = (0..nodes).filter(|other| *other != node);
                let round: Vec<_> =
                    [node].into_iter().chain(others).map(|of| (world.disks[of], world.runs[of])).collect();
                let decided = core.next(nodes, node, &round, world.runs[node].process);
                assert!(matches!(decided, Decided::TakeNoPart), "seed {seed}: {decided:?}: {world:?}");
            }
        }
    }
    assert!(began_anew > 100, "too few faults: {began_anew}");
}
