//! Nodes of our own, in a folder that goes when we do.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use awc::Client;

use super::arguments::BenchArguments;
use crate::children::{Children, Plan, Variables};
use crate::local_cluster::{self, Layout};
use crate::node_client;
use crate::settings::Settings;

/// How long founding a cluster on one machine may take.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a node has to tell its metrics.
const METRICS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a message takes in a frame beside its text: an escaped byte is six at most.
const FRAME_BYTES_PER_TEXT_BYTE: u32 = 6;
const FRAME_BYTES_BESIDE_TEXT: u32 = 4096;

/// A folder in the working directory (others may be memory, not disk), removed when dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A cluster of child processes.
#[derive(Debug)]
pub struct OwnCluster {
    children: Children,
    pub public_urls: Vec<String>,
}

impl Folder {
    /// Makes a folder that is nobody else's.
    ///
    /// # Errors
    /// When the working directory cannot be written.
    pub fn make() -> anyhow::Result<Self> {
        let working = std::env::current_dir().context("cannot find the working directory")?;
        let path = working.join(format!("bench-{}", std::process::id()));
        // Left by a run that was killed and had our process id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).with_context(|| {
            format!(
                "cannot make the folder {}: run this in a directory that you may write to",
                path.display()
            )
        })?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            crate::terminal::complain(&format!("cannot remove {}: {error}", self.path.display()));
        }
    }
}

impl OwnCluster {
    /// Starts the nodes and waits until they are ready.
    ///
    /// # Errors
    /// When one ends, or they do not become a cluster in time.
    pub async fn start(folder: &Folder, arguments: &BenchArguments, client: &Client) -> anyhow::Result<Self> {
        let count = usize::from(arguments.nodes);
        let ports = local_cluster::free_ports(count).context("cannot find free ports")?;
        let layout = Layout { folder: folder.path().to_owned(), ports };
        layout.write(&settings_of_all(arguments))?;
        let mut plans: Vec<Plan> = Vec::new();
        let mut public_urls = Vec::new();
        for number in 1..=count {
            let file = Layout::settings_file(folder.path(), number);
            // The variables of this process are for nodes that somebody runs, not for these.
            let settings = Settings::load_with(&file, [])?;
            plans.push(local_cluster::plan(&file, &settings));
            public_urls.push(settings.http.public_url.to_string());
        }
        let children = Children::start(&plans, Variables::Hidden).context("cannot start a node")?;
        let mut cluster = Self { children, public_urls };
        let public_urls = cluster.public_urls.clone();
        tokio::select! {
            () = local_cluster::wait_until_ready(client, &public_urls) => Ok(cluster),
            lost = cluster.lost() => Err(lost),
            () = tokio::time::sleep(READY_TIMEOUT) => {
                bail!("no leader among our {count} nodes within {} s", READY_TIMEOUT.as_secs())
            }
        }
    }

    /// Waits until a node ends, which none should.
    pub async fn lost(&mut self) -> anyhow::Error {
        match self.children.next_ended().await {
            Ok(ended) => {
                let ended = &ended[0];
                anyhow::anyhow!(
                    "{} ended: {}; it said last: {}",
                    ended.plan.name,
                    ended.how(),
                    ended.last_words()
                )
            }
            Err(error) => error.into(),
        }
    }

    /// The memory of each node in MB, from its metrics.
    ///
    /// # Errors
    /// When a node does not tell.
    pub async fn rss_mb(&self, client: &Client) -> anyhow::Result<Vec<f64>> {
        let mut all = Vec::new();
        for url in &self.public_urls {
            let answer = node_client::get(client, &format!("{url}/metrics"), None, METRICS_TIMEOUT).await;
            let answer =
                answer.map_err(|reason| anyhow::anyhow!("{url}/metrics does not answer: {reason}"))?;
            let text = String::from_utf8_lossy(&answer.body);
            let Some(bytes) = metric(&text, "process_resident_memory_bytes") else {
                bail!("{url}/metrics does not tell process_resident_memory_bytes");
            };
            all.push(bytes / f64::from(1 << 20));
        }
        Ok(all)
    }
}

/// No limits on rates, and room for the messages that were asked for.
fn settings_of_all(arguments: &BenchArguments) -> String {
    let mut text = "\n[limits]\nmessages_per_second = 0\nlogins_per_minute = 0\n".to_string();
    let message_bytes = arguments.bytes.max(8192);
    let frame_bytes = (message_bytes * FRAME_BYTES_PER_TEXT_BYTE + FRAME_BYTES_BESIDE_TEXT).max(65_536);
    let _ = writeln!(text, "message_bytes = {message_bytes}\nframe_bytes = {frame_bytes}");
    text.push_str("\n[log]\nlevel = \"warn\"\n");
    text
}

/// The value of a metric without labels in Prometheus' text.
fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric() {
        let text = "# TYPE rss gauge\nrss_other 5\nrss 1.5e6\n";
        assert_eq!(metric(text, "rss"), Some(1.5e6));
        assert_eq!(metric(text, "none"), None);
    }
}
