//! How a chat begins, and what must not be taken for a beginning.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::json;

use crate::cluster::http::{exchange, get};
use crate::cluster::replies::done;
use crate::cluster::{Client, Cluster, text};

/// Whether a node lets people in: it must not before there is a chat.
async fn lets_people_in(cluster: &Cluster, place: usize) -> bool {
    let node = &cluster.nodes[place];
    let ready = get(&format!("{}/health/ready", node.url())).await;
    let opened = Client::open_with(&node.url(), &[]).await;
    ready.is_ok_and(|answer| answer.status == 200) || opened.is_ok() || node.output().contains("listening on")
}

async fn wait_for_word(cluster: &Cluster, place: usize, word: &str) {
    let node = &cluster.nodes[place];
    let what = format!("{} to speak of {word}", node.name);
    cluster.wait_for(&what, async || node.log().contains(word).then_some(())).await;
}

#[actix::test]
async fn founding_waits_for_everybody() {
    let mut cluster = Cluster::prepare(3, "");
    cluster.nodes[0].start();
    cluster.nodes[1].start();
    for place in [0, 1] {
        // Node 2 waits for node 3, or for node 1 to found the chat.
        let word = if place == 0 { "node3" } else { "waiting for" };
        wait_for_word(&cluster, place, word).await;
        assert!(!lets_people_in(&cluster, place).await);
    }
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
    for node in &cluster.nodes {
        // It lets people in first.
        let has_said = async || node.output().ends_with('\n').then(|| node.output());
        let said = cluster.wait_for("what it says when it serves", has_said).await;
        assert_eq!(said, format!("listening on {}\n", node.url()));
    }
    let mut ann = cluster.register(2, "ann").await;
    assert!(ann.is_alive().await);
}

/// Nodes that are killed in the middle of it found one chat in the end.
#[actix::test]
async fn founding_survives_kills() {
    let mut cluster = Cluster::prepare(3, "");
    for round in 0..6_u64 {
        for node in &mut cluster.nodes {
            node.start();
        }
        let until = Instant::now() + Duration::from_millis(30 + 40 * round);
        while Instant::now() < until {
            actix::clock::sleep(Duration::from_millis(10)).await;
        }
        for node in &mut cluster.nodes {
            node.kill();
        }
    }
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
    let mut ids = Vec::new();
    for node in &cluster.nodes {
        ids.push(text(&node.status().await.unwrap(), "cluster"));
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    cluster.register(0, "ann").await;
    cluster.equal_tables().await;
}

/// A disk that lost all it knew must not vote as the node that it was, let alone found a chat.
#[actix::test]
async fn a_wiped_disk_takes_no_part_as_its_old_self() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    cluster.wait_until_equal().await;
    // The first listed is the one that would found.
    cluster.nodes[0].terminate().await;
    cluster.nodes[0].wipe();
    cluster.nodes[0].start();
    wait_for_word(&cluster, 0, "empty").await;
    let before = text(&cluster.nodes[1].status().await.unwrap(), "cluster");
    for number in 1..=5 {
        assert_eq!(ann.send(room, "the others go on").await, number);
    }
    let status = cluster.nodes[2].status().await.unwrap();
    assert_eq!((text(&status, "cluster"), &status["quorum"]), (before, &json!(true)));
    assert!(cluster.nodes[0].is_up(), "{}", cluster.nodes[0].log_tail());

    // It is no vote: with one of the others gone there is no majority, unless it has joined anew.
    if !cluster.nodes[0].is_ready().await {
        assert!(!lets_people_in(&cluster, 0).await || cluster.nodes[0].output().lines().count() == 1);
        cluster.nodes[2].kill();
        let code = ann.ask("send", json!({"room": room, "text": "x"})).await["error"]["code"].clone();
        assert!(code == "unavailable" || code == "timeout" || cluster.nodes[0].is_ready().await, "{code}");
    }
}

#[actix::test]
async fn two_wiped_disks_found_no_second_chat() {
    let mut cluster = Cluster::start(3).await;
    cluster.register(2, "ann").await;
    cluster.wait_until_equal().await;
    for place in [0, 1] {
        cluster.nodes[place].comes_back_empty();
    }
    for place in [0, 1] {
        wait_for_word(&cluster, place, "living cluster").await;
        assert!(!cluster.nodes[place].is_ready().await);
    }
    // The one that is left is still that chat, without a majority.
    let node = &cluster.nodes[2];
    let status =
        cluster.wait_for("a word", async || node.status().await.filter(|it| it["quorum"] == false)).await;
    assert_eq!(status["node"], "node3");
}

#[actix::test]
async fn a_wrong_secret_lets_nobody_in() {
    let mut cluster = Cluster::prepare(3, "");
    let members: Vec<String> = cluster.nodes.iter().map(|node| node.member()).collect();
    cluster.nodes[2].write_settings(&members, "not theirs", "");
    for node in &mut cluster.nodes {
        node.start();
    }
    for place in 0..3 {
        wait_for_word(&cluster, place, "secret").await;
        assert!(!lets_people_in(&cluster, place).await);
    }
    cluster.nodes[2].kill();
    cluster.write_settings("");
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
}

/// A member whose secret was changed by mistake is as good as gone; the others go on.
#[actix::test]
async fn a_wrong_secret_later_on() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    cluster.nodes[2].terminate().await;
    let members: Vec<String> = cluster.nodes.iter().map(|node| node.member()).collect();
    cluster.nodes[2].write_settings(&members, "not theirs", "");
    cluster.nodes[2].start();
    wait_for_word(&cluster, 2, "secret").await;
    assert_eq!(ann.send(room, "two are enough").await, 1);
    assert!(!cluster.nodes[2].is_ready().await);
}

/// Before one byte of a message is looked at.
#[actix::test]
async fn the_door_between_nodes_asks_for_the_secret() {
    let cluster = Cluster::start(1).await;
    let url = cluster.nodes[0].peer_url();
    for path in ["/", "/api/v1/cluster", "/raft", "/founding", "/peer/append"] {
        for secret in [None, Some("Bearer wrong"), Some("Bearer ")] {
            for method in [Method::GET, Method::POST] {
                let headers: Vec<(&str, &str)> =
                    secret.iter().map(|secret| ("Authorization", *secret)).collect();
                let answer = exchange(method, &format!("{url}{path}"), &headers, "x").await.unwrap();
                assert!([401, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
            }
        }
    }
    let right = format!("Bearer of {}", cluster.folder.path().display());
    let headers = [("Authorization", right.as_str())];
    let answer = exchange(Method::GET, &format!("{url}/api/v1/cluster"), &headers, "").await.unwrap();
    assert_eq!(answer.status, 200);
}

/// A node of another chat stands where a member was, with the same secret.
#[actix::test]
async fn two_chats_never_mix() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "ours").await;
    cluster.wait_until_equal().await;

    let mut other = Cluster::prepare(1, "");
    cluster.nodes[2].kill();
    other.nodes[0].peer_port = cluster.nodes[2].peer_port;
    let secret = format!("of {}", cluster.folder.path().display());
    let members = [other.nodes[0].member()];
    other.nodes[0].write_settings(&members, &secret, "");
    other.nodes[0].start();
    other.wait_until_ready().await;
    let mut eve = other.register(0, "eve").await;
    assert_eq!(eve.create_room("theirs", "public").await, 1);

    for number in 2..=20 {
        assert_eq!(ann.send(room, "still ours").await, number);
    }
    let ours = text(&cluster.nodes[0].status().await.unwrap(), "cluster");
    assert_ne!(text(&other.nodes[0].status().await.unwrap(), "cluster"), ours);
    assert!(other.nodes[0].is_up() && eve.is_alive().await);
    assert_eq!(eve.ok("list_users", json!({})).await["users"].as_array().unwrap().len(), 1);

    // The member comes back to where it was.
    other.nodes[0].kill();
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
    let tables = cluster.equal_tables().await;
    assert_eq!((tables["users"].len(), tables["messages"].len()), (1, 20));
}

/// Founders whose lists name a member of a living cluster found nothing.
#[actix::test]
async fn founders_beside_a_living_cluster() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut others = Cluster::prepare(2, "");
    let secret = format!("of {}", cluster.folder.path().display());
    let stranger = cluster.nodes[0].member().replace("node1", "node3");
    let members = [others.nodes[0].member(), others.nodes[1].member(), stranger];
    for node in &mut others.nodes {
        node.write_settings(&members, &secret, "");
        node.start();
    }
    wait_for_word(&others, 0, "node3").await;
    for place in [0, 1] {
        assert!(!lets_people_in(&others, place).await);
    }
    let id = crate::cluster::client::new_id();
    done("a change", &ann.ask_as(&id, "create_room", json!({"name": "x", "kind": "public"})).await);
}
