//! The pure core of presence: who is connected here, by shard, and at which peer. Says who came and
//! who went only when that is true for all nodes together.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::RaftId;

/// Somebody came online or went offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub user: String,
    pub online: bool,
}

#[derive(Default)]
pub struct People {
    shards: BTreeMap<u64, BTreeSet<String>>,
    peers: BTreeMap<RaftId, BTreeSet<String>>,
}

impl People {
    pub fn is_online(&self, user: &str) -> bool {
        self.shards.values().chain(self.peers.values()).any(|users| users.contains(user))
    }

    /// Everybody who is connected to this node.
    pub fn here(&self) -> BTreeSet<String> {
        self.shards.values().flatten().cloned().collect()
    }

    /// A user's first session on a shard came, or the last one went.
    pub fn local(&mut self, shard: u64, user: &str, online: bool) -> Option<Turn> {
        let before = self.is_online(user);
        let users = self.shards.entry(shard).or_default();
        if online {
            users.insert(user.to_owned());
        } else {
            users.remove(user);
        }
        let after = self.is_online(user);
        (before != after).then(|| Turn { user: user.to_owned(), online: after })
    }

    /// A peer says who is connected to it, all of them.
    pub fn heard(&mut self, peer: RaftId, users: BTreeSet<String>) -> Vec<Turn> {
        let before = self.peers.get(&peer).cloned().unwrap_or_default();
        let changed: Vec<String> = before.symmetric_difference(&users).cloned().collect();
        self.turns(&changed, |people| {
            people.peers.insert(peer, users);
        })
    }

    /// A peer is gone, and its people with it.
    pub fn lost_peer(&mut self, peer: RaftId) -> Vec<Turn> {
        let gone: Vec<String> = self.peers.get(&peer).into_iter().flatten().cloned().collect();
        self.turns(&gone, |people| {
            people.peers.remove(&peer);
        })
    }

    /// A worker thread is gone, and its sessions with it.
    pub fn lost_shard(&mut self, shard: u64) -> Vec<Turn> {
        let gone: Vec<String> = self.shards.get(&shard).into_iter().flatten().cloned().collect();
        self.turns(&gone, |people| {
            people.shards.remove(&shard);
        })
    }

    fn turns(&mut self, users: &[String], change: impl FnOnce(&mut Self)) -> Vec<Turn> {
        let before: Vec<bool> = users.iter().map(|user| self.is_online(user)).collect();
        change(self);
        let turned = users.iter().zip(before).filter_map(|(user, before)| {
            let online = self.is_online(user);
            (online != before).then(|| Turn { user: user.clone(), online })
        });
        turned.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn turn(user: &str, online: bool) -> Turn {
        Turn { user: user.to_owned(), online }
    }

    #[test]
    fn one_is_online_while_connected_anywhere() {
        let mut people = People::default();
        assert_eq!(people.local(1, "ann", true), Some(turn("ann", true)));
        assert_eq!(people.local(2, "ann", true), None);
        assert_eq!(people.heard(RaftId(2), users(&["ann", "bob"])), [turn("bob", true)]);
        assert_eq!(people.local(1, "ann", false), None);
        assert_eq!(people.local(2, "ann", false), None);
        assert!(people.is_online("ann"));
        assert_eq!(people.heard(RaftId(2), users(&["bob"])), [turn("ann", false)]);
        assert_eq!(people.here(), users(&[]));
    }

    #[test]
    fn a_node_that_dies_takes_its_people_along() {
        let mut people = People::default();
        people.heard(RaftId(2), users(&["ann", "bob"]));
        people.heard(RaftId(3), users(&["bob"]));
        assert_eq!(people.lost_peer(RaftId(2)), [turn("ann", false)]);
        assert_eq!(people.lost_peer(RaftId(3)), [turn("bob", false)]);
        assert_eq!(people.lost_peer(RaftId(3)), []);
    }
}
