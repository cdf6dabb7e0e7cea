//! The description of the HTTP API: every op is played, and what is asked and answered held against it; `paths`: the
//! same with what is no op. `generated`: a client that is made from it.

mod check;
mod generated;
mod paths;

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::client::password_of;
use crate::cluster::http::{exchange, get, op};
use crate::cluster::node::Node;
use crate::cluster::{Cluster, number, text};

use check::check;

struct Described {
    url: String,
    description: Value,
    played: BTreeSet<String>,
}

impl Described {
    async fn by(node: &Node) -> Self {
        let url = node.url();
        let description = get(&format!("{url}/api/v1/openapi.json")).await.unwrap().json();
        Self { url, description, played: BTreeSet::new() }
    }

    /// Asks for an op as it is described, and holds the reply against that.
    async fn play(&mut self, name: &str, token: Option<&str>, fields: Value) -> Value {
        let operation = &self.description["paths"][format!("/api/v1/{name}")]["post"];
        let content = |of: &Value| of["content"]["application/json"]["schema"].clone();
        let root = &self.description;
        if let Err(wrong) = check(root, &content(&operation["requestBody"]), &fields, name) {
            panic!("the request: {wrong}");
        }
        let answer = op(&self.url, name, token, None, &fields).await;
        let reply = answer.json();
        let schema = content(&operation["responses"][answer.status.to_string()]);
        if let Err(wrong) = check(root, &schema, &reply, name) {
            panic!("the reply: {wrong}: {reply}");
        }
        if answer.status == 200 {
            self.played.insert(name.to_owned());
        }
        reply
    }
}

#[actix::test]
async fn every_op_is_as_it_is_described() {
    let cluster = Cluster::start(1).await;
    let mut api = Described::by(&cluster.nodes[0]).await;

    let account = |name: &str| json!({"name": name, "password": password_of(name)});
    let ann = text(&api.play("register", None, account("ann")).await, "token");
    let bob = text(&api.play("register", None, account("bob")).await, "token");
    let other = text(&api.play("login", None, account("ann")).await, "token");
    let (ann, bob, other) = (Some(ann.as_str()), Some(bob.as_str()), Some(other.as_str()));
    let reply = api.play("create_room", ann, json!({"name": "general", "kind": "public"})).await;
    let room = number(&reply["room"], "room");
    let reply = api.play("create_room", ann, json!({"name": "hidden", "kind": "private"})).await;
    let hidden = number(&reply["room"], "room");
    let bearer = format!("Bearer {}", ann.unwrap());
    let address = format!("{}/api/v1/files?name=a.txt", api.url);
    let headers = [("Authorization", bearer.as_str())];
    let uploaded = exchange(Method::POST, &address, &headers, "bytes").await.unwrap().json();
    let file = text(&uploaded, "file");
    for (token, name, fields) in [
        (bob, "join", json!({"room": room})),
        (ann, "send", json!({"room": room, "text": "one two"})),
        (bob, "send", json!({"room": room, "text": "@ann two", "reply_to": 1})),
        (ann, "edit", json!({"room": room, "seq": 1, "text": "one three", "version": 1})),
        (bob, "react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true})),
        (ann, "versions", json!({"room": room, "seq": 1})),
        (ann, "history", json!({"room": room, "limit": 10, "read": "local"})),
        (ann, "search", json!({"text": "two"})),
        (ann, "send", json!({"room": room, "text": "", "files": [{"file": file, "name": "a.txt"}]})),
        (ann, "file_link", json!({"file": file, "name": "a.txt"})),
        (ann, "hello", json!({})),
        (ann, "mark_read", json!({"room": room, "seq": 2})),
        (ann, "mute", json!({"room": room, "on": true})),
        (bob, "delete", json!({"room": room, "seqs": [2]})),
        (ann, "history", json!({"room": room})),
        (ann, "members", json!({"room": room})),
        (ann, "typing", json!({"room": room})),
        (ann, "set_room", json!({"room": room, "topic": "all"})),
        (ann, "open_direct", json!({"users": ["bob"]})),
        (ann, "list_rooms", json!({"all": true})),
        (ann, "list_users", json!({"match": "*b"})),
        (bob, "leave", json!({"room": room})),
        (ann, "invite", json!({"room": hidden, "user": "bob"})),
        (ann, "remove", json!({"room": hidden, "user": "bob"})),
        (ann, "set_profile", json!({"display": "Ann"})),
        (ann, "set_role", json!({"user": "bob", "role": "admin"})),
        (ann, "set_disabled", json!({"user": "bob", "disabled": true})),
        (ann, "set_disabled", json!({"user": "bob", "disabled": false})),
        (ann, "set_registration", json!({"mode": "open"})),
        (ann, "server", json!({})),
        (ann, "create_bot", json!({"name": "robot", "rights": ["read"]})),
        (ann, "renew_bot_token", json!({"bot": "robot"})),
        (ann, "list_bots", json!({})),
        (ann, "create_hook", json!({"room": room, "name": "builds", "display": "Builds"})),
        (ann, "list_hooks", json!({"room": room})),
        (ann, "delete_hook", json!({"hook": "builds"})),
        (
            ann,
            "create_subscription",
            json!({"room": room, "url": "https://example.org/", "events": ["message"]}),
        ),
        (ann, "list_subscriptions", json!({"room": room})),
        (ann, "delete_subscription", json!({"subscription": 1})),
        (ann, "list_users", json!({})),
        (ann, "delete_bot", json!({"bot": "robot"})),
        (ann, "ping", json!({})),
        (ann, "logout", json!({})),
        // Refusals are described as well.
        (other, "edit", json!({"room": room, "seq": 1, "text": "late", "version": 1})),
        (other, "join", json!({"room": 4711})),
        (None, "join", json!({"room": room})),
    ] {
        api.play(name, token, fields).await;
    }
    let invite = text(&api.play("create_invite", other, json!({"uses": 1})).await, "invite");
    api.play("list_invites", other, json!({})).await;
    api.play("revoke_invite", other, json!({"invite": invite})).await;
    let link = text(&api.play("reset_password", other, json!({"user": "bob"})).await, "link");
    let link = link.rsplit_once('=').unwrap().1.to_owned();
    api.play("set_password", None, json!({"link": link, "password": password_of("bob")})).await;
    let bob = text(&api.play("login", None, account("bob")).await, "token");
    let sessions = api.play("list_sessions", Some(&bob), json!({})).await;
    api.play("login", None, account("bob")).await;
    let fields = json!({"old": password_of("bob"), "new": password_of("another")});
    api.play("change_password", Some(&bob), fields).await;
    api.play("end_session", Some(&bob), json!({"session": sessions["sessions"][0]["session"]})).await;
    let fields = json!({"name": "bob", "password": password_of("another")});
    let bob = text(&api.play("login", None, fields).await, "token");
    api.play("delete_account", Some(&bob), json!({"password": password_of("another")})).await;

    let paths = api.description["paths"].as_object().unwrap();
    // Ops are called as their paths are.
    let ops = paths.iter().filter_map(|(path, described)| {
        path.strip_prefix("/api/v1/").filter(|name| described["post"]["operationId"] == *name)
    });
    let unplayed: Vec<&str> = ops.filter(|name| !api.played.contains(*name)).collect();
    assert!(unplayed.is_empty(), "described and never played here: {unplayed:?}");
}
