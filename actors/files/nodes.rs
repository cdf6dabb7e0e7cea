//! The other nodes, as far as files go: asking them, sending to them, fetching from them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::SizedStream;
use awc::http::header::CONTENT_LENGTH;
use awc::{Client, ClientRequest, ClientResponse};
use tokio::sync::{Semaphore, mpsc, watch};

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
/// Questions to one node at the same time: one that is silent does not take the others' connections.
const ASKED_MAX: usize = 16;
const SAYS_NOTHING: &str = "a node does not say which files it has";

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
    turns: RefCell<HashMap<RaftId, Rc<Semaphore>>>,
}

impl OtherNodes {
    pub fn new(asking: Asking, roll: watch::Receiver<Arc<Roll>>) -> Self {
        let (quick, bulk) = (client::client(ASK_MAX), client::client(CARRY_MAX));
        Self { asking, quick, bulk, roll, turns: RefCell::default() }
    }

    pub fn own(&self) -> RaftId {
        self.asking.own
    }

    /// Everybody as this node has applied it.
    pub fn roll(&self) -> Arc<Roll> {
        Arc::clone(&self.roll.borrow())
    }

    /// Asks the others what they have of these files, which they hold. Each answer comes as soon as it is there,
    /// so that a node that is silent costs nobody anything who has heard enough; it ends when there will be no more.
    pub fn ask_each(&self, ask: &AskHeld) -> mpsc::Receiver<(RaftId, Vec<Held>)> {
        let here = self.roll().here();
        let (tell, answers) = mpsc::channel(here.len().max(1));
        for peer in here.into_iter().map(|node| node.raft_id).filter(|peer| *peer != self.own()) {
            let request = self.request(peer, |url| self.quick.post(format!("{url}{HOLD_PATH}")));
            let (turns, ask, tell) = (self.turns_at(peer), ask.clone(), tell.clone());
            // Heard to its end though nobody waits any more: else its connection would be lost with it.
            actix::spawn(async move {
                let asking = async move { answer(request?, &turns, &ask).await };
                match tokio::time::timeout(ASK_MAX, asking).await {
                    Ok(Ok(held)) => drop(tell.send((peer, held)).await),
                    Ok(Err(failure)) => tracing::debug!(%peer, %failure, "{SAYS_NOTHING}"),
                    Err(_) => tracing::debug!(%peer, "{SAYS_NOTHING}"),
                }
            });
        }
        answers
    }

    fn turns_at(&self, peer: RaftId) -> Rc<Semaphore> {
        let mut turns = self.turns.borrow_mut();
        Rc::clone(turns.entry(peer).or_insert_with(|| Rc::new(Semaphore::new(ASKED_MAX))))
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

async fn answer(request: ClientRequest, turns: &Semaphore, ask: &AskHeld) -> Result<Vec<Held>, Failure> {
    let _turn = turns.acquire().await;
    let mut response = client::good(request.send_json(ask).await).await?;
    let body = response.body().limit(ANSWER_BYTES_MAX).await;
    let body = body.map_err(|error| Failure::NoAnswer(error.to_string()))?;
    let held: Vec<Held> =
        serde_json::from_slice(&body).map_err(|error| Failure::NoAnswer(error.to_string()))?;
    match held.len() == ask.files.len() {
        true => Ok(held),
        false => Err(Failure::NoAnswer("an answer about other files".to_owned())),
    }
}
