//! One WebSocket to a node.

use std::time::Duration;

use actix_codec::Framed;
use awc::http::Version;
use awc::ws::{self, Codec, Message};
use awc::{BoxedSocket, Client, Connector};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;

use super::frames::{self, Frame};

/// How long a node has to take a connection, and to answer a request before the load starts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// More than the largest frame that a node can be set to send.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// A connection that answers pings by itself.
pub struct Connection {
    framed: Framed<BoxedSocket, Codec>,
}

/// Why a connection is of no more use, or a request was not granted.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("cannot connect to {url}: {reason}")]
    Connect { url: String, reason: String },
    #[error("the connection is gone: {0}")]
    Lost(String),
    #[error("no answer to {op} within {} s", ANSWER_TIMEOUT.as_secs())]
    Silent { op: String },
    #[error("{op} is refused: {code}: {message}")]
    Refused { op: String, code: String, message: String },
}

/// A client for any number of connections.
pub fn client() -> Client {
    Client::builder()
        .connector(Connector::new().limit(0))
        .max_http_version(Version::HTTP_11)
        .disable_redirects()
        .disable_timeout()
        .finish()
}

impl Connection {
    /// Connects to the node at this public URL.
    ///
    /// # Errors
    /// When there is no node, or it does not take the connection.
    pub async fn open(client: &Client, public_url: &str) -> Result<Self, Trouble> {
        let trouble = |reason: String| Trouble::Connect { url: public_url.to_owned(), reason };
        let connecting = client.ws(format!("{public_url}/ws")).max_frame_size(FRAME_BYTES_MAX).connect();
        match tokio::time::timeout(ANSWER_TIMEOUT, connecting).await {
            Ok(Ok((_, framed))) => Ok(Self { framed }),
            Ok(Err(error)) => Err(trouble(error.to_string())),
            Err(_) => Err(trouble(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, text: String) -> Result<(), Trouble> {
        self.framed.send(Message::Text(text.into())).await.map_err(|error| Trouble::Lost(error.to_string()))
    }

    /// The next frame with text in it.
    ///
    /// # Errors
    /// When the connection is lost or closed.
    pub async fn next(&mut self) -> Result<Bytes, Trouble> {
        loop {
            let lost = |reason: String| Err(Trouble::Lost(reason));
            match self.framed.next().await {
                Some(Ok(ws::Frame::Text(text))) => return Ok(text),
                Some(Ok(ws::Frame::Ping(payload))) => {
                    let pong = self.framed.send(Message::Pong(payload)).await;
                    pong.map_err(|error| Trouble::Lost(error.to_string()))?;
                }
                Some(Ok(ws::Frame::Close(reason))) => {
                    let reason = reason.map_or("closed".into(), |reason| {
                        let said = reason.description.unwrap_or_default();
                        format!("closed with {} {said}", u16::from(reason.code))
                    });
                    return lost(reason);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return lost(error.to_string()),
                None => return lost("ended".into()),
            }
        }
    }

    /// Asks for one thing and waits for the reply, passing over everything else.
    ///
    /// # Errors
    /// When it is refused, or nothing comes back.
    pub async fn ask(&mut self, op: &str, fields: Value) -> Result<Value, Trouble> {
        self.ask_as(&uuid::Uuid::now_v7().to_string(), op, fields).await
    }

    /// The same under an id that the caller keeps, so that the request can be repeated.
    ///
    /// # Errors
    /// As there.
    pub async fn ask_as(&mut self, id: &str, op: &str, mut fields: Value) -> Result<Value, Trouble> {
        fields["id"] = id.into();
        fields["op"] = op.into();
        self.send(fields.to_string()).await?;
        let reply = async {
            loop {
                let frame = self.next().await?;
                if matches!(frames::recognise(&frame), Frame::Reply { re, .. } if re == id.as_bytes()) {
                    return Ok::<Bytes, Trouble>(frame);
                }
            }
        };
        let reply = tokio::time::timeout(ANSWER_TIMEOUT, reply)
            .await
            .map_err(|_| Trouble::Silent { op: op.into() })??;
        let reply: Value =
            serde_json::from_slice(&reply).map_err(|error| Trouble::Lost(error.to_string()))?;
        if reply["ok"] == true {
            return Ok(reply);
        }
        let word = |name: &str| reply["error"][name].as_str().unwrap_or("unknown").to_owned();
        Err(Trouble::Refused { op: op.into(), code: word("code"), message: word("message") })
    }
}
