//! What two nodes say to each other over HTTP: headers, bodies, refusals.
//!
//! `POST /peer/parcel` carries a [`Parcel`] and is answered 204 once it is queued.
//! `GET /peer/hold` is answered with a body that ends when the process does.
//! `GET /peer/state?after=AT&horizon=AT&bytes=N` is answered with a page of state (`chat_db::pages`).

use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::chat::command::Item;
use crate::ids::Term;
use crate::messages::consensus::Chain;
use crate::messages::links::Word;

pub const PARCEL_PATH: &str = "/peer/parcel";
pub const HOLD_PATH: &str = "/peer/hold";
pub const STATE_PATH: &str = "/peer/state";

/// The cluster that the sender belongs to.
pub const CLUSTER: &str = "chat-cluster";
/// The sender's Raft id.
pub const FROM: &str = "chat-from";
/// Which start of the sender's process this is.
pub const BOOT: &str = "chat-boot";
/// As the sender's process has drawn it: a disk that went back in time counts the same start twice.
pub const RUN: &str = "chat-run";
/// What the sender has heard of the receiver, as `Seen::heard_of` says it.
pub const HEARD: &str = "chat-heard";
/// The Raft id of the node that the sender believes to be talking to.
pub const TO: &str = "chat-to";
/// Where the sender's own peer port is: the receiver may not know it yet.
pub const URL: &str = "chat-url";
/// The program that the answering node runs.
pub const VERSION: &str = "chat-version";
/// The highest format level of commands that the answering node reads.
pub const LEVEL: &str = "chat-level";

/// The code of a refusal for good: the answering node's cluster came in the place of the sender's.
pub const SUPERSEDED: &str = "superseded";

/// A parcel that is larger is refused before it is read.
pub const PARCEL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The code of a refusal to send state: this node has not applied as far as was asked for.
pub const BEHIND: &str = "behind";

/// A held response brings a byte this often, so that a silent one is known to be dead.
pub const HOLD_BEAT_MS: u64 = 1_000;

/// Everything that one POST carries. Written with field names, so that fields can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parcel {
    /// Raft messages in the encoding of the raft crate, in order.
    pub raft: Vec<ByteBuf>,
    /// Commands, each for the leader of a term, in order.
    pub items: Vec<(Term, Item)>,
    /// The number of the command that each of them follows, as in a [`Chain`]. A version that does not say so sends
    /// them one after the other.
    pub after: Vec<u64>,
    pub words: Vec<Word>,
}

/// A parcel that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    #[error("cannot encode the parcel: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("cannot decode the parcel: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("cannot read a raft message: {0}")]
    Raft(#[from] protobuf::ProtobufError),
    #[error("a raft message from {from} to {to}, but the parcel is from {sender} to {receiver}")]
    Address { from: u64, to: u64, sender: u64, receiver: u64 },
    #[error("{0:?} does not travel between nodes")]
    Kind(MessageType),
}

impl Parcel {
    /// # Errors
    /// Never in practice: nothing in a parcel is beyond the encoding.
    pub fn encode(&self) -> Result<Vec<u8>, ParcelError> {
        Ok(rmp_serde::to_vec_named(self)?)
    }

    /// # Errors
    /// [`ParcelError::Decode`] when these are not the bytes of a parcel.
    pub fn decode(bytes: &[u8]) -> Result<Self, ParcelError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }

    /// Takes the commands out, in order, with those together that follow each other.
    pub fn take_chains(&mut self) -> Vec<(Term, Chain)> {
        let mut chains: Vec<(Term, Chain)> = Vec::new();
        let mut said = std::mem::take(&mut self.after).into_iter();
        for (term, item) in std::mem::take(&mut self.items) {
            let before = chains.last_mut().filter(|(of, _)| *of == term);
            let after = said.next().or(before.as_ref().map(|(_, chain)| chain.last())).unwrap_or_default();
            match before {
                Some((_, chain)) if chain.last() == after => chain.items.push(item),
                _ => chains.push((term, Chain { after, items: vec![item] })),
            }
        }
        chains
    }

    /// The Raft messages, each checked for who sent it and whom it is for.
    ///
    /// # Errors
    /// When one cannot be read, is not from `sender` to `receiver`, or is of a kind that only a
    /// node itself may step (a proposal would be lost without a receipt).
    pub fn messages(&self, sender: u64, receiver: u64) -> Result<Vec<Message>, ParcelError> {
        self.raft
            .iter()
            .map(|bytes| {
                let message = Message::parse_from_bytes(bytes)?;
                let (from, to) = (message.get_from(), message.get_to());
                if from != sender || to != receiver {
                    return Err(ParcelError::Address { from, to, sender, receiver });
                }
                match message.get_msg_type() {
                    MessageType::MsgHup
                    | MessageType::MsgBeat
                    | MessageType::MsgPropose
                    | MessageType::MsgUnreachable
                    | MessageType::MsgSnapStatus
                    | MessageType::MsgCheckQuorum => Err(ParcelError::Kind(message.get_msg_type())),
                    _ => Ok(message),
                }
            })
            .collect()
    }
}

/// Whether a message goes on the urgent connection, where nothing large is ahead of it.
///
/// Acknowledgements are small and a change waits for them, so they are urgent too: behind a batch of
/// forwarded commands they would wait for its round trip. Raft stands their overtaking an append.
pub fn is_urgent(message: &Message) -> bool {
    !matches!(message.get_msg_type(), MessageType::MsgAppend | MessageType::MsgSnapshot)
}

/// The code of a refusal: the sender was a replica of this chat and is none any more.
pub const REMOVED: &str = "removed";
/// The code of a refusal: more of the sender was heard before than it knows, so its disk went back in time.
pub const WENT_BACK: &str = "went_back";

/// A refusal by the peer port, as its JSON says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub ok: bool,
    pub error: RefusedError,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedError {
    pub code: String,
    pub message: String,
    #[serde(default)]
    pub retry: bool,
}

impl Refused {
    pub fn new(code: &str, message: impl Into<String>, retry: bool) -> Self {
        Self { ok: false, error: RefusedError { code: code.to_owned(), message: message.into(), retry } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Boot, Origin, RaftId};

    fn message(from: u64, to: u64, kind: MessageType) -> ByteBuf {
        let mut message = Message::default();
        message.set_from(from);
        message.set_to(to);
        message.set_msg_type(kind);
        ByteBuf::from(message.write_to_bytes().unwrap())
    }

    #[test]
    fn a_parcel_comes_out_as_it_went_in() {
        let parcel = Parcel {
            raft: vec![message(1, 2, MessageType::MsgAppend)],
            words: vec![Word::Here { users: ["ann".to_owned()].into() }],
            ..Parcel::default()
        };
        let back = Parcel::decode(&parcel.encode().unwrap()).unwrap();
        assert_eq!(back, parcel);
        assert_eq!(back.messages(1, 2).unwrap().len(), 1);
    }

    #[test]
    fn commands_that_follow_each_other_stay_together() {
        let item = |number| {
            let origin = Origin { node: RaftId(2), boot: Boot(1), number };
            Item { origin, command: ByteBuf::new() }
        };
        let chains = |items: &[(u64, u64)], after: &[u64]| {
            let items = items.iter().map(|&(term, number)| (Term(term), item(number))).collect();
            let sent = Parcel { items, after: after.to_vec(), ..Parcel::default() };
            let mut came = Parcel::decode(&sent.encode().unwrap()).unwrap();
            let chains = came.take_chains().into_iter();
            let numbers =
                |chain: Chain| chain.items.iter().map(|item| item.origin.number).collect::<Vec<_>>();
            chains.map(|(term, chain)| (term.0, chain.after, numbers(chain))).collect::<Vec<_>>()
        };
        // Two were lost; then all is handed on again, and once more to the leader of the next term.
        let found = chains(&[(1, 4), (1, 5), (1, 8), (1, 5), (1, 6), (2, 5)], &[3, 4, 7, 0, 5, 0]);
        let expected = [(1, 3, vec![4, 5]), (1, 7, vec![8]), (1, 0, vec![5, 6]), (2, 0, vec![5])];
        assert_eq!(found, expected);
        assert_eq!(chains(&[(1, 4), (1, 9), (2, 4)], &[]), [(1, 0, vec![4, 9]), (2, 0, vec![4])]);
    }

    #[test]
    fn only_messages_from_the_sender_to_the_receiver_pass() {
        for (from, to, kind) in [
            (3, 2, MessageType::MsgAppend),
            (1, 3, MessageType::MsgAppend),
            (1, 2, MessageType::MsgPropose),
            (1, 2, MessageType::MsgHup),
        ] {
            let parcel = Parcel { raft: vec![message(from, to, kind)], ..Parcel::default() };
            assert!(parcel.messages(1, 2).is_err(), "{from} {to} {kind:?}");
        }
        assert!(
            Parcel { raft: vec![ByteBuf::from(vec![255; 9])], ..Parcel::default() }.messages(1, 2).is_err()
        );
        assert!(Parcel::decode(b"no parcel").is_err());
    }
}
