//! Founding and the peer port over real HTTP on loopback.

use std::net::TcpListener;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};

use super::*;
use crate::edge::peer::{PeerEdge, configure};

/// A disk that outlives the node.
#[derive(Clone)]
struct Disk(Arc<Mutex<Foundation>>);

impl Disk {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Foundation::Empty)))
    }

    fn holds(&self) -> Foundation {
        lock(&self.0).clone()
    }
}

impl Book for Disk {
    type Error = String;

    fn foundation(&self) -> Result<Foundation, String> {
        Ok(self.holds())
    }

    fn propose(&mut self, founding: &Founding) -> Result<(), String> {
        *lock(&self.0) = Foundation::Proposed(founding.clone());
        Ok(())
    }

    fn confirm(&mut self) -> Result<(), String> {
        let mut foundation = lock(&self.0);
        let Foundation::Proposed(founding) = foundation.clone() else {
            return Err("nothing proposed".to_owned());
        };
        *foundation = Foundation::Founded(founding);
        Ok(())
    }

    fn admit(&mut self, admission: &Admission) -> Result<(), String> {
        *lock(&self.0) = Foundation::Founded(admission.record());
        Ok(())
    }

    fn drop(&mut self) -> Result<(), String> {
        *lock(&self.0) = Foundation::Empty;
        Ok(())
    }
}

struct Node {
    desk: Arc<Desk<Disk>>,
    server: ServerHandle,
}

/// Starts a node's peer port.
fn serve(name: &str, members: &[Listed], listener: TcpListener, disk: &Disk, secret: &str) -> Node {
    let own = members.iter().find(|member| member.name == name).unwrap().clone();
    let who = Identity {
        own,
        members: members.to_vec(),
        join: Vec::new(),
        supersedes: Vec::new(),
        disk: format!("disk of {name}"),
    };
    let desk = Desk::new(who, disk.clone()).unwrap();
    let edge = Arc::new(PeerEdge::new(Secret::new(secret), desk.clone()));
    let server = HttpServer::new(move || App::new().configure(configure(&edge)))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Node { desk, server: handle }
}

fn listeners<const N: usize>() -> ([TcpListener; N], Vec<Listed>) {
    let listeners = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let listed = |(listener, number): (&TcpListener, usize)| Listed {
        name: format!("node{number}"),
        peer: format!("http://{}", listener.local_addr().unwrap()),
        public: format!("http://127.0.0.1:{number}"),
    };
    let members = listeners.iter().zip(1..).map(listed).collect();
    (listeners, members)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("within ten seconds")
}

async fn waits_for(node: &Node, words: &str) {
    within(async {
        while !node.desk.waiting_for().contains(words) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[actix_web::test]
async fn three_nodes_found_one_chat_once_the_last_is_there() {
    let secret = Secret::new("s");
    let ([first, second, third], members) = listeners();
    let disks = [Disk::new(), Disk::new(), Disk::new()];
    let third_at = third.local_addr().unwrap();
    drop(third);
    let one = serve("node1", &members, first, &disks[0], "s");
    let two = serve("node2", &members, second, &disks[1], "s");
    let early = async {
        waits_for(&one, "waiting for node3 at").await;
        assert_eq!(disks[0].holds(), Foundation::Empty);
        let three = serve("node3", &members, TcpListener::bind(third_at).unwrap(), &disks[2], "s");
        (found(&three.desk, &secret).await.unwrap(), three)
    };
    let all = async { tokio::join!(found(&one.desk, &secret), found(&two.desk, &secret), early) };
    let (by_one, by_two, (by_three, three)) = within(all).await;
    let by_one = by_one.unwrap();
    assert_eq!(by_one, by_two.unwrap());
    assert_eq!(by_one, by_three);
    assert_eq!(by_one.cluster.len(), 32);
    assert_eq!(by_one.epoch.len(), 16);
    assert_eq!(by_one.nodes.iter().map(|node| node.raft_id.0).collect::<Vec<_>>(), [1, 2, 3]);
    // The book is handed over; the desk still says what became of it, and nobody has to be asked.
    drop(one.desk.close().unwrap());
    assert_eq!(one.desk.answer().unwrap().foundation, Foundation::Founded(by_one.clone()));
    two.server.stop(false).await;
    three.server.stop(false).await;
    assert_eq!(within(found(&one.desk, &secret)).await.unwrap(), by_one);
    one.server.stop(false).await;
}

#[actix_web::test]
async fn a_node_alone_founds_at_once() {
    let ([only], members) = listeners();
    let node = serve("node1", &members, only, &Disk::new(), "s");
    assert_eq!(within(found(&node.desk, &Secret::new("s"))).await.unwrap().nodes.len(), 1);
    node.server.stop(false).await;
}

#[actix_web::test]
async fn another_secret_is_named_and_nothing_is_founded() {
    let ([first, second], members) = listeners();
    let disks = [Disk::new(), Disk::new()];
    let one = serve("node1", &members, first, &disks[0], "s");
    let two = serve("node2", &members, second, &disks[1], "another");
    let secret = Secret::new("s");
    tokio::select! {
        _ = found(&one.desk, &secret) => panic!("founded"),
        () = waits_for(&one, "wrong secret") => {}
    }
    assert_eq!(disks[0].holds(), Foundation::Empty);
    one.server.stop(false).await;
    two.server.stop(false).await;
}
