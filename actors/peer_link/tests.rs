//! `PeerLink` against a real HTTP server on loopback.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};
use tokio::sync::{Semaphore, mpsc};

use super::lane::LaneLimits;
use super::wire::Parcel;
use super::{OwnRun, PeerLink, PeerLinkConfig, PeerLinkPorts, Secret, Seen};
use crate::bus::{Envelope, News, Post, Seat};
use crate::chat::command::Item;
use crate::ids::{Boot, Origin, RaftId, Term};
use crate::messages::consensus::{Chain, Died, Unreachable};
use crate::messages::links::{Forward, LinkState, Send};
use crate::metrics::Metrics;

const ENOUGH: Duration = Duration::from_secs(10);

/// Writes down what the link tells.
struct Listener {
    heard: mpsc::UnboundedSender<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Unreachable,
    Died,
    Up(bool),
}

impl Actor for Listener {
    type Context = Context<Self>;
}

macro_rules! listens {
    ($($message:ty => $told:expr),+) => {$(
        impl Handler<Envelope<$message>> for Listener {
            type Result = ();
            fn handle(&mut self, envelope: Envelope<$message>, _: &mut Self::Context) {
                let told: fn($message) -> Told = $told;
                let _closed = self.heard.send(told(envelope.open().0));
            }
        }
    )+};
}
listens!(Unreachable => |_| Told::Unreachable, Died => |_| Told::Died, LinkState => |state| Told::Up(state.up));

/// A peer that writes down what it gets, and answers parcels with appends only as the test lets it.
#[derive(Clone)]
struct Peer {
    got: Arc<Mutex<Vec<Parcel>>>,
    answers: Arc<Semaphore>,
}

impl Peer {
    fn new(answers: usize) -> Self {
        Self { got: Arc::default(), answers: Arc::new(Semaphore::new(answers)) }
    }

    fn serve(&self, listener: TcpListener) -> ServerHandle {
        let peer = web::Data::new(self.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(peer.clone())
                .app_data(web::PayloadConfig::new(super::wire::PARCEL_BYTES_MAX))
                .route(super::wire::PARCEL_PATH, web::post().to(parcel))
                .route(super::wire::HOLD_PATH, web::get().to(hold))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        handle
    }

    /// The indexes of the Raft messages in each parcel that had any.
    fn indexes(&self) -> Vec<Vec<u64>> {
        let index = |bytes: &serde_bytes::ByteBuf| Message::parse_from_bytes(bytes).unwrap().index;
        let parcels = self.got.lock().unwrap();
        parcels
            .iter()
            .map(|parcel| parcel.raft.iter().map(index).collect())
            .filter(|list: &Vec<_>| !list.is_empty())
            .collect()
    }
}

async fn parcel(peer: web::Data<Peer>, body: Bytes) -> HttpResponse {
    let parcel = Parcel::decode(&body).unwrap();
    let appends =
        parcel.messages(1, 2).unwrap().iter().any(|message| message.get_msg_type() == MessageType::MsgAppend);
    peer.got.lock().unwrap().push(parcel);
    if appends {
        peer.answers.acquire().await.unwrap().forget();
    }
    HttpResponse::NoContent().finish()
}

async fn hold() -> HttpResponse {
    let first = futures_util::stream::iter([Ok::<_, actix_web::Error>(Bytes::from_static(b"."))]);
    let never = futures_util::stream::pending();
    HttpResponse::Ok().streaming(futures_util::StreamExt::chain(first, never))
}

struct Link {
    link: Addr<PeerLink>,
    seat: Seat,
    told: mpsc::UnboundedReceiver<Told>,
}

fn link(to: SocketAddr, limits: LaneLimits) -> Link {
    let metrics = Metrics::new();
    let (heard, told) = mpsc::unbounded_channel();
    let listener = Listener { heard }.start();
    let seat = Seat::new(&metrics, "listener", 1_000);
    let mut state = News::default();
    state.subscribe(seat.port(listener.clone().recipient()));
    let ports = PeerLinkPorts {
        unreachable: seat.port(listener.clone().recipient()),
        died: seat.port(listener.recipient()),
        state,
        dismissed: News::default(),
    };
    let config = PeerLinkConfig {
        peer: RaftId(2),
        url: format!("http://{to}"),
        secret: Secret::new("a secret"),
        cluster: "c0ffee".to_owned(),
        own: RaftId(1),
        own_url: "http://own".to_owned(),
        run: OwnRun { boot: Boot(1), name: "a".to_owned(), began_in: Term(1) },
        seen: Seen::default(),
        limits,
    };
    let seat = Seat::new(&metrics, "link", 10_000);
    Link { link: PeerLink::new(config, ports, &seat).unwrap().start(), seat, told }
}

impl Link {
    fn send<M: Post>(&self, message: M)
    where
        PeerLink: Handler<Envelope<M>>,
    {
        self.seat.port(self.link.clone().recipient()).tell(message);
    }

    fn raft(&self, kind: MessageType, indexes: impl IntoIterator<Item = u64>) {
        let message = |index| {
            let mut message = Message { from: 1, to: 2, index, ..Message::default() };
            message.set_msg_type(kind);
            message
        };
        self.send(Send { messages: indexes.into_iter().map(message).collect() });
    }

    async fn wait_for(&mut self, what: Told) {
        let found = async { while self.told.recv().await != Some(what) {} };
        tokio::time::timeout(ENOUGH, found).await.unwrap_or_else(|_| panic!("never told: {what:?}"));
    }
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    let soon = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(ENOUGH, soon).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[actix_web::test]
async fn one_post_is_under_way_and_the_next_carries_all_that_waited_in_order() {
    let peer = Peer::new(0);
    let (listener, address) = listener();
    let server = peer.serve(listener);
    let link = link(address, LaneLimits::default());
    link.raft(MessageType::MsgAppend, [1]);
    eventually("the first append", || peer.indexes() == [[1]]).await;
    for index in 2..=100 {
        link.raft(MessageType::MsgAppend, [index]);
    }
    link.raft(MessageType::MsgHeartbeat, [1_000]);
    eventually("a heartbeat passes by", || peer.indexes() == [[1], [1_000]]).await;
    peer.answers.add_permits(100);
    eventually("the rest", || peer.indexes().len() == 3).await;
    assert_eq!(peer.indexes()[2], (2..=100).collect::<Vec<_>>());
    server.stop(false).await;
}

#[actix_web::test]
async fn commands_go_behind_the_appends_before_them() {
    let peer = Peer::new(100);
    let (listener, address) = listener();
    let server = peer.serve(listener);
    let link = link(address, LaneLimits::default());
    let item = |number| Item {
        origin: Origin { node: RaftId(1), boot: Boot(1), number },
        command: serde_bytes::ByteBuf::from(vec![0; 100_000]),
    };
    link.send(Forward { term: Term(1), chain: Chain { after: 0, items: (1..=20).map(item).collect() } });
    let numbers = || -> Vec<u64> {
        peer.got
            .lock()
            .unwrap()
            .iter()
            .flat_map(|parcel| &parcel.items)
            .map(|(_, item)| item.origin.number)
            .collect()
    };
    eventually("all commands", || numbers().len() == 20).await;
    assert_eq!(numbers(), (1..=20).collect::<Vec<_>>());
    server.stop(false).await;
}

#[actix_web::test]
async fn what_finds_no_room_is_dropped_and_said_to_be_unreachable() {
    let peer = Peer::new(0);
    let (listener, address) = listener();
    let server = peer.serve(listener);
    let mut link = link(address, LaneLimits { messages_max: 3, ..LaneLimits::default() });
    link.raft(MessageType::MsgAppend, [1]);
    eventually("the first append", || peer.indexes() == [[1]]).await;
    link.raft(MessageType::MsgAppend, 2..=9);
    link.wait_for(Told::Unreachable).await;
    peer.answers.add_permits(100);
    eventually("the ones that found room", || peer.indexes().len() == 2).await;
    assert_eq!(peer.indexes(), [vec![1], vec![2, 3, 4]]);
    server.stop(false).await;
}

#[actix_web::test]
async fn a_process_that_ends_is_known_at_once_and_found_again() {
    let peer = Peer::new(100);
    let (listener, address) = listener();
    let server = peer.serve(listener);
    let mut link = link(address, LaneLimits::default());
    link.wait_for(Told::Up(true)).await;
    server.stop(false).await;
    link.wait_for(Told::Died).await;
    link.raft(MessageType::MsgAppend, [1]);
    link.wait_for(Told::Unreachable).await;

    let server = peer.serve(TcpListener::bind(address).unwrap());
    link.wait_for(Told::Up(true)).await;
    link.raft(MessageType::MsgAppend, [2]);
    eventually("the append after the return", || peer.indexes().last().is_some_and(|last| last.contains(&2)))
        .await;
    server.stop(false).await;
}
