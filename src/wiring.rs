//! Builds one node: its actors, and who has a port to whom. The one place that knows them all.

mod consensus;
mod files;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle};
use chat_actors::audit::actor::Auditor;
use chat_actors::bus::{News, Port, Seat};
use chat_actors::courier::{Begin, Courier, CourierConfig, CourierPorts};
use chat_actors::files::nodes::Asking;
use chat_actors::hub::Hub;
use chat_actors::ids::Term;
use chat_actors::indexer::Indexer;
use chat_actors::indexer::actor::IndexerConfig;
use chat_actors::membership::{Directory, Retirement};
use chat_actors::messages::consensus::StepDown;
use chat_actors::messages::disk::Retire;
use chat_actors::messages::hub::Drain;
use chat_actors::metrics::Metrics;
use chat_actors::passwords::Passwords;
use chat_actors::peer_link::{OwnRun, Secret, Seen};
use chat_actors::reader::Reader;
use chat_actors::session::Executor;
use chat_actors::session::executor::{Config as SessionSettings, Ports as SessionPorts};
use chat_actors::session::reply::Limits;
use chat_actors::storage::{Opened, StartError, Store, StoreError};
use tokio::sync::{oneshot, watch};
use tracing::warn;

use self::consensus::{Consensus, Listeners, Parts, start_consensus};
use crate::departure::{Departure, Parting};
use crate::edge::cluster_answer;
use crate::edge::copies::CopyPorts;
use crate::edge::export::{ExportPorts, Exports};
use crate::edge::gate::{self, Gate};
use crate::edge::peer::{self, PeerEdge};
use crate::settings::Settings;

/// Messages that may wait for an actor before whoever can be put off is.
const AUDIT_MAILBOX: usize = 1_024;
const READER_MAILBOX: usize = 4_096;
const READERS: u32 = 2;
/// Questions of other nodes, which are answered beside those of people.
const STATE_MAILBOX: usize = 64;
const SEARCH_MAILBOX: usize = 1_024;
/// One says as much as many.
const GROWN_MAILBOX: usize = 1;
const COURIER_MAILBOX: usize = 64;
const HASHERS: usize = 2;
/// Between two tries to start on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// The server pings its clients so often; they are told, and may take a longer silence for death.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How often it is looked whether the last client has gone.
const FAREWELL_LOOK: Duration = Duration::from_millis(5);
const GOING_AWAY: u16 = 1001;
const REMOVED: u16 = 4001;

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
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let [first, second, third, fourth, ..] = drawn;
    let run = OwnRun { boot, name: hex::encode(drawn), began_in: Term(opened.hard_state.term) };
    let seen = Seen::default();
    let departed = listeners.dismissed.clone();
    let parts = Parts {
        store,
        opened,
        run: run.clone(),
        seen: seen.clone(),
        asks_as: boot.of_process(u32::from_be_bytes([first, second, third, fourth])),
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
        seen,
        run,
        dismissed: departed,
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
