//! Operators and nodes that join ↔ `RaftNode`: who is in the cluster, and who leads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::links::PeerPorts;
use crate::chat::command::LEVEL_FIRST;
use crate::ids::RaftId;
use crate::membership::Roll;
use crate::post;

/// What somebody wants changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Write a name down before its node starts.
    Add {
        name: String,
        peer: String,
        public: String,
        /// Until it is promoted.
        learner: bool,
    },
    Remove {
        name: String,
    },
    /// Make a voter of a learner.
    Promote {
        name: String,
    },
    /// Move leadership there.
    Lead {
        name: String,
    },
    /// A node with an empty disk wants to be a replica.
    Join {
        name: String,
        peer: String,
        public: String,
        /// Drawn with its file.
        disk: String,
        /// The replica of that name whose address was asked and no longer answers with its old disk.
        gone: Option<RaftId>,
        /// The highest format level of commands that it reads.
        #[serde(default = "first_level")]
        level: u8,
    },
}

/// Of a node that does not say: it is from before there was more than one.
fn first_level() -> u8 {
    LEVEL_FIRST
}

/// Asks for a change of members; answered in the end, or with what is to be done instead.
pub struct ChangeMembers {
    pub wish: Wish,
    pub reply: oneshot::Sender<Settled>,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// It is so now, says the sentence; or it was so before.
    Done(String),
    /// The replica that was added, and everybody as of then.
    Joined { raft_id: RaftId, roll: Arc<Roll> },
    /// It must not be; the sentence says why.
    Refused(String),
    /// Another node leads, or nobody.
    Elsewhere(Option<RaftId>),
    /// Nothing was done, and the same wish may be granted a little later.
    Later(String),
    /// A replica of that name is there: ask its address whether its disk still is.
    AskOld { raft_id: RaftId, peer: String },
    /// Proposed, and nothing heard.
    Unknown,
}

/// The links to all peers, whenever they change. For `RaftNode`.
pub struct Links {
    pub peers: BTreeMap<RaftId, PeerPorts>,
}

/// A peer whose id is higher than any that is known here has asked something: where it is.
#[derive(Clone, Debug)]
pub struct Stranger {
    pub id: RaftId,
    pub url: String,
}

post! {
    ChangeMembers => "change_members",
    Links => "links",
    Stranger => "stranger",
}
