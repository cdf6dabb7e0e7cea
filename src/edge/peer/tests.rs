//! The peer port, with real links and with requests by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;

use actix::{Actor, Context, Handler};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use chat_actors::bus::{Envelope, Seat};
use chat_actors::chat::command::Item;
use chat_actors::founding::Answer;
use chat_actors::ids::{At, Boot, Origin, Term};
use chat_actors::membership::{Foundation, NodeRow};
use chat_actors::messages::audit::{PeerCounted, Vouch};
use chat_actors::messages::consensus::{Chain, Died, ReadBarrier, Unreachable};
use chat_actors::messages::files::{BeginCopy, Discredit, Fetch, Finish, Held, Hold, OpenFile};
use chat_actors::messages::links::{Forward, Gossip, LinkState, Send};
use chat_actors::messages::news::DiskRoom;
use chat_actors::messages::reading::{ExportPage, StatePage, StatePageAnswer, TablesAt};
use chat_actors::messages::transfer::Transfer;
use chat_actors::metrics::Metrics;
use chat_actors::peer_link::lane::LaneLimits;
use chat_actors::peer_link::{PeerLink, PeerLinkConfig, PeerLinkPorts};
use chat_actors::session::links::Appointed;
use raft::eraftpb::{Message, MessageType};

use super::*;

/// Writes down in words what arrives at either end.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|noted| noted == line)
    }

    async fn wait_for(&self, line: &str) {
        let noted = async {
            while !self.has(line) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), noted).await;
        assert!(in_time.is_ok(), "never: {line}; only: {:?}", self.0.lock().unwrap());
    }
}

impl Actor for Notes {
    type Context = Context<Self>;
}

macro_rules! notes {
    ($($message:ty => $words:expr),+ $(,)?) => {$(
        impl Handler<Envelope<$message>> for Notes {
            type Result = ();
            fn handle(&mut self, envelope: Envelope<$message>, _: &mut Self::Context) {
                let words: fn($message) -> String = $words;
                self.0.lock().unwrap().push(words(envelope.open().0));
            }
        }
    )+};
}
notes! {
    Step => |step| format!("step {:?}", step.messages.iter().map(|message| message.index).collect::<Vec<_>>()),
    Forwarded => |forwarded| format!("forwarded by {} to the leader of {}: {}", forwarded.from, forwarded.term, forwarded.chain.items.len()),
    PeerCounted => |counted| format!("rows of {} as of {}", counted.from, counted.index),
    Vouch => |ask| {
        ask.reply.send(Ok(())).ok();
        "vouch".to_owned()
    },
    DiskReport => |report| format!("{} MB free at {}, {:?}", report.room.free_mb, report.of, report.room.transfer),
    Heard => |heard| format!("heard from {}: {:?}", heard.from, heard.word),
    StatePage => |ask| {
        let behind = ask.horizon > At(50);
        let answer = if behind { StatePageAnswer::Behind(At(50)) } else { StatePageAnswer::Page("page".into()) };
        ask.reply.send(Ok(answer)).ok();
        format!("state after {}, {} bytes", ask.after, ask.bytes_max)
    },
    Unreachable => |news| format!("unreachable {}", news.peer),
    ReadBarrier => |_| "read barrier".to_owned(),
    TablesAt => |_| "tables at".to_owned(),
    ExportPage => |_| "export page".to_owned(),
    Hold => |ask| {
        let words = format!("hold {} for {:?}", ask.files.len(), ask.user);
        ask.reply.send(ask.files.iter().map(|_| Held::default()).collect()).ok();
        words
    },
    BeginCopy => |begin| format!("copy of {} bytes", begin.bytes),
    Finish => |_| "finish".to_owned(),
    OpenFile => |ask| {
        ask.reply.send(None).ok();
        format!("open {}", ask.file)
    },
    Discredit => |news| format!("discredit {}", news.file),
    Fetch => |ask| format!("fetch {}", ask.file),
    Died => |news| format!("died {}", news.peer),
    LinkState => |state| format!("{} {}", state.peer, if state.up { "up" } else { "down" }),
    ChangeMembers => |change| format!("wants {:?}", change.wish),
    Standing => |_| "standing".to_owned(),
    Stranger => |stranger| format!("stranger {} at {}", stranger.id, stranger.url),
    Dismissed => |news| format!("dismissed by {}: {:?}, {}", news.by, news.why, news.word),
}

struct NotYet;

impl FoundingDesk for NotYet {
    fn answer(&self) -> Result<Answer, String> {
        let (name, run) = ("node2".to_owned(), "0".to_owned());
        Ok(Answer {
            name,
            run,
            members: Vec::new(),
            foundation: Foundation::Empty,
            supersedes: Vec::new(),
            disk: String::new(),
        })
    }

    fn obey(&self, _: &Request) -> Result<Answer, String> {
        Err("not today".to_owned())
    }

    fn waiting_for(&self) -> String {
        "waiting for node3".to_owned()
    }

    fn give_up(&self, _: &[String]) -> Result<Option<Listed>, String> {
        Err("not today".to_owned())
    }
}

pub struct Served {
    at: SocketAddr,
    pub server: ServerHandle,
    notes: Notes,
    pub edge: Arc<PeerEdge>,
}

/// Nodes 1 and 2; there was a node 3.
fn roll() -> Roll {
    let row = |id: u64| NodeRow {
        name: format!("node{id}"),
        raft_id: Some(RaftId(id)),
        disk: None,
        peer: format!("http://node{id}"),
        public: format!("http://node{id}"),
        learner: false,
        removed: id == 3,
    };
    let conf = raft::eraftpb::ConfState { voters: vec![1, 2], ..Default::default() };
    Roll { rows: (1..=3).map(row).collect(), conf }
}

/// Node 2 of the cluster `c0ffee`, whose `RaftNode` has room for so many messages.
fn serve(room: usize) -> Served {
    serve_with(room, |_| {})
}

/// The same, with another inside.
pub fn serve_with(room: usize, change: impl FnOnce(&mut Inside)) -> Served {
    let edge = Arc::new(PeerEdge::new(Secret::new("s"), Arc::new(NotYet)));
    let served = Arc::clone(&edge);
    let server = HttpServer::new(move || App::new().configure(configure(&served)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let at = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let notes = Notes::default();
    let inside = notes.clone().start();
    let metrics = Metrics::new();
    let seat = Seat::new(&metrics, "inside", room);
    let mut dismissed = News::default();
    dismissed.subscribe(seat.port(inside.clone().recipient()));
    let mut inside = Inside {
        own: RaftId(2),
        cluster: "c0ffee".to_owned(),
        supersedes: vec!["decaf".to_owned()],
        roll: tokio::sync::watch::channel(Arc::new(roll())).1,
        directory: tokio::sync::watch::channel(Arc::default()).1,
        stranger: seat.port(inside.clone().recipient()),
        change: seat.port(inside.clone().recipient()),
        standing: seat.port(inside.clone().recipient()),
        seen: Seen::default(),
        run: OwnRun { boot: Boot(3), name: "b".to_owned(), began_in: Term(5) },
        dismissed,
        step: seat.port(inside.clone().recipient()),
        forwarded: seat.port(inside.clone().recipient()),
        heard: Seat::new(&metrics, "hub", 10).port(inside.clone().recipient()),
        peer_counted: Seat::new(&metrics, "auditor", 10).port(inside.clone().recipient()),
        vouch: Seat::new(&metrics, "auditor", 10).port(inside.clone().recipient()),
        copies: CopyPorts {
            barrier: seat.port(inside.clone().recipient()),
            tables_at: seat.port(inside.clone().recipient()),
        },
        disk_report: seat.port(inside.clone().recipient()),
        files: PeerFilePorts {
            hold: seat.port(inside.clone().recipient()),
            begin_copy: seat.port(inside.clone().recipient()),
            finish: seat.port(inside.clone().recipient()),
            open_file: seat.port(inside.clone().recipient()),
            discredit: seat.port(inside.clone().recipient()),
            fetch: seat.port(inside.clone().recipient()),
        },
        export: ExportPorts {
            barrier: seat.port(inside.clone().recipient()),
            tables_at: seat.port(inside.clone().recipient()),
            page: seat.port(inside.clone().recipient()),
        },
        exports: Exports::default(),
        state_page: Seat::new(&metrics, "reader", 10).port(inside.recipient()),
        cluster_answer: Arc::new(|| Box::pin(async { HttpResponse::Ok().body("{\"quorum\":true}") })),
        appoint: Arc::new(|_name| Box::pin(async { Ok(Appointed::Admin) })),
        import: Arc::new(|_asked| Box::pin(async { Ok(Vec::new()) })),
    };
    change(&mut inside);
    edge.open(inside);
    Served { at, server: handle, notes, edge }
}

struct Link {
    to: actix::Addr<PeerLink>,
    seat: Seat,
    notes: Notes,
}

impl Link {
    fn tell<M: Post>(&self, message: M)
    where
        PeerLink: Handler<Envelope<M>>,
    {
        self.seat.port(self.to.clone().recipient()).tell(message);
    }

    fn append(&self, index: u64) {
        let mut message = Message { from: 1, to: 2, index, ..Message::default() };
        message.set_msg_type(MessageType::MsgAppend);
        self.tell(Send { messages: vec![message] });
    }
}

/// The link of node 1 to node 2.
fn link(at: SocketAddr, secret: &str) -> Link {
    link_of(at, secret, "c0ffee")
}

fn link_of(at: SocketAddr, secret: &str, cluster: &str) -> Link {
    link_that_heard(Seen::default(), at, secret, cluster)
}

fn link_that_heard(seen: Seen, at: SocketAddr, secret: &str, cluster: &str) -> Link {
    let notes = Notes::default();
    let told = notes.clone().start();
    let seat = Seat::new(&Metrics::new(), "told", 1_000);
    let (mut state, mut dismissed) = (News::default(), News::default());
    state.subscribe(seat.port(told.clone().recipient()));
    dismissed.subscribe(seat.port(told.clone().recipient()));
    let config = PeerLinkConfig {
        peer: RaftId(2),
        url: format!("http://{at}"),
        secret: Secret::new(secret),
        cluster: cluster.to_owned(),
        own: RaftId(1),
        own_url: "http://own".to_owned(),
        run: OwnRun { boot: Boot(7), name: "a".to_owned(), began_in: Term(1) },
        seen,
        limits: LaneLimits::default(),
    };
    let ports = PeerLinkPorts {
        unreachable: seat.port(told.clone().recipient()),
        died: seat.port(told.recipient()),
        state,
        dismissed,
    };
    let seat = Seat::new(&Metrics::new(), "link", 1_000);
    let to = PeerLink::new(config, ports, &seat).unwrap().start();
    Link { to, seat, notes }
}

/// Sends a request as it stands and gives the answer; a body that was announced never comes.
async fn by_hand(at: SocketAddr, first_line: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{first_line} HTTP/1.1\r\nHost: node2\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let asking = move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        // The server may leave the connection open for the body that it will not read.
        loop {
            let text = String::from_utf8_lossy(&answer);
            let complete = text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}'));
            match if complete { 0 } else { stream.read(&mut chunk).unwrap() } {
                0 => return text.into_owned(),
                count => answer.extend_from_slice(&chunk[..count]),
            }
        }
    };
    web::block(asking).await.unwrap()
}

#[actix_web::test]
async fn what_a_link_carries_comes_in_at_the_other_end() {
    let node = serve(100);
    let link = link(node.at, "s");
    link.notes.wait_for("2 up").await;
    link.append(41);
    link.append(42);
    let origin = Origin { node: RaftId(1), boot: Boot(7), number: 1 };
    let items = vec![Item { origin, command: serde_bytes::ByteBuf::from(b"x".to_vec()) }];
    link.tell(Forward { term: Term(3), chain: Chain { after: 0, items } });
    link.tell(Gossip { word: Word::Here { users: ["ann".to_owned()].into() } });
    let transfer = Some(Transfer { at: At(300), of: At(812) });
    link.tell(Gossip {
        word: Word::Disk(DiskRoom { node: "node1".to_owned(), free_mb: 7, low: false, transfer }),
    });
    node.notes.wait_for("7 MB free at 1, Some(Transfer { at: At(300), of: At(812) })").await;
    node.notes.wait_for("forwarded by 1 to the leader of 3: 1").await;
    node.notes.wait_for("heard from 1: Here { users: {\"ann\"} }").await;
    assert!(node.notes.has("step [41, 42]") || node.notes.has("step [42]"));
    assert!(!link.notes.has("unreachable 2"));
    node.server.stop(false).await;
    link.notes.wait_for("died 2").await;
    link.notes.wait_for("2 down").await;
}

#[actix_web::test]
async fn a_node_with_no_room_says_so_and_the_sender_is_told() {
    let node = serve(0);
    let link = link(node.at, "s");
    link.notes.wait_for("2 up").await;
    link.append(1);
    link.notes.wait_for("unreachable 2").await;
    assert!(!node.notes.has("step [1]"));
    node.server.stop(false).await;
}

#[actix_web::test]
async fn a_link_with_another_secret_is_never_up() {
    let node = serve(100);
    let link = link(node.at, "another");
    link.append(1);
    link.notes.wait_for("unreachable 2").await;
    assert!(!link.notes.has("2 up"));
    assert!(node.notes.0.lock().unwrap().is_empty());
    node.server.stop(false).await;
}

#[actix_web::test]
async fn a_node_whose_cluster_was_superseded_is_told() {
    let node = serve(100);
    let link = link_of(node.at, "s", "decaf");
    let word = "cluster c0ffee came in the place of cluster decaf";
    link.notes.wait_for(&format!("dismissed by 2: Retired(Superseded), {word}")).await;
    assert!(!link.notes.has("2 up"));
    node.server.stop(false).await;
}

/// Before it has done anything of what it was asked for: what it promised is not on its disk.
#[actix_web::test]
async fn a_node_leaves_when_others_have_heard_more_of_it_than_its_disk_knows() {
    let (node, seen) = (serve(100), Seen::default());
    // The third is what the disk knows of.
    assert!(seen.goes_on(RaftId(2), 4, "c"));
    let link = link_that_heard(seen, node.at, "s", "c0ffee");
    link.append(41);
    link.notes.wait_for("unreachable 2").await;
    let word = "the disk went back in time: raft id 1 has heard more of this node";
    node.notes.wait_for(&format!("dismissed by 1: WentBack, {word}")).await;
    assert!(!link.notes.has("2 up") && !node.notes.has("step [41]"));
    node.server.stop(false).await;
}

#[actix_web::test]
async fn who_asks_and_whom_is_checked_before_the_body_is_read() {
    let node = serve(100);
    let right: [(&str, &str); 5] = [
        ("authorization", "Bearer s"),
        (wire::CLUSTER, "c0ffee"),
        (wire::TO, "2"),
        (wire::FROM, "1"),
        ("content-length", "1000"),
    ];
    for (wrong, value, status, code) in [
        ("authorization", "Bearer x", "401", "\"unauthorized\""),
        (wire::CLUSTER, "bad", "409", "\"other_cluster\""),
        (wire::CLUSTER, "decaf", "409", "\"superseded\""),
        (wire::TO, "3", "409", "\"other_receiver\""),
        (wire::FROM, "2", "400", "\"bad_request\""),
        (wire::FROM, "3", "410", "\"removed\""),
        ("content-length", "100000000", "413", "\"too_large\""),
    ] {
        let headers = right.map(|(name, was)| (name, if name == wrong { value } else { was }));
        let answer = by_hand(node.at, "POST /peer/parcel", &headers).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code),
            "{wrong}: {answer}"
        );
    }
    node.server.stop(false).await;
}

#[actix_web::test]
async fn a_page_of_state_is_sent_to_peers_alone_and_not_by_who_is_behind() {
    let node = serve(100);
    let right =
        [("authorization", "Bearer s"), (wire::CLUSTER, "c0ffee"), (wire::TO, "2"), (wire::FROM, "1")];
    let ask = |question: &'static str| by_hand(node.at, question, &right);
    let page = ask("GET /peer/state?after=7&horizon=50&bytes=1000").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("page"), "{page}");
    assert!(node.notes.has("state after 7, 1000 bytes"));
    let behind = ask("GET /peer/state?after=7&horizon=51").await;
    assert!(behind.starts_with("HTTP/1.1 503") && behind.contains("\"behind\""), "{behind}");
    assert!(ask("GET /peer/state").await.starts_with("HTTP/1.1 400"));
    let operator = by_hand(node.at, "GET /peer/state?after=7", &right[..1]).await;
    assert!(operator.starts_with("HTTP/1.1 409"), "{operator}");
    node.server.stop(false).await;
}

#[actix_web::test]
async fn operators_need_the_secret_alone() {
    let node = serve(100);
    let secret = [("authorization", "Bearer s")];
    assert!(by_hand(node.at, "GET /api/v1/cluster", &secret).await.ends_with("{\"quorum\":true}"));
    assert!(by_hand(node.at, "GET /api/v1/cluster", &[]).await.starts_with("HTTP/1.1 401"));
    assert!(by_hand(node.at, "GET /anything", &[]).await.starts_with("HTTP/1.1 401"));
    assert!(by_hand(node.at, "GET /anything", &secret).await.starts_with("HTTP/1.1 404"));
    node.server.stop(false).await;
}

#[actix_web::test]
async fn before_the_founding_only_founding_and_operators_are_answered() {
    let edge = Arc::new(PeerEdge::new(Secret::new("s"), Arc::new(NotYet)));
    let app = actix_web::test::init_service(App::new().configure(configure(&edge))).await;
    for (path, status) in [(wire::HOLD_PATH, 503), (FOUNDING_PATH, 200), ("/api/v1/cluster", 200)] {
        let request =
            actix_web::test::TestRequest::get().uri(path).insert_header((AUTHORIZATION, "Bearer s"));
        let response = actix_web::test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        if status == 503 {
            let said: Refused = actix_web::test::read_body_json(response).await;
            assert_eq!(said.error.message, "the chat is not founded yet: waiting for node3");
        } else if path != FOUNDING_PATH {
            let said: serde_json::Value = actix_web::test::read_body_json(response).await;
            assert_eq!((&said["quorum"], &said["waiting"]), (&false.into(), &"waiting for node3".into()));
        }
    }
}
