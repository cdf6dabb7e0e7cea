//! The life of one node: open, found, wire, serve, drain.

use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use anyhow::{Context as _, bail};
use chat_actors::essential;
use chat_actors::founding::Listed;
use chat_actors::membership::{Foundation, Founding};
use chat_actors::metrics::Metrics;
use chat_actors::peer_link::Secret;
use chat_actors::storage::{self, FoundingError, Store, StoreError};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

use crate::edge::gate::Gate;
use crate::edge::peer::{self, PeerEdge};
use crate::edge::people;
use crate::founding::{Book, Desk, found};
use crate::settings::{BindAddress, Settings};
use crate::signals::StopSignals;
use crate::terminal::say;
use crate::wiring;

/// Connections that may wait to be accepted: everybody comes at once when a node has died.
const BACKLOG: i32 = 1_024;
const WORKERS_MAX: usize = 4;
/// A drain takes no longer, whatever hangs.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long leadership may take to move.
const HAND_OVER_MAX: Duration = Duration::from_millis(1_200);
/// How long clients may take to go.
const FAREWELL_MAX: Duration = Duration::from_millis(700);
/// Links drop a connection that was idle for 30 s; the server must not be first.
const PEER_KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Runs a node until it is told to stop.
///
/// # Errors
/// When the machine does not let it start: a port, the directory, the file.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let people = listen(&settings.http.bind, "http.bind")?;
    let peers = listen(&settings.peer.bind, "peer.bind")?;
    let store = Store::open(&settings.node.data_dir, &settings.node.name)?;
    if settings.cluster.members.is_empty() && store.foundation()? == Foundation::Empty {
        bail!(
            "{} has an empty disk and cluster.join: this version cannot add a node to a running chat, only \
             found one from cluster.members",
            settings.node.name
        );
    }
    let metrics = Metrics::new();
    essential::watch(&metrics);
    let system = actix::System::new();
    system.block_on(live(settings, metrics, store, people, peers))
}

async fn live(
    settings: Settings,
    metrics: Metrics,
    store: Store,
    people_listener: TcpListener,
    peer_listener: TcpListener,
) -> anyhow::Result<()> {
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let secret = Secret::new(settings.peer.secret.reveal());
    let desk = Desk::new(settings.node.name.clone(), listed(&settings), Ledger(store))?;
    let peer_edge = Arc::new(PeerEdge::new(secret.clone(), desk.clone()));
    let peer_server = serve_peers(&peer_edge, peer_listener)?;
    let gate = Arc::new(Gate::new(metrics.clone(), settings.limits.frame_bytes));
    let people_server = people::serve(&gate, people_listener, workers())?;
    info!(node = settings.node.name, version = env!("CARGO_PKG_VERSION"), "starting");

    tokio::select! {
        founding = found(&desk, &secret) => drop(founding?),
        () = signals.next() => {
            info!("stopped before the chat was founded");
            return Ok(());
        }
    }
    let Ledger(store) = desk.close()?;
    let mut node = tokio::select! {
        node = wiring::start_node(&settings, &metrics, &secret, store, &gate, &peer_edge) => node?,
        () = signals.next() => {
            info!("stopped before the node was started");
            return Ok(());
        }
    };
    say(&format!("listening on {}", settings.http.public_url));

    tokio::select! {
        () = signals.next() => {}
        why = &mut node.damaged => return leave_aside(&settings, &node, &gate, why.ok()).await,
    }
    info!("stopping: handing over and saying goodbye");
    gate.stop();
    let drain = async {
        let _late = tokio::time::timeout(HAND_OVER_MAX, node.step_down()).await;
        let _late = tokio::time::timeout(FAREWELL_MAX, node.farewell()).await;
        stop(&people_server).await;
        stop(&peer_server).await;
    };
    tokio::select! {
        () = drain => info!("stopped"),
        () = tokio::time::sleep(DRAIN_MAX) => warn!("stopped: the drain took too long"),
        () = signals.next() => warn!("stopped at once: asked twice"),
    }
    Ok(())
}

/// The node's file cannot be trusted: it hands over, notes that, and ends. The next start leaves the file
/// aside.
async fn leave_aside(
    settings: &Settings,
    node: &wiring::RunningNode,
    gate: &Gate,
    why: Option<String>,
) -> anyhow::Result<()> {
    gate.stop();
    let why = why.unwrap_or_else(|| "nobody watches over it any more".to_owned());
    let _late = tokio::time::timeout(HAND_OVER_MAX, node.step_down()).await;
    storage::suspect(&settings.node.data_dir, &why).context("cannot note that chat.db is damaged")?;
    let name = &settings.node.name;
    bail!(
        "chat.db of {name} is damaged ({why}): start {name} again, and it gets the chat anew from the others"
    )
}

async fn stop(server: &ServerHandle) {
    // Without grace: held responses never end, and clients have been told.
    server.stop(false).await;
}

fn serve_peers(edge: &Arc<PeerEdge>, listener: TcpListener) -> anyhow::Result<ServerHandle> {
    let edge = Arc::clone(edge);
    let server = HttpServer::new(move || App::new().configure(peer::configure(&edge)))
        .workers(1)
        .keep_alive(PEER_KEEP_ALIVE)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)
        .context("cannot serve the other nodes")?
        .run();
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}

/// Threads that serve people: as many as the machine has, within reason.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(WORKERS_MAX)
}

/// Takes a port, or says who should make room.
fn listen(address: &BindAddress, key: &str) -> anyhow::Result<TcpListener> {
    let text = address.to_string();
    let Some(resolved) = text.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        bail!("cannot listen on {text} ({key}): no such address");
    };
    let take = || {
        let socket = Socket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(BACKLOG)?;
        Ok::<_, std::io::Error>(TcpListener::from(socket))
    };
    take().with_context(|| {
        format!("cannot listen on {text} ({key}): stop what uses that port, or choose another one")
    })
}

fn listed(settings: &Settings) -> Vec<Listed> {
    let members = settings.cluster.members.iter().map(|member| Listed {
        name: member.name.clone(),
        peer: member.peer.to_string(),
        public: member.public.to_string(),
    });
    members.collect()
}

/// The store, as founding writes to it.
struct Ledger(Store);

impl Ledger {
    /// A disk that failed is asked nothing more: the process ends.
    fn trust<T>(&self, done: Result<T, FoundingError>) -> Result<T, FoundingError> {
        if let Err(FoundingError::Store(error @ StoreError::Damaged { .. })) = &done {
            self.0.suspect(&error.to_string());
            essential::end_process(error);
        }
        done
    }
}

impl Book for Ledger {
    type Error = FoundingError;

    fn foundation(&self) -> Result<Foundation, FoundingError> {
        self.trust(self.0.foundation())
    }

    fn propose(&mut self, founding: &Founding) -> Result<(), FoundingError> {
        let done = self.0.propose_founding(founding);
        self.trust(done)
    }

    fn confirm(&mut self) -> Result<(), FoundingError> {
        let done = self.0.confirm_founding();
        self.trust(done)
    }

    fn drop(&mut self) -> Result<(), FoundingError> {
        let done = self.0.drop_founding();
        self.trust(done)
    }
}
