//! Messages: send, edit, delete, react, history, mark_read.

use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::replies::{done, each, refused};
use crate::cluster::{Client, Cluster, assert_like, number, tables};

async fn unread(client: &mut Client, room: u64) -> (u64, u64) {
    let mut again = Client::open(&client.url).await;
    again.hello_as(client).await;
    let rooms = again.welcome["rooms"].as_array().unwrap();
    let seen = rooms.iter().find(|seen| seen["room"] == room).unwrap();
    (number(seen, "read_seq"), number(seen, "unread"))
}

#[actix::test]
async fn send() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let other = ann.create_room("other", "public").await;

    let id = new_id();
    let fields = json!({"room": room, "text": "  kept \u{1F44D}\nas it is "});
    let sent = ann.ask_as(&id, "send", fields).await;
    done("send", &sent);
    assert_like(&sent, &json!({"re": id, "seq": 1}));
    let heard = ann.event(json!({"ev": "message"})).await;
    let whole = json!({
        "ev": "message", "at": sent["at"], "room": room, "seq": 1, "id": id, "from": "ann",
        "text": "  kept \u{1F44D}\nas it is ", "time": sent["time"], "version": 1, "edited": false,
        "deleted": false, "reply_to": null, "reactions": {}, "files": [],
    });
    assert_eq!(heard, whole);

    let reply = ann.ok("send", json!({"room": room, "text": "x", "reply_to": 1})).await;
    assert_eq!(reply["seq"], 2);
    assert_eq!(ann.event(json!({"ev": "message", "seq": 2})).await["reply_to"], 1);
    ann.ok("send", json!({"room": room, "text": "é".repeat(4096)})).await;
    for (fields, code) in [
        (json!({"room": room, "text": ""}), "bad_request"),
        (json!({"room": room, "text": " \n\t\u{a0}\u{2003} "}), "bad_request"),
        (json!({"room": room, "text": "a\u{0}b"}), "bad_request"),
        (json!({"room": room, "text": 7}), "bad_request"),
        (json!({"room": room}), "bad_request"),
        (json!({"text": "x"}), "bad_request"),
        (json!({"room": "general", "text": "x"}), "bad_request"),
        (json!({"room": -1, "text": "x"}), "bad_request"),
        (json!({"room": 1.5, "text": "x"}), "bad_request"),
        (json!({"room": room, "text": "x", "reply_to": "1"}), "bad_request"),
        (json!({"room": room, "text": "x".repeat(8193)}), "too_large"),
        (json!({"room": room, "text": "x", "reply_to": 99}), "not_found"),
        (json!({"room": other, "text": "x", "reply_to": 1}), "not_found"),
        (json!({"room": 4711, "text": "x"}), "not_found"),
    ] {
        ann.refused("send", fields, code).await;
    }
    // Refusals leave no hole.
    assert_eq!(ann.send(room, "after all that").await, 4);
    assert_eq!(ann.send(other, "a count of its own").await, 1);
}

#[actix::test]
async fn edit() {
    let cluster = Cluster::start(1).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    ann.send(room, "one").await;
    bob.event(json!({"ev": "message", "seq": 1, "version": 1})).await;

    let reply = ann.ok("edit", json!({"room": room, "seq": 1, "text": "two", "version": 1})).await;
    assert_eq!(reply["version"], 2);
    let heard = bob.event(json!({"ev": "message", "seq": 1, "version": 2})).await;
    assert_like(&heard, &json!({"text": "two", "edited": true, "from": "ann", "deleted": false}));
    assert_eq!(heard["at"], reply["at"]);

    let error =
        ann.refused("edit", json!({"room": room, "seq": 1, "text": "three", "version": 1}), "conflict").await;
    assert_like(&error["current"], &json!({"room": room, "seq": 1, "text": "two", "version": 2}));
    let reply = ann.ok("edit", json!({"room": room, "seq": 1, "text": "three"})).await;
    assert_eq!(reply["version"], 3);

    bob.refused("edit", json!({"room": room, "seq": 1, "text": "mine"}), "forbidden").await;
    for (fields, code) in [
        (json!({"room": room, "seq": 9, "text": "x"}), "not_found"),
        (json!({"room": 4711, "seq": 1, "text": "x"}), "not_found"),
        (json!({"room": room, "seq": 1, "text": ""}), "bad_request"),
        (json!({"room": room, "seq": 1, "text": " "}), "bad_request"),
        (json!({"room": room, "seq": 1}), "bad_request"),
        (json!({"room": room, "text": "x"}), "bad_request"),
        (json!({"room": room, "seq": 1, "text": "x", "version": "1"}), "bad_request"),
        (json!({"room": room, "seq": 1, "text": "x".repeat(8193)}), "too_large"),
    ] {
        ann.refused("edit", fields, code).await;
    }
}

#[actix::test]
async fn delete() {
    let cluster = Cluster::start(1).await;
    let mut admin = cluster.register(0, "admin").await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    let room = ann.create_room("general", "public").await;
    for other in [&mut bob, &mut admin] {
        other.ok("join", json!({"room": room})).await;
    }
    for text in ["one", "two", "three"] {
        ann.send(room, text).await;
    }
    bob.send(room, "four").await;
    bob.ok("react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true})).await;

    // All or none.
    ann.refused("delete", json!({"room": room, "seqs": [1, 4]}), "forbidden").await;
    ann.refused("delete", json!({"room": room, "seqs": [1, 99]}), "not_found").await;
    for seqs in [json!([]), json!(1), json!(["1"]), Value::Null] {
        ann.refused("delete", json!({"room": room, "seqs": seqs}), "bad_request").await;
    }
    let history = ann.ok("history", json!({"room": room})).await;
    assert!(each(&history["messages"], "deleted").iter().all(|deleted| **deleted == false));

    let before = number(&history, "at");
    let reply = ann.ok("delete", json!({"room": room, "seqs": [1, 2]})).await;
    assert_eq!(number(&reply, "at"), before + 2);
    for seq in [1, 2] {
        let heard = bob.event(json!({"ev": "message", "seq": seq, "deleted": true})).await;
        assert_like(&heard, &json!({"text": "", "version": 2, "reactions": {}, "files": [], "from": "ann"}));
    }
    let history = bob.ok("history", json!({"room": room})).await;
    assert_like(&history["messages"][0], &json!({"seq": 1, "text": "", "deleted": true}));
    let edit = json!({"room": room, "seq": 1, "text": "back"});
    assert_like(&ann.refused("edit", edit, "conflict").await["current"], &json!({"deleted": true}));
    ann.refused("react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true}), "conflict").await;

    bob.refused("delete", json!({"room": room, "seqs": [3]}), "forbidden").await;
    admin.ok("delete", json!({"room": room, "seqs": [3, 4]})).await;
    // A deleted message keeps its place: one may still answer it.
    assert_eq!(number(&bob.ok("send", json!({"room": room, "text": "x", "reply_to": 1})).await, "seq"), 5);
    assert_eq!(unread(&mut bob, room).await.1, 0);
}

#[actix::test]
async fn react() {
    let cluster = Cluster::start(1).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    ann.send(room, "one").await;
    let react = |emoji: &str, on: bool| json!({"room": room, "seq": 1, "emoji": emoji, "on": on});

    bob.ok("react", react("👍", true)).await;
    ann.event(json!({"ev": "message", "reactions": {"👍": ["bob"]}})).await;
    ann.ok("react", react("👍", true)).await;
    let heard = bob.event(json!({"ev": "message", "reactions": {"👍": ["ann", "bob"]}})).await;
    assert_like(&heard, &json!({"edited": false, "text": "one"}));
    ann.ok("react", react("👩‍🚀", true)).await;
    ann.ok("react", react("👍", false)).await;
    bob.ok("react", react("👍", false)).await;
    // Turning off what is off changes nothing.
    bob.ok("react", react("👍", false)).await;
    let history = bob.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"][0]["reactions"], json!({"👩‍🚀": ["ann"]}));

    for (fields, code) in [
        (react("", true), "bad_request"),
        (json!({"room": room, "seq": 1, "emoji": 7, "on": true}), "bad_request"),
        (json!({"room": room, "seq": 1, "emoji": "👍"}), "bad_request"),
        (json!({"room": room, "seq": 1, "emoji": "👍", "on": "yes"}), "bad_request"),
        (json!({"room": room, "seq": 9, "emoji": "👍", "on": true}), "not_found"),
        (json!({"room": 4711, "seq": 1, "emoji": "👍", "on": true}), "not_found"),
    ] {
        ann.refused("react", fields, code).await;
    }
}

#[actix::test]
async fn history_in_pages() {
    let cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 0").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let empty = ann.ok("history", json!({"room": room})).await;
    assert_like(&empty, &json!({"messages": [], "more": false}));
    let ids: Vec<String> = (0..210).map(|_| new_id()).collect();
    for (number, id) in ids.iter().enumerate() {
        ann.post(id, "send", json!({"room": room, "text": number.to_string()})).await;
        if number % 16 == 15 {
            for id in &ids[number - 15..=number] {
                done("send", &ann.reply(id).await);
            }
        }
    }
    for id in &ids[208..] {
        done("send", &ann.reply(id).await);
    }

    for (more_fields, first, last, more) in [
        (json!({}), 161, 210, true),
        (json!({"limit": 3}), 208, 210, true),
        (json!({"limit": 1000}), 11, 210, true),
        (json!({"limit": 0}), 210, 210, true),
        (json!({"before": 161}), 111, 160, true),
        (json!({"before": 4, "limit": 5}), 1, 3, false),
        (json!({"after": 0, "limit": 2}), 1, 2, true),
        (json!({"after": 5, "limit": 2}), 6, 7, true),
        (json!({"after": 208, "limit": 2}), 209, 210, false),
        (json!({"after": 208, "read": "local"}), 209, 210, false),
        (json!({"before": 10_000, "limit": 1, "read": "linearizable"}), 210, 210, true),
    ] {
        let mut fields = more_fields.clone();
        fields["room"] = room.into();
        let reply = ann.ok("history", fields).await;
        let seqs: Vec<u64> =
            each(&reply["messages"], "seq").iter().map(|seq| seq.as_u64().unwrap()).collect();
        assert_eq!(seqs, (first..=last).collect::<Vec<u64>>(), "{more_fields}");
        assert_eq!(reply["more"], more, "{more_fields}");
        assert!(number(&reply, "at") > 0);
    }
    assert_eq!(ann.ok("history", json!({"room": room, "after": 210})).await["messages"], json!([]));
    assert_eq!(ann.ok("history", json!({"room": room, "before": 1})).await["messages"], json!([]));
    for (fields, code) in [
        (json!({"room": room, "before": 5, "after": 1}), "bad_request"),
        (json!({"room": room, "before": "5"}), "bad_request"),
        (json!({"room": room, "limit": "5"}), "bad_request"),
        (json!({"room": room, "read": "dirty"}), "bad_request"),
        (json!({}), "bad_request"),
        (json!({"room": 4711}), "not_found"),
    ] {
        ann.refused("history", fields, code).await;
    }
}

#[actix::test]
async fn read_marks_only_go_forward() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let mut bob_too = cluster.client(2).await;
    bob_too.hello_as(&bob).await;
    for text in ["one", "two", "three"] {
        ann.send(room, text).await;
    }
    bob.send(room, "one's own is not unread").await;
    assert_eq!(unread(&mut bob, room).await, (0, 3));
    bob.ok("mark_read", json!({"room": room, "seq": 1})).await;
    bob_too.event(json!({"ev": "read", "room": room, "user": "bob", "seq": 1})).await;
    assert_eq!(unread(&mut bob, room).await, (1, 2));
    ann.ok("delete", json!({"room": room, "seqs": [2]})).await;
    assert_eq!(unread(&mut ann, room).await.0, 0);
    bob.event(json!({"ev": "message", "seq": 2, "deleted": true})).await;
    assert_eq!(unread(&mut bob, room).await, (1, 1));

    bob.ok("mark_read", json!({"room": room, "seq": 3})).await;
    let back = bob.ok("mark_read", json!({"room": room, "seq": 1})).await;
    assert!(number(&back, "at") > 0);
    assert_eq!(unread(&mut bob, room).await, (3, 0));
    bob.ok("mark_read", json!({"room": room, "seq": 1_000_000})).await;
    bob_too.event(json!({"ev": "read", "room": room, "user": "bob", "seq": 4})).await;
    assert_eq!(unread(&mut bob, room).await, (4, 0));

    bob.refused("mark_read", json!({"room": 4711, "seq": 1}), "not_found").await;
    bob.refused("mark_read", json!({"room": room}), "bad_request").await;
    bob.refused("mark_read", json!({"room": room, "seq": "1"}), "bad_request").await;
    assert!(ann.events.iter().all(|event| event["ev"] != "read" || event["user"] == "ann"));
}

/// Every change to messages, twice under one id at two nodes, also when something came in between,
/// and then another under the same id.
#[actix::test]
async fn a_repeat_is_done_once_on_whichever_node() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut ann_too = cluster.client(1).await;
    ann_too.hello_as(&ann).await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "one").await;
    ann.send(room, "two").await;
    let at = |seq: u64, more: Value| {
        let mut fields = json!({"room": room, "seq": seq});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };

    for (op, fields, other) in [
        ("send", json!({"room": room, "text": "x"}), json!({"room": room, "text": "y"})),
        ("send", json!({"room": room, "text": "x"}), json!({"room": room, "text": "x", "reply_to": 1})),
        ("edit", at(1, json!({"text": "x"})), at(1, json!({"text": "y"}))),
        ("react", at(1, json!({"emoji": "👍", "on": true})), at(1, json!({"emoji": "👍", "on": false}))),
        ("delete", json!({"room": room, "seqs": [2]}), json!({"room": room, "seqs": [1]})),
    ] {
        let id = new_id();
        let mut one = ann.ask_as(&id, op, fields.clone()).await;
        done(op, &one);
        assert_ne!(one["duplicate"], true, "{one}");
        ann.ok("edit", at(1, json!({"text": format!("since {id}")}))).await;
        let mut two = ann_too.ask_as(&id, op, fields.clone()).await;
        done(op, &two);
        assert_eq!(two["duplicate"], true, "{op}: {two}");
        for reply in [&mut one, &mut two] {
            reply.as_object_mut().unwrap().remove("duplicate");
        }
        assert_eq!(two, one, "{op}");
        refused(op, &ann_too.ask_as(&id, op, other).await, "conflict");
        refused(
            op,
            &ann.ask_as(&id, "create_room", json!({"name": "n", "kind": "public"})).await,
            "conflict",
        );
    }
    // Without effect the second time: the text is the last one, and so is the count.
    let history = ann.ok("history", json!({"room": room})).await;
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert!(messages[0]["text"].as_str().unwrap().starts_with("since"));
}

/// An id that a read mark has is taken for good, also when others came after it.
#[actix::test]
async fn repeated_read_marks() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut ann_too = cluster.client(1).await;
    ann_too.hello_as(&ann).await;
    let room = ann.create_room("general", "public").await;
    let mark = |seq: u64| json!({"room": room, "seq": seq});
    let mut marks = Vec::new();
    for seq in [9, 2, 1] {
        ann.send(room, "one more").await;
        let id = new_id();
        let one = ann.ask_as(&id, "mark_read", mark(seq)).await;
        done("mark_read", &one);
        marks.push((id, seq, one));
    }
    for (id, seq, one) in marks {
        let two = ann_too.ask_as(&id, "mark_read", mark(seq)).await;
        assert_eq!((&two["duplicate"], &two["at"]), (&json!(true), &one["at"]), "{two}");
        refused("mark_read", &ann_too.ask_as(&id, "mark_read", mark(seq + 1)).await, "conflict");
        refused("join", &ann_too.ask_as(&id, "join", json!({"room": room})).await, "conflict");
        let send = json!({"room": room, "text": "under a mark's id"});
        refused("send", &ann_too.ask_as(&id, "send", send).await, "conflict");
    }
}

#[actix::test]
async fn a_refusal_is_not_remembered() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let id = new_id();
    let fields = json!({"room": 1, "text": "too early"});
    refused("send", &ann.ask_as(&id, "send", fields.clone()).await, "not_found");
    let room = ann.create_room("general", "public").await;
    let reply = ann.ask_as(&id, "send", json!({"room": room, "text": "too early"})).await;
    done("send", &reply);
    assert_ne!(reply["duplicate"], true);
}

/// Two nodes are told the same thing at the same moment, many times over.
#[actix::test]
async fn twins_are_one() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut ann_too = cluster.client(1).await;
    ann_too.hello_as(&ann).await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..30).map(|_| new_id()).collect();
    for id in &ids {
        let fields = json!({"room": room, "text": id});
        ann.post(id, "send", fields.clone()).await;
        ann_too.post(id, "send", fields).await;
    }
    for id in &ids {
        let (one, two) = (ann.reply(id).await, ann_too.reply(id).await);
        done("one", &one);
        done("its twin", &two);
        assert_eq!((&one["seq"], &one["at"], &one["time"]), (&two["seq"], &two["at"], &two["time"]));
        let duplicates = [&one, &two].iter().filter(|reply| reply["duplicate"] == true).count();
        assert_eq!(duplicates, 1, "{one} {two}");
    }
    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(each(&history["messages"], "id"), ids.iter().collect::<Vec<_>>());
}

#[actix::test]
async fn mentions_are_counted_and_rooms_are_muted() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    for text in ["@bob", "mail ann@bob.example", "hi @Bob, and @bob.", "@ann", "nobody"] {
        ann.send(room, text).await;
    }
    ann.ok("edit", json!({"room": room, "seq": 5, "text": "but @bob-"})).await;
    bob.send(room, "@bob myself").await;
    bob.event(json!({"ev": "message", "seq": 6})).await;
    let seen = async |client: &mut Client| {
        let mut again = Client::open(&client.url).await;
        again.hello_as(client).await;
        let room = again.welcome["rooms"][0].clone();
        (room["unread"].clone(), room["mentions"].clone(), room["muted"].clone())
    };
    assert_eq!(seen(&mut bob).await, (json!(5), json!(3), json!(false)));

    let id = new_id();
    let muted = bob.ask_as(&id, "mute", json!({"room": room, "on": true})).await;
    done("mute", &muted);
    let expected = json!({"ev": "mute", "at": muted["at"], "room": room, "muted": true});
    assert_eq!(bob.event(json!({"ev": "mute"})).await, expected);
    let again = bob.ask_as(&id, "mute", json!({"room": room, "on": true})).await;
    assert_eq!((&again["at"], &again["duplicate"]), (&muted["at"], &json!(true)));
    bob.ok("mark_read", json!({"room": room, "seq": 1})).await;
    assert_eq!(seen(&mut bob).await, (json!(4), json!(2), json!(true)));

    // Whoever comes back elsewhere is told what was missed, and nobody else hears of it.
    cluster.wait_until_equal().await;
    let position = bob.position();
    bob.ok("mute", json!({"room": room, "on": false})).await;
    let mut elsewhere = cluster.client(2).await;
    elsewhere.hello(&bob.token, position).await;
    assert_eq!(elsewhere.event(json!({"ev": "mute"})).await["muted"], false);
    ann.send(room, "the last").await;
    ann.event(json!({"ev": "message", "text": "the last"})).await;
    assert!(ann.take_events().iter().all(|event| event["ev"] != "mute"));
    for (fields, code) in [
        (json!({"room": room}), "bad_request"),
        (json!({"room": room, "on": 1}), "bad_request"),
        (json!({"room": 4711, "on": true}), "not_found"),
    ] {
        bob.refused("mute", fields, code).await;
    }
}

#[actix::test]
async fn what_a_message_said_before() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    ann.send(room, "one").await;
    ann.send(room, "alone").await;
    for text in ["two", "three"] {
        ann.ok("edit", json!({"room": room, "seq": 1, "text": text})).await;
    }
    cluster.wait_until_equal().await;
    let versions = async |client: &mut Client, seq: u64| {
        client.ok("versions", json!({"room": room, "seq": seq})).await["versions"].clone()
    };
    let kept = versions(&mut bob, 1).await;
    assert_eq!(json!(each(&kept, "text")), json!(["one", "two", "three"]));
    assert_eq!(json!(each(&kept, "version")), json!([1, 2, 3]));
    let times: Vec<_> = each(&kept, "time").into_iter().map(|time| time.as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] > 1_600_000_000_000, "{times:?}");
    assert_eq!(json!(each(&versions(&mut bob, 2).await, "text")), json!(["alone"]));
    bob.refused("versions", json!({"room": room, "seq": 9}), "not_found").await;
    bob.refused("versions", json!({"room": room}), "bad_request").await;
    ann.ok("delete", json!({"room": room, "seqs": [1]})).await;
    assert_eq!(versions(&mut ann, 1).await, json!([]));
    bob.ok("leave", json!({"room": room})).await;
    bob.refused("versions", json!({"room": room, "seq": 2}), "not_found").await;
    cluster.wait_until_equal().await;
    for node in &cluster.nodes {
        let left: i64 = tables::open(&node.data_dir())
            .query_row("SELECT count(*) FROM versions WHERE text <> ''", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
    }
}

/// However much a node logs.
#[actix::test]
async fn what_people_write_is_in_no_log() {
    let mut cluster = Cluster::start_with(3, "[log]\nlevel = \"trace\"").await;
    let follower = cluster.follower().await;
    let mut ann = cluster.register(follower, "ann").await;
    let room = ann.create_room("general", "public").await;
    for number in 1..=5 {
        assert_eq!(ann.send(room, "a-text-of-hers").await, number);
    }
    cluster.wait_until_equal().await;
    for node in &cluster.nodes {
        let log = node.log();
        assert!(log.contains("DEBUG"), "{} says too little to show anything", node.name);
        for word in ["a-text-of-hers", &password_of("ann")] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "{}", node.name);
        }
    }
}
