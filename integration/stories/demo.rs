//! `demo`: a cluster on this machine, as child processes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::cluster::Client;
use crate::cluster::client::password_of;
use crate::cluster::folder::Folder;
use crate::cluster::http::get;
use crate::cluster::ports::free_row;
use crate::cluster::program::{self, Process, run};
use crate::cluster::wait::until;

const NODES: u16 = 3;

struct Demo {
    folder: Folder,
    http_port: u16,
    peer_port: u16,
    process: Option<Process>,
}

impl Demo {
    fn new() -> Self {
        let (http_port, peer_port) = (free_row(NODES), free_row(NODES));
        Self { folder: Folder::new(), http_port, peer_port, process: None }
    }

    fn arguments(&self, nodes: &str) -> Vec<String> {
        let (http, peer) = (self.http_port.to_string(), self.peer_port.to_string());
        ["demo", "--nodes", nodes, "--dir", "chat", "--http-port", &http, "--peer-port", &peer]
            .map(str::to_owned)
            .to_vec()
    }

    fn start(&mut self) {
        let mut command = program::command();
        command.args(self.arguments("3")).current_dir(self.folder.path());
        command.stdout(File::create(self.output_file()).unwrap());
        command.stderr(File::create(self.folder.path().join("demo.err")).unwrap());
        self.process = Some(Process(command.spawn().unwrap()));
    }

    async fn start_and_wait(&mut self) {
        self.start();
        self.wait_for_line("cluster ready").await;
    }

    async fn wait_for_line(&self, begin: &str) -> String {
        until(begin, async || {
            let output = fs::read_to_string(self.output_file()).unwrap();
            output.lines().find(|line| line.starts_with(begin)).map(str::to_owned)
        })
        .await
    }

    fn output_file(&self) -> PathBuf {
        self.folder.path().join("demo.out")
    }

    fn url(&self, place: u16) -> String {
        format!("http://127.0.0.1:{}", self.http_port + place)
    }

    async fn wait_until_all_gone(&self) {
        for place in 0..NODES {
            let url = format!("{}/health/live", self.url(place));
            until("the nodes to end", async || get(&url).await.is_err().then_some(())).await;
        }
    }

    /// The process of node `number`, found by its settings file among the demo's children.
    fn child(&self, number: u16) -> Pid {
        let parent = self.process.as_ref().unwrap().0.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let is_it = |pid: &&str| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8_lossy(&line).contains(&format!("node{number}.toml"))
        };
        Pid::from_raw(children.split_whitespace().find(is_it).unwrap().parse().unwrap())
    }

    /// Ann is known on another node, and what she said before is there.
    async fn has_what_was_said(&self, ann: &Client, room: u64) {
        let mut again = Client::open(&self.url(1)).await;
        again.hello_as(ann).await;
        let history = again.ok("history", json!({"room": room})).await;
        assert_eq!(history["messages"][0]["text"], "before");
    }

    async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::SIGTERM);
        let status = process.ended(Duration::from_secs(15)).await.expect("the demo ends");
        assert_eq!(status.code(), Some(0));
        self.wait_until_all_gone().await;
    }
}

#[actix::test]
async fn a_demo_carries_on_with_its_data() {
    let mut demo = Demo::new();
    demo.start_and_wait().await;
    let output = fs::read_to_string(demo.output_file()).unwrap();
    for place in 0..NODES {
        assert!(output.lines().any(|line| line.contains(&demo.url(place))), "{output}");
        let chat = demo.folder.path().join("chat");
        let number = place + 1;
        assert!(chat.join(format!("node{number}.toml")).is_file());
        assert!(chat.join(format!("node{number}.log")).is_file());
        assert!(chat.join(format!("node{number}/chat.db")).is_file());
    }
    let mut ann = Client::open(&demo.url(0)).await;
    ann.register("ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "before").await;
    let status = run(demo.folder.path(), &["status", "chat/node2.toml", "--json"], &[]).await;
    assert_eq!(status.code, Some(0), "{}", status.stderr);

    // In use, and with another number of nodes.
    let arguments = demo.arguments("3");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let twice = run(demo.folder.path(), &arguments, &[]).await;
    assert_eq!((twice.code, twice.stderr.lines().count()), (Some(1), 1), "{}", twice.stderr);
    demo.stop().await;
    let arguments = demo.arguments("5");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let other = run(demo.folder.path(), &arguments, &[]).await;
    assert_eq!((other.code, other.stderr.lines().count()), (Some(2), 1), "{}", other.stderr);

    demo.start_and_wait().await;
    demo.has_what_was_said(&ann, room).await;
    demo.stop().await;
}

#[actix::test]
async fn a_demo_reports_who_ended_and_takes_all_along() {
    let mut demo = Demo::new();
    demo.start_and_wait().await;
    kill(demo.child(3), Signal::SIGKILL).unwrap();
    let line = demo.wait_for_line("node3 ended").await;
    assert!(line.starts_with("node3 ended: signal 9; start it again with "), "{line}");
    assert!(line.contains("node3.toml"), "{line}");
    // Two of three go on.
    let mut ann = Client::open(&demo.url(0)).await;
    ann.until_done("register", json!({"name": "ann", "password": password_of("ann")})).await;

    // The children end with the demo, also when it cannot say so.
    demo.process = None;
    demo.wait_until_all_gone().await;
}

#[actix::test]
async fn a_demo_starts_again_as_soon_as_it_was_killed() {
    let mut demo = Demo::new();
    demo.start_and_wait().await;
    let mut ann = Client::open(&demo.url(0)).await;
    ann.register("ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "before").await;

    // Its nodes have only just heard of it.
    demo.process = None;
    demo.start_and_wait().await;
    demo.has_what_was_said(&ann, room).await;
    demo.stop().await;
}

#[actix::test]
async fn a_demo_whose_port_is_taken_starts_nothing() {
    let demo = Demo::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", demo.http_port + 1)).unwrap();
    let arguments = demo.arguments("3");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = run(demo.folder.path(), &arguments, &[]).await;
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{}", run.stderr);
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(run.stderr.contains(&port), "{}", run.stderr);
    assert!(get(&format!("{}/health/live", demo.url(0))).await.is_err());
}
