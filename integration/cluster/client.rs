//! One connection to `/ws`, and who is on it.
//!
//! Whatever a story is about, each connection checks that its events come in rising `at`, each with
//! an `at` of its own.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use actix_codec::Framed;
use awc::BoxedSocket;
use awc::error::WsClientError;
use awc::ws::{Codec, Frame, Message};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};

use super::replies::{self, number, text};
use super::wait::{PATIENCE, until};

/// Whole state of a room of the greatest messages must fit.
const FRAME_BYTES_MAX: usize = 16 << 20;

pub struct Client {
    framed: Framed<BoxedSocket, Codec>,
    pub url: String,
    /// Once somebody is on it.
    pub name: String,
    pub token: String,
    /// The reply to `register`, `login` or `hello`.
    pub welcome: Value,
    /// All events so far.
    pub events: Vec<Value>,
    /// Those that no story has asked for yet.
    unread: VecDeque<Value>,
    replies: HashMap<String, Value>,
    last_at: u64,
    closed: Option<Closed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// `None`: the connection just ended.
    pub code: Option<u16>,
    pub reason: String,
}

/// An `id` nobody used before.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub fn password_of(name: &str) -> String {
    format!("the password of {name}")
}

impl Client {
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, &[]).await.unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// # Errors
    /// When there is no connection, or the answer is not 101.
    pub async fn open_with(url: &str, headers: &[(&str, &str)]) -> Result<Self, WsClientError> {
        let builder = awc::Client::builder().max_http_version(awc::http::Version::HTTP_11);
        let mut request = builder.finish().ws(format!("{url}/ws")).max_frame_size(FRAME_BYTES_MAX);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (_, framed) = request.connect().await?;
        Ok(Self {
            framed,
            url: url.to_owned(),
            name: String::new(),
            token: String::new(),
            welcome: Value::Null,
            events: Vec::new(),
            unread: VecDeque::new(),
            replies: HashMap::new(),
            last_at: 0,
            closed: None,
        })
    }

    /// Creates an account with the password that [`password_of`] says.
    pub async fn register(&mut self, name: &str) {
        let reply = self.ok("register", json!({"name": name, "password": password_of(name)})).await;
        self.is_on(name, reply);
    }

    pub async fn login(&mut self, name: &str) {
        self.login_with(name, &password_of(name)).await;
    }

    /// Logs in with another password than the tests' usual one.
    pub async fn login_with(&mut self, name: &str, password: &str) {
        let reply = self.ok("login", json!({"name": name, "password": password})).await;
        self.is_on(name, reply);
    }

    /// Says hello as somebody who is on another connection.
    pub async fn hello_as(&mut self, other: &Client) {
        self.hello(&other.token.clone(), json!({})).await;
    }

    /// Says hello, with more fields such as `cursor`.
    pub async fn hello(&mut self, token: &str, more: Value) -> Value {
        let mut fields = json!({"token": token});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut reply = self.ok("hello", fields).await;
        reply["token"] = token.into();
        let name = text(&reply["user"], "name");
        self.is_on(&name, reply.clone());
        reply
    }

    fn is_on(&mut self, name: &str, reply: Value) {
        self.name = name.to_owned();
        self.token = text(&reply, "token");
        self.welcome = reply;
    }

    /// Asks under a new id, and waits for the reply.
    pub async fn ask(&mut self, op: &str, fields: Value) -> Value {
        self.ask_as(&new_id(), op, fields).await
    }

    /// Asks under this id, and waits for the reply.
    pub async fn ask_as(&mut self, id: &str, op: &str, fields: Value) -> Value {
        self.post(id, op, fields).await;
        self.reply(id).await
    }

    /// Asks, and expects it to be done.
    pub async fn ok(&mut self, op: &str, fields: Value) -> Value {
        let asked = format!("{op} {fields}");
        let reply = self.ask(op, fields).await;
        replies::done(&asked, &reply);
        reply
    }

    /// Asks, and expects a refusal with this code, whose error it returns.
    pub async fn refused(&mut self, op: &str, fields: Value, code: &str) -> Value {
        let asked = format!("{op} {fields}");
        let reply = self.ask(op, fields).await;
        replies::refused(&asked, &reply, code)
    }

    /// Asks, and again under the same id while nobody leads, until it is done.
    pub async fn until_done(&mut self, op: &str, fields: Value) -> Value {
        let reply = self.until_settled(&new_id(), op, &fields).await;
        replies::done(&format!("{op} {fields}"), &reply);
        reply
    }

    /// Asks under this id, and again while nobody leads: what is done or refused in the end.
    pub async fn until_settled(&mut self, id: &str, op: &str, fields: &Value) -> Value {
        until(&format!("{op} {fields} to be settled"), async || {
            let reply = self.ask_as(id, op, fields.clone()).await;
            let code = reply["error"]["code"].as_str().unwrap_or_default();
            (!["unavailable", "timeout"].contains(&code)).then_some(reply)
        })
        .await
    }

    /// Asks without waiting.
    pub async fn post(&mut self, id: &str, op: &str, mut fields: Value) {
        fields["id"] = id.into();
        fields["op"] = op.into();
        self.frame(Message::Text(fields.to_string().into())).await;
    }

    /// Sends any frame at all.
    pub async fn frame(&mut self, message: Message) {
        // A connection that is gone shows when it is read.
        let _ = self.framed.send(message).await;
    }

    /// Waits for the reply to this id.
    pub async fn reply(&mut self, id: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(reply) = self.replies.remove(id) {
                return reply;
            }
            if !self.read(deadline).await {
                panic!("{} has no reply to {id} from {}: {:?}", self.name, self.url, self.closed);
            }
        }
    }

    /// Waits for an event that no one has asked for yet and that looks like this.
    pub async fn event(&mut self, expected: Value) -> Value {
        let is_like = |event: &Value| {
            expected.as_object().unwrap().iter().all(|(name, value)| event.get(name) == Some(value))
        };
        let what = expected.to_string();
        self.event_that(&what, is_like).await
    }

    pub async fn event_that(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.unread.iter().position(&is_it) {
                return self.unread.remove(place).unwrap();
            }
            if !self.read(deadline).await {
                let (name, url) = (&self.name, &self.url);
                panic!("{name} on {url} got no {what}: {:?}; unread: {:?}", self.closed, self.unread);
            }
        }
    }

    /// Waits until the other side closes.
    pub async fn closed(&mut self) -> Closed {
        let deadline = Instant::now() + PATIENCE;
        while self.read(deadline).await {}
        self.closed.clone().unwrap_or_else(|| panic!("{} on {} is not closed", self.name, self.url))
    }

    /// Reads for so long, whatever comes.
    pub async fn listen(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.read(deadline).await {}
    }

    /// Whether a round trip still works.
    pub async fn is_alive(&mut self) -> bool {
        let id = new_id();
        self.post(&id, "ping", json!({})).await;
        let deadline = Instant::now() + PATIENCE;
        while self.closed.is_none() && !self.replies.contains_key(&id) && self.read(deadline).await {}
        self.replies.remove(&id).is_some()
    }

    /// The highest `at` of an event so far, or the cursor it began with.
    pub fn cursor(&self) -> u64 {
        self.last_at.max(self.welcome["cursor"].as_u64().unwrap_or(0))
    }

    /// Where a further connection of the same user goes on from.
    pub fn position(&self) -> Value {
        json!({"cursor": self.cursor(), "epoch": self.welcome["epoch"]})
    }

    /// The events that have an `at` above this one, such as they are.
    pub fn events_after(&self, at: u64) -> Vec<&Value> {
        self.events.iter().filter(|event| event["at"].as_u64().is_some_and(|own| own > at)).collect()
    }

    /// A new room with nobody else in it; returns its number.
    pub async fn create_room(&mut self, name: &str, kind: &str) -> u64 {
        let reply = self.ok("create_room", json!({"name": name, "kind": kind})).await;
        number(&reply["room"], "room")
    }

    /// Sends a message and returns its seq.
    pub async fn send(&mut self, room: u64, text: &str) -> u64 {
        let reply = self.ok("send", json!({"room": room, "text": text})).await;
        number(&reply, "seq")
    }

    /// The reply to this id, if it has come.
    pub fn take_reply(&mut self, id: &str) -> Option<Value> {
        self.replies.remove(id)
    }

    /// All events that have come, for somebody who keeps count of them.
    pub fn take_events(&mut self) -> Vec<Value> {
        self.unread.clear();
        std::mem::take(&mut self.events)
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Reads one frame; says no when there is none by then.
    pub async fn read(&mut self, deadline: Instant) -> bool {
        if self.closed.is_some() {
            return false;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let gone = Closed { code: None, reason: String::new() };
        match actix::clock::timeout(left, self.framed.next()).await {
            Err(_) => return false,
            Ok(None | Some(Err(_))) => self.closed = Some(gone),
            Ok(Some(Ok(Frame::Close(reason)))) => {
                self.frame(Message::Close(reason.clone())).await;
                self.closed = Some(reason.map_or(gone, |reason| Closed {
                    code: Some(reason.code.into()),
                    reason: reason.description.unwrap_or_default(),
                }));
            }
            Ok(Some(Ok(Frame::Ping(bytes)))) => self.frame(Message::Pong(bytes)).await,
            Ok(Some(Ok(Frame::Text(bytes)))) => self.take(&bytes),
            Ok(Some(Ok(Frame::Pong(_)))) => {}
            Ok(Some(Ok(frame))) => panic!("{} sent {frame:?}", self.url),
        }
        true
    }

    fn take(&mut self, bytes: &Bytes) {
        let frame: Value = serde_json::from_slice(bytes).unwrap();
        if let Some(id) = frame["re"].as_str() {
            assert!(frame["ok"].is_boolean(), "{frame}");
            let earlier = self.replies.insert(id.to_owned(), frame.clone());
            assert!(earlier.is_none(), "two replies: {earlier:?}, {frame}");
            return;
        }
        assert!(frame["ev"].is_string(), "neither a reply nor an event: {frame}");
        if frame.get("at").is_some() {
            let at = number(&frame, "at");
            assert!(at > self.last_at, "{} on {}: {frame} after at {}", self.name, self.url, self.last_at);
            self.last_at = at;
        }
        self.unread.push_back(frame.clone());
        self.events.push(frame);
    }
}
