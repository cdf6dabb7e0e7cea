//! A cluster on this machine: its settings files, its ports, and when it is ready.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use awc::Client;

use crate::children::Plan;
use crate::failure::WrongUsage;
use crate::node_client;
use crate::settings::{BindAddress, Settings};

/// How long a node has to answer one of our questions while a cluster starts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How often to ask while a cluster starts.
const ASK_PERIOD: Duration = Duration::from_millis(50);

/// How long to wait for the last nodes once there is a leader: one that is down must not hold up the others.
const STRAGGLER_TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster of numbered nodes in one folder: `nodeN.toml`, `nodeN.log` and the data in `nodeN/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Absolute, so that the nodes' files hold wherever they are started from.
    pub folder: PathBuf,
    pub ports: Vec<Ports>,
}

/// The ports of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub http: u16,
    pub peer: u16,
}

impl Layout {
    /// Node 1 on these ports, each further node on the next ones.
    ///
    /// # Errors
    /// When there are not enough ports, or the two rows of them overlap.
    pub fn consecutive(folder: PathBuf, nodes: u16, first: Ports) -> Result<Self, WrongUsage> {
        let row = |first: u16, name: &str| -> Result<Vec<u16>, WrongUsage> {
            let ports = (0..nodes).map(|offset| first.checked_add(offset)).collect::<Option<Vec<u16>>>();
            ports.ok_or_else(|| {
                WrongUsage(format!("{name} {first} leaves no room for {nodes} nodes below port 65536"))
            })
        };
        let http = row(first.http, "--http-port")?;
        let peer = row(first.peer, "--peer-port")?;
        if http.iter().any(|port| peer.contains(port)) {
            let (http, peer) = (first.http, first.peer);
            return Err(WrongUsage(format!(
                "--http-port {http} and --peer-port {peer} must be at least {nodes} apart for {nodes} nodes"
            )));
        }
        let ports = http.into_iter().zip(peer).map(|(http, peer)| Ports { http, peer }).collect();
        Ok(Self { folder, ports })
    }

    /// The settings file of node `number`, from 1.
    pub fn settings_file(folder: &Path, number: usize) -> PathBuf {
        folder.join(format!("node{number}.toml"))
    }

    /// Writes all settings files. Node 1's comes last, so that where it is, all are.
    ///
    /// # Errors
    /// When a file cannot be written, or the folder's name is not UTF-8.
    pub fn write(&self, more: &str) -> anyhow::Result<()> {
        for number in (1..=self.ports.len()).rev() {
            let file = Self::settings_file(&self.folder, number);
            let text = self.settings_text(number, more)?;
            let beside = file.with_extension("toml.new");
            fs::write(&beside, text)
                .and_then(|()| fs::rename(&beside, &file))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    fn settings_text(&self, number: usize, more: &str) -> anyhow::Result<String> {
        let data_dir = self.folder.join(format!("node{number}"));
        let Some(data_dir) = data_dir.to_str() else {
            bail!(WrongUsage(format!("the name of {} is not UTF-8", self.folder.display())));
        };
        let Ports { http, peer } = self.ports[number - 1];
        let mut text = format!(
            "# Node {number} of {}, all on this machine: replicated-chat serve node{number}.toml\n\n\
             [node]\nname = \"node{number}\"\ndata_dir = {}\n\n\
             [http]\nbind = \"127.0.0.1:{http}\"\npublic_url = \"http://127.0.0.1:{http}\"\n\n\
             [peer]\nbind = \"127.0.0.1:{peer}\"\nurl = \"http://127.0.0.1:{peer}\"\n\n\
             [cluster]\nmembers = [\n",
            self.ports.len(),
            toml_string(data_dir),
        );
        for (number, Ports { http, peer }) in (1..).zip(&self.ports) {
            let _ = writeln!(
                text,
                "  {{ name = \"node{number}\", peer = \"http://127.0.0.1:{peer}\", public = \"http://127.0.0.1:{http}\" }},"
            );
        }
        text.push_str("]\n");
        text.push_str(more);
        Ok(text)
    }
}

/// How to start the node whose settings these are.
pub fn plan(settings_file: &Path, settings: &Settings) -> Plan {
    Plan {
        name: settings.node.name.clone(),
        settings_file: settings_file.to_owned(),
        log_file: settings_file.with_extension("log"),
    }
}

/// Checks that no other process listens where these nodes will.
///
/// # Errors
/// Names the first address that is taken, and the node that wants it.
pub fn check_ports(nodes: &[Settings]) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for node in nodes {
        for bind in [&node.http.bind, &node.peer.bind] {
            let listener = listen(bind).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => {
                    anyhow::anyhow!(
                        "{bind} for {} is taken: stop what listens there, or choose other ports",
                        node.node.name
                    )
                }
                _ => anyhow::anyhow!("cannot listen on {bind} for {}: {error}", node.node.name),
            })?;
            held.push(listener);
        }
    }
    Ok(())
}

/// Ports that nobody listens on now. Another process may still take one before we do.
///
/// # Errors
/// When the system gives us none.
pub fn free_ports(nodes: usize) -> io::Result<Vec<Ports>> {
    let listeners: Vec<TcpListener> =
        (0..2 * nodes).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<_>>()?;
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<io::Result<_>>()?;
    Ok(ports.chunks_exact(2).map(|pair| Ports { http: pair[0], peer: pair[1] }).collect())
}

/// Waits until a node names a leader and every node is ready; once there is a leader, not for ever.
pub async fn wait_until_ready(client: &Client, public_urls: &[String]) {
    let mut leader_since: Option<Instant> = None;
    loop {
        if leader_since.is_none() && is_led(client, public_urls).await {
            leader_since = Some(Instant::now());
        }
        if let Some(since) = leader_since {
            let answers = public_urls.iter().map(|url| node_client::is_ready(client, url, ANSWER_TIMEOUT));
            let ready = futures_util::future::join_all(answers).await;
            if ready.into_iter().all(|ready| ready) || since.elapsed() >= STRAGGLER_TIMEOUT {
                return;
            }
        }
        tokio::time::sleep(ASK_PERIOD).await;
    }
}

async fn is_led(client: &Client, public_urls: &[String]) -> bool {
    let views = public_urls.iter().map(|url| node_client::cluster(client, url, ANSWER_TIMEOUT));
    let views = futures_util::future::join_all(views).await;
    views.into_iter().flatten().any(|view| view.leader.is_some() && view.quorum)
}

fn listen(bind: &BindAddress) -> io::Result<TcpListener> {
    TcpListener::bind(bind.to_string())
}

fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_ports() {
        let first = |http, peer| Layout::consecutive("/x".into(), 5, Ports { http, peer });
        assert_eq!(first(8101, 8201).unwrap().ports[4], Ports { http: 8105, peer: 8205 });
        assert!(first(8101, 8106).is_ok());
        assert!(first(8101, 8105).is_err());
        assert!(first(8101, 8099).is_err());
        assert!(first(8101, 65531).is_ok());
        assert!(first(8101, 65532).is_err());
    }

    #[test]
    fn the_files_load() {
        let folder = std::env::temp_dir().join(format!("chat-layout-{} \"ä\\", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let layout = Layout::consecutive(folder.clone(), 3, Ports { http: 8101, peer: 8201 }).unwrap();
        layout.write("\n[limits]\nmessages_per_second = 0\n").unwrap();
        for number in 1..=3 {
            let settings = Settings::load_with(&Layout::settings_file(&folder, number), []).unwrap();
            assert_eq!(settings.node.name, format!("node{number}"));
            assert_eq!(settings.node.data_dir, folder.join(format!("node{number}")));
            assert_eq!(settings.limits.messages_per_second, 0);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
