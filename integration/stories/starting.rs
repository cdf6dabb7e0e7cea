//! `serve`: what it refuses to start with, and how it says so.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::program::{Run, run};

#[track_caller]
fn assert_fails(run: &Run, code: i32, words: &[&str]) {
    let said = format!("code {:?}\n{}{}", run.code, run.stdout, run.stderr);
    assert_eq!(run.code, Some(code), "{said}");
    assert_eq!(run.stdout, "", "{said}");
    let last = run.stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "no {word} in: {said}");
    }
}

#[actix::test]
async fn wrong_settings() {
    let cluster = Cluster::prepare(1, "");
    let node = &cluster.nodes[0];
    let good = fs::read_to_string(node.settings_file()).unwrap();
    let folder = cluster.folder.path();
    let with = |more: &str| format!("{good}\n{more}\n");
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        good.replacen(from, to, 1)
    };
    for (text, key) in [
        (with("[raft]\ntick = 5"), "raft.tick"),
        (with("[rafts]\ntick_ms = 5"), "rafts"),
        (with("[raft]\ntick_ms = 0"), "raft.tick_ms"),
        (with("[raft]\ntick_ms = \"50\""), "raft.tick_ms"),
        (with("[raft]\ntick_ms = 99999999999999999999"), "raft.tick_ms"),
        (with("[raft]\nelection_ticks = 2"), "raft.election_ticks"),
        (with("[raft]\nheartbeat_ticks = 0"), "raft.heartbeat_ticks"),
        (with("[limits]\nmessage_bytes = 0"), "limits.message_bytes"),
        (with("[limits]\nframe_bytes = 100"), "limits.frame_bytes"),
        (with("[limits]\nmessages_per_second = -1"), "limits.messages_per_second"),
        (with("[log]\nlevel = \"loud\""), "log.level"),
        (with("[log]\nformat = \"xml\""), "log.format"),
        (with("[accounts]\nregistration = \"maybe\""), "accounts.registration"),
        (replaced("name = \"node1\"", "name = \"No 1\""), "node.name"),
        (replaced("name = \"node1\"", "name = \"node9\""), "cluster.members"),
        (replaced("name = \"node1\"", ""), "node.name"),
        (replaced("data_dir", "data_directory"), "node.data_directory"),
        (replaced("bind = \"127.0.0.1", "bind = \"127.0.0.1.5"), "http.bind"),
        (replaced("members = [", "join = [\"http://127.0.0.1:1\"]\nmembers = ["), "cluster.join"),
        (replaced("members = [", "members = [] #"), "cluster.members"),
        (replaced("secret = ", "secret_file = \"/no/such/file\" #"), "peer.secret_file"),
        (replaced("[http]\nbind = \"127.0.0.1", "[http]\nbind = \"0.0.0.0"), "http.public_url"),
        (replaced("[node]", "[node"), "line 1"),
    ] {
        fs::write(folder.join("wrong.toml"), text).unwrap();
        let run = run(folder, &["serve", "wrong.toml"], &[]).await;
        assert_fails(&run, 2, &["wrong.toml", key]);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(!node.data_dir().exists(), "{key}: something was written");
    }
    for (name, value) in
        [("CHAT__RAFT__TICK_MS", "fast"), ("CHAT__RAFT__TICKS", "5"), ("CHAT__CLUSTER__MEMBERS", "[]")]
    {
        let run = run(folder, &["serve", "node1.toml"], &[(name, value)]).await;
        assert_fails(&run, 2, &[name]);
    }
    let missing = run(folder, &["serve", "missing.toml"], &[]).await;
    assert_fails(&missing, 2, &["missing.toml"]);

    fs::write(folder.join("default.toml"), "[raft]\ntick = 5\n").unwrap();
    assert_fails(&run(folder, &["serve", "node1.toml"], &[]).await, 2, &["default.toml", "raft.tick"]);
}

/// The development secret is for one's own machine only.
#[actix::test]
async fn the_development_secret_elsewhere() {
    let cluster = Cluster::prepare(1, "");
    let node = &cluster.nodes[0];
    let folder = cluster.folder.path();
    let text = fs::read_to_string(node.settings_file()).unwrap();
    let bind = format!("[peer]\nbind = \"127.0.0.1:{}\"", node.peer_port);
    let wide = format!("[peer]\nbind = \"0.0.0.0:{}\"\nurl = \"{}\"", node.peer_port, node.peer_url());
    let secret = text.lines().find(|line| line.starts_with("secret")).unwrap();
    let text = text.replace(&bind, &wide).replace(secret, "secret = \"development-only\"");
    fs::write(folder.join("wide.toml"), text).unwrap();
    assert_fails(&run(folder, &["serve", "wide.toml"], &[]).await, 2, &["wide.toml", "peer.secret"]);
}

#[actix::test]
async fn what_the_machine_refuses() {
    let mut cluster = Cluster::start(1).await;
    let folder = cluster.folder.path().to_owned();
    let text = fs::read_to_string(cluster.nodes[0].settings_file()).unwrap();
    let data_dir = cluster.nodes[0].data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let (http, peer) = (cluster.nodes[0].http_port, cluster.nodes[0].peer_port);
    let (free_http, free_peer) = (crate::cluster::ports::free(), crate::cluster::ports::free());
    let start = async |name: &str, text: String| {
        fs::write(folder.join("other.toml"), text).unwrap();
        assert!(Path::new(&folder).exists(), "{name}");
        run(&folder, &["serve", "other.toml"], &[]).await
    };
    let port = |text: &str, from: u16, to: u16| text.replace(&format!(":{from}\""), &format!(":{to}\""));
    let elsewhere = text.replace(data_dir, folder.join("other").to_str().unwrap());

    let taken = start("taken http port", port(&elsewhere, peer, free_peer)).await;
    assert_fails(&taken, 1, &["other.toml: http.bind: ", &http.to_string()]);
    let taken = start("taken peer port", port(&elsewhere, http, free_http)).await;
    assert_fails(&taken, 1, &["other.toml: peer.bind: ", &peer.to_string()]);
    let free = port(&port(&text, http, free_http), peer, free_peer);
    let locked = start("locked data_dir", free.clone()).await;
    assert_fails(&locked, 1, &["other.toml: node.data_dir: ", "node1", "in use by another process"]);
    assert!(cluster.nodes[0].is_ready().await);

    // A file where a folder should be: not even root can write there.
    fs::write(folder.join("file"), "").unwrap();
    let under_a_file = free.replace(data_dir, folder.join("file/data").to_str().unwrap());
    let unwritable = start("unwritable", under_a_file).await;
    assert_fails(&unwritable, 1, &["other.toml: node.data_dir: ", "file/data"]);
    // Who said it may be a variable, or the default beside the file.
    fs::write(folder.join("other.toml"), &free).unwrap();
    let variable = ("CHAT__NODE__DATA_DIR", folder.join("file/data"));
    let variables = [(variable.0, variable.1.to_str().unwrap())];
    let unwritable = run(&folder, &["serve", "other.toml"], &variables).await;
    assert_fails(&unwritable, 1, &["CHAT__NODE__DATA_DIR: node.data_dir: ", "file/data"]);

    cluster.nodes[0].terminate().await;
    let another = text.replace("\"node1\"", "\"node2\"");
    let another = start("another node's data_dir", another).await;
    assert_fails(&another, 1, &["other.toml: node.data_dir: ", "belongs to node1, not to node2"]);
    fs::create_dir_all(folder.join("rubbish")).unwrap();
    fs::write(folder.join("rubbish/chat.db"), "this is no database, and it is long enough".repeat(99))
        .unwrap();
    let rubbish = text.replace(data_dir, folder.join("rubbish").to_str().unwrap());
    assert_fails(&start("not a chat", rubbish).await, 1, &["other.toml: node.data_dir: ", "chat.db"]);
}

#[actix::test]
async fn help_version_and_wrong_usage() {
    let cluster = Cluster::prepare(1, "");
    let folder = cluster.folder.path();
    for command in [&[][..], &["serve"], &["demo"], &["status"], &["bench"]] {
        for flag in ["--help", "--version"] {
            let run = run(folder, &[command, &[flag]].concat(), &[]).await;
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{command:?} {flag}");
            assert!(!run.stdout.is_empty());
        }
    }
    for wrong in [
        &[][..],
        &["nonsense"],
        &["serve"],
        &["serve", "a.toml", "b.toml"],
        &["serve", "--nonsense"],
        &["demo", "--nodes", "0"],
        &["demo", "--nodes", "many"],
        &["status"],
        &["members"],
        &["members", "node1.toml"],
    ] {
        let run = run(folder, wrong, &[]).await;
        assert_eq!(run.code, Some(2), "{wrong:?}: {}", run.stderr);
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{wrong:?}: {}", run.stderr);
    }
}

/// `default.toml` beside it, then the file, then the environment.
#[actix::test]
async fn settings_come_in_layers() {
    let mut cluster = Cluster::prepare(1, "[limits]\nmessage_bytes = 200");
    fs::write(
        cluster.folder.path().join("default.toml"),
        "[limits]\nmessage_bytes = 100\nframe_bytes = 5000\n",
    )
    .unwrap();
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let mut ann = cluster.register(0, "ann").await;
    let limits = json!({"message_bytes": 200, "frame_bytes": 5000});
    crate::cluster::assert_like(&ann.welcome["limits"], &limits);
    let room = ann.create_room("general", "public").await;
    ann.refused("send", json!({"room": room, "text": "x".repeat(201)}), "too_large").await;
}

#[actix::test]
async fn the_log_in_json_is_an_object_a_line() {
    let mut cluster = Cluster::start_with(1, "[log]\nformat = \"json\"").await;
    assert_eq!(cluster.nodes[0].terminate().await.code, Some(0));
    let log = cluster.nodes[0].log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
    let leads = lines.iter().find(|line| line["message"] == "a leader is known").unwrap();
    assert_eq!((&leads["leader"], &leads["level"]), (&json!("this node"), &json!("INFO")), "{leads}");
}
