//! What comes of a drive, on its way to whom it concerns.

use std::collections::BTreeMap;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{FETCHES_MAX, RaftNode, answer, signed};
use crate::bus::NotSent;
use crate::ids::{LogIndex, RaftId};
use crate::messages::disk::{Apply, Compact};
use crate::messages::links::{Dismissal, Dismissed, Forward, Send};
use crate::messages::news::Role;
use crate::messages::reading::LogEntries;
use crate::messages::transfer::{FetchOver, FetchState};
use crate::raft::disks::{HandsOver, Trouble};
use crate::raft::log_view::Wanted;
use crate::raft::node::{Handed, Todo};

impl RaftNode {
    pub(super) fn carry_out(&mut self, todo: Todo, ctx: &mut Context<Self>) {
        let mut by_peer: BTreeMap<u64, Vec<raft::eraftpb::Message>> = BTreeMap::new();
        for message in todo.messages {
            by_peer.entry(message.to).or_default().push(message);
        }
        for (to, messages) in by_peer {
            let sent = match self.peers.get(&RaftId(to)) {
                Some(peer) => peer.send.offer(Send { messages }).is_ok(),
                None => false,
            };
            if !sent {
                self.node.unreachable(RaftId(to));
            }
        }
        if let Some(append) = todo.append {
            self.ports.append.tell(append);
        }
        if !todo.apply.is_empty() {
            self.ports.apply.tell(Apply { entries: todo.apply });
        }
        if let Some(Handed { to, term, chain }) = todo.forward
            && let Some(peer) = self.peers.get(&to)
            && let Err(NotSent::Full(_) | NotSent::Closed(_)) = peer.forward.offer(Forward { term, chain })
        {
            self.node.unreachable(to);
        }
        for (number, outcome) in todo.outcomes {
            if let Some((reply, asked)) = self.proposals.remove(&number) {
                self.metrics.proposal_seconds.observe(asked.elapsed().as_secs_f64());
                answer(reply, outcome);
            }
        }
        for (number, result) in todo.reads {
            if let Some(reply) = self.reads.remove(&number) {
                answer(reply, result);
            }
        }
        if let Some((number, settled)) = todo.settled
            && let Some(reply) = self.wishes.remove(&number)
        {
            answer(reply, settled);
        }
        for wanted in todo.wanted {
            self.fetch(wanted, ctx);
        }
        if let Some(word) = todo.went_back {
            let by = self.node.core().leadership().leader.unwrap_or_default();
            self.ports.dismissed.publish(&Dismissed { by, why: Dismissal::WentBack, word });
        }
        if let Some(to) = todo.compact {
            self.ports.compact.tell(Compact { to });
        }
        if let Some(offer) = todo.fetch {
            self.ports.fetch_state.tell(FetchState { offer });
        }
        if todo.fetch_over {
            self.transfer = None;
            self.ports.fetch_over.tell(FetchOver);
        }
        if let Some(HandsOver { to, trouble }) = todo.hands_over {
            let to = self.name(to);
            match trouble {
                Trouble::Slow => warn!(
                    to,
                    "the disk has been writing for longer than an election: handing leadership over"
                ),
                Trouble::NearlyFull => warn!(to, "the disk is nearly full: handing leadership over"),
            }
        }
        if let Some(cause) = todo.elected {
            self.metrics.raft_elections_won.with_label_values(&[cause.name()]).inc();
            info!(why = cause.name(), "elected");
        }
        if let Some(role) = todo.role {
            self.announce(role);
        }
        self.go_on_going(0);
    }

    /// Reads old entries for a lagging peer. One too many is dropped: Raft asks again at the next heartbeat.
    fn fetch(&mut self, wanted: Wanted, ctx: &mut Context<Self>) {
        if self.fetches >= FETCHES_MAX {
            return;
        }
        let (reply, entries) = oneshot::channel();
        let question = LogEntries {
            from: LogIndex(wanted.from),
            to: LogIndex(wanted.to),
            bytes_max: wanted.bytes_max,
            reply,
        };
        if self.ports.log_entries.offer(question).is_err() {
            return;
        }
        self.fetches += 1;
        let arrived = entries.into_actor(self).map(move |entries, actor, ctx| {
            actor.fetches -= 1;
            let entries = match entries {
                Ok(Ok(entries)) => Some(entries),
                Ok(Err(error)) => {
                    warn!(%error, "old log entries cannot be read for a lagging peer");
                    None
                }
                Err(_dropped) => None,
            };
            actor.node.fetched(wanted, entries);
            actor.drive(ctx);
        });
        ctx.spawn(arrived);
    }

    fn announce(&mut self, role: Role) {
        if role.leader.is_some() && role.leader != self.leader {
            self.leader = role.leader;
            self.metrics.raft_leader_changes.inc();
            let leader = role.leader.map(|leader| self.name(leader));
            info!(leader, term = %role.term, here = role.leads, "a leader is known");
        }
        self.ports.role.publish(&role);
        self.observe();
    }

    pub(super) fn go_on_going(&mut self, ticks: u32) {
        let role = self.node.core().leadership();
        if let Some(going) = &mut self.going {
            going.ticks_left = going.ticks_left.saturating_sub(ticks);
            let moved = !role.leads && role.leader.is_some();
            if moved || going.ticks_left == 0 {
                for reply in going.replies.drain(..) {
                    answer(reply, ());
                }
            } else if ticks > 0 && role.leads && !self.node.core().is_transferring() {
                // The transfer was given up, or there was nobody to take over: try again.
                let _again = self.node.step_down();
            }
        }
    }

    pub(super) fn observe(&self) {
        let view = self.node.view();
        let leads = self.node.core().leadership().leads;
        self.metrics.raft_term.set(signed(view.term.0));
        self.metrics.raft_is_leader.set(i64::from(leads));
        self.metrics.raft_commit_index.set(signed(view.commit.0));
        self.metrics.raft_applied_index.set(signed(view.applied.0));
        for (id, peer) in &self.peers {
            let lag = view.peers.iter().find(|of| of.peer == *id).map_or(0, |of| of.lag);
            self.metrics.raft_peer_lag.with_label_values(&[peer.name.as_str()]).set(signed(lag));
        }
    }

    pub(super) fn name(&self, peer: RaftId) -> String {
        match self.peers.get(&peer) {
            Some(of) => of.name.clone(),
            None if peer == self.node.core().id() => "this node".to_owned(),
            None => format!("raft id {peer}"),
        }
    }
}
