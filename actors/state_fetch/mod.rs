//! The state of another replica on its way to this disk.
//!
//! - [`collected`]: the pure core: which pages there are, and which one is wanted next.
//! - [`actor`]: `StateFetch`, which asks for them over connections of its own.

pub mod actor;
pub mod collected;

pub use actor::{StateFetch, StateFetchConfig, StateFetchPorts};
pub use collected::Collected;
