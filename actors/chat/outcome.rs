//! What became of a command, and whom to tell.

use serde::{Deserialize, Serialize};

use super::command::TokenHash;
use super::objects::{Event, Message, Room, User};
use super::portable::Landed;
use crate::ids::{At, Seq, SubscriptionId};

/// A change that was done, or was done before under the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The last `at` that the change took; one that changed nothing has the present one.
    pub at: At,
    /// Done before: this is the first outcome again.
    #[serde(skip)]
    pub duplicate: bool,
    pub done: Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Nothing more to tell.
    Plain,
    /// `register`, `login`.
    Account(User),
    /// `create_room`, `join`, `leave`, `invite`, `remove`, `open_direct`.
    Room(Room),
    Sent {
        seq: Seq,
        time: u64,
    },
    Edited {
        version: u64,
    },
    /// An account as it is now: `set_profile` and what admins do to one.
    User(User),
    /// A link was made; its token is told by whoever drew it.
    Link {
        /// Unix milliseconds.
        until: u64,
    },
    /// A subscription was made; its secret, which a repeat is told as well.
    Subscribed {
        subscription: SubscriptionId,
        /// Not in the row that is kept for repeats, or it would outlive the subscription: there it is read from
        /// the subscription's own. Earlier programs kept it; it counts only where it is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        secret: String,
    },
    /// `mark_read`, by the request of this id.
    Marked {
        id: String,
    },
    /// `import`: what became of each item.
    Imported(Vec<Landed>),
}

/// A change that was not done. Nothing of it stays, and it is not remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// What is wrong and what to do: lower case, short, no full stop.
    pub message: String,
    /// An `edit` that came too late: the message as it is.
    pub current: Option<Box<Message>>,
    /// A `register` under the id that made this very account: the session checks the password
    /// and, when it is right, asks for a `Login` under the same id.
    pub registered_by_this_id: bool,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), current: None, registered_by_this_id: false }
    }
}

/// The error codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    Internal,
    Unavailable,
    Timeout,
}

impl Code {
    /// The code as clients read it, its HTTP status, and whether repeating the same request can help.
    pub fn row(self) -> (&'static str, u16, bool) {
        match self {
            Self::BadRequest => ("bad_request", 400, false),
            Self::Unauthorized => ("unauthorized", 401, false),
            Self::Forbidden => ("forbidden", 403, false),
            Self::NotFound => ("not_found", 404, false),
            Self::Conflict => ("conflict", 409, false),
            Self::TooLarge => ("too_large", 413, false),
            Self::RateLimited => ("rate_limited", 429, true),
            Self::Internal => ("internal", 500, false),
            Self::Unavailable => ("unavailable", 503, true),
            Self::Timeout => ("timeout", 504, true),
        }
    }
}

/// What happened to one changed row, and who may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub audience: Audience,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    Everybody,
    /// The room's members as of this change.
    Room,
    /// The room's members without one: who came or went gets a `room` event of the same `at`.
    RoomWithout(String),
    User(String),
}

/// A session that ended: whoever holds its socket closes it with 4503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnded {
    pub token_hash: TokenHash,
}

/// Everything that applying one command brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub outcome: Result<Outcome, Refusal>,
    /// By rising `at`. An `at` may stand twice, for two audiences that exclude each other.
    pub notices: Vec<Notice>,
    pub ended: Vec<SessionEnded>,
}

impl Effect {
    /// An outcome that changed nothing.
    pub fn only(outcome: Result<Outcome, Refusal>) -> Self {
        Self { outcome, notices: Vec::new(), ended: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_an_earlier_program_kept_stays_as_it_was_written() {
        for text in [
            r#"{"at":5,"done":{"Subscribed":{"subscription":1,"secret":"s"}}}"#,
            r#"{"at":5,"done":{"Subscribed":{"subscription":1}}}"#,
        ] {
            let outcome: Outcome = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&outcome).unwrap(), text);
        }
    }
}
