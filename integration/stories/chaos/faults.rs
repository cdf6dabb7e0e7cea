//! Five nodes, and what is done to them: drawn by a seed from a table of all that this machine lets us do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use crate::cluster::clock::Clock;
use crate::cluster::wait::poll;
use crate::cluster::{Cluster, Network};
use crate::disk::Keep;
use crate::disk::cluster::OnDisks;

const NODES: usize = 5;
const DECADE_SECONDS: i64 = 10 * 365 * 86_400;
/// How often a flapping node comes and goes, and how long each may take.
const FLAPS: usize = 8;
const FLAP_MS: std::ops::Range<u64> = 20..600;
const SLOW_FSYNC_MS: std::ops::Range<u64> = 50..1500;
/// Of so many rounds one takes the power of all nodes.
const BLACKOUTS_ONE_IN: u32 = 12;
const REMOVE: [&str; 2] = ["members", "remove"];
/// A node counts the rows of its file ten seconds after its start; damaged ones leave their files one after the other.
const SOUND_TIMEOUT: Duration = Duration::from_secs(180);

/// What becomes of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Pause,
    /// SIGTERM.
    Terminate,
    /// It hears nobody and is not heard.
    Isolate,
    /// It hears and is not heard, or is heard and does not hear, or loses some of its ways.
    HalfCut,
    /// Its network comes and goes.
    Flap,
    /// Its wall clock is years off, or stands still.
    Clock,
    /// It is told to lead.
    Transfer,
    /// It is removed from the cluster, and joins anew with an empty disk.
    Remove,
    /// It loses its disk.
    Wipe,
    /// It gets back its disk as it was some faults ago.
    Rollback,
    /// Its disk takes long to sync.
    SlowDisk,
    /// Its disk has no room.
    FullDisk,
    /// A sync of its disk fails.
    FailedSync,
    /// A byte of its file is another one when it starts again.
    Flip,
    /// It loses its power, and all that was not synced.
    PowerCut,
}

const KINDS: [Kind; 16] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Terminate,
    Kind::Isolate,
    Kind::HalfCut,
    Kind::Flap,
    Kind::Clock,
    Kind::Transfer,
    Kind::Remove,
    Kind::Wipe,
    Kind::Rollback,
    Kind::SlowDisk,
    Kind::FullDisk,
    Kind::FailedSync,
    Kind::Flip,
    Kind::PowerCut,
];

impl Kind {
    fn needs_network(self) -> bool {
        matches!(self, Self::Isolate | Self::HalfCut | Self::Flap)
    }

    fn needs_disk(self) -> bool {
        matches!(self, Self::SlowDisk | Self::FullDisk | Self::FailedSync | Self::Flip | Self::PowerCut)
    }

    /// Whether an operator's command does it.
    fn is_order(self) -> bool {
        matches!(self, Self::Transfer | Self::Remove)
    }

    /// Whether the node comes back as a new replica.
    fn ends_a_life(self) -> bool {
        matches!(self, Self::Remove | Self::Wipe | Self::Rollback | Self::FailedSync | Self::Flip)
    }
}

pub struct Chaos {
    network: Option<Network>,
    clocks: Option<Vec<Clock>>,
    pub cluster: OnDisks,
    dice: StdRng,
    /// How often which kind struck a leader or a follower; all of a blackout's are its `PowerCut`s.
    pub struck: BTreeMap<(Kind, &'static str), u32>,
    /// What was done since the last heal.
    round: Vec<(usize, Kind)>,
    /// It is to be removed, and may be so already.
    removing: Option<usize>,
}

impl Chaos {
    /// Nothing is started yet.
    pub fn prepare(seed: u64, more: &str) -> Self {
        let (network, cluster) = match Network::prepare(NODES, more) {
            Some((network, cluster)) => (Some(network), cluster),
            None => (None, Cluster::prepare(NODES, more)),
        };
        let mut cluster = OnDisks::give(cluster, more);
        let folder = cluster.folder.path().to_owned();
        let clocks = Clock::give(&folder, &mut cluster.nodes);
        let dice = StdRng::seed_from_u64(seed);
        let (struck, round, removing) = (BTreeMap::new(), Vec::new(), None);
        Self { network, clocks, cluster, dice, struck, round, removing }
    }

    /// Strikes one node or two, each in a way of its own, the leader often among them; now and then all.
    pub async fn strike(&mut self) {
        let leader = self.cluster.leader().await;
        if !self.cluster.disks.is_empty() && self.dice.random_ratio(1, BLACKOUTS_ONE_IN) {
            for place in 0..NODES {
                self.note(place, Kind::PowerCut, leader);
            }
            let keep = self.keep();
            self.cluster.power_cut(keep);
            // Nobody is left to make progress before this.
            return self.heal().await;
        }
        let mut places: Vec<usize> = (0..NODES).collect();
        places.shuffle(&mut self.dice);
        if self.dice.random_bool(0.5) {
            places.retain(|place| *place != leader);
            places.insert(0, leader);
        }
        let can = |kind: &Kind| {
            (self.network.is_some() || !kind.needs_network())
                && (!self.cluster.disks.is_empty() || !kind.needs_disk())
                && (self.clocks.is_some() || *kind != Kind::Clock)
        };
        let kinds: Vec<Kind> = KINDS.into_iter().filter(can).collect();
        let count = self.dice.random_range(1..=2);
        let drawn = |place| (place, *kinds.choose(&mut self.dice).expect("there are some"));
        let mut drawn: Vec<(usize, Kind)> = places.into_iter().take(count).map(drawn).collect();
        if self.dice.random_bool(0.5) {
            // Members change while all are there; what comes next then strikes those that are left.
            drawn.sort_by_key(|(_, kind)| !kind.is_order());
        }
        for (place, kind) in drawn {
            self.note(place, kind, leader);
            self.strike_one(place, kind).await;
        }
    }

    #[expect(clippy::print_stderr, reason = "what was done when is wanted when a story fails")]
    fn note(&mut self, place: usize, kind: Kind, leader: usize) {
        eprintln!("chaos: {kind:?} strikes {}", self.cluster.nodes[place].name);
        let whom = if place == leader { "leader" } else { "follower" };
        *self.struck.entry((kind, whom)).or_default() += 1;
        self.round.push((place, kind));
    }

    async fn strike_one(&mut self, place: usize, kind: Kind) {
        match kind {
            Kind::Kill => {
                self.cluster.nodes[place].kill();
                copy(&self.cluster.nodes[place].data_dir(), &self.older(place));
            }
            Kind::Pause => self.cluster.nodes[place].pause(),
            Kind::Terminate => {
                let ended = self.cluster.nodes[place].terminate().await;
                assert_eq!(ended.code, Some(0), "{}", self.cluster.nodes[place].log_tail());
            }
            Kind::Isolate | Kind::HalfCut | Kind::Flap => self.cut(place, kind).await,
            Kind::Clock => {
                let off = self.dice.random_range(-DECADE_SECONDS..DECADE_SECONDS);
                let clock = self.clocks.as_ref().and_then(|clocks| clocks.get(place));
                let clock = clock.expect("only with clocks");
                if self.dice.random_bool(0.5) { clock.shift(off) } else { clock.stop(off) }
            }
            Kind::Transfer => {
                self.order(place, &["transfer-leader"]).await;
            }
            Kind::Remove => {
                self.removing = Some(place);
                if self.order(place, &REMOVE).await {
                    self.is_removed().await;
                }
            }
            Kind::Wipe => {
                self.cluster.nodes[place].kill();
                self.cluster.nodes[place].wipe();
            }
            Kind::Rollback => self.roll_back(place),
            Kind::SlowDisk => {
                let delay = Duration::from_millis(self.dice.random_range(SLOW_FSYNC_MS));
                self.cluster.disks[place].delay_fsync(delay);
            }
            Kind::FullDisk => self.cluster.disks[place].fill(Some(0)),
            Kind::FailedSync => {
                self.cluster.disks[place].fail_next_fsync();
                let ended = self.cluster.nodes[place].ended().await;
                assert_eq!(ended.code, Some(1), "{}", self.cluster.nodes[place].log_tail());
            }
            Kind::Flip => self.flip(place),
            Kind::PowerCut => {
                let keep = self.keep();
                self.cluster.power_cut_of(place, keep);
            }
        }
    }

    /// By way of a node that nothing was done to, on this one, until it is done. Says whether it is: what was struck
    /// before may be in the way, and then that is told in one line.
    async fn order(&self, place: usize, words: &[&str]) -> bool {
        let name = self.cluster.nodes[place].name.as_str();
        let is_struck = |by: usize| self.round.iter().any(|(of, _)| *of == by);
        let by = (1..NODES).map(|step| (place + step) % NODES).find(|by| !is_struck(*by));
        let words: Vec<&str> = words.iter().copied().chain([name]).collect();
        let by = by.expect("two are struck at most");
        if self.round.iter().all(|(_, kind)| kind.is_order()) {
            self.cluster.until_done(by, &words).await;
            return true;
        }
        let run = self.cluster.command(by, &words).await;
        run.assert_answered();
        run.code == Some(0)
    }

    /// The node that was to be removed ends, and loses its disk.
    async fn is_removed(&mut self) {
        let place = self.removing.take().expect("it was ordered");
        let ended = self.cluster.nodes[place].ended().await;
        assert_eq!(ended.code, Some(0), "{}", self.cluster.nodes[place].log_tail());
        self.cluster.nodes[place].wipe();
    }

    async fn cut(&mut self, place: usize, kind: Kind) {
        let network = self.network.as_mut().expect("only with a network");
        match (kind, self.dice.random_range(0..3)) {
            (Kind::Isolate, _) => network.isolate(place),
            (Kind::HalfCut, 0) => network.silence(place),
            (Kind::HalfCut, 1) => network.deafen(place),
            (Kind::HalfCut, _) => {
                for other in (0..NODES).filter(|other| *other != place) {
                    match self.dice.random_range(0..4) {
                        0 => network.cut(place, other),
                        1 => network.cut(other, place),
                        2 => network.cut_both(place, other),
                        _ => {}
                    }
                }
            }
            _ => {
                for _ in 0..FLAPS {
                    network.isolate(place);
                    pause(&mut self.dice).await;
                    network.join(place);
                    pause(&mut self.dice).await;
                }
            }
        }
    }

    /// To where a kill left this life of its disk, if there was one.
    fn roll_back(&mut self, place: usize) {
        self.cluster.nodes[place].kill();
        let older = self.older(place);
        if older.exists() {
            copy(&older, &self.cluster.nodes[place].data_dir());
        }
    }

    fn flip(&mut self, place: usize) {
        self.cluster.nodes[place].kill();
        let file = self.cluster.nodes[place].data_dir().join("chat.db");
        let bytes = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
        let offset = self.dice.random_range(0..bytes);
        self.cluster.disks[place].flip("data/chat.db", offset);
    }

    fn keep(&mut self) -> Keep {
        if self.dice.random_bool(0.5) { Keep::Nothing } else { Keep::Some { seed: self.dice.random() } }
    }

    /// Where a node's data of an earlier time is kept.
    fn older(&self, place: usize) -> PathBuf {
        self.cluster.folder.path().join(format!("older-{place}"))
    }

    /// All faults are over, and all nodes are there again.
    pub async fn heal(&mut self) {
        let struck = self.round.clone();
        if self.dice.random_bool(0.5) {
            self.begin_new_lives(&struck).await;
        }
        if let Some(network) = &mut self.network {
            network.heal();
        }
        for (place, kind) in &struck {
            match kind {
                Kind::SlowDisk => self.cluster.disks[*place].delay_fsync(Duration::ZERO),
                Kind::FullDisk => self.cluster.disks[*place].fill(None),
                _ => {}
            }
        }
        for (place, node) in self.cluster.nodes.iter_mut().enumerate() {
            if node.is_paused() {
                node.resume();
            } else if !node.is_up() && self.removing != Some(place) {
                node.start();
            }
        }
        if let Some(place) = self.removing {
            // Whether the first order was carried out is not known.
            let done = async || self.order(place, &REMOVE).await.then_some(());
            self.cluster.wait_for("a node to be removed", done).await;
            self.is_removed().await;
            self.cluster.nodes[place].start();
        }
        self.round.clear();
        self.cluster.wait_until_ready().await;
        for (place, _) in struck.iter().filter(|(_, kind)| *kind == Kind::Flip) {
            self.wait_until_sound(*place).await;
        }
        for (place, _) in struck.iter().filter(|(_, kind)| kind.ends_a_life()) {
            // What another life left would be refused as removed.
            let _ = fs::remove_dir_all(self.older(*place));
        }
        if struck.iter().any(|(_, kind)| kind.ends_a_life()) {
            let steady = (0..NODES).find(|place| struck.iter().all(|(of, _)| of != place));
            self.cluster.wait_for_voters(steady.unwrap_or(0), NODES).await;
            self.cluster.wait_until_ready().await;
        }
    }

    /// Who comes back as a new replica may do so while the others are struck still.
    async fn begin_new_lives(&mut self, struck: &[(usize, Kind)]) {
        for (place, _) in struck.iter().filter(|(_, kind)| kind.ends_a_life()) {
            if self.removing != Some(*place) {
                self.cluster.nodes[*place].start();
            }
        }
        pause(&mut self.dice).await;
    }

    /// Until a node has counted its rows and they are well. One that finds damage ends, and comes back with an empty disk.
    async fn wait_until_sound(&mut self, place: usize) {
        let node = &mut self.cluster.nodes[place];
        let is_sound = async || {
            if !node.is_up() {
                node.start();
            }
            (node.metric("chat_rows_sound").await? > 0.0).then_some(())
        };
        let sound = poll(SOUND_TIMEOUT, is_sound).await;
        assert!(sound.is_some(), "the rows are not sound yet\n{}", self.cluster.log_tails());
    }
}

async fn pause(dice: &mut StdRng) {
    actix::clock::sleep(Duration::from_millis(dice.random_range(FLAP_MS))).await;
}

/// A folder and all its files, in the place of what is there, and kept there whatever happens to the power.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            sync(&to);
        }
    }
    sync(to);
    sync(to.parent().expect("it is somewhere"));
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}
