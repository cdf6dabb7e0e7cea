//! The pure core of the chat: command + tables → outcome + events.
//!
//! - [`objects`]: what people see: users, rooms, messages, events (the JSON of the contract).
//! - [`command`]: what the ordered list holds.
//! - [`outcome`]: what became of a command, and whom to tell.
//! - [`tables`]: the rows, and the trait over whoever keeps them (SQLite, or the model in memory).
//! - [`apply`]: one command on the tables.
//! - [`batch`]: all commands of one Raft entry.
//! - [`digest`]: canonical bytes, by which requests and replicas are compared.
//! - [`rules`]: the form of names, texts and ids.
//! - [`mentions`]: whom a text mentions.
//! - [`model`]: the tables in memory, for the simulation and as the measure of the SQL store.
//! - [`portable`]: the chat as lines of JSON, to take it elsewhere.
//! - [`script`]: random but meaningful commands from a seed.

pub mod apply;
pub mod batch;
pub mod command;
pub mod digest;
pub mod mentions;
pub mod model;
pub mod objects;
pub mod outcome;
pub mod portable;
pub mod rules;
pub mod script;
pub mod tables;
