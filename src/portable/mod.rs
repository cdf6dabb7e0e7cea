//! The chat as lines of JSON, to keep or to take elsewhere.
//!
//! - [`export`]: writes them, through a running node.

mod export;

pub use export::ExportArguments;
pub use export::run as export;
