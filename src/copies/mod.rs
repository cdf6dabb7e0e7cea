//! The commands on a node's file: whether it is whole, and new chats out of it.
//!
//! - [`check`]: verifies a stopped node's file.
//! - [`recover`]: a new one-node cluster from the one survivor.

mod check;
mod recover;

pub use check::CheckArguments;
pub use check::run as check;
pub use recover::RecoverArguments;
pub use recover::run as recover;
