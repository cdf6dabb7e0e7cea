//! Anybody ↔ `Hub`: who is here, and how the cluster looks from this node.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::oneshot;

use super::links::{Gossip, LinkState};
use super::news::Role;
use crate::bus::Port;
use crate::ids::{At, RaftId, RoomId};
use crate::membership::Directory;
use crate::post;

/// Asks to pass on that somebody writes; the asker is known to be in the room.
pub struct Typing {
    pub room: RoomId,
    pub user: String,
}

/// Which of these are connected, on any node? Answered in their order.
pub struct Online {
    pub names: Vec<String>,
    pub reply: oneshot::Sender<Vec<bool>>,
}

/// How does the cluster look from here?
pub struct Surroundings {
    pub reply: oneshot::Sender<View>,
}

/// The cluster as this node's `Hub` was last told.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last `at` applied here.
    pub at: At,
    pub role: Option<Role>,
    pub links: BTreeMap<RaftId, LinkState>,
}

/// The cluster as people are told of it, in `hello` and in `cluster` events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cluster {
    pub leader: Option<String>,
    pub quorum: bool,
    pub nodes: Vec<ClusterNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterNode {
    pub name: String,
    pub public: String,
    pub role: &'static str,
    pub up: bool,
}

impl Cluster {
    pub fn new(directory: &Directory, view: &View) -> Self {
        let leader = view.role.and_then(|role| role.leader);
        let nodes = directory.nodes.iter().map(|listed| ClusterNode {
            name: listed.node.name.clone(),
            public: listed.node.public.clone(),
            role: role_name(leader, listed.node.raft_id, listed.learner),
            up: is_up(directory, view, &listed.node.name, listed.node.raft_id),
        });
        Self {
            leader: leader.and_then(|id| directory.name_of(id)).map(str::to_owned),
            quorum: view.role.is_some_and(|role| role.quorum),
            nodes: nodes.collect(),
        }
    }
}

/// The role of a node, as the contract names it.
pub fn role_name(leader: Option<RaftId>, id: RaftId, learner: bool) -> &'static str {
    match (leader == Some(id), learner) {
        (true, _) => "leader",
        (false, true) => "learner",
        (false, false) => "follower",
    }
}

/// This node is up; another one when the link to it says so.
pub fn is_up(directory: &Directory, view: &View, name: &str, id: RaftId) -> bool {
    name == directory.node || view.links.get(&id).is_some_and(|link| link.up)
}

/// The links to the peers, all of them: sent when the node starts and whenever members change.
#[derive(Clone)]
pub struct Peers {
    pub links: BTreeMap<RaftId, Port<Gossip>>,
}

/// The tables were replaced as a whole: every session reads on from its cursor.
#[derive(Clone, Copy, Debug)]
pub struct Replaced {
    pub at: At,
}

post! {
    Typing => "typing",
    Online => "online",
    Surroundings => "surroundings",
    Peers => "peers",
    Replaced => "replaced",
}
