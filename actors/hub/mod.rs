//! Who is connected here, which session is in which room, and who is online anywhere.
//!
//! - [`actor`]: `Hub`, one a node: encodes each event once, knows who is online.
//! - [`shard`]: `HubShard`, one a worker thread: hands events to the sessions of its thread.
//! - [`shelf`]: the pure core of a shard: buffers, membership, order.
//! - [`people`]: the pure core of presence.
//! - [`encode`]: events and news as the JSON of the contract.

pub mod actor;
pub mod encode;
pub mod people;
pub mod shard;
pub mod shelf;

pub use actor::{Hub, HubPorts};
pub use shard::{HubShard, ShardConfig};
