//! One run from start to end, whatever ends it.

use std::time::Duration;

use anyhow::{Context, bail};
use awc::Client;

use super::accounts::Accounts;
use super::arguments::BenchArguments;
use super::connection::Trouble;
use super::disk;
use super::load::Load;
use super::own_cluster::{Folder, OwnCluster};
use super::report::{Latency, Report, rounded};
use crate::signals::StopSignals;
use crate::{node_client, open_files, terminal, web_socket};

/// How long the last requests may take after the time is over.
const GRACE: Duration = Duration::from_secs(15);

/// How long a node of a running cluster has to say that it lives.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;

/// Measures, prints, and leaves nothing behind.
///
/// # Errors
/// When the cluster does not come up, refuses the load or loses a node, or a signal ends the run.
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    open_files::raise_limit();
    let needed = u64::from(arguments.clients) + u64::from(arguments.listeners) + OTHER_FILES;
    if let Some(limit) = open_files::limit()
        && limit < needed
    {
        bail!(
            "{needed} files must be open and the system allows {limit}: raise it (ulimit -n) or take fewer clients"
        );
    }
    actix::System::new().block_on(run_to_the_end(arguments))
}

async fn run_to_the_end(arguments: &BenchArguments) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    let client = web_socket::client()?;
    let accounts = Accounts::new()?;
    let outcome = tokio::select! {
        outcome = measure(arguments, &client, &accounts) => outcome,
        () = signals.next() => Err(anyhow::anyhow!("stopped by a signal before the results were there")),
    };
    let mut left = 0;
    if let Some(server) = &arguments.server {
        let urls = [server.to_string()];
        tokio::select! {
            undeleted = accounts.delete_all(&client, &urls) => left = undeleted,
            () = signals.next() => {}
        }
    }
    let left = match left {
        0 => None,
        left => Some(format!("{left} of the accounts {}… could not be deleted", accounts.prefix())),
    };
    let report = outcome.inspect_err(|_| left.iter().for_each(|left| terminal::complain(left)))?;
    if arguments.json {
        terminal::say(&report.json());
    } else {
        report.lines().iter().for_each(|line| terminal::say(line));
    }
    if report.ack_ms.is_none() {
        bail!("nothing was acknowledged while measuring: see the errors above, or measure longer");
    }
    left.map_or(Ok(()), |left| bail!(left))
}

async fn measure(arguments: &BenchArguments, client: &Client, accounts: &Accounts) -> anyhow::Result<Report> {
    // Declared before the cluster, so that the folder goes after the nodes in it.
    let folder = Folder::make()?;
    let running = match &arguments.server {
        // First of all: whether anybody is there is known at once.
        Some(server) => Some(nodes_of(client, accounts, server.as_str(), arguments).await?),
        None => None,
    };
    terminal::complain("measuring the disk");
    let path = folder.path().to_owned();
    let fdatasync_per_second = tokio::task::spawn_blocking(move || disk::fdatasync_per_second(&path))
        .await?
        .with_context(|| format!("cannot write in {}", folder.path().display()))?;
    if let Some(urls) = running {
        return under_load(arguments, client, accounts, &urls, None, fdatasync_per_second).await;
    }
    terminal::complain(&format!("starting {} nodes", arguments.nodes));
    let mut cluster = OwnCluster::start(&folder, arguments, client).await?;
    let urls = cluster.public_urls.clone();
    under_load(arguments, client, accounts, &urls, Some(&mut cluster), fdatasync_per_second).await
}

/// The nodes of a running cluster that answer now.
async fn nodes_of(
    client: &Client,
    accounts: &Accounts,
    server: &str,
    arguments: &BenchArguments,
) -> anyhow::Result<Vec<String>> {
    let (nodes, message_bytes) = match accounts.look_around(client, server).await {
        Err(trouble @ Trouble::Connect { .. }) => {
            bail!("{trouble}: start a node there, or give another --server")
        }
        seen => seen?,
    };
    if message_bytes.is_some_and(|limit| limit < u64::from(arguments.bytes)) {
        let limit = message_bytes.unwrap_or_default();
        bail!("{server} takes messages of up to {limit} bytes: --bytes must not be more");
    }
    let mut alive = Vec::new();
    for url in nodes {
        let answer = node_client::get(client, &format!("{url}/health/live"), None, ALIVE_TIMEOUT).await;
        match answer {
            Ok(answer) if answer.status == 200 => alive.push(url),
            Ok(_) | Err(_) => terminal::complain(&format!("{url} does not answer and is left out")),
        }
    }
    if alive.is_empty() {
        alive.push(server.to_owned());
    }
    Ok(alive)
}

async fn under_load(
    arguments: &BenchArguments,
    client: &Client,
    accounts: &Accounts,
    urls: &[String],
    mut cluster: Option<&mut OwnCluster>,
    fdatasync_per_second: f64,
) -> anyhow::Result<Report> {
    let (clients, listeners, rooms) = (arguments.clients, arguments.listeners, arguments.rooms());
    terminal::complain(&format!("connecting {clients} clients in {rooms} rooms, and {listeners} listeners"));
    let cast = accounts.assemble(client, urls, arguments).await?;

    let load = Load::new(client.clone(), urls.to_vec(), accounts.run(), arguments);
    let limit = arguments.warmup() + arguments.measured() + GRACE;
    let lost = async {
        match cluster.as_deref_mut() {
            Some(cluster) => cluster.lost().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = tokio::time::timeout(limit, load.run(cast)) => {
            if ended.is_err() {
                terminal::complain("some requests were still unanswered at the end");
            }
        }
        lost = lost => return Err(lost),
        () = tell_progress(&load, arguments) => {}
    }
    load.call_off();

    let tally = load.tally();
    if let Some(error) = &tally.last_error {
        terminal::complain(&format!("{} errors, the last one: {error}", tally.errors));
    }
    let seconds = f64::from(arguments.seconds);
    let rss_mb = match cluster {
        Some(cluster) => cluster.rss_mb(client).await?.into_iter().map(rounded).collect(),
        None => Vec::new(),
    };
    Ok(Report {
        acked_per_second: rounded(tally.ack.count() as f64 / seconds),
        ack_ms: Latency::of(&tally.ack),
        delivery_ms: Latency::of(&tally.delivery),
        delivered_per_second: rounded(tally.delivery.count() as f64 / seconds),
        errors: tally.errors,
        rss_mb,
        nodes: urls.len(),
        clients,
        rooms,
        listeners,
        bytes: arguments.bytes,
        seconds: arguments.seconds,
        warmup: arguments.warmup,
        fdatasync_per_second: rounded(fdatasync_per_second),
    })
}

/// Says every second how it goes; never ends by itself.
async fn tell_progress(load: &Load, arguments: &BenchArguments) {
    let all = arguments.warmup + arguments.seconds;
    let mut before = load.so_far();
    let mut beat = tokio::time::interval(PROGRESS_PERIOD);
    beat.tick().await;
    for second in 1_u32.. {
        beat.tick().await;
        let now = load.so_far();
        let warming = if second <= arguments.warmup { ", warming up" } else { "" };
        terminal::complain(&format!(
            "{second} s of {all}{warming}: {} acknowledged, {} delivered, {} errors so far",
            now.0 - before.0,
            now.1 - before.1,
            now.2
        ));
        before = now;
    }
}
