//! Words as they are indexed and looked for. Pure; whatever changes here changes what an index holds, and
//! so its layout (`indexer::index`).
//!
//! - [`cut`]: a text into words, each with its place.
//! - [`query`]: what somebody looks for, and where a text holds it.

pub mod cut;
pub mod query;

pub use cut::{Kind, Word, cut};
pub use query::{Phrase, Query};
