//! Anybody ↔ `PeerLink`, and what comes in from peers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bus::Port;
use crate::chat::digest::RowsSum;
use crate::ids::{LogIndex, RaftId, RoomId, Term};
use crate::membership::Retirement;
use crate::messages::consensus::Chain;
use crate::messages::news::DiskRoom;
use crate::post;

/// Asks to carry Raft messages to the peer, in order: heartbeats, votes and reads on their own link,
/// the rest in batches. A link that is full drops them and says `Unreachable`.
pub struct Send {
    pub messages: Vec<raft::eraftpb::Message>,
}

/// Asks to carry commands to the leader of a term, in order, on the link of the appends.
pub struct Forward {
    pub term: Term,
    pub chain: Chain,
}

/// One peer, as `RaftNode` needs it.
#[derive(Clone)]
pub struct PeerPorts {
    pub name: String,
    pub send: Port<Send>,
    pub forward: Port<Forward>,
}

/// Asks to carry passing news about people to the peer; lost when the peer is not there.
#[derive(Clone, Debug)]
pub struct Gossip {
    pub word: Word,
}

/// Passing news between two nodes: about people from Hub to Hub, what the rows come to, and room on disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    Typing {
        room: RoomId,
        user: String,
    },
    /// Everybody who is connected to the sending node now, by name.
    Here {
        users: BTreeSet<String>,
    },
    /// What the sending node's rows came to when it applied that entry.
    Rows {
        index: LogIndex,
        sum: RowsSum,
    },
    /// How much room the sending node has.
    Disk(DiskRoom),
}

/// A word from a peer's Hub.
pub struct Heard {
    pub from: RaftId,
    pub word: Word,
}

/// The state of the link to a peer: for `Hub` (whose people are they), and for `/api/v1/cluster`.
#[derive(Clone, Debug)]
pub struct LinkState {
    pub peer: RaftId,
    pub up: bool,
    /// The last round trip.
    pub round_trip_us: Option<u64>,
    /// The program that the peer runs; `None` until it said so.
    pub version: Option<Arc<str>>,
    /// The highest format level of commands that it reads; `None` until it said so.
    pub level: Option<u8>,
}

/// This node cannot go on as the replica that it is: a peer refuses it for good, or it sees so itself.
#[derive(Clone, Debug)]
pub struct Dismissed {
    pub by: RaftId,
    pub why: Dismissal,
    /// As the peer says it.
    pub word: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// It is part of its chat no more.
    Retired(Retirement),
    /// Its disk went back in time: what it promised since is not on it.
    WentBack,
    /// Its rows are not what they should be.
    Damaged,
}

post! {
    Send => "send",
    Forward => "forward",
    Gossip => "gossip",
    Heard => "heard",
    LinkState => "link_state",
    Dismissed => "dismissed",
}
