//! A message typed at one node appears at another.

use serde_json::json;

use crate::cluster::{Cluster, assert_like, number, text};

#[actix::test]
async fn a_message_typed_at_one_node_appears_at_another() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;

    let made = ann.ok("create_room", json!({"name": "general", "kind": "public"})).await;
    let room = number(&made["room"], "room");
    bob.ok("join", json!({"room": room})).await;
    let sent = ann.ok("send", json!({"room": room, "text": "hello, bob"})).await;

    let message = json!({
        "room": room, "seq": 1, "from": "ann", "text": "hello, bob", "at": sent["at"], "time": sent["time"],
    });
    let heard = bob.event(json!({"ev": "message"})).await;
    assert_like(&heard, &message);
    let echo = ann.event(json!({"ev": "message"})).await;
    assert_eq!(echo, heard);

    let mut again = cluster.client(2).await;
    again.hello_as(&ann).await;
    assert_eq!(again.welcome["node"], "node3");
    let history = again.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    assert_like(&history["messages"][0], &message);
    assert_eq!(text(&history["messages"][0], "id"), text(&heard, "id"));

    let tables = cluster.equal_tables().await;
    assert_eq!(tables["messages"].len(), 1);
    assert_eq!(tables["users"].len(), 2);
}
