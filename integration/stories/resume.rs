//! Going on with a cursor, on the same node or another.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::{Client, Cluster, number};

/// Everything in the order of `at`, one line each.
fn told(client: &Client, after: u64) -> Vec<String> {
    let line = |event: &&Value| match event["ev"].as_str().unwrap() {
        "message" => format!("{} {} v{}", event["room"], event["text"], event["version"]),
        "cursor" => String::new(),
        other => format!("{other} {} {} {}", event["room"], event["user"], event["member"]),
    };
    client.events_after(after).iter().map(line).filter(|line| !line.is_empty()).collect()
}

/// Another connection of the same user goes on where this one was, and waits until it has heard `last`.
async fn resume(cluster: &Cluster, place: usize, from: &Client, position: Value, last: &str) -> Client {
    let mut client = cluster.client(place).await;
    let reply = client.hello(&from.token, position.clone()).await;
    assert_eq!(reply["resumed"], true, "{reply}");
    assert_eq!(reply["behind"], false, "{reply}");
    assert_eq!(reply["cursor"], position["cursor"]);
    assert_eq!(reply["epoch"], position["epoch"]);
    client.event(json!({"ev": "message", "text": last})).await;
    client
}

#[actix::test]
async fn nothing_is_missed_and_nothing_comes_twice() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let room = ann.create_room("general", "public").await;
    let hidden = ann.create_room("hidden", "private").await;
    bob.ok("join", json!({"room": room})).await;
    ann.send(room, "before").await;
    bob.event(json!({"ev": "message", "text": "before"})).await;
    let position = bob.position();
    let (token, after) = (bob.token.clone(), bob.cursor());
    drop(bob);

    ann.send(room, "one").await;
    ann.send(hidden, "not for bob").await;
    ann.send(room, "two").await;
    ann.ok("edit", json!({"room": room, "seq": 2, "text": "one, edited"})).await;
    ann.ok("react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true})).await;
    let late = ann.create_room("late", "private").await;
    ann.send(late, "before bob came").await;
    ann.ok("invite", json!({"room": late, "user": "bob"})).await;
    ann.send(late, "since bob came").await;
    ann.send(room, "three").await;

    // A state that changed twice comes once, as it is now, at its last place. Of a room that one is in
    // by now, all may be seen.
    let expected = [
        format!("{room} \"two\" v1"),
        format!("{room} \"one, edited\" v2"),
        format!("{room} \"before\" v1"),
        format!("{late} \"before bob came\" v1"),
        format!("room {late} null true"),
        format!("{late} \"since bob came\" v1"),
        format!("{room} \"three\" v1"),
    ];
    // A node that had not applied the invitation yet would rightly leave out what was sent before it.
    cluster.wait_until_equal().await;
    for place in [0, 1, 2] {
        let mut again = cluster.client(place).await;
        let reply = again.hello(&token, position.clone()).await;
        assert_eq!((&reply["resumed"], &reply["cursor"]), (&json!(true), &position["cursor"]));
        again.event(json!({"ev": "message", "text": "three"})).await;
        let mut heard = told(&again, after);
        heard.retain(|line| !line.starts_with("read") && !line.starts_with("member"));
        assert_eq!(heard[..expected.len()], expected, "at node {place}");

        // And then live ones, without a gap.
        let live = format!("live {place}");
        ann.send(room, &live).await;
        again.event(json!({"ev": "message", "text": live})).await;
        assert!(again.events.iter().all(|event| event["room"] != hidden));
    }
}

#[actix::test]
async fn a_cursor_may_stop_between_any_two() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let begin = number(&ann.welcome, "cursor");
    for text in ["one", "two", "three", "four"] {
        ann.send(room, text).await;
    }
    ann.ok("delete", json!({"room": room, "seqs": [2, 3]})).await;
    ann.send(room, "last").await;
    ann.event(json!({"ev": "message", "text": "last"})).await;
    let all: Vec<u64> = ann.events_after(begin).iter().map(|event| number(event, "at")).collect();
    // A node that is behind rightly tells states that are not the last.
    cluster.wait_until_equal().await;

    for (place, cursor) in all.iter().enumerate().take(all.len() - 1) {
        let position = json!({"cursor": cursor, "epoch": ann.welcome["epoch"]});
        let again = resume(&cluster, place % 3, &ann, position, "last").await;
        let mut expected: Vec<Value> = Vec::new();
        for event in ann.events_after(*cursor) {
            let is_newer_told = ann.events_after(number(event, "at")).iter().any(|later| {
                later["ev"] == event["ev"] && later["room"] == event["room"] && later["seq"] == event["seq"]
            });
            if !is_newer_told {
                expected.push(event.clone());
            }
        }
        let expected: Vec<&Value> = expected.iter().filter(|event| event["at"].is_u64()).collect();
        let heard: Vec<&Value> =
            again.events_after(*cursor).into_iter().filter(|event| event["ev"] != "cursor").collect();
        // A room's own state, such as how far it goes, is as of now.
        let short = |events: &[&Value]| -> Vec<(u64, Value)> {
            events.iter().map(|event| (number(event, "at"), event["ev"].clone())).collect()
        };
        assert_eq!(short(&heard), short(&expected), "after {cursor}");
    }
}

#[actix::test]
async fn membership_decides_what_a_cursor_brings() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    let room = ann.create_room("private", "private").await;
    let common = ann.create_room("common", "public").await;
    bob.ok("join", json!({"room": common})).await;
    ann.ok("invite", json!({"room": room, "user": "bob"})).await;
    bob.event(json!({"ev": "room", "room": room})).await;
    let position = bob.position();

    ann.send(room, "seen by a member").await;
    ann.ok("remove", json!({"room": room, "user": "bob"})).await;
    ann.send(room, "not for bob any more").await;
    ann.send(common, "end").await;
    let again = resume(&cluster, 0, &bob, position, "end").await;
    assert!(
        again
            .events
            .iter()
            .any(|event| { event["ev"] == "room" && event["room"] == room && event["member"] == false })
    );
    assert!(again.events.iter().all(|event| event["ev"] != "message" || event["room"] == common));
}

#[actix::test]
async fn what_does_not_resume() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "one").await;
    ann.event(json!({"ev": "message"})).await;
    let (cursor, epoch) = (ann.cursor(), ann.welcome["epoch"].clone());

    // No cursor, or one from elsewhere: the present, and live events from there.
    let positions = [json!({}), json!({"cursor": cursor, "epoch": "another"}), json!({"epoch": epoch})];
    for (number_sent, position) in (1..).zip(positions) {
        let mut again = cluster.client(0).await;
        let reply = again.hello(&ann.token, position.clone()).await;
        assert_eq!(reply["resumed"], false, "{position}: {reply}");
        assert!(number(&reply, "cursor") >= cursor);
        assert_eq!(reply["epoch"], epoch);
        let seen = &reply["rooms"][0];
        assert_eq!((&seen["room"], &seen["last_seq"]), (&json!(room), &json!(number_sent)));
        ann.send(room, "live").await;
        let heard = again.event(json!({"ev": "message"})).await;
        assert_eq!((&heard["text"], &heard["seq"]), (&json!("live"), &json!(number_sent + 1)));
    }
    for fields in [json!({"cursor": "x", "epoch": epoch}), json!({"cursor": 1, "epoch": 7})] {
        let mut fields = fields;
        fields["token"] = ann.token.clone().into();
        cluster.client(0).await.refused("hello", fields, "bad_request").await;
    }
    // A login resumes as a hello does.
    let mut again = cluster.client(0).await;
    let fields = json!({"name": "ann", "password": password_of("ann"), "cursor": cursor, "epoch": epoch});
    let reply = again.ok("login", fields).await;
    assert_eq!((&reply["resumed"], &reply["cursor"]), (&json!(true), &json!(cursor)));
}

#[actix::test]
async fn a_node_that_is_behind_the_cursor_says_so() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "one").await;
    ann.event(json!({"ev": "message"})).await;
    let ahead = ann.cursor() + 3;

    let mut again = cluster.client(0).await;
    let reply = again.hello(&ann.token, json!({"cursor": ahead, "epoch": ann.welcome["epoch"]})).await;
    assert_eq!((&reply["resumed"], &reply["behind"]), (&json!(true), &json!(true)));
    assert_eq!(reply["cursor"], ahead);
    for text in ["two", "three", "four", "five"] {
        ann.send(room, text).await;
    }
    // The three up to the cursor are not sent again.
    let heard = again.event(json!({"ev": "message"})).await;
    assert_eq!(heard["text"], "five");
    assert_eq!(again.events_after(0).len(), 1);
}

/// Somebody resumes again and again while others write as fast as they can.
#[actix::test]
async fn resuming_in_the_middle_of_it() {
    let cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let mut position = ann.position();
    let mut heard = 0;
    for round in 0..8 {
        let ids: Vec<String> = (0..25).map(|_| new_id()).collect();
        for id in &ids[..12] {
            ann.post(id, "send", json!({"room": room, "text": "x"})).await;
        }
        let mut again = cluster.client(round % 3).await;
        let reply = again.hello(&ann.token, position.clone()).await;
        assert_eq!(reply["resumed"], true);
        for id in &ids[12..] {
            ann.post(id, "send", json!({"room": room, "text": "x"})).await;
        }
        for id in &ids {
            assert_eq!(ann.reply(id).await["ok"], true);
        }
        again.listen(Duration::from_millis(rand::random_range(0..20))).await;
        for event in again.events.iter().filter(|event| event["ev"] == "message") {
            heard += 1;
            assert_eq!(event["seq"], heard, "round {round}");
        }
        position = again.position();
    }
    let mut last = cluster.client(0).await;
    last.hello(&ann.token, position).await;
    while heard < 200 {
        let event = last.event(json!({"ev": "message"})).await;
        heard += 1;
        assert_eq!(event["seq"], heard);
    }
}
