//! `demo`: a cluster on this machine, as child processes, until it is told to stop.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chat_actors::storage::open::is_in_use;

use crate::children::{Children, Ended, Plan, Variables};
use crate::failure::WrongUsage;
use crate::local_cluster::{self, Layout, Ports};
use crate::settings::{Settings, SettingsError};
use crate::signals::StopSignals;
use crate::{node_client, open_files, terminal};

const NODES_DEFAULT: u16 = 5;
const HTTP_PORT_DEFAULT: u16 = 8101;
const PEER_PORT_DEFAULT: u16 = 8201;

/// A demo that was killed is gone after so long. Whoever has the folder then is another one.
const EARLIER_DEMO_ENDS: Duration = Duration::from_secs(1);
/// Its nodes end by themselves: a drain takes at most ten seconds.
const EARLIER_NODES_END: Duration = Duration::from_secs(12);
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Variables that would give every node the same name, place or address.
const VARIABLES_OF_ONE_NODE: [&str; 5] =
    ["CHAT__NODE__", "CHAT__HTTP__", "CHAT__PEER__BIND", "CHAT__PEER__URL", "CHAT__CLUSTER__"];

#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// How many nodes [default: 5, or as many as DIR has]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=50))]
    nodes: Option<u16>,
    /// Where settings, data and logs of the nodes are kept
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    dir: PathBuf,
    /// The first node's port for people; each further node has the next one [default: 8101, or as DIR has it]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    http_port: Option<u16>,
    /// The first node's port for the other nodes [default: 8201, or as DIR has it]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    peer_port: Option<u16>,
}

/// Starts the nodes and stays until a signal stops them all.
///
/// # Errors
/// When the folder or a port is in use, or no node comes up.
pub fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    check_variables()?;
    open_files::raise_limit();
    let folder = &arguments.dir;
    let has_nodes = || Layout::settings_file(folder, 1).exists();
    if !has_nodes() {
        // Wrong usage leaves no folder behind.
        layout(arguments, folder.clone())?;
    }
    fs::create_dir_all(folder).with_context(|| {
        format!("cannot make the folder {}: choose a --dir that this user may write to", folder.display())
    })?;
    let _lock = lock(folder, EARLIER_DEMO_ENDS)?;
    let nodes = if has_nodes() { found(arguments)? } else { create(arguments)? };
    actix::System::new().block_on(supervise(&nodes))
}

/// A node and what it is started with.
#[derive(Debug)]
struct DemoNode {
    settings: Settings,
    plan: Plan,
}

async fn supervise(nodes: &[DemoNode]) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    let plans: Vec<Plan> = nodes.iter().map(|node| node.plan.clone()).collect();
    let mut children = Children::start(&plans, Variables::Inherited).context("cannot start a node")?;
    for node in nodes {
        terminal::say(&format!("{}: {}", node.settings.node.name, node.settings.http.public_url));
    }
    let urls: Vec<String> = nodes.iter().map(|node| node.settings.http.public_url.to_string()).collect();
    let client = node_client::client();
    let ready = local_cluster::wait_until_ready(&client, &urls);
    tokio::pin!(ready);
    let mut is_ready = false;
    loop {
        tokio::select! {
            () = signals.next() => break,
            () = &mut ready, if !is_ready => {
                is_ready = true;
                terminal::say("cluster ready");
            }
            ended = children.next_ended(), if children.running() > 0 => {
                let ended = ended?;
                for ended in &ended {
                    terminal::say(&report(ended));
                }
                // Later on, somebody may have started them again by hand.
                if let Some(last) = ended.last() && children.running() == 0 && !is_ready {
                    bail!("no node came up; {} said last: {}", last.plan.name, last.last_words());
                }
            }
        }
    }
    tokio::select! {
        late = children.stop() => {
            for name in late {
                terminal::complain(&format!("{name} took too long to stop and was killed"));
            }
        }
        () = signals.next() => children.kill(),
    }
    Ok(())
}

fn report(ended: &Ended) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "replicated-chat".into());
    let file = quoted(&ended.plan.settings_file.display().to_string());
    format!(
        "{} ended: {}; start it again with {} serve {file}",
        ended.plan.name,
        ended.how(),
        quoted(&program)
    )
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The nodes of a folder that was used before.
fn found(arguments: &DemoArguments) -> anyhow::Result<Vec<DemoNode>> {
    let folder = &arguments.dir;
    let count = (1..).take_while(|number| Layout::settings_file(folder, *number).exists()).count();
    let shown = folder.display();
    if let Some(nodes) = arguments.nodes
        && usize::from(nodes) != count
    {
        bail!(WrongUsage(format!(
            "{shown} has {count} nodes, so --nodes must be {count} or left out; another --dir starts anew"
        )));
    }
    let nodes = load(folder, count)?;
    let first = &nodes[0].settings;
    for (flag, given, kept) in [
        ("--http-port", arguments.http_port, first.http.bind.port()),
        ("--peer-port", arguments.peer_port, first.peer.bind.port()),
    ] {
        if given.is_some_and(|given| given != kept) {
            bail!(WrongUsage(format!(
                "{shown} has its nodes from port {kept} on, so {flag} must be {kept} or left out"
            )));
        }
    }
    wait_for_earlier_nodes(&nodes, EARLIER_NODES_END)?;
    Ok(nodes)
}

/// The nodes of a demo that was killed have their folders and ports for as long as they drain.
///
/// # Errors
/// When a port is taken by others, or a node's folder is still in use after that time.
fn wait_for_earlier_nodes(nodes: &[DemoNode], patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    let (mut was_free, mut said) = (false, false);
    loop {
        let used = nodes.iter().map(|node| &node.settings.node.data_dir).find(|dir| is_in_use(dir));
        let ports = check_ports(nodes);
        let late = Instant::now() >= deadline;
        match used {
            None if ports.is_ok() => return Ok(()),
            // Who ends gives back one after the other, so this is looked at twice.
            None if was_free => return ports,
            None => was_free = true,
            Some(dir) if late => {
                return ports.and_then(|()| {
                    bail!("{} is in use by another process: stop that one first", dir.display())
                });
            }
            Some(_) => {
                was_free = false;
                if !std::mem::replace(&mut said, true) {
                    terminal::complain("waiting for the nodes of an earlier demo to end");
                }
            }
        }
        thread::sleep(LOOK_PERIOD);
    }
}

/// What is asked for, for a folder without nodes.
fn layout(arguments: &DemoArguments, folder: PathBuf) -> Result<Layout, WrongUsage> {
    let first = Ports {
        http: arguments.http_port.unwrap_or(HTTP_PORT_DEFAULT),
        peer: arguments.peer_port.unwrap_or(PEER_PORT_DEFAULT),
    };
    Layout::consecutive(folder, arguments.nodes.unwrap_or(NODES_DEFAULT), first)
}

/// New nodes in a folder that has none.
fn create(arguments: &DemoArguments) -> anyhow::Result<Vec<DemoNode>> {
    let folder = &arguments.dir;
    let absolute = fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))?;
    let layout = layout(arguments, absolute)?;
    let count = layout.ports.len();
    // Left by a start that never got as far as the first node's file.
    for number in (count + 1..).take_while(|number| Layout::settings_file(folder, *number).exists()) {
        let _ = fs::remove_file(Layout::settings_file(folder, number));
    }
    layout.write("")?;
    let checked = load(folder, count).and_then(|nodes| check_ports(&nodes).map(|()| nodes));
    if checked.is_err() {
        for number in 1..=count {
            let _ = fs::remove_file(Layout::settings_file(folder, number));
        }
    }
    checked
}

fn load(folder: &Path, count: usize) -> anyhow::Result<Vec<DemoNode>> {
    let mut nodes = Vec::new();
    for number in 1..=count {
        let file = Layout::settings_file(folder, number);
        let settings = Settings::load(&file)?;
        check_data_dir(folder, &file, &settings)?;
        let plan = local_cluster::plan(&file, &settings);
        nodes.push(DemoNode { settings, plan });
    }
    Ok(nodes)
}

/// A folder that was copied or moved must not start on the data of where it was before.
fn check_data_dir(folder: &Path, file: &Path, settings: &Settings) -> Result<(), SettingsError> {
    let data_dir = &settings.node.data_dir;
    let parent = data_dir.parent().and_then(|parent| fs::canonicalize(parent).ok());
    if parent.is_some() && parent == fs::canonicalize(folder).ok() {
        return Ok(());
    }
    let complaint = format!(
        "is {:?}, must be a folder in {:?}",
        data_dir.display().to_string(),
        folder.display().to_string()
    );
    Err(SettingsError::of_key(file.display().to_string(), "node.data_dir", complaint))
}

fn check_ports(nodes: &[DemoNode]) -> anyhow::Result<()> {
    let settings: Vec<Settings> = nodes.iter().map(|node| node.settings.clone()).collect();
    local_cluster::check_ports(&settings)
}

fn check_variables() -> Result<(), SettingsError> {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if VARIABLES_OF_ONE_NODE.iter().any(|prefix| name.starts_with(prefix)) {
            let complaint = "is set, must not be for a demo: all its nodes would share it";
            return Err(SettingsError::of_place(name, complaint));
        }
    }
    Ok(())
}

/// Takes the folder for this process, until the file is dropped or the process ends. Waits so long for a demo that is
/// about to end.
fn lock(folder: &Path, patience: Duration) -> anyhow::Result<File> {
    let path = folder.join("demo.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK_PERIOD),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{} is in use by another demo: stop that one, or choose another --dir",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(format!("cannot lock {}", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("data/demo/node3.toml"), "data/demo/node3.toml");
        assert_eq!(quoted("my data/it's"), r"'my data/it'\''s'");
    }

    fn arguments(folder: &Path, more: &[&str]) -> DemoArguments {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            demo: DemoArguments,
        }
        let words = [&["demo", "--dir", folder.to_str().unwrap()], more].concat();
        <Line as clap::Parser>::parse_from(words).demo
    }

    #[test]
    fn a_folder_keeps_its_nodes() {
        let folder = std::env::temp_dir().join(format!("chat-demo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let ports = local_cluster::free_ports(3).unwrap();
        Layout { folder: fs::canonicalize(&folder).unwrap(), ports: ports.clone() }.write("").unwrap();

        assert_eq!(found(&arguments(&folder, &[])).unwrap().len(), 3);
        let same = [ports[0].http.to_string(), ports[0].peer.to_string()];
        let same = ["--nodes", "3", "--http-port", &same[0], "--peer-port", &same[1]];
        assert_eq!(found(&arguments(&folder, &same)).unwrap().len(), 3);
        for other in [["--nodes", "5"], ["--http-port", "1"], ["--peer-port", "1"]] {
            let error = found(&arguments(&folder, &other)).unwrap_err();
            assert!(error.is::<WrongUsage>() && error.to_string().contains(other[0]), "{error}");
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", ports[2].peer)).unwrap();
        let error = found(&arguments(&folder, &[])).unwrap_err().to_string();
        assert!(error.contains("for node3 is taken"), "{error}");

        drop(listener);

        let nodes = found(&arguments(&folder, &[])).unwrap();
        let data_dir = &nodes[1].settings.node.data_dir;
        fs::create_dir_all(data_dir).unwrap();
        let lock = File::create(data_dir.join("lock")).unwrap();
        lock.try_lock().unwrap();
        let error = wait_for_earlier_nodes(&nodes, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("node2 is in use by another process"), "{error}");
        let ends = thread::spawn(move || drop(lock));
        wait_for_earlier_nodes(&nodes, EARLIER_NODES_END).unwrap();
        ends.join().unwrap();

        let moved = folder.with_extension("moved");
        fs::rename(&folder, &moved).unwrap();
        let error = found(&arguments(&moved, &[])).unwrap_err();
        assert!(
            error.is::<SettingsError>() && error.to_string().contains("node1.toml: node.data_dir: is"),
            "{error}"
        );
        fs::remove_dir_all(&moved).unwrap();
    }

    #[test]
    fn a_folder_has_one_demo_at_a_time() {
        let folder = std::env::temp_dir().join(format!("chat-demo-lock-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let first = lock(&folder, Duration::ZERO).unwrap();
        let error = lock(&folder, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("is in use by another demo"), "{error}");
        let ends = thread::spawn(move || drop(first));
        lock(&folder, EARLIER_DEMO_ENDS).unwrap();
        ends.join().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
