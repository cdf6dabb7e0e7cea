//! Who the nodes of a chat are.

use raft::eraftpb::ConfState;
use serde::{Deserialize, Serialize};

use crate::chat::command::FormatError;
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

/// A node as the tables know it. A change of members carries the row as it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    pub name: String,
    /// Of the last life of its disk; `None`: it is written down and was never here.
    pub raft_id: Option<RaftId>,
    /// Drawn with the file that has this Raft id; founders have not said theirs.
    pub disk: Option<String>,
    pub peer: String,
    pub public: String,
    /// Stays a learner until it is promoted.
    pub learner: bool,
    pub removed: bool,
}

impl NodeRow {
    /// As a log entry carries it, with field names, so that fields can be added.
    ///
    /// # Errors
    /// Never in practice.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Ok(rmp_serde::to_vec_named(self)?)
    }

    /// # Errors
    /// When these are not the bytes of a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

/// Everybody who is or was in the chat, and who of them Raft counts, as of one applied position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roll {
    /// By name.
    pub rows: Vec<NodeRow>,
    pub conf: ConfState,
}

impl Roll {
    /// As a founding or an admission says it, before the tables do: all vote, this node not yet.
    pub fn provisional(founding: &Founding, own: RaftId) -> Self {
        let row = |node: &Node| NodeRow {
            name: node.name.clone(),
            raft_id: Some(node.raft_id),
            disk: None,
            peer: node.peer.clone(),
            public: node.public.clone(),
            learner: false,
            removed: false,
        };
        let voters = founding.nodes.iter().map(|node| node.raft_id.0).filter(|&id| id != own.0).collect();
        let conf = ConfState { voters, learners: vec![own.0], ..ConfState::default() };
        Self { rows: founding.nodes.iter().map(row).collect(), conf }
    }

    pub fn row(&self, name: &str) -> Option<&NodeRow> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Whether Raft sends to that replica, and may wait for it.
    pub fn is_here(&self, id: RaftId) -> bool {
        let ConfState { voters, voters_outgoing, learners, learners_next, .. } = &self.conf;
        [voters, voters_outgoing, learners, learners_next].iter().any(|ids| ids.contains(&id.0))
    }

    pub fn is_voter(&self, id: RaftId) -> bool {
        self.conf.voters.contains(&id.0)
    }

    /// A change of members is half done: two majorities decide.
    pub fn is_joint(&self) -> bool {
        !self.conf.voters_outgoing.is_empty()
    }

    /// The highest Raft id that was ever given away.
    pub fn highest(&self) -> RaftId {
        self.rows.iter().filter_map(|row| row.raft_id).max().unwrap_or_default()
    }

    /// Was a replica, and is none any more. One that is not known yet was not removed: this node may lag.
    pub fn was_removed(&self, id: RaftId) -> bool {
        id <= self.highest() && !self.is_here(id)
    }

    /// The replica of that name, if there is one now.
    pub fn id_of(&self, name: &str) -> Option<RaftId> {
        self.row(name)?.raft_id.filter(|&id| self.is_here(id))
    }

    pub fn name_of(&self, id: RaftId) -> String {
        let row = self.rows.iter().find(|row| row.raft_id == Some(id));
        row.map_or_else(|| format!("raft id {id}"), |row| row.name.clone())
    }

    /// Every replica, by Raft id.
    pub fn here(&self) -> Vec<Node> {
        let here = |listed: Listed| Some(listed.node).filter(|node| node.raft_id.0 != 0);
        self.listed().into_iter().filter_map(here).collect()
    }

    /// Everybody who is part of the chat, by Raft id; at the end those that are only written down.
    pub fn listed(&self) -> Vec<Listed> {
        // In a joint configuration who gains a vote does not have it for good.
        let votes =
            |id: RaftId| self.is_voter(id) && (!self.is_joint() || self.conf.voters_outgoing.contains(&id.0));
        let listed = |row: &NodeRow| Listed {
            learner: !row.raft_id.is_some_and(votes),
            node: Node {
                name: row.name.clone(),
                raft_id: self.id_of(&row.name).unwrap_or_default(),
                peer: row.peer.clone(),
                public: row.public.clone(),
            },
        };
        let mut all: Vec<Listed> = self.rows.iter().filter(|row| !row.removed).map(listed).collect();
        all.sort_by_key(|listed| (listed.node.raft_id.0 == 0, listed.node.raft_id));
        all
    }
}

/// What a new replica is told: its id in a living cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    pub raft_id: RaftId,
    pub cluster: String,
    pub epoch: String,
    /// The clusters in whose place this one came.
    #[serde(default)]
    pub supersedes: Vec<String>,
    /// Everybody, itself included.
    pub nodes: Vec<Node>,
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

/// A node in the directory. One that is only written down has the Raft id 0.
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

    /// Where browsers reach this node.
    pub fn public_url(&self) -> Option<&str> {
        self.nodes
            .iter()
            .find(|listed| listed.node.name == self.node)
            .map(|listed| listed.node.public.as_str())
    }

    pub fn name_of(&self, id: RaftId) -> Option<&str> {
        self.nodes.iter().find(|listed| listed.node.raft_id == id).map(|listed| listed.node.name.as_str())
    }
}
