//! Sessions ↔ `Passwords`: slow hashes, on threads of their own.

use tokio::sync::oneshot;

use crate::bus::Port;
use crate::chat::command::RequestDigest;
use crate::post;

/// argon2id of a password, in the PHC string format. `None`: this could not be done (a bug).
pub struct Hash {
    pub password: String,
    pub reply: oneshot::Sender<Option<String>>,
}

/// Is this the password? Without a stored hash the answer is no, and takes as long.
pub struct Verify {
    pub password: String,
    pub stored: Option<String>,
    pub reply: oneshot::Sender<bool>,
}

/// A digest of secrets that may lie in the tables: as slow to guess as a password's hash.
pub struct Fingerprint {
    /// The same secrets under another salt look different.
    pub salt: [u8; 16],
    pub secrets: String,
    pub reply: oneshot::Sender<Option<RequestDigest>>,
}

/// The way to the hashers.
#[derive(Clone)]
pub struct PasswordPorts {
    pub hash: Port<Hash>,
    pub verify: Port<Verify>,
    pub fingerprint: Port<Fingerprint>,
}

post! {
    Hash => "hash",
    Verify => "verify",
    Fingerprint => "fingerprint",
}
