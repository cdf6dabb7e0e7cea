//! HTTP to a node, for the commands that ask one.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Version;
use awc::{Client, SendClientRequest};
use bytes::Bytes;
use chat_actors::messages::transfer::Transfer;
use serde::Deserialize;

/// The largest answer read: far more than a cluster's state or a node's metrics.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// What a node answered, whatever it was.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

/// Why there is no answer, in a few words.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Silence {
    reason: String,
    /// The question may have come through.
    pub was_asked: bool,
}

/// The cluster as a node tells it on `GET /api/v1/cluster`. Who says neither which node it is nor which nodes there are is
/// none; what else is left out is unknown.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ClusterView {
    pub cluster: Option<String>,
    pub node: String,
    pub leader: Option<String>,
    #[serde(default)]
    pub term: u64,
    #[serde(default)]
    pub quorum: bool,
    #[serde(default)]
    pub at: u64,
    pub epoch: Option<String>,
    pub nodes: Vec<NodeView>,
    /// What a node waits for that is part of no chat yet.
    pub waiting: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeView {
    pub name: String,
    pub public: String,
    pub peer: String,
    pub role: String,
    pub up: bool,
    pub lag: Option<u64>,
    pub ms: Option<f64>,
    pub transfer: Option<Transfer>,
}

/// A client that follows no redirects and speaks plain HTTP.
pub fn client() -> Client {
    Client::builder().max_http_version(Version::HTTP_11).disable_redirects().disable_timeout().finish()
}

/// Asks a node, with the cluster's secret if one is given.
///
/// # Errors
/// [`Silence`].
pub async fn get(
    client: &Client,
    url: &str,
    secret: Option<&str>,
    timeout: Duration,
) -> Result<Answer, Silence> {
    let mut request = client.get(url);
    if let Some(secret) = secret {
        request = request.bearer_auth(secret);
    }
    exchange(request.send(), timeout).await
}

/// Posts JSON to a node, with the cluster's secret.
///
/// # Errors
/// [`Silence`].
pub async fn post(
    client: &Client,
    url: &str,
    secret: &str,
    json: Vec<u8>,
    timeout: Duration,
) -> Result<Answer, Silence> {
    exchange(client.post(url).bearer_auth(secret).content_type("application/json").send_body(json), timeout)
        .await
}

async fn exchange(sending: SendClientRequest, timeout: Duration) -> Result<Answer, Silence> {
    let exchange = async {
        let mut response = sending.await.map_err(|error| Silence {
            reason: in_few_words(&error),
            was_asked: !matches!(error, SendRequestError::Connect(_) | SendRequestError::Url(_)),
        })?;
        let status = response.status().as_u16();
        let body = response.body().limit(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| Silence { reason: error.to_string(), was_asked: true })?;
        Ok(Answer { status, body })
    };
    match tokio::time::timeout(timeout, exchange).await {
        Ok(answered) => answered,
        Err(_) => {
            let reason = format!("nothing within {:.1} s", timeout.as_secs_f32());
            Err(Silence { reason, was_asked: true })
        }
    }
}

/// The cluster as the node at this public URL sees it, or `None` if it does not say.
pub async fn cluster(client: &Client, public_url: &str, timeout: Duration) -> Option<ClusterView> {
    let answer = get(client, &format!("{public_url}/api/v1/cluster"), None, timeout).await.ok()?;
    (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}

/// Whether the node at this public URL calls itself ready.
pub async fn is_ready(client: &Client, public_url: &str, timeout: Duration) -> bool {
    let answer = get(client, &format!("{public_url}/health/ready"), None, timeout).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

fn in_few_words(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
            _ => error.to_string(),
        },
        SendRequestError::Connect(ConnectError::Resolver(_)) => "its name cannot be resolved".into(),
        error => error.to_string(),
    }
}
