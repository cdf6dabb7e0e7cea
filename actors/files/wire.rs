//! What two nodes say to each other about files, over the peer port.
//!
//! `POST /peer/files/hold` with an [`AskHeld`] is answered with a [`Held`] a file. `PUT /peer/files/HASH` brings
//! one, and is answered 204 once it is on the disk. `GET /peer/files/HASH` is answered with its bytes.

use serde::{Deserialize, Serialize};

use crate::ids::FileId;

pub use crate::messages::files::Held;

pub const HOLD_PATH: &str = "/peer/files/hold";
pub const FILES_PATH: &str = "/peer/files";

/// Which of these are there?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskHeld {
    /// Whose uploads are asked for; empty for nobody's.
    pub user: String,
    pub files: Vec<FileId>,
    /// They are to stay for a while, whether a message holds them or not.
    #[serde(default)]
    pub hold: bool,
}
