//! `bench`: load over the real WebSocket endpoint, spread over the nodes of a cluster.
//!
//! - `arguments`: what was asked for.
//! - `run`: one run from start to end, whatever ends it.
//! - `own_cluster`: nodes of our own, in a folder that goes when we do.
//! - `accounts`: people and rooms for the load, made before and removed after.
//! - `load`: the clients and listeners at work.
//! - `connection`: one WebSocket.
//! - `frames`: what a frame is, told without reading it.
//! - `stamp`: message ids that tell who sent them and when.
//! - `histogram`: many durations in little room.
//! - `disk`: how often this disk can sync.
//! - `report`: the results, for people and as JSON.

mod accounts;
mod arguments;
mod connection;
mod disk;
mod frames;
mod histogram;
mod load;
mod own_cluster;
mod report;
mod run;
mod stamp;

pub use arguments::BenchArguments;
pub use run::run;
