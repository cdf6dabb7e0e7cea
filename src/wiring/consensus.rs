//! Builds a node's consensus: `RaftNode`, `Storage`, the links to the others, and who brings their state.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, AsyncContext as _, Context};
use anyhow::Context as _;
use chat_actors::bus::{News, Port, Seat};
use chat_actors::disk_watch::{DiskWatch, DiskWatchConfig};
use chat_actors::ids::Boot;
use chat_actors::membership::{Directory, Roll};
use chat_actors::messages::audit::Counted;
use chat_actors::messages::consensus::{Forwarded, Propose, ReadBarrier, Standing, Step, StepDown};
use chat_actors::messages::disk::{Changed, Members, Retire};
use chat_actors::messages::links::{Dismissed, LinkState};
use chat_actors::messages::members::{ChangeMembers, Stranger};
use chat_actors::messages::news::{DiskReport, Role};
use chat_actors::messages::people::{Peers, Replaced};
use chat_actors::messages::reading::{LogEntries, TablesAt};
use chat_actors::messages::search::Grown;
use chat_actors::metrics::Metrics;
use chat_actors::peer_link::lane::LaneLimits;
use chat_actors::peer_link::{
    OwnRun, PeerLinkConfig, PeerLinkPorts, Roster, RosterConfig, RosterPorts, Secret, Seen,
};
use chat_actors::raft::actor::{Ports, RaftNode};
use chat_actors::raft::core::Config;
use chat_actors::raft::log_view::LogStart;
use chat_actors::raft::node::Node;
use chat_actors::raft::proposals::Patience;
use chat_actors::state_fetch::{StateFetch, StateFetchConfig, StateFetchPorts};
use chat_actors::storage::{Opened, Storage, StoragePorts, Store, schema};
use tokio::sync::{oneshot, watch};

use super::directory;
use crate::settings::RaftSettings;

/// Messages that may wait for an actor before whoever can be put off is.
const RAFT_MAILBOX: usize = 8_192;
const STORAGE_MAILBOX: usize = 4_096;
const ROSTER_MAILBOX: usize = 1_024;
const FETCH_MAILBOX: usize = 64;
const WATCH_MAILBOX: usize = 64;

/// An outcome that is not known after so long is answered as such: clients are promised 5 s.
const DEADLINE: Duration = Duration::from_millis(4_500);
/// What was handed to a leader and not heard of is handed on again.
const REPEAT: Duration = Duration::from_millis(1_000);
/// A learner that has been caught up for so long becomes a voter.
const STABLE: Duration = Duration::from_secs(10);
/// Election timeouts without a majority, after which nobody is kept waiting for one.
const ELECTIONS_WITHOUT_QUORUM: u64 = 3;

/// The ways into a node's consensus.
#[derive(Clone)]
pub struct Consensus {
    pub propose: Port<Propose>,
    pub read_barrier: Port<ReadBarrier>,
    pub step: Port<Step>,
    pub forwarded: Port<Forwarded>,
    pub standing: Port<Standing>,
    pub step_down: Port<StepDown>,
    pub change: Port<ChangeMembers>,
    pub disk_report: Port<DiskReport>,
    pub stranger: Port<Stranger>,
    pub retire: Port<Retire>,
}

/// Who wants to hear of what happens in consensus and storage.
#[derive(Clone, Default)]
pub struct Listeners {
    pub changed: News<Changed>,
    pub replaced: News<Replaced>,
    pub role: News<Role>,
    pub link_state: News<LinkState>,
    pub counted: News<Counted>,
    pub members: News<Members>,
    pub peers: News<Peers>,
    pub dismissed: News<Dismissed>,
}

/// What consensus is built from.
pub struct Parts {
    pub store: Store,
    pub opened: Opened,
    pub run: OwnRun,
    /// What was heard of the others; the peers' door adds to it.
    pub seen: Seen,
    /// Under which boot commands are asked for.
    pub asks_as: Boot,
    pub settings: RaftSettings,
    /// Where this node's own peer port is.
    pub own_url: String,
    pub secret: Secret,
    pub log_entries: Port<LogEntries>,
    pub tables_at: Port<TablesAt>,
    pub data_dir: PathBuf,
    pub reserve_mb: u64,
    pub grown: Vec<Port<Grown>>,
    pub listeners: Listeners,
    pub directory: watch::Sender<Arc<Directory>>,
    pub roll: watch::Sender<Arc<Roll>>,
    pub metrics: Metrics,
}

/// Starts `RaftNode` and its links on the thread that serves the other nodes, and `Storage` on one of its
/// own. What a peer brings is then stepped, and what comes of it sent, without waking another thread.
///
/// # Errors
/// When Raft refuses what the disk holds, or a peer's address cannot be used.
pub async fn start_consensus(parts: Parts, thread: &ArbiterHandle) -> anyhow::Result<Consensus> {
    let (done, started) = oneshot::channel();
    // RaftNode and the links name each other, so all are made on their thread, from the inside.
    let spawned = thread.spawn_fn(move || {
        let built = build(parts);
        let _stopping = done.send(built);
    });
    anyhow::ensure!(spawned, "the thread of consensus cannot be started");
    started.await.context("the thread of consensus ended while it was starting")?
}

fn build(parts: Parts) -> anyhow::Result<Consensus> {
    let Parts { mut store, opened, settings, log_entries, tables_at, data_dir, listeners, metrics, .. } =
        parts;
    store.asks_as(parts.asks_as);
    let node = node(&opened, parts.asks_as, &settings)?;
    let seat = Seat::new(&metrics, "raft_node", RAFT_MAILBOX);
    let roster_seat = Seat::new(&metrics, "roster", ROSTER_MAILBOX);
    let storage_seat = Seat::new(&metrics, "storage", STORAGE_MAILBOX);
    let fetch_seat = Seat::new(&metrics, "state_fetch", FETCH_MAILBOX);
    let tick = Duration::from_millis(settings.tick_ms);
    let mut others = None;
    let addr = RaftNode::create(|ctx: &mut Context<RaftNode>| {
        let raft = ctx.address();
        let mut link_state = listeners.link_state.clone();
        link_state.subscribe(seat.port(raft.clone().recipient()));
        let link = PeerLinkPorts {
            unreachable: seat.port(raft.clone().recipient()),
            died: seat.port(raft.clone().recipient()),
            state: link_state,
            dismissed: listeners.dismissed.clone(),
        };
        let config = DiskWatchConfig {
            own: opened.raft_id,
            node: opened.node.clone(),
            data_dir: data_dir.clone(),
            reserve_mb: parts.reserve_mb,
        };
        let watch_seat = Seat::new(&metrics, "disk_watch", WATCH_MAILBOX);
        let watch = DiskWatch::new(config, seat.port_to(&raft), &watch_seat).start_on_own_thread();
        let mut fetched = News::default();
        fetched.subscribe(seat.port_to(&raft));
        fetched.subscribe(watch_seat.port_to(&watch));
        let state_fetch = StateFetch::start_on_own_thread(
            StateFetchConfig {
                secret: parts.secret.clone(),
                cluster: opened.cluster.clone(),
                own: opened.raft_id,
                boot: opened.boot,
                data_dir: data_dir.clone(),
                format: schema::FORMAT,
                sources: BTreeMap::new(),
            },
            StateFetchPorts {
                tables_at,
                fetched,
                here: seat.port(raft.clone().recipient()),
                metrics: metrics.clone(),
            },
            &fetch_seat,
        );
        let mut peers = listeners.peers.clone();
        peers.subscribe(watch_seat.port_to(&watch));
        let ports = RosterPorts {
            link,
            links: seat.port(raft.clone().recipient()),
            sources: fetch_seat.port(state_fetch.clone().recipient()),
            peers,
            directory: parts.directory,
            roll: parts.roll,
        };
        let config = roster_config(&opened, (parts.run, parts.seen), parts.own_url, parts.secret, &metrics);
        let roster = Roster::new(config, ports).start();
        let mut members = listeners.members.clone();
        members.subscribe(seat.port(raft.clone().recipient()));
        members.subscribe(roster_seat.port(roster.clone().recipient()));
        let storage = Storage::new(
            store,
            settings.log_keep_entries * 2,
            StoragePorts {
                persisted: seat.port(raft.clone().recipient()),
                applied: seat.port(raft.recipient()),
                changed: listeners.changed.clone(),
                replaced: listeners.replaced.clone(),
                counted: listeners.counted.clone(),
                members,
                grown: parts.grown,
            },
            &storage_seat,
            &metrics,
        )
        .start_on_own_thread();
        let ports = Ports {
            append: storage_seat.port(storage.clone().recipient()),
            apply: storage_seat.port(storage.clone().recipient()),
            compact: storage_seat.port(storage.clone().recipient()),
            fetch_state: fetch_seat.port(state_fetch.clone().recipient()),
            fetch_over: fetch_seat.port(state_fetch.recipient()),
            log_entries,
            role: listeners.role.clone(),
            dismissed: listeners.dismissed.clone(),
        };
        others = Some((roster, storage));
        RaftNode::new(node, tick, ports, &seat, metrics.clone())
    });
    let (roster, storage) = others.context("consensus was not built")?;
    Ok(Consensus {
        propose: seat.port(addr.clone().recipient()),
        read_barrier: seat.port(addr.clone().recipient()),
        step: seat.port(addr.clone().recipient()),
        forwarded: seat.port(addr.clone().recipient()),
        standing: seat.port(addr.clone().recipient()),
        step_down: seat.port(addr.clone().recipient()),
        change: seat.port(addr.clone().recipient()),
        disk_report: seat.port(addr.recipient()),
        stranger: roster_seat.port(roster.recipient()),
        retire: storage_seat.port(storage.recipient()),
    })
}

fn roster_config(
    opened: &Opened,
    (run, seen): (OwnRun, Seen),
    own_url: String,
    secret: Secret,
    metrics: &Metrics,
) -> RosterConfig {
    let link = PeerLinkConfig {
        peer: opened.raft_id,
        url: own_url.clone(),
        secret,
        cluster: opened.cluster.clone(),
        own: opened.raft_id,
        own_url,
        run,
        seen,
        limits: LaneLimits::default(),
    };
    RosterConfig { link, directory: directory(opened), metrics: metrics.clone() }
}

fn node(opened: &Opened, asks_as: Boot, settings: &RaftSettings) -> anyhow::Result<Node> {
    let config = Config {
        id: opened.raft_id,
        election_ticks: settings.election_ticks,
        heartbeat_ticks: settings.heartbeat_ticks,
        fixed_election_tick: None,
        log_keep_entries: settings.log_keep_entries,
    };
    let ticks = |time: Duration| {
        let tick_ms = u128::from(settings.tick_ms.max(1));
        u64::try_from(time.as_millis() / tick_ms).unwrap_or(u64::MAX).max(1)
    };
    let patience = Patience {
        deadline_ticks: ticks(DEADLINE),
        repeat_ticks: ticks(REPEAT),
        no_quorum_ticks: ELECTIONS_WITHOUT_QUORUM * settings.election_ticks as u64,
        promote_ticks: ticks(STABLE),
    };
    let start = LogStart {
        hard_state: opened.hard_state.clone(),
        conf_state: opened.conf_state.clone(),
        applied: opened.applied.0,
        cut: (opened.cut.0.0, opened.cut.1.0),
        term_runs: opened.terms.iter().map(|run| (run.first.0, run.term.0)).collect(),
        tail: opened.unapplied.clone(),
        last: opened.last.0,
    };
    let node = Node::new(&config, asks_as, patience, start);
    let mut node = node.context("raft cannot start from what chat.db holds")?;
    node.reached(opened.level);
    node.members(Arc::new(opened.roll.clone()));
    Ok(node)
}
