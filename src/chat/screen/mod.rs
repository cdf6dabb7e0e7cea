//! The full screen.
//!
//! - `desk`: what is on it and what keys and news do to that; pure.
//! - `draw`: the desk as lines; `wrap`: text in a width.
//! - `writers`: who is writing; pure.
//! - `run`: keys, news and the terminal itself.

mod desk;
mod draw;
mod run;
mod wrap;
mod writers;

pub use run::{check, run};
