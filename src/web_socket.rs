//! One WebSocket to a node, for the commands that are clients: `bench` and `chat`.

use std::sync::Arc;

use actix_codec::Framed;
use anyhow::Context;
use awc::ws::{self, Codec, Message};
use awc::{BoxedSocket, Client, Connector};
use bytes::Bytes;
use chat_actors::tls;
use futures_util::{SinkExt, StreamExt};

/// More than the largest frame that a node can be set to send.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// A connection that answers pings by itself.
pub struct WebSocket {
    framed: Framed<BoxedSocket, Codec>,
}

/// Why a connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("closed with {code} {reason}")]
    Closed { code: u16, reason: String },
    #[error("{0}")]
    Broken(String),
}

/// A client for any number of connections, with TLS or without.
///
/// # Errors
/// When there is no TLS to be had.
pub fn client() -> anyhow::Result<Client> {
    let tls = tls::client_config().context("TLS cannot be used")?;
    // No `max_http_version`: it would put awc's own TLS, which trusts nobody, in the place of ours, which offers HTTP/1.1 only.
    let client = Client::builder()
        .connector(Connector::new().limit(0).rustls_0_23(Arc::new(tls)))
        .disable_redirects()
        .disable_timeout()
        .finish();
    Ok(client)
}

impl WebSocket {
    /// Connects to the node at this public URL, however long that takes.
    ///
    /// # Errors
    /// When there is no node, or it does not take the connection.
    pub async fn open(client: &Client, public_url: &str) -> Result<Self, String> {
        let connecting = client.ws(format!("{public_url}/ws")).max_frame_size(FRAME_BYTES_MAX).connect();
        let (_, framed) = connecting.await.map_err(|error| error.to_string())?;
        Ok(Self { framed })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, text: String) -> Result<(), Lost> {
        self.framed.send(Message::Text(text.into())).await.map_err(|error| Lost::Broken(error.to_string()))
    }

    /// The next frame with text in it. Nothing is lost when the waiting for it is given up.
    ///
    /// # Errors
    /// When the connection is lost or closed.
    pub async fn next(&mut self) -> Result<Bytes, Lost> {
        loop {
            let broken = |reason: String| Err(Lost::Broken(reason));
            match self.framed.next().await {
                Some(Ok(ws::Frame::Text(text))) => return Ok(text),
                Some(Ok(ws::Frame::Ping(payload))) => {
                    let pong = self.framed.send(Message::Pong(payload)).await;
                    pong.map_err(|error| Lost::Broken(error.to_string()))?;
                }
                Some(Ok(ws::Frame::Close(Some(close)))) => {
                    let reason = close.description.unwrap_or_default();
                    return Err(Lost::Closed { code: close.code.into(), reason });
                }
                Some(Ok(ws::Frame::Close(None))) => return broken("closed".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return broken(error.to_string()),
                None => return broken("ended".into()),
            }
        }
    }
}
