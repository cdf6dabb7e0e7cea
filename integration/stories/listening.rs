//! Events as a stream over HTTP.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::client::new_id;
use crate::cluster::http::{exchange, op};
use crate::cluster::listener::Listener;

fn texts(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event["ev"] == "message")
        .map(|event| event["text"].as_str().unwrap())
        .collect()
}

#[actix::test]
async fn a_stream_goes_on_at_any_node_where_it_was() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let hidden = bob.create_room("not for ann", "private").await;
    let urls = cluster.urls();

    // Whoever begins is told where, and then hears what a WebSocket hears.
    let mut first = Listener::open(&urls[1], &ann.token, "").await;
    let begun = first.next().await.unwrap();
    assert_eq!(begun["ev"], "cursor");
    bob.send(hidden, "hidden").await;
    bob.send(room, "one\nand two lines").await;
    let heard = first.event(json!({"ev": "message"})).await;
    assert_eq!(heard, ann.event(json!({"ev": "message", "text": "one\nand two lines"})).await);
    bob.ok("typing", json!({"room": room})).await;
    first.event(json!({"ev": "typing", "user": "bob"})).await;
    let last_id = first.last_id.clone();
    drop(first);

    bob.send(room, "two").await;
    let seq = ann.send(room, "thre").await;
    ann.ok("edit", json!({"room": room, "seq": seq, "text": "three"})).await;
    cluster.wait_until_equal().await;
    for (place, url) in urls.iter().enumerate() {
        let mut again = Listener::open(url, &ann.token, &last_id).await;
        again.event(json!({"ev": "message", "text": "three"})).await;
        assert_eq!(texts(&again.events)[..2], ["two", "three"], "at node {place}");
        // And then live ones, without a gap.
        let live = format!("live {place}");
        bob.send(room, &live).await;
        again.event(json!({"ev": "message", "text": live})).await;
        assert!(again.events.iter().all(|event| event["room"] != hidden));
    }

    // A node that goes says so; another one goes on.
    let follower = cluster.follower().await;
    let mut listener = Listener::open(&urls[follower], &ann.token, "").await;
    listener.next().await.unwrap();
    let last_id = listener.last_id.clone();
    cluster.nodes[follower].terminate().await;
    let last = listener.ended().await;
    assert_eq!(last["ev"], "bye", "{last}");
    let leader = &urls[cluster.leader().await];
    let fields = json!({"room": room, "text": "meanwhile"});
    assert_eq!(op(leader, "send", Some(&ann.token), None, &fields).await.status, 200);
    let mut other = Listener::open(leader, &ann.token, &last_id).await;
    other.event(json!({"ev": "message", "text": "meanwhile"})).await;
}

#[actix::test]
async fn a_stream_that_cannot_go_on_says_so() {
    let cluster = Cluster::start(1).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([0, 0]).await;
    let url = cluster.nodes[0].url();
    let present = ann.cursor();
    let mut other_epoch = Listener::open(&url, &ann.token, &format!("elsewhere-{present}")).await;
    assert_eq!(other_epoch.next().await, Some(json!({"ev": "reset"})));
    // It goes on from the present.
    ann.send(room, "live").await;
    other_epoch.event(json!({"ev": "message", "text": "live"})).await;
    let position = other_epoch.last_id.clone();
    ann.send(room, "later").await;

    let bearer = format!("Bearer {}", ann.token);
    for (method, query, token, status) in [
        (Method::GET, "?cursor=7", bearer.as_str(), 400),
        (Method::GET, "?cursor=x-y", bearer.as_str(), 400),
        (Method::GET, "", "Bearer nobody", 401),
        (Method::GET, "", "", 401),
        (Method::POST, "", bearer.as_str(), 405),
    ] {
        let address = format!("{url}/api/v1/events{query}");
        let answer = exchange(method, &address, &[("Authorization", token)], "").await.unwrap();
        assert_eq!(answer.status, status, "{query} {}", answer.text());
        assert_eq!(answer.json()["ok"], false);
    }

    // The end of the session is the end of its streams.
    let listener = Listener::open(&url, &ann.token, &position).await;
    ann.ok("logout", json!({})).await;
    let mut heard = listener;
    let mut last = Value::Null;
    while let Some(event) = heard.next().await {
        last = event;
    }
    assert_eq!(texts(&heard.events)[0], "later");
    assert_eq!(last["ev"], "over");
}

#[actix::test]
async fn a_slow_reader_misses_nothing() {
    let cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 0").await;
    let (mut ann, bob, room) = cluster.ann_and_bob([0, 0]).await;
    let mut slow = Listener::open(&cluster.nodes[0].url(), &bob.token, "").await;
    slow.next().await.unwrap();
    // More than its socket and its place in the shard hold.
    let filling = "x".repeat(8_000);
    for round in 0..30 {
        let ids: Vec<String> = (0..50).map(|_| new_id()).collect();
        for (place, id) in ids.iter().enumerate() {
            let text = format!("{} {filling}", round * 50 + place);
            ann.post(id, "send", json!({"room": room, "text": text})).await;
        }
        for id in ids {
            assert_eq!(ann.reply(&id).await["ok"], true);
        }
    }
    for expected in 1..=1_500 {
        assert_eq!(slow.event(json!({"ev": "message"})).await["seq"], expected);
    }
}
