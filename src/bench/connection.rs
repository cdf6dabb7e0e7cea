//! A connection that asks one thing after the other, each within a time.

use std::time::Duration;

use awc::Client;
use bytes::Bytes;
use serde_json::Value;

use super::frames::{self, Frame};
use crate::web_socket::{Lost, WebSocket};

/// How long a node has to take a connection, and to answer a request before the load starts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Connection {
    socket: WebSocket,
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

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost.to_string())
    }
}

impl Connection {
    /// Connects to the node at this public URL.
    ///
    /// # Errors
    /// When there is no node, or it does not take the connection.
    pub async fn open(client: &Client, public_url: &str) -> Result<Self, Trouble> {
        let trouble = |reason: String| Trouble::Connect { url: public_url.to_owned(), reason };
        match tokio::time::timeout(ANSWER_TIMEOUT, WebSocket::open(client, public_url)).await {
            Ok(Ok(socket)) => Ok(Self { socket }),
            Ok(Err(reason)) => Err(trouble(reason)),
            Err(_) => Err(trouble(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, text: String) -> Result<(), Trouble> {
        Ok(self.socket.send(text).await?)
    }

    /// The next frame with text in it.
    ///
    /// # Errors
    /// When the connection is lost or closed.
    pub async fn next(&mut self) -> Result<Bytes, Trouble> {
        Ok(self.socket.next().await?)
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
