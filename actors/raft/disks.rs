//! What is to be done when a disk is slow or nearly full: pure, as everything around it.
//!
//! Raft alone never replaces a leader whose disk stands still: its heartbeats go on. So a leader hands over
//! to a peer whose disk has done what its own has not, if there is one to a peer with room; and one whose disk is
//! nearly full to a peer with room. Changes that take room are refused while no majority of the voters has any.

use std::collections::BTreeMap;

use super::core::Core;
use crate::ids::{LogIndex, RaftId};
use crate::messages::news::DiskRoom;

/// Election timeouts between two tries to hand over.
const BETWEEN_TRIES: u64 = 2;

/// Why a leader hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An append has been under way for longer than an election timeout.
    Slow,
    NearlyFull,
}

/// What a leader did about its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandsOver {
    pub to: RaftId,
    pub trouble: Trouble,
}

/// See the module.
#[derive(Default)]
pub struct Disks {
    /// As each node said last; nothing is known of a node that has not said anything.
    rooms: BTreeMap<RaftId, DiskRoom>,
    try_again_at: u64,
    /// The trouble that was told already, until it is over.
    told: Option<Trouble>,
}

impl Disks {
    pub fn report(&mut self, of: RaftId, room: DiskRoom) {
        self.rooms.insert(of, room);
    }

    pub fn rooms(&self) -> &BTreeMap<RaftId, DiskRoom> {
        &self.rooms
    }

    fn is_low(&self, node: RaftId) -> bool {
        self.rooms.get(&node).is_some_and(|room| room.low)
    }

    /// Why nothing that takes room can be written now: too few voters have any.
    pub fn refusal(&self, core: &Core) -> Option<String> {
        if !self.rooms.values().any(|room| room.low) || core.is_majority(|voter| !self.is_low(voter)) {
            return None;
        }
        let low =
            core.voters().into_iter().filter_map(|voter| self.rooms.get(&voter)).filter(|room| room.low);
        let low: Vec<_> = low
            .map(|room| format!("the disk of {} is nearly full: {} MB free", room.node, room.free_mb))
            .collect();
        Some(format!("{}; messages can be read and deleted", low.join(", ")))
    }

    /// A tick: hands leadership over when this node leads, its disk is in trouble and another node's is
    /// not. Gives what is news.
    pub fn tick(&mut self, core: &mut Core) -> Option<HandsOver> {
        let Some(trouble) = self.trouble(core) else {
            self.told = None;
            return None;
        };
        if core.is_transferring() || core.ticks() < self.try_again_at {
            return None;
        }
        let to = match core.stuck_at() {
            Some(stuck) => core
                .hand_over(|peer, matched| !self.is_low(peer) && matched >= stuck)
                // What little room there is there is enough to read and delete.
                .or_else(|| core.hand_over(|_, matched| matched >= stuck)),
            None => core.hand_over(|peer, _| !self.is_low(peer)),
        }?;
        self.try_again_at = core.ticks() + BETWEEN_TRIES * core.election_ticks();
        let is_news = self.told.replace(trouble) != Some(trouble);
        is_news.then_some(HandsOver { to, trouble })
    }

    /// This node is going: hands leadership to the peer whose log is the furthest and who was heard lately, if there is
    /// one to a peer that has room and all that is committed. Says to whom; `None`: there is nobody, or this node does
    /// not lead.
    pub fn leave(&self, core: &mut Core) -> Option<RaftId> {
        let commit = core.commit();
        core.hand_over(|peer, matched| !self.is_low(peer) && matched >= commit)
            .or_else(|| core.hand_over(|_, _| true))
    }

    fn trouble(&self, core: &Core) -> Option<Trouble> {
        if !core.leadership().leads {
            None
        } else if core.stuck_at().is_some() {
            Some(Trouble::Slow)
        } else if self.is_low(core.id()) && core.is_majority(|voter| !self.is_low(voter)) {
            Some(Trouble::NearlyFull)
        } else {
            None
        }
    }
}

impl Core {
    /// The last entry of an append that has been under way for longer than an election timeout.
    fn stuck_at(&self) -> Option<LogIndex> {
        let writing = self.writing.as_ref()?;
        (self.ticks - writing.since > self.election_ticks()).then_some(LogIndex(writing.last))
    }

    /// Whether those for whom `fit` holds are a majority of the voters, in each half of a joint
    /// configuration.
    fn is_majority(&self, fit: impl Fn(RaftId) -> bool) -> bool {
        let fit = self.voters().into_iter().filter(|&voter| fit(voter)).map(|voter| voter.0).collect();
        self.node.raft.prs().has_quorum(&fit)
    }

    /// Hands leadership to the peer whose log is the furthest, of those that were heard lately and are
    /// `fit`, by their id and matched index. Says to whom; `None`: there is nobody, or this node does not
    /// lead.
    pub(super) fn hand_over(&mut self, fit: impl Fn(RaftId, LogIndex) -> bool) -> Option<RaftId> {
        if !self.leadership().leads {
            return None;
        }
        let progress = self.node.raft.prs();
        let matched = |peer: RaftId| LogIndex(progress.get(peer.0).map_or(0, |of| of.matched));
        let to = self
            .voters()
            .into_iter()
            .filter(|&peer| peer != self.id() && self.heard_lately(peer) && fit(peer, matched(peer)))
            .max_by_key(|&peer| matched(peer))?;
        self.node.transfer_leader(to.0);
        Some(to)
    }
}
