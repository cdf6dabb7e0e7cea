//! All nodes lose their power at once.

use std::time::Duration;

use serde_json::json;

use crate::cluster::client::{new_id, password_of};
use crate::cluster::{Cluster, number};

use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};

#[actix::test]
async fn what_was_acknowledged_is_there_after_all_were_killed_at_once() {
    let mut cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let chatters = begin_to_chat(&mut cluster, 4, Duration::from_millis(5)).await;
    for _ in 0..3 {
        wait_for_progress(&cluster, &chatters).await;
        for node in &mut cluster.nodes {
            node.kill();
        }
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_ready().await;
    }
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}

/// What makes repeats repeats is on the disks as well.
#[actix::test]
async fn a_repeat_after_it_is_still_one() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut requests = Vec::new();
    let first = ann.create_room("first", "public").await;
    for (op, fields) in [
        ("create_room", json!({"name": "general", "kind": "public"})),
        ("send", json!({"room": first, "text": "one"})),
        ("edit", json!({"room": first, "seq": 1, "text": "two"})),
        ("react", json!({"room": first, "seq": 1, "emoji": "+1", "on": true})),
        ("leave", json!({"room": first})),
        ("change_password", json!({"old": password_of("ann"), "new": "a new password"})),
    ] {
        let id = new_id();
        let reply = ann.ask_as(&id, op, fields.clone()).await;
        assert_eq!(reply["ok"], true, "{op}: {reply}");
        requests.push((id, op, fields, reply));
    }
    for node in &mut cluster.nodes {
        node.kill();
    }
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
    let mut again = cluster.client(1).await;
    again.hello_as(&ann).await;
    let before = number(&cluster.nodes[1].status().await.unwrap(), "at");
    for (id, op, fields, mut expected) in requests {
        let reply = again.ask_as(&id, op, fields).await;
        expected["duplicate"] = true.into();
        assert_eq!(reply, expected, "{op}");
    }
    assert_eq!(number(&cluster.nodes[1].status().await.unwrap(), "at"), before);
}
