//! What a node's state has become, for whoever subscribed.

use crate::ids::{RaftId, Term};
use crate::post;

/// Who leads, and whether a majority is there, as this node believes now. Sent when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    pub leader: Option<RaftId>,
    pub leads: bool,
    pub term: Term,
    pub quorum: bool,
}

post! {
    Role => "role",
}
