//! SIGTERM: leadership is handed over, people are told where to go, what is under way is finished.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::cluster::client::new_id;
use crate::cluster::files::{bytes_of, upload};
use crate::cluster::http::op;
use crate::cluster::{Client, Cluster, text};

const DRAIN_LIMIT: Duration = Duration::from_secs(2);
const STRANGERS: usize = 16;

/// Told goodbye, and closed as one who is to come back at once.
async fn assert_sent_away(cluster: &Cluster, client: &mut Client) {
    let bye = client.event(json!({"ev": "bye"})).await;
    assert!(bye["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{bye}");
    assert!(bye.get("at").is_none());
    let nodes = bye["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|url| cluster.urls().iter().any(|own| url == own)), "{bye}");
    assert!(nodes.len() >= cluster.nodes.len() - 1, "{bye}");
    assert_eq!(client.closed().await.code, Some(1001));
}

#[actix::test]
async fn a_leader_drains() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..20).map(|_| new_id()).collect();
    for id in &ids {
        ann.post(id, "send", json!({"room": room, "text": id})).await;
    }
    // The first answer shows that the node has begun with what was sent.
    let mut replies = vec![ann.reply(&ids[0]).await];
    cluster.nodes[leader].signal(Signal::SIGTERM);
    assert_sent_away(&cluster, &mut ann).await;
    for id in &ids[1..] {
        replies.extend(ann.take_reply(id));
    }
    let ended = cluster.nodes[leader].ended().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[leader].log_tail());
    assert!(ended.took < DRAIN_LIMIT, "{:?}", ended.took);

    // What was acknowledged is there; the rest is done once by repeating it elsewhere.
    let mut again = cluster.client((leader + 1) % 3).await;
    again.hello_as(&ann).await;
    for id in &ids {
        let reply = again.ask_as(id, "send", json!({"room": room, "text": id})).await;
        assert_eq!(reply["ok"], true, "{reply}");
        if let Some(first) = replies.iter().find(|first| first["re"] == reply["re"] && first["ok"] == true) {
            assert_eq!((&reply["seq"], &reply["duplicate"]), (&first["seq"], &json!(true)));
        }
    }
    let history = again.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), ids.len());
}

/// Requests over HTTP that are under way get an answer, whatever it is; repeated elsewhere they are done.
#[actix::test]
async fn what_is_under_way_over_http_is_answered() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    // So that nothing is decided before the signal.
    for place in &others {
        cluster.nodes[*place].pause();
    }
    let keys: Vec<String> = (0..8).map(|_| new_id()).collect();
    let (url, token) = (cluster.nodes[leader].url(), ann.token.clone());
    let send = async |key: &str| {
        op(&url, "send", Some(&token), Some(key), &json!({"room": room, "text": key})).await
    };
    let asked = proposals(&cluster, leader).await;
    let sending = join_all(keys.iter().map(|key| send(key)));
    let stopping = async {
        cluster
            .wait_for("the requests to be under way", async || {
                (proposals(&cluster, leader).await >= asked + 8.0).then_some(())
            })
            .await;
        cluster.nodes[leader].signal(Signal::SIGTERM);
        for place in &others {
            cluster.nodes[*place].signal(Signal::SIGCONT);
        }
    };
    let (answers, ()) = futures_util::future::join(sending, stopping).await;
    for answer in answers {
        assert!([200, 503, 504].contains(&answer.status), "{}", answer.text());
        assert_eq!(answer.json()["ok"], answer.status == 200);
    }
    for place in &others {
        cluster.nodes[*place].resume();
    }
    assert_eq!(cluster.nodes[leader].ended().await.code, Some(0));
    let next = others[0];
    cluster.wait_for("a leader", async || cluster.nodes[next].is_ready().await.then_some(())).await;
    let mut again = cluster.client(next).await;
    again.hello_as(&ann).await;
    for key in &keys {
        let reply = again.ask_as(key, "send", json!({"room": room, "text": key})).await;
        assert_eq!(reply["ok"], true, "{reply}");
    }
    let history = again.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), keys.len());
}

/// What is on its way in or out is finished, and told so when it cannot be.
#[actix::test]
async fn uploads_and_downloads_under_way_are_finished() {
    let mut cluster = Cluster::start(1).await;
    let ann = cluster.register(0, "ann").await;
    let bytes = bytes_of(1, 8_000_000);
    let file = text(&upload(&cluster.nodes[0].url(), &ann.token, "a.bin", &bytes).await, "file");
    let port = cluster.nodes[0].http_port;
    let begin = |line: String, more: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let token = &ann.token;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let upload = || {
        let mut stream = begin("POST /api/v1/files?name=b".into(), "Content-Length: 200000\r\n");
        stream.write_all(&bytes[..100_000]).unwrap();
        stream
    };
    let (mut whole, mut half) = (upload(), upload());
    let mut download = begin(format!("GET /api/v1/files/{file}/a.bin"), "");
    let mut told = [0; 12];
    download.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 200");
    cluster
        .wait_for("the uploads to be under way", async || {
            (asked(&cluster, 0, "file_shelf", "begin_upload").await >= 3.0).then_some(())
        })
        .await;
    cluster.nodes[0].signal(Signal::SIGTERM);
    let stopping = async || (!cluster.nodes[0].is_ready().await).then_some(());
    cluster.wait_for("the node to stop", stopping).await;

    whole.write_all(&bytes[100_000..200_000]).unwrap();
    let mut answer = String::new();
    whole.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut came = Vec::new();
    download.read_to_end(&mut came).unwrap();
    assert!(came.ends_with(&bytes), "{} bytes came", came.len());
    answer.clear();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("stopping"), "{answer}");
    let ended = cluster.nodes[0].ended().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[0].log_tail());
}

/// How many changes were asked of that node's Raft.
async fn proposals(cluster: &Cluster, place: usize) -> f64 {
    asked(cluster, place, "raft_node", "propose").await
}

/// How many messages of a kind an actor of that node was sent.
async fn asked(cluster: &Cluster, place: usize, actor: &str, message: &str) -> f64 {
    let metrics = cluster.nodes[place].metrics().await;
    let series = format!("chat_actor_messages_total{{actor=\"{actor}\",message=\"{message}\"}}");
    let line = metrics.lines().find(|line| line.starts_with(&series)).expect("a series of the bus");
    line.rsplit_once(' ').and_then(|(_, count)| count.parse().ok()).expect("a number")
}

#[actix::test]
async fn a_follower_and_a_node_alone_drain() {
    for count in [3, 1] {
        let mut cluster = Cluster::start(count).await;
        let place = cluster.follower().await;
        let mut ann = cluster.register(place, "ann").await;
        // Who has only just come, and has not said hello, is sent away as well.
        let strangers = join_all((0..STRANGERS).map(|_| cluster.client(place))).await;
        cluster.nodes[place].signal(Signal::SIGTERM);
        assert_sent_away(&cluster, &mut ann).await;
        for mut stranger in strangers {
            assert_eq!(stranger.closed().await.code, Some(1001));
        }
        let ended = cluster.nodes[place].ended().await;
        assert_eq!(ended.code, Some(0), "{}", cluster.nodes[place].log_tail());
        assert!(ended.took < DRAIN_LIMIT, "{:?}", ended.took);

        cluster.nodes[place].start();
        cluster.wait_until_ready().await;
        let mut again = cluster.client(place).await;
        again.hello_as(&ann).await;
    }
}

#[actix::test]
async fn without_a_majority_it_drains_as_well() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    for place in &others {
        cluster.nodes[*place].pause();
    }
    ann.post(&new_id(), "create_room", json!({"name": "waits", "kind": "public"})).await;
    let ended = cluster.nodes[leader].terminate().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[leader].log_tail());
    assert!(ended.took < Duration::from_secs(11), "{:?}", ended.took);
}

#[actix::test]
async fn a_second_signal_ends_at_once() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    for place in (0..3).filter(|place| *place != leader) {
        cluster.nodes[place].pause();
    }
    ann.post(&new_id(), "create_room", json!({"name": "waits", "kind": "public"})).await;
    cluster.nodes[leader].signal(Signal::SIGTERM);
    ann.event(json!({"ev": "bye"})).await;
    cluster.nodes[leader].signal(Signal::SIGINT);
    let ended = cluster.nodes[leader].ended().await;
    assert!(ended.took < Duration::from_secs(1), "{:?}", ended.took);
}

/// One that waits to be founded stops as well.
#[actix::test]
async fn before_there_is_a_chat() {
    let mut cluster = Cluster::prepare(2, "");
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    cluster.wait_for("it to wait", async || node.log().contains("node2").then_some(())).await;
    let ended = cluster.nodes[0].terminate().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[0].log_tail());
    assert!(ended.took < DRAIN_LIMIT);
}
