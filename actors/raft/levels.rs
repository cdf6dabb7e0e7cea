//! Which formats of commands may be proposed: those that every member is known to read.
//!
//! A level that was reached once is good for ever, since whoever joins must know it. A higher one is
//! proposed when every member has said that it knows it; one that is silent may be older. Pure.

use std::collections::BTreeMap;

use crate::chat::command::{LEVEL, LEVEL_FIRST};
use crate::ids::RaftId;

/// See the module.
#[derive(Clone, Debug)]
pub struct Levels {
    reached: u8,
    /// What each peer has said last, in this run of this node.
    known: BTreeMap<RaftId, u8>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { reached: LEVEL_FIRST, known: BTreeMap::new() }
    }
}

impl Levels {
    /// A command of this level was applied.
    pub fn reach(&mut self, level: u8) {
        self.reached = self.reached.max(level);
    }

    /// A peer says that it knows levels up to this.
    pub fn hear(&mut self, peer: RaftId, level: u8) {
        self.known.insert(peer, level);
    }

    /// Whether this peer has said anything yet.
    pub fn has_heard(&self, peer: RaftId) -> bool {
        self.known.contains_key(&peer)
    }

    /// The level that was reached, when it is above this one.
    pub fn above(&self, level: u8) -> Option<u8> {
        (self.reached > level).then_some(self.reached)
    }

    /// The highest level that all of these members are known to read.
    pub fn common(&self, own: RaftId, members: impl IntoIterator<Item = RaftId>) -> u8 {
        if self.obstacle(LEVEL, own, members).is_none() { LEVEL } else { self.reached }
    }

    /// Why no command of this level may be proposed: the member that is not known to read it.
    pub fn obstacle(
        &self,
        level: u8,
        own: RaftId,
        members: impl IntoIterator<Item = RaftId>,
    ) -> Option<RaftId> {
        if level <= self.reached {
            return None;
        }
        let knows = |member: RaftId| match member == own {
            true => LEVEL,
            false => self.known.get(&member).copied().unwrap_or(LEVEL_FIRST),
        };
        members.into_iter().find(|member| knows(*member) < level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: RaftId = RaftId(1);
    const OTHERS: [RaftId; 2] = [RaftId(2), RaftId(3)];

    #[test]
    fn a_level_waits_for_every_member_and_then_stays() {
        let mut levels = Levels::default();
        let obstacle = |levels: &Levels, level| levels.obstacle(level, OWN, [OWN].into_iter().chain(OTHERS));
        assert_eq!(obstacle(&levels, LEVEL_FIRST), None, "everybody knows the first");
        let next = LEVEL + 1;
        assert_eq!(obstacle(&levels, next), Some(OWN), "this program does not know it itself");
        let others = |levels: &Levels| levels.obstacle(next, OWN, OTHERS);
        assert_eq!(others(&levels), Some(RaftId(2)));
        levels.hear(RaftId(2), next + 1);
        assert_eq!(others(&levels), Some(RaftId(3)), "one that is silent may be older");
        levels.hear(RaftId(3), next);
        assert_eq!(others(&levels), None);
        // It comes back with an older program.
        levels.hear(RaftId(3), LEVEL_FIRST);
        assert_eq!(others(&levels), Some(RaftId(3)));
        assert_eq!(levels.above(LEVEL), None);
        levels.reach(next);
        assert_eq!(obstacle(&levels, next), None);
        assert_eq!((levels.above(LEVEL), levels.above(next)), (Some(next), None));
    }
}
