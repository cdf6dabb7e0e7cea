//! Posts the messages of rooms to the URLs that subscribe to them.
//!
//! - [`core`]: what is posted when, what becomes of it, and when a subscription is given up: pure.
//! - [`tables`]: what of `chat.db` that needs.
//! - [`signature`]: how what is posted is signed.
//! - [`addresses`]: which addresses are public.
//! - [`client`]: HTTP to strangers.
//! - [`actor`]: the thread that does it, on the node that leads.

pub mod actor;
pub mod addresses;
pub mod client;
pub mod core;
pub mod signature;
pub mod tables;

pub use actor::{Begin, Courier, CourierConfig, CourierPorts};
