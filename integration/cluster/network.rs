//! A network of a story's own: each node in a network namespace, joined by a router that can lose, silently, all
//! that one node sends to another.
//!
//! The story's thread lives in the router's namespace until [`Network`] is dropped, so its clients reach every
//! node whatever is cut between them. What is cut is cut without a word: no reset, no refusal, only silence.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::folder::Folder;
use super::node::Node;
use super::nodes::Cluster;

const NAMESPACES: &str = "/run/netns";
const PREFIX: &str = "chat-";
/// The router's own address, which is where the story's clients come from.
const ROUTER: &str = "10.77.0.254";
/// One above the last node's place.
const PLACES_MAX: usize = 32;

/// See the module. To be kept on the thread that opened it.
pub struct Network {
    name: String,
    /// Where the thread came from.
    home: File,
    places: usize,
    cuts: BTreeSet<(usize, usize)>,
    _thread: PhantomData<Rc<()>>,
}

impl Network {
    /// So many nodes on a network of their own, ready. `None`, said on standard output: this machine does not let us.
    pub async fn start(count: usize, more: &str) -> Option<(Self, Cluster)> {
        let (network, mut cluster) = Self::prepare(count, more)?;
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_ready().await;
        Some((network, cluster))
    }

    /// As [`Network::start`], nothing started yet.
    pub fn prepare(count: usize, more: &str) -> Option<(Self, Cluster)> {
        let mut network = match Self::open() {
            Ok(network) => network,
            Err(why) => {
                // Not by a macro that the test's own output is caught from: a story left out is to be seen.
                let _ = writeln!(std::io::stdout(), "skipped, no network namespaces here: {why}");
                return None;
            }
        };
        let folder = Folder::new();
        let nodes = (1..=count).map(|number| network.node(folder.path(), &format!("node{number}"))).collect();
        let cluster = Cluster { nodes, folder };
        cluster.write_settings(more);
        Some((network, cluster))
    }

    /// The router, no nodes yet; this thread moves to it.
    fn open() -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        sweep();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let home = File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
        ip(&["netns", "add", &name])?;
        let network = Self { name, home, places: 0, cuts: BTreeSet::new(), _thread: PhantomData };
        ip(&["-n", &network.name, "link", "set", "lo", "up"])?;
        ip(&["-n", &network.name, "address", "add", &format!("{ROUTER}/32"), "dev", "lo"])?;
        let inside =
            File::open(Path::new(NAMESPACES).join(&network.name)).map_err(|error| error.to_string())?;
        setns(inside, CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(|error| error.to_string())?;
        Ok(network)
    }

    /// A further node, in a namespace of its own. Its place is that in the order of the calls.
    fn node(&mut self, folder: &Path, name: &str) -> Node {
        let place = self.places;
        self.places += 1;
        assert!(self.places < PLACES_MAX, "no more than {PLACES_MAX} nodes on one network");
        let (inside, address, router) = (self.namespace(place), address(place), &self.name);
        let steps = || {
            ip(&["netns", "add", &inside])?;
            ip(&[
                "-n", router, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", &inside,
            ])?;
            ip(&["-n", router, "link", "set", name, "up"])?;
            for device in ["lo", "eth0"] {
                ip(&["-n", &inside, "link", "set", device, "up"])?;
            }
            ip(&["-n", &inside, "address", "add", &format!("{address}/32"), "dev", "eth0"])?;
            ip(&["-n", &inside, "route", "add", ROUTER, "dev", "eth0"])?;
            ip(&["-n", &inside, "route", "add", "default", "via", ROUTER])?;
            ip(&["-n", router, "route", "add", &address, "dev", name, "src", ROUTER])
        };
        steps().unwrap_or_else(|error| panic!("no network for {name}: {error}"));
        Node::new(folder, name).on(&address, &inside)
    }

    /// One more node of this cluster, that will join by way of these places; not started. See [`Cluster::prepare_another`].
    pub fn prepare_another(&mut self, cluster: &mut Cluster, by: &[usize], more: &str) -> usize {
        let node = self.node(cluster.folder.path(), &format!("node{}", cluster.nodes.len() + 1));
        cluster.add(node, by, more)
    }

    /// From now on nothing that the one sends arrives at the other.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.change(&[(from, to)], true);
    }

    /// Neither hears the other.
    pub fn cut_both(&mut self, one: usize, other: usize) {
        self.change(&[(one, other), (other, one)], true);
    }

    /// It hears nobody, and nobody hears it.
    pub fn isolate(&mut self, place: usize) {
        let ways: Vec<_> = self.others(place).flat_map(|other| [(place, other), (other, place)]).collect();
        self.change(&ways, true);
    }

    /// It hears everybody, and nobody hears it.
    pub fn silence(&mut self, place: usize) {
        let ways: Vec<_> = self.others(place).map(|other| (place, other)).collect();
        self.change(&ways, true);
    }

    /// It is heard by everybody, and hears nobody.
    pub fn deafen(&mut self, place: usize) {
        let ways: Vec<_> = self.others(place).map(|other| (other, place)).collect();
        self.change(&ways, true);
    }

    /// It hears everybody again, and everybody hears it.
    pub fn join(&mut self, place: usize) {
        let of = |way: &&(usize, usize)| way.0 == place || way.1 == place;
        let ways: Vec<_> = self.cuts.iter().filter(of).copied().collect();
        self.change(&ways, false);
    }

    /// Everybody hears everybody.
    pub fn heal(&mut self) {
        let ways: Vec<_> = self.cuts.iter().copied().collect();
        self.change(&ways, false);
    }

    fn others(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.places).filter(move |&other| other != place)
    }

    /// All at once, as far as one run of `ip` is.
    fn change(&mut self, ways: &[(usize, usize)], cut: bool) {
        let mut orders = String::new();
        for &(from, to) in ways {
            let changes = if cut { self.cuts.insert((from, to)) } else { self.cuts.remove(&(from, to)) };
            if changes {
                let verb = if cut { "add" } else { "del" };
                let preference = 100 + from * PLACES_MAX + to;
                let (from, to) = (address(from), address(to));
                orders += &format!("rule {verb} preference {preference} from {from} to {to} blackhole\n");
            }
        }
        if !orders.is_empty() {
            run(&["-n", &self.name, "-batch", "-"], &orders)
                .unwrap_or_else(|error| panic!("{orders}: {error}"));
        }
    }

    fn namespace(&self, place: usize) -> String {
        format!("{}-{}", self.name, place + 1)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let back = setns(&self.home, CloneFlags::CLONE_NEWNET);
        for place in 0..self.places {
            let _ = ip(&["netns", "del", &self.namespace(place)]);
        }
        let _ = ip(&["netns", "del", &self.name]);
        if !std::thread::panicking() {
            back.expect("a thread may go back to where it came from");
        }
    }
}

fn address(place: usize) -> String {
    format!("10.77.0.{}", place + 1)
}

/// Takes away what a run that was killed left behind.
fn sweep() {
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run(arguments, "")
}

fn run(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("ip: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| format!("ip: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
