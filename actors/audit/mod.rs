//! Whether this replica still holds what it should: compared with the others, and counted anew.
//!
//! - [`comparing`]: what replicas say their rows come to, and who is in the minority.
//! - [`core`]: when a node vouches for its rows, and when it leaves its file.
//! - [`actor`]: `Auditor`, which counts, asks and draws the consequence.

pub mod actor;
pub mod comparing;
pub mod core;
