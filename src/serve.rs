//! The life of one node: open, found, wire, serve, drain.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use anyhow::{Context as _, bail};
use chat_actors::essential;
use chat_actors::founding::Listed;
use chat_actors::membership::{Admission, Foundation, Founding, Retirement};
use chat_actors::messages::links::{Dismissal, Dismissed};
use chat_actors::metrics::Metrics;
use chat_actors::peer_link::client::{Failure, client, good};
use chat_actors::peer_link::{Secret, wire};
use chat_actors::storage::{FoundingError, Store, StoreError, known_peers, suspect};
use futures_util::future::join_all;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::departure::Parting;
use crate::edge::gate::Gate;
use crate::edge::peer::{self, PeerEdge};
use crate::edge::people;
use crate::founding::{Book, Desk, Identity, digits, found};
use crate::settings::{BindAddress, Settings};
use crate::signals::StopSignals;
use crate::succession::{self, farewell};
use crate::terminal::say;
use crate::wiring::{self, Leave};

/// Connections that may wait to be accepted: everybody comes at once when a node has died.
const BACKLOG: i32 = 1_024;
const WORKERS_MAX: usize = 4;
/// A drain takes no longer, whatever hangs.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long leadership may take to move.
const HAND_OVER_MAX: Duration = Duration::from_millis(1_200);
/// How long clients may take to go.
const FAREWELL_MAX: Duration = Duration::from_millis(700);
/// How long the answers to HTTP requests under way may take: each that has come whole has an outcome within 5 s.
const ANSWERS_MAX: Duration = Duration::from_millis(5_500);
/// How long the file may take to say that its node is part of its chat no more.
const RETIRE_MAX: Duration = Duration::from_secs(1);
/// A member that does not say within this that this node was removed will say so later.
const REMOVED_ANSWER_MAX: Duration = Duration::from_secs(1);
/// Links drop a connection that was idle for 30 s; the server must not be first.
const PEER_KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Runs a node until it is told to stop.
///
/// # Errors
/// When the machine does not let it start: a port, the directory, the file.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let people = listen(&settings.http.bind).with_context(|| settings.said("http.bind"))?;
    let peers = listen(&settings.peer.bind).with_context(|| settings.said("peer.bind"))?;
    let store = Store::open(&settings.node.data_dir, &settings.node.name);
    let mut store = store.with_context(|| settings.said("node.data_dir"))?;
    if let Some(why) = store.retirement()? {
        let word = match why {
            Retirement::Superseded => "another cluster came in the place of the one in its data_dir",
            Retirement::Removed => "the chat in its data_dir goes on without it",
        };
        bail!(farewell(&settings.node.name, why, word));
    }
    if store.disk()?.is_none() {
        store.set_disk(&digits::<8>()?)?;
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
    let (members, join) = whom_to_ask(&settings, &store)?;
    let who = Identity {
        own: Listed {
            name: settings.node.name.clone(),
            peer: settings.peer.url.to_string(),
            public: settings.http.public_url.to_string(),
        },
        members,
        join,
        supersedes: store.supersedes()?,
        disk: store.disk()?.unwrap_or_default(),
    };
    let desk = Desk::new(who, Ledger(store))?;
    let peer_edge = Arc::new(PeerEdge::new(secret.clone(), desk.clone()));
    let (peer_server, peer_thread) = serve_peers(&peer_edge, peer_listener)?;
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
    let Ledger(mut store) = desk.close()?;
    // Both ask the same nodes, of which some may be gone without a word: at once, not one after the other.
    let (gone, succeeded) = tokio::join!(removed(&secret, &store), superseded(&settings, &secret, &store));
    for (word, why) in [(gone?, Retirement::Removed), (succeeded?, Retirement::Superseded)] {
        if let Some(word) = word {
            if let Err(error) = store.retire(why) {
                warn!(%error, "the file cannot say so itself: it is asked again at the next start");
            }
            bail!(farewell(&settings.node.name, why, &word));
        }
    }
    warn_of_other_addresses(&settings, &store)?;
    let thread = its_handle(peer_thread).await?;
    let mut node = tokio::select! {
        node = wiring::start_node(&settings, &metrics, &secret, store, &gate, &peer_edge, &thread) => node?,
        () = signals.next() => {
            info!("stopped before the node was started");
            return Ok(());
        }
    };
    say(&format!("listening on {}", settings.http.public_url));

    let parting = tokio::select! {
        () = signals.next() => None,
        parting = node.parting() => Some(parting),
    };
    let leave = match &parting {
        None => Leave::Stops,
        Some(Parting { news: Dismissed { why: Dismissal::WentBack, word, .. }, .. }) => {
            return begin_anew(&settings, &format!("the disk went back in time: {word}"));
        }
        Some(Parting { news: Dismissed { why: Dismissal::Damaged, word, .. }, .. }) => {
            gate.stop();
            let _late = tokio::time::timeout(HAND_OVER_MAX, node.step_down()).await;
            return begin_anew(&settings, &format!("chat.db is damaged: {word}"));
        }
        Some(Parting { news: Dismissed { why: Dismissal::Retired(why), .. }, .. }) => {
            if *why == Retirement::Removed { Leave::Removed } else { Leave::Stops }
        }
    };
    info!("stopping: handing over and saying goodbye");
    gate.stop();
    let drain = async {
        let _late = tokio::time::timeout(HAND_OVER_MAX, node.step_down()).await;
        let (_late, ()) =
            tokio::join!(tokio::time::timeout(FAREWELL_MAX, node.farewell(leave)), gate.close(ANSWERS_MAX),);
        if let Some(Parting { news: Dismissed { why: Dismissal::Retired(why), .. }, .. }) = &parting {
            // A disk that takes nothing keeps nobody here: at the next start the others say it again.
            let _later = tokio::time::timeout(RETIRE_MAX, node.retire(*why)).await;
        }
        stop(&people_server).await;
        stop(&peer_server).await;
    };
    tokio::select! {
        () = drain => info!("stopped"),
        () = tokio::time::sleep(DRAIN_MAX) => warn!("stopped: the drain took too long"),
        () = signals.next() => warn!("stopped at once: asked twice"),
    }
    match parting {
        Some(Parting { news: Dismissed { why: Dismissal::Retired(why), word, .. }, in_office }) => {
            let said = farewell(&settings.node.name, why, &word);
            anyhow::ensure!(why == Retirement::Removed && in_office, said);
            say(&said);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Nothing that this disk holds can be relied upon: it is set aside at once, before this node promises
/// anything more, and the node starts again, as a new replica.
fn begin_anew(settings: &Settings, word: &str) -> anyhow::Result<()> {
    let name = &settings.node.name;
    suspect(&settings.node.data_dir, word).context("cannot note that the file is suspect")?;
    tracing::error!("{word}; it is set aside, and {name} joins anew");
    let mut again = Command::new(std::env::current_exe().context("cannot find this program")?);
    // Returns only when it fails.
    let error = again.args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("{word}; start {name} again, and it joins anew"))
}

/// The others reach this node where the chat has it, not where its settings say: it would seem to be cut off.
fn warn_of_other_addresses(settings: &Settings, store: &Store) -> anyhow::Result<()> {
    let (own, peer, public) = (store.raft_id()?, &settings.peer.url, &settings.http.public_url);
    let Some(here) = store.nodes()?.into_iter().find(|node| node.raft_id == own) else { return Ok(()) };
    for (key, known, set) in
        [("peer.url", &here.peer, peer.to_string()), ("http.public_url", &here.public, public.to_string())]
    {
        if *known != set {
            warn!(
                "{key} is {set:?}, but the chat has this node at {known:?} and looks for it there: set it back, or \
                 `members remove` this node and start it with an empty data_dir"
            );
        }
    }
    Ok(())
}

/// Whether another cluster came in the place of this node's meanwhile; in whose, in words. Asked before
/// the node stands for election or serves.
async fn superseded(settings: &Settings, secret: &Secret, store: &Store) -> anyhow::Result<Option<String>> {
    let Foundation::Founded(record) = store.foundation()? else { return Ok(None) };
    let members = succession::others(settings, &store.nodes()?);
    let standing = succession::who_answers(&members, secret).await;
    Ok(succession::successor(&standing, &record.cluster))
}

/// Whether the others have removed this node meanwhile, as one of them says it. Asked before the node
/// stands for election or serves.
async fn removed(secret: &Secret, store: &Store) -> anyhow::Result<Option<String>> {
    let Foundation::Founded(record) = store.foundation()? else { return Ok(None) };
    let (own, roll) = (store.raft_id()?, store.roll()?);
    let asking = roll.here().into_iter().filter(|node| node.raft_id != own).map(|node| {
        let client = client(REMOVED_ANSWER_MAX);
        let request = client
            .get(format!("{}{}", node.peer.trim_end_matches('/'), wire::HOLD_PATH))
            .insert_header(("authorization", secret.bearer()))
            .insert_header((wire::CLUSTER, record.cluster.as_str()))
            .insert_header((wire::FROM, own.to_string()))
            .insert_header((wire::TO, node.raft_id.to_string()));
        async move {
            match good(request.send().await).await {
                Err(Failure::Refused(said)) if said.code == wire::REMOVED => Some(said.message),
                _ => None,
            }
        }
    });
    Ok(join_all(asking).await.into_iter().flatten().next())
}

async fn stop(server: &ServerHandle) {
    // Without grace: held responses never end, and clients have been told.
    server.stop(false).await;
}

/// Serves the other nodes on one thread, which is told as soon as it runs: consensus lives there too.
fn serve_peers(
    edge: &Arc<PeerEdge>,
    listener: TcpListener,
) -> anyhow::Result<(ServerHandle, watch::Receiver<Option<ArbiterHandle>>)> {
    let edge = Arc::clone(edge);
    let (tell, thread) = watch::channel(None);
    let app = move || {
        tell.send_replace(Some(Arbiter::current()));
        App::new().configure(peer::configure(&edge))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .keep_alive(PEER_KEEP_ALIVE)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)
        .context("cannot serve the other nodes")?
        .run();
    let handle = server.handle();
    actix::spawn(server);
    Ok((handle, thread))
}

async fn its_handle(mut thread: watch::Receiver<Option<ArbiterHandle>>) -> anyhow::Result<ArbiterHandle> {
    let told = thread.wait_for(Option::is_some).await.ok().and_then(|handle| handle.clone());
    told.context("the thread of the peer port has ended")
}

/// Threads that serve people: as many as the machine has, within reason.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(WORKERS_MAX)
}

/// Takes a port, or says who should make room.
fn listen(address: &BindAddress) -> anyhow::Result<TcpListener> {
    let text = address.to_string();
    let Some(resolved) = text.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        bail!("cannot listen on {text}: its name cannot be resolved: choose an address of this machine");
    };
    let take = || {
        let socket = Socket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(BACKLOG)?;
        Ok::<_, io::Error>(TcpListener::from(socket))
    };
    take().map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "stop what uses that port, or choose another one",
            io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
            io::ErrorKind::PermissionDenied => {
                "choose a port from 1024 on, or allow this user to take that one"
            }
            _ => "choose another address",
        };
        anyhow::anyhow!("cannot listen on {text}: {error}: {remedy}")
    })
}

/// The members that the settings list, or where to ask to be let in. Whoever lists nobody but itself founded a chat alone,
/// and others may have come since: when its file was set aside, they are where that file had them.
fn whom_to_ask(settings: &Settings, store: &Store) -> anyhow::Result<(Vec<Listed>, Vec<String>)> {
    let members = listed(settings);
    let mut join: Vec<String> = settings.cluster.join.iter().map(ToString::to_string).collect();
    let lists_others = members.iter().any(|member| member.name != settings.node.name);
    if lists_others || store.foundation()? != Foundation::Empty {
        return Ok((members, join));
    }
    let known = known_peers(&settings.node.data_dir).context("cannot read who was in the chat")?;
    if known.is_empty() {
        return Ok((members, join));
    }
    join.extend(known);
    Ok((Vec::new(), join))
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

    fn admit(&mut self, admission: &Admission) -> Result<(), FoundingError> {
        let done = self.0.admit(admission);
        self.trust(done)
    }
}
