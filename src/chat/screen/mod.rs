//! The full screen.
//!
//! - `desk`: what is on it and what keys and news do to that; pure.
//! - `draw`: the desk as lines; `wrap`: text in a width.
//! - `run`: keys, news and the terminal itself.

mod desk;
mod draw;
mod run;
mod wrap;

pub use run::{check, run};
