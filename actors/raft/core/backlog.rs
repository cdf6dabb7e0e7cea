//! What a node knows to be committed and has not applied: it holds all of it in memory.

use super::Core;

/// Entries that are committed and not applied, beyond which no more are taken. A leader proposes nothing long before.
const UNAPPLIED_MAX: u64 = 16_384;
/// … and bytes of entries in memory, while there are such.
const UNAPPLIED_BYTES_MAX: usize = 64 << 20;

impl Core {
    /// Whether more waits to be applied than may. It is applied whatever the others do, so entries that are refused for
    /// it are taken when they come again: to the leader they are lost. What is not committed does not count: to commit
    /// it a new leader needs an entry of its own behind it.
    pub(super) fn is_apply_behind(&self) -> bool {
        let unapplied = self.commit().0 - self.applied;
        let bytes = self.node.store().bytes_in_memory();
        unapplied > UNAPPLIED_MAX || (unapplied > 0 && bytes > UNAPPLIED_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{ConfState, Entry, HardState, Message, MessageType};

    use super::*;
    use crate::ids::{LogIndex, RaftId};
    use crate::raft::core::{Config, Outputs};
    use crate::raft::log_view::LogStart;

    fn entries(after: u64, count: u64, bytes: usize) -> Message {
        let entry = |index| Entry { index, term: 1, data: vec![0; bytes].into(), ..Entry::default() };
        let entries: Vec<_> = (after + 1..=after + count).map(entry).collect();
        let (index, commit) = (after, after + count);
        let mut message =
            Message { from: 1, to: 2, term: 1, index, log_term: 1, commit, ..Message::default() };
        message.entries = entries.into();
        message.set_msg_type(MessageType::MsgAppend);
        message
    }

    /// Its tables stay behind; nothing but the disk goes on.
    fn take(core: &mut Core, message: Message) -> u64 {
        let mut out = Outputs::default();
        core.step(message, &mut out);
        core.drive(&mut out);
        while let Some(append) = out.append.take() {
            core.persisted(append.number, &mut out);
            core.drive(&mut out);
        }
        core.last_index().0
    }

    #[test]
    fn a_follower_takes_no_more_than_may_wait_to_be_applied() {
        let config = Config {
            id: RaftId(2),
            election_ticks: 10,
            heartbeat_ticks: 2,
            fixed_election_tick: None,
            log_keep_entries: 10,
        };
        for (count, bytes) in [(UNAPPLIED_MAX + 1, 0), (65, 1 << 20)] {
            let start = LogStart {
                hard_state: HardState { term: 1, commit: 1, ..HardState::default() },
                conf_state: ConfState { voters: vec![1, 2, 3], ..ConfState::default() },
                applied: 1,
                cut: (1, 1),
                last: 1,
                ..LogStart::default()
            };
            let mut core = Core::new(&config, start).unwrap();
            let last = 1 + count;
            assert_eq!(take(&mut core, entries(1, count, bytes)), last);
            assert_eq!(take(&mut core, entries(last, 1, 0)), last, "too much waits already");
            assert_eq!(core.commit(), LogIndex(last));
            core.applied(LogIndex(last));
            assert_eq!(take(&mut core, entries(last, 1, 0)), last + 1);
        }
    }
}
