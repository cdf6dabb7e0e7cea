//! The one writer of `chat.db`: the Raft log and the chat in one SQLite file.
//!
//! - [`schema`]: the tables, and how a file comes from one format to the next.
//! - [`store`]: the pure core: functions on one connection.
//!   - [`open`]: the directory, its lock, the pragmas; every reason not to open it.
//!   - [`set_aside`]: what is done with a file that cannot be trusted.
//!   - [`founding`]: how the file becomes part of a chat.
//!   - [`members`]: nodes that come and go, and what this file is to them.
//!   - [`start`]: what Raft begins with, checked.
//!   - [`log`]: entries and hard state, each append with its fsync.
//!   - [`install`]: the state of another replica in the place of this one's.
//!   - [`applying`]: committed entries into rows.
//!   - [`tables`]: the rows, as `chat::tables` wants them.
//!   - [`people`]: those of links and of what admins set.
//!   - [`subscriptions`]: those of where messages are posted.
//!   - [`canon`]: all rows in their canonical order.
//!   - [`check`]: whether the file of a stopped node is whole.
//!   - [`copy`]: one file with everything replicated, sealed.
//!   - [`restore`]: a copy becomes a node's file.
//!   - [`rebirth`]: the file becomes a cluster of its own.
//!   - [`retirement`]: a file whose node is part of its chat no more.
//! - [`write_back`]: copies the WAL back beside the writer.
//! - [`actor`]: the thread that owns the store.

pub mod actor;
pub mod applying;
pub mod canon;
pub mod check;
pub mod copy;
pub mod founding;
pub mod install;
pub mod log;
pub mod members;
pub mod open;
mod people;
pub mod rebirth;
pub mod restore;
pub mod retirement;
pub mod schema;
pub mod set_aside;
pub mod start;
pub mod store;
mod subscriptions;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;
pub mod write_back;

pub use crate::chat_db::pages;
pub use actor::{Storage, StoragePorts};
pub use applying::Piece;
pub use check::{CheckFailed, Whole};
pub use founding::FoundingError;
pub use open::OpenError;
pub use rebirth::{NewCluster, Outlook, RebirthError};
pub use set_aside::{known_peers, set_aside, suspect, suspicion};
pub use start::{Opened, StartError, TermRun};
pub use store::{Store, StoreError};
