//! `chat` for scripts: one message sent, events followed, and what waits in the outbox. `full_screen`: for people.

mod full_screen;

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::cluster::client::password_of;
use crate::cluster::folder::Folder;
use crate::cluster::program::{self, Process, Run};
use crate::cluster::tls::{self, TlsProxy};
use crate::cluster::wait::{PATIENCE, until};
use crate::cluster::{Client, Cluster};

/// Somebody at a terminal: a state directory of their own.
struct Person {
    name: &'static str,
    state: Folder,
}

impl Person {
    fn new(name: &'static str) -> Self {
        Self { name, state: Folder::new() }
    }

    fn variables(&self) -> [(&str, String); 2] {
        let state = self.state.path().to_str().unwrap().to_owned();
        [("XDG_STATE_HOME", state), ("CHAT_PASSWORD", password_of(self.name))]
    }

    /// Runs `chat` by way of these nodes to its end.
    async fn chat(&self, urls: &[String], words: &[&str]) -> Run {
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let urls = urls.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["chat", "--name", self.name].into_iter().chain(urls).chain(words.iter().copied()).collect();
        program::run(self.state.path(), &arguments, &variables).await
    }

    /// Starts `chat` and leaves it running; its output goes to a file.
    fn start(&self, urls: &[String], words: &[&str]) -> Running {
        let output = self.state.path().join("output");
        let mut command = program::command();
        command.args(["chat", "--name", self.name]).args(urls).args(words).envs(self.variables());
        command.stdout(File::create(&output).unwrap()).stderr(Stdio::inherit());
        Running { process: Process(command.spawn().unwrap()), output: output.to_str().unwrap().to_owned() }
    }
}

impl Person {
    /// Until so much waits on this person's disk.
    async fn wait_for_outbox(&self, count: i64) {
        let file = self.state.path().join("replicated-chat/terminal.db");
        until("the outbox", async || {
            let file = rusqlite::Connection::open(&file).unwrap();
            let waiting = file.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0));
            (waiting == Ok(count)).then_some(())
        })
        .await;
    }
}

/// A client that was left running.
struct Running {
    process: Process,
    output: String,
}

impl Running {
    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(Path::new(&self.output)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// The texts of a room in order.
async fn texts(client: &mut Client, room: u64) -> Vec<String> {
    let history = client.ok("history", json!({"room": room, "limit": 200})).await;
    let messages = history["messages"].as_array().unwrap().clone();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[actix::test]
async fn one_message_is_sent_and_its_place_is_printed() {
    let cluster = Cluster::start(1).await;
    let (_ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    let urls = cluster.urls();
    let ann = Person::new("ann");
    let sent = ann.chat(&urls, &["--room", "general", "--send", "hello"]).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), "1\n"), "{}", sent.stderr);
    // The token is kept: without a password it goes on.
    let variables = [("XDG_STATE_HOME", ann.state.path().to_str().unwrap()), ("CHAT_PASSWORD", "")];
    let arguments = ["chat", &urls[0], "--room", "general", "--send", "again"];
    let sent = program::run(ann.state.path(), &arguments, &variables).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), "2\n"), "{}", sent.stderr);
    // A conversation with one person, and a room one is not in.
    let sent = ann.chat(&urls, &["--room", "@bob", "--send", "for you"]).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), "1\n"), "{}", sent.stderr);
    bob.event(json!({"ev": "message", "text": "for you"})).await;
    bob.create_room("other", "public").await;
    let refused = ann.chat(&urls, &["--room", "other", "--send", "x"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("add --join"), "{}", refused.stderr);
    let joined = ann.chat(&urls, &["--room", "other", "--join", "--send", "x"]).await;
    assert_eq!((joined.code, joined.stdout.as_str()), (Some(0), "1\n"), "{}", joined.stderr);
    // What is refused for good does not stay.
    let refused = ann.chat(&urls, &["--room", "general", "--send", "  "]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("not sent: "), "{}", refused.stderr);
    assert_eq!(texts(&mut bob, room).await, ["hello", "again"]);
}

#[actix::test]
async fn a_node_behind_tls_is_reached_when_its_certificate_is_trusted() {
    let cluster = Cluster::start(1).await;
    let (_ann, mut bob, room) = cluster.ann_and_bob([0, 0]).await;
    let (acceptor, certificate) = tls::acceptor(cluster.folder.path());
    let proxy = TlsProxy::before(&cluster.nodes[0], acceptor).await;
    let ann = Person::new("ann");
    let url = [proxy.url()];
    let stranger = ann.chat(&url, &["--room", "general", "--timeout", "1", "--send", "one"]).await;
    assert_eq!((stranger.code, proxy.served()), (Some(1), 0));
    assert!(stranger.stderr.contains("certificate"), "{}", stranger.stderr);

    let [state, password] = ann.variables();
    let trusts = [
        (state.0, state.1.as_str()),
        (password.0, password.1.as_str()),
        ("SSL_CERT_FILE", certificate.to_str().unwrap()),
    ];
    let arguments = ["chat", "--name", "ann", &url[0], "--room", "general", "--send", "two"];
    let sent = program::run(ann.state.path(), &arguments, &trusts).await;
    assert_eq!((sent.code, sent.stdout.as_str(), proxy.served()), (Some(0), "1\n", 1), "{}", sent.stderr);
    assert_eq!(texts(&mut bob, room).await, ["two"]);
}

#[actix::test]
async fn accounts_and_wrong_usage() {
    let cluster = Cluster::start(1).await;
    let urls = cluster.urls();
    let cy = Person::new("cy");
    let words = ["--room", "general", "--send", "x"];
    let unknown = cy.chat(&urls, &words).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.starts_with("not logged in: "), "{}", unknown.stderr);
    let made = cy.chat(&urls, &["--register", "--room", "general", "--send", "x"]).await;
    assert_eq!(made.code, Some(1));
    assert!(made.stderr.contains("there is no room general"), "{}", made.stderr);
    Client::open(&urls[0]).await.login("cy").await;
    let taken = Person::new("cy").chat(&urls, &["--register", "--room", "a", "--send", "x"]).await;
    assert_eq!(taken.code, Some(1));
    for words in [
        &["--send", "x"][..],
        &["--follow", "--send", "x", "--room", "general"],
        &["--json", "--room", "general", "--send", "x"],
        &["--follow", "--after", "3"],
        &["ftp://x", "--follow"],
    ] {
        let wrong = cy.chat(&urls, words).await;
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{words:?}: {}", wrong.stderr);
    }
}

#[actix::test]
async fn what_is_sent_while_nodes_are_killed_arrives_once() {
    let mut cluster = Cluster::start(3).await;
    let (_ann, bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let ann = Person::new("ann");
    let first = ann.chat(&urls[..1], &["--room", "general", "--send", "m0"]).await;
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    for round in 1..=3 {
        // Its node has taken the message and cannot finish it: then that node is gone.
        let text = format!("m{round}");
        cluster.nodes[1].pause();
        cluster.nodes[2].pause();
        let mut sending = ann.start(&urls[..1], &["--room", "general", "--send", &text]);
        ann.wait_for_outbox(1).await;
        cluster.nodes[0].kill();
        cluster.nodes[1].resume();
        cluster.nodes[2].resume();
        let status = sending.process.ended(PATIENCE).await;
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", cluster.log_tails());
        assert_eq!(sending.lines(), [(round + 1).to_string()]);
        ann.wait_for_outbox(0).await;
        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
    }
    // Who was not read for so long may have been sent away.
    let mut again = cluster.client(0).await;
    again.hello_as(&bob).await;
    assert_eq!(texts(&mut again, room).await, ["m0", "m1", "m2", "m3"]);
}

#[actix::test]
async fn without_a_majority_a_message_waits_and_leaves_with_the_next_command() {
    let mut cluster = Cluster::start(3).await;
    let (_ann, bob, room) = cluster.ann_and_bob([0, 0]).await;
    let urls = cluster.urls();
    let ann = Person::new("ann");
    assert_eq!(ann.chat(&urls, &["--room", "general", "--send", "one"]).await.code, Some(0));
    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    let late = ann.chat(&urls, &["--room", "general", "--timeout", "2", "--send", "two"]).await;
    assert_eq!((late.code, late.stdout.as_str()), (Some(1), ""));
    assert!(late.stderr.contains("waits in the outbox"), "{}", late.stderr);
    // And a client that is killed while it waits.
    let mut killed = ann.start(&urls, &["--room", "general", "--send", "three"]);
    ann.wait_for_outbox(2).await;
    killed.process.0.kill().unwrap();
    killed.process.0.wait().unwrap();
    assert_eq!(killed.lines(), Vec::<String>::new());
    // No node at all: the room is still known by its name.
    cluster.nodes[0].kill();
    let late = ann.chat(&urls, &["--room", "general", "--timeout", "1", "--send", "four"]).await;
    assert_eq!(late.code, Some(1));
    assert!(late.stderr.contains("waits in the outbox"), "{}", late.stderr);

    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
    let sent = ann.chat(&urls, &["--room", "general", "--send", "five"]).await;
    assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), "5\n"), "{}", sent.stderr);
    let mut again = cluster.client(0).await;
    again.hello_as(&bob).await;
    assert_eq!(texts(&mut again, room).await, ["one", "two", "three", "four", "five"]);
}

#[actix::test]
async fn what_is_followed_has_no_hole_when_nodes_are_killed() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([2, 2]).await;
    for number in 1..=3 {
        ann.send(room, &format!("m{number}")).await;
    }
    let urls = cluster.urls();
    let bob = Person::new("bob");
    let mut following = bob.start(&urls[..1], &["--follow", "--room", "general", "--json", "--after", "1"]);
    let seen = async |count: usize, following: &Running| {
        until("all messages", async || (following.lines().len() >= count).then_some(())).await;
    };
    seen(2, &following).await;
    let mut next = 4;
    for place in [0, 1] {
        cluster.nodes[place].kill();
        for _ in 0..20 {
            let text = format!("m{next}");
            // Its node may have lost the leader.
            ann.until_done("send", json!({"room": room, "text": text})).await;
            next += 1;
        }
        seen(next - 2, &following).await;
        cluster.nodes[place].start();
        cluster.wait_until_ready().await;
    }
    following.process.signal(nix::sys::signal::Signal::SIGINT);
    let status = following.process.ended(std::time::Duration::from_secs(10)).await;
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let events: Vec<Value> =
        following.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(places, (2..next as u64).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["ev"] == "message" && event["from"] == "ann"));
}

#[actix::test]
async fn what_is_followed_as_text_cannot_harm_a_terminal() {
    let cluster = Cluster::start(1).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([0, 0]).await;
    ann.send(room, "\u{1b}[2Jboo\nnext").await;
    let bob = Person::new("bob");
    let following = bob.start(&cluster.urls(), &["--follow", "--room", "general", "--after", "0"]);
    until("a line", async || (following.lines().len() == 1).then_some(())).await;
    let line = following.lines().remove(0);
    assert!(line.ends_with(r" ann: \u{1b}[2Jboo\nnext"), "{line}");
    assert!(line.as_bytes()[2] == b':', "{line}");
}
