//! Clients for the judge: they send, edit and read in one room, wherever a node is up, and write down what they saw.
//!
//! All are the same user, on connections of their own, so that one edits what another sent. A write without an answer
//! is given up, or asked again under the same id elsewhere: it is one operation, from its first call to its last answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Call, End, History, Op, Shown};
use crate::cluster::client::new_id;
use crate::cluster::replies::{number, text};
use crate::cluster::route::{self, Route, SILENCE};
use crate::cluster::{Client, Cluster};

const PAUSE_MS: std::ops::Range<u64> = 20..120;
/// How many of the newest messages a read shows.
const SHOWN: u64 = 8;
/// … and are edited.
const EDITED: usize = 3;
const PAGE: u64 = 200;

/// Some clients under way.
pub struct Witnesses {
    notes: Rc<Notes>,
    tasks: Vec<JoinHandle<()>>,
}

/// What they share.
struct Notes {
    room: u64,
    token: String,
    began: Instant,
    history: RefCell<History>,
    /// The newest messages that are known to be there, with the highest version seen of each.
    known: RefCell<BTreeMap<u64, u64>>,
    connections: Cell<u64>,
    goes_on: Cell<bool>,
}

/// How many operations ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub done: usize,
    pub missed: usize,
    pub refused: usize,
    pub unknown: usize,
    pub reads: usize,
    pub local_reads: usize,
}

impl Witnesses {
    /// So many clients of a new user, in a new room.
    pub async fn begin(cluster: &Cluster, count: usize) -> Self {
        let mut first = cluster.register(0, "witness").await;
        let room = first.create_room("judged", "private").await;
        let notes = Rc::new(Notes {
            room,
            token: first.token.clone(),
            began: Instant::now(),
            history: RefCell::default(),
            known: RefCell::default(),
            connections: Cell::new(0),
            goes_on: Cell::new(true),
        });
        let begin = |_| {
            let witness = Witness { notes: notes.clone(), connection: 0, open: None };
            actix::spawn(witness.run(Route::new(&cluster.urls())))
        };
        let tasks = (0..count).map(begin).collect();
        Self { notes, tasks }
    }

    /// Ends them, reads how the room is at the node at `place`, and judges.
    pub async fn judge(self, cluster: &Cluster, place: usize) -> Tally {
        self.notes.goes_on.set(false);
        for task in self.tasks {
            task.await.expect("a witness does not fail");
        }
        let notes = self.notes;
        let mut client = cluster.client(place).await;
        client.hello(&notes.token, json!({})).await;
        let mut end = Vec::new();
        loop {
            let asked = json!({"room": notes.room, "after": end.len(), "limit": PAGE});
            let page = client.ok("history", asked).await;
            end.extend(shown(&page));
            if page["more"] == false {
                break;
            }
        }
        let mut history = notes.history.take();
        history.rooms.insert(notes.room, end);
        let verdict = history.verdict();
        assert!(verdict.is_empty(), "{} faults in what clients saw:\n{}", verdict.len(), verdict.join("\n"));
        tally(&history)
    }
}

fn tally(history: &History) -> Tally {
    let mut tally = Tally::default();
    for call in &history.calls {
        let count = match &call.op {
            Op::Send { end: End::Done(_), .. } | Op::Edit { end: End::Done(_), .. } => &mut tally.done,
            Op::Send { end: End::Refused, .. } | Op::Edit { end: End::Refused, .. } => &mut tally.refused,
            Op::Send { end: End::Unknown, .. } | Op::Edit { end: End::Unknown, .. } => &mut tally.unknown,
            Op::Missed { .. } => &mut tally.missed,
            Op::Read { local: false, .. } => &mut tally.reads,
            Op::Read { local: true, .. } => &mut tally.local_reads,
        };
        *count += 1;
    }
    tally
}

struct Witness {
    notes: Rc<Notes>,
    /// The number of the present connection.
    connection: u64,
    /// A write that is asked again.
    open: Option<Write>,
}

/// A write that is not settled.
struct Write {
    id: String,
    called: u64,
    what: What,
    /// One of its tries was not answered.
    is_unknown: bool,
}

#[derive(Clone)]
enum What {
    Send,
    Edit { seq: u64, expects: Option<u64> },
}

impl Witness {
    async fn run(mut self, mut route: Route) {
        while self.notes.goes_on.get() {
            let (node, url) = route.choose();
            if let Some((mut client, reply)) = route::connect(&url, json!({"token": self.notes.token})).await
                && reply["ok"] == true
            {
                self.connection = self.notes.connections.get() + 1;
                self.notes.connections.set(self.connection);
                while self.notes.goes_on.get() && self.act(&mut client).await {
                    client.take_events();
                    let pause = Duration::from_millis(rand::random_range(PAUSE_MS));
                    client.listen(pause).await;
                }
            } else {
                actix::clock::sleep(Duration::from_millis(100)).await;
            }
            route.leave(node);
        }
        if let Some(write) = self.open.take() {
            self.note_write(&write, None, End::Unknown);
        }
    }

    /// Does one thing; says whether the node is still any good.
    async fn act(&mut self, client: &mut Client) -> bool {
        if let Some(write) = self.open.take() {
            return self.write(client, write).await;
        }
        match rand::random_range(0..10) {
            0..3 => self.write(client, self.new_write(What::Send)).await,
            3..6 => {
                let known = self.notes.known.borrow().iter().next_back().map(|_| ());
                let what = if known.is_some() { self.some_edit() } else { What::Send };
                self.write(client, self.new_write(what)).await
            }
            6..9 => self.read(client, false).await,
            _ => self.read(client, true).await,
        }
    }

    fn new_write(&self, what: What) -> Write {
        Write { id: new_id(), called: self.now(), what, is_unknown: false }
    }

    fn some_edit(&self) -> What {
        let known = self.notes.known.borrow();
        let place = rand::random_range(0..known.len().min(EDITED));
        let (seq, version) = known.iter().rev().nth(place).expect("there are that many");
        What::Edit { seq: *seq, expects: rand::random_bool(0.7).then_some(*version) }
    }

    async fn write(&mut self, client: &mut Client, mut write: Write) -> bool {
        let (op, mut fields) = match write.what {
            What::Send => ("send", json!({"text": said(&write)})),
            What::Edit { seq, expects } => {
                let mut fields = json!({"seq": seq, "text": said(&write)});
                if let Some(version) = expects {
                    fields["version"] = version.into();
                }
                ("edit", fields)
            }
        };
        fields["room"] = self.notes.room.into();
        let reply = ask(client, &write.id, op, fields).await;
        let code = reply.as_ref().and_then(|reply| reply["error"]["code"].as_str()).unwrap_or_default();
        match (&reply, code) {
            (Some(reply), _) if reply["ok"] == true => {
                let at = number(reply, "at");
                let end = match write.what {
                    What::Send => End::Done((number(reply, "seq"), at)),
                    What::Edit { .. } => End::Done((number(reply, "version"), at)),
                };
                self.note_write(&write, Some(self.now()), end);
                true
            }
            (Some(reply), "conflict") => {
                let What::Edit { seq, expects: Some(expects) } = write.what else {
                    panic!("only an edit that expects a version meets another: {reply}");
                };
                let current = number(&reply["error"]["current"], "version");
                self.note(write.called, Some(self.now()), Op::Missed { seq, expects, current });
                self.knows(seq, current);
                true
            }
            (None, _) | (Some(_), "timeout" | "unavailable") => {
                write.is_unknown |= code != "unavailable";
                if rand::random_bool(0.5) {
                    self.open = Some(write);
                } else if write.is_unknown {
                    self.note_write(&write, None, End::Unknown);
                } else {
                    self.note_write(&write, Some(self.now()), End::Refused);
                }
                false
            }
            (Some(reply), _) => panic!("{op} was answered {reply}"),
        }
    }

    fn note_write(&self, write: &Write, answered: Option<u64>, end: End<(u64, u64)>) {
        let (id, text) = (write.id.clone(), said(write));
        let op = match (&write.what, &end) {
            (What::Send, _) => {
                if let End::Done((seq, _)) = &end {
                    self.knows(*seq, 1);
                }
                Op::Send { id, text, end }
            }
            (What::Edit { seq, expects }, _) => {
                if let End::Done((version, _)) = &end {
                    self.knows(*seq, *version);
                }
                Op::Edit { seq: *seq, expects: *expects, text, end }
            }
        };
        self.note(write.called, answered, op);
    }

    async fn read(&mut self, client: &mut Client, local: bool) -> bool {
        let called = self.now();
        let read = if local { "local" } else { "linearizable" };
        let fields = json!({"room": self.notes.room, "limit": SHOWN, "read": read});
        // A read without a good answer tells nothing.
        let Some(reply) = ask(client, &new_id(), "history", fields).await else { return false };
        if reply["ok"] != true {
            // A node that is behind may not know the room, or this user in it.
            let code = text(&reply["error"], "code");
            assert!(
                ["unavailable", "timeout"].contains(&code.as_str()) || local,
                "a read was answered {reply}"
            );
            return false;
        }
        let shown = shown(&reply);
        for message in &shown {
            self.knows(message.seq, message.version);
        }
        self.note(called, Some(self.now()), Op::Read { at: number(&reply, "at"), local, shown });
        true
    }

    fn knows(&self, seq: u64, version: u64) {
        let mut known = self.notes.known.borrow_mut();
        let highest = known.entry(seq).or_default();
        *highest = version.max(*highest);
        while known.len() > EDITED {
            known.pop_first();
        }
    }

    fn note(&self, called: u64, answered: Option<u64>, op: Op) {
        let (connection, room) = (self.connection, self.notes.room);
        self.notes.history.borrow_mut().calls.push(Call { connection, room, called, answered, op });
    }

    /// Microseconds since they began.
    fn now(&self) -> u64 {
        u64::try_from(self.notes.began.elapsed().as_micros()).expect("no test takes that long")
    }
}

/// Every text is of one write alone.
fn said(write: &Write) -> String {
    format!("said as {}", write.id)
}

/// The reply, or `None` when the node is silent or gone.
async fn ask(client: &mut Client, id: &str, op: &str, fields: Value) -> Option<Value> {
    client.post(id, op, fields).await;
    let deadline = Instant::now() + SILENCE;
    loop {
        if let Some(reply) = client.take_reply(id) {
            return Some(reply);
        }
        if !client.read(deadline).await {
            return None;
        }
    }
}

fn shown(page: &Value) -> Vec<Shown> {
    let messages = page["messages"].as_array().expect("a page has messages");
    messages
        .iter()
        .map(|message| Shown {
            seq: number(message, "seq"),
            id: text(message, "id"),
            version: number(message, "version"),
            text: text(message, "text"),
        })
        .collect()
}
