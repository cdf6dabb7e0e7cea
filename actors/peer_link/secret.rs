//! What the nodes of a cluster, and its operators, know and nobody else.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The cluster's shared secret. Never printed.
#[derive(Clone)]
pub struct Secret {
    text: Arc<str>,
    hash: [u8; 32],
}

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let hash = Sha256::digest(text.as_bytes()).into();
        Self { text, hash }
    }

    /// Whether these bytes are the secret, in a time that tells nothing about it: hashes of equal
    /// length are compared, so that not even its length shows.
    pub fn is(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.hash.ct_eq(&presented).into()
    }

    /// The secret itself, to derive keys from.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What goes into the `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.text)
    }

    /// Whether an `Authorization` header holds the secret.
    pub fn is_bearer(&self, authorization: &[u8]) -> bool {
        // The scheme is no secret: it may be compared as it stands.
        match authorization.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => self.is(token),
            _ => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_passes() {
        let secret = Secret::new("development-only");
        assert!(secret.is_bearer(secret.bearer().as_bytes()));
        assert!(secret.is_bearer(b"bearer development-only"));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer development-onl", "Basic development-only", "development-only"]
        {
            assert!(!secret.is_bearer(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
