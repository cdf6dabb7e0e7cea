//! The node's open doors.
//!
//! - [`peer`]: for the other nodes and for operators: Raft, forwarded commands, founding.

pub mod peer;
