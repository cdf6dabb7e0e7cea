//! The clients and listeners at work.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use awc::Client;
use serde_json::Value;

use super::accounts::{self, Cast, Seat};
use super::arguments::BenchArguments;
use super::connection::Trouble;
use super::frames::{self, Frame};
use super::histogram::Histogram;
use super::stamp::Stamp;

/// How long a client waits for a reply before it takes its connection for dead.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client pauses after a refusal that names no time, and before it tries another node.
const PAUSE: Duration = Duration::from_millis(100);

/// The number of those who send nothing.
const NOBODY: u32 = u32::MAX;

/// How many different texts there are: many words, so that the index has something to do.
const TEXTS: usize = 4096;

/// What was counted and measured.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Within the measured time only.
    pub ack: Histogram,
    pub delivery: Histogram,
    /// From the start on, for the progress.
    pub acked_so_far: u64,
    pub delivered_so_far: u64,
    /// From the start on: refusals, lost connections, replies that never came.
    pub errors: u64,
    /// What the latest of them was.
    pub last_error: Option<String>,
}

/// A load that is running.
#[derive(Clone)]
pub struct Load {
    shared: Rc<Shared>,
}

struct Shared {
    client: Client,
    urls: Vec<String>,
    run: u16,
    started: Instant,
    started_unix_ms: u64,
    measured_from_us: u64,
    /// When to stop, in microseconds since the start; moved to now when the load is called off.
    end_us: Cell<u64>,
    text: String,
    text_bytes: usize,
    tally: RefCell<Tally>,
}

impl Load {
    /// Gets ready; the clock starts now.
    pub fn new(client: Client, urls: Vec<String>, run: u16, arguments: &BenchArguments) -> Self {
        let us = |duration: Duration| u64::try_from(duration.as_micros()).expect("a run ends within a day");
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text_bytes = arguments.bytes as usize;
        Self {
            shared: Rc::new(Shared {
                client,
                urls,
                run,
                started: Instant::now(),
                started_unix_ms: u64::try_from(unix.as_millis()).unwrap_or_default(),
                measured_from_us: us(arguments.warmup()),
                end_us: Cell::new(us(arguments.warmup() + arguments.measured())),
                text: words(text_bytes + TEXTS + 1),
                text_bytes,
                tally: RefCell::default(),
            }),
        }
    }

    /// Runs until the time is over and the last requests are answered.
    pub async fn run(&self, cast: Cast) {
        let mut tasks = Vec::new();
        for (number, seat) in (0..).zip(cast.clients) {
            let shared = Rc::clone(&self.shared);
            tasks.push(actix::spawn(async move { shared.send_until_the_end(number, seat).await }));
        }
        for seat in cast.listeners {
            let shared = Rc::clone(&self.shared);
            tasks.push(actix::spawn(async move { shared.listen_until_the_end(seat).await }));
        }
        for task in tasks {
            // A task that panicked has said so already.
            let _ = task.await;
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.shared.tally.borrow().clone()
    }

    /// Acknowledged, delivered and failed so far.
    pub fn so_far(&self) -> (u64, u64, u64) {
        let tally = self.shared.tally.borrow();
        (tally.acked_so_far, tally.delivered_so_far, tally.errors)
    }

    /// Lets everybody stop at the next occasion.
    pub fn call_off(&self) {
        self.shared.end_us.set(0);
    }
}

impl Shared {
    async fn send_until_the_end(&self, number: u32, mut seat: Seat) {
        let mut turn = number as usize;
        while !self.is_over() {
            let sent_us = self.now_us();
            let id =
                Stamp { run: self.run, client: number, sent_us }.id(self.started_unix_ms + sent_us / 1000);
            turn = (turn + 97) % TEXTS;
            // A space alone would be no text.
            let from = if self.text.as_bytes()[turn] == b' ' { turn + 1 } else { turn };
            let text = &self.text[from..from + self.text_bytes];
            let frame = format!(r#"{{"id":"{id}","op":"send","room":{},"text":"{text}"}}"#, seat.room);
            self.settle(number, &mut seat, &id, sent_us, &frame).await;
        }
    }

    /// Sends one message and repeats it until its outcome is known: the same id is done once.
    async fn settle(&self, number: u32, seat: &mut Seat, id: &str, sent_us: u64, frame: &str) {
        loop {
            match self.send_once(number, seat, id, frame).await {
                Ok(Reply::Done) => {
                    self.acknowledged(sent_us);
                    return;
                }
                Ok(Reply::Refused { retry, pause, reason }) => {
                    self.failed(reason);
                    if self.is_over() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    if !retry {
                        return;
                    }
                }
                Err(trouble) => {
                    self.failed(trouble.to_string());
                    if !self.reconnect(seat).await {
                        return;
                    }
                }
            }
        }
    }

    async fn send_once(&self, number: u32, seat: &mut Seat, id: &str, frame: &str) -> Result<Reply, Trouble> {
        let exchange = async {
            seat.connection.send(frame.to_owned()).await?;
            loop {
                let frame = seat.connection.next().await?;
                match frames::recognise(&frame) {
                    Frame::Message { id } => self.received(number, id),
                    Frame::Reply { re, is_ok: true } if re == id.as_bytes() => return Ok(Reply::Done),
                    Frame::Reply { re, is_ok: false } if re == id.as_bytes() => return Ok(refusal(&frame)),
                    Frame::Reply { .. } | Frame::Other => {}
                }
            }
        };
        match tokio::time::timeout(REPLY_TIMEOUT, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::Lost(format!("no reply within {} s", REPLY_TIMEOUT.as_secs()))),
        }
    }

    async fn listen_until_the_end(&self, mut seat: Seat) {
        let end = self.started + Duration::from_micros(self.end_us.get());
        let listening = async {
            loop {
                match seat.connection.next().await {
                    Ok(frame) => {
                        if let Frame::Message { id } = frames::recognise(&frame) {
                            self.received(NOBODY, id);
                        }
                    }
                    Err(trouble) => {
                        self.failed(trouble.to_string());
                        if !self.reconnect(&mut seat).await {
                            return;
                        }
                    }
                }
            }
        };
        // Either way it is over.
        let _ = tokio::time::timeout_at(end.into(), listening).await;
    }

    /// Comes back at another node; `false` if the time is over first.
    async fn reconnect(&self, seat: &mut Seat) -> bool {
        while !self.is_over() {
            tokio::time::sleep(PAUSE).await;
            seat.node = (seat.node + 1) % self.urls.len();
            match accounts::hello(&self.client, &self.urls[seat.node], &seat.token).await {
                Ok(connection) => {
                    seat.connection = connection;
                    return true;
                }
                Err(trouble) => self.failed(trouble.to_string()),
            }
        }
        false
    }

    fn acknowledged(&self, sent_us: u64) {
        let now_us = self.now_us();
        let mut tally = self.tally.borrow_mut();
        tally.acked_so_far += 1;
        if self.is_measured(now_us) {
            tally.ack.record(now_us - sent_us);
        }
    }

    /// Counts a message that somebody else sent in this run.
    fn received(&self, number: u32, id: &[u8]) {
        let Some(stamp) = Stamp::read(id) else { return };
        let now_us = self.now_us();
        if stamp.run != self.run || stamp.client == number || stamp.sent_us > now_us {
            return;
        }
        let mut tally = self.tally.borrow_mut();
        tally.delivered_so_far += 1;
        if self.is_measured(now_us) {
            tally.delivery.record(now_us - stamp.sent_us);
        }
    }

    fn failed(&self, reason: String) {
        let mut tally = self.tally.borrow_mut();
        tally.errors += 1;
        tally.last_error = Some(reason);
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).expect("a run ends within a day")
    }

    fn is_over(&self) -> bool {
        self.now_us() >= self.end_us.get()
    }

    fn is_measured(&self, now_us: u64) -> bool {
        (self.measured_from_us..self.end_us.get()).contains(&now_us)
    }
}

/// What became of a request.
enum Reply {
    Done,
    Refused { retry: bool, pause: Duration, reason: String },
}

fn refusal(frame: &[u8]) -> Reply {
    let reply: Value = serde_json::from_slice(frame).unwrap_or_default();
    let error = &reply["error"];
    let word = |name: &str| error[name].as_str().unwrap_or("unknown").to_owned();
    Reply::Refused {
        retry: error["retry"] == true,
        pause: error["retry_after_ms"].as_u64().map_or(PAUSE, Duration::from_millis),
        reason: format!("{}: {}", word("code"), word("message")),
    }
}

/// Words of lower-case letters, the same in every run.
fn words(bytes: usize) -> String {
    let mut state: u32 = 1;
    let mut next = |below: u32| {
        // Numerical Recipes' generator: good enough for spelling.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        for _ in 0..1 + next(3) {
            text.push(char::from(b"bdfghjklmnprstvw"[next(16) as usize]));
            text.push(char::from(b"aeiou"[next(5) as usize]));
        }
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_words() {
        let text = words(5000);
        assert_eq!(text.len(), 5000);
        assert!(!text.contains("  ") && text.is_ascii());
        assert!(text.split(' ').all(|word| word.len() <= 6));
    }

    #[test]
    fn refusals_say_when_to_come_back() {
        let frame = br#"{"re":"1","ok":false,"error":{"code":"rate_limited","message":"slow","retry":true,"retry_after_ms":40}}"#;
        let Reply::Refused { retry, pause, reason } = refusal(frame) else { panic!("it is a refusal") };
        assert_eq!((retry, pause, reason.as_str()), (true, Duration::from_millis(40), "rate_limited: slow"));
    }
}
