//! Files: uploaded to one node, sent, served by every node to who may see them.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::http::{Answer, exchange};
use crate::cluster::{Client, Cluster, assert_like, number, text};

async fn upload(client: &Client, name: &str, bytes: Vec<u8>) -> Answer {
    let bearer = format!("Bearer {}", client.token);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-whatever")];
    let url = format!("{}/api/v1/files?name={name}", client.url);
    exchange(Method::POST, &url, &headers, bytes).await.unwrap()
}

async fn fetch(url: &str, token: Option<&str>, file: &str, range: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = Vec::new();
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    headers.extend(range.map(|range| ("Range", range)));
    exchange(Method::GET, &format!("{url}/api/v1/files/{file}"), &headers, "").await.unwrap()
}

#[actix::test]
async fn a_file_on_its_way() {
    let cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let mut bob = cluster.register(1, "bob").await;
    let eve = cluster.register(2, "eve").await;
    let room = ann.create_room("general", "public").await;
    bob.ok("join", json!({"room": room})).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();

    let answer = upload(&ann, "some.png", bytes.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_like(&told, &json!({"name": "some.png", "bytes": 300_000, "type": "image/png"}));
    let file = text(&told, "file");
    assert_eq!(file.len(), 64);
    let path = format!("{file}/some.png");
    // The uploader may fetch it, nobody else yet.
    assert_eq!(fetch(&ann.url, Some(&ann.token), &path, None).await.status, 200);
    assert_eq!(fetch(&bob.url, Some(&bob.token), &path, None).await.status, 404);
    let theirs = json!({"room": room, "text": "", "files": [{"file": file, "name": "x"}]});
    bob.refused("send", theirs, "not_found").await;

    let files: Value = json!([{"file": file, "name": "some.png"}]);
    let sent = ann.ok("send", json!({"room": room, "text": "", "files": files})).await;
    assert_eq!(number(&sent, "seq"), 1);
    let heard = bob.event(json!({"ev": "message"})).await;
    let shown = json!([{"file": file, "name": "some.png", "bytes": 300_000, "type": "image/png"}]);
    assert_eq!(heard["files"], shown);
    for place in 0..3 {
        let url = cluster.nodes[place].url();
        let answer = fetch(&url, Some(&bob.token), &path, None).await;
        assert_eq!((answer.status, answer.body == bytes), (200, true), "at node {place}");
        assert_eq!(answer.header("content-type"), "image/png");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("sandbox"));
        assert!(answer.header("cache-control").contains("private"));
        assert!(!answer.header("etag").is_empty());
        let part = fetch(&url, Some(&bob.token), &path, Some("bytes=1000-1999")).await;
        assert_eq!((part.status, part.body == bytes[1000..2000]), (206, true));
        assert_eq!(fetch(&url, Some(&bob.token), &path, Some("bytes=300000-")).await.status, 416);
        assert_eq!(fetch(&url, Some(&eve.token), &path, None).await.status, 404);
        assert_eq!(fetch(&url, Some("no such token"), &path, None).await.status, 401);
        assert_eq!(fetch(&url, None, &path, None).await.status, 401);
    }
    let link = bob.ok("file_link", json!({"file": file, "name": "some.png"})).await;
    let url = text(&link, "url");
    let url = if url.starts_with('/') { format!("{}{url}", bob.url) } else { url };
    let answer = exchange(Method::GET, &url, &[], "").await.unwrap();
    assert_eq!((answer.status, answer.body == bytes), (200, true));

    ann.ok("delete", json!({"room": room, "seqs": [1]})).await;
    bob.event(json!({"ev": "message", "deleted": true, "files": []})).await;
    assert_eq!(fetch(&bob.url, Some(&bob.token), &path, None).await.status, 404);
}

#[actix::test]
async fn files_at_their_limits() {
    let cluster = Cluster::start_with(1, "[limits]\nfile_bytes = 1000").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    assert_eq!(upload(&ann, "a.bin", vec![1; 1000]).await.status, 200);
    let answer = upload(&ann, "a.bin", vec![1; 1001]).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("too_large")));
    for (name, kept, kind) in [
        ("..%2F..%2Fetc%2Fpasswd", "passwd", "application/octet-stream"),
        ("a%0Ab.txt", "a_b.txt", "text/plain"),
        ("", "file", "application/octet-stream"),
        ("page.html", "page.html", "text/html"),
    ] {
        let told = upload(&ann, name, Vec::new()).await.json();
        assert_like(&told, &json!({"name": kept, "bytes": 0}));
        let told_kind = text(&told, "type");
        assert!(told_kind == kind || told_kind == "application/octet-stream", "{told}");
        let path = format!("{}/{kept}", text(&told, "file"));
        let answer = fetch(&ann.url, Some(&ann.token), &path, None).await;
        assert_eq!(answer.status, 200);
        let is_download = answer.header("content-disposition").starts_with("attachment");
        assert_eq!(is_download, told_kind != "text/plain", "{told}");
    }
    let nothing = json!({"room": room, "text": "", "files": []});
    ann.refused("send", nothing, "bad_request").await;
    let unknown = json!({"room": room, "text": "x", "files": [{"file": "0".repeat(64), "name": "x"}]});
    ann.refused("send", unknown, "not_found").await;
    let many = vec![json!({"file": "0".repeat(64), "name": "x"}); 21];
    ann.refused("send", json!({"room": room, "text": "x", "files": many}), "bad_request").await;
}
