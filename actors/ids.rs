//! Numbers and names that could be swapped have types of their own.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A replica's id in Raft: one for each life of a node's disk, never used again.
    RaftId
}
number! {
    /// A position in the Raft log.
    LogIndex
}
number! {
    /// A Raft term.
    Term
}
number! {
    /// Counts the changes of replicated rows; the same on every node (see `docs/architecture.md`).
    At
}
number! {
    /// A message's place in its room: 1, 2, 3 … without a hole.
    Seq
}
number! {
    /// A room's number, below 2^53.
    RoomId
}
number! {
    /// A subscription's number: 1, 2, 3 …
    SubscriptionId
}
number! {
    /// Counts the starts of a node's process on one disk.
    Boot
}

impl Boot {
    /// This boot as one process has it, by what that drew: a disk that is set back counts its boots again, and what
    /// the earlier process asked for may still be on its way.
    pub fn of_process(self, drawn: u32) -> Self {
        Self(self.0 << 32 | u64::from(drawn))
    }
}

/// Who asked for a command: a node, one run of its process ([`Boot::of_process`]), and its number there.
/// An outcome finds its waiting session by it, on whichever leader the command was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    pub node: RaftId,
    pub boot: Boot,
    pub number: u64,
}

/// What the bytes of a file are known by: their SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub [u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file is named by 64 hexadecimal digits, the SHA-256 of its bytes")]
pub struct NotAFileId;

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FileId {
    type Err = NotAFileId;

    fn from_str(text: &str) -> Result<Self, NotAFileId> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAFileId)?;
        Ok(Self(bytes))
    }
}

impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
