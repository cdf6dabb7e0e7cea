//! What actors say to each other, a file a conversation. An ask is a verb, news is what has become
//! true, a question is its noun.
//!
//! - [`audit`]: `Storage` and peers ↔ `Auditor`.
//! - [`consensus`]: sessions and peers ↔ `RaftNode`.
//! - [`disk`]: `RaftNode` ↔ `Storage`.
//! - [`files`]: anybody ↔ `FileShelf` and `FileCarrier`: the bytes of files.
//! - [`hub`]: sessions ↔ the Hub's shards ↔ `Hub`.
//! - [`links`]: anybody ↔ `PeerLink`, and what comes in from peers.
//! - [`members`]: operators and nodes that join ↔ `RaftNode`.
//! - [`news`]: what a node's state has become, for whoever subscribed.
//! - [`passwords`]: sessions ↔ the password hashers.
//! - [`people`]: anybody ↔ `Hub`: who is here, and how the cluster looks.
//! - [`reading`]: questions to `Reader`.
//! - [`search`]: who looks for words ↔ `Indexer`.
//! - [`transfer`]: `RaftNode` ↔ `StateFetch`.

pub mod audit;
pub mod consensus;
pub mod disk;
pub mod files;
pub mod hub;
pub mod links;
pub mod members;
pub mod news;
pub mod passwords;
pub mod people;
pub mod reading;
pub mod search;
pub mod transfer;
