//! What the writer and the readers of `chat.db` share.
//!
//! - [`rows`]: columns into rows, and numbers into columns.
//! - [`entries`]: the Raft log's columns into entries, and their checksums.
//! - [`walk`]: every replicated row, and what they come to.
//! - [`pages`]: the replicated rows in pages by `at`, for lagging replicas and for copies.
//! - [`incoming`]: such pages on their way in, as files.
//! - [`mentions`]: whom messages mention, for counting.
//! - [`tallies`]: how many messages each block of a room holds, for counting.
//! - [`damage`]: which errors mean that the file cannot be trusted any more.
//! - [`pragma`]: settings of a connection, read back.
//! - [`read_only`]: connections that read beside the writer.

pub mod damage;
pub mod entries;
pub mod incoming;
pub mod mentions;
pub mod pages;
pub mod pragma;
pub mod read_only;
pub mod rows;
pub mod tallies;
pub mod walk;
