//! The bytes of files: on this node's disk, and on the others'.
//!
//! - [`names`]: names, types, and how they travel in headers and paths. Pure.
//! - [`links`]: signed links. Pure.
//! - [`partial`]: a file on its way in.
//! - [`room`]: how much room there is for them.
//! - [`store`]: the files on the disk, and why each of them stays.
//! - [`kept`]: uploads that can be gone on with.
//! - [`actor`]: `FileShelf`, which owns both.
//! - [`look`]: through the files of a stopped node.
//! - [`reading`]: a file as a stream of bytes.
//! - [`wire`]: what nodes say to each other about files.
//! - [`nodes`]: asking the other nodes, and sending to them and fetching from them.
//! - [`receive`]: bytes from a connection into a file.
//! - [`majorities`]: how many nodes must hold a file. Pure.
//! - [`securing`]: what is to be done until they do. Pure.
//! - [`carrier`]: `FileCarrier`, which sees that files are where they should be.
//! - [`upkeep`]: what it does by itself.

pub mod actor;
pub mod carrier;
pub mod kept;
pub mod links;
pub mod look;
pub mod majorities;
pub mod names;
pub mod nodes;
pub mod partial;
pub mod reading;
pub mod receive;
pub mod room;
pub mod securing;
pub mod store;
mod upkeep;
pub mod wire;

pub use actor::FileShelf;
pub use carrier::{FileCarrier, FileCarrierConfig, FileCarrierPorts};
