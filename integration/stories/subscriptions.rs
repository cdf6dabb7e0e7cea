//! The messages of a room, posted to other programs.

use chat_actors::courier::signature::signature;
use serde_json::{Value, json};

use crate::cluster::client::new_id;
use crate::cluster::receiver::{Odd, Posted, Receiver};
use crate::cluster::wait::{LONG_PATIENCE, poll, until};
use crate::cluster::{Client, Cluster, assert_like, number, text};

const PRIVATE_TOO: &str = "[hooks]\nallow_private = true";

async fn subscribe(client: &mut Client, room: u64, url: &str) -> Value {
    client.ok("create_subscription", json!({"room": room, "url": url})).await["subscription"].clone()
}

async fn listed(client: &mut Client, room: u64) -> Vec<Value> {
    let listed = client.ok("list_subscriptions", json!({"room": room})).await;
    listed["subscriptions"].as_array().unwrap().clone()
}

/// Waits until the first subscription that this client sees of the room is like this.
async fn wait_for_standing(client: &mut Client, room: u64, expected: Value) -> Value {
    let what = format!("the subscription to be {expected}");
    until(&what, async || {
        let found = listed(client, room).await.first()?.clone();
        let is_like = expected.as_object().unwrap().iter().all(|(name, value)| found[name] == *value);
        is_like.then_some(found)
    })
    .await
}

/// Waits for so many messages. The pauses double after which one is tried again that was not taken.
async fn wait_for_posts(receiver: &Receiver, count: usize) -> Vec<Posted> {
    let are_there = async || Some(receiver.posts_once()).filter(|posts| posts.len() >= count);
    let posts = poll(LONG_PATIENCE, are_there).await;
    posts.unwrap_or_else(|| panic!("{count} messages were not posted, only {:?}", receiver.seqs()))
}

fn up_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[actix::test]
async fn each_message_is_posted_once_in_order_and_signed() {
    let cluster = Cluster::start_with(3, PRIVATE_TOO).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let elsewhere = ann.create_room("elsewhere", "public").await;
    let term = number(&cluster.nodes[0].status().await.unwrap(), "term");
    let receiver = Receiver::start().await;
    let fields = json!({"room": room, "url": receiver.url()});
    bob.refused("create_subscription", fields.clone(), "forbidden").await;
    bob.refused("list_subscriptions", json!({"room": room}), "forbidden").await;
    ann.refused("create_subscription", json!({"room": room, "url": "ftp://a/"}), "bad_request").await;
    let more = json!({"room": room, "url": receiver.url(), "events": ["edit"]});
    ann.refused("create_subscription", more, "bad_request").await;

    ann.send(room, "before").await;
    let id = new_id();
    let made = ann.ask_as(&id, "create_subscription", fields.clone()).await;
    let again = ann.ask_as(&id, "create_subscription", fields).await;
    assert_eq!((&again["duplicate"], &again["subscription"]), (&json!(true), &made["subscription"]));
    let secret = text(&made["subscription"], "secret");
    for number in 0..20 {
        bob.send(room, &format!("message {number}")).await;
        ann.send(elsewhere, "not for there").await;
    }

    let posts = wait_for_posts(&receiver, 20).await;
    assert_eq!(receiver.seqs(), (2..=21).collect::<Vec<_>>());
    let epoch = text(&ann.welcome, "epoch");
    for (number, post) in posts.iter().enumerate() {
        let seq = number + 2;
        assert_eq!(post.header("x-chat-event"), "message");
        assert_eq!(post.header("content-type"), "application/json");
        assert_eq!(post.header("x-chat-delivery"), format!("{epoch}-1-{seq}"));
        let timestamp = post.header("x-chat-timestamp");
        assert!(timestamp.parse::<u64>().unwrap() > 1_700_000_000);
        assert_eq!(post.header("x-chat-signature"), signature(&secret, timestamp, &post.body));
        // As clients hear it.
        assert_eq!(post.json(), ann.event(json!({"ev": "message", "room": room, "seq": seq})).await);
    }
    let standing = wait_for_standing(&mut ann, room, json!({"delivered": 21})).await;
    let expected = json!({"id": 1, "room": room, "url": receiver.url(), "by": "ann", "state": "on",
        "failing_since": null, "error": null});
    assert_like(&standing, &expected);
    assert!(standing.get("secret").is_none());
    assert_eq!(receiver.posts_once().len(), 20);
    if number(&cluster.nodes[0].status().await.unwrap(), "term") == term {
        assert_eq!(receiver.posts().len(), 20, "only a new leader posts again");
    }
}

#[actix::test]
async fn a_receiver_that_was_down_misses_nothing_and_holds_up_no_other() {
    let cluster = Cluster::start_with(3, PRIVATE_TOO).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let (mut down, other) = (Receiver::start().await, Receiver::start().await);
    subscribe(&mut ann, room, &down.url()).await;
    subscribe(&mut ann, room, &other.url()).await;
    bob.send(room, "one").await;
    wait_for_posts(&down, 1).await;
    down.close().await;
    for number in 2..=5 {
        bob.send(room, &format!("message {number}")).await;
    }
    wait_for_posts(&other, 5).await;
    let failing = wait_for_standing(&mut ann, room, json!({"delivered": 1, "state": "on"})).await;
    let failing = match failing["error"].is_null() {
        true => wait_for_standing(&mut ann, room, json!({"error": "its port refuses connections"})).await,
        false => failing,
    };
    assert!(number(&failing, "failing_since") > 1_700_000_000_000);
    down.be_good();
    down.listen().await;
    wait_for_posts(&down, 5).await;
    // What it cannot take now comes again, what it will not have does not, and nobody is sent elsewhere.
    down.answer_next("503 Service Unavailable\r\nRetry-After: 1", 1);
    bob.send(room, "message 6").await;
    wait_for_posts(&down, 6).await;
    assert!(down.otherwise() > 0);
    for (seq, status, error) in [
        (7, "410 Gone".to_owned(), "answered with status 410"),
        (
            8,
            format!("307 Temporary Redirect\r\nLocation: {}", other.url()),
            "answered with status 307: redirects are not followed",
        ),
    ] {
        down.answer_next(&status, usize::MAX);
        assert_eq!(bob.send(room, "not for everybody").await, seq);
        wait_for_standing(&mut ann, room, json!({"delivered": seq, "error": error})).await;
        down.be_good();
    }
    bob.send(room, "message 9").await;
    wait_for_standing(&mut ann, room, json!({"delivered": 9, "error": null})).await;
    wait_for_posts(&other, 9).await;
    assert_eq!((down.seqs(), other.seqs()), (vec![1, 2, 3, 4, 5, 6, 9], up_to(9)));
}

/// Whatever a receiver does with its connection, others are posted to meanwhile, the node serves its people, and
/// the receiver's own messages come in order once it behaves.
#[actix::test]
async fn receivers_that_misbehave_hold_up_nobody() {
    let cluster = Cluster::start_with(3, PRIVATE_TOO).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let (good, bad) = (Receiver::start().await, Receiver::start().await);
    let elsewhere = Receiver::start().await;
    // The good one comes last, so that it would wait for all before it.
    let (hanging, trickling, flooding) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    for receiver in [&hanging, &trickling, &flooding, &bad, &good] {
        subscribe(&mut ann, room, &receiver.url()).await;
    }
    hanging.be_odd(Odd::Hangs, usize::MAX);
    trickling.be_odd(Odd::Trickles, usize::MAX);
    flooding.be_odd(Odd::Floods, usize::MAX);
    bad.answer_next(&format!("307 Temporary Redirect\r\nLocation: {}", elsewhere.url()), usize::MAX);
    for seq in 1..=5 {
        assert_eq!(bob.send(room, &format!("message {seq}")).await, seq);
    }
    wait_for_posts(&good, 5).await;
    until("the other four to be posted to", async || {
        (hanging.otherwise() >= 1 && bad.otherwise() >= 5).then_some(())
    })
    .await;
    // What says that it took a message has taken it, whatever follows.
    for receiver in [&trickling, &flooding] {
        wait_for_posts(receiver, 5).await;
        receiver.be_good();
    }
    let standing = async |client: &mut Client| {
        let listed = listed(client, room).await;
        listed.iter().map(|one| number(one, "delivered")).collect::<Vec<_>>()
    };
    let expected = [0, 5, 5, 5, 5];
    until("that to be written down", async || (standing(&mut ann).await == expected).then_some(())).await;
    let redirected = &listed(&mut ann, room).await[3]["error"];
    assert_eq!(redirected, "answered with status 307: redirects are not followed");
    let failing = until("the silence to be told", async || {
        listed(&mut ann, room).await.first().filter(|one| !one["error"].is_null()).cloned()
    })
    .await;
    assert_like(&failing, &json!({"error": "no answer in 10 s", "delivered": 0, "state": "on"}));

    hanging.be_good();
    bad.be_good();
    assert_eq!(bob.send(room, "message 6").await, 6);
    until("all to have the last one", async || {
        [&hanging, &trickling, &flooding, &bad, &good]
            .iter()
            .all(|receiver| receiver.seqs().last() == Some(&6))
            .then_some(())
    })
    .await;
    // What the hanging one took in silence comes again under its name.
    for receiver in [&hanging, &trickling, &flooding, &good] {
        assert_eq!(receiver.seqs(), up_to(6));
    }
    assert_eq!((bad.seqs(), elsewhere.seqs()), (vec![6], vec![]));
}

/// What was posted and not yet written down when the leader died comes again under the same name.
#[actix::test]
async fn nothing_is_missing_when_the_leader_is_killed() {
    let mut cluster = Cluster::start_with(3, PRIVATE_TOO).await;
    let leader = cluster.leader().await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([(leader + 1) % 3, (leader + 2) % 3]).await;
    let receiver = Receiver::start().await;
    subscribe(&mut ann, room, &receiver.url()).await;
    for number in 1..=30 {
        if number == 15 {
            // Some are posted, and some of them are not written down.
            wait_for_posts(&receiver, 10).await;
            cluster.nodes[leader].kill();
        }
        bob.until_done("send", json!({"room": room, "text": format!("message {number}")})).await;
    }
    until("the last message to be posted", async || receiver.seqs().contains(&30).then_some(())).await;
    assert_eq!(receiver.seqs(), up_to(30));
    wait_for_standing(&mut ann, room, json!({"delivered": 30})).await;
}

#[actix::test]
async fn nothing_is_posted_to_a_private_address() {
    let cluster = Cluster::start(1).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    let receiver = Receiver::start().await;
    for url in [receiver.url(), "http://localhost/".into(), "http://[::1]/".into(), "http://10.0.0.1/".into()]
    {
        let fields = json!({"room": room, "url": url});
        let error = ann.refused("create_subscription", fields, "bad_request").await;
        assert!(text(&error, "message").contains("hooks.allow_private"), "{error}");
    }
    // One of the many ways to write 127.0.0.1 that only the system's resolver knows.
    subscribe(&mut ann, room, &format!("http://0x7f000001:{}/hook", receiver.port())).await;
    bob.send(room, "hello").await;
    let error = json!({"error": "0x7f000001 is not at a public address", "delivered": 0});
    wait_for_standing(&mut ann, room, error).await;
    assert_eq!(receiver.posts().len(), 0);
}

#[actix::test]
async fn a_subscription_ends_when_it_is_deleted_and_pauses_while_its_owner_is_away() {
    let cluster = Cluster::start_with(3, PRIVATE_TOO).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let room = bob.create_room("of bob", "private").await;
    let (of_ann, of_bob, deleted) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    // An admin may change the room, but not have it told to somebody.
    let fields = json!({"room": room, "url": of_ann.url()});
    ann.refused("create_subscription", fields, "forbidden").await;
    bob.ok("invite", json!({"room": room, "user": "ann"})).await;
    subscribe(&mut bob, room, &of_bob.url()).await;
    let subscription = number(&subscribe(&mut bob, room, &deleted.url()).await, "id");
    subscribe(&mut ann, room, &of_ann.url()).await;
    bob.send(room, "one").await;
    for receiver in [&of_ann, &of_bob, &deleted] {
        wait_for_posts(receiver, 1).await;
    }

    ann.ok("delete_subscription", json!({"subscription": subscription})).await;
    bob.refused("delete_subscription", json!({"subscription": subscription}), "not_found").await;
    bob.ok("leave", json!({"room": room})).await;
    ann.send(room, "two").await;
    ann.send(room, "three").await;
    wait_for_posts(&of_ann, 3).await;
    wait_for_standing(&mut ann, room, json!({"by": "bob", "state": "paused"})).await;
    assert_eq!((of_bob.seqs(), deleted.seqs()), (vec![1], vec![1]));
    // Whoever is in a room again may see all of it.
    ann.ok("invite", json!({"room": room, "user": "bob"})).await;
    wait_for_posts(&of_bob, 3).await;
    assert_eq!((of_bob.seqs(), deleted.seqs()), (vec![1, 2, 3], vec![1]));
}

#[actix::test]
async fn a_receiver_with_tls_is_posted_to_when_the_machine_trusts_it() {
    let mut cluster = Cluster::prepare(1, PRIVATE_TOO);
    let (trusted, certificate) = Receiver::start_with_tls(cluster.folder.path()).await;
    let other = crate::cluster::folder::Folder::new();
    let (unknown, _) = Receiver::start_with_tls(other.path()).await;
    cluster.nodes[0].set_variable("SSL_CERT_FILE", certificate.to_str().unwrap());
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    subscribe(&mut ann, room, &unknown.url()).await;
    subscribe(&mut ann, room, &trusted.url()).await;
    ann.send(room, "hello").await;
    wait_for_posts(&trusted, 1).await;
    let failing = until("the other one to fail", async || {
        listed(&mut ann, room).await.first().filter(|one| !one["error"].is_null()).cloned()
    })
    .await;
    assert!(text(&failing, "error").contains("certificate"), "{failing}");
    assert_eq!(unknown.posts().len(), 0);
}
