//! Bad frames, close codes, limits, strangers.

use std::io::{Read as _, Write as _};

use actix_web::http::StatusCode;
use awc::error::WsClientError;
use awc::ws::Message;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::replies::{done, refused};
use crate::cluster::{Client, Cluster};

fn frame(text: impl Into<String>) -> Message {
    Message::Text(text.into().into())
}

#[actix::test]
async fn what_is_not_a_request_closes_the_connection() {
    let cluster = Cluster::start(1).await;
    let ann = cluster.register(0, "ann").await;
    for message in [
        Message::Binary(Bytes::from_static(b"{\"id\": \"1\", \"op\": \"ping\"}")),
        frame(""),
        frame("hello"),
        frame("[]"),
        frame("7"),
        frame("{"),
        frame("{}"),
        frame(r#"{"op": "ping"}"#),
        frame(r#"{"id": 7, "op": "ping"}"#),
        frame(r#"{"id": "", "op": "ping"}"#),
        frame(r#"{"id": "é", "op": "ping"}"#),
        frame(r#"{"id": "a\nb", "op": "ping"}"#),
        frame(json!({"id": "x".repeat(65), "op": "ping"}).to_string()),
    ] {
        let what = format!("{message:?}");
        let mut client = cluster.client(0).await;
        client.hello_as(&ann).await;
        client.frame(message).await;
        assert_eq!(client.closed().await.code, Some(4500), "{what}");
    }
}

#[actix::test]
async fn a_bad_request_with_an_id_is_answered() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    for (id, text) in [
        ("1", r#"{"id": "1"}"#),
        ("2", r#"{"id": "2", "op": 7}"#),
        ("3", r#"{"id": "3", "op": ""}"#),
        ("4", r#"{"id": "4", "op": "no_such_op"}"#),
        ("5 !~", r#"{"id": "5 !~", "op": "no_such_op"}"#),
    ] {
        ann.frame(frame(text)).await;
        let reply = ann.reply(id).await;
        let code = reply["error"]["code"].as_str().unwrap_or_default().to_owned();
        assert!(code == "bad_request" || (code == "not_found" && text.contains("no_such_op")), "{reply}");
    }
    // A field nobody knows does no harm.
    done("ping", &ann.ask_as(&"x".repeat(64), "ping", json!({"colour": "green"})).await);
    assert!(ann.is_alive().await);
}

#[actix::test]
async fn a_frame_that_is_too_big_closes_the_connection() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let of_bytes = |bytes: usize| {
        let empty = json!({"id": "big", "op": "ping", "pad": ""}).to_string().len();
        frame(json!({"id": "big", "op": "ping", "pad": "x".repeat(bytes - empty)}).to_string())
    };
    ann.frame(of_bytes(65_536)).await;
    done("ping", &ann.reply("big").await);
    ann.frame(of_bytes(65_537)).await;
    assert_eq!(ann.closed().await.code, Some(1009));
    // The node minds nothing.
    let mut again = cluster.client(0).await;
    again.hello_as(&ann).await;
}

#[actix::test]
async fn who_says_nothing_is_sent_away() {
    let cluster = Cluster::start(1).await;
    let begun = std::time::Instant::now();
    let mut client = cluster.client(0).await;
    assert_eq!(client.closed().await.code, Some(4501));
    assert!(begun.elapsed().as_secs() >= 9, "{:?}", begun.elapsed());
}

/// A ping every 20 s brings quiet clients their cursor; nobody is sent away for being quiet.
#[actix::test]
async fn a_quiet_client_gets_its_cursor() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(0, "bob").await;
    let hidden = bob.create_room("hidden", "private").await;
    let sent = bob.ok("send", json!({"room": hidden, "text": "x"})).await;
    let is_told = |event: &Value| event["ev"] == "cursor" && event["at"].as_u64() >= sent["at"].as_u64();
    ann.event_that("cursor that is as far", is_told).await;
}

#[actix::test]
async fn pages_from_elsewhere_are_refused() {
    let cluster = Cluster::start(3).await;
    let node = &cluster.nodes[0];
    let own = format!("http://127.0.0.1:{}", node.http_port);
    for origin in cluster.urls().iter().chain([&own]) {
        assert!(Client::open_with(&node.url(), &[("Origin", origin)]).await.is_ok(), "{origin}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"] {
        match Client::open_with(&node.url(), &[("Origin", origin)]).await {
            Err(WsClientError::InvalidResponseStatus(status)) => assert_eq!(status, StatusCode::FORBIDDEN),
            other => panic!("{origin}: {:?}", other.err()),
        }
    }
}

#[actix::test]
async fn a_user_who_floods_is_slowed_down() {
    let cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 2").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..40).map(|_| new_id()).collect();
    for id in &ids {
        ann.post(id, "send", json!({"room": room, "text": "x"})).await;
    }
    let mut replies: Vec<Value> = Vec::new();
    for id in &ids {
        replies.push(ann.reply(id).await);
    }
    // A burst of ten seconds' worth is let through.
    let taken = replies.iter().filter(|reply| reply["ok"] == true).count();
    assert!((18..35).contains(&taken), "{taken}");
    let limited = replies.iter().find(|reply| reply["ok"] == false).unwrap();
    refused("the flood", limited, "rate_limited");
    // Whoever wrote much may still read, mark and go; what is no message has its own limit.
    ann.ok("mark_read", json!({"room": room, "seq": taken})).await;
    let ids: Vec<String> = (0..40).map(|_| new_id()).collect();
    for id in &ids {
        ann.post(id, "mark_read", json!({"room": room, "seq": taken})).await;
    }
    let mut marked = 0;
    for id in &ids {
        let reply = ann.reply(id).await;
        if reply["ok"] == true {
            marked += 1;
        } else {
            refused("the marks", &reply, "rate_limited");
        }
    }
    assert!((18..35).contains(&marked), "{marked}");
    // Nobody is kept from going.
    let mut elsewhere = Client::open(&cluster.nodes[0].url()).await;
    elsewhere.login("ann").await;
    elsewhere.ok("logout", json!({})).await;
    ann.ok("delete_account", json!({"password": password_of("ann")})).await;
}

/// Clients take a connection as closed when TCP is: each of these would take the server's second of grace.
#[actix::test]
async fn a_closed_connection_ends_at_once() {
    let cluster = Cluster::start(1).await;
    let port = cluster.nodes[0].http_port;
    let begun = std::time::Instant::now();
    for _ in 0..16 {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = "GET /ws HTTP/1.1\r\nHost: chat\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let going_away = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
        stream.write_all(&[head.as_bytes(), &going_away].concat()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert!(all.ends_with(&[0x88, 2, 0x03, 0xe9]), "{:?}", String::from_utf8_lossy(&all));
    }
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}

#[actix::test]
async fn replies_to_what_was_pipelined_all_come() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..100).map(|_| new_id()).collect();
    for (place, id) in ids.iter().enumerate() {
        let op = if place % 3 == 2 { "history" } else { "send" };
        ann.post(id, op, json!({"room": room, "text": "x"})).await;
    }
    let mut last_seq = 0;
    for (place, id) in ids.iter().enumerate() {
        let reply = ann.reply(id).await;
        done("pipelined", &reply);
        if place % 3 != 2 {
            // Changes are proposed in the order of their frames.
            last_seq += 1;
            assert_eq!(reply["seq"], last_seq);
        }
    }
}

/// Questions wait for each other, so that their answers do not fill the memory; none is forgotten, and
/// nobody else waits.
#[actix::test]
async fn many_questions_at_once_are_all_answered() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let ids: Vec<String> = (0..1_000).map(|_| new_id()).collect();
    for (place, id) in ids.iter().enumerate() {
        let op = ["history", "members", "list_rooms", "list_users"][place % 4];
        ann.post(id, op, json!({"room": room})).await;
    }
    assert!(ann.is_alive().await);
    for id in &ids {
        done("a question", &ann.reply(id).await);
    }
}

#[actix::test]
async fn a_node_outlives_rubbish() {
    let mut cluster = Cluster::start(1).await;
    let port = cluster.nodes[0].http_port;
    let peer_port = cluster.nodes[0].peer_port;
    for port in [port, peer_port] {
        for rubbish in [
            &b"\0\0\0\0"[..],
            b"GET / HTTP/9\r\n\r\n",
            b"POST /api/v1/send HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            &[0x16, 3, 1, 2, 0],
        ] {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            std::io::Write::write_all(&mut stream, rubbish).unwrap();
        }
    }
    assert!(cluster.nodes[0].is_up());
    let mut ann = cluster.register(0, "ann").await;
    assert!(ann.is_alive().await);
    let log = cluster.nodes[0].log();
    assert!(!log.contains("panicked"), "{log}");
}
