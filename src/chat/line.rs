//! The client's core on real WebSockets, with a real clock and real dice.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep_until};

use super::client::{Chance, Client, Handshake, LinkId, News, Output};
use crate::web_socket::{self, Lost, WebSocket};

/// Frames that wait for a link to take them: more than there can be requests.
const LINK_FRAMES_MAX: usize = 1024;
/// What links tell and is not heard yet; a link waits when it is more.
const TOLD_MAX: usize = 256;

/// A connection to the cluster that looks after itself.
pub struct Line {
    core: Client<System>,
    web: awc::Client,
    links: HashMap<LinkId, mpsc::Sender<String>>,
    told_by: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    news: VecDeque<News>,
    begun: Instant,
}

/// What a link tells.
enum Told {
    Opened(LinkId),
    Frame(LinkId, bytes::Bytes),
    Lost(LinkId, Lost),
}

/// The system's random numbers, and ids by its clock.
struct System;

impl Chance for System {
    fn dice(&mut self) -> f64 {
        let mut bytes = [0; 4];
        // Without random bytes clients come back at the same moment, which the servers bear.
        let _ = getrandom::fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    fn id(&mut self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

impl Line {
    /// Begins with the first of these nodes; the cluster names the others.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn start(nodes: Vec<String>, handshake: Handshake) -> anyhow::Result<Self> {
        let web = web_socket::client()?;
        let (told_by, told) = mpsc::channel(TOLD_MAX);
        let mut core = Client::new(nodes, handshake, System);
        core.start(0);
        let (links, news, begun) = (HashMap::new(), VecDeque::new(), Instant::now());
        Ok(Self { core, web, links, told_by, told, news, begun })
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn nodes(&self) -> &[String] {
        self.core.nodes()
    }

    pub fn is_connected(&self) -> bool {
        self.core.is_connected()
    }

    /// The node that serves us, and the token by which it does.
    pub fn served(&self) -> Option<(&str, &str)> {
        self.core.served()
    }

    pub fn new_id(&mut self) -> String {
        self.core.new_id()
    }

    /// Asks; the answer is news.
    pub fn ask(&mut self, id: &str, op: &str, fields: Value, patience_ms: Option<u64>) {
        let now = self.now();
        self.core.ask(id, op, fields, patience_ms, now);
        self.act();
    }

    /// The next news. Nothing is lost when the waiting for it is given up.
    pub async fn next(&mut self) -> News {
        loop {
            self.act();
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            let wake = self.core.wake_at().unwrap_or_else(|| self.now() + 1000);
            let wake = tokio::time::Instant::from_std(self.begun + Duration::from_millis(wake));
            tokio::select! {
                Some(told) = self.told.recv() => self.hear(told),
                () = sleep_until(wake) => {
                    let now = self.now();
                    self.core.tick(now);
                }
            }
        }
    }

    fn hear(&mut self, told: Told) {
        let now = self.now();
        match told {
            Told::Opened(link) => self.core.opened(link, now),
            Told::Frame(link, frame) => self.core.heard(link, &frame, now),
            Told::Lost(link, lost) => {
                self.links.remove(&link);
                let code = match &lost {
                    Lost::Closed { code, .. } => Some(*code),
                    Lost::Broken(_) => None,
                };
                self.core.lost(link, code, &lost.to_string(), now);
            }
        }
    }

    fn act(&mut self) {
        for output in self.core.take_outputs() {
            match output {
                Output::Open { link, url } => {
                    let (frames, to_send) = mpsc::channel(LINK_FRAMES_MAX);
                    self.links.insert(link, frames);
                    actix::spawn(serve(self.web.clone(), link, url, to_send, self.told_by.clone()));
                }
                Output::Send { link, frame } => {
                    // A link that takes nothing any more is as good as gone; the core's watch finds out.
                    if self.links.get(&link).is_some_and(|frames| frames.try_send(frame).is_err()) {
                        self.links.remove(&link);
                    }
                }
                // Its task ends when there is nobody to send for.
                Output::Close { link } => drop(self.links.remove(&link)),
                Output::News(news) => self.news.push_back(news),
            }
        }
    }
}

/// One link from its opening to its end.
async fn serve(
    web: awc::Client,
    link: LinkId,
    url: String,
    mut to_send: mpsc::Receiver<String>,
    told: mpsc::Sender<Told>,
) {
    let opening = async {
        match WebSocket::open(&web, &url).await {
            Ok(socket) => Ok(socket),
            Err(reason) => Err(Lost::Broken(reason)),
        }
    };
    let opened = tokio::select! {
        opened = opening => opened,
        // Nothing is sent before it is open, so this is its being given up.
        _ = to_send.recv() => return,
    };
    // Whoever no longer listens has no use for what is told.
    match opened {
        Ok(mut socket) => {
            let _ = told.send(Told::Opened(link)).await;
            let lost = loop {
                tokio::select! {
                    frame = to_send.recv() => match frame {
                        Some(frame) => if let Err(lost) = socket.send(frame).await { break lost },
                        None => return,
                    },
                    heard = socket.next() => match heard {
                        Ok(frame) => { let _ = told.send(Told::Frame(link, frame)).await; }
                        Err(lost) => break lost,
                    },
                }
            };
            let _ = told.send(Told::Lost(link, lost)).await;
        }
        Err(lost) => {
            let _ = told.send(Told::Lost(link, lost)).await;
        }
    }
}
