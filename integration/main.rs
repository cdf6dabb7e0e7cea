//! Everything that is tested from outside one module. One binary, a `mod` a story.
//!
//! - [`browser`]: the page in a real browser, on real nodes.
//! - [`cluster`], [`stories`]: the real program as processes, and what happens to them.
//! - [`disk`]: disks that forget, stall, fail and fill up.
//! - [`judge`]: whether what clients saw can have happened in one order.
//! - [`served`]: the page as a release serves it.
//! - [`simulation`]: whole clusters on one thread, from one seed.
//! - [`tidy`]: the rules of the house that a compiler does not know.

mod browser;
mod cluster;
mod disk;
mod judge;
mod served;
mod simulation;
mod stories;
mod tidy;
mod transcripts;
