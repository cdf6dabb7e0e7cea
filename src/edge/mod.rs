//! The doors of a node: HTTP for people and for the other nodes. Thin: they check who may come in, and
//! hand on to the actors.
//!
//! - `gate`: what is behind the people's door once the chat exists.
//! - `people`: the people's server: every route, and the measuring of requests.
//! - `ws`: WebSockets.
//! - `frames`: what a client announces is not waited for when it is too big.
//! - `api`: the same ops, one request at a time.
//! - `uploads`: files on their way in.
//! - `downloads`: files on their way out, and `ranges`: which part of one.
//! - `events`: the events of a WebSocket as a stream over HTTP.
//! - `export`: what one may see, as lines of JSON.
//! - `hooks`: messages from other programs.
//! - `openapi`: the description of those for programs.
//! - `origin`: which pages may talk to us.
//! - `members`: changes of members, carried to the leader.
//! - `admin`: admins made by operators, behind that door.
//! - `import`: what operators bring from elsewhere, behind that door.
//! - `operators`: cluster, health, metrics.
//! - `page`: the page itself, built into the program.
//! - `peer`: the other nodes' door.
//! - `peer_files`: files between nodes, behind that door.
//! - `copies`: what a copy of the chat is made of, behind that door.

pub mod admin;
mod api;
pub mod copies;
pub mod downloads;
mod events;
pub mod export;
mod frames;
pub mod gate;
mod hooks;
pub mod import;
pub mod members;
mod openapi;
mod operators;
mod origin;
mod page;
pub mod peer;
pub mod peer_files;
pub mod people;
mod ranges;
mod uploads;
mod ws;

pub use operators::cluster_answer;
