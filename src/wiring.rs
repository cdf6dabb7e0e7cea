//! Builds one node: its actors, and who has a port to whom. The one place that knows them all.

mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, AsyncContext as _, Context};
use anyhow::Context as _;
use chat_actors::audit::actor::Auditor;
use chat_actors::bus::{News, Port, Seat};
use chat_actors::courier::{Begin, Courier, CourierConfig, CourierPorts};
use chat_actors::disk_watch::{DiskWatch, DiskWatchConfig};
use chat_actors::files::nodes::Asking;
use chat_actors::hub::Hub;
use chat_actors::ids::Boot;
use chat_actors::indexer::Indexer;
use chat_actors::indexer::actor::IndexerConfig;
use chat_actors::membership::{Directory, Retirement, Roll};
use chat_actors::messages::audit::Counted;
use chat_actors::messages::consensus::{Forwarded, Propose, ReadBarrier, Standing, Step, StepDown};
use chat_actors::messages::disk::{Changed, Members, Retire};
use chat_actors::messages::hub::Drain;
use chat_actors::messages::links::{Dismissed, LinkState};
use chat_actors::messages::members::{ChangeMembers, Stranger};
use chat_actors::messages::news::{DiskReport, Role};
use chat_actors::messages::people::{Peers, Replaced};
use chat_actors::messages::reading::{LogEntries, TablesAt};
use chat_actors::messages::search::Grown;
use chat_actors::metrics::Metrics;
use chat_actors::passwords::Passwords;
use chat_actors::peer_link::lane::LaneLimits;
use chat_actors::peer_link::{
    PeerLinkConfig, PeerLinkPorts, Roster, RosterConfig, RosterPorts, Secret, Seen,
};
use chat_actors::raft::actor::{Ports, RaftNode};
use chat_actors::raft::core::Config;
use chat_actors::raft::log_view::LogStart;
use chat_actors::raft::node::Node;
use chat_actors::raft::proposals::Patience;
use chat_actors::reader::Reader;
use chat_actors::session::Executor;
use chat_actors::session::executor::{Config as SessionSettings, Ports as SessionPorts};
use chat_actors::session::reply::Limits;
use chat_actors::state_fetch::{StateFetch, StateFetchConfig, StateFetchPorts};
use chat_actors::storage::{Opened, StartError, Storage, StoragePorts, Store, StoreError, schema};
use tokio::sync::{oneshot, watch};
use tracing::warn;

use crate::departure::{Departure, Parting};
use crate::edge::cluster_answer;
use crate::edge::copies::CopyPorts;
use crate::edge::export::{ExportPorts, Exports};
use crate::edge::gate::{self, Gate};
use crate::edge::peer::{self, PeerEdge};
use crate::settings::{RaftSettings, Settings};

/// Messages that may wait for an actor before whoever can be put off is.
const RAFT_MAILBOX: usize = 8_192;
const STORAGE_MAILBOX: usize = 4_096;
const AUDIT_MAILBOX: usize = 1_024;
const ROSTER_MAILBOX: usize = 1_024;
const READER_MAILBOX: usize = 4_096;
const READERS: u32 = 2;
/// Questions of other nodes, which are answered beside those of people.
const STATE_MAILBOX: usize = 64;
const SEARCH_MAILBOX: usize = 1_024;
/// One says as much as many.
const GROWN_MAILBOX: usize = 1;
const COURIER_MAILBOX: usize = 64;
const FETCH_MAILBOX: usize = 64;
const WATCH_MAILBOX: usize = 64;
const HASHERS: usize = 2;
/// Between two tries to start on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// The server pings its clients so often; they are told, and may take a longer silence for death.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How often it is looked whether the last client has gone.
const FAREWELL_LOOK: Duration = Duration::from_millis(5);
const GOING_AWAY: u16 = 1001;
const REMOVED: u16 = 4001;

/// An outcome that is not known after so long is answered as such: clients are promised 5 s.
const DEADLINE: Duration = Duration::from_millis(4_500);
/// What was handed to a leader and not heard of is handed on again.
const REPEAT: Duration = Duration::from_millis(1_000);
/// A learner that has been caught up for so long becomes a voter.
const STABLE: Duration = Duration::from_secs(10);
/// Election timeouts without a majority, after which nobody is kept waiting for one.
const ELECTIONS_WITHOUT_QUORUM: u64 = 3;

/// A node that runs, and how it is stopped.
pub struct RunningNode {
    step_down: Port<StepDown>,
    drain: Port<Drain>,
    retire: Port<Retire>,
    parting: oneshot::Receiver<Parting>,
    metrics: Metrics,
}

/// Why clients are sent away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Stops,
    Removed,
}

impl RunningNode {
    /// Hands leadership over, if this node leads; returns when it is elsewhere, or will not go.
    pub async fn step_down(&self) {
        let (reply, done) = oneshot::channel();
        self.step_down.tell(StepDown { reply });
        let _stopped = done.await;
    }

    /// Tells every client where else to go; returns when they have gone, so give it a bound.
    pub async fn farewell(&self, why: Leave) {
        let (reply, done) = oneshot::channel();
        let (reason, close_code) = match why {
            Leave::Stops => ("this node is stopping", GOING_AWAY),
            Leave::Removed => ("this node was removed from the cluster", REMOVED),
        };
        self.drain.tell(Drain { reason: reason.to_owned(), close_code, reply });
        let _stopped = done.await;
        // Whoever was being let in meanwhile is not known to the Hub yet, but counted already.
        while self.metrics.sessions.get() > 0 {
            tokio::time::sleep(FAREWELL_LOOK).await;
        }
    }

    /// Returns when this node cannot go on as the replica that it is.
    pub async fn parting(&mut self) -> Parting {
        match (&mut self.parting).await {
            Ok(parting) => parting,
            // Who would say so is gone only with the whole process.
            Err(_gone) => std::future::pending().await,
        }
    }

    /// Marks the node's file, so that it serves nobody any more; returns when that is on the disk.
    pub async fn retire(&self, why: Retirement) {
        let (reply, done) = oneshot::channel();
        self.retire.tell(Retire { why, reply });
        let _stopped = done.await;
    }
}

/// Starts everything that a founded node is made of, and opens its doors.
///
/// # Errors
/// When the disk does not hold what Raft can start from, or a member's address cannot be used.
pub async fn start_node(
    settings: &Settings,
    metrics: &Metrics,
    secret: &Secret,
    mut store: Store,
    gate: &Gate,
    peer_edge: &PeerEdge,
    peer_thread: &ArbiterHandle,
) -> anyhow::Result<RunningNode> {
    let opened = start_store(&mut store).await?;
    let (own, cluster) = (opened.raft_id, opened.cluster.clone());
    let (roll, now) = (Arc::new(opened.roll.clone()), directory(&opened));
    let (tell_directory, directory) = watch::channel(Arc::new(now));
    let (tell_roll, roll) = watch::channel(roll);
    let supersedes = store.supersedes()?;

    let mut listeners = Listeners::default();
    let (dismissed, led, parting) = Departure::begin(metrics);
    listeners.dismissed.subscribe(dismissed);
    listeners.role.subscribe(led);
    let first = Arc::clone(&roll.borrow());
    let audit = Seat::new(metrics, "auditor", AUDIT_MAILBOX);
    let auditor = Auditor::new(store.path(), own, first, listeners.dismissed.clone(), &audit, metrics);
    let auditor = auditor.start();
    let mut damaged = News::default();
    damaged.subscribe(audit.port_to(&auditor));
    listeners.replaced.subscribe(audit.port_to(&auditor));
    listeners.counted.subscribe(audit.port_to(&auditor));
    listeners.members.subscribe(audit.port_to(&auditor));
    listeners.link_state.subscribe(audit.port_to(&auditor));
    listeners.peers.subscribe(audit.port_to(&auditor));

    let reader = Reader::start(store.path(), READERS, damaged.clone())?;
    let readers = Seat::new(metrics, "reader", READER_MAILBOX);
    let state_reader = Reader::start(store.path(), 1, damaged.clone())?;
    let state_readers = Seat::new(metrics, "state_reader", STATE_MAILBOX);
    let config = IndexerConfig { data_dir: settings.node.data_dir.clone(), chat: store.path().to_owned() };
    let courier =
        CourierConfig { chat: store.path().to_owned(), allow_private: settings.hooks.allow_private };
    let couriers = Seat::new(metrics, "courier", COURIER_MAILBOX);
    let courier = Courier::start_on_own_thread(courier, damaged.clone(), &couriers, metrics);
    listeners.role.subscribe(couriers.port_to(&courier));
    let searches = Seat::new(metrics, "indexer", SEARCH_MAILBOX);
    let indexer = Indexer::new(config, damaged, &searches, metrics).start_on_own_thread();
    let hub = Hub::open(opened.at, directory.clone(), metrics);
    listeners.peers.subscribe(hub.peers.clone());
    listeners.changed.subscribe(hub.changed.clone());
    listeners.replaced.subscribe(hub.replaced.clone());
    listeners.role.subscribe(hub.role.clone());
    listeners.link_state.subscribe(hub.link_state.clone());
    let boot = opened.boot;
    let parts = Parts {
        store,
        opened,
        settings: settings.raft.clone(),
        own_url: settings.peer.url.to_string(),
        secret: secret.clone(),
        log_entries: readers.port(reader.clone().recipient()),
        tables_at: state_readers.port(state_reader.clone().recipient()),
        data_dir: settings.node.data_dir.clone(),
        reserve_mb: settings.disk.reserve_mb,
        grown: vec![
            Seat::new(metrics, "indexer", GROWN_MAILBOX).port_to(&indexer),
            Seat::new(metrics, "courier", GROWN_MAILBOX).port_to(&courier),
        ],
        listeners,
        directory: tell_directory,
        roll: tell_roll,
        metrics: metrics.clone(),
    };
    let consensus = start_consensus(parts, peer_thread).await?;
    let ports = CourierPorts { propose: consensus.propose.clone(), barrier: consensus.read_barrier.clone() };
    couriers.port_to(&courier).tell(Begin(ports));

    let files = files::start(files::Parts {
        settings,
        asking: Asking { secret: secret.clone(), cluster: cluster.clone(), own, boot },
        reader: &reader,
        readers: &readers,
        state_reader: &state_reader,
        state_readers: &state_readers,
        barrier: &consensus.read_barrier,
        roll: &roll,
        metrics,
    })?;

    let ports = SessionPorts {
        propose: consensus.propose.clone(),
        barrier: consensus.read_barrier.clone(),
        session_of: readers.port(reader.clone().recipient()),
        account: readers.port(reader.clone().recipient()),
        home: readers.port(reader.clone().recipient()),
        pull: readers.port(reader.clone().recipient()),
        history: readers.port(reader.clone().recipient()),
        users: readers.port(reader.clone().recipient()),
        rooms: readers.port(reader.clone().recipient()),
        members: readers.port(reader.clone().recipient()),
        versions: readers.port(reader.clone().recipient()),
        search: searches.port_to(&indexer),
        sessions: readers.port(reader.clone().recipient()),
        invites: readers.port(reader.clone().recipient()),
        bots: readers.port(reader.clone().recipient()),
        subscriptions: readers.port(reader.clone().recipient()),
        link_of: readers.port(reader.clone().recipient()),
        registration: readers.port(reader.clone().recipient()),
        passwords: Passwords::open(HASHERS, metrics),
        typing: hub.typing.clone(),
        online: hub.online.clone(),
        surroundings: hub.surroundings.clone(),
        files: files.sessions,
    };
    let executor = Executor::new(ports, session_settings(settings), directory.clone());
    let (appointing, importing) = (Arc::clone(&executor), Arc::clone(&executor));
    let inside = gate::Inside {
        executor,
        standing: consensus.standing.clone(),
        barrier: consensus.read_barrier.clone(),
        hub: hub.clone(),
        directory: directory.clone(),
        ping_every: PING_EVERY,
        files: files.people,
        export: ExportPorts {
            barrier: consensus.read_barrier.clone(),
            tables_at: readers.port(reader.clone().recipient()),
            page: readers.port(reader.clone().recipient()),
        },
        exports: Exports::default(),
    };
    let inside = Arc::new(inside);
    gate.open(Arc::clone(&inside));
    peer_edge.open(peer::Inside {
        own,
        cluster,
        supersedes,
        roll,
        directory,
        stranger: consensus.stranger.clone(),
        change: consensus.change.clone(),
        standing: consensus.standing.clone(),
        seen: Seen::default(),
        step: consensus.step.clone(),
        forwarded: consensus.forwarded.clone(),
        heard: hub.heard.clone(),
        disk_report: consensus.disk_report.clone(),
        peer_counted: audit.port(auditor.clone().recipient()),
        vouch: audit.port(auditor.recipient()),
        copies: CopyPorts {
            barrier: consensus.read_barrier.clone(),
            tables_at: state_readers.port(state_reader.clone().recipient()),
        },
        files: files.peers,
        export: ExportPorts {
            barrier: consensus.read_barrier.clone(),
            tables_at: state_readers.port(state_reader.clone().recipient()),
            page: state_readers.port(state_reader.clone().recipient()),
        },
        exports: Exports::default(),
        state_page: state_readers.port(state_reader.recipient()),
        cluster_answer: Arc::new(move || {
            let inside = Arc::clone(&inside);
            Box::pin(async move { cluster_answer(&inside).await })
        }),
        appoint: Arc::new(move |name| {
            let executor = Arc::clone(&appointing);
            Box::pin(async move { executor.appoint(&name).await })
        }),
        import: Arc::new(move |asked| {
            let executor = Arc::clone(&importing);
            Box::pin(async move { executor.import(asked.items, asked.into_existing).await })
        }),
    });
    let Consensus { step_down, retire, .. } = consensus;
    Ok(RunningNode { step_down, drain: hub.drain, retire, parting, metrics: metrics.clone() })
}

/// Starts the store; on a full disk, as soon as there is room.
async fn start_store(store: &mut Store) -> Result<Opened, StartError> {
    let mut warned = false;
    loop {
        match store.start() {
            Err(StartError::Store(error @ StoreError::Full { .. })) => {
                if !warned {
                    warn!(%error, "the disk is full: this node starts when there is room");
                }
                warned = true;
                tokio::time::sleep(FULL_PAUSE).await;
            }
            done => return done,
        }
    }
}

fn directory(opened: &Opened) -> Directory {
    Directory {
        cluster: opened.cluster.clone(),
        epoch: opened.epoch.clone(),
        node: opened.node.clone(),
        nodes: opened.roll.listed(),
    }
}

fn session_settings(settings: &Settings) -> SessionSettings {
    let limits = &settings.limits;
    SessionSettings {
        limits: Limits {
            message_bytes: limits.message_bytes,
            frame_bytes: limits.frame_bytes,
            file_bytes: limits.file_bytes,
            messages_per_second: limits.messages_per_second,
            logins_per_minute: limits.logins_per_minute,
        },
        registration: settings.accounts.registration,
        first_is_admin: settings.is_loopback_only(),
        allow_private: settings.hooks.allow_private,
        heartbeat_ms: u64::try_from(PING_EVERY.as_millis()).unwrap_or(u64::MAX),
    }
}

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
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let asks_as = opened.boot.of_process(u32::from_be_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]));
    store.asks_as(asks_as);
    let node = node(&opened, asks_as, &settings)?;
    let run = hex::encode(drawn);
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
        let config = roster_config(&opened, parts.own_url, parts.secret, run, &metrics);
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
    own_url: String,
    secret: Secret,
    run: String,
    metrics: &Metrics,
) -> RosterConfig {
    let link = PeerLinkConfig {
        peer: opened.raft_id,
        url: own_url.clone(),
        secret,
        cluster: opened.cluster.clone(),
        own: opened.raft_id,
        own_url,
        boot: opened.boot,
        run,
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
