//! Consensus: a pure core around TiKV's `RawNode`, and the actor that gives it a thread.
//!
//! - [`candidacy`]: when to stand again in an election that comes to nothing.
//! - [`core`]: inputs in, outputs out; the order in which a `Ready` must be handled.
//! - [`snapshots`]: the core's part that keeps the log short, and helps whoever is behind its beginning.
//! - [`log_view`]: the log as `RawNode` sees it, in memory.
//! - [`proposals`]: who waits for which outcome, and where each command has been handed.
//! - [`reads`]: who waits for which point of the order (ReadIndex).
//! - [`disks`]: what is done when a disk is slow or nearly full.
//! - [`node`]: all of these together; still pure, and what the simulation runs.
//! - [`actor`]: `RaftNode`, the thin actor around it.
//! - [`logging`]: raft-rs's own log lines, carried into `tracing`.

pub mod actor;
mod candidacy;
pub mod core;
pub mod disks;
pub mod log_view;
mod logging;
pub mod node;
pub mod proposals;
pub mod reads;
pub mod snapshots;

pub use logging::logger;
