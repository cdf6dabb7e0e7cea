//! TLS for those who connect to others: whom they trust.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// Trusts whom the machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), and speaks HTTP/1.1.
///
/// # Errors
/// When there is no TLS to be had.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (good, _odd) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let errors = errors.join(", ");
        warn!(errors, "this machine trusts no authority: https:// addresses cannot be reached");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Nothing newer: one connection carries one thing after the other, or a WebSocket.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
