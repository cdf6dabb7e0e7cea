//! `chat` for people: its full screen, at a terminal of the story's own.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{Person, texts};
use crate::cluster::Cluster;
use crate::cluster::pty::Pty;

const ENTER: &str = "\r";
const QUIT: &str = "\u{11}";
const PICK: &str = "\u{f}";

impl Person {
    /// Sits down at the full screen.
    fn sit_down(&self, urls: &[String]) -> Pty {
        let arguments: Vec<&str> =
            ["chat", "--name", self.name].into_iter().chain(urls.iter().map(String::as_str)).collect();
        Pty::start(&arguments, &self.variables())
    }
}

#[actix::test]
async fn a_person_chats_on_while_nodes_die_and_finds_the_terminal_as_it_was() {
    let mut cluster = Cluster::start(3).await;
    let (_ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let ann = Person::new("ann");
    let mut screen = ann.sit_down(&urls[..1]);
    screen.shows("Connected to node1").await;
    screen.shows("> general").await;

    bob.ok("typing", json!({"room": room})).await;
    screen.shows("bob is writing").await;
    bob.send(room, "are you there").await;
    screen.shows("are you there").await;
    screen.press(&format!("hello{ENTER}"));
    bob.event(json!({"ev": "typing", "room": room, "user": "ann"})).await;
    bob.event(json!({"ev": "message", "from": "ann", "text": "hello"})).await;
    // A reaction to what was said last but one.
    screen.press(&format!("{PICK}\u{1b}[A+👍{ENTER}"));
    bob.event(json!({"ev": "message", "seq": 1, "reactions": {"👍": ["ann"]}})).await;
    screen.shows("👍").await;

    // Its node has taken the message and cannot finish it: then that node is gone.
    cluster.nodes[1].pause();
    cluster.nodes[2].pause();
    screen.press(&format!("late{ENTER}"));
    screen.shows("sending").await;
    ann.wait_for_outbox(1).await;
    cluster.nodes[0].kill();
    cluster.nodes[1].resume();
    cluster.nodes[2].resume();
    ann.wait_for_outbox(0).await;
    bob.event(json!({"ev": "message", "from": "ann", "text": "late"})).await;
    assert!(!screen.screen().contains("Connected to node1"), "{}", screen.screen());
    screen.shows("Connected to node").await;
    screen.press(QUIT);
    screen.ended_and_put_it_back().await;
    assert_eq!(texts(&mut bob, room).await, ["are you there", "hello", "late"]);

    // By its token, and asked to stop from outside.
    let screen = ann.sit_down(&urls);
    screen.shows("late").await;
    screen.process.signal(Signal::SIGTERM);
    screen.ended_and_put_it_back().await;
}
