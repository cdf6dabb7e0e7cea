//! What waits for the disk with an append.

use raft::eraftpb::{Message, MessageType};

/// An append that is on its way to the disk, or gathers behind that one, and what may be sent once it is there.
pub(in crate::raft) struct Held {
    /// The tick at which it left for the disk.
    pub(in crate::raft) since: u64,
    /// The log's last entry then.
    pub(in crate::raft) last: u64,
    pub(super) number: u64,
    pub(super) messages: Vec<Message>,
    pub(super) term: u64,
    /// The state that is installed with it.
    pub(super) installs: Option<u64>,
}

impl Held {
    /// Adds messages. While a disk stands still heartbeats, questions and elections go on: of each of their kinds only
    /// the youngest to each peer is kept. Those that carry entries or acknowledge them are bounded by the leader, who
    /// sends only so many without an answer.
    pub(super) fn hold(&mut self, messages: Vec<Message>) {
        for mut message in messages {
            let place = self.messages.iter().position(|held| {
                held.to == message.to
                    && held.get_msg_type() == message.get_msg_type()
                    && has_successor(message.get_msg_type())
            });
            if let Some(place) = place {
                let earlier = self.messages.remove(place);
                if message.context.is_empty() && earlier.term == message.term {
                    // The read that it is about still waits.
                    message.context = earlier.context;
                }
            }
            self.messages.push(message);
        }
    }
}

/// Whether one that comes later makes it useless.
fn has_successor(kind: MessageType) -> bool {
    matches!(
        kind,
        MessageType::MsgHeartbeat
            | MessageType::MsgHeartbeatResponse
            | MessageType::MsgReadIndex
            | MessageType::MsgRequestPreVote
            | MessageType::MsgRequestPreVoteResponse
            | MessageType::MsgRequestVote
            | MessageType::MsgRequestVoteResponse
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(to: u64, kind: MessageType, index: u64, context: &str) -> Message {
        let mut message =
            Message { to, term: 2, index, context: context.as_bytes().to_vec().into(), ..Message::default() };
        message.set_msg_type(kind);
        message
    }

    #[test]
    fn only_the_youngest_answer_to_a_heartbeat_is_held() {
        let mut held = Held { since: 0, last: 0, number: 1, messages: Vec::new(), term: 2, installs: None };
        let (answer, entries) = (MessageType::MsgHeartbeatResponse, MessageType::MsgAppendResponse);
        held.hold(vec![message(1, answer, 1, "read"), message(1, entries, 5, ""), message(3, answer, 1, "")]);
        for index in 2..100 {
            held.hold(vec![message(1, answer, index, ""), message(1, entries, 6, "")]);
            held.messages.truncate(4);
        }
        let kept: Vec<_> =
            held.messages.iter().map(|held| (held.to, held.get_msg_type(), held.index)).collect();
        assert_eq!(kept[..2], [(1, entries, 5), (3, answer, 1)]);
        held.hold(vec![message(1, answer, 100, "")]);
        let last = held.messages.last().unwrap();
        assert_eq!((last.index, &last.context[..]), (100, &b"read"[..]));
        held.hold(vec![message(1, answer, 101, "another")]);
        assert_eq!(&held.messages.last().unwrap().context[..], b"another");
    }
}
