//! Programs with accounts of their own.

use actix_web::http::Method;
use serde_json::json;

use crate::cluster::client::{new_id, password_of};
use crate::cluster::http::{exchange, op};
use crate::cluster::listener::Listener;
use crate::cluster::{Cluster, assert_like, text};

#[actix::test]
async fn a_bot_does_what_its_rights_let_it() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let fields = json!({"name": "robot", "rights": ["write", "rooms"]});
    bob.refused("create_bot", fields.clone(), "forbidden").await;
    for rights in [json!([]), json!(["fly"]), json!("write")] {
        ann.refused("create_bot", json!({"name": "robot", "rights": rights}), "bad_request").await;
    }
    let made = ann.ok("create_bot", fields).await;
    assert_like(&made["user"], &json!({"name": "robot", "bot": true, "role": "member"}));
    let token = text(&made, "token");
    bob.event(json!({"ev": "user", "name": "robot", "bot": true})).await;

    let ask = async |name: &str, fields| op(&urls[2], name, Some(&token), None, &fields).await;
    assert_eq!(ask("join", json!({"room": room})).await.status, 200);
    assert_eq!(ask("send", json!({"room": room, "text": "built"})).await.status, 200);
    let heard = bob.event(json!({"ev": "message", "from": "robot"})).await;
    assert_eq!(heard["text"], "built");
    for (name, fields) in [
        ("history", json!({"room": room})),
        ("hello", json!({})),
        ("set_profile", json!({"display": "I"})),
        ("list_bots", json!({})),
    ] {
        let answer = ask(name, fields).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.text());
    }
    // It has no password to log in with, whatever one tries.
    for password in [password_of("robot"), "        ".to_owned()] {
        let fields = json!({"name": "robot", "password": password});
        assert_eq!(op(&urls[0], "login", None, None, &fields).await.status, 401);
    }
    ann.refused("reset_password", json!({"user": "robot"}), "forbidden").await;
    let bots = ann.ok("list_bots", json!({})).await;
    let expected = json!({"name": "robot", "owner": "ann", "rights": ["rooms", "write"], "disabled": false});
    assert_like(&bots["bots"][0], &expected);
}

#[actix::test]
async fn a_bots_token_ends_everywhere() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let urls = cluster.urls();
    let id = new_id();
    let fields = json!({"name": "robot", "rights": ["read"]});
    let first = text(&ann.ask_as(&id, "create_bot", fields.clone()).await, "token");
    // A repeat cannot tell the first one again.
    let again = ann.ask_as(&id, "create_bot", fields).await;
    assert_eq!(again["duplicate"], true);
    let second = text(&again, "token");
    let is_dead = async |token: &str| {
        let answer = op(&urls[1], "list_rooms", Some(token), None, &json!({})).await;
        (answer.status == 401).then_some(())
    };
    cluster.wait_for("the first token to be dead", async || is_dead(&first).await).await;

    for (name, fields) in [
        ("renew_bot_token", json!({"bot": "robot"})),
        ("set_disabled", json!({"user": "robot", "disabled": true})),
    ] {
        let token = match name {
            "renew_bot_token" => second.clone(),
            _ => text(&ann.ok("renew_bot_token", json!({"bot": "robot"})).await, "token"),
        };
        let mut listener = Listener::open(&urls[2], &token, "").await;
        listener.next().await.unwrap();
        ann.ok(name, fields).await;
        assert_eq!(listener.ended().await["ev"], "over", "{name}");
        cluster.wait_for("the token to be dead", async || is_dead(&token).await).await;
    }
    ann.refused("renew_bot_token", json!({"bot": "robot"}), "conflict").await;
    ann.ok("delete_bot", json!({"bot": "robot"})).await;
    assert_eq!(ann.ok("list_bots", json!({})).await["bots"], json!([]));
}

#[actix::test]
async fn a_hook_sends_to_its_room_and_does_nothing_else() {
    let cluster = Cluster::start(3).await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let elsewhere = ann.create_room("elsewhere", "public").await;
    bob.refused("create_hook", json!({"room": room, "name": "builds"}), "forbidden").await;
    let made = ann.ok("create_hook", json!({"room": room, "name": "builds", "display": "Builds"})).await;
    assert_eq!(made["hook"], "builds");
    let token = text(&made, "url").rsplit_once("/api/v1/hooks/").unwrap().1.to_owned();
    bob.refused("list_hooks", json!({"room": room}), "forbidden").await;
    let hooks = ann.ok("list_hooks", json!({"room": room})).await;
    assert_like(&hooks["hooks"][0], &json!({"hook": "builds", "display": "Builds", "owner": "ann"}));
    let post = async |place: usize, token: &str, key: &str, body: &str| {
        let url = format!("{}/api/v1/hooks/{token}", cluster.nodes[place].url());
        let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
        exchange(Method::POST, &url, &headers, body.to_owned()).await.unwrap()
    };
    let body = r#"{"text": "build 7 is done", "username": "ann", "icon_emoji": ":x:"}"#;
    let first = post(2, &token, "one", body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let heard = bob.event(json!({"ev": "message", "room": room, "from": "builds"})).await;
    assert_eq!(heard["text"], "build 7 is done");
    // A repeat is no second message.
    let again = post(0, &token, "one", body).await.json();
    assert_eq!((&again["seq"], &again["duplicate"]), (&heard["seq"], &json!(true)));
    for (token, body, status) in [
        (token.as_str(), "{}", 400),
        (token.as_str(), r#"{"text": 7}"#, 400),
        (token.as_str(), "[]", 400),
        (token.as_str(), r#"{"text": "  "}"#, 400),
        (ann.token.as_str(), r#"{"text": "hi"}"#, 404),
        ("nobody", r#"{"text": "hi"}"#, 404),
    ] {
        let answer = post(1, token, &new_id(), body).await;
        assert_eq!(answer.status, status, "{body} {}", answer.text());
        assert_eq!(answer.json()["ok"], false);
    }
    for (name, fields) in [
        ("send", json!({"room": elsewhere, "text": "hi"})),
        ("history", json!({"room": room})),
        ("join", json!({"room": elsewhere})),
    ] {
        assert_eq!(
            op(&cluster.nodes[0].url(), name, Some(&token), None, &fields).await.status,
            403,
            "{name}"
        );
    }
    ann.ok("delete_hook", json!({"hook": "builds"})).await;
    let is_gone =
        async || (post(1, &token, &new_id(), r#"{"text": "hi"}"#).await.status == 404).then_some(());
    cluster.wait_for("the hook to be gone", is_gone).await;
}
