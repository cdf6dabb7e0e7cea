//! Canonical bytes and their SHA-256: what a request asks for, and what the tables hold.
//!
//! Every part is written with its length or in a fixed width, so two different things never give the
//! same bytes. What is written here is compared across nodes and versions: it never changes. A field
//! that is added later is written only when it is there.
//!
//! - `canon`: how they are written.
//! - `request`: what a request asks for.
//! - `rows`: what the tables hold.

mod canon;
mod request;
mod rows;

pub use canon::Canon;
pub use request::of_request;
pub use rows::{RowsSum, begin_rows, of_rows};
