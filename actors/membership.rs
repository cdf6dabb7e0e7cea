//! Who the nodes of a chat are.

use serde::{Deserialize, Serialize};

use crate::ids::RaftId;

/// One node: its name for good, its Raft id for one life of its disk, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub raft_id: RaftId,
    /// Where other nodes reach it.
    pub peer: String,
    /// Where browsers reach it.
    pub public: String,
}

/// The record that founds a chat: the same bytes on every founder, stored before any Raft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// The cluster's own id: 32 hexadecimal digits.
    pub cluster: String,
    /// Changes when the chat is restored from a copy: 16 hexadecimal digits.
    pub epoch: String,
    /// By Raft id, from 1.
    pub nodes: Vec<Node>,
}

/// How far a disk has come on the way to being part of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foundation {
    /// Nothing on it.
    Empty,
    /// A record is stored; not every member is known to have stored it.
    Proposed(Founding),
    /// Every member stored the record: the chat exists.
    Founded(Founding),
}

/// Why a node is part of its chat no more. Its file stays as it is, and serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// The members agreed to go on without it.
    Removed,
    /// Another cluster came in the place of its own.
    Superseded,
}

/// The cluster as everybody on this node may know it; the node's wiring keeps it up to date and
/// hands it on through a `tokio::sync::watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The cluster's own id.
    pub cluster: String,
    pub epoch: String,
    /// This node's name.
    pub node: String,
    pub nodes: Vec<Listed>,
}

/// A node in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub node: Node,
    pub learner: bool,
}

impl Directory {
    /// Where browsers reach the nodes, this one included.
    pub fn public_urls(&self) -> Vec<String> {
        self.nodes.iter().map(|listed| listed.node.public.clone()).collect()
    }

    pub fn name_of(&self, id: RaftId) -> Option<&str> {
        self.nodes.iter().find(|listed| listed.node.raft_id == id).map(|listed| listed.node.name.as_str())
    }
}
