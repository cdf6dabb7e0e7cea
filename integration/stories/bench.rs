//! `bench`: what it prints, and that it leaves nothing behind.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cluster::folder::Folder;
use crate::cluster::program::{self, Process, run};
use crate::cluster::wait::until;
use crate::cluster::{Client, Cluster, text};

const LONG: Duration = Duration::from_secs(30);

fn start(folder: &Path, arguments: &[&str]) -> Process {
    let mut command = program::command();
    let file = |name: &str| File::create(folder.join(name)).unwrap();
    command.arg("bench").args(arguments).current_dir(folder);
    command.stdout(file("bench.out")).stderr(file("bench.err"));
    Process(command.spawn().unwrap())
}

/// The folders of benches in this one.
fn left_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let folders = names.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

async fn users(client: &mut Client) -> Vec<Value> {
    let told = client.ok("list_users", json!({"match": "bench-*", "limit": 200})).await;
    told["users"].as_array().unwrap().clone()
}

#[actix::test]
async fn a_bench_prints_one_object() {
    let folder = Folder::new();
    let arguments = ["--nodes", "1", "--clients", "2", "--rooms", "4", "--seconds", "5", "--warmup", "0"];
    // Its nodes take nothing from this process's environment.
    let variables = [("CHAT__LIMITS__MESSAGE_BYTES", "1")];
    let run = run(folder.path(), &[&["bench", "--json"], &arguments[..]].concat(), &variables).await;
    assert_eq!((run.code, run.stdout.lines().count()), (Some(0), 1), "{}", run.stderr);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&told["nodes"], &told["clients"], &told["rooms"]), (&json!(1), &json!(2), &json!(2)));
    assert!(told["acked_per_second"].as_f64().unwrap() > 0.0, "{told}");
    assert!(told["ack_ms"]["p99"].as_f64() >= told["ack_ms"]["p50"].as_f64(), "{told}");
    // Nobody else is in those rooms.
    assert_eq!((&told["delivery_ms"], &told["errors"]), (&Value::Null, &json!(0)), "{told}");
    assert_eq!(told["rss_mb"].as_array().unwrap().len(), 1);
    assert!(told["fdatasync_per_second"].is_number(), "{told}");
    assert!(left_in(folder.path()).is_empty());
}

#[actix::test]
async fn a_bench_says_how_it_goes_and_its_listeners_receive() {
    let folder = Folder::new();
    let load = ["--nodes", "1", "--clients", "2", "--rooms", "2", "--listeners", "2", "--seconds", "5"];
    let run = run(folder.path(), &[&["bench", "--json", "--warmup", "1"], &load[..]].concat(), &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    // The one client of a room is heard by the listener there alone.
    assert_eq!((&told["listeners"], &told["errors"]), (&json!(2), &json!(0)), "{told}");
    assert!(told["delivered_per_second"].as_f64().unwrap() > 0.0, "{told}");
    assert!(told["delivery_ms"]["p50"].as_f64().unwrap() > 0.0, "{told}");
    let is_progress =
        |line: &str| line.starts_with("1 s of 6, warming up: ") && line.contains(" acknowledged, ");
    assert_eq!(run.stderr.lines().filter(|line| is_progress(line)).count(), 1, "{}", run.stderr);
}

#[actix::test]
async fn a_bench_that_is_stopped_removes_its_folder() {
    let folder = Folder::new();
    let mut bench = start(folder.path(), &["--nodes", "3", "--json"]);
    until("the nodes' settings", async || {
        let made = left_in(folder.path());
        made.first().filter(|name| folder.path().join(name).join("node1.toml").exists()).map(|_| ())
    })
    .await;
    bench.signal(Signal::SIGTERM);
    assert_eq!(bench.ended(LONG).await.and_then(|status| status.code()), Some(1));
    assert!(left_in(folder.path()).is_empty());
    assert_eq!(fs::read_to_string(folder.path().join("bench.out")).unwrap(), "");
}

/// Also where what they sent has used up what they may do in a while.
#[actix::test]
async fn a_bench_of_a_running_cluster_leaves_no_accounts() {
    let cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 2").await;
    let mut ann = cluster.register(0, "ann").await;
    let url = cluster.nodes[0].url();
    let folder = Folder::new();
    let load = ["--clients", "2", "--rooms", "1", "--seconds", "5", "--warmup", "0", "--json"];
    let run = run(folder.path(), &[&["bench", "--server", &url], &load[..]].concat(), &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let users = users(&mut ann).await;
    assert!(
        users.len() >= 2 && users.iter().all(|user| user["deleted"] == true),
        "{users:?}\n{}",
        run.stderr
    );
}

/// Here of one that an admin has disabled meanwhile.
#[actix::test]
async fn accounts_that_stay_are_told() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let url = cluster.nodes[0].url();
    let folder = Folder::new();
    let load = ["--clients", "2", "--rooms", "1", "--seconds", "5", "--warmup", "0", "--json"];
    let mut bench = start(folder.path(), &[&["--server", &url], &load[..]].concat());
    let scout = async || {
        let mut names = users(&mut ann).await.into_iter().map(|user| text(&user, "name"));
        names.find(|name| name.ends_with("-scout"))
    };
    let scout = until("the account that asks for the nodes", scout).await;
    ann.ok("set_disabled", json!({"user": scout, "disabled": true})).await;
    let status = bench.ended(LONG).await;
    let said = fs::read_to_string(folder.path().join("bench.err")).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("1 of the accounts bench-"), "{said}");
    let told = fs::read_to_string(folder.path().join("bench.out")).unwrap();
    assert!(serde_json::from_str::<Value>(&told).is_ok(), "{told}");
}

/// Also those that were being registered when the signal came.
#[actix::test]
async fn a_bench_that_is_stopped_deletes_its_accounts() {
    let cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let url = cluster.nodes[0].url();
    let folder = Folder::new();
    let mut bench = start(folder.path(), &["--server", &url, "--clients", "40", "--seconds", "60"]);
    until("accounts", async || (users(&mut ann).await.len() > 8).then_some(())).await;
    bench.signal(Signal::SIGTERM);
    let status = bench.ended(LONG).await;
    let said = fs::read_to_string(folder.path().join("bench.err")).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    let users = users(&mut ann).await;
    assert!(users.iter().all(|user| user["deleted"] == true), "{users:?}\n{said}");
}

#[actix::test]
async fn a_bench_of_nobody_says_so() {
    let folder = Folder::new();
    let url = format!("http://127.0.0.1:{}", crate::cluster::ports::free());
    let run = run(folder.path(), &["bench", "--server", &url], &[]).await;
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{}", run.stderr);
    assert!(run.stderr.contains(&url) && run.stderr.contains("--server"), "{}", run.stderr);
}
