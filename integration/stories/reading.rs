//! What a read must see, and who reads slowly.

use serde_json::json;

use crate::cluster::client::new_id;
use crate::cluster::replies::each;
use crate::cluster::{Cluster, number};

/// Written at one node and acknowledged, read at once at another.
#[actix::test]
async fn a_linearizable_read_sees_every_acknowledged_write() {
    let cluster = Cluster::start(3).await;
    let mut clients = vec![cluster.register(0, "ann").await];
    let room = clients[0].create_room("general", "public").await;
    for place in [1, 2] {
        let mut client = cluster.client(place).await;
        client.hello_as(&clients[0]).await;
        clients.push(client);
    }
    let mut last_time = 0;
    for round in 0..60 {
        let sent = clients[round % 3].ok("send", json!({"room": room, "text": "x"})).await;
        let expected = json!([sent["seq"]]);
        let (reader, writer) = ((round + 1 + round / 3 % 2) % 3, round % 3);
        let read = clients[reader].ok("history", json!({"room": room, "limit": 1})).await;
        assert_eq!(json!(each(&read["messages"], "seq")), expected);
        assert!(number(&read, "at") >= number(&sent, "at"));
        // And where it was acknowledged, without asking anybody.
        let local = clients[writer].ok("history", json!({"room": room, "limit": 1, "read": "local"})).await;
        assert_eq!(json!(each(&local["messages"], "seq")), expected);
        let time = number(&sent, "time");
        assert!(time >= last_time);
        last_time = time;
    }
}

/// Far more than sockets hold is sent while somebody does not read. Nobody is dropped for being slow,
/// and nothing is left out.
#[actix::test]
async fn a_slow_reader_gets_everything_in_the_end() {
    const MESSAGES: u64 = 2_000;
    let cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 0").await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    let text = "x".repeat(8_000);
    for _ in 0..MESSAGES / 20 {
        let ids: Vec<String> = (0..20).map(|_| new_id()).collect();
        for id in &ids {
            ann.post(id, "send", json!({"room": room, "text": text})).await;
        }
        for id in &ids {
            assert_eq!(ann.reply(id).await["ok"], true);
        }
    }
    for seq in 1..=MESSAGES {
        let event = bob.event(json!({"ev": "message"})).await;
        assert_eq!(event["seq"], seq);
    }
    assert_eq!(ann.send(room, "and now live").await, MESSAGES + 1);
    assert_eq!(bob.event(json!({"ev": "message"})).await["text"], "and now live");
}
