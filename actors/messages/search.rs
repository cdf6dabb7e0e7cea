//! Anybody → `Indexer`: who looks for words; and `Storage` → `Indexer`: that there is something to index.

use tokio::sync::oneshot;

use crate::chat::objects::Message;
use crate::ids::{At, RoomId};
use crate::post;
use crate::words::Query;

/// There are changes that the index does not hold. Said by whoever wrote them, unless it waits already.
pub struct Grown;

/// Which messages hold these words? Of the rooms that the user is in, the newest first.
pub struct Search {
    pub user: String,
    pub query: Query,
    /// Only in this room.
    pub room: Option<RoomId>,
    /// Only by this one.
    pub from: Option<String>,
    /// Only with a lower `at`.
    pub before: Option<At>,
    /// Only what was sent before, in Unix milliseconds.
    pub before_time: Option<u64>,
    pub limit: usize,
    pub reply: oneshot::Sender<Searched>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Searched {
    Found(FoundPage),
    /// Or not one's own.
    NoSuchRoom,
    /// Nobody has the name of `from`.
    NoSuchUser,
    /// The index cannot be used on this node for the time being.
    NotNow,
}

/// Everything found is as of `at`.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct FoundPage {
    pub messages: Vec<Found>,
    pub more: bool,
    pub at: At,
    /// The index is being built: what it does not hold yet was not found.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    #[serde(flatten)]
    pub message: Message,
    /// Where the text holds it, in UTF-16 units: from, to before.
    pub hit: Vec<(u32, u32)>,
}

post! {
    Grown => "grown",
    Search => "search",
}
