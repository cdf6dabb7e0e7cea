//! What the core can be asked; nothing here changes it.

use raft::{INVALID_ID, StateRole};

use super::{Core, Leadership};
use crate::ids::{LogIndex, RaftId, Term};

impl Core {
    pub fn leadership(&self) -> Leadership {
        let raft = &self.node.raft;
        let leads = raft.state == StateRole::Leader;
        let leader = (raft.leader_id != INVALID_ID).then_some(RaftId(raft.leader_id));
        Leadership { term: Term(raft.term), leader, leads }
    }

    /// Whether a majority is there, as this node believes now: a leader heard from one, a follower
    /// heard from its leader, within the election timeout.
    pub fn quorum(&self) -> bool {
        match self.leadership() {
            Leadership { leads: true, .. } => self.hears_majority(),
            Leadership { leader: Some(leader), .. } => self.heard_lately(leader),
            Leadership { leader: None, .. } => false,
        }
    }

    /// Everybody in the configuration as this node knows it, learners too.
    pub fn members(&self) -> impl Iterator<Item = RaftId> + '_ {
        self.node.raft.prs().iter().map(|(id, _)| RaftId(*id))
    }

    pub fn commit(&self) -> LogIndex {
        LogIndex(self.node.raft.raft_log.committed)
    }

    pub fn last_index(&self) -> LogIndex {
        LogIndex(self.node.raft.raft_log.last_index())
    }

    pub fn applied_index(&self) -> LogIndex {
        LogIndex(self.applied)
    }

    pub(in crate::raft) fn ticks(&self) -> u64 {
        self.ticks
    }

    pub(in crate::raft) fn election_ticks(&self) -> u64 {
        self.election_ticks
    }

    pub fn id(&self) -> RaftId {
        RaftId(self.node.raft.id)
    }

    /// Leadership is being handed over: proposals wait.
    pub fn is_transferring(&self) -> bool {
        self.node.raft.lead_transferee.is_some()
    }

    /// A leader answers reads and has nothing older to commit once an entry of its term is committed.
    pub fn has_committed_in_term(&self) -> bool {
        self.node.raft.commit_to_current_term()
    }

    /// An entry of the present term was applied here: every entry of an earlier term that will ever be
    /// committed was, too.
    pub fn has_applied_in_term(&self) -> bool {
        self.term_of(LogIndex(self.applied)) == Some(Term(self.node.raft.term))
    }

    /// Each peer with its matched index, and whether it is a learner; as the leader knows them.
    pub fn progress(&self) -> Vec<(RaftId, LogIndex, bool)> {
        if !self.leadership().leads {
            return Vec::new();
        }
        let learners = self.node.store().conf_state().get_learners();
        let mut peers: Vec<_> = self
            .node
            .raft
            .prs()
            .iter()
            .map(|(&id, progress)| (RaftId(id), LogIndex(progress.matched), learners.contains(&id)))
            .collect();
        peers.sort_unstable();
        peers
    }

    /// The term of an entry that the log has.
    pub fn term_of(&self, index: LogIndex) -> Option<Term> {
        self.node.store().term_of(index.0).map(Term)
    }

    /// More than one append is under way: what comes now had better gather for the one after.
    pub fn is_disk_behind(&self) -> bool {
        self.writing.is_some() && self.next.is_some()
    }

    /// Messages that wait for the disk.
    pub fn held_messages(&self) -> usize {
        let gathering = self.next.as_ref().map(|(_, held)| held);
        self.writing.iter().chain(gathering).map(|held| held.messages.len()).sum()
    }

    pub fn voters(&self) -> Vec<RaftId> {
        self.node.raft.prs().conf().voters().ids().iter().map(RaftId).collect()
    }

    pub fn heard_lately(&self, peer: RaftId) -> bool {
        self.heard_since(peer, self.ticks.saturating_sub(self.election_ticks))
    }

    /// Whether a peer has been heard at that tick or later.
    pub fn heard_since(&self, peer: RaftId, tick: u64) -> bool {
        self.heard.iter().any(|&(of, heard)| of == peer && heard >= tick)
    }

    /// How many entries a replica lacks, as the leader knows; `u64::MAX` when it has none that the log still goes back
    /// to: it lacks the state as well.
    pub fn lag_of(&self, id: RaftId) -> u64 {
        let progress = self.progress();
        let matched = progress.iter().find(|(of, ..)| *of == id).map_or(0, |(_, matched, _)| matched.0);
        if matched + 1 < self.node.raft.raft_log.first_index() {
            return u64::MAX;
        }
        self.last_index().0.saturating_sub(matched)
    }
}
