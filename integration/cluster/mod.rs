//! The harness: the real program on a real disk, and clients that speak its contract.
//!
//! - [`folder`]: a fresh folder a story.
//! - [`ports`]: addresses nobody else uses.
//! - [`program`]: the binary, run to its end.
//! - [`node`]: one `serve`, started, paused and killed.
//! - [`nodes`]: a cluster of them.
//! - [`clock`]: wall clocks that are wrong.
//! - [`network`]: nodes in network namespaces, and what is cut between them.
//! - [`files`]: bytes to send, and the requests that carry them.
//! - [`http`]: requests to a node.
//! - [`client`]: one connection to `/ws`, and who is on it.
//! - [`pty`]: the program at a terminal.
//! - [`receiver`]: a program to which messages are posted.
//! - [`replies`]: what a reply must look like.
//! - [`chatter`]: somebody who writes and listens without end, wherever a node is up.
//! - [`route`]: where a client goes when its node is no good.
//! - [`tables`]: the rows of each node, compared.
//! - [`tls`]: TLS before a node.
//! - [`wait`]: polling with a deadline.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "all of this is test code, which the lints see only where `#[test]` stands"
)]

pub mod chatter;
pub mod client;
pub mod clock;
pub mod files;
pub mod folder;
pub mod http;
pub mod listener;
pub mod network;
pub mod node;
pub mod nodes;
pub mod ports;
pub mod program;
pub mod pty;
pub mod receiver;
pub mod replies;
pub mod route;
pub mod tables;
pub mod tls;
pub mod wait;

pub use client::Client;
pub use network::Network;
pub use nodes::Cluster;
pub use replies::{assert_like, field, number, text};
