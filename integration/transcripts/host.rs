//! What the stage is peopled with: a node with its disk, and what is under way between two of them.

use chat_actors::ids::{RaftId, Term};
use chat_actors::membership::{NodeRow, Roll};
use chat_actors::messages::disk::{Append, Committed, Payload};
use chat_actors::raft::node::{Handed, Node};
use raft::eraftpb::{Entry, HardState, Message};

use super::words::{command_text, message_text};

/// A node with its disk.
pub struct Actor {
    pub node: Option<Node>,
    pub election_tick: usize,
    pub boot: u64,
    pub hard_state: HardState,
    /// The entry before the log's first: index and term.
    pub cut: (u64, u64),
    pub log: Vec<Entry>,
    pub applied: u64,
    pub append: Option<Append>,
    pub apply: Vec<Committed>,
    pub stands: Option<Term>,
    pub roll: Roll,
}

pub enum Parcel {
    Raft(Message),
    Commands { from: u64, handed: Handed },
}

impl Actor {
    pub fn new(tick: &str, roll: Roll) -> Self {
        Self {
            node: None,
            election_tick: tick.parse().expect("ticks"),
            boot: 0,
            hard_state: HardState { term: 1, commit: 1, ..HardState::default() },
            cut: (1, 1),
            log: Vec::new(),
            applied: 1,
            append: None,
            apply: Vec::new(),
            stands: None,
            roll,
        }
    }

    /// Whether it says who the members are.
    pub fn takes_members(&mut self, what: &Payload) -> bool {
        let row = match what {
            Payload::Conf(conf, row) => {
                self.roll.conf = conf.clone();
                row
            }
            Payload::Node(row) => row,
            Payload::Batch(_) | Payload::Empty => return false,
        };
        if !row.is_empty() {
            let row = NodeRow::decode(row).expect("a row");
            self.roll.rows.retain(|known| known.name != row.name);
            self.roll.rows.push(row);
        }
        true
    }
}

impl Parcel {
    pub fn link(&self) -> (u64, u64) {
        match self {
            Self::Raft(message) => (message.from, message.to),
            Self::Commands { from, handed } => (*from, handed.to.0),
        }
    }

    pub fn describe(&self) -> String {
        let (from, to) = self.link();
        match self {
            Self::Raft(message) => format!("{from} to {to}: {}", message_text(message)),
            Self::Commands { handed, .. } => {
                let texts: Vec<_> =
                    handed.chain.items.iter().map(|item| command_text(&item.command)).collect();
                format!(
                    "{from} to {to}: commands for the leader of term {}: {}",
                    handed.term,
                    texts.join(", ")
                )
            }
        }
    }
}

pub fn status_text(id: u64, actor: &Actor) -> String {
    let Some(node) = &actor.node else {
        return format!("{id}: down, {} entries on its disk", actor.log.len());
    };
    let view = node.view();
    let leader = view.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
    let last = node.core().last_index();
    format!(
        "{id}: term {}, leader {leader}, last {last}, commit {}, applied {}",
        view.term, view.commit, view.applied
    )
}

pub fn row(id: u64) -> NodeRow {
    NodeRow {
        name: format!("node{id}"),
        raft_id: Some(RaftId(id)),
        disk: Some(format!("disk{id}")),
        peer: format!("http://node{id}"),
        public: format!("http://public{id}"),
        learner: false,
        removed: false,
    }
}
