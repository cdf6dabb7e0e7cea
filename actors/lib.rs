//! The actors of replicated-chat, the messages between them, and the pure cores they drive.
//!
//! - [`ids`]: the numbers that must not be swapped (`RaftId`, `LogIndex`, `Term`, `At`, `Seq`, …).
//! - [`audit`]: whether this replica still holds what it should.
//! - [`bus`]: typed, metered ports; the only way from one actor to another.
//! - [`metrics`]: every metric family of `/metrics`.
//! - [`messages`]: what actors say to each other, a file a conversation.
//! - [`chat`]: the pure core of the chat: command + tables → outcome + events.
//! - [`chat_db`]: what the writer and the readers of `chat.db` share: rows, entries.
//! - [`courier`]: posts the messages of rooms to other programs.
//! - [`disk_watch`]: how much room there is on the disk.
//! - [`essential`]: threads and actors whose panic ends the process.
//! - [`files`]: the bytes of files, on this disk and on the others'.
//! - [`founding`]: the pure core that decides how listed members become one chat.
//! - [`hub`]: who is connected here, and the events on their way to them.
//! - [`indexer`]: what finds words in messages.
//! - `measure`: what a large room costs; tests.
//! - [`membership`]: who the nodes of a chat are, and how it was founded.
//! - [`passwords`]: slow hashes, on threads of their own.
//! - [`peer_link`]: the outgoing connections to one peer.
//! - [`raft`]: consensus; the pure core around `RawNode`, and the actor on its own thread.
//! - [`reader`]: questions to the tables.
//! - [`session`]: one client, and the requests that it and HTTP share.
//! - [`state_fetch`]: the state of another replica on its way to this disk.
//! - [`storage`]: the one writer of `chat.db`.
//! - [`tls`]: whom they trust who connect to others with TLS.
//! - [`words`]: texts into words, as they are indexed and looked for.

pub mod audit;
pub mod bus;
pub mod chat;
pub mod chat_db;
pub mod courier;
pub mod disk_watch;
pub mod essential;
pub mod files;
pub mod founding;
pub mod hub;
pub mod ids;
pub mod indexer;
#[cfg(test)]
mod measure;
pub mod membership;
pub mod messages;
pub mod metrics;
pub mod passwords;
pub mod peer_link;
pub mod raft;
pub mod reader;
pub mod session;
pub mod state_fetch;
pub mod storage;
pub mod tls;
pub mod words;
