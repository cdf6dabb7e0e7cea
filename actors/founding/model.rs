//! Founding against every schedule of a few nodes that crash and lose their disks.
//!
//! The model: what is on each disk, what each node has heard so far in its present round, and every ask
//! that was ever sent: it may arrive at any later time, several times, or never.

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    disks: Vec<Disk>,
    /// What each node has read in its round: its own disk first, then the others' in order.
    rounds: Vec<Round>,
    /// To whom, and to which run of it.
    asks: BTreeSet<(usize, u8, Asked)>,
    /// The run of each process. The founder draws another record in each.
    runs: Vec<u8>,
    crashes: u8,
    wipes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Read(usize),
    Decide(usize),
    Arrive(usize, u8, Asked),
    Crash(usize),
    Wipe(usize),
}

/// What the core decided, in the model's words.
#[derive(Clone, Debug)]
enum Decided {
    Nothing,
    TakeNoPart,
    Write(Disk, Vec<(usize, u8, Asked)>),
    Ask(Vec<(usize, u8, Asked)>),
}

/// What a node has read of itself and the others: disks, and the runs of their processes.
type Round = Vec<(Disk, u8)>;

/// The real core, asked once for each question.
#[derive(Default)]
struct Core {
    next: HashMap<(usize, Round, u8), Decided>,
    obey: HashMap<(usize, u8, Disk, u8, Asked), Disk>,
}

impl Core {
    fn next(&mut self, nodes: usize, node: usize, round: &[(Disk, u8)], own_run: u8) -> Decided {
        let key = (node, round.to_vec(), own_run);
        self.next.entry(key).or_insert_with(|| decide(nodes, node, round, own_run)).clone()
    }

    fn obey(&mut self, nodes: usize, node: usize, run: u8, disk: Disk, of_run: u8, asked: Asked) -> Disk {
        *self.obey.entry((node, run, disk, of_run, asked)).or_insert_with(|| {
            let cluster = |life| format!("c{life}");
            let ask = match asked {
                Asked::Store(life) => Ask::Store(record(nodes, life)),
                Asked::Drop(life) => Ask::Drop { cluster: cluster(life) },
                Asked::Confirm(life) => Ask::Confirm { cluster: cluster(life) },
            };
            let request = Request { run: of_run.to_string(), ask, without: Vec::new() };
            let (own, run) = (format!("node{}", node + 1), run.to_string());
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

fn decide(nodes: usize, node: usize, round: &[(Disk, u8)], own_run: u8) -> Decided {
    let others = (0..nodes).filter(|other| *other != node);
    let hear = |(other, (disk, run)): (usize, &(Disk, u8))| {
        let name = format!("node{}", other + 1);
        let foundation = real(nodes, *disk);
        let (run, members) = (run.to_string(), listed(nodes));
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
            (to, request.run.parse().unwrap(), asked)
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
    fn new(nodes: usize, crashes: u8, wipes: u8) -> Self {
        Self {
            disks: vec![Disk::Empty; nodes],
            rounds: vec![Vec::new(); nodes],
            asks: BTreeSet::new(),
            runs: vec![1; nodes],
            crashes,
            wipes,
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
            if self.crashes > 0 {
                events.push(Event::Crash(node));
            }
            if self.wipes > 0 && self.disks[node] != Disk::Empty {
                events.push(Event::Wipe(node));
            }
        }
        events.extend(self.asks.iter().map(|(to, run, asked)| Event::Arrive(*to, *run, *asked)));
        events
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
                match core.next(nodes, node, &round, self.runs[node]) {
                    Decided::Nothing | Decided::TakeNoPart => {}
                    Decided::Write(..) if self.disks[node] != round[0].0 => {}
                    Decided::Write(disk, tell) => {
                        self.disks[node] = disk;
                        self.asks.extend(tell);
                    }
                    Decided::Ask(asks) => self.asks.extend(asks),
                }
            }
            Event::Arrive(to, run, asked) => {
                self.disks[to] = core.obey(nodes, to, self.runs[to], self.disks[to], run, asked);
            }
            Event::Crash(node) => {
                self.crashes -= 1;
                self.restart(node);
            }
            Event::Wipe(node) => {
                self.wipes -= 1;
                self.disks[node] = Disk::Empty;
                self.restart(node);
            }
        }
        let founded = self.founded();
        assert!(founded.len() <= 1, "two chats: {self:?}");
    }

    fn restart(&mut self, node: usize) {
        self.rounds[node].clear();
        self.runs[node] += 1;
        // It refuses what was meant for its earlier run: nothing to look at any more.
        self.asks.retain(|(to, ..)| *to != node);
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
fn explore(nodes: usize, crashes: u8, wipes: u8) -> usize {
    let mut core = Core::default();
    let start = World::new(nodes, crashes, wipes);
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
    println!("{nodes} nodes, {crashes} crashes, {wipes} lost disks: {} states", seen.len());
    seen.len()
}

#[test]
fn no_schedule_of_two_nodes_founds_two_chats() {
    assert!(explore(2, 1, 2) > 1_000);
}

#[test]
fn no_schedule_of_three_nodes_founds_two_chats() {
    assert!(explore(3, 0, 1) > 1_000);
}

/// Longer schedules than can be gone through, drawn by lot; and each ends well once the faults do.
#[test]
fn random_schedules_found_one_chat_and_always_end() {
    let mut core = Core::default();
    let mut began_anew = 0;
    for seed in 0..4_000 {
        let mut dice = SmallRng::seed_from_u64(seed);
        let nodes = dice.random_range(1..=4);
        let mut world = World::new(nodes, dice.random_range(0..4), dice.random_range(0..4));
        // Whether a disk was lost when somebody knew, or may just have found, that the chat is founded.
        let mut lost = false;
        for _ in 0..dice.random_range(0..200) {
            let events = world.events();
            if events.is_empty() {
                break;
            }
            let event = events[dice.random_range(0..events.len())];
            // Faults are rarer than steps, or nothing would get far.
            if matches!(event, Event::Crash(_) | Event::Wipe(_)) && dice.random_range(0..8) > 0 {
                continue;
            }
            let under_way = !world.founded().is_empty() || world.rounds.iter().any(|round| !round.is_empty());
            lost |= matches!(event, Event::Wipe(_)) && under_way;
            world.happen(event, &mut core);
        }
        began_anew += u32::from(world.runs[0] > 1);
        world.settle(&mut core);
        assert_eq!(world.founded().len(), 1, "seed {seed}: nothing founded: {world:?}");
        for node in 0..nodes {
            if !matches!(world.disks[node], Disk::Founded(_)) {
                assert!(lost, "seed {seed}: node{} is left out: {world:?}", node + 1);
                let others = (0..nodes).filter(|other| *other != node);
                let round: Vec<_> =
                    [node].into_iter().chain(others).map(|of| (world.disks[of], world.runs[of])).collect();
                let decided = core.next(nodes, node, &round, world.runs[node]);
                assert!(matches!(decided, Decided::TakeNoPart), "seed {seed}: {decided:?}: {world:?}");
            }
        }
    }
    assert!(began_anew > 100, "too few faults: {began_anew}");
}
