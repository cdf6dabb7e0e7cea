//! `RaftNode` ↔ `Storage`.

use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, HardState};
use tokio::sync::oneshot;

use crate::chat::outcome::{Notice, Outcome, Refusal, SessionEnded};
use crate::chat_db::pages::Position;
use crate::ids::{At, LogIndex, Origin, Term};
use crate::membership::{Retirement, Roll};
use crate::post;

/// Asks to write log entries and hard state, with an fsync. `Persisted(number)` comes after it.
pub struct Append {
    /// The youngest `Ready` in it.
    pub number: u64,
    /// Before everything else: the tables of another replica take the place of these, and the log
    /// begins behind them.
    pub snapshot: Option<Install>,
    /// They replace whatever the log holds from their first index on.
    pub entries: Vec<Entry>,
    pub hard_state: HardState,
}

/// State that was fetched (`chat_db::incoming`) and is to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// What the last page said of itself.
    pub position: Position,
    /// Pages from 1 on.
    pub pages: u64,
}

/// Everything up to this `Ready` is on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Persisted {
    pub number: u64,
}

/// Asks to apply committed entries, in order, behind all that was asked before.
pub struct Apply {
    pub entries: Vec<Committed>,
}

/// Allows to forget log entries up to `to`: none of them is needed any more. Done in small steps,
/// between other work.
#[derive(Clone, Copy, Debug)]
pub struct Compact {
    pub to: LogIndex,
}

/// One committed entry.
#[derive(Clone, Debug)]
pub struct Committed {
    pub index: LogIndex,
    pub term: Term,
    pub what: Payload,
}

#[derive(Clone, Debug)]
pub enum Payload {
    /// A leader's first entry in its term, or one that a conf change became.
    Empty,
    /// An encoded `chat::command::Batch`.
    Batch(Bytes),
    /// The configuration as of this entry, and the encoded `membership::NodeRow` that changes with it;
    /// none when a joint configuration is left.
    Conf(ConfState, Bytes),
    /// An encoded `membership::NodeRow` that changes alone: a node is written down before it is here.
    Node(Bytes),
}

/// Applied up to `index`, and stored. For `RaftNode`.
pub struct Applied {
    pub index: LogIndex,
    /// The last `at` of the applied position.
    pub at: At,
    /// Of the commands that this run of this node asked for, in order.
    pub outcomes: Vec<(Origin, Result<Outcome, Refusal>)>,
    /// The highest format level of a command among them; 0 without any.
    pub level: u8,
}

/// What changed, for whoever tells people. Follows the order of `at` without a hole.
#[derive(Clone)]
pub struct Changed {
    /// The last `at` of the applied position.
    pub at: At,
    pub notices: Arc<Vec<Notice>>,
    pub ended: Arc<Vec<SessionEnded>>,
}

/// Members have changed: everybody as of the applied position. For whoever subscribed; `RaftNode` is
/// told before the `Applied` that goes with it.
#[derive(Clone, Debug)]
pub struct Members {
    pub roll: Arc<Roll>,
}

/// Asks to mark the file so that it serves nobody any more, with an fsync.
pub struct Retire {
    pub why: Retirement,
    pub reply: oneshot::Sender<()>,
}

post! {
    Append => "append",
    Persisted => "persisted",
    Apply => "apply",
    Compact => "compact",
    Applied => "applied",
    Changed => "changed",
    Members => "members",
    Retire => "retire",
}
