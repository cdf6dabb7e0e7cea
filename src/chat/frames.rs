//! What a node says, with types. A frame's shape is checked here, once; behind it everyone trusts the type.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A frame from a node.
#[derive(Debug)]
pub enum Frame {
    Reply { re: String, outcome: Outcome },
    Event(Event),
}

pub type Outcome = Result<Value, Problem>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[serde(default)]
#[error("{message}")]
pub struct Problem {
    pub code: String,
    pub message: String,
    pub retry: bool,
    pub retry_after_ms: Option<u64>,
}

/// What `hello`, `login` and `register` answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Welcome {
    pub token: Option<String>,
    pub user: User,
    pub node: String,
    pub cursor: u64,
    pub epoch: String,
    pub resumed: bool,
    #[serde(default)]
    pub behind: bool,
    #[serde(default)]
    pub rooms: Vec<Room>,
    #[serde(default)]
    pub cluster: Cluster,
    #[serde(default)]
    pub nodes: Vec<String>,
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    pub name: String,
    pub display: String,
    pub online: bool,
    pub deleted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Room {
    pub room: u64,
    pub name: String,
    pub kind: String,
    pub topic: String,
    #[serde(deserialize_with = "names")]
    pub users: Vec<String>,
    pub member: bool,
    pub last_seq: u64,
    pub read_seq: u64,
    pub unread: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Message {
    pub at: u64,
    pub room: u64,
    pub seq: u64,
    pub id: String,
    pub from: String,
    pub text: String,
    /// Unix milliseconds.
    pub time: u64,
    pub version: u64,
    pub edited: bool,
    pub deleted: bool,
    pub reply_to: Option<u64>,
    pub reactions: BTreeMap<String, Vec<String>>,
    pub files: Vec<File>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct File {
    pub name: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cluster {
    pub quorum: bool,
    pub nodes: Vec<NodeState>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeState {
    pub public: String,
    pub up: bool,
}

/// What happened, and the frame as it came, for those who hand it on.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: Option<u64>,
    pub kind: EventKind,
    pub frame: Value,
}

#[derive(Debug, Clone)]
pub enum EventKind {
    Message(Message),
    Room(Room),
    Read { room: u64, seq: u64 },
    Typing { room: u64, user: String },
    Cluster(Cluster),
    Bye { nodes: Vec<String> },
    Other,
}

impl Room {
    /// What people call it: a conversation without a name is called after the others in it.
    pub fn title(&self, me: &str) -> String {
        if self.kind != "direct" {
            return self.name.clone();
        }
        let others: Vec<String> =
            self.users.iter().filter(|user| *user != me).map(|user| format!("@{user}")).collect();
        if others.is_empty() { format!("@{me}") } else { others.join(" ") }
    }
}

impl Problem {
    /// One of our own making: no node said it.
    pub fn own(code: &str, message: &str) -> Self {
        Self { code: code.into(), message: message.into(), ..Self::default() }
    }
}

impl Default for Problem {
    fn default() -> Self {
        let (code, message) = ("internal".into(), "the node did not say why".into());
        Self { code, message, retry: false, retry_after_ms: None }
    }
}

impl Event {
    /// The room that it is about, if it is about one.
    pub fn room(&self) -> Option<u64> {
        self.frame["room"].as_u64()
    }
}

/// Reads a frame; `None` for what this client does not know, which it may ignore.
pub fn read(frame: &[u8]) -> Option<Frame> {
    let frame: Value = serde_json::from_slice(frame).ok()?;
    if let Some(re) = frame["re"].as_str() {
        let re = re.to_owned();
        let outcome = if frame["ok"] == true {
            Ok(frame)
        } else {
            Err(Problem::deserialize(&frame["error"]).unwrap_or_default())
        };
        return Some(Frame::Reply { re, outcome });
    }
    let kind = match frame["ev"].as_str()? {
        "message" => EventKind::Message(Message::deserialize(&frame).ok()?),
        "room" => EventKind::Room(Room::deserialize(&frame).ok()?),
        "read" => EventKind::Read { room: frame["room"].as_u64()?, seq: frame["seq"].as_u64()? },
        "typing" => {
            EventKind::Typing { room: frame["room"].as_u64()?, user: frame["user"].as_str()?.to_owned() }
        }
        "cluster" => EventKind::Cluster(Cluster::deserialize(&frame).ok()?),
        "bye" => EventKind::Bye { nodes: Vec::deserialize(&frame["nodes"]).unwrap_or_default() },
        _ => EventKind::Other,
    };
    Some(Frame::Event(Event { at: frame["at"].as_u64(), kind, frame }))
}

/// The messages of a reply to `history` or `search`.
pub fn messages(reply: &Value) -> Vec<Message> {
    list(reply, "messages")
}

/// The objects under this name in a reply; those of another shape are left out.
pub fn list<'a, T: Deserialize<'a>>(reply: &'a Value, name: &str) -> Vec<T> {
    reply[name].as_array().into_iter().flatten().filter_map(|one| T::deserialize(one).ok()).collect()
}

/// People as names, whether a node lists them so or as objects.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        Name(String),
        User { name: String },
    }
    let people: Option<Vec<Named>> = Option::deserialize(deserializer)?;
    let name = |one| match one {
        Named::Name(name) | Named::User { name } => name,
    };
    Ok(people.unwrap_or_default().into_iter().map(name).collect())
}

fn heartbeat_ms() -> u64 {
    20_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_kind() {
        let reply = |text: &str| match read(text.as_bytes()) {
            Some(Frame::Reply { re, outcome }) => (re, outcome),
            other => panic!("{other:?}"),
        };
        assert_eq!(reply(r#"{"re":"a","ok":true,"seq":7}"#).1.unwrap()["seq"], 7);
        let error = r#"{"re":"a","ok":false,"error":{"code":"conflict","message":"taken","retry":false}}"#;
        assert_eq!(reply(error).1.unwrap_err().code, "conflict");
        assert_eq!(reply(r#"{"re":"a","ok":false}"#).1.unwrap_err().code, "internal");

        let event = |text: &str| match read(text.as_bytes()) {
            Some(Frame::Event(event)) => event,
            other => panic!("{other:?}"),
        };
        let message = event(r#"{"ev":"message","at":9,"room":1,"seq":7,"from":"ann","text":"hi","new":[1]}"#);
        assert_eq!((message.at, message.room()), (Some(9), Some(1)));
        assert!(matches!(message.kind, EventKind::Message(message) if message.text == "hi"));
        let room =
            event(r#"{"ev":"room","at":3,"room":2,"kind":"direct","users":["ann","bob"],"member":true}"#);
        assert!(matches!(room.kind, EventKind::Room(room) if room.users == ["ann", "bob"]));
        assert!(matches!(event(r#"{"ev":"of later","at":4}"#).kind, EventKind::Other));
        for broken in ["", "[]", "7", r#"{"ev":"message","room":"x"}"#, r#"{"ev":"read"}"#, "{}"] {
            assert!(read(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
