//! What a node's state has become, for whoever subscribed.

use serde::{Deserialize, Serialize};

use crate::ids::{RaftId, Term};
use crate::messages::transfer::Transfer;
use crate::post;

/// Who leads, and whether a majority is there, as this node believes now. Sent when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    pub leader: Option<RaftId>,
    pub leads: bool,
    pub term: Term,
    pub quorum: bool,
}

/// How much room a node has on its disk, and what is coming to it, by its own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRoom {
    /// Its name, for people.
    pub node: String,
    pub free_mb: u64,
    /// Less than its settings say that it needs.
    pub low: bool,
    /// State on its way to it; earlier versions say nothing of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
}

/// What a node said of its disk: this one, or a peer.
#[derive(Clone, Debug)]
pub struct DiskReport {
    pub of: RaftId,
    pub room: DiskRoom,
}

post! {
    DiskReport => "disk_report",
    Role => "role",
}
