//! The way to one other node: what goes over it, in which order, and what becomes of what is lost.
//!
//! - [`actor`]: `PeerLink`, which owns the outgoing HTTP connections to one peer.
//! - [`lane`]: the pure core: what waits for one connection, what goes with the next POST, when to try again.
//! - [`roster`]: `Roster`, who is in the cluster, and the links to them.
//! - [`wire`]: headers, bodies and refusals, the same for both ends.
//! - [`client`]: HTTP over kept connections without Nagle's delay.
//! - [`seen`]: what was heard of each replica, by which a disk that went back in time shows.
//! - [`secret`]: what a cluster's nodes share, compared in constant time.

pub mod actor;
pub mod client;
pub mod lane;
pub mod roster;
pub mod secret;
pub mod seen;

#[cfg(test)]
mod tests;
pub mod wire;

pub use actor::{PeerLink, PeerLinkConfig, PeerLinkPorts};
pub use roster::{Roster, RosterConfig, RosterPorts};
pub use secret::Secret;
pub use seen::{OwnRun, Seen};
