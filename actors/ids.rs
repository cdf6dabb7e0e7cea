//! Numbers and names that could be swapped have types of their own.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Counts the starts of a node's process on one disk.
    Boot
}

/// Who asked for a command: a node, one run of its process, and its number there.
/// An outcome finds its waiting session by it, on whichever leader the command was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    pub node: RaftId,
    pub boot: Boot,
    pub number: u64,
}
