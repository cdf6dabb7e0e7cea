//! The other nodes, as far as files go: asking them, sending to them, fetching from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::SizedStream;
use awc::http::header::CONTENT_LENGTH;
use awc::{Client, ClientRequest, ClientResponse};
use futures_util::future::join_all;
use tokio::sync::watch;

use super::reading;
use super::wire::{AskHeld, FILES_PATH, HOLD_PATH, Held};
use crate::bus::Port;
use crate::ids::{Boot, FileId, RaftId};
use crate::membership::Roll;
use crate::messages::files::Discredit;
use crate::peer_link::client::{self, Failure};
use crate::peer_link::secret::Secret;
use crate::peer_link::wire;

/// How long a node may take to say what it has: people wait for it.
const ASK_MAX: Duration = Duration::from_millis(1_200);
/// How long a file may be on its way.
const CARRY_MAX: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asking {
    pub secret: Secret,
    pub cluster: String,
    pub own: RaftId,
    pub boot: Boot,
}

/// See the module. Made and used on one thread.
pub struct OtherNodes {
    asking: Asking,
    quick: Client,
    bulk: Client,
    /// Who they are, and where.
    roll: watch::Receiver<Arc<Roll>>,
}

impl OtherNodes {
    pub fn new(asking: Asking, roll: watch::Receiver<Arc<Roll>>) -> Self {
        let (quick, bulk) = (client::client(ASK_MAX), client::client(CARRY_MAX));
        Self { asking, quick, bulk, roll }
    }

    pub fn own(&self) -> RaftId {
        self.asking.own
    }

    /// Everybody as this node has applied it.
    pub fn roll(&self) -> Arc<Roll> {
        Arc::clone(&self.roll.borrow())
    }

    /// What the nodes that answer have of these files, which they hold.
    pub async fn ask_all(&self, ask: &AskHeld) -> BTreeMap<RaftId, Vec<Held>> {
        let peers =
            self.roll().here().into_iter().map(|node| node.raft_id).filter(|peer| *peer != self.own());
        let asked = peers.map(|peer| async move { (peer, self.ask(peer, ask).await) });
        let mut answers = BTreeMap::new();
        for (peer, answer) in join_all(asked).await {
            match answer {
                Ok(held) if held.len() == ask.files.len() => drop(answers.insert(peer, held)),
                Ok(_) => tracing::warn!(%peer, "a node's answer about files is none"),
                Err(failure) => tracing::debug!(%peer, %failure, "a node does not say which files it has"),
            }
        }
        answers
    }

    async fn ask(&self, peer: RaftId, ask: &AskHeld) -> Result<Vec<Held>, Failure> {
        let request = self.request(peer, |url| self.quick.post(format!("{url}{HOLD_PATH}")))?;
        let mut response = client::good(request.send_json(ask).await).await?;
        let body = tokio::time::timeout(ASK_MAX, response.body().limit(ANSWER_BYTES_MAX)).await;
        let body = body.map_err(|_| Failure::NoAnswer("no answer in time".to_owned()))?;
        let body = body.map_err(|error| Failure::NoAnswer(error.to_string()))?;
        serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.to_string()))
    }

    /// Sends a file to a node, which has it on its disk then.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn push(
        &self,
        peer: RaftId,
        file: FileId,
        (opened, bytes): (std::fs::File, u64),
        discredit: Port<Discredit>,
    ) -> Result<(), Failure> {
        let request = self.request(peer, |url| self.bulk.put(format!("{url}{FILES_PATH}/{file}")))?;
        let body = reading::stream(file, opened, 0..bytes, bytes, discredit);
        let sending = request.send_body(SizedStream::new(bytes, Box::pin(body)));
        client::good(sending.await).await.map(|_| ())
    }

    /// The bytes of a file, and how many there are to be.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, peer: RaftId, file: FileId) -> Result<(ClientResponse, u64), Failure> {
        let request = self.request(peer, |url| self.bulk.get(format!("{url}{FILES_PATH}/{file}")))?;
        let response = client::good(request.send().await).await?;
        let length =
            response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let length = length.ok_or_else(|| Failure::NoAnswer("a file without a length".to_owned()))?;
        Ok((response.timeout(CARRY_MAX), length))
    }

    fn request(
        &self,
        peer: RaftId,
        to: impl FnOnce(&str) -> ClientRequest,
    ) -> Result<ClientRequest, Failure> {
        let here = self.roll().here();
        let node = here.iter().find(|node| node.raft_id == peer);
        let node = node.ok_or_else(|| Failure::NoAnswer("it is not one of us any more".to_owned()))?;
        let Asking { secret, cluster, own, boot } = &self.asking;
        Ok(to(node.peer.trim_end_matches('/'))
            .insert_header(("authorization", secret.bearer()))
            .insert_header((wire::CLUSTER, cluster.as_str()))
            .insert_header((wire::FROM, own.to_string()))
            .insert_header((wire::BOOT, boot.to_string()))
            .insert_header((wire::TO, peer.to_string())))
    }
}
