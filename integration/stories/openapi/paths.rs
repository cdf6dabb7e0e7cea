//! What is no op: files, events, hooks, export, the cluster.

use std::collections::BTreeSet;

use actix_web::http::Method;
use chat_actors::session::request::OPS;
use serde_json::{Value, json};

use super::Described;
use super::check::check;
use crate::cluster::client::password_of;
use crate::cluster::files::bytes_of;
use crate::cluster::http::{Answer, exchange};
use crate::cluster::listener::Listener;
use crate::cluster::{Cluster, number, text};

const FILES: &str = "/api/v1/files";
const FILE: &str = "/api/v1/files/{file}/{name}";
const UPLOADS: &str = "/api/v1/uploads";
const UPLOAD: &str = "/api/v1/uploads/{id}";
const EVENTS: &str = "/api/v1/events";
const EXPORT: &str = "/api/v1/export";
const HOOK: &str = "/api/v1/hooks/{token}";
const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;

impl Described {
    /// Asks as a path is described, without a token if that is empty, and holds the answer against that.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        given: &[(&str, &str)],
        token: &str,
        body: &[u8],
        status: u16,
    ) -> Answer {
        let name = format!("{method} {path}");
        let operation = &self.description["paths"][path][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{name} is not described");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let (mut url, mut query, mut headers) = (format!("{}{path}", self.url), Vec::new(), Vec::new());
        for (name, value) in given {
            let parameter = parameters.iter().find(|parameter| parameter["name"] == *name);
            match parameter.and_then(|parameter| parameter["in"].as_str()) {
                Some("path") => url = url.replace(&format!("{{{name}}}"), value),
                Some("query") => query.push(format!("{name}={value}")),
                Some("header") => headers.push((*name, (*value).to_owned())),
                _ => panic!("{path}: {name} is not described"),
            }
        }
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        if !token.is_empty() {
            headers.push(("Authorization", format!("Bearer {token}")));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = exchange(method, &url, &headers, body.to_vec()).await.unwrap();
        assert_eq!(answer.status, status, "{name}: {:?}", answer.body);

        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{name}: {status} is not described");
        let kind = answer.header("content-type");
        match described["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{name}: {status} has a body"),
            Some(kinds) => {
                let (_, content) = kinds
                    .iter()
                    .find(|(described, _)| *described == "*/*" || kind.starts_with(described.as_str()))
                    .unwrap_or_else(|| panic!("{name}: {kind} is not described"));
                if kind == "application/json" {
                    self.hold(&content["schema"], &answer.json(), &name);
                }
            }
        }
        if status < 300 {
            let missing = parameters
                .iter()
                .filter(|parameter| parameter["required"] == true)
                .find(|parameter| given.iter().all(|(name, _)| parameter["name"] != *name));
            assert!(missing.is_none(), "{name}: done without {missing:?}");
            self.played.insert(name);
        }
        answer
    }

    fn hold(&self, schema: &Value, value: &Value, what: &str) {
        if let Err(wrong) = check(&self.description, schema, value, what) {
            panic!("{what}: {wrong}: {value}");
        }
    }

    /// Holds these against the schemas of which they are one, and gives the words that tell which.
    fn hold_all<'a>(&self, schema: &str, tag: &str, values: &'a [Value]) -> BTreeSet<&'a str> {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        for value in values {
            self.hold(&schema, value, tag);
        }
        values.iter().filter_map(|value| value[tag].as_str()).collect()
    }
}

#[actix::test]
async fn every_other_path_is_as_it_is_described() {
    let mut cluster = Cluster::start_with(1, "[limits]\nfile_bytes = 100000").await;
    let mut api = Described::by(&cluster.nodes[0]).await;
    let account = |name: &str| json!({"name": name, "password": password_of(name)});
    let ann = text(&api.play("register", None, account("ann")).await, "token");
    let bob = text(&api.play("register", None, account("bob")).await, "token");
    let fields = json!({"name": "general", "kind": "public"});
    let room = number(&api.play("create_room", Some(&ann), fields).await["room"], "room");

    api.ask(GET, "/api/v1/cluster", &[], "", b"", 200).await;
    let file = play_uploads(&mut api, &ann, &bob).await;
    play_downloads(&mut api, &file, &ann, &bob).await;
    play_hook(&mut api, room, &ann).await;
    let mut events = play_events(&mut api, room, &ann, &bob).await;
    play_export(&mut api, &ann).await;
    // A node that stops says so.
    let mut ann_hears = Listener::open(&api.url, &ann, "").await;
    assert_eq!(cluster.nodes[0].terminate().await.code, Some(0));
    while let Some(event) = ann_hears.next().await {
        events.push(event);
    }
    let mut kinds = api.hold_all("Event", "ev", &events);
    // That one is heard when members or leaders change.
    kinds.remove("cluster");
    let all = [
        "bye", "cursor", "member", "message", "mute", "over", "presence", "read", "reset", "room", "typing",
        "user",
    ];
    assert_eq!(kinds, BTreeSet::from(all));

    let paths = api.description["paths"].as_object().unwrap();
    let asked = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path, method, operation["operationId"].as_str().unwrap()))
    });
    // Ops have a story of their own.
    let others = asked.filter(|(_, _, id)| !OPS.contains(id));
    let unplayed: Vec<String> = others
        .map(|(path, method, _)| format!("{} {path}", method.to_uppercase()))
        .filter(|name| !api.played.contains(name))
        .collect();
    assert!(unplayed.is_empty(), "described and never played here: {unplayed:?}");
}

/// Files at once and in parts; gives the one that both were.
async fn play_uploads(api: &mut Described, ann: &str, bob: &str) -> String {
    let bytes = bytes_of(1, 1000);
    let named = [("name", "a.txt")];
    let whole = api.ask(POST, FILES, &named, ann, &bytes, 200).await.json();
    api.ask(POST, FILES, &named, "", &bytes, 401).await;
    api.ask(POST, FILES, &named, ann, &vec![0; 100_001], 413).await;

    let sized = [("name", "b.txt"), ("bytes", "1000")];
    let begun = api.ask(POST, UPLOADS, &sized, ann, b"", 200).await.json();
    api.ask(POST, UPLOADS, &named, ann, b"", 400).await;
    api.ask(POST, UPLOADS, &sized, "", b"", 401).await;
    api.ask(POST, UPLOADS, &[("bytes", "100001")], ann, b"", 413).await;
    let id = text(&begun, "upload");
    let (id, start, rest) = (("id", id.as_str()), ("Upload-Offset", "0"), ("Upload-Offset", "500"));
    api.ask(PATCH, UPLOAD, &[id, start], ann, &bytes[..500], 200).await;
    let offset = api.ask(GET, UPLOAD, &[id], ann, b"", 200).await.json();
    assert_eq!(offset, json!({"ok": true, "offset": 500}));
    api.ask(PATCH, UPLOAD, &[id, start], ann, &bytes[500..], 409).await;
    api.ask(PATCH, UPLOAD, &[id], ann, &bytes[500..], 400).await;
    api.ask(PATCH, UPLOAD, &[id, rest], "", &bytes[500..], 401).await;
    api.ask(PATCH, UPLOAD, &[("id", "unknown"), rest], ann, &bytes[500..], 404).await;
    let parts = api.ask(PATCH, UPLOAD, &[id, rest], ann, &bytes[500..], 200).await.json();
    assert_eq!((&parts["file"], &parts["bytes"]), (&whole["file"], &json!(1000)));
    let done = api.ask(GET, UPLOAD, &[id], ann, b"", 200).await.json();
    assert_eq!(done["file"], whole["file"]);
    api.ask(GET, UPLOAD, &[id], "", b"", 401).await;
    api.ask(GET, UPLOAD, &[id], bob, b"", 404).await;
    text(&whole, "file")
}

async fn play_downloads(api: &mut Described, file: &str, ann: &str, bob: &str) {
    let file = [("file", file), ("name", "a.txt")];
    let with = |name, value| [file[0], file[1], (name, value)];
    let fetched = api.ask(GET, FILE, &file, ann, b"", 200).await;
    assert_eq!(fetched.body.len(), 1000);
    let tag = fetched.header("etag");
    api.ask(GET, FILE, &with("Range", "bytes=5-9"), ann, b"", 206).await;
    api.ask(GET, FILE, &with("Range", "bytes=1000-"), ann, b"", 416).await;
    api.ask(GET, FILE, &with("If-None-Match", tag), ann, b"", 304).await;
    api.ask(GET, FILE, &file, "", b"", 401).await;
    api.ask(GET, FILE, &file, bob, b"", 404).await;
    let link = api.play("file_link", Some(ann), json!({"file": file[0].1, "name": "a.txt"})).await;
    let link = text(&link, "url");
    let claim = link.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
    let signed: Vec<_> = file.into_iter().chain(claim).collect();
    api.ask(GET, FILE, &signed, "", b"", 200).await;
}

async fn play_hook(api: &mut Described, room: u64, ann: &str) {
    let hook = api.play("create_hook", Some(ann), json!({"room": room, "name": "builds"})).await;
    let url = text(&hook, "url");
    let token = ("token", url.rsplit_once('/').unwrap().1);
    let keyed = [token, ("Idempotency-Key", "k1")];
    let built = br#"{"text":"built"}"#;
    api.ask(POST, HOOK, &keyed, "", built, 200).await;
    api.ask(POST, HOOK, &keyed, "", br#"{"text":"otherwise"}"#, 409).await;
    api.ask(POST, HOOK, &[token], "", b"{}", 400).await;
    api.ask(POST, HOOK, &[token], "", &[b' '; 70_000], 413).await;
    api.ask(POST, HOOK, &[("token", "unknown")], "", built, 404).await;
}

/// Has happen whatever bob can hear of, and gives what he heard.
async fn play_events(api: &mut Described, room: u64, ann: &str, bob: &str) -> Vec<Value> {
    let mut heard = Listener::open(&api.url, bob, "").await;
    // A stream has no end, so it is not asked for as other paths are.
    api.played.insert(format!("GET {EVENTS}"));
    api.ask(GET, EVENTS, &[("cursor", "nonsense")], bob, b"", 400).await;
    api.ask(GET, EVENTS, &[("Last-Event-ID", "nonsense")], bob, b"", 400).await;
    api.ask(GET, EVENTS, &[], "", b"", 401).await;
    let mut lost = Listener::open(&api.url, bob, "another-7").await;
    assert_eq!(lost.next().await, Some(json!({"ev": "reset"})));
    let mut other = Listener::open(&api.url, ann, "").await;
    heard.event(json!({"ev": "presence", "user": "ann", "online": true})).await;
    for (token, name, fields) in [
        (bob, "join", json!({"room": room})),
        (ann, "send", json!({"room": room, "text": "one"})),
        (ann, "edit", json!({"room": room, "seq": 2, "text": "two"})),
        (ann, "typing", json!({"room": room})),
        (ann, "set_profile", json!({"display": "Ann"})),
        (ann, "mark_read", json!({"room": room, "seq": 2})),
        (ann, "mute", json!({"room": room, "on": true})),
        (bob, "mark_read", json!({"room": room, "seq": 2})),
        (bob, "mute", json!({"room": room, "on": true})),
    ] {
        assert_eq!(api.play(name, Some(token), fields).await["ok"], true, "{name}");
    }
    heard.event(json!({"ev": "mute", "room": room, "muted": true})).await;
    other.event(json!({"ev": "member", "room": room, "user": "bob"})).await;
    api.play("logout", Some(bob), json!({})).await;
    while heard.next().await.is_some() {}
    [lost.events, heard.events, other.events].concat()
}

/// Of somebody who has something of everything.
async fn play_export(api: &mut Described, ann: &str) {
    let export = api.ask(GET, EXPORT, &[], ann, b"", 200).await;
    let lines: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = ["end", "header", "member", "message", "mute", "read", "room", "user"];
    assert_eq!(api.hold_all("Line", "type", &lines), BTreeSet::from(all));
    assert!(lines.iter().any(|line| line["versions"].is_array()), "no edited message");
    api.ask(GET, EXPORT, &[], "", b"", 401).await;
}
