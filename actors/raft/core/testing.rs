//! A core whose peers have everything and agree to all.

use raft::eraftpb::{ConfState, HardState, Message, MessageType};

use super::elections::Cause;
use super::{Config, Core, Outputs};
use crate::ids::RaftId;
use crate::raft::log_view::LogStart;

/// Node 1, just founded with these voters.
pub(super) fn core(voters: &[u64]) -> Core {
    let config = Config {
        id: RaftId(1),
        election_ticks: 10,
        heartbeat_ticks: 2,
        fixed_election_tick: None,
        log_keep_entries: 10,
    };
    let start = LogStart {
        hard_state: HardState { term: 1, commit: 1, ..HardState::default() },
        conf_state: ConfState { voters: voters.to_vec(), ..ConfState::default() },
        applied: 1,
        cut: (1, 1),
        last: 1,
        ..LogStart::default()
    };
    Core::new(&config, start).unwrap()
}

fn answer(asked: &Message) -> Option<Message> {
    let (kind, index) = match asked.get_msg_type() {
        MessageType::MsgRequestPreVote => (MessageType::MsgRequestPreVoteResponse, 0),
        MessageType::MsgRequestVote => (MessageType::MsgRequestVoteResponse, 0),
        MessageType::MsgAppend => {
            let last = asked.entries.last().map_or(asked.index, |entry| entry.index);
            (MessageType::MsgAppendResponse, last)
        }
        _ => return None,
    };
    let mut said = Message { from: asked.to, to: 1, term: asked.term, index, ..Message::default() };
    said.set_msg_type(kind);
    Some(said)
}

/// Until nothing more comes of it. Says why this node was elected, if it was.
pub(super) fn settle(core: &mut Core) -> Option<Cause> {
    let mut elected = None;
    loop {
        let mut out = Outputs::default();
        core.drive(&mut out);
        elected = elected.or(out.elected);
        if let Some(append) = &out.append {
            core.persisted(append.number, &mut out);
        }
        if let Some(last) = out.apply.last() {
            core.applied(last.index);
        }
        let said: Vec<_> = out.messages.iter().filter_map(answer).collect();
        if said.is_empty() && out.append.is_none() && out.apply.is_empty() {
            return elected;
        }
        said.into_iter().for_each(|said| core.step(said, &mut Outputs::default()));
    }
}
