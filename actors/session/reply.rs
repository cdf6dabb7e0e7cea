//! Answers and problems as the JSON of the contract, alike for WebSocket and HTTP.

use serde::Serialize;

use crate::bus::Unanswered;
use crate::chat::objects::{Message, Room, User, Version, is_false};
use crate::chat::outcome::{Code, Done, Outcome, Refusal};
use crate::chat::tables::Registration;
use crate::ids::{At, RoomId, Seq, SubscriptionId};
use crate::messages::people::Cluster;
use crate::messages::reading::HomeRoom;
use crate::messages::search::FoundPage;

/// How long somebody is asked to wait when this node has too much to do.
const BUSY_RETRY_MS: u64 = 200;

pub type Reply = Result<Answer, Problem>;

/// What a request is answered with when it was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Sent {
        seq: Seq,
        at: At,
        time: u64,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Edited {
        version: u64,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Room {
        room: Room,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Plain {
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Welcome(Box<Welcome>),
    Users {
        users: Vec<ListedUser>,
        #[serde(skip_serializing_if = "Option::is_none")]
        more: Option<bool>,
    },
    Rooms {
        rooms: Vec<Room>,
    },
    History {
        messages: Vec<Message>,
        more: bool,
        at: At,
    },
    Found(FoundPage),
    Versions {
        versions: Vec<Version>,
    },
    User {
        user: User,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Link {
        /// What `list_invites` names it by.
        #[serde(skip_serializing_if = "Option::is_none")]
        invite: Option<String>,
        /// With its token, which is told here and nowhere else.
        link: String,
        until: u64,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Sessions {
        sessions: Vec<ListedSession>,
    },
    Invites {
        invites: Vec<ListedInvite>,
    },
    Bot {
        /// Told here and nowhere else.
        token: String,
        user: User,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Hook {
        /// The name of its account.
        hook: String,
        /// With its token, which is told here and nowhere else.
        url: String,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Hooks {
        hooks: Vec<ListedHook>,
    },
    Bots {
        bots: Vec<ListedBot>,
    },
    Subscribed {
        subscription: NewSubscription,
        at: At,
        #[serde(skip_serializing_if = "is_false")]
        duplicate: bool,
    },
    Subscriptions {
        subscriptions: Vec<ListedSubscription>,
    },
    Server {
        registration: Registration,
    },
    Pong {
        time: u64,
    },
    FileLink {
        url: String,
        /// Unix milliseconds.
        until: u64,
    },
    Heard {},
}

#[derive(Debug, Serialize)]
pub struct ListedUser {
    #[serde(flatten)]
    pub user: User,
    pub online: bool,
}

#[derive(Debug, Serialize)]
pub struct ListedSession {
    /// What `end_session` takes.
    pub session: String,
    /// `None`: made before this was kept.
    pub time: Option<u64>,
    pub agent: String,
    /// The one that asks.
    pub current: bool,
}

#[derive(Debug, Serialize)]
pub struct ListedHook {
    pub hook: String,
    pub display: String,
    pub owner: String,
    pub disabled: bool,
}

#[derive(Debug, Serialize)]
pub struct ListedBot {
    pub name: String,
    pub display: String,
    pub owner: String,
    pub rights: Vec<String>,
    pub disabled: bool,
}

#[derive(Debug, Serialize)]
pub struct NewSubscription {
    pub id: SubscriptionId,
    pub room: RoomId,
    pub url: String,
    /// Told here and nowhere else.
    pub secret: String,
}

#[derive(Debug, Serialize)]
pub struct ListedSubscription {
    /// What `delete_subscription` takes.
    pub id: SubscriptionId,
    pub room: RoomId,
    pub url: String,
    pub by: String,
    pub state: &'static str,
    /// The `seq` of the last message that was dealt with.
    pub delivered: Seq,
    /// Unix milliseconds; `None`: the last message was taken.
    pub failing_since: Option<u64>,
    pub error: Option<String>,
    /// When this was written down.
    pub time: u64,
}

#[derive(Debug, Serialize)]
pub struct ListedInvite {
    /// What `revoke_invite` takes.
    pub invite: String,
    pub by: String,
    pub uses: u64,
    pub used: u64,
    pub until: u64,
    pub revoked: bool,
}

/// What `hello` gives; `register` and `login` add their token.
#[derive(Debug, Serialize)]
pub struct Welcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Of the change, for `register` and `login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    #[serde(skip_serializing_if = "is_false")]
    pub duplicate: bool,
    pub user: User,
    pub node: String,
    pub protocol: u32,
    pub cursor: At,
    pub epoch: String,
    pub resumed: bool,
    pub behind: bool,
    pub rooms: Vec<HomeRoom>,
    pub cluster: Cluster,
    pub nodes: Vec<String>,
    pub limits: Limits,
    pub heartbeat_ms: u64,
}

/// The limits as in the settings.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    pub message_bytes: usize,
    pub frame_bytes: usize,
    pub file_bytes: u64,
    pub messages_per_second: u32,
    pub logins_per_minute: u32,
}

/// Why a request was not done.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: Code,
    pub message: String,
    pub retry_after_ms: Option<u64>,
    /// The message as it is, when an `edit` came too late.
    pub current: Option<Box<Message>>,
}

impl Problem {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, current: None }
    }

    /// Too often, or too much at once: in so many milliseconds it may be taken.
    pub fn rate_limited(message: &str, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms.max(1)), ..Self::new(Code::RateLimited, message) }
    }

    /// A bug on this side; what is known of it goes into the log.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "this failed here, and was written to the log")
    }

    pub fn unavailable() -> Self {
        Self::new(Code::Unavailable, "no majority of nodes now: nothing can be changed")
    }

    pub fn timeout() -> Self {
        Self::new(Code::Timeout, "whether this was done is not known: repeat it with the same id")
    }
}

impl From<Unanswered> for Problem {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Full => Self::rate_limited("this node has too much to do just now", BUSY_RETRY_MS),
            Unanswered::Gone => Self::new(Code::Unavailable, "this node is stopping: try another"),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { current: refusal.current, ..Self::new(refusal.code, refusal.message) }
    }
}

impl From<Outcome> for Answer {
    fn from(Outcome { at, duplicate, done }: Outcome) -> Self {
        match done {
            Done::Sent { seq, time } => Self::Sent { seq, at, time, duplicate },
            Done::Edited { version } => Self::Edited { version, at, duplicate },
            Done::Room(room) => Self::Room { room, at, duplicate },
            // An account's own answer is its welcome; here it is only that it was done.
            // A link's is made where its token was drawn.
            // A subscription's too, which has its address; an import's is the operators' door's to tell.
            Done::Plain
            | Done::Account(_)
            | Done::Marked { .. }
            | Done::Link { .. }
            | Done::Subscribed { .. }
            | Done::Imported(_) => Self::Plain { at, duplicate },
            Done::User(user) => Self::User { user, at, duplicate },
        }
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a Message>,
}

/// The reply as JSON: `re` first for a frame, none for HTTP.
pub fn encode(re: Option<&str>, reply: &Reply) -> String {
    let mut text = String::with_capacity(192);
    text.push('{');
    if let Some(re) = re {
        text.push_str("\"re\":");
        push_json(&mut text, &re);
        text.push(',');
    }
    match reply {
        Ok(answer) => {
            text.push_str("\"ok\":true");
            let start = text.len();
            push_json(&mut text, answer);
            // The answer's own fields follow: `{` becomes the comma before them.
            let comma = if text.len() - start > 2 { "," } else { "" };
            text.replace_range(start..=start, comma);
        }
        Err(problem) => {
            let (code, _, retry) = problem.code.row();
            text.push_str("\"ok\":false,\"error\":");
            let body = ErrorBody {
                code,
                message: &problem.message,
                retry,
                retry_after_ms: problem.retry_after_ms,
                current: problem.current.as_deref(),
            };
            push_json(&mut text, &body);
            text.push('}');
        }
    }
    text
}

fn push_json<T: Serialize>(text: &mut String, value: &T) {
    match serde_json::to_string(value) {
        Ok(json) => text.push_str(&json),
        Err(error) => {
            tracing::error!(%error, "a reply cannot be encoded");
            text.push_str("{}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_those_of_the_contract() {
        let sent = Answer::Sent { seq: Seq(3), at: At(9), time: 1_700_000_000_000, duplicate: false };
        assert_eq!(
            encode(Some("a\"b"), &Ok(sent)),
            r#"{"re":"a\"b","ok":true,"seq":3,"at":9,"time":1700000000000}"#
        );
        assert_eq!(
            encode(None, &Ok(Answer::Plain { at: At(9), duplicate: true })),
            r#"{"ok":true,"at":9,"duplicate":true}"#
        );
        assert_eq!(encode(Some("1"), &Ok(Answer::Heard {})), r#"{"re":"1","ok":true}"#);
        assert_eq!(
            encode(Some("1"), &Err(Problem::new(Code::NotFound, "no such room"))),
            r#"{"re":"1","ok":false,"error":{"code":"not_found","message":"no such room","retry":false}}"#
        );
        assert_eq!(
            encode(None, &Err(Problem::rate_limited("too often", 50))),
            concat!(
                r#"{"ok":false,"error":{"code":"rate_limited","message":"too often","retry":true,"#,
                r#""retry_after_ms":50}}"#
            )
        );
    }
}
