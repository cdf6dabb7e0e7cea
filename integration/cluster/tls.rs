//! TLS before what stories start, with a certificate that nobody trusts yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::node::Node;

/// Who speaks TLS as `localhost`, and the file with the certificate for that.
pub fn acceptor(folder: &Path) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = folder.join("certificate.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

/// A proxy that takes TLS from whoever comes, and hands on to a node what it is told.
pub struct TlsProxy {
    port: u16,
    served: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl TlsProxy {
    pub async fn before(node: &Node, tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::<AtomicUsize>::default();
        let (to, count) = (node.http_port, Arc::clone(&served));
        let listening = actix::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix::spawn(serve(stream, tls.clone(), to, Arc::clone(&count)));
            }
        });
        Self { port, served, listening }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// How many came in.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, to: u16, served: Arc<AtomicUsize>) {
    // A client that does not trust the certificate ends it here.
    let Ok(mut client) = tls.accept(stream).await else { return };
    served.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut node) = TcpStream::connect(("127.0.0.1", to)).await {
        // Either side may end it at any time.
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut node).await;
    }
}
