//! Somebody who writes and listens without end, wherever a node is up.
//!
//! A write has three outcomes. *Done* is noted with its place in the room. *Refused* for want of a
//! majority will never take effect: some such writes are given up, to see whether that is true.
//! *Unknown* (no answer in time, or the connection was lost) is settled by repeating the same id.
//! What comes in is checked as it comes: no hole, nothing from before the cursor.

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::client::{Client, new_id};
use super::route::{self, Route, SILENCE};

const RETRY_PAUSE: Duration = Duration::from_millis(50);
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Who is to chat, and how.
#[derive(Clone)]
pub struct Plan {
    pub urls: Vec<String>,
    pub name: String,
    pub token: String,
    pub room: u64,
    /// Between one write's acknowledgement and the next write.
    pub pause: Duration,
    /// Where to begin to listen: before the room's first message.
    pub cursor: u64,
    pub epoch: Value,
}

/// A write that a node said was done.
#[derive(Clone, Debug)]
pub struct Acked {
    pub id: String,
    pub seq: u64,
}

#[derive(Default)]
pub struct Record {
    pub acked: Vec<Acked>,
    /// Every try was refused; given up.
    pub refused_for_good: Vec<String>,
    pub tried: HashSet<String>,
    /// The ids of the room's messages, from seq 1 on.
    pub heard: Vec<String>,
    pub refusals: u32,
    pub unknown: u32,
    pub repeats: u32,
    pub reconnects: u32,
    /// The longest time between two acknowledgements.
    pub longest_gap: Duration,
    /// What broke the contract.
    pub wrong: Vec<String>,
    /// Where it is now.
    node: String,
    is_settled: bool,
}

pub struct Chatter {
    pub plan: Plan,
    record: Rc<RefCell<Record>>,
    phase: Rc<Cell<Phase>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Writing,
    /// Settles what is under way, then only listens.
    Listening,
    Gone,
}

impl Chatter {
    pub fn start(plan: Plan) -> Self {
        let record = Rc::new(RefCell::new(Record::default()));
        let phase = Rc::new(Cell::new(Phase::Writing));
        let chat = Chat {
            cursor: plan.cursor,
            plan: plan.clone(),
            record: record.clone(),
            phase: phase.clone(),
            under_way: None,
            next_write: Instant::now(),
            last_ack: Instant::now(),
            route: Route::new(&plan.urls),
            is_refused: false,
        };
        Self { plan, record, phase, task: actix::spawn(chat.run()) }
    }

    pub fn record(&self) -> Ref<'_, Record> {
        self.record.borrow()
    }

    /// The URL of the node that it is on.
    pub fn node(&self) -> String {
        self.record.borrow().node.clone()
    }

    /// Measures the longest gap anew.
    pub fn forget_gap(&self) {
        self.record.borrow_mut().longest_gap = Duration::ZERO;
    }

    /// From now on it settles what is under way, and only listens.
    pub fn stop_writing(&self) {
        self.phase.set(Phase::Listening);
    }

    /// Whether no write is under way any more.
    pub fn is_settled(&self) -> bool {
        assert!(!self.task.is_finished(), "{} has ended", self.plan.name);
        self.record.borrow().is_settled
    }

    /// Leaves.
    pub async fn leave(self) -> Record {
        self.phase.set(Phase::Gone);
        if let Err(error) = self.task.await {
            std::panic::resume_unwind(error.into_panic());
        }
        self.record.take()
    }
}

struct Chat {
    plan: Plan,
    record: Rc<RefCell<Record>>,
    phase: Rc<Cell<Phase>>,
    cursor: u64,
    under_way: Option<Write>,
    next_write: Instant,
    last_ack: Instant,
    route: Route,
    /// The node that it is on has no majority.
    is_refused: bool,
}

struct Write {
    id: String,
    text: String,
    /// When it was sent on this connection.
    posted: Option<Instant>,
    /// One of its tries may have been done.
    is_unknown: bool,
}

impl Chat {
    async fn run(mut self) {
        while self.phase.get() != Phase::Gone {
            let (node, url) = self.route.choose();
            if let Some(mut client) = self.connect(&url).await {
                self.stay(&mut client).await;
                self.record.borrow_mut().reconnects += 1;
            } else {
                actix::clock::sleep(Duration::from_millis(rand::random_range(0..200))).await;
            }
            self.route.leave(node);
        }
    }

    async fn connect(&mut self, url: &str) -> Option<Client> {
        let hello = json!({"token": self.plan.token, "cursor": self.cursor, "epoch": self.plan.epoch});
        let (client, reply) = route::connect(url, hello).await?;
        let code = reply["error"]["code"].as_str().unwrap_or_default();
        if ["unavailable", "timeout"].contains(&code) {
            // A node that cannot read its disk any more, or has not got the chat yet and asks the others.
            return None;
        }
        if reply["ok"] != true || reply["resumed"] != true || reply["cursor"] != self.cursor {
            self.wrong(format!("hello with cursor {} at {url}: {reply}", self.cursor));
        }
        self.record.borrow_mut().node = url.to_owned();
        Some(client)
    }

    /// Writes and listens on one connection until it is lost.
    async fn stay(&mut self, client: &mut Client) {
        self.is_refused = false;
        while !client.is_closed() && !self.is_refused && self.phase.get() != Phase::Gone {
            self.write(client).await;
            client.read(Instant::now() + LOOK_PERIOD).await;
            for event in client.take_events() {
                self.hear(&event);
            }
            if let Some(write) = &self.under_way {
                if let Some(reply) = client.take_reply(&write.id) {
                    self.settle(&reply);
                } else if write.posted.is_some_and(|posted| posted.elapsed() > SILENCE) {
                    break;
                }
            }
        }
        if let Some(write) = &mut self.under_way
            && write.posted.take().is_some()
        {
            write.is_unknown = true;
            self.record.borrow_mut().unknown += 1;
        }
    }

    /// Begins a write or repeats one, when it is time.
    async fn write(&mut self, client: &mut Client) {
        let is_time = Instant::now() >= self.next_write;
        if self.under_way.is_none() {
            if self.phase.get() != Phase::Writing {
                self.record.borrow_mut().is_settled = true;
                return;
            }
            if !is_time {
                return;
            }
            let id = new_id();
            self.record.borrow_mut().tried.insert(id.clone());
            let text = format!("{} says {id}", self.plan.name);
            self.under_way = Some(Write { id, text, posted: None, is_unknown: false });
        }
        if let Some(write) = &mut self.under_way
            && write.posted.is_none()
            && is_time
        {
            client.post(&write.id, "send", json!({"room": self.plan.room, "text": write.text})).await;
            write.posted = Some(Instant::now());
        }
    }

    fn settle(&mut self, reply: &Value) {
        let Some(mut write) = self.under_way.take() else { return };
        let mut record = self.record.borrow_mut();
        if reply["ok"] == true {
            let Some(seq) = reply["seq"].as_u64() else {
                record.wrong.push(format!("a send without its place: {reply}"));
                return;
            };
            record.repeats += u32::from(reply["duplicate"] == true);
            record.acked.push(Acked { id: write.id, seq });
            record.longest_gap = record.longest_gap.max(self.last_ack.elapsed());
            self.last_ack = Instant::now();
            self.next_write = self.last_ack + self.plan.pause;
            return;
        }
        match reply["error"]["code"].as_str() {
            Some("unavailable") => {
                record.refusals += 1;
                self.is_refused = true;
            }
            Some("timeout") => {
                record.unknown += 1;
                write.is_unknown = true;
            }
            _ => record.wrong.push(format!("a send was answered {reply}")),
        }
        if !write.is_unknown && rand::random_bool(0.5) {
            record.refused_for_good.push(write.id);
        } else {
            self.under_way = Some(Write { posted: None, ..write });
        }
        self.next_write = Instant::now() + RETRY_PAUSE;
    }

    fn hear(&mut self, event: &Value) {
        let Some(at) = event["at"].as_u64() else { return };
        if at < self.cursor || (at == self.cursor && event["ev"] != "cursor") {
            self.wrong(format!("{event} after cursor {}", self.cursor));
        }
        self.cursor = self.cursor.max(at);
        if event["ev"] != "message" || event["room"] != self.plan.room {
            return;
        }
        let mut record = self.record.borrow_mut();
        if event["seq"] == record.heard.len() as u64 + 1 {
            record.heard.push(event["id"].as_str().unwrap_or_default().to_owned());
        } else {
            let last = record.heard.len();
            record.wrong.push(format!("{} heard {event} after seq {last}", self.plan.name));
        }
    }

    fn wrong(&self, what: String) {
        self.record.borrow_mut().wrong.push(what);
    }
}
