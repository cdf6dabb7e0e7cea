//! One node's settings: read once, checked once, then handed on as typed values.
//!
//! - `typed`: what the rest of the program sees: [`Settings`] and how it is loaded.
//! - `keys`: every key there is, and the rule that its value alone must keep.
//! - `layers`: `default.toml`, the settings file, the environment; who said what.
//! - `raw`: the layers laid over each other, with the built-in defaults.
//! - `check`: the rules that concern more than one key.
//! - `address`: addresses to listen on and URLs to be reached at.
//! - `error`: what is wrong, in one line.

mod address;
mod check;
mod error;
mod keys;
mod layers;
mod raw;
mod typed;

pub use address::{BindAddress, HttpUrl};
pub use error::SettingsError;
pub use keys::is_name;
pub use typed::{LogFormat, LogLevel, LogSettings, RaftSettings, Settings};
