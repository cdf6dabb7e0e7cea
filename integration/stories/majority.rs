//! Two of three are gone: nothing is acknowledged, what was there can be read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::http::get;
use crate::cluster::replies::done;
use crate::cluster::{Client, Cluster, assert_like};

/// The contract says 5 s; the rest is for this machine.
const ANSWER_LIMIT: Duration = Duration::from_millis(6_000);
/// Three times the longest election timeout of the default settings, and something for this machine.
const NOTICE_LIMIT: Duration = Duration::from_millis(3 * 1_000 + 2_000);

async fn assert_no_majority(client: &mut Client, id: &str, op: &str, fields: Value) {
    let begun = Instant::now();
    let reply = client.ask_as(id, op, fields).await;
    let code = reply["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(["unavailable", "timeout"].contains(&code.as_str()), "{op}: {reply}");
    assert_eq!(reply["error"]["retry"], true);
    assert!(begun.elapsed() < ANSWER_LIMIT, "{op} took {:?}", begun.elapsed());
}

/// Everything that the one node that is left can do and cannot.
async fn only_reading(cluster: &Cluster, place: usize, ann: &mut Client, room: u64, id: &str) {
    let node = &cluster.nodes[place];
    let what = format!("{} to see that its majority is gone", node.name);
    let gone = async || node.status().await.filter(|status| status["quorum"] == false);
    let status = cluster.wait_at_most(NOTICE_LIMIT, &what, gone).await;
    assert_like(&status, &json!({"quorum": false, "node": node.name}));
    let ready = get(&format!("{}/health/ready", node.url())).await.unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("majority"), "{}", ready.text());
    assert_eq!(get(&format!("{}/health/live", node.url())).await.unwrap().status, 200);

    assert_no_majority(ann, id, "send", json!({"room": room, "text": "waits"})).await;
    assert_no_majority(ann, &new_id(), "history", json!({"room": room})).await;
    assert_no_majority(ann, &new_id(), "create_room", json!({"name": "x", "kind": "public"})).await;
    let mut other = cluster.client(place).await;
    let account = json!({"name": "ann", "password": password_of("ann")});
    assert_no_majority(&mut other, &new_id(), "login", account).await;
    let account = json!({"name": "new", "password": password_of("new")});
    assert_no_majority(&mut other, &new_id(), "register", account).await;

    let local = ann.ok("history", json!({"room": room, "read": "local"})).await;
    assert_eq!(local["messages"][0]["text"], "there before");
    let mut again = cluster.client(place).await;
    let reply = again.hello(&ann.token, ann.position()).await;
    assert_eq!(reply["resumed"], true);
    assert_eq!(reply["rooms"][0]["room"], room);
    for op in ["list_rooms", "list_users", "ping"] {
        again.ok(op, json!({})).await;
    }
    again.ok("members", json!({"room": room})).await;
}

async fn two_are_gone(by: &str) {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    // Once the one that is left was a follower, once the leader.
    let left = if by == "paused" { leader } else { (leader + 1) % 3 };
    let gone: Vec<usize> = (0..3).filter(|place| *place != left).collect();
    let mut ann = cluster.register(left, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "there before").await;

    for place in &gone {
        if by == "paused" {
            cluster.nodes[*place].pause();
        } else {
            cluster.nodes[*place].kill();
        }
    }
    let id = new_id();
    only_reading(&cluster, left, &mut ann, room, &id).await;

    // One comes back, and the same id is done, once.
    if by == "paused" {
        cluster.nodes[gone[0]].resume();
    } else {
        cluster.nodes[gone[0]].start();
    }
    cluster.wait_until_ready().await;
    let reply = ann.ask_as(&id, "send", json!({"room": room, "text": "waits"})).await;
    done("the send that waited", &reply);
    let again = ann.ask_as(&id, "send", json!({"room": room, "text": "waits"})).await;
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &reply["seq"]));
    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);

    if by == "paused" {
        cluster.nodes[gone[1]].resume();
    } else {
        cluster.nodes[gone[1]].start();
    }
    cluster.wait_until_ready().await;
    cluster.equal_tables().await;
}

#[actix::test]
async fn two_of_three_are_killed() {
    two_are_gone("killed").await;
}

#[actix::test]
async fn two_of_three_are_paused() {
    two_are_gone("paused").await;
}

/// People are told who leads, and whether anything can be changed.
#[actix::test]
async fn people_hear_of_the_cluster() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let (left, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut ann = cluster.register(left, "ann").await;
    cluster.nodes[leader].kill();
    let news = ann
        .event_that("news of another leader", |event| {
            let is_new = event["leader"].is_string() && event["leader"] != cluster.nodes[leader].name;
            event["ev"] == "cluster" && event["quorum"] == true && is_new
        })
        .await;
    assert!(news["nodes"].is_array() && news.get("at").is_none(), "{news}");
    cluster.nodes[other].kill();
    ann.event(json!({"ev": "cluster", "quorum": false})).await;
    cluster.nodes[other].start();
    ann.event(json!({"ev": "cluster", "quorum": true})).await;
}

/// A message that no other node has got must not be acknowledged, whatever becomes of it later.
#[actix::test]
async fn a_leader_alone_acknowledges_nothing() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    cluster.wait_until_equal().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    for place in &others {
        cluster.nodes[*place].pause();
    }
    let id = new_id();
    let fields = json!({"room": room, "text": "alone"});
    assert_no_majority(&mut ann, &id, "send", fields.clone()).await;
    cluster.nodes[leader].kill();
    for place in &others {
        cluster.nodes[*place].resume();
    }
    cluster.wait_until_ready().await;
    let mut again = cluster.client(others[0]).await;
    again.hello_as(&ann).await;
    done("elsewhere", &again.ask_as(&id, "send", fields).await);
    cluster.nodes[leader].start();
    cluster.wait_until_ready().await;
    let tables = cluster.equal_tables().await;
    assert_eq!(tables["messages"].len(), 1);
}
