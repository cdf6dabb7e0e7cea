//! The pure core of the chat: command + tables → outcome + events.
//!
//! - [`objects`]: what people see: users, rooms, messages, events (the JSON of the contract).
//! - [`command`]: what the ordered list holds.
//! - [`outcome`]: what became of a command, and whom to tell.
//! - [`tables`]: the rows, and the trait over whoever keeps them (SQLite, or the model in memory).
//! - [`rules`]: the form of names, texts and ids.

pub mod command;
pub mod objects;
pub mod outcome;
pub mod tables;
