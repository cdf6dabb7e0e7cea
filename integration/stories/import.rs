//! `import`: of what `export` wrote, and of Mattermost's bulk export.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::export::{assert_done, assert_failed, lines, of_type, something_of_everything};
use crate::cluster::program::{self, Process};
use crate::cluster::wait::until;
use crate::cluster::{Client, Cluster, assert_like, number};

const MATTERMOST: &str = include_str!("../fixtures/mattermost.jsonl");

async fn export(cluster: &Cluster, place: usize, name: &str) -> PathBuf {
    let file = cluster.folder.path().join(name);
    assert_done(&cluster.command(place, &["export", file.to_str().unwrap()]).await, &[]);
    file
}

/// All lines but for what belongs to one chat.
fn comparable(file: &Path) -> Vec<Value> {
    let mut lines = lines(file);
    let header = lines[0].as_object_mut().unwrap();
    header.remove("epoch");
    header.remove("at");
    lines
}

/// How many changes there have been, once every node knows of all of them.
async fn changes(cluster: &mut Cluster) -> u64 {
    cluster.wait_until_equal().await;
    number(&cluster.nodes[0].status().await.unwrap(), "at")
}

fn write(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let file = cluster.folder.path().join(name);
    fs::write(&file, text).unwrap();
    file
}

#[actix::test]
async fn what_was_written_comes_into_another_chat_once() {
    let from = Cluster::start(3).await;
    let (_ann, _bob, room, file) = something_of_everything(&from).await;
    let first = export(&from, 0, "first.jsonl").await;

    let mut to = Cluster::start(3).await;
    let words = ["import", first.to_str().unwrap()];
    let run = to.command(1, &words).await;
    assert_done(&run, &["users: 3 new, 0 there", "rooms: 3 new", "messages: 6 new, 0 there", "files: 1 new"]);
    assert!(run.stdout.contains("no password") && !run.stdout.contains("skipped"), "{}", run.stdout);
    let second = export(&to, 2, "second.jsonl").await;
    assert_eq!(comparable(&second), comparable(&first));
    let bytes =
        |first: &Path| fs::read(PathBuf::from(format!("{}.files", first.display())).join(&file)).unwrap();
    assert_eq!(bytes(&second), bytes(&first));

    let at = changes(&mut to).await;
    let run = to.command(0, &words).await;
    assert_done(&run, &["users: 0 new, 3 there", "rooms: 0 new", "messages: 0 new, 6 there", "files: 0 new"]);
    assert_eq!(changes(&mut to).await, at, "a second run changes nothing");
    to.equal_tables().await;

    // Somebody new becomes the admin, and an account that came gets a link.
    let run = to.command(0, &["admin", "boss"]).await;
    let link = run.stdout.lines().last().unwrap().split_once("#create=").unwrap().1.to_owned();
    let mut boss = to.client(0).await;
    let account = json!({"name": "boss", "password": "boss's password", "invite": link});
    let reply = boss.ask("register", account).await;
    assert_eq!(reply["ok"], true, "{reply}");
    let mut closed = to.client(1).await;
    closed.refused("login", json!({"name": "ann", "password": ""}), "unauthorized").await;
    closed.refused("login", json!({"name": "ann", "password": "anything at all"}), "unauthorized").await;
    let reset = boss.ok("reset_password", json!({"user": "ann"})).await;
    let token = reset["link"].as_str().unwrap().split_once("#reset=").unwrap().1.to_owned();
    let mut ann = to.client(2).await;
    ann.ok("set_password", json!({"link": token, "password": "a new password"})).await;
    ann.login_with("ann", "a new password").await;
    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 4);
    // In the chat that it came from nothing is new, and rooms that no import made are left alone.
    let run = from.command(0, &["import", second.to_str().unwrap()]).await;
    assert_done(&run, &["users: 0 new, 3 there", "messages: 0 new, 0 there", "--into-existing adds to it"]);
    let run = from.command(0, &["import", second.to_str().unwrap(), "--into-existing"]).await;
    assert_done(&run, &["rooms: 0 new, 3 there", "messages: 0 new, 6 there"]);
}

#[actix::test]
async fn muted_rooms_bots_and_subscriptions_come_along_without_their_secrets() {
    let from = Cluster::start(1).await;
    let (mut ann, mut bob, room) = from.ann_and_bob([0, 0]).await;
    ann.create_room("elsewhere", "private").await;
    bob.ok("mute", json!({"room": room, "on": true})).await;
    ann.ok("create_bot", json!({"name": "robot", "rights": ["read", "write"]})).await;
    ann.ok("create_hook", json!({"room": room, "name": "hook"})).await;
    let fields = json!({"room": room, "url": "https://elsewhere.example/hook"});
    let made = ann.ok("create_subscription", fields).await;
    let secret = made["subscription"]["secret"].as_str().unwrap();
    let first = export(&from, 0, "first.jsonl").await;
    let written = lines(&first);
    assert_eq!(of_type(&written, "mute"), [&json!({"type": "mute", "room": room, "user": "bob"})]);
    let bots = of_type(&written, "bot");
    assert_like(bots[0], &json!({"name": "hook", "owner": "ann", "hook": room}));
    assert_like(bots[1], &json!({"name": "robot", "owner": "ann", "rights": ["read", "write"]}));
    let url = "https://elsewhere.example/hook";
    assert_like(of_type(&written, "subscription")[0], &json!({"room": room, "url": url, "by": "ann"}));
    assert!(!fs::read_to_string(&first).unwrap().contains(secret));
    let own = from.folder.path().join("own.jsonl");
    assert_done(&from.command(0, &["export", own.to_str().unwrap(), "--user", "bob"]).await, &[]);
    let own = lines(&own);
    assert_eq!(of_type(&own, "mute").len(), 1);
    assert!(of_type(&own, "bot").is_empty() && of_type(&own, "subscription").is_empty());

    let mut to = Cluster::start(3).await;
    // The numbers of rooms are others there.
    let mut boss = to.register(0, "boss").await;
    boss.create_room("first", "public").await;
    let words = ["import", first.to_str().unwrap()];
    let said = ["muted rooms: 1 new, 0 there", "bots: 2 new", "subscriptions: 1 new", "subscribe anew"];
    assert_done(&to.command(1, &words).await, &said);
    let at = changes(&mut to).await;
    let said = ["muted rooms: 0 new, 1 there", "bots: 0 new, 2 there", "subscriptions: 0 new, 1 there"];
    assert_done(&to.command(2, &words).await, &said);
    assert_eq!(changes(&mut to).await, at, "a second run changes nothing");
    to.equal_tables().await;
    let listed = boss.ok("list_bots", json!({})).await;
    assert_like(&listed["bots"][0], &json!({"name": "hook", "owner": "ann", "rights": ["hook:2"]}));
    assert_like(&listed["bots"][1], &json!({"name": "robot", "owner": "ann", "rights": ["read", "write"]}));
    let listed = boss.ok("list_subscriptions", json!({"room": 2})).await;
    let off = json!({"url": url, "by": "ann", "state": "off",
        "error": "brought without its secret: subscribe anew"});
    assert_like(&listed["subscriptions"][0], &off);
    // With a token of its own it does there what it did here.
    let renewed = boss.ok("renew_bot_token", json!({"bot": "robot"})).await;
    let mut robot = to.client(1).await;
    robot.hello(renewed["token"].as_str().unwrap(), json!({})).await;
    robot.ok("list_rooms", json!({})).await;
}

#[actix::test]
async fn a_run_that_was_killed_goes_on() {
    const MESSAGES: u64 = 4_000;
    let mut cluster = Cluster::start(3).await;
    let mut text = concat!(
        r#"{"type":"header","format":"replicated-chat","version":1,"epoch":"e","at":1}"#,
        "\n",
        r#"{"type":"user","name":"ann","display":"Ann","role":"member","deleted":false}"#,
        "\n",
        r#"{"type":"room","room":7,"name":"general","kind":"public"}"#,
        "\n",
        r#"{"type":"member","room":7,"user":"ann"}"#,
        "\n",
    )
    .to_owned();
    for seq in 1..=MESSAGES {
        let reply = if seq > 1 { json!(seq - 1) } else { Value::Null };
        let line = json!({"type": "message", "room": 7, "seq": seq, "id": format!("id {seq}"), "from": "ann",
            "text": format!("message {seq}"), "time": 1_600_000_000_000_u64 + seq, "reply_to": reply});
        text += &format!("{line}\n");
    }
    text += r#"{"type":"end","users":1,"rooms":1,"messages":4000}"#;
    let file = write(&cluster, "many.jsonl", &text);
    let settings = cluster.nodes[0].settings_file();
    let mut command = program::command();
    command.arg("import").arg(&settings).arg(&file).current_dir(cluster.folder.path());
    let mut importing = Process(command.spawn().unwrap());
    until("some of it is there", async || {
        let at = number(&cluster.nodes[0].status().await?, "at");
        (at > 300).then_some(())
    })
    .await;
    importing.0.kill().unwrap();
    importing.0.wait().unwrap();
    let leader = cluster.leader().await;
    if leader != 0 {
        cluster.nodes[leader].kill();
    }

    let run = cluster.command(0, &["import", file.to_str().unwrap()]).await;
    assert_done(&run, &["users: 0 new, 1 there already", "rooms: 0 new, 1 there already"]);
    if leader != 0 {
        cluster.nodes[leader].start();
        cluster.wait_until_ready().await;
    }
    let written = lines(&export(&cluster, 1, "after.jsonl").await);
    let messages = of_type(&written, "message");
    assert_eq!(messages.len() as u64, MESSAGES);
    for (seq, message) in (1..).zip(messages) {
        let reply = if seq > 1 { json!(seq - 1) } else { Value::Null };
        let text = format!("message {seq}");
        assert_like(
            message,
            &json!({"seq": seq, "text": text, "reply_to": reply, "time": 1_600_000_000_000_u64 + seq}),
        );
    }
    cluster.equal_tables().await;
}

#[actix::test]
async fn mattermost_comes_with_its_order_replies_and_files() {
    let mut cluster = Cluster::start(3).await;
    let file = write(&cluster, "bulk.jsonl", MATTERMOST);
    let folder = cluster.folder.path().join("data/20200913");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plan.txt"), "dig here").unwrap();
    let words = ["import", file.to_str().unwrap()];
    let run = cluster.command(0, &words).await;
    let said = [
        "users: 3 new",
        "rooms: 3 new",
        "members: 3 new",
        "messages: 5 new",
        "files: 1 new",
        "skipped 1: messages of the system",
        "lines of type role",
    ];
    assert_done(&run, &said);
    let at = changes(&mut cluster).await;
    assert_done(&cluster.command(2, &words).await, &["messages: 0 new, 5 there already", "files: 0 new"]);
    assert_eq!(changes(&mut cluster).await, at);

    let written = lines(&export(&cluster, 1, "ours.jsonl").await);
    let users = of_type(&written, "user");
    assert_like(users[0], &json!({"name": "basil", "display": "Basil", "role": "member"}));
    assert_like(users[1], &json!({"name": "fern", "disabled": true}));
    assert_like(users[2], &json!({"name": "rosa", "display": "Rosa Thorn", "role": "admin"}));
    let rooms = of_type(&written, "room");
    assert_like(
        rooms[0],
        &json!({"name": "Town Square", "kind": "public", "topic": "Everything and nothing"}),
    );
    assert_like(rooms[1], &json!({"name": "Tools", "kind": "private", "topic": "Spades"}));
    assert_like(rooms[2], &json!({"kind": "direct", "users": ["basil", "rosa"]}));
    let messages = of_type(&written, "message");
    let first = json!({"room": 1, "seq": 1, "from": "rosa", "time": 1_600_000_001_000_u64, "edited": true,
        "reactions": {"👍": ["basil"]}});
    assert_like(messages[0], &first);
    assert_like(messages[1], &json!({"room": 1, "seq": 2, "text": "Second, though it stands first"}));
    assert_like(messages[2], &json!({"room": 1, "seq": 3, "text": "I do", "reply_to": 1}));
    assert_like(messages[3], &json!({"room": 2, "text": "", "from": "rosa"}));
    assert_like(&messages[3]["files"][0], &json!({"name": "plan.txt", "bytes": 8, "type": "text/plain"}));
    assert_like(messages[4], &json!({"room": 3, "text": "The roses are yours"}));
    assert!(of_type(&written, "read").len() >= 5, "what was said before counts as read");
}

#[actix::test]
async fn a_bad_line_is_named_and_nothing_is_brought() {
    let mut cluster = Cluster::start(1).await;
    let header = r#"{"type":"header","format":"replicated-chat","version":1,"epoch":"e","at":1}"#;
    let user = r#"{"type":"user","name":"ann","display":"Ann","role":"member","deleted":false}"#;
    let end = r#"{"type":"end","users":1,"rooms":0,"messages":0}"#;
    let room = r#"{"type":"room","room":1,"name":"general","kind":"public"}"#;
    let message = |more: &str| {
        format!(r#"{{"type":"message","room":1,"seq":1,"id":"1","from":"ann","text":"hi","time":1{more}}}"#)
    };
    let before = changes(&mut cluster).await;
    for (name, text, words) in [
        ("a", format!("{header}\n{user}\n{{\"type\":\"user\"\n{end}\n"), "line 3"),
        ("b", format!("{header}\n{user}\n"), "is not whole"),
        (
            "c",
            format!("{header}\n{user}\n{{\"type\":\"member\",\"room\":3,\"user\":\"ann\"}}\n{end}\n"),
            "line 3: no room 3",
        ),
        ("d", format!("{header}\n{}\n{end}\n", user.replace("ann", "A n")), "line 2: name must be"),
        ("e", "hello\n".to_owned(), "line 1"),
        ("f", "{\"type\":\"version\",\"version\":9}\n".to_owned(), "line 1: version 9"),
        (
            "g",
            "{\"type\":\"version\",\"version\":1}\n{\"type\":\"post\"}\n".to_owned(),
            "line 2: there is no post",
        ),
        ("h", String::new(), "is empty"),
        ("i", header.replace("\"version\":1", "\"version\":2"), "line 1: version 2"),
        (
            "j",
            format!("{header}\n{user}\n{room}\n{}\n{end}\n", message(",\"version\":18446744073709551615")),
            "line 4: versions must be",
        ),
    ] {
        let file = write(&cluster, name, &text);
        let run = cluster.command(0, &["import", file.to_str().unwrap()]).await;
        assert_failed(&run, 1, &[words]);
    }
    assert_eq!(changes(&mut cluster).await, before);
    let _nobody: Client = cluster.register(0, "ann").await;
}
