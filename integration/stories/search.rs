//! Search: what is found, by whom, when, and that its file may go.

use std::fs;

use serde_json::{Value, json};

use crate::cluster::http::get;
use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, number};

async fn seqs(client: &mut Client, fields: Value) -> Value {
    json!(each(&client.ok("search", fields).await["messages"], "seq"))
}

#[actix::test]
async fn one_finds_what_one_has_just_sent_and_sees() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    for round in 1..=20 {
        let text = format!("round{round} of 20 👍");
        let seq = ann.send(room, &text).await;
        let found = ann.ok("search", json!({"text": format!("ROUND{round}")})).await;
        assert_eq!((found["more"].clone(), found["partial"].clone()), (json!(false), Value::Null), "{found}");
        let message = &found["messages"][0];
        assert_eq!((message["seq"].clone(), message["text"].clone()), (json!(seq), json!(text)), "{found}");
        assert_eq!(message["hit"], json!([[0, 5 + round.to_string().len()]]));
        assert!(number(&found, "at") >= number(message, "at"));
    }
    // Elsewhere as soon as it is applied there.
    bob.event(json!({"ev": "message", "seq": 20})).await;
    let page = bob.ok("search", json!({"text": "👍🏽", "limit": 7})).await;
    assert_eq!(json!(each(&page["messages"], "seq")), json!([20, 19, 18, 17, 16, 15, 14]));
    assert_eq!(page["more"], true);
    let before = &page["messages"][6]["at"];
    let next = bob.ok("search", json!({"text": "👍", "limit": 100, "before": before, "room": room})).await;
    assert_eq!((each(&next["messages"], "seq").len(), &next["more"]), (13, &json!(false)));
    assert_eq!(seqs(&mut bob, json!({"text": "20", "from": "Ann", "limit": 1})).await, json!([20]));
    assert_eq!(seqs(&mut bob, json!({"text": "20", "from": "bob"})).await, json!([]));

    // As it is now.
    ann.ok("edit", json!({"room": room, "seq": 3, "text": "日本語のメッセージ"})).await;
    ann.ok("delete", json!({"room": room, "seqs": [4]})).await;
    assert_eq!(seqs(&mut ann, json!({"text": "round3"})).await, json!([]));
    assert_eq!(seqs(&mut ann, json!({"text": "round4"})).await, json!([]));
    assert_eq!(seqs(&mut ann, json!({"text": "メッセ"})).await, json!([3]));

    // Only where one is.
    let secret = bob.create_room("secret", "private").await;
    bob.send(secret, "round99").await;
    assert_eq!(seqs(&mut bob, json!({"text": "round99"})).await, json!([1]));
    assert_eq!(seqs(&mut ann, json!({"text": "round99"})).await, json!([]));
    bob.ok("leave", json!({"room": room})).await;
    assert_eq!(seqs(&mut bob, json!({"text": "round*"})).await, json!([1]));

    for (fields, code) in [
        (json!({}), "bad_request"),
        (json!({"text": 7}), "bad_request"),
        (json!({"text": " \u{3000}\n"}), "bad_request"),
        (json!({"text": "x".repeat(257)}), "bad_request"),
        (json!({"text": "x", "room": 0}), "bad_request"),
        (json!({"text": "x", "before": "1"}), "bad_request"),
        (json!({"text": "round99", "room": secret}), "not_found"),
        (json!({"text": "x", "room": 4711}), "not_found"),
        (json!({"text": "x", "from": "nobody"}), "not_found"),
        (json!({"text": "x", "from": "no one"}), "not_found"),
    ] {
        ann.refused("search", fields, code).await;
    }
    for text in [
        "a AND",
        "NOT x",
        "(x",
        "x\"",
        "\"x\" \"",
        "text:y",
        "*x",
        "^y",
        "x + y",
        "NEAR(x y)",
        "x';--",
        "\" * -",
        "$",
    ] {
        assert_eq!(seqs(&mut ann, json!({"text": text})).await, json!([]), "{text}");
    }
    let page = get(&format!("{}/metrics", cluster.nodes[0].url())).await.unwrap().text();
    assert!(
        page.contains("chat_search_lag_changes ") && page.contains("chat_search_seconds_count "),
        "{page}"
    );
}

/// It is derived: gone, damaged or of another chat, it is made anew, and search goes on.
#[actix::test]
async fn the_index_is_made_anew_when_it_cannot_be_used() {
    let mut cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    for number in 1..=30 {
        ann.send(room, &format!("apple {number}")).await;
    }
    let file = cluster.nodes[0].data_dir().join("search.db");
    for what in ["whole", "gone", "damaged", "empty"] {
        assert_eq!(seqs(&mut ann, json!({"text": "apple", "limit": 1})).await, json!([30]), "{what}");
        cluster.nodes[0].terminate().await;
        match what {
            "gone" => fs::remove_file(&file).unwrap(),
            "damaged" => {
                let mut bytes = fs::read(&file).unwrap();
                bytes[4096..].fill(0xee);
                fs::write(&file, bytes).unwrap();
            }
            "empty" => fs::write(&file, "").unwrap(),
            _ => {}
        }
        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
        let mut again = cluster.client(0).await;
        again.hello_as(&ann).await;
        ann = again;
    }
    assert_eq!(seqs(&mut ann, json!({"text": "apple", "limit": 100})).await.as_array().unwrap().len(), 30);
}

/// Who was away while the log was cut gets rows, and its index goes on behind them; alone it still finds all.
#[actix::test]
async fn who_was_away_finds_all_and_without_a_majority_too() {
    let mut cluster = Cluster::start_with(3, "[raft]\nlog_keep_entries = 20").await;
    let leader = cluster.leader().await;
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "pear 1").await;
    ann.send(room, "pear 2").await;
    cluster.wait_until_equal().await;
    cluster.nodes[away].terminate().await;
    ann.ok("edit", json!({"room": room, "seq": 1, "text": "kiwi 1"})).await;
    for number in 3..=100 {
        ann.send(room, &format!("pear {number}")).await;
    }
    cluster.nodes[away].start();
    cluster.wait_until_equal().await;
    for place in [leader, other] {
        cluster.nodes[place].kill();
    }
    let mut alone = cluster.client(away).await;
    alone.hello_as(&ann).await;
    let found = seqs(&mut alone, json!({"text": "pear", "limit": 100})).await;
    assert_eq!(found, json!((2..=100).rev().collect::<Vec<_>>()));
    assert_eq!(seqs(&mut alone, json!({"text": "kiwi"})).await, json!([1]));
}
