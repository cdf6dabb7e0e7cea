//! Sessions and peers ↔ `RaftNode`.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::chat::command::{Command, Item};
use crate::chat::outcome::{Outcome, Refusal};
use crate::ids::{At, LogIndex, RaftId, Term};
use crate::messages::news::DiskRoom;
use crate::messages::transfer::Transfer;
use crate::post;

/// Asks for a change. The answer comes once it is applied here, refused, or its fate cannot be known.
pub struct Propose {
    pub command: Command,
    pub reply: oneshot::Sender<Result<Outcome, NotDone>>,
}

/// Why a proposal was not answered with an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// Applied, and refused by the rules of the chat.
    Refused(Box<Refusal>),
    /// No majority now; this try was never handed on and will never take effect.
    Unavailable,
    /// Handed on, and nothing heard: it may be done or not. Repeating it with the same id is safe.
    Unknown,
    /// The disks of too many nodes are nearly full, as the sentence says; this try was never handed on and
    /// will never take effect.
    NoRoom(String),
    /// Too much waits already.
    Busy,
    /// A kind of change that this member is not known to read yet; this try will never take effect.
    TooNew { member: RaftId },
}

/// Asks for the point of the order that a linearizable read must see (ReadIndex, Raft thesis § 6.4).
/// Answered when this node has applied that far.
pub struct ReadBarrier {
    pub reply: oneshot::Sender<Result<(), NotDone>>,
}

/// Raft messages from a peer, in order, already checked for cluster and receiver.
pub struct Step {
    pub messages: Vec<raft::eraftpb::Message>,
}

/// Commands of one node's people, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of the command that went before the first of them; 0: none that is still waited for.
    pub after: u64,
    /// Each follows the one before it.
    pub items: Vec<Item>,
}

impl Chain {
    /// What the next one would follow.
    pub fn last(&self) -> u64 {
        self.items.last().map_or(self.after, |item| item.origin.number)
    }
}

/// Commands that a follower hands to this node, which it takes for the leader of `term`.
pub struct Forwarded {
    pub from: RaftId,
    pub term: Term,
    pub chain: Chain,
}

/// A peer could not be reached: Raft slows down towards it.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable {
    pub peer: RaftId,
}

/// A peer's process is gone: its port refuses connections, or its held response ended and does so now.
#[derive(Clone, Copy, Debug)]
pub struct Died {
    pub peer: RaftId,
}

/// Asks this node to hand leadership to somebody else, if it leads, and to take no more proposals.
/// Answered when another node leads, or none will within the election timeout.
pub struct StepDown {
    pub reply: oneshot::Sender<()>,
}

/// Asks how consensus stands.
pub struct Standing {
    pub reply: oneshot::Sender<ClusterView>,
}

/// Consensus as this node sees it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    pub leader: Option<RaftId>,
    pub term: Term,
    pub quorum: bool,
    pub applied: LogIndex,
    /// Of the last outcome that was told here, at least.
    pub at: At,
    pub commit: LogIndex,
    /// As the leader knows them; empty elsewhere.
    pub peers: Vec<PeerProgress>,
    /// State that is on its way to this node.
    pub transfer: Option<Transfer>,
    /// As each node said last.
    pub disks: BTreeMap<RaftId, DiskRoom>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    pub peer: RaftId,
    pub matched: LogIndex,
    pub lag: u64,
    pub learner: bool,
    pub active: bool,
}

post! {
    Propose => "propose",
    ReadBarrier => "read_barrier",
    Step => "step",
    Forwarded => "forwarded",
    Unreachable => "unreachable",
    Died => "died",
    StepDown => "step_down",
    Standing => "standing",
}
