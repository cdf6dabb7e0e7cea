//! The commands on a node's file: whether it is whole, and new chats out of it.
//!
//! - [`check`]: verifies a stopped node's file.
//! - [`backup`]: a copy of the chat from a running node.
//! - [`restore`]: a new chat from a copy.
//! - [`recover`]: a new one-node cluster from the one survivor.

mod backup;
mod check;
mod recover;
mod restore;

pub use backup::BackupArguments;
pub use backup::{publish, run as backup};
pub use check::CheckArguments;
pub use check::run as check;
pub use recover::RecoverArguments;
pub use recover::run as recover;
pub use restore::RestoreArguments;
pub use restore::run as restore;
