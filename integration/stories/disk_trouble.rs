//! What a node does when its disk is the trouble: as far as a good disk can show it.

use std::pin::pin;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cluster::client::new_id;
use crate::cluster::replies::{done, refused};
use crate::cluster::wait::LONG_PATIENCE;
use crate::cluster::{Client, Cluster, number, text};

const RESERVE: &str = "CHAT__DISK__RESERVE_MB";
/// More than any disk has.
const TOO_MUCH: &str = "1000000000";
/// Less than SQLite waits for a lock.
const STANDS_STILL: Duration = Duration::from_secs(3);

fn database(cluster: &Cluster, place: usize) -> Connection {
    Connection::open(cluster.nodes[place].data_dir().join("chat.db")).unwrap()
}

/// A node's disk as another one knows it.
fn disk_of(status: &Value, place: usize) -> &Value {
    &status["nodes"][place]["disk"]
}

async fn restart_with_reserve(cluster: &mut Cluster, place: usize, reserve_mb: &str) {
    cluster.nodes[place].kill();
    cluster.nodes[place].set_variable(RESERVE, reserve_mb);
    cluster.nodes[place].start();
    cluster.wait_until_ready().await;
}

pub async fn wait_until_low(cluster: &Cluster, at: usize, place: usize, low: bool) {
    let what = format!("node{} to know that the disk of node{} is low: {low}", at + 1, place + 1);
    let node = &cluster.nodes[at];
    cluster
        .wait_for(&what, async || node.status().await.filter(|status| disk_of(status, place)["low"] == low))
        .await;
}

pub async fn assert_full(ann: &mut Client, op: &str, fields: Value) {
    let error = ann.refused(op, fields, "unavailable").await;
    let message = text(&error, "message");
    assert!(message.contains("the disk of node2 is nearly full"), "{op}: {message}");
    assert!(message.contains("the disk of node3 is nearly full"), "{op}: {message}");
}

#[actix::test]
async fn without_room_at_a_majority_people_can_read_and_delete_until_there_is_room() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    for number in 0..3 {
        ann.send(room, &format!("message {number}")).await;
    }
    let side = ann.create_room("side", "public").await;

    restart_with_reserve(&mut cluster, 1, TOO_MUCH).await;
    wait_until_low(&cluster, 0, 1, true).await;
    ann.send(room, "a minority is low: nobody notices").await;
    restart_with_reserve(&mut cluster, 2, TOO_MUCH).await;
    wait_until_low(&cluster, 0, 2, true).await;

    let id = new_id();
    let fields = json!({"room": room, "text": "when there is room"});
    let error = refused("send", &ann.ask_as(&id, "send", fields.clone()).await, "unavailable");
    assert!(text(&error, "message").contains("the disk of node2 is nearly full"), "{error}");
    assert_full(&mut ann, "edit", json!({"room": room, "seq": 1, "text": "longer"})).await;
    assert_full(&mut ann, "create_room", json!({"name": "more", "kind": "public"})).await;
    assert_full(&mut ann, "react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true})).await;

    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 4);
    ann.ok("delete", json!({"room": room, "seqs": [1, 2]})).await;
    ann.ok("mark_read", json!({"room": room, "seq": 3})).await;
    ann.ok("leave", json!({"room": side})).await;
    let mut other = cluster.client(1).await;
    other.hello_as(&ann).await;
    let history = other.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"][0]["deleted"], true);

    restart_with_reserve(&mut cluster, 1, "0").await;
    wait_until_low(&cluster, 0, 1, false).await;
    done("send", &ann.ask_as(&id, "send", fields).await);
    ann.ok("logout", json!({})).await;
}

#[actix::test]
async fn a_leader_whose_disk_is_nearly_full_hands_over_to_one_with_room() {
    let mut cluster = Cluster::prepare(3, "");
    // The first one founds, and leads first.
    cluster.nodes[0].set_variable(RESERVE, TOO_MUCH);
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
    let node = &cluster.nodes[0];
    let hands_over = async || {
        if node.log().contains("the disk is nearly full: handing leadership over") {
            return Some(());
        }
        // On a machine that is busy another one may lead first. How long it leads then is its own affair.
        cluster.command(0, &["transfer-leader", "node1"]).await.assert_answered();
        None
    };
    cluster.wait_at_most(LONG_PATIENCE, "node1 to hand over", hands_over).await;
    cluster
        .wait_for("another leader than node1", async || {
            let status = node.status().await?;
            (status["leader"] != "node1" && status["quorum"] == true).then_some(())
        })
        .await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "the others have room").await;
    wait_until_low(&cluster, 0, 1, false).await;
    let status = cluster.nodes[0].status().await.unwrap();
    assert_ne!(status["leader"], "node1");
    assert_eq!(disk_of(&status, 0)["low"], true);
    assert!(disk_of(&status, 1)["free_mb"].is_u64(), "{status}");
}

/// Does something while nothing is written at a node, as on a disk that stands still: who holds the file's lock keeps
/// the node from it. A node that waits for longer than SQLite does ends, so now and then it may write.
async fn while_its_disk_stands_still<T>(
    cluster: &Cluster,
    place: usize,
    doing: impl Future<Output = T>,
) -> T {
    let (node, other) = (&cluster.nodes[place], &cluster.nodes[(place + 1) % cluster.nodes.len()]);
    let file = database(cluster, place);
    let mut doing = pin!(doing);
    loop {
        file.execute_batch("BEGIN IMMEDIATE").unwrap();
        let done = actix::clock::timeout(STANDS_STILL, doing.as_mut()).await;
        file.execute_batch("ROLLBACK").unwrap();
        if let Ok(done) = done {
            return done;
        }
        let has_written = async || {
            let (here, there) = (node.status().await?, other.status().await?);
            (here["applied"] == there["applied"]).then_some(())
        };
        cluster.wait_for("the disk to go on", has_written).await;
    }
}

#[actix::test]
async fn a_leader_whose_disk_stands_still_is_replaced() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;

    // On a machine that is busy it may be replaced for its silence first: not each time.
    let mut replaced = Vec::new();
    let (leader, seq) = loop {
        let leader = cluster.leader().await;
        let other = (leader + 1) % 3;
        let (old, node) = (&cluster.nodes[leader], &cluster.nodes[other]);
        let mut writer = cluster.client(other).await;
        writer.hello_as(&ann).await;
        let said = old.log().len();
        let begun = Instant::now();
        let write = async {
            for text in ["written by the others", "and so is this"] {
                writer.until_done("send", json!({"room": room, "text": text})).await;
            }
            cluster
                .wait_for("another leader", async || {
                    let status = node.status().await?;
                    (status["leader"].is_string() && status["leader"] != old.name.as_str()).then_some(())
                })
                .await;
            writer.until_done("send", json!({"room": room, "text": "under another leader"})).await
        };
        let seq = number(&while_its_disk_stands_still(&cluster, leader, write).await, "seq");
        println!("the leader's disk stood still: another one led after {:?}", begun.elapsed());
        if old.log()[said..].contains("handing leadership over") {
            break (leader, seq);
        }
        replaced.push(old.name.clone());
        assert!(replaced.len() < 5, "{replaced:?} did not hand over\n{}", cluster.log_tails());
        cluster.wait_until_equal().await;
    };

    cluster.wait_until_equal().await;
    let mut here = cluster.client(leader).await;
    here.hello_as(&ann).await;
    let history = here.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len() as u64, seq);
}
