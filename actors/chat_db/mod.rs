//! What the writer and the readers of `chat.db` share.
//!
//! - [`rows`]: columns into rows, and numbers into columns.
//! - [`entries`]: the Raft log's columns into entries.
//! - [`walk`]: every replicated row, and what they come to.
//! - [`pragma`]: settings of a connection, read back.

pub mod entries;
pub mod pragma;
pub mod rows;
pub mod walk;
