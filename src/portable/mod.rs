//! The chat as lines of JSON, to keep or to take elsewhere.
//!
//! - [`export`]: writes them, through a running node.
//! - [`import`]: brings them into a running cluster.

mod export;
mod import;

pub use export::run as export;
pub use export::{ExportArguments, Source, save};
pub use import::ImportArguments;
pub use import::run as import;
