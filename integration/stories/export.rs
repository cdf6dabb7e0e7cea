//! `export`, for operators and for oneself.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::cluster::client::password_of;
use crate::cluster::files::{ask, assert_refused, bytes_of, upload};
use crate::cluster::folder::Folder;
use crate::cluster::http::get;
use crate::cluster::program::{self, Run};
use crate::cluster::{Client, Cluster, assert_like, number, text};

pub fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn of_type<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[track_caller]
pub fn assert_done(run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stdout.contains(word), "no {word} in: {}{}", run.stdout, run.stderr);
    }
}

#[track_caller]
pub fn assert_failed(run: &Run, code: i32, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{}", run.stderr);
    let last = run.stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{:?} has no {word:?}", run.stderr);
    }
}

/// A chat of ann, bob and cleo with something of everything. Gives ann, bob, the room that both are in and the
/// file of its message.
pub async fn something_of_everything(cluster: &Cluster) -> (Client, Client, u64, String) {
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let mut cleo = cluster.register(2, "cleo").await;
    ann.send(room, "hello").await;
    ann.ok("edit", json!({"room": room, "seq": 1, "text": "hello all"})).await;
    bob.ok("send", json!({"room": room, "text": "hi @ann", "reply_to": 1})).await;
    bob.ok("react", json!({"room": room, "seq": 1, "emoji": "👍", "on": true})).await;
    bob.send(room, "a mistake").await;
    bob.ok("delete", json!({"room": room, "seqs": [3]})).await;
    let told = upload(&cluster.urls()[0], &ann.token, "plan.txt", &bytes_of(3, 70_000)).await;
    let file = text(&told, "file");
    let files = json!([{"file": file, "name": "plan.txt"}]);
    ann.ok("send", json!({"room": room, "text": "", "files": files})).await;
    bob.ok("mark_read", json!({"room": room, "seq": 2})).await;
    let secret = bob.create_room("secret plans", "private").await;
    bob.send(secret, "ann must not know").await;
    bob.ok("invite", json!({"room": secret, "user": "cleo"})).await;
    let direct = number(&bob.ok("open_direct", json!({"users": ["cleo"]})).await["room"], "room");
    cleo.send(direct, "between us").await;
    (ann, bob, room, file)
}

#[actix::test]
async fn operators_write_everything_or_what_one_may_see() {
    let cluster = Cluster::start(3).await;
    let (_ann, _bob, room, file) = something_of_everything(&cluster).await;
    let all = cluster.folder.path().join("all.jsonl");
    let run = cluster.command(1, &["export", all.to_str().unwrap()]).await;
    assert_done(&run, &["everything as of at ", "3 users, 3 rooms, 6 messages, 1 files"]);
    assert_eq!(fs::metadata(&all).unwrap().permissions().mode() & 0o777, 0o600);
    let written = lines(&all);
    let epoch = cluster.nodes[0].status().await.unwrap()["epoch"].clone();
    let header =
        json!({"type": "header", "format": "replicated-chat", "version": 1, "epoch": epoch, "user": null});
    assert_like(&written[0], &header);
    assert_like(written.last().unwrap(), &json!({"type": "end", "users": 3, "rooms": 3, "messages": 6}));
    assert!(!fs::read_to_string(&all).unwrap().contains("argon2"), "no hash of a password");
    let messages = of_type(&written, "message");
    let said = json!([{"version": 1, "text": "hello"}, {"version": 2, "text": "hello all"}]);
    let first = json!({"room": room, "seq": 1, "text": "hello all", "edited": true, "version": 2,
        "reactions": {"👍": ["bob"]}});
    assert_like(messages[0], &first);
    for (version, expected) in
        messages[0]["versions"].as_array().unwrap().iter().zip(said.as_array().unwrap())
    {
        assert_like(version, expected);
    }
    assert_like(messages[1], &json!({"seq": 2, "reply_to": 1, "from": "bob"}));
    assert_like(messages[2], &json!({"seq": 3, "deleted": true, "text": ""}));
    let bytes = fs::read(cluster.folder.path().join("all.jsonl.files").join(&file)).unwrap();
    assert_eq!(bytes, bytes_of(3, 70_000));

    // A name that is taken stays as it is.
    let run = cluster.command(1, &["export", all.to_str().unwrap()]).await;
    assert_failed(&run, 1, &["is there already"]);
    assert_eq!(lines(&all), written);
    let other = cluster.folder.path().join("other.jsonl");
    let run = cluster.command(1, &["export", other.to_str().unwrap(), "--user", "nobody"]).await;
    assert_failed(&run, 1, &["no such user"]);
    let run = cluster.command(1, &["export", other.to_str().unwrap(), "--user", "No One"]).await;
    assert_failed(&run, 2, &["--user"]);

    // Of another's rooms nothing, by whatever way.
    let run = cluster.command(2, &["export", other.to_str().unwrap(), "--user", "ann"]).await;
    assert_done(&run, &["what ann may see", "3 users, 1 rooms, 4 messages, 1 files"]);
    assert_nothing_of_others(&lines(&other), room, "ann");
    let left: BTreeSet<String> = fs::read_dir(cluster.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("unfinished"))
        .collect();
    assert_eq!(left, BTreeSet::new(), "nothing half made stays behind");
}

#[track_caller]
fn assert_nothing_of_others(written: &[Value], room: u64, user: &str) {
    for kind in ["room", "member", "message", "read"] {
        for line in of_type(written, kind) {
            assert_eq!(line["room"], room, "{line}");
        }
    }
    for line in of_type(written, "read") {
        assert_eq!(line["user"], user, "{line}");
    }
    let all = serde_json::to_string(written).unwrap();
    for hidden in ["must not know", "between us", "secret plans", "creator"] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[actix::test]
async fn people_take_out_what_they_may_see_themselves() {
    let cluster = Cluster::start(3).await;
    let (mut ann, _bob, room, _) = something_of_everything(&cluster).await;
    let url = format!("{}/api/v1/export", cluster.urls()[2]);
    let answer = ask(Method::GET, &url, &ann.token, &[], vec![]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.text();
    let written: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written[0]["user"], "ann");
    assert_nothing_of_others(&written, room, "ann");
    assert_like(written.last().unwrap(), &json!({"type": "end", "users": 3, "rooms": 1, "messages": 4}));

    // Asking for more gives no more.
    let answer = ask(Method::GET, &format!("{url}?user=bob"), &ann.token, &[], vec![]).await;
    assert_eq!(answer.text().lines().count(), said.lines().count());
    assert_refused(&get(&url).await.unwrap(), 401, "unauthorized");
    assert_refused(&ask(Method::POST, &url, &ann.token, &[], vec![]).await, 405, "bad_request");
    let peer = format!("{}/peer/export", cluster.nodes[0].peer_url());
    assert_eq!(ask(Method::GET, &peer, &ann.token, &[], vec![]).await.status, 401);
    ann.ok("leave", json!({"room": room})).await;
    let answer =
        ask(Method::GET, &format!("{}/api/v1/export", cluster.urls()[0]), &ann.token, &[], vec![]).await;
    let left: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(of_type(&left, "message").is_empty() && of_type(&left, "room").is_empty());
}

#[actix::test]
async fn people_take_out_their_files_too_in_the_terminal() {
    let mut cluster = Cluster::start(3).await;
    let (_ann, _bob, room, file) = something_of_everything(&cluster).await;
    let (state, urls) = (Folder::new(), cluster.urls());
    let mine = state.path().join("mine.jsonl");
    let words = ["chat", "--name", "ann", &urls[0], &urls[1], "--export", mine.to_str().unwrap()];
    let (home, password) = (state.path().to_str().unwrap(), password_of("ann"));
    let variables = [("XDG_STATE_HOME", home), ("CHAT_PASSWORD", password.as_str())];
    cluster.nodes[0].kill();
    let run = program::run(state.path(), &words, &variables).await;
    assert_done(&run, &["what ann may see", "3 users, 1 rooms, 4 messages, 1 files"]);
    let written = lines(&mine);
    assert_nothing_of_others(&written, room, "ann");
    let bytes = fs::read(state.path().join("mine.jsonl.files").join(&file)).unwrap();
    assert_eq!(bytes, bytes_of(3, 70_000));

    // What the node keeps of it is for its owner alone.
    let mut folders = vec![cluster.nodes[1].data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
            folders.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
        }
    }

    // The same as operators are given of her; and a name that is taken stays as it is.
    let theirs = cluster.folder.path().join("ann.jsonl");
    let run = cluster.command(1, &["export", theirs.to_str().unwrap(), "--user", "ann"]).await;
    assert_done(&run, &["what ann may see"]);
    assert_eq!(lines(&theirs)[1..], written[1..]);
    assert_failed(&program::run(state.path(), &words, &variables).await, 1, &["is there already"]);
}
