//! A node that does not lead, and leaders that answer in their own ways.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Actor, Context, Handler};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, ResponseError as _};
use chat_actors::bus::{Envelope, Seat};
use chat_actors::membership::{Directory, Listed, Node};
use chat_actors::messages::consensus::ClusterView;
use chat_actors::metrics::Metrics;
use tokio::sync::watch;

use super::super::peer::tests::{Served, serve_with};
use super::*;

/// What consensus says on a node that follows.
#[derive(Clone, Default)]
struct Follower {
    /// 0: nobody leads.
    leader: Arc<AtomicU64>,
    barriers: Arc<AtomicU64>,
}

impl Follower {
    fn follows(&self, leader: u64) {
        self.leader.store(leader, Ordering::SeqCst);
    }

    fn leader(&self) -> Option<RaftId> {
        Some(self.leader.load(Ordering::SeqCst)).filter(|&id| id > 0).map(RaftId)
    }
}

impl Actor for Follower {
    type Context = Context<Self>;
}

impl Handler<Envelope<ChangeMembers>> for Follower {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ChangeMembers>, _: &mut Self::Context) {
        envelope.open().0.reply.send(Settled::Elsewhere(self.leader())).ok();
    }
}

impl Handler<Envelope<Standing>> for Follower {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Standing>, _: &mut Self::Context) {
        let view = ClusterView { leader: self.leader(), ..ClusterView::default() };
        envelope.open().0.reply.send(view).ok();
    }
}

impl Handler<Envelope<ReadBarrier>> for Follower {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ReadBarrier>, _: &mut Self::Context) {
        self.barriers.fetch_add(1, Ordering::SeqCst);
        envelope.open().0.reply.send(Ok(())).ok();
    }
}

/// Node 2, whose directory says where the others are.
fn node_2(follower: &Follower, others: &[(u64, SocketAddr)]) -> Served {
    let node = |&(id, at): &(u64, SocketAddr)| Listed {
        node: Node {
            name: format!("node{id}"),
            raft_id: RaftId(id),
            peer: format!("http://{at}"),
            public: format!("http://public{id}"),
        },
        learner: false,
    };
    let directory = Directory { nodes: others.iter().map(node).collect(), ..Directory::default() };
    let follower = follower.clone().start();
    let seat = Seat::new(&Metrics::new(), "follower", 100);
    serve_with(100, |inside| {
        inside.change = seat.port(follower.clone().recipient());
        inside.standing = seat.port(follower.clone().recipient());
        inside.copies.barrier = seat.port(follower.recipient());
        inside.directory = watch::channel(Arc::new(directory)).1;
    })
}

/// A leader that always answers this.
fn leader(answer: impl Fn() -> HttpResponse + Clone + Send + 'static) -> (SocketAddr, ServerHandle) {
    let app = move || {
        let answer = answer.clone();
        App::new().route(PATH, web::post().to(move || std::future::ready(answer())))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let at = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (at, handle)
}

async fn remove(node: &Served, within: Duration) -> Result<Done, Turned> {
    let (inside, secret) = (node.edge.inside().unwrap(), node.edge.secret());
    let asking = Asking { inside, secret, until: Instant::now() + within };
    asking.grant(Asked { wish: Wish::Remove { name: "node4".to_owned() }, passed_on: false }).await
}

#[actix_web::test]
async fn a_leader_that_hangs_is_left_for_the_next_and_the_change_is_seen_here() {
    let follower = Follower::default();
    follower.follows(1);
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (next, server) =
        leader(|| HttpResponse::Ok().json(Done { says: "by node3".to_owned(), admission: None }));
    let node = node_2(&follower, &[(1, hangs.local_addr().unwrap()), (3, next)]);
    let moves = follower.clone();
    let hanging = actix_web::rt::spawn(async move {
        let _asked = hangs.accept().await.unwrap();
        moves.follows(3);
        std::future::pending::<()>().await;
    });
    assert_eq!(remove(&node, ANSWER_MAX).await.unwrap().says, "by node3");
    assert_eq!(follower.barriers.load(Ordering::SeqCst), 1);
    hanging.abort();
    server.stop(false).await;
    node.server.stop(false).await;
}

/// Nothing may be called undone that a leader may have done.
#[actix_web::test]
async fn a_change_that_nobody_answered_for_is_not_known() {
    const SHORT: Duration = Duration::from_millis(500);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (unsure, one) = leader(|| unknown("of a test").error_response());
    let (sure, other) = leader(|| Turned::Unavailable("nothing".to_owned()).error_response());
    for (at, may_be_done) in
        [(silent.local_addr().unwrap(), true), (unsure, true), (sure, false), (closed, false)]
    {
        let follower = Follower::default();
        follower.follows(1);
        let node = node_2(&follower, &[(1, at)]);
        let said = remove(&node, SHORT).await.unwrap_err();
        assert_eq!(matches!(said, Turned::Unknown(_)), may_be_done, "{said}");
        assert_eq!(said.to_string().contains("nothing was changed"), !may_be_done, "{said}");
        node.server.stop(false).await;
    }
    one.stop(false).await;
    other.stop(false).await;
}

#[test]
fn what_no_node_could_be_called_is_refused_and_the_rest_gets_one_spelling() {
    let add = |name: &str, peer: &str, public: &str| Wish::Add {
        name: name.to_owned(),
        peer: peer.to_owned(),
        public: public.to_owned(),
        learner: false,
    };
    let join = |name: &str, peer: &str, disk: &str| Wish::Join {
        name: name.to_owned(),
        peer: peer.to_owned(),
        public: "http://b".to_owned(),
        disk: disk.to_owned(),
        gone: None,
        level: 1,
    };
    for (mut wish, word) in [
        (add("", "http://a:1", "http://b"), "name is \"\""),
        (add("Node 4", "http://a:1", "http://b"), "name is \"Node 4\""),
        (add("node4", "", "http://b"), "peer is \"\""),
        (add("node4", "http://0.0.0.0:1", "http://b"), "peer is"),
        (add("node4", "http://a:1", "b"), "public is \"b\""),
        (add("node4", "http://a:1", "http://A:1/"), "public is http://a:1"),
        (join("A B", "http://a:1", "c0ffee"), "name is"),
        (join("node4", "a", "c0ffee"), "peer is"),
        (join("node4", "http://a:1", "no digits"), "disk is \"no digits\""),
        (join("node4", "http://a:1", &"0".repeat(65)), "disk is"),
    ] {
        let said = put_in_form(&mut wish).unwrap_err().to_string();
        assert!(said.starts_with(word), "{said} is not {word}");
    }
    let mut wish = add("node4", "HTTP://A:80/", "https://B:443");
    put_in_form(&mut wish).unwrap();
    assert_eq!(wish, add("node4", "http://a", "https://b"));
    put_in_form(&mut join("node4", "http://a:1", "c0ffee")).unwrap();
}

/// Something else may answer there.
#[test]
fn an_answer_that_says_nothing_is_no_answer() {
    assert!(serde_json::from_str::<Done>("{}").is_err());
    assert!(serde_json::from_str::<Done>("{\"says\":\"node4 is removed\"}").is_ok());
    use crate::edge::admin;
    assert!(serde_json::from_str::<admin::Done>("{}").is_err());
    assert!(serde_json::from_str::<admin::Done>("{\"link\":null}").is_ok());
}
