//! The connection to the cluster as a core: one link at a time to whichever node is there, every unanswered request
//! carried over to the next one under its own id.
//!
//! It decides who is tried when. It has no socket, clock or dice of its own: what happens to links and how late it is
//! (in milliseconds) are its inputs, what is to be done to links and what is new are its outputs.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::frames::{self, Cluster, Event, EventKind, Frame, Outcome, Problem, Welcome};
use super::pauses::{self, AfterClose};
use serde::Deserialize;

/// How long a node has to take a connection; longer in every fourth round of failures, for slow networks.
const OPEN_MS: u64 = 2500;
const OPEN_MS_MAX: u64 = 10_000;
const HELLO_MS: u64 = 7000;
/// An answer that takes longer than this, from a node that says nothing else either, is worth a probe.
const ANSWER_MS: u64 = 1000;
/// A probe that is not answered for so long: the node is gone.
const PROBE_MS: u64 = 2000;
/// How often silence is looked at.
const WATCH_MS: u64 = 500;
/// Requests without an answer.
const ASKS_MAX: usize = 512;

/// One connection, as whoever opens it calls it.
pub type LinkId = u64;

/// Who comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    Token(String),
    /// A name and a password; `op` is `login` or `register`. The id stays the same over all tries.
    Password {
        op: &'static str,
        id: String,
        name: String,
        password: String,
    },
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Output {
    Open { link: LinkId, url: String },
    Send { link: LinkId, frame: String },
    Close { link: LinkId },
    News(News),
}

#[derive(Debug)]
pub enum News {
    /// A node serves us now.
    Welcome(Box<Welcome>),
    /// What happened, in the order of `at` and each once.
    Event(Box<Event>),
    Reply {
        id: String,
        outcome: Outcome,
    },
    /// No node serves us now; another is looked for. `why` is what the last try came to.
    Lost {
        why: String,
    },
    /// No node will be tried any more.
    Ended(Ending),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The token or the password is not good.
    LoggedOut(Problem),
    /// The first request was refused for another reason, or the node asked us not to come back.
    Stopped(Problem),
}

/// Randomness, handed in.
pub trait Chance {
    /// 0 ≤ x < 1.
    fn dice(&mut self) -> f64;
    /// A request's id: later ones sort behind.
    fn id(&mut self) -> String;
}

pub struct Client<C> {
    chance: C,
    handshake: Handshake,
    nodes: Vec<String>,
    /// In vain in this round.
    failed: HashSet<String>,
    /// Not up, as the cluster last said.
    down: HashSet<String>,
    /// Tries that failed since the last connection.
    failures: u32,
    /// Nodes in a row that were behind our cursor.
    behind: usize,
    last_link: LinkId,
    live: Option<Live>,
    candidate: Option<Candidate>,
    retry_at: Option<u64>,
    /// By id, and so in the order of their asking.
    asks: BTreeMap<String, Ask>,
    position: Option<Position>,
    has_ended: bool,
    outputs: Vec<Output>,
}

struct Live {
    link: LinkId,
    url: String,
    heard: u64,
    heartbeat_ms: u64,
    /// When a probe was sent that is not answered yet.
    probed: Option<u64>,
    looked: u64,
}

struct Candidate {
    link: LinkId,
    url: String,
    /// Of the first frame, once it was sent.
    hello: Option<String>,
    deadline: u64,
}

struct Ask {
    frame: String,
    sent: u64,
    /// Given up then.
    deadline: Option<u64>,
}

/// How far the events are known.
struct Position {
    cursor: u64,
    epoch: String,
}

impl<C: Chance> Client<C> {
    /// Nothing is tried before [`Self::start`].
    pub fn new(nodes: Vec<String>, handshake: Handshake, chance: C) -> Self {
        Self {
            chance,
            handshake,
            nodes,
            failed: HashSet::new(),
            down: HashSet::new(),
            failures: 0,
            behind: 0,
            last_link: 0,
            live: None,
            candidate: None,
            retry_at: None,
            asks: BTreeMap::new(),
            position: None,
            has_ended: false,
            outputs: Vec::new(),
        }
    }

    /// Tries the first node.
    pub fn start(&mut self, now: u64) {
        match self.nodes.first().cloned() {
            Some(url) => self.open(url, now),
            None => self.end(Ending::Stopped(Problem::own("bad_request", "no node to try"))),
        }
    }

    /// What is to be done since it was last asked.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub fn is_connected(&self) -> bool {
        self.live.is_some()
    }

    /// The node that serves us, and the token by which it does.
    pub fn served(&self) -> Option<(&str, &str)> {
        match (&self.live, &self.handshake) {
            (Some(live), Handshake::Token(token)) => Some((&live.url, token)),
            _ => None,
        }
    }

    /// Every node that the cluster named.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    pub fn new_id(&mut self) -> String {
        self.chance.id()
    }

    /// Asks over as many links as it takes, always under this id; given up after `patience_ms`.
    pub fn ask(&mut self, id: &str, op: &str, mut fields: Value, patience_ms: Option<u64>, now: u64) {
        if self.has_ended || self.asks.len() >= ASKS_MAX {
            let problem = Problem::own("unavailable", "too much is asked at once: wait for an answer first");
            self.news(News::Reply { id: id.into(), outcome: Err(problem) });
            return;
        }
        fields["id"] = id.into();
        fields["op"] = op.into();
        let frame = fields.to_string();
        self.send_live(frame.clone());
        let deadline = patience_ms.map(|patience| now + patience);
        self.asks.insert(id.to_owned(), Ask { frame, sent: now, deadline });
    }

    /// The link stands.
    pub fn opened(&mut self, link: LinkId, now: u64) {
        let id = match &self.handshake {
            Handshake::Password { id, .. } => id.clone(),
            Handshake::Token(_) => self.chance.id(),
        };
        let mut frame = match &self.handshake {
            Handshake::Token(token) => json!({"op": "hello", "token": token}),
            Handshake::Password { op, name, password, .. } => {
                json!({"op": op, "name": name, "password": password})
            }
        };
        frame["id"] = id.clone().into();
        if let (Some(position), Handshake::Token(_)) = (&self.position, &self.handshake) {
            frame["cursor"] = position.cursor.into();
            frame["epoch"] = position.epoch.clone().into();
        }
        let Some(candidate) = self.candidate.as_mut().filter(|candidate| candidate.link == link) else {
            return;
        };
        candidate.hello = Some(id);
        candidate.deadline = now + HELLO_MS;
        self.outputs.push(Output::Send { link, frame: frame.to_string() });
    }

    /// A frame came.
    pub fn heard(&mut self, link: LinkId, frame: &[u8], now: u64) {
        let is_live = self.live.as_ref().is_some_and(|live| live.link == link);
        if let Some(live) = self.live.as_mut().filter(|live| live.link == link) {
            live.heard = now;
            live.probed = None;
        }
        match frames::read(frame) {
            Some(Frame::Event(event)) if is_live => self.event(event, now),
            Some(Frame::Reply { re, outcome }) => {
                let is_hello = |candidate: &Candidate| {
                    candidate.link == link && candidate.hello.as_deref() == Some(re.as_str())
                };
                if self.candidate.as_ref().is_some_and(is_hello) {
                    self.answered(outcome, now);
                } else if self.asks.remove(&re).is_some() {
                    self.news(News::Reply { id: re, outcome });
                }
            }
            _ => {}
        }
    }

    /// The link is gone, or was never made. `code` is that of its close frame.
    pub fn lost(&mut self, link: LinkId, code: Option<u16>, why: &str, now: u64) {
        let was_live = self.live.as_ref().is_some_and(|live| live.link == link);
        let was_candidate = self.candidate.as_ref().is_some_and(|candidate| candidate.link == link);
        if !was_live && !was_candidate {
            return;
        }
        match code.map(pauses::after_close) {
            Some(AfterClose::LoggedOut) => {
                self.end(Ending::LoggedOut(Problem::own("unauthorized", "the session has ended")));
            }
            Some(AfterClose::Stop) => self.end(Ending::Stopped(Problem::own("bad_request", why))),
            Some(AfterClose::Elsewhere) | None if was_live => self.lose_live(why, now),
            Some(AfterClose::Elsewhere) | None => self.miss(why, now),
        }
    }

    /// Time has passed: to be called at [`Self::wake_at`], and harmless at any other time.
    pub fn tick(&mut self, now: u64) {
        if self.candidate.as_ref().is_some_and(|candidate| candidate.deadline <= now) {
            self.miss("no answer in time", now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.try_next(now);
        }
        self.watch(now);
        let late = |ask: &Ask| ask.deadline.is_some_and(|deadline| deadline <= now);
        let given_up: Vec<String> =
            self.asks.iter().filter(|(_, ask)| late(ask)).map(|(id, _)| id.clone()).collect();
        for id in given_up {
            self.asks.remove(&id);
            let problem = Problem::own("timeout", "no node answered in time");
            self.news(News::Reply { id, outcome: Err(problem) });
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn wake_at(&self) -> Option<u64> {
        let watch = self.live.as_ref().map(|live| live.looked + WATCH_MS);
        let opening = self.candidate.as_ref().map(|candidate| candidate.deadline);
        let patience = self.asks.values().filter_map(|ask| ask.deadline).min();
        [watch, opening, self.retry_at, patience].into_iter().flatten().min()
    }

    fn event(&mut self, event: Event, now: u64) {
        if let (Some(at), Some(position)) = (event.at, &mut self.position) {
            // While one moves, two nodes tell the same.
            if at <= position.cursor {
                return;
            }
            position.cursor = at;
        }
        match &event.kind {
            EventKind::Bye { nodes } => {
                if !nodes.is_empty() {
                    self.nodes = origins(nodes);
                }
                if let Some(live) = &self.live {
                    self.failed.insert(live.url.clone());
                }
                // The old link still serves until the next one stands.
                if self.candidate.is_none() {
                    self.later(now);
                }
            }
            EventKind::Cluster(cluster) => self.know_up(&cluster.clone()),
            _ => {}
        }
        self.news(News::Event(Box::new(event)));
    }

    /// The candidate's answer to the first frame.
    fn answered(&mut self, outcome: Outcome, now: u64) {
        let welcome = outcome.and_then(|reply| {
            Welcome::deserialize(&reply)
                .map_err(|error| Problem::own("internal", &format!("the node's answer is not one: {error}")))
        });
        match welcome {
            Ok(welcome) => self.welcomed(welcome, now),
            Err(problem) => {
                let by_token = matches!(self.handshake, Handshake::Token(_));
                let waits = matches!(problem.code.as_str(), "unavailable" | "timeout")
                    || (by_token && problem.code == "rate_limited");
                if waits {
                    self.miss(&problem.message, now);
                } else if problem.code == "unauthorized" {
                    self.end(Ending::LoggedOut(problem));
                } else {
                    self.end(Ending::Stopped(problem));
                }
            }
        }
    }

    fn welcomed(&mut self, welcome: Welcome, now: u64) {
        let Some(candidate) = self.candidate.take() else { return };
        if !welcome.nodes.is_empty() {
            self.nodes = origins(&welcome.nodes);
        }
        self.know_up(&welcome.cluster);
        let is_choice = |node: &&String| {
            **node != candidate.url && !self.failed.contains(*node) && !self.down.contains(*node)
        };
        if welcome.behind && self.behind < self.nodes.len() && self.nodes.iter().any(|node| is_choice(&node))
        {
            self.behind += 1;
            self.outputs.push(Output::Close { link: candidate.link });
            self.failed.insert(candidate.url);
            self.try_next(now);
            return;
        }
        if let Some(old) = self.live.take() {
            self.outputs.push(Output::Close { link: old.link });
        }
        if let Some(token) = &welcome.token {
            self.handshake = Handshake::Token(token.clone());
        }
        if !welcome.resumed {
            self.position = Some(Position { cursor: welcome.cursor, epoch: welcome.epoch.clone() });
        }
        self.live = Some(Live {
            link: candidate.link,
            url: candidate.url,
            heard: now,
            heartbeat_ms: welcome.heartbeat_ms,
            probed: None,
            looked: now,
        });
        self.failed.clear();
        self.retry_at = None;
        (self.failures, self.behind) = (0, 0);
        self.news(News::Welcome(Box::new(welcome)));
        let frames: Vec<String> = self
            .asks
            .values_mut()
            .map(|ask| {
                ask.sent = now;
                ask.frame.clone()
            })
            .collect();
        frames.into_iter().for_each(|frame| self.send_live(frame));
    }

    /// Notices a node that has fallen silent.
    fn watch(&mut self, now: u64) {
        let oldest = self.asks.values().map(|ask| ask.sent).min();
        let Some(live) = &mut self.live else { return };
        live.looked = now;
        let silent = now - live.heard;
        match live.probed {
            Some(probed) if now - probed > PROBE_MS => {
                let link = live.link;
                self.outputs.push(Output::Close { link });
                self.lose_live("the node fell silent", now);
            }
            Some(_) => {}
            None => {
                let unanswered = oldest.is_some_and(|sent| now - sent > ANSWER_MS) && silent > ANSWER_MS;
                if unanswered || silent > live.heartbeat_ms * 3 / 2 + 1000 {
                    live.probed = Some(now);
                    let id = self.chance.id();
                    self.send_live(json!({"id": id, "op": "ping"}).to_string());
                }
            }
        }
    }

    fn lose_live(&mut self, why: &str, now: u64) {
        let Some(live) = self.live.take() else { return };
        self.failed.insert(live.url);
        self.news(News::Lost { why: why.into() });
        if self.candidate.is_none() && self.retry_at.is_none() {
            self.later(now);
        }
    }

    /// The candidate did not take us.
    fn miss(&mut self, why: &str, now: u64) {
        let Some(candidate) = self.candidate.take() else { return };
        self.outputs.push(Output::Close { link: candidate.link });
        if self.live.is_none() {
            self.news(News::Lost { why: format!("{}: {why}", candidate.url) });
        }
        self.failed.insert(candidate.url);
        self.later(now);
        // Counted afterwards: not to find the first node is like losing it.
        self.failures += 1;
    }

    fn later(&mut self, now: u64) {
        let pause = pauses::before_try(self.failures, self.chance.dice());
        self.retry_at = Some(now + pause);
    }

    fn try_next(&mut self, now: u64) {
        self.retry_at = None;
        let chosen = pauses::choose(&self.nodes, &self.failed, &self.down, self.chance.dice());
        let chosen = chosen.or_else(|| {
            self.failed.clear();
            self.failed.extend(self.live.as_ref().map(|live| live.url.clone()));
            pauses::choose(&self.nodes, &self.failed, &self.down, self.chance.dice())
        });
        match chosen {
            Some(url) => self.open(url, now),
            None => self.later(now),
        }
    }

    fn open(&mut self, url: String, now: u64) {
        self.last_link += 1;
        let link = self.last_link;
        let limit = (OPEN_MS * (1 + u64::from(self.failures / 4))).min(OPEN_MS_MAX);
        self.candidate = Some(Candidate { link, url: url.clone(), hello: None, deadline: now + limit });
        self.outputs.push(Output::Open { link, url });
    }

    fn end(&mut self, ending: Ending) {
        let live = self.live.take().map(|live| live.link);
        let candidate = self.candidate.take().map(|candidate| candidate.link);
        for link in [live, candidate].into_iter().flatten() {
            self.outputs.push(Output::Close { link });
        }
        self.retry_at = None;
        self.has_ended = true;
        self.news(News::Ended(ending));
    }

    fn know_up(&mut self, cluster: &Cluster) {
        let down = cluster.nodes.iter().filter(|node| !node.up);
        self.down = down.map(|node| origin(&node.public)).collect();
    }

    fn send_live(&mut self, frame: String) {
        if let Some(live) = &self.live {
            self.outputs.push(Output::Send { link: live.link, frame });
        }
    }

    fn news(&mut self, news: News) {
        self.outputs.push(Output::News(news));
    }
}

/// Public URLs in the form in which nodes are compared.
fn origins(urls: &[String]) -> Vec<String> {
    urls.iter().map(|url| origin(url)).collect()
}

/// A public URL without the slash at its end.
pub fn origin(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
