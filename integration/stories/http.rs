//! The same ops over HTTP.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::client::password_of;
use crate::cluster::http::{Answer, exchange, get, op};
use crate::cluster::replies::{done, refused, status_of};
use crate::cluster::{Cluster, assert_like, number, text};

#[track_caller]
fn assert_done(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("content-type").starts_with("application/json"));
    let reply = answer.json();
    done("over HTTP", &reply);
    reply
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str) -> Value {
    assert_eq!(answer.status, status_of(code), "{}", answer.text());
    assert!(answer.header("content-type").starts_with("application/json"));
    refused("over HTTP", &answer.json(), code)
}

#[actix::test]
async fn a_chat_without_a_websocket() {
    let cluster = Cluster::start(3).await;
    let urls = cluster.urls();
    let account = json!({"name": "ann", "password": password_of("ann")});
    let reply = assert_done(&op(&urls[0], "register", None, Some("first"), &account).await);
    assert_like(&reply["user"], &json!({"name": "ann", "role": "admin", "deleted": false}));
    let drawn = text(&reply, "token");
    let token = Some(drawn.as_str());
    let reply = assert_done(&op(&urls[1], "login", None, None, &account).await);
    assert_ne!(text(&reply, "token"), drawn);

    let fields = json!({"name": "general", "kind": "public"});
    let reply = assert_done(&op(&urls[1], "create_room", token, None, &fields).await);
    let room = number(&reply["room"], "room");
    let fields = json!({"room": room, "text": "by hand"});
    let sent = assert_done(&op(&urls[2], "send", token, Some("key 1"), &fields).await);
    assert_eq!(sent["seq"], 1);
    let again = assert_done(&op(&urls[0], "send", token, Some("key 1"), &fields).await);
    assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &sent["at"]));
    let other = json!({"room": room, "text": "something else"});
    assert_refused(&op(&urls[0], "send", token, Some("key 1"), &other).await, "conflict");
    // Without a key each is a request of its own.
    assert_eq!(assert_done(&op(&urls[0], "send", token, None, &fields).await)["seq"], 2);
    assert_eq!(assert_done(&op(&urls[0], "send", token, None, &fields).await)["seq"], 3);

    // One key space with the WebSocket.
    let mut client = cluster.client(1).await;
    client.hello(&drawn, json!({})).await;
    let twice = client.ask_as("key 1", "send", fields.clone()).await;
    assert_eq!((&twice["duplicate"], &twice["seq"]), (&json!(true), &json!(1)));
    let history = assert_done(&op(&urls[1], "history", token, None, &json!({"room": room})).await);
    let same = client.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"], same["messages"]);
    assert_done(&op(&urls[1], "ping", token, None, &json!({})).await);
    assert_done(&op(&urls[1], "logout", token, None, &json!({})).await);
    // On every node as soon as that one has applied it.
    let refused = async || {
        let answer = op(&urls[2], "list_rooms", token, None, &json!({})).await;
        (answer.status != 200).then_some(answer)
    };
    assert_refused(&cluster.wait_for("the token to be dead", refused).await, "unauthorized");
}

#[actix::test]
async fn refusals_over_http() {
    let cluster = Cluster::start(1).await;
    let url = cluster.nodes[0].url();
    let (mut ann, bob, room) = cluster.ann_and_bob([0, 0]).await;
    ann.send(room, "one").await;
    let token = bob.token.clone();
    for (name, fields, code) in [
        ("send", json!({"room": room, "text": ""}), "bad_request"),
        ("send", json!({"room": room, "text": "x".repeat(8193)}), "too_large"),
        ("history", json!({"room": 4711}), "not_found"),
        ("edit", json!({"room": room, "seq": 1, "text": "x"}), "forbidden"),
        ("create_room", json!({"name": "general", "kind": "public"}), "conflict"),
        ("no_such_op", json!({}), "not_found"),
        ("register", json!({"name": "ann", "password": "12345678"}), "conflict"),
        ("login", json!({"name": "ann", "password": "12345678"}), "unauthorized"),
    ] {
        assert_refused(&op(&url, name, Some(&token), None, &fields).await, code);
    }
    ann.ok("edit", json!({"room": room, "seq": 1, "text": "two"})).await;
    let fields = json!({"room": room, "seq": 1, "text": "three", "version": 1});
    let error = assert_refused(&op(&url, "edit", Some(&ann.token), None, &fields).await, "conflict");
    assert_like(&error["current"], &json!({"text": "two", "version": 2}));

    for token in [None, Some("no such token")] {
        assert_refused(&op(&url, "list_rooms", token, None, &json!({})).await, "unauthorized");
        // Also when there is more to be said of the request.
        assert_refused(&op(&url, "send", token, None, &json!({})).await, "unauthorized");
        let error = assert_refused(&op(&url, "hello", token, None, &json!({})).await, "unauthorized");
        assert_eq!(text(&error, "message").contains("Authorization"), token.is_none(), "{error}");
    }
    assert_done(&op(&url, "hello", None, None, &json!({"token": token})).await);
    assert_refused(&op(&url, "hello", None, None, &json!({"token": 7})).await, "bad_request");
    for key in ["x".repeat(65), String::new()] {
        let answer = op(&url, "mark_read", Some(&token), Some(&key), &json!({"room": room, "seq": 1})).await;
        assert_refused(&answer, "bad_request");
    }
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let post = async |body: &str| {
        exchange(Method::POST, &format!("{url}/api/v1/list_rooms"), &headers, body.to_owned()).await.unwrap()
    };
    // Read as JSON whatever the Content-Type says.
    assert_done(&post("{}").await);
    for body in ["[]", "7", "{", "\u{0}", "{\"match\": \"a\"} x"] {
        assert_refused(&post(body).await, "bad_request");
    }
    assert_refused(&post(&format!("{{\"match\": \"{}\"}}", "x".repeat(65_536))).await, "too_large");
    for (method, path, status) in [
        (Method::GET, "/api/v1/send", 405),
        (Method::DELETE, "/api/v1/send", 405),
        (Method::POST, "/api/v1/cluster", 405),
        (Method::GET, "/api/v1/nothing", 404),
        (Method::GET, "/api/v1/", 404),
        (Method::POST, "/api/v1/a/b/c", 404),
    ] {
        let answer = exchange(method.clone(), &format!("{url}{path}"), &headers, "{}").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.json()["ok"], false, "{method} {path}");
        assert!(answer.json()["error"]["message"].is_string(), "{method} {path}");
    }
}

#[actix::test]
async fn other_pages_are_kept_out_and_the_members_let_in() {
    let cluster = Cluster::start(3).await;
    let ann = cluster.register(0, "ann").await;
    let url = cluster.nodes[0].url();
    let bearer = format!("Bearer {}", ann.token);
    let ask = async |method: Method, origin: &str| {
        let mut headers = vec![("Origin", origin), ("Authorization", bearer.as_str())];
        if method == Method::OPTIONS {
            headers[1] = ("Access-Control-Request-Method", "POST");
            headers
                .push(("Access-Control-Request-Headers", "authorization,content-type,idempotency-key,range"));
        }
        exchange(method, &format!("{url}/api/v1/list_rooms"), &headers, "{}").await.unwrap()
    };
    for member in cluster.urls() {
        let answer = ask(Method::POST, &member).await;
        assert_eq!(answer.status, 200, "{member}");
        if member != url {
            assert_eq!(answer.header("access-control-allow-origin"), member);
            let answer = ask(Method::OPTIONS, &member).await;
            assert!(answer.status == 200 || answer.status == 204, "{}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), member);
            let allowed = answer.header("access-control-allow-headers").to_lowercase();
            for header in ["authorization", "content-type", "idempotency-key", "range"] {
                assert!(allowed.contains(header), "{header} in {allowed}");
            }
            let methods = answer.header("access-control-allow-methods");
            assert!(methods.contains("POST"), "{methods}");
        }
    }
    for stranger in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let answer = ask(Method::POST, stranger).await;
        assert_eq!(answer.status, 403, "{stranger}");
        assert_eq!(answer.json()["ok"], false);
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[actix::test]
async fn what_operators_ask() {
    let cluster = Cluster::start(3).await;
    let (leader, status) = cluster
        .wait_for("everybody to be seen up by the leader", async || {
            for (place, node) in cluster.nodes.iter().enumerate() {
                let status = node.status().await?;
                let is_known = |node: &Value| {
                    node["match"].is_u64() && (node["ms"].is_number() || node["name"] == status["node"])
                };
                let is_seen = |node: &Value| node["up"] == true && is_known(node);
                if status["leader"] == status["node"] && status["nodes"].as_array()?.iter().all(is_seen) {
                    return Some((place, status));
                }
            }
            None
        })
        .await;
    let name = &cluster.nodes[leader].name;
    assert_like(&status, &json!({"node": name, "leader": name, "quorum": true}));
    assert!(number(&status, "term") > 0 && number(&status, "applied") > 0);
    number(&status, "at");
    assert!(!text(&status, "cluster").is_empty() && !text(&status, "epoch").is_empty());
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for (place, node) in nodes.iter().enumerate() {
        let role = if place == leader { "leader" } else { "follower" };
        assert_like(node, &json!({"name": cluster.nodes[place].name, "role": role, "up": true}));
        assert_eq!(text(node, "public"), cluster.nodes[place].url());
        assert!(node["lag"].is_u64(), "{node}");
        assert_eq!(node["version"], env!("CARGO_PKG_VERSION"), "{node}");
    }
    for node in &cluster.nodes {
        for path in ["/health/live", "/health/ready"] {
            let url = format!("{}{path}", node.url());
            assert_eq!(get(&url).await.unwrap().status, 200);
            // What some balancers ask instead.
            assert_eq!(exchange(Method::HEAD, &url, &[], "").await.unwrap().status, 200);
        }
    }
}

#[actix::test]
async fn the_page_comes_from_any_node_and_may_talk_to_all() {
    let cluster = Cluster::start(3).await;
    for node in &cluster.nodes {
        let page = get(&format!("{}/", node.url())).await.unwrap();
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
        let policy = page.header("content-security-policy");
        let part = |name: &str| policy.split(';').map(str::trim).find(|part| part.starts_with(name));
        for other in &cluster.nodes {
            let address = format!("127.0.0.1:{}", other.http_port);
            for name in ["connect-src", "img-src", "media-src"] {
                let part = part(name).unwrap_or_else(|| panic!("no {name} in {policy}"));
                let own = other.name == node.name && part.contains("'self'");
                assert!(own || part.contains(&address), "{address} in {part}");
            }
        }
        assert_eq!(part("script-src"), Some("script-src 'self'"));
    }
}
