//! The state of another replica on its way to this disk.
//!
//! - [`collected`]: the pure core: which pages there are, and which one is wanted next.
//! - [`pace`]: pure: how fast they come.
//! - [`actor`]: `StateFetch`, which asks for them over connections of its own.

pub mod actor;
pub mod collected;
pub mod pace;

pub use actor::{StateFetch, StateFetchConfig, StateFetchPorts};
pub use collected::Collected;
