//! Everything that is tested from outside one module. One binary, a `mod` a story.
//!
//! - [`simulation`]: whole clusters on one thread, from one seed.
//! - [`transcripts`]: Raft stories as text that one can read and regenerate.
//! - [`tidy`]: the rules of the house that a compiler does not know.

mod simulation;
mod tidy;
mod transcripts;
