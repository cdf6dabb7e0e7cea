//! `Passwords`: one or two threads that hash and check passwords.
//!
//! Owns nothing but its threads. Is told `Hash`, `Verify`, `Fingerprint`; answers each. Never holds
//! up anybody else: argon2id is slow on purpose, and its port is bounded, so that a crowd at the door
//! is told to wait instead of being queued for ever.

use actix::{Actor, Addr, Handler, SyncArbiter, SyncContext};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::bus::{Envelope, Seat};
use crate::chat::command::RequestDigest;
use crate::messages::passwords::{Fingerprint, Hash, PasswordPorts, Verify};
use crate::metrics::Metrics;

/// Some seconds of work for two threads.
const QUEUE: usize = 128;
/// OWASP's smallest advice for argon2id: 19 MiB, 2 rounds, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const ROUNDS: u32 = 2;

pub struct Passwords {
    argon: Argon2<'static>,
    /// Checked against when there is no account: a wrong name takes as long as a wrong password.
    nobody: Option<String>,
}

impl Passwords {
    /// Starts the hashers on threads of their own.
    pub fn open(threads: usize, metrics: &Metrics) -> PasswordPorts {
        let addr: Addr<Self> = SyncArbiter::start(threads.max(1), Self::new);
        let seat = Seat::new(metrics, "passwords", QUEUE);
        PasswordPorts {
            hash: seat.port(addr.clone().recipient()),
            verify: seat.port(addr.clone().recipient()),
            fingerprint: seat.port(addr.recipient()),
        }
    }

    fn new() -> Self {
        let argon = argon();
        let nobody = hash(&argon, "nobody's password");
        Self { argon, nobody }
    }
}

fn argon() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, ROUNDS, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[allow(clippy::disallowed_methods, reason = "salts are drawn here; the hash goes into the core")]
fn hash(argon: &Argon2<'_>, password: &str) -> Option<String> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    match argon.hash_password(password.as_bytes(), &salt) {
        Ok(hash) => Some(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a password cannot be hashed");
            None
        }
    }
}

/// The hash that a password is checked against, and whether it counts when it is right. An account that has no
/// password, because it was imported, is like none.
fn to_check_against<'h>(stored: Option<&'h str>, nobody: Option<&'h str>) -> Option<(&'h str, bool)> {
    let stored = stored.filter(|stored| !stored.is_empty());
    stored.map(|stored| (stored, true)).or_else(|| nobody.map(|nobody| (nobody, false)))
}

fn verify(argon: &Argon2<'_>, password: &str, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else { return false };
    argon.verify_password(password.as_bytes(), &stored).is_ok()
}

fn fingerprint(argon: &Argon2<'_>, secrets: &str, salt: &[u8; 16]) -> Option<RequestDigest> {
    let mut digest = RequestDigest::default();
    argon.hash_password_into(secrets.as_bytes(), salt, &mut digest).ok()?;
    Some(digest)
}

impl Actor for Passwords {
    type Context = SyncContext<Self>;
}

impl Handler<Envelope<Hash>> for Passwords {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Hash>, _: &mut Self::Context) {
        let (Hash { password, reply }, _handling) = envelope.open();
        if !reply.is_closed() {
            let _gone = reply.send(hash(&self.argon, &password));
        }
    }
}

impl Handler<Envelope<Verify>> for Passwords {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Verify>, _: &mut Self::Context) {
        let (Verify { password, stored, reply }, _handling) = envelope.open();
        if reply.is_closed() {
            return;
        }
        let right = match to_check_against(stored.as_deref(), self.nobody.as_deref()) {
            Some((hash, counts)) => verify(&self.argon, &password, hash) && counts,
            None => false,
        };
        let _gone = reply.send(right);
    }
}

impl Handler<Envelope<Fingerprint>> for Passwords {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Fingerprint>, _: &mut Self::Context) {
        let (Fingerprint { salt, secrets, reply }, _handling) = envelope.open();
        if !reply.is_closed() {
            let _gone = reply.send(fingerprint(&self.argon, &secrets, &salt));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let argon = argon();
        let stored = hash(&argon, "correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify(&argon, "correct horse", &stored));
        assert!(!verify(&argon, "correct horsf", &stored));
        assert!(!verify(&argon, "correct horse", "not a hash"));
        assert_ne!(stored, hash(&argon, "correct horse").unwrap());
    }

    #[test]
    fn an_account_without_a_password_takes_as_long_as_none() {
        let nobody = Some("nobody's");
        assert_eq!(to_check_against(Some("ann's"), nobody), Some(("ann's", true)));
        for stored in [None, Some("")] {
            assert_eq!(to_check_against(stored, nobody), Some(("nobody's", false)), "{stored:?}");
            assert_eq!(to_check_against(stored, None), None);
        }
    }

    #[test]
    fn a_fingerprint_depends_on_secrets_and_salt() {
        let argon = argon();
        let first = fingerprint(&argon, "a", &[1; 16]).unwrap();
        assert_eq!(first, fingerprint(&argon, "a", &[1; 16]).unwrap());
        assert_ne!(first, fingerprint(&argon, "b", &[1; 16]).unwrap());
        assert_ne!(first, fingerprint(&argon, "a", &[2; 16]).unwrap());
    }
}
