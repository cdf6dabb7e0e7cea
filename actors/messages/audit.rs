//! `Storage`, `Reader` and peers ↔ `Auditor`: what the rows of each replica come to, and what is damaged.

use std::collections::BTreeSet;

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

/// Who votes now.
#[derive(Clone, Debug)]
pub struct Electorate {
    pub voters: BTreeSet<RaftId>,
}

/// Somebody read the file, and it is damaged.
#[derive(Clone, Debug)]
pub struct Damaged {
    pub why: String,
}

post! {
    Damaged => "damaged",
    Counted => "counted",
    PeerCounted => "peer_counted",
    Electorate => "electorate",
}
