//! Accounts: register, login, hello, logout, change_password, delete_account.

use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::replies::{done, refused};
use crate::cluster::wait::until;
use crate::cluster::{Client, Cluster, assert_like, field, number, text};

/// What `hello` gives, and so `register` and `login`.
#[track_caller]
fn assert_welcome(reply: &Value, cluster: &Cluster, node: &str) {
    assert_like(reply, &json!({"node": node, "protocol": 1, "resumed": false, "behind": false, "rooms": []}));
    assert!(!text(reply, "epoch").is_empty());
    field(reply, "cluster");
    number(reply, "cursor");
    number(reply, "heartbeat_ms");
    let mut nodes: Vec<&str> =
        field(reply, "nodes").as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    nodes.sort_unstable();
    let mut urls = cluster.urls();
    urls.sort();
    assert_eq!(nodes, urls);
    let limits = json!({
        "message_bytes": 8192, "frame_bytes": 65536, "file_bytes": 26_214_400, "messages_per_second": 20,
        "logins_per_minute": 10,
    });
    assert_like(&reply["limits"], &limits);
}

/// A token that is let in nowhere any more, as soon as the node has applied it: told so, and closed.
async fn assert_dead(url: &str, token: &str) {
    until("the token to be dead", async || {
        let mut client = Client::open(url).await;
        let reply = client.ask("hello", json!({"token": token})).await;
        if reply["ok"] == true {
            return None;
        }
        refused("hello", &reply, "unauthorized");
        assert_eq!(client.closed().await.code, Some(4503));
        Some(())
    })
    .await;
}

#[actix::test]
async fn register_login_and_hello_give_the_same_welcome() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.client(0).await;
    let fields = json!({"name": "Ann.B_c-1", "password": password_of("ann"), "display": "Ann B."});
    let reply = ann.ok("register", fields).await;
    assert_like(
        &reply["user"],
        &json!({"name": "ann.b_c-1", "display": "Ann B.", "role": "admin", "deleted": false}),
    );
    assert_welcome(&reply, &cluster, "node1");
    assert!(number(&reply, "at") > 0);
    let token = text(&reply, "token");

    let mut again = cluster.client(1).await;
    let fields = json!({"name": "ANN.b_c-1", "password": password_of("ann")});
    let login = again.ok("login", fields).await;
    assert_welcome(&login, &cluster, "node2");
    assert_eq!(login["user"], reply["user"]);
    assert_eq!(login["epoch"], reply["epoch"]);
    assert_ne!(login["token"], reply["token"]);

    let mut third = cluster.client(2).await;
    let hello = third.hello(&token, json!({})).await;
    assert_welcome(&hello, &cluster, "node3");
    assert_eq!(hello["user"], reply["user"]);

    // Only the first account is the admin.
    let bob = cluster.register(2, "bob").await;
    assert_eq!(bob.welcome["user"]["role"], "member");
}

#[actix::test]
async fn what_register_refuses() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    let long_name = "n".repeat(33);
    for name in [json!(""), json!(long_name), json!("a b"), json!("é"), json!("a/b"), json!(7), Value::Null]
    {
        client.refused("register", json!({"name": name, "password": "12345678"}), "bad_request").await;
    }
    for password in [json!("1234567"), json!("é".repeat(3)), json!("x".repeat(257)), json!(12_345_678)] {
        client.refused("register", json!({"name": "ann", "password": password}), "bad_request").await;
    }
    client.refused("register", json!({"name": "ann"}), "bad_request").await;
    client.refused("register", json!({"password": "12345678"}), "bad_request").await;

    // The limits themselves are fine, and so is the connection.
    client.ok("register", json!({"name": "n".repeat(32), "password": "é".repeat(4)})).await;
    let mut other = cluster.client(0).await;
    other.refused("register", json!({"name": "N".repeat(32), "password": "12345678"}), "conflict").await;
    other.ok("register", json!({"name": "a", "password": "x".repeat(256)})).await;
}

#[actix::test]
async fn a_repeated_registration_is_one_account_with_a_new_token() {
    let cluster = Cluster::start(3).await;
    let fields = json!({"name": "ann", "password": password_of("ann")});
    let id = new_id();
    let mut first = cluster.client(0).await;
    let one = first.ask_as(&id, "register", fields.clone()).await;
    done("register", &one);
    assert_ne!(one["duplicate"], true);

    let mut second = cluster.client(1).await;
    let two = second.ask_as(&id, "register", fields.clone()).await;
    done("register again", &two);
    assert_eq!(two["duplicate"], true);
    assert_eq!(two["user"], one["user"]);
    assert_eq!(two["at"], one["at"]);
    assert_eq!(first.closed().await.code, Some(4503));
    assert_dead(&cluster.nodes[2].url(), &text(&one, "token")).await;
    let mut third = cluster.client(2).await;
    third.hello(&text(&two, "token"), json!({})).await;

    // The same id with another password, and the same account under another id.
    let mut other = cluster.client(2).await;
    let wrong = json!({"name": "ann", "password": "another password"});
    refused("register", &other.ask_as(&id, "register", wrong).await, "conflict");
    other.refused("register", fields, "conflict").await;
    assert!(second.is_alive().await);
}

#[actix::test]
async fn a_repeated_login_ends_the_session_it_made_first() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let fields = json!({"name": "ann", "password": password_of("ann")});
    let id = new_id();
    let mut first = cluster.client(1).await;
    let one = first.ask_as(&id, "login", fields.clone()).await;
    done("login", &one);
    let mut second = cluster.client(2).await;
    let two = second.ask_as(&id, "login", fields.clone()).await;
    done("login again", &two);
    assert_eq!(two["duplicate"], true);
    assert_eq!(two["at"], one["at"]);
    assert_eq!(first.closed().await.code, Some(4503));
    assert_dead(&cluster.nodes[0].url(), &text(&one, "token")).await;
    assert!(second.is_alive().await);

    // The same id is no longer free for anything else.
    refused(
        "a room",
        &ann.ask_as(&id, "create_room", json!({"name": "x", "kind": "public"})).await,
        "conflict",
    );
    assert!(ann.is_alive().await);
}

#[actix::test]
async fn a_wrong_name_reads_like_a_wrong_password() {
    let cluster = Cluster::start(1).await;
    let _ann = cluster.register(0, "ann").await;
    let mut client = cluster.client(0).await;
    let wrong = client.refused("login", json!({"name": "ann", "password": "12345678"}), "unauthorized").await;
    let nobody =
        client.refused("login", json!({"name": "zoe", "password": "12345678"}), "unauthorized").await;
    assert_eq!(wrong, nobody);
    client.refused("login", json!({"name": "ann"}), "bad_request").await;
    // The connection stays, and lets the right password in.
    client.login("ann").await;
}

#[actix::test]
async fn failed_logins_are_limited_by_address() {
    let cluster = Cluster::start_with(1, "[limits]\nlogins_per_minute = 3").await;
    let _ann = cluster.register(0, "ann").await;
    let mut client = cluster.client(0).await;
    let wrong = json!({"name": "ann", "password": "12345678"});
    for _ in 0..3 {
        client.refused("login", wrong.clone(), "unauthorized").await;
    }
    client.refused("login", wrong, "rate_limited").await;
}

/// Right passwords at once are all let in; wrong ones are no more tries than one after the other.
#[actix::test]
async fn many_logins_at_once() {
    let cluster = Cluster::start_with(1, "[limits]\nlogins_per_minute = 3").await;
    let _ann = cluster.register(0, "ann").await;
    for (password, let_in) in [(password_of("ann"), true), ("12345678".to_owned(), false)] {
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(cluster.client(0).await);
        }
        for client in &mut clients {
            client.post("login", "login", json!({"name": "ann", "password": password})).await;
        }
        // All have one id: the last of the right ones ends the sessions of the others.
        let mut codes = Vec::new();
        for client in &mut clients {
            let reply = client.reply("login").await;
            codes.push(reply["error"]["code"].as_str().unwrap_or("ok").to_owned());
        }
        let count = |code: &str| codes.iter().filter(|told| *told == code).count();
        if let_in {
            assert_eq!(count("ok"), 12, "{codes:?}");
        } else {
            // One more comes back every twenty seconds.
            assert!((3..=4).contains(&count("unauthorized")), "{codes:?}");
            assert_eq!(count("unauthorized") + count("rate_limited"), 12, "{codes:?}");
        }
    }
}

#[actix::test]
async fn registration_can_be_closed() {
    let cluster = Cluster::start_with(1, "[accounts]\nregistration = \"closed\"").await;
    let mut client = cluster.client(0).await;
    client.refused("register", json!({"name": "ann", "password": "12345678"}), "forbidden").await;
    assert!(!client.is_closed());
}

#[actix::test]
async fn before_hello_everything_is_unauthorized() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    for op in ["ping", "list_rooms", "list_users", "send", "logout", "search", "create_room"] {
        client.refused(op, json!({}), "unauthorized").await;
    }
    client.register("ann").await;
    assert_dead(&cluster.nodes[0].url(), "no such token").await;
    let mut other = cluster.client(0).await;
    other.refused("hello", json!({}), "bad_request").await;
    other.refused("hello", json!({"token": 7}), "bad_request").await;
}

#[actix::test]
async fn a_logout_holds_on_every_node() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut elsewhere = cluster.client(1).await;
    elsewhere.hello_as(&ann).await;
    let mut other_session = cluster.client(2).await;
    other_session.login("ann").await;

    let reply = ann.ok("logout", json!({})).await;
    assert!(number(&reply, "at") > 0);
    assert_eq!(ann.closed().await.code, Some(4503));
    assert_eq!(elsewhere.closed().await.code, Some(4503));
    assert_dead(&cluster.nodes[0].url(), &ann.token).await;
    assert_dead(&cluster.nodes[1].url(), &ann.token).await;
    assert!(other_session.is_alive().await);
}

#[actix::test]
async fn what_came_before_a_logout_is_answered_and_nothing_behind_it_done() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..50).map(|_| new_id()).collect();
    for id in &ids {
        ann.post(id, "send", json!({"room": room, "text": "before"})).await;
    }
    ann.post("out", "logout", json!({})).await;
    ann.post("late", "send", json!({"room": room, "text": "behind"})).await;
    for id in ids.iter().map(String::as_str).chain(["out"]) {
        done(id, &ann.reply(id).await);
    }
    assert_eq!(ann.closed().await.code, Some(4503));
    let mut again = cluster.client(0).await;
    again.login("ann").await;
    assert_eq!(again.ok("history", json!({"room": room})).await["messages"].as_array().unwrap().len(), 50);
}

#[actix::test]
async fn a_new_password_ends_the_other_sessions() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut other = cluster.client(1).await;
    other.login("ann").await;

    ann.refused("change_password", json!({"old": "12345678", "new": "a new password"}), "forbidden").await;
    let old = password_of("ann");
    ann.refused("change_password", json!({"old": old, "new": "short"}), "bad_request").await;
    ann.refused("change_password", json!({"old": old}), "bad_request").await;
    assert!(other.is_alive().await);

    let id = new_id();
    let fields = json!({"old": old, "new": "a new password"});
    let one = ann.ask_as(&id, "change_password", fields.clone()).await;
    done("change_password", &one);
    assert_eq!(other.closed().await.code, Some(4503));
    assert!(ann.is_alive().await);
    let mut elsewhere = cluster.client(2).await;
    elsewhere.hello_as(&ann).await;

    let two = elsewhere.ask_as(&id, "change_password", fields).await;
    done("change_password again", &two);
    assert_eq!((&two["duplicate"], &two["at"]), (&json!(true), &one["at"]));
    let third = elsewhere.ask_as(&id, "change_password", json!({"old": old, "new": "yet another one"})).await;
    refused("another change_password", &third, "conflict");

    let mut client = cluster.client(1).await;
    client.refused("login", json!({"name": "ann", "password": old}), "unauthorized").await;
    client.ok("login", json!({"name": "ann", "password": "a new password"})).await;
}

#[actix::test]
async fn a_deleted_account_leaves_its_messages_and_its_name() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    bob.send(room, "I was here").await;
    let mut bob_too = cluster.client(2).await;
    bob_too.hello_as(&bob).await;

    bob.refused("delete_account", json!({"password": "12345678"}), "forbidden").await;
    bob.refused("delete_account", json!({}), "bad_request").await;
    let id = new_id();
    done("delete", &bob.ask_as(&id, "delete_account", json!({"password": password_of("bob")})).await);
    assert_eq!(bob.closed().await.code, Some(4503));
    assert_eq!(bob_too.closed().await.code, Some(4503));

    let told = ann.event(json!({"ev": "user", "name": "bob", "deleted": true})).await;
    assert!(number(&told, "at") > 0);
    ann.event(json!({"ev": "member", "room": room, "user": "bob", "member": false})).await;
    let history = ann.ok("history", json!({"room": room})).await;
    assert_like(&history["messages"][0], &json!({"from": "bob", "text": "I was here", "deleted": false}));
    let users = ann.ok("list_users", json!({"match": "bob"})).await;
    for user in users["users"].as_array().unwrap() {
        assert_like(user, &json!({"name": "bob", "deleted": true}));
    }

    assert_dead(&cluster.nodes[2].url(), &bob.token).await;
    let mut client = cluster.client(2).await;
    client.refused("login", json!({"name": "bob", "password": password_of("bob")}), "unauthorized").await;
    client.refused("register", json!({"name": "bob", "password": password_of("bob")}), "conflict").await;
}
