//! Nodes, links and time as a test says them.

use serde_json::{Value, json};

use super::*;

/// The same dice each time, and ids that count.
struct Fixed(u32);

impl Chance for Fixed {
    fn dice(&mut self) -> f64 {
        0.5
    }

    fn id(&mut self) -> String {
        self.0 += 1;
        format!("own-{:03}", self.0)
    }
}

struct Stage {
    client: Client<Fixed>,
    now: u64,
    news: Vec<News>,
    opened: Vec<(LinkId, String)>,
    sent: Vec<(LinkId, Value)>,
    closed: Vec<LinkId>,
}

impl Stage {
    fn new() -> Self {
        let nodes = vec!["http://a".to_owned()];
        let mut client = Client::new(nodes, Handshake::Token("t".into()), Fixed(0));
        client.start(0);
        let (news, opened, sent, closed) = (vec![], vec![], vec![], vec![]);
        let mut stage = Self { client, now: 0, news, opened, sent, closed };
        stage.collect();
        stage
    }

    fn collect(&mut self) {
        for output in self.client.take_outputs() {
            match output {
                Output::Open { link, url } => self.opened.push((link, url)),
                Output::Send { link, frame } => self.sent.push((link, serde_json::from_str(&frame).unwrap())),
                Output::Close { link } => self.closed.push(link),
                Output::News(news) => self.news.push(news),
            }
        }
    }

    /// Passes time until something is to be done to a link.
    fn wait(&mut self) {
        let before = (self.opened.len(), self.closed.len(), self.sent.len());
        for _ in 0..1000 {
            self.now = self.client.wake_at().expect("it waits for something");
            self.client.tick(self.now);
            self.collect();
            if (self.opened.len(), self.closed.len(), self.sent.len()) != before {
                return;
            }
        }
        panic!("nothing happens");
    }

    /// The link that was asked for last stands, and its hello is answered.
    fn arrive(&mut self, more: Value) -> Value {
        let (link, _) = self.opened.last().unwrap().clone();
        self.client.opened(link, self.now);
        self.collect();
        let hello = self.sent.last().unwrap().1.clone();
        let mut welcome = json!({
            "re": hello["id"], "ok": true, "user": {"name": "ann"}, "node": "x", "cursor": 10, "epoch": "e",
            "resumed": hello["cursor"].is_u64(), "nodes": ["http://a/", "http://b", "http://c"],
        });
        welcome.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.hear(link, &welcome);
        hello
    }

    fn hear(&mut self, link: LinkId, frame: &Value) {
        self.client.heard(link, frame.to_string().as_bytes(), self.now);
        self.collect();
    }

    fn lose(&mut self, link: LinkId, code: Option<u16>) {
        self.client.lost(link, code, "gone", self.now);
        self.collect();
    }

    fn ask(&mut self, id: &str, patience: Option<u64>) {
        self.client.ask(id, "ping", json!({}), patience, self.now);
        self.collect();
    }

    fn url(&self) -> &str {
        &self.opened.last().unwrap().1
    }
}

#[test]
fn another_node_within_half_a_second_and_nothing_is_forgotten() {
    let mut stage = Stage::new();
    let hello = stage.arrive(json!({}));
    assert_eq!((&hello["token"], &hello["cursor"]), (&json!("t"), &Value::Null));
    stage.ask("q-2", None);
    stage.ask("q-1", None);
    stage.hear(1, &json!({"ev": "member", "at": 12, "room": 1}));
    stage.lose(1, None);
    assert!(matches!(stage.news.last(), Some(News::Lost { .. })));
    stage.wait();
    assert_eq!(stage.now, 250);
    assert_ne!(stage.url(), "http://a");
    let hello = stage.arrive(json!({}));
    assert_eq!((&hello["cursor"], &hello["epoch"]), (&json!(12), &json!("e")));
    // In the order of their ids, under the same ids.
    let repeated: Vec<_> = stage.sent.iter().filter(|(link, _)| *link == 2).skip(1).collect();
    assert_eq!(repeated.iter().map(|(_, frame)| frame["id"].clone()).collect::<Vec<_>>(), ["q-1", "q-2"]);
    stage.hear(2, &json!({"re": "q-1", "ok": true, "time": 1}));
    assert!(matches!(stage.news.last(), Some(News::Reply { id, outcome: Ok(_) }) if id == "q-1"));
    // A second answer is none.
    let count = stage.news.len();
    stage.hear(2, &json!({"re": "q-1", "ok": true, "time": 1}));
    assert_eq!(stage.news.len(), count);
}

#[test]
fn pauses_grow_while_nobody_answers_and_every_node_is_tried() {
    let mut stage = Stage::new();
    stage.arrive(json!({}));
    stage.lose(1, None);
    let mut tried = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let lost = stage.now;
        stage.wait();
        pauses.push(stage.now - lost);
        tried.push(stage.url().to_owned());
        let link = stage.opened.last().unwrap().0;
        stage.lose(link, None);
    }
    assert_eq!(pauses, [250, 250, 750, 1500, 3000, 6000, 11_250, 11_250]);
    for node in ["http://a", "http://b", "http://c"] {
        assert!(tried[..5].contains(&node.to_owned()), "{tried:?}");
    }
}

#[test]
fn a_node_that_goes_serves_until_another_does() {
    let mut stage = Stage::new();
    stage.arrive(json!({}));
    stage.hear(1, &json!({"ev": "bye", "reason": "stopping", "nodes": ["http://a", "http://b"]}));
    stage.wait();
    assert_eq!(stage.url(), "http://b");
    assert_eq!(stage.closed, Vec::<LinkId>::new());
    stage.hear(1, &json!({"ev": "member", "at": 11, "room": 1}));
    stage.arrive(json!({}));
    assert_eq!(stage.closed, [1]);
    // Told by both, it is news once.
    let count = stage.news.len();
    stage.hear(2, &json!({"ev": "member", "at": 11, "room": 1}));
    assert_eq!(stage.news.len(), count);
    stage.hear(2, &json!({"ev": "member", "at": 12, "room": 1}));
    assert_eq!(stage.news.len(), count + 1);
}

#[test]
fn close_codes() {
    for (code, comes_back) in
        [(1001, true), (4008, true), (4001, true), (1009, false), (4500, false), (4501, false), (4503, false)]
    {
        let mut stage = Stage::new();
        stage.arrive(json!({}));
        stage.lose(1, Some(code));
        let has_ended = matches!(stage.news.last(), Some(News::Ended(_)));
        assert_eq!(!has_ended, comes_back, "{code}");
        assert_eq!(stage.client.wake_at().is_some(), comes_back, "{code}");
    }
}

#[test]
fn a_silent_node_is_probed_and_left() {
    let mut stage = Stage::new();
    stage.arrive(json!({"heartbeat_ms": 20_000}));
    stage.ask("q", None);
    stage.wait();
    assert_eq!(stage.sent.last().unwrap().1["op"], "ping");
    assert_eq!(stage.now, 1500);
    stage.wait();
    assert_eq!(stage.closed, [1]);
    stage.wait();
    assert_ne!(stage.url(), "http://a");
    // One that answers the probe stays.
    stage.arrive(json!({}));
    stage.wait();
    let ping = stage.sent.last().unwrap().1["id"].clone();
    stage.hear(2, &json!({"re": ping, "ok": true, "time": 1}));
    let closed = stage.closed.len();
    stage.wait();
    assert_eq!(stage.closed.len(), closed);
}

#[test]
fn who_is_refused_does_not_come_back_unless_waiting_helps() {
    for (code, ends) in
        [("unauthorized", true), ("bad_request", true), ("unavailable", false), ("timeout", false)]
    {
        let mut stage = Stage::new();
        stage.client.opened(1, 0);
        stage.collect();
        let id = stage.sent.last().unwrap().1["id"].clone();
        stage.hear(1, &json!({"re": id, "ok": false, "error": {"code": code, "message": "no"}}));
        assert_eq!(matches!(stage.news.last(), Some(News::Ended(_))), ends, "{code}");
    }
}

#[test]
fn a_node_that_is_behind_is_left_for_another_once() {
    let mut stage = Stage::new();
    stage.arrive(json!({}));
    stage.lose(1, None);
    stage.wait();
    stage.arrive(json!({"behind": true}));
    assert_eq!(stage.closed, [2]);
    stage.arrive(json!({"behind": true}));
    assert!(stage.client.is_connected());
}

#[test]
fn patience_ends_and_a_flood_is_refused() {
    let mut stage = Stage::new();
    stage.ask("q", Some(700));
    while stage.now < 700 {
        stage.now = stage.client.wake_at().unwrap();
        stage.client.tick(stage.now);
        stage.collect();
    }
    let is_given_up = |news: &News| matches!(news, News::Reply { id, outcome: Err(problem) } if id == "q" && problem.code == "timeout");
    assert!(stage.news.iter().any(is_given_up));
    for number in 0..=ASKS_MAX {
        stage.ask(&format!("q-{number}"), None);
    }
    assert!(matches!(stage.news.last(), Some(News::Reply { outcome: Err(_), .. })));
}
