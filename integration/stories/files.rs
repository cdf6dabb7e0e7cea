//! Files: uploaded on one node, sent through another, fetched from a third.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::client::new_id;
use crate::cluster::files::{ask, assert_refused, bytes_of, fetch, fetched, try_upload, until_found, upload};
use crate::cluster::http::{exchange, get};
use crate::cluster::{Cluster, assert_like, number, text};

#[actix::test]
async fn a_file_goes_with_its_message_and_to_nobody_else() {
    let cluster = Cluster::start(3).await;
    let urls = cluster.urls();
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 2]).await;
    let cleo = cluster.register(1, "cleo").await;
    let bytes = bytes_of(1, 300_000);
    let told = upload(&urls[0], &ann.token, "a%20photo.png", &bytes).await;
    assert_like(&told, &json!({"name": "a photo.png", "bytes": 300_000, "type": "image/png"}));
    let file = text(&told, "file");
    assert_eq!(file.len(), 64);

    // The uploader may fetch it, through any node; a hash is no permission to anybody else.
    for url in &urls {
        assert_eq!(fetched(url, &ann.token, &file, "x.png").await.body, bytes);
        assert_refused(&fetch(url, &bob.token, &file, "x.png", &[]).await, 404, "not_found");
    }
    let theirs = json!({"room": room, "text": "mine!", "files": [{"file": file, "name": "x.png"}]});
    bob.refused("send", theirs, "not_found").await;

    let mut elsewhere = cluster.client(1).await;
    elsewhere.hello_as(&ann).await;
    let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "../a photo.png"}]});
    let sent = until_found(&mut elsewhere, "send", fields.clone()).await;
    let heard = bob.event(json!({"ev": "message", "room": room, "at": sent["at"]})).await;
    let shown = json!([{"file": file, "name": "a photo.png", "bytes": 300_000, "type": "image/png"}]);
    assert_like(&heard, &json!({"text": "", "files": shown, "from": "ann"}));
    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"][0]["files"], shown);

    for url in &urls {
        assert_eq!(fetched(url, &bob.token, &file, "a%20photo.png").await.body, bytes);
        assert_refused(&fetch(url, &cleo.token, &file, "a%20photo.png", &[]).await, 404, "not_found");
        let path = format!("{url}/api/v1/files/{file}/a.png");
        assert_refused(&get(&path).await.unwrap(), 401, "unauthorized");
        assert_refused(&ask(Method::GET, &path, "nonsense", &[], vec![]).await, 401, "unauthorized");
        assert_refused(&ask(Method::PUT, &path, &bob.token, &[], vec![]).await, 405, "bad_request");
    }
    // Who sees it may pass it on.
    let passed_on = bob.create_room("other", "private").await;
    let again = json!({"room": passed_on, "text": "look", "files": [{"file": file, "name": "b.png"}]});
    assert_eq!(until_found(&mut bob, "send", again).await["seq"], 1);
}

/// Its uploader's again, on any node, though some remember the first upload of these bytes.
#[actix::test]
async fn what_was_deleted_is_uploaded_again() {
    let cluster = Cluster::start(3).await;
    let urls = cluster.urls();
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    let file = text(&upload(&urls[0], &ann.token, "a.txt", b"again").await, "file");
    let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a"}]});
    let sent = until_found(&mut ann, "send", fields).await;
    ann.ok("delete", json!({"room": room, "seqs": [sent["seq"]]})).await;
    let found = async |url: &str| fetch(url, &ann.token, &file, "a.txt", &[]).await.status;
    for url in &urls {
        let gone = async || (found(url).await == 404).then_some(());
        cluster.wait_for("the file to be gone", gone).await;
    }
    upload(&urls[1], &ann.token, "a.txt", b"again").await;
    for url in &urls {
        assert_eq!(fetched(url, &ann.token, &file, "a.txt").await.body, &b"again"[..]);
    }
    until_found(&mut ann, "file_link", json!({"file": file, "name": "a.txt"})).await;
}

#[actix::test]
async fn headers_ranges_and_links() {
    let cluster = Cluster::start(2).await;
    let urls = cluster.urls();
    let (mut ann, bob, room) = cluster.ann_and_bob([0, 1]).await;
    let bytes = bytes_of(2, 1000);
    let file = text(&upload(&urls[0], &ann.token, "a.txt", &bytes).await, "file");
    let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.txt"}]});
    until_found(&mut ann, "send", fields).await;
    let url = &urls[1];
    let whole = fetched(url, &bob.token, &file, "Gr%C3%BC%C3%9Fe.txt").await;
    let tag = whole.header("etag").to_owned();
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "1000"),
        ("cache-control", "private"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("accept-ranges", "bytes"),
        ("content-disposition", "inline; filename=\"Gr__e.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt"),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    assert!(tag.len() > 2 && tag.starts_with('"'), "{tag}");
    for (name, shown) in [("a.html", "attachment;"), ("a.svg", "attachment;"), ("a.mp4", "inline;")] {
        let answer = fetch(url, &bob.token, &file, name, &[]).await;
        assert!(answer.header("content-disposition").starts_with(shown), "{name}");
    }
    for (range, status, shown, part) in [
        ("bytes=0-9", 206, "bytes 0-9/1000", &bytes[..10]),
        ("bytes=990-", 206, "bytes 990-999/1000", &bytes[990..]),
        ("bytes=-1", 206, "bytes 999-999/1000", &bytes[999..]),
        ("bytes=5-4", 200, "", &bytes[..]),
    ] {
        let answer = fetch(url, &bob.token, &file, "a.txt", &[("range", range)]).await;
        assert_eq!((answer.status, answer.header("content-range")), (status, shown), "{range}");
        assert_eq!(answer.body, part, "{range}");
    }
    let behind = fetch(url, &bob.token, &file, "a.txt", &[("range", "bytes=1000-")]).await;
    assert_eq!(behind.header("content-range"), "bytes */1000");
    assert_refused(&behind, 416, "bad_request");
    let other = [("range", "bytes=0-9"), ("if-range", "\"other\"")];
    assert_eq!(fetch(url, &bob.token, &file, "a.txt", &other).await.status, 200);
    let known = fetch(url, &bob.token, &file, "a.txt", &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(
        (known.header("content-security-policy"), known.header("x-content-type-options")),
        ("sandbox", "nosniff")
    );
    let path = format!("{url}/api/v1/files/{file}/a.txt");
    let head = ask(Method::HEAD, &path, &bob.token, &[], vec![]).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "1000"));

    let mut bob = bob;
    let link = bob.ok("file_link", json!({"file": file, "name": "a b.txt"})).await;
    let (address, until) = (text(&link, "url"), number(&link, "until"));
    assert!(address.starts_with(url) && until > 1_700_000_000_000, "{link}");
    for url in &urls {
        let there = address.replace(&urls[1], url);
        assert_eq!(get(&there).await.unwrap().body, bytes);
        for wrong in
            [there.replace("by=bob", "by=ann"), there.replace("until=", "until=9"), format!("{there}0")]
        {
            assert_refused(&get(&wrong).await.unwrap(), 401, "unauthorized");
        }
    }
    let mut cleo = cluster.register(0, "cleo").await;
    cleo.refused("file_link", json!({"file": file, "name": "a.txt"}), "not_found").await;
    cleo.refused("file_link", json!({"file": "a.txt"}), "bad_request").await;
    // What one may see no more, an old link does not show either.
    bob.ok("leave", json!({"room": room})).await;
    let gone = async || (get(&address).await.ok()?.status == 404).then_some(());
    cluster.wait_for("the link to show nothing", gone).await;

    // A page of another node may fetch, and read what it must of the answer.
    let origin = [("origin", urls[0].as_str()), ("access-control-request-headers", "range")];
    let asked = exchange(Method::OPTIONS, &path, &origin, vec![]).await.unwrap();
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, urls[0].as_str()));
    assert!(asked.header("access-control-allow-headers").contains("Range"));
    let answer = fetch(url, &ann.token, &file, "a.txt", &origin[..1]).await;
    assert!(answer.header("access-control-expose-headers").contains("Content-Range"));
    let foreign = fetch(url, &ann.token, &file, "a.txt", &[("origin", "http://evil.test")]).await;
    assert_refused(&foreign, 403, "forbidden");
}

#[actix::test]
async fn what_is_no_good_is_refused_with_a_reason() {
    let cluster = Cluster::start_with(1, "[limits]\nfile_bytes = 2000000").await;
    let url = &cluster.urls()[0];
    let (mut ann, _bob, room) = cluster.ann_and_bob([0, 0]).await;
    for (name, stored, kind) in [
        ("a.txt", "a.txt", "text/plain"),
        ("", "file", "application/octet-stream"),
        ("%2Fetc%2Fpasswd", "passwd", "application/octet-stream"),
        ("..%5C..%5Ca.html", "a.html", "text/html"),
        ("a%0Ab%00%E2%80%AEgnp.exe", "a_b__gnp.exe", "application/octet-stream"),
        ("%F0%9F%91%8D.PNG", "👍.PNG", "image/png"),
    ] {
        let told = upload(url, &ann.token, name, b"x").await;
        assert_like(&told, &json!({"name": stored, "type": kind, "bytes": 1}));
    }
    let long = upload(url, &ann.token, &"x".repeat(400), b"x").await;
    assert_eq!(text(&long, "name").len(), 255);
    let empty = upload(url, &ann.token, "empty", b"").await;
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_like(&empty, &json!({"file": hash, "bytes": 0}));
    assert_eq!(fetch(url, &ann.token, hash, "empty", &[]).await.body.len(), 0);
    // The type is never what the uploader says.
    let claimed = [("content-type", "text/html")];
    let path = format!("{url}/api/v1/files?name=a.png");
    let told = ask(Method::POST, &path, &ann.token, &claimed, b"<script>".to_vec()).await.json();
    assert_eq!(told["type"], "image/png");

    assert_refused(&exchange(Method::POST, &path, &[], b"x".to_vec()).await.unwrap(), 401, "unauthorized");
    assert_refused(&ask(Method::GET, &path, &ann.token, &[], vec![]).await, 405, "bad_request");
    let good = upload(url, &ann.token, "a", &bytes_of(3, 2_000_000)).await;
    for answer in [
        try_upload(url, &ann.token, "a", &bytes_of(4, 2_000_001)).await.unwrap(),
        try_upload(url, &ann.token, "a", &bytes_of(5, 30_000_000)).await.unwrap(),
    ] {
        assert_refused(&answer, 413, "too_large");
    }
    let port = cluster.nodes[0].http_port;
    let head =
        format!("POST /api/v1/files?name=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", ann.token);
    let (announced, chunked) = (format!("{head}Content-Length: 999999999\r\n\r\n"), head);
    assert!(by_hand(port, announced, 0).starts_with("HTTP/1.1 413 "), "before a byte of it is sent");
    let chunked = format!("{chunked}Transfer-Encoding: chunked\r\n\r\n");
    assert!(by_hand(port, chunked, 2_000_001).starts_with("HTTP/1.1 413 "), "when it is found out");
    let metrics = cluster.nodes[0].metrics().await;
    assert!(metrics.contains("chat_files 4\n"), "nothing is kept of them: {metrics}");

    let file = text(&good, "file");
    let send = |files: Value| json!({"room": room, "text": "", "files": files});
    for (files, code) in [
        (json!([{"file": "0".repeat(64), "name": "a"}]), "not_found"),
        (json!([{"file": "0".repeat(63), "name": "a"}]), "bad_request"),
        (json!([{"name": "a"}]), "bad_request"),
        (json!([file]), "bad_request"),
        (json!({"file": file}), "bad_request"),
        (json!([]), "bad_request"),
        (Value::from(vec![json!({"file": file, "name": "a"}); 21]), "bad_request"),
    ] {
        ann.refused("send", send(files), code).await;
    }
    // Under an id that something else has, that is what is wrong.
    let id = new_id();
    assert_eq!(ann.ask_as(&id, "join", json!({"room": room})).await["ok"], true);
    let reply = ann.ask_as(&id, "send", send(json!([{"file": "0".repeat(64), "name": "a"}]))).await;
    assert_eq!(reply["error"]["code"], "conflict", "{reply}");
    let many = Value::from(vec![json!({"file": file, "name": "a"}); 20]);
    assert_eq!(ann.ok("send", send(many)).await["seq"], 1);
    let missing = fetch(url, &ann.token, &"0".repeat(64), "a", &[]).await;
    assert_refused(&missing, 404, "not_found");
    assert_refused(&fetch(url, &ann.token, "nonsense", "a", &[]).await, 404, "not_found");
}

/// Sends a request by hand, with so many bytes in chunks behind it; the beginning of the answer.
fn by_hand(port: u16, head: String, bytes: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    for part in vec![7_u8; bytes].chunks(60_000) {
        stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).unwrap();
        stream.write_all(part).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    let mut answer = [0; 512];
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[actix::test]
async fn an_upload_that_was_cut_off_goes_on() {
    let mut cluster = Cluster::start(1).await;
    let url = cluster.urls()[0].clone();
    let (mut ann, bob, room) = cluster.ann_and_bob([0, 0]).await;
    let bytes = bytes_of(8, 100_000);
    let begin = async |query: &str| {
        ask(Method::POST, &format!("{url}/api/v1/uploads?{query}"), &ann.token, &[], vec![]).await
    };
    assert_refused(&begin("name=a.bin").await, 400, "bad_request");
    assert_refused(&begin("name=a.bin&bytes=99999999999").await, 413, "too_large");
    let begun = begin("name=a.bin&bytes=100000").await.json();
    assert_eq!(begun["offset"], 0);
    let path = format!("{url}/api/v1/uploads/{}", text(&begun, "upload"));
    let add = async |from: usize, to: usize| {
        let offset = from.to_string();
        ask(Method::PATCH, &path, &ann.token, &[("upload-offset", &offset)], bytes[from..to].to_vec()).await
    };
    let look = async |token: &str| ask(Method::GET, &path, token, &[], vec![]).await;
    assert_eq!(add(0, 30_000).await.json()["offset"], 30_000);
    assert_refused(&add(0, 30_000).await, 409, "conflict");
    assert_refused(&ask(Method::PATCH, &path, &ann.token, &[], vec![1]).await, 400, "bad_request");
    assert_refused(&look(&bob.token).await, 404, "not_found");
    assert_eq!(look(&ann.token).await.json()["offset"], 30_000);

    // The connection ends in the middle of the next part; what came of it is there.
    let port = cluster.nodes[0].http_port;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let id = text(&begun, "upload");
    let head = format!(
        "PATCH /api/v1/uploads/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nUpload-Offset: 30000\r\n\
         Content-Length: 70000\r\n\r\n",
        ann.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bytes[30_000..40_000]).unwrap();
    stream.shutdown(std::net::Shutdown::Both).unwrap();

    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let at = usize::try_from(number(&look(&ann.token).await.json(), "offset")).unwrap();
    assert!((30_000..=40_000).contains(&at), "{at}");
    assert_eq!(add(at, 60_000).await.json()["offset"], 60_000);
    let told = add(60_000, 100_000).await.json();
    assert_like(&told, &json!({"name": "a.bin", "bytes": 100_000}));
    let file = text(&told, "file");
    assert_eq!(add(60_000, 100_000).await.json()["file"], file, "its answer may have been lost");
    ann = cluster.client(0).await;
    ann.login("ann").await;
    ann.ok("send", json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]})).await;
    assert_eq!(fetch(&url, &bob.token, &file, "a.bin", &[]).await.body, bytes);
    let unknown = format!("{url}/api/v1/uploads/{}", "0".repeat(32));
    assert_refused(&ask(Method::GET, &unknown, &bob.token, &[], vec![]).await, 404, "not_found");
}

#[actix::test]
async fn frames_behind_a_send_with_files_come_after_it() {
    let cluster = Cluster::start(3).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([1, 2]).await;
    let url = &cluster.urls()[1];
    let file = text(&upload(url, &ann.token, "a.bin", &bytes_of(9, 2_000_000)).await, "file");
    // Others that do not get to keep the bytes in time have a send refused, which is then to be repeated: not each time.
    for _ in 0..5 {
        let mut ids = Vec::new();
        for number in 0..9 {
            let files = if number % 3 == 1 { json!([{"file": file, "name": "a.bin"}]) } else { json!([]) };
            ids.push(new_id());
            let fields = json!({"room": room, "text": number.to_string(), "files": files});
            ann.post(&ids[number], "send", fields).await;
        }
        let mut seqs = Vec::new();
        for id in &ids {
            let reply = ann.reply(id).await;
            match reply["error"]["code"].as_str() {
                None => seqs.push(number(&reply, "seq")),
                Some(code) => assert_eq!(code, "unavailable", "{reply}"),
            }
        }
        assert!(seqs.is_sorted(), "{seqs:?}");
        if seqs.len() == ids.len() {
            assert_eq!(seqs[8] - seqs[0], 8, "{seqs:?}");
            return;
        }
    }
    panic!("no message with a file was sent each time\n{}", cluster.log_tails());
}
