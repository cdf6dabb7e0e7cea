//! How what is posted is signed: HMAC-SHA256 with the subscription's secret over timestamp, a dot and the body. So
//! a receiver knows who posts, and by the time that it is no old post once more.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The value of `X-Chat-Signature`.
pub fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut signer =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("hmac takes keys of every length");
    for part in [timestamp, ".", body] {
        signer.update(part.as_bytes());
    }
    format!("sha256={}", hex::encode(signer.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '%s.%s' "$TIMESTAMP" "$BODY" | openssl dgst -sha256 -hmac "$SECRET"` gives it.
    #[test]
    fn a_known_post_has_a_known_signature() {
        let signed = signature("0011", "1700000000", r#"{"ev":"message"}"#);
        assert_eq!(signed, "sha256=3ee2c92da70b186b25952dcb67e3a7000cf363d818c179fa7cacc5d11cba6e88");
        for (secret, timestamp, body) in
            [("0012", "1700000000", "{}"), ("0011", "1700000001", "{}"), ("0011", "1700000000", "{ }")]
        {
            assert_ne!(signature(secret, timestamp, body), signature("0011", "1700000000", "{}"));
        }
    }
}
