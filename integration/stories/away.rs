//! A node that was away for long catches up.

use serde_json::json;

use crate::cluster::client::new_id;
use crate::cluster::{Client, Cluster};

/// So many messages of two kilobytes.
async fn write(client: &mut Client, room: u64, batches: usize) {
    let text = "x".repeat(2_000);
    for _ in 0..batches {
        let ids: Vec<String> = (0..50).map(|_| new_id()).collect();
        for id in &ids {
            client.post(id, "send", json!({"room": room, "text": text})).await;
        }
        for id in &ids {
            assert_eq!(client.reply(id).await["ok"], true);
        }
    }
}

#[actix::test]
async fn a_node_catches_up_with_what_it_missed() {
    let mut cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let leader = cluster.leader().await;
    let (stays, goes) = (leader, (leader + 1) % 3);
    let mut ann = cluster.register(stays, "ann").await;
    let room = ann.create_room("general", "public").await;
    let mut bob = cluster.register(goes, "bob").await;
    bob.ok("join", json!({"room": room})).await;
    let position = bob.position();

    cluster.nodes[goes].kill();
    write(&mut ann, room, 40).await;
    cluster.nodes[goes].start();
    // While it catches up, more is written, and it is killed once more in the middle of it.
    write(&mut ann, room, 2).await;
    cluster.nodes[goes].kill();
    cluster.nodes[goes].start();
    write(&mut ann, room, 2).await;
    cluster.wait_until_ready().await;
    let tables = cluster.equal_tables().await;
    assert_eq!(tables["messages"].len(), 44 * 50);

    // Who was on it goes on where he was.
    let mut again = cluster.client(goes).await;
    again.hello(&bob.token, position).await;
    for seq in 1..=44 * 50 {
        assert_eq!(again.event(json!({"ev": "message"})).await["seq"], seq);
    }
}
