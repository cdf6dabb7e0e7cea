//! `search`: words, prefixes and phrases in any language, in one's own rooms.

use serde_json::{Value, json};

use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, number};

async fn found(client: &mut Client, fields: Value) -> Vec<String> {
    let reply = client.ok("search", fields).await;
    each(&reply["messages"], "text").iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[actix::test]
async fn search() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let room = ann.create_room("general", "public").await;
    let hidden = ann.create_room("hidden", "private").await;
    bob.ok("join", json!({"room": room})).await;
    for text in
        ["The replicas agree", "a replica lags", "Größe und Ärger", "你好世界", "agree to the replicas"]
    {
        ann.send(room, text).await;
    }
    ann.send(hidden, "hidden replica").await;
    bob.send(room, "bob on replicas").await;

    for (fields, expected) in [
        (json!({"text": "lags"}), vec!["a replica lags"]),
        (json!({"text": "LAGS"}), vec!["a replica lags"]),
        (json!({"text": "repl*", "limit": 2}), vec!["bob on replicas", "agree to the replicas"]),
        (json!({"text": "replicas agree"}), vec!["agree to the replicas", "The replicas agree"]),
        (json!({"text": "\"replicas agree\""}), vec!["The replicas agree"]),
        (json!({"text": "größe"}), vec!["Größe und Ärger"]),
        (json!({"text": "好世"}), vec!["你好世界"]),
        (json!({"text": "repl*", "from": "bob"}), vec!["bob on replicas"]),
        (json!({"text": "hidden"}), vec![]),
        (json!({"text": "repl"}), vec![]),
        (json!({"text": "AND ( \" lags"}), vec![]),
        (json!({"text": "\"lags"}), vec!["a replica lags"]),
        (json!({"text": "(lags)"}), vec!["a replica lags"]),
    ] {
        assert_eq!(found(&mut bob, fields.clone()).await, expected, "{fields}");
    }
    assert_eq!(found(&mut ann, json!({"text": "hidden", "room": hidden})).await, ["hidden replica"]);
    assert_eq!(found(&mut ann, json!({"text": "hidden", "room": room})).await, [""; 0]);

    // Pages by the `at` shown, newest first.
    let first = bob.ok("search", json!({"text": "repl*", "limit": 1})).await;
    let before = number(&first["messages"][0], "at");
    let second = found(&mut bob, json!({"text": "repl*", "limit": 1, "before": before})).await;
    assert_eq!(second, ["agree to the replicas"]);

    // What was changed is found as it is, and what was deleted no more, on every node.
    ann.ok("edit", json!({"room": room, "seq": 2, "text": "a replica leads"})).await;
    ann.ok("delete", json!({"room": room, "seqs": [1]})).await;
    for place in 0..3 {
        let mut again = cluster.client(place).await;
        again.hello(&bob.token, json!({})).await;
        // Indexed as far as the asker has seen; a linearizable read shows how far the others are.
        again.ok("history", json!({"room": room})).await;
        assert_eq!(found(&mut again, json!({"text": "lags"})).await, [""; 0]);
        assert_eq!(found(&mut again, json!({"text": "leads"})).await, ["a replica leads"]);
        assert_eq!(found(&mut again, json!({"text": "\"the replicas agree\""})).await, [""; 0]);
    }
    bob.refused("search", json!({"text": "x", "room": hidden}), "not_found").await;
    bob.refused("search", json!({"text": 7}), "bad_request").await;
    bob.refused("search", json!({}), "bad_request").await;
}
