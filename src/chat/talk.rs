//! Somebody's side of the chat: the line to the cluster, the outbox that is emptied over it, and the file in which both
//! are kept.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::client::{Ending, Handshake, News};
use super::frames::{Event, EventKind, Outcome, Problem, Welcome};
use super::keep::{Account, Item, Keep};
use super::line::Line;
use super::queue::Queue;

/// How often the file is looked at for what other clients wrote there.
const FOLLOW_PERIOD_MS: u64 = 2000;
/// Addresses that are remembered of one chat.
const ADDRESSES_MAX: usize = 64;

pub struct Talk {
    line: Line,
    keep: Keep,
    queue: Queue,
    /// Known once a node let us in, if not from before.
    account: Option<Account>,
    followed: u64,
    /// Addresses under which nodes of this chat were reached; the cluster may call them otherwise.
    addresses: Vec<String>,
    /// What is told before anything else is heard.
    ready: VecDeque<Heard>,
}

/// What is new.
#[derive(Debug)]
pub enum Heard {
    Welcome(Box<Welcome>),
    Event(Box<Event>),
    /// The answer to [`Talk::ask`].
    Reply {
        id: String,
        outcome: Outcome,
    },
    /// What was written is acknowledged; `seq` is its message's.
    Sent {
        id: String,
        seq: Option<u64>,
    },
    /// What was written is refused for good.
    Refused {
        id: String,
        problem: Problem,
    },
    /// The outbox is not as it was.
    Outbox,
    Lost {
        why: String,
    },
    Ended(Ending),
}

impl Talk {
    /// Begins to connect, with these nodes first.
    ///
    /// # Errors
    /// When nothing can be connected to.
    pub fn start(
        keep: Keep,
        mut addresses: Vec<String>,
        handshake: Handshake,
        account: Option<Account>,
    ) -> anyhow::Result<Self> {
        add(&mut addresses, account.iter().flat_map(|account| &account.nodes));
        let (line, queue) = (Line::start(addresses.clone(), handshake)?, Queue::default());
        Ok(Self { line, keep, queue, account, followed: 0, addresses, ready: VecDeque::new() })
    }

    /// Everything that waits to be acknowledged, and what was refused.
    pub fn outbox(&self) -> impl Iterator<Item = &Item> {
        self.queue.items()
    }

    pub fn is_connected(&self) -> bool {
        self.line.is_connected()
    }

    /// The node that serves us, and the token by which it does.
    pub fn served(&self) -> Option<(&str, &str)> {
        self.line.served()
    }

    /// The number of the room of this name as it was last known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn remembered_room(&self, name: &str) -> anyhow::Result<Option<u64>> {
        self.account.as_ref().map_or(Ok(None), |account| self.keep.room(account.account, name))
    }

    /// Asks a node, whichever is there.
    pub fn ask(&mut self, op: &str, fields: Value, patience: Duration) -> String {
        let id = self.line.new_id();
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.line.ask(&id, op, fields, Some(patience_ms));
        id
    }

    /// Says something that need not arrive.
    pub fn mention(&mut self, op: &str, fields: Value) {
        if self.line.is_connected() {
            self.ask(op, fields, Duration::from_secs(5));
        }
    }

    /// Writes a change down, for good, and sends it when its turn comes.
    ///
    /// # Errors
    /// When it could not be written down: then it is not sent.
    pub fn write(&mut self, op: &str, room: u64, mut fields: Value) -> anyhow::Result<String> {
        let Some(account) = &self.account else { anyhow::bail!("nobody is logged in yet") };
        fields["room"] = room.into();
        let id = self.line.new_id();
        let item =
            Item { id: id.clone(), room, op: op.to_owned(), fields, written: unix_ms(), refused: None };
        self.keep.put(account.account, &item)?;
        self.queue.add(item);
        self.pump()?;
        Ok(id)
    }

    /// Gives up what was refused.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn discard(&mut self, id: &str) -> anyhow::Result<()> {
        self.keep.remove(id)?;
        self.queue.settle(id);
        Ok(())
    }

    /// The next news. Nothing is lost when the waiting for it is given up.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn next(&mut self) -> anyhow::Result<Heard> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Ok(heard);
            }
            let due = self.followed + FOLLOW_PERIOD_MS;
            let wake = self.queue.wake_at().map_or(due, |wake| wake.min(due));
            let pause = Duration::from_millis(wake.saturating_sub(self.line.now()));
            tokio::select! {
                news = self.line.next() => if let Some(heard) = self.digest(news)? {
                    return Ok(heard);
                },
                () = tokio::time::sleep(pause) => if self.pump()? {
                    return Ok(Heard::Outbox);
                },
            }
        }
    }

    fn digest(&mut self, news: News) -> anyhow::Result<Option<Heard>> {
        let heard = match news {
            News::Welcome(welcome) => {
                self.welcomed(&welcome)?;
                Heard::Welcome(welcome)
            }
            News::Reply { id, outcome } if self.queue.get(&id).is_some() => {
                match self.written_is_answered(id, outcome)? {
                    Some(heard) => heard,
                    None => return Ok(None),
                }
            }
            News::Reply { id, outcome } => Heard::Reply { id, outcome },
            News::Event(event) => {
                self.look_for_own(&event)?;
                Heard::Event(event)
            }
            News::Lost { why } => Heard::Lost { why },
            News::Ended(ending) => {
                if let (Ending::LoggedOut(_), Some(account)) = (&ending, &self.account) {
                    self.keep.forget_token(account.account)?;
                }
                Heard::Ended(ending)
            }
        };
        Ok(Some(heard))
    }

    fn welcomed(&mut self, welcome: &Welcome) -> anyhow::Result<()> {
        let name = &welcome.user.name;
        let mut nodes = self.line.nodes().to_vec();
        add(&mut nodes, &self.addresses);
        let known = match &self.account {
            Some(account) if account.name == *name => Some(account.account),
            _ => self.keep.find(&nodes, Some(name))?.map(|account| account.account),
        };
        let account = self.keep.note_account(known, name, welcome.token.as_deref(), &nodes, unix_ms())?;
        self.keep.note_rooms(account, &welcome.rooms)?;
        self.account = Some(Account { account, name: name.clone(), token: welcome.token.clone(), nodes });
        self.queue.wake_all();
        self.pump()?;
        Ok(())
    }

    fn written_is_answered(&mut self, id: String, outcome: Outcome) -> anyhow::Result<Option<Heard>> {
        let heard = match outcome {
            Ok(reply) => {
                self.discard(&id)?;
                self.pump()?;
                Heard::Sent { id, seq: reply["seq"].as_u64() }
            }
            Err(problem) if problem.retry || problem.code == "unauthorized" => {
                let now = self.line.now();
                self.queue.rest(&id, now, problem.retry_after_ms);
                return Ok(None);
            }
            Err(problem) => {
                self.keep.refuse(&id, &problem)?;
                self.queue.refuse(&id, &problem.message);
                self.pump()?;
                Heard::Refused { id, problem }
            }
        };
        Ok(Some(heard))
    }

    /// A message's event under an id of ours says that it is there, whatever becomes of the answer.
    fn look_for_own(&mut self, event: &Event) -> anyhow::Result<()> {
        match &event.kind {
            EventKind::Message(message) => {
                let is_ours = self.account.as_ref().is_some_and(|account| account.name == message.from);
                if is_ours && self.queue.get(&message.id).is_some() {
                    self.discard(&message.id)?;
                    self.pump()?;
                    self.ready.push_back(Heard::Sent { id: message.id.clone(), seq: Some(message.seq) });
                }
            }
            EventKind::Cluster(cluster) if cluster.quorum => {
                self.queue.wake_all();
                self.pump()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends what may leave; says whether other clients changed the outbox.
    fn pump(&mut self) -> anyhow::Result<bool> {
        let Some(account) = &self.account else {
            self.followed = self.line.now();
            return Ok(false);
        };
        let before = self.queue.items().count();
        self.queue.follow(self.keep.outbox(account.account)?);
        self.followed = self.line.now();
        for item in self.queue.take_due(self.followed) {
            self.line.ask(&item.id, &item.op, item.fields, None);
        }
        Ok(self.queue.items().count() != before)
    }
}

/// Adds those that are not there, up to a number that no cluster reaches.
fn add<'a>(nodes: &mut Vec<String>, more: impl IntoIterator<Item = &'a String>) {
    for node in more {
        if nodes.len() < ADDRESSES_MAX && !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }
}

/// The fields of a `send`.
pub fn message(text: &str, reply_to: Option<u64>) -> Value {
    match reply_to {
        Some(seq) => json!({"text": text, "reply_to": seq}),
        None => json!({"text": text}),
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
