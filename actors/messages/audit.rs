//! `Storage`, `Reader` and peers ↔ `Auditor`: what the rows of each replica come to, and what is damaged.

use tokio::sync::oneshot;

use crate::chat::digest::RowsSum;
use crate::ids::{LogIndex, RaftId};
use crate::post;

/// What this node's rows came to when it applied that entry.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub index: LogIndex,
    pub sum: RowsSum,
}

/// What a peer's rows came to.
#[derive(Clone, Copy, Debug)]
pub struct PeerCounted {
    pub from: RaftId,
    pub index: LogIndex,
    pub sum: RowsSum,
}

/// Somebody read the file, and it is damaged.
#[derive(Clone, Debug)]
pub struct Damaged {
    pub why: String,
}

/// Are the rows here what they are to be? Others are to get them.
pub struct Vouch {
    pub reply: oneshot::Sender<Result<(), Unsound>>,
}

/// Why a node does not vouch for its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    #[error("the rows here are still being counted")]
    NotCounted,
    #[error("the rows here are damaged")]
    Damaged,
}

post! {
    Vouch => "vouch",
    Damaged => "damaged",
    Counted => "counted",
    PeerCounted => "peer_counted",
}
