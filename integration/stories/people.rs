//! Who is there: list_users, presence, typing, ping.

use serde_json::{Value, json};

use crate::cluster::replies::each;
use crate::cluster::{Client, Cluster, assert_like, number};

async fn names(client: &mut Client, fields: Value) -> Vec<String> {
    let reply = client.ok("list_users", fields).await;
    each(&reply["users"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[actix::test]
async fn list_users_by_name() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    for name in ["anton", "bob", "zoe"] {
        cluster.register(0, name).await;
    }
    let all = ann.ok("list_users", json!({})).await;
    let first = &all["users"][0];
    assert_like(first, &json!({"name": "ann", "role": "admin", "deleted": false, "online": true}));
    assert!(first["display"].is_string());

    for (fields, expected) in [
        (json!({}), vec!["ann", "anton", "bob", "zoe"]),
        (json!({"match": "an*"}), vec!["ann", "anton"]),
        (json!({"match": "?o?"}), vec!["bob", "zoe"]),
        (json!({"match": "*o*"}), vec!["anton", "bob", "zoe"]),
        (json!({"match": "an"}), vec![]),
        (json!({"match": "[a]*"}), vec![]),
        (json!({"limit": 2}), vec!["ann", "anton"]),
        (json!({"after": "anton"}), vec!["bob", "zoe"]),
        (json!({"after": "anton", "limit": 1}), vec!["bob"]),
        (json!({"after": "zoe"}), vec![]),
    ] {
        assert_eq!(names(&mut ann, fields.clone()).await, expected, "{fields}");
    }
    ann.refused("list_users", json!({"match": 7}), "bad_request").await;
    ann.refused("list_users", json!({"limit": "x"}), "bad_request").await;
}

#[actix::test]
async fn presence_is_known_across_the_nodes() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let bob = cluster.register(1, "bob").await;
    let news = ann.event(json!({"ev": "presence", "user": "bob", "online": true})).await;
    assert!(news.get("at").is_none());
    // Who is there is told at once, and may be known before the account is.
    let listed = async || {
        let users = ann.ok("list_users", json!({"match": "bob"})).await;
        users["users"].as_array()?.first().cloned()
    };
    assert_eq!(cluster.wait_for("bob to be listed", listed).await["online"], true);

    // Two connections are one presence.
    let mut bob_too = cluster.client(2).await;
    bob_too.hello_as(&bob).await;
    drop(bob);
    drop(bob_too);
    ann.event(json!({"ev": "presence", "user": "bob", "online": false})).await;
    let users = ann.ok("list_users", json!({"match": "bob"})).await;
    assert_eq!(users["users"][0]["online"], false);
}

/// Nobody is left to say who went.
#[actix::test]
async fn who_was_on_a_dead_node_is_gone() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let bob = cluster.register(1, "bob").await;
    ann.event(json!({"ev": "presence", "user": "bob", "online": true})).await;
    cluster.nodes[1].kill();
    ann.event(json!({"ev": "presence", "user": "bob", "online": false})).await;
    let mut again = cluster.client(2).await;
    again.hello_as(&bob).await;
    ann.event(json!({"ev": "presence", "user": "bob", "online": true})).await;
    let users = ann.ok("list_users", json!({"match": "bob"})).await;
    assert_eq!(users["users"][0]["online"], true);
}

#[actix::test]
async fn typing_reaches_those_in_the_room() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let mut eve = cluster.register(1, "eve").await;
    let room = ann.create_room("private", "private").await;
    ann.ok("invite", json!({"room": room, "user": "bob"})).await;
    bob.event(json!({"ev": "room", "room": room})).await;

    ann.ok("typing", json!({"room": room})).await;
    let news = bob.event(json!({"ev": "typing"})).await;
    assert_like(&news, &json!({"room": room, "user": "ann"}));
    assert!(news.get("at").is_none());

    eve.refused("typing", json!({"room": room}), "not_found").await;
    eve.refused("typing", json!({}), "bad_request").await;
    // A change that all see comes after what Eve must not.
    let public = ann.create_room("public", "public").await;
    eve.ok("join", json!({"room": public})).await;
    eve.event(json!({"ev": "room", "room": public})).await;
    assert!(eve.events.iter().all(|event| event["ev"] != "typing"), "{:?}", eve.events);
}

#[actix::test]
async fn ping_tells_the_time() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let reply = ann.ok("ping", json!({})).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(number(&reply, "time")).abs_diff(now) < 60_000);
}
