//! What finds words in messages: an index beside `chat.db`, made from it.
//!
//! - [`index`]: the core: `search.db`, how it follows the tables, what it finds.
//! - [`actor`]: its thread and its clock.

pub mod actor;
pub mod index;
#[cfg(test)]
mod measure;
mod searching;

pub use actor::Indexer;
