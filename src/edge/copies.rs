//! What a copy of the chat is made of, on the peer port, for operators: the cluster's secret is enough.
//!
//! First a barrier: the copy is to be as of a moment not before it was asked for. Then pages, each from
//! where the last one ended, until one is the last.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::bus::{Port, ask_anyway};
use chat_actors::ids::At;
use chat_actors::messages::consensus::ReadBarrier;
use chat_actors::messages::reading::{Answer, TablesAt};
use serde::{Deserialize, Serialize};

use super::peer::{PeerEdge, Turned, WhichPage, page_of};

pub const BARRIER_PATH: &str = "/peer/barrier";
pub const PAGE_PATH: &str = "/peer/copy";

/// How long a majority may take to say how far it is; whoever asks must have an answer within 5 s.
const BARRIER_MAX: Duration = Duration::from_secs(3);
const POSITION_MAX: Duration = Duration::from_secs(4);

/// Whom the door asks.
pub struct CopyPorts {
    pub barrier: Port<ReadBarrier>,
    pub tables_at: Port<TablesAt>,
}

/// How far this node has applied, and whether that is everything that was acknowledged before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    pub majority: bool,
    pub at: At,
}

pub(super) async fn barrier(edge: web::Data<PeerEdge>, request: HttpRequest) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let ports = &edge.inside()?.copies;
    let passed = ask_anyway(&ports.barrier, |reply| ReadBarrier { reply });
    let majority = matches!(tokio::time::timeout(BARRIER_MAX, passed).await, Ok(Ok(Ok(()))));
    let position = read(&ports.tables_at, |reply| TablesAt { reply }).await?;
    Ok(HttpResponse::Ok().json(Barrier { majority, at: position.at }))
}

/// The same pages that a lagging node is sent.
pub(super) async fn page(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    which: web::Query<WhichPage>,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    page_of(edge.inside()?, &which).await
}

async fn read<M, T>(port: &Port<M>, question: impl FnOnce(Answer<T>) -> M) -> Result<T, Turned>
where
    M: chat_actors::bus::Post,
{
    match tokio::time::timeout(POSITION_MAX, ask_anyway(port, question)).await {
        Ok(Ok(Ok(found))) => Ok(found),
        Ok(Ok(Err(failed))) => Err(Turned::Failed(failed.to_string())),
        Ok(Err(unanswered)) => Err(unanswered.into()),
        Err(_late) => Err(Turned::Busy),
    }
}
