//! Rooms and who is in them.

use serde_json::{Value, json};

use crate::cluster::client::new_id;
use crate::cluster::replies::{done, each, refused};
use crate::cluster::{Client, Cluster, assert_like, number, text};

async fn room_names(client: &mut Client, fields: Value) -> Vec<String> {
    let reply = client.ok("list_rooms", fields).await;
    let mut names: Vec<String> =
        each(&reply["rooms"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn member_names(client: &mut Client, room: u64) -> Vec<String> {
    let reply = client.ok("members", json!({"room": room})).await;
    each(&reply["users"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[actix::test]
async fn create_and_list_rooms() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;

    let reply = ann.ok("create_room", json!({"name": "General", "kind": "public", "topic": "all"})).await;
    let general = number(&reply["room"], "room");
    let expected = json!({
        "room": general, "name": "General", "kind": "public", "topic": "all", "member": true, "last_seq": 0,
    });
    assert_like(&reply["room"], &expected);
    assert!(number(&reply["room"], "at") > 0 && number(&reply, "at") > 0 && general > 0);
    let told = ann.event(json!({"ev": "room", "room": general, "member": true})).await;
    assert_like(&told, &expected);

    let kept = ann.create_room("kept", "private").await;
    for (fields, code) in [
        (json!({"name": "General", "kind": "private"}), "conflict"),
        (json!({"name": "kept", "kind": "public"}), "conflict"),
        (json!({"name": "", "kind": "public"}), "bad_request"),
        (json!({"name": "x".repeat(65), "kind": "public"}), "bad_request"),
        (json!({"name": "x", "kind": "direct"}), "bad_request"),
        (json!({"name": "x", "kind": "secret"}), "bad_request"),
        (json!({"name": "x"}), "bad_request"),
        (json!({"kind": "public"}), "bad_request"),
        (json!({"name": 7, "kind": "public"}), "bad_request"),
    ] {
        ann.refused("create_room", fields, code).await;
    }
    ann.create_room(&"é".repeat(32), "public").await;

    assert_eq!(room_names(&mut bob, json!({"match": "?e*"})).await, ["General"]);
    assert_eq!(room_names(&mut ann, json!({"match": "k*"})).await, ["kept"]);
    let listed = bob.ok("list_rooms", json!({"match": "General"})).await;
    assert_like(&listed["rooms"][0], &json!({"room": general, "member": false, "kind": "public"}));
    bob.refused("members", json!({"room": kept}), "not_found").await;
}

#[actix::test]
async fn join_and_leave() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    let public = ann.create_room("public", "public").await;
    let private = ann.create_room("private", "private").await;
    ann.send(public, "before bob").await;

    for op in ["join", "leave"] {
        bob.refused(op, json!({"room": private}), "not_found").await;
        bob.refused(op, json!({"room": 4_711}), "not_found").await;
        bob.refused(op, json!({"room": "public"}), "bad_request").await;
        bob.refused(op, json!({}), "bad_request").await;
    }
    for op in ["history", "members", "typing"] {
        bob.refused(op, json!({"room": private}), "not_found").await;
    }
    bob.refused("send", json!({"room": public, "text": "from outside"}), "not_found").await;

    let reply = bob.ok("join", json!({"room": public})).await;
    assert_like(&reply["room"], &json!({"room": public, "member": true, "last_seq": 1}));
    let told = bob.event(json!({"ev": "room", "room": public, "member": true})).await;
    assert_like(&told, &json!({"name": "public", "kind": "public", "last_seq": 1}));
    let news = ann.event(json!({"ev": "member", "room": public, "user": "bob"})).await;
    assert_eq!(news["member"], true);
    assert_eq!(member_names(&mut ann, public).await, ["ann", "bob"]);

    // Whoever joins has read what was there.
    let mut again = cluster.client(0).await;
    again.hello_as(&bob).await;
    let seen = again.welcome["rooms"].as_array().unwrap().iter().find(|room| room["room"] == public);
    assert_like(seen.unwrap(), &json!({"read_seq": 1, "unread": 0}));

    let left = bob.ok("leave", json!({"room": public})).await;
    assert_like(&left["room"], &json!({"room": public, "member": false}));
    bob.event(json!({"ev": "room", "room": public, "member": false})).await;
    ann.event(json!({"ev": "member", "room": public, "user": "bob", "member": false})).await;
    let at = ann.ok("send", json!({"room": public, "text": "without bob"})).await;
    let own = bob.create_room("own", "public").await;
    bob.event(json!({"ev": "room", "room": own})).await;
    let heard = bob.events_after(number(&at, "at") - 1);
    assert!(heard.iter().all(|event| event["ev"] != "message"), "{heard:?}");
    bob.refused("history", json!({"room": public}), "not_found").await;
}

#[actix::test]
async fn invite_and_remove() {
    let cluster = Cluster::start(1).await;
    let mut admin = cluster.register(0, "admin").await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    let mut eve = cluster.register(0, "eve").await;
    let room = ann.create_room("private", "private").await;

    eve.refused("invite", json!({"room": room, "user": "bob"}), "not_found").await;
    ann.refused("invite", json!({"room": room, "user": "nobody"}), "not_found").await;
    ann.refused("invite", json!({"room": room}), "bad_request").await;
    let reply = ann.ok("invite", json!({"room": room, "user": "bob"})).await;
    assert_like(&reply["room"], &json!({"room": room, "kind": "private", "member": true}));
    bob.event(json!({"ev": "room", "room": room, "member": true})).await;
    ann.event(json!({"ev": "member", "room": room, "user": "bob", "member": true})).await;
    // Members invite, not only the creator.
    bob.ok("invite", json!({"room": room, "user": "eve"})).await;
    eve.event(json!({"ev": "room", "room": room, "member": true})).await;

    bob.refused("remove", json!({"room": room, "user": "eve"}), "forbidden").await;
    ann.refused("remove", json!({"room": room, "user": "nobody"}), "not_found").await;
    ann.ok("remove", json!({"room": room, "user": "eve"})).await;
    eve.event(json!({"ev": "room", "room": room, "member": false})).await;
    eve.refused("history", json!({"room": room}), "not_found").await;
    assert_eq!(member_names(&mut ann, room).await, ["ann", "bob"]);
    admin.ok("remove", json!({"room": room, "user": "bob"})).await;
    bob.event(json!({"ev": "room", "room": room, "member": false})).await;
    // One that comes back sees all of it.
    ann.send(room, "while bob was out").await;
    ann.ok("invite", json!({"room": room, "user": "bob"})).await;
    let history = bob.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"][0]["text"], "while bob was out");
}

#[actix::test]
async fn direct_conversations() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let mut eve = cluster.register(2, "eve").await;

    let reply = ann.ok("open_direct", json!({"users": ["bob"]})).await;
    let room = number(&reply["room"], "room");
    let expected = json!({"kind": "direct", "name": "", "users": ["ann", "bob"], "member": true});
    assert_like(&reply["room"], &expected);
    assert_like(&bob.event(json!({"ev": "room", "room": room})).await, &expected);
    let same = bob.ok("open_direct", json!({"users": ["ann"]})).await;
    assert_eq!(number(&same["room"], "room"), room);
    let more = ann.ok("open_direct", json!({"users": ["eve", "bob"]})).await;
    assert_ne!(number(&more["room"], "room"), room);
    assert_like(&more["room"], &json!({"users": ["ann", "bob", "eve"]}));

    bob.ok("send", json!({"room": room, "text": "between us"})).await;
    ann.event(json!({"ev": "message", "room": room, "text": "between us"})).await;
    eve.refused("history", json!({"room": room}), "not_found").await;
    ann.refused("leave", json!({"room": room}), "forbidden").await;
    ann.refused("invite", json!({"room": room, "user": "eve"}), "forbidden").await;
    ann.refused("remove", json!({"room": room, "user": "bob"}), "forbidden").await;
    eve.refused("join", json!({"room": room}), "not_found").await;
    for (users, code) in [
        (json!([]), "bad_request"),
        (json!("bob"), "bad_request"),
        (json!([7]), "bad_request"),
        (json!(["1", "2", "3", "4", "5", "6", "7", "8", "9"]), "bad_request"),
        (json!(["nobody"]), "not_found"),
    ] {
        ann.refused("open_direct", json!({"users": users}), code).await;
    }
    let rooms = ann.ok("list_rooms", json!({})).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 2);
    assert_eq!(eve.ok("list_rooms", json!({})).await["rooms"].as_array().unwrap().len(), 1);
}

/// Every change to rooms, twice under one id at two nodes, and then another under the same id.
#[actix::test]
async fn a_repeat_is_done_once_on_whichever_node() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut ann_too = cluster.client(1).await;
    ann_too.hello_as(&ann).await;
    let mut bob = cluster.register(2, "bob").await;
    let public = bob.create_room("public", "public").await;
    let private = ann.create_room("private", "private").await;

    for (op, fields, other) in [
        ("create_room", json!({"name": "x", "kind": "public"}), json!({"name": "y", "kind": "public"})),
        ("join", json!({"room": public}), json!({"room": private})),
        ("leave", json!({"room": public}), json!({"room": private})),
        ("invite", json!({"room": private, "user": "bob"}), json!({"room": private, "user": "ann"})),
        ("remove", json!({"room": private, "user": "bob"}), json!({"room": private, "user": "ann"})),
        ("open_direct", json!({"users": ["bob"]}), json!({"users": ["bob", "ann"]})),
    ] {
        let id = new_id();
        let one = ann.ask_as(&id, op, fields.clone()).await;
        done(op, &one);
        assert_ne!(one["duplicate"], true, "{one}");
        let mut two = ann_too.ask_as(&id, op, fields.clone()).await;
        done(op, &two);
        assert_eq!(two["duplicate"], true, "{op}: {two}");
        two.as_object_mut().unwrap().remove("duplicate");
        let mut one = one;
        one.as_object_mut().unwrap().remove("duplicate");
        assert_eq!(two, one, "{op}");

        if op != "open_direct" {
            refused(op, &ann_too.ask_as(&id, op, other).await, "conflict");
        }
        refused(op, &ann.ask_as(&id, "send", json!({"room": private, "text": "x"})).await, "conflict");
        // Another user's ids are another matter.
        done("ping", &bob.ask_as(&id, "ping", json!({})).await);
    }
    assert!(text(&ann.ok("list_rooms", json!({"match": "x"})).await["rooms"][0], "name") == "x");
}

/// A copy of a request that comes late, when there would be something to change.
#[actix::test]
async fn what_changed_nothing_is_done_as_well() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let mut bob_too = cluster.client(2).await;
    bob_too.hello_as(&bob).await;
    let room = ann.create_room("general", "public").await;
    let id = new_id();
    let one = bob.ask_as(&id, "leave", json!({"room": room})).await;
    done("leave", &one);
    bob.ok("join", json!({"room": room})).await;
    let two = bob_too.ask_as(&id, "leave", json!({"room": room})).await;
    assert_eq!((&two["duplicate"], &two["at"], &two["room"]), (&json!(true), &one["at"], &one["room"]));
    // Where the repeat was answered what came before it is applied.
    assert_eq!(member_names(&mut bob_too, room).await, ["ann", "bob"]);
    refused("join", &bob_too.ask_as(&id, "join", json!({"room": room})).await, "conflict");
}
