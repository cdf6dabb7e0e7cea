//! One node's machine: its disk, and the process on it when there is one.

use std::collections::{BTreeMap, VecDeque};

use chat_actors::hub::shelf::{Bounds, Shelf};
use chat_actors::ids::{Boot, Origin, RaftId, Term};
use chat_actors::messages::disk::{Append, Committed};
use chat_actors::messages::transfer::Offer;
use chat_actors::peer_link::{OwnRun, Seen};
use chat_actors::raft::node::Node;
use chat_actors::state_fetch::Collected;

use super::disk::Disk;

pub struct Host {
    pub id: RaftId,
    pub disk: Disk,
    /// A copy of it, as somebody made it.
    pub copy: Option<Disk>,
    /// The disk was set back to that, and nobody has noticed yet.
    pub set_back: bool,
    pub process: Option<Process>,
    /// Counts the starts: what was meant for an earlier process reaches nobody.
    pub life: u64,
    /// It is starting, or will be.
    pub restarting: bool,
    /// Not before this may it be started again.
    pub stalled_until: u64,
    pub slow_until: u64,
    pub full_until: u64,
    pub low_until: u64,
    /// The disk fails in what it does next.
    pub fails: bool,
    /// Its disk is empty and drew this; it asks to be let in.
    pub joining: Option<String>,
    /// Its wall clock against true time.
    pub clock_ms: i64,
    pub clock_stands_at_ms: Option<u64>,
    /// The length of its ticks.
    pub tick_us: u64,
    pub election_tick: usize,
}

/// A run of a process: its disk's number, and the name that it draws.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub id: RaftId,
    pub boot: Boot,
    pub life: u64,
}

/// What lives in memory.
pub struct Process {
    pub node: Node,
    pub boot: Boot,
    /// The term that its disk held.
    pub began_in: Term,
    /// Of the commands that are asked for here.
    pub asks_as: Boot,
    pub drive_waits: bool,
    pub queue: Queue,
    pub fetch: Option<Fetch>,
    /// Who waits for which number.
    pub waiting: BTreeMap<u64, (usize, u64)>,
    /// Reads, with the `at` that they must see.
    pub reads: BTreeMap<u64, Read>,
    /// Changes of members that it was asked for as leader, and for whom: a machine that would join, with its disk.
    pub wishes: BTreeMap<u64, Option<(usize, String)>>,
    /// What it heard of each replica, and in which run of it last.
    pub seen: Seen,
    pub heard: BTreeMap<RaftId, Boot>,
    /// How far its log was compared with the others'.
    pub checked: u64,
    pub last_tick_us: u64,
    /// Its Hub, with one shard.
    pub shelf: Shelf,
    /// The shard missed something.
    pub gap: bool,
}

pub struct Read {
    pub floor: chat_actors::ids::At,
    pub probe: bool,
    pub called: u64,
}

/// What the disk is doing, and what waits. Appends go first.
#[derive(Default)]
pub struct Queue {
    pub append: Option<Append>,
    pub apply: VecDeque<Committed>,
    /// Entries up to here may be forgotten.
    pub compact: u64,
    pub doing: Option<Doing>,
}

pub enum Doing {
    Write(Append),
    /// Written; this is its `Ready`'s number.
    Sync(u64),
    Apply(Vec<Committed>),
    Compact(u64),
}

/// State on its way to this node.
pub struct Fetch {
    pub offer: Offer,
    pub collected: Collected,
    pub source: usize,
    /// A page was asked for.
    pub asks: bool,
}

impl Host {
    pub fn new(disk: Disk, tick_us: u64) -> Self {
        Self {
            id: disk.id,
            disk,
            copy: None,
            set_back: false,
            process: None,
            life: 0,
            restarting: false,
            stalled_until: 0,
            slow_until: 0,
            full_until: 0,
            low_until: 0,
            fails: false,
            joining: None,
            clock_ms: 0,
            clock_stands_at_ms: None,
            tick_us,
            election_tick: 0,
        }
    }

    /// Which process speaks.
    pub fn run(&self) -> Option<Run> {
        self.process.as_ref().map(|process| Run { id: self.id, boot: process.boot, life: self.life })
    }

    /// The same, as it was drawn for others.
    pub fn own_run(&self) -> Option<OwnRun> {
        let process = self.process.as_ref()?;
        Some(OwnRun { boot: process.boot, name: self.life.to_string(), began_in: process.began_in })
    }

    /// What it has heard of another, and tells it.
    pub fn heard_of(&self, id: RaftId) -> Option<String> {
        self.process.as_ref()?.seen.heard_of(id)
    }

    pub fn origin(&self, number: u64) -> Option<Origin> {
        self.process.as_ref().map(|process| Origin { node: self.id, boot: process.asks_as, number })
    }

    /// Unix milliseconds by its own clock.
    pub fn time_ms(&self, now_us: u64) -> u64 {
        let runs = || (1_700_000_000_000 + now_us / 1000).saturating_add_signed(self.clock_ms);
        self.clock_stands_at_ms.unwrap_or_else(runs)
    }
}

impl Process {
    pub fn new(node: Node, (boot, asks_as): (Boot, Boot), now_us: u64, bounds: Bounds) -> Self {
        Self {
            boot,
            began_in: node.core().leadership().term,
            node,
            asks_as,
            drive_waits: false,
            queue: Queue::default(),
            fetch: None,
            waiting: BTreeMap::new(),
            reads: BTreeMap::new(),
            wishes: BTreeMap::new(),
            seen: Seen::default(),
            heard: BTreeMap::new(),
            checked: 0,
            last_tick_us: now_us,
            shelf: Shelf::new(bounds),
            gap: false,
        }
    }
}
