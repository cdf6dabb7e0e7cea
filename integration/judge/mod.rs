//! The judge: whether what concurrent clients saw can have happened one after the other.
//!
//! - [`search`]: the question itself, for any kind of object (Wing and Gong's search, with what was tried before
//!   remembered as Lowe does).
//! - [`history`]: what clients did in rooms and were told, and the verdict on it.
//! - [`witness`]: clients of real nodes that write such histories.
//! - [`proof`]: histories made by hand that must pass, and such that must not.

pub mod history;
mod proof;
pub mod search;
pub mod witness;

pub use history::{Call, End, History, Op, Shown};
pub use witness::Witnesses;
