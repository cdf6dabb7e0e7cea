//! Whether this replica still holds what it should: compared with the others, and counted anew.
//!
//! - [`comparing`]: what replicas say their rows come to, and who is in the minority.
//! - [`actor`]: `Auditor`, which asks and draws the consequence.

pub mod actor;
pub mod comparing;
