//! What people see: users, rooms, messages, events, in the JSON of the contract.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{At, FileId, RoomId, Seq};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Member,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomKind {
    Public,
    Private,
    Direct,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub display: String,
    pub role: Role,
    pub deleted: bool,
    /// An admin shut it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// A program, not a person.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bot: bool,
}

/// For fields that are written only when they are true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// A room as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub room: RoomId,
    /// Empty for a direct conversation: the page names it after the others.
    pub name: String,
    pub kind: RoomKind,
    pub topic: String,
    /// Direct conversations: all who take part, oneself included, by name. Others: empty and left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    pub member: bool,
    pub last_seq: Seq,
    /// Moves with the room and one's own membership, not with its messages.
    pub at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub at: At,
    pub room: RoomId,
    pub seq: Seq,
    /// The sender's own id of the send.
    pub id: String,
    pub from: String,
    pub text: String,
    /// Unix milliseconds; never runs backwards in a room.
    pub time: u64,
    pub version: u64,
    pub edited: bool,
    pub deleted: bool,
    pub reply_to: Option<Seq>,
    /// Emoji → who, by name.
    pub reactions: BTreeMap<String, Vec<String>>,
    pub files: Vec<File>,
}

/// What a message said once, or says now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: u64,
    pub text: String,
    /// When it was written, in Unix milliseconds.
    pub time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub file: FileId,
    pub name: String,
    pub bytes: u64,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A change that somebody may see: the state it left, at its own `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "ev", rename_all = "lowercase")]
pub enum Event {
    Message(Message),
    Room(Room),
    Member {
        at: At,
        room: RoomId,
        user: String,
        member: bool,
    },
    User(UserEvent),
    Read {
        at: At,
        room: RoomId,
        user: String,
        seq: Seq,
    },
    /// To the user's own sessions only.
    Mute {
        at: At,
        room: RoomId,
        muted: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserEvent {
    pub at: At,
    #[serde(flatten)]
    pub user: User,
}

impl Event {
    pub fn at(&self) -> At {
        match self {
            Self::Message(message) => message.at,
            Self::Room(room) => room.at,
            Self::User(event) => event.at,
            Self::Member { at, .. } | Self::Read { at, .. } | Self::Mute { at, .. } => *at,
        }
    }
}
