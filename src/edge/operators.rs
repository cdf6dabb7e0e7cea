//! For operators: the cluster as this node sees it, health, metrics.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::bus::{Port, Post, ask_anyway};
use chat_actors::chat::outcome::Code;
use chat_actors::ids::RaftId;
use chat_actors::membership::{Directory, Listed};
use chat_actors::messages::consensus::{ClusterView, ReadBarrier, Standing};
use chat_actors::messages::people::{Surroundings, View, is_up, role_name};
use chat_actors::messages::transfer::Transfer;
use chat_actors::session::reply::Problem;
use serde::Serialize;
use tokio::sync::oneshot;

use super::api::{allow, with_inside};
use super::gate::{Gate, Inside, json, problem};
use super::origin;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// An actor that does not answer within this is part of the answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// A node that needs longer than this to apply what was acknowledged when it was asked is not caught up.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct ClusterAnswer<'a> {
    cluster: &'a str,
    node: &'a str,
    leader: Option<&'a str>,
    term: u64,
    quorum: bool,
    applied: u64,
    at: u64,
    epoch: &'a str,
    nodes: Vec<NodeAnswer<'a>>,
}

#[derive(Serialize)]
struct NodeAnswer<'a> {
    name: &'a str,
    public: &'a str,
    peer: &'a str,
    role: &'static str,
    up: bool,
    #[serde(rename = "match")]
    matched: Option<u64>,
    lag: Option<u64>,
    ms: Option<f64>,
    version: Option<&'a str>,
    /// As that node said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<DiskAnswer>,
    /// State on its way to that node, for which the log of nobody goes back far enough any more; as it said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<Transfer>,
}

#[derive(Serialize)]
struct DiskAnswer {
    free_mb: u64,
    low: bool,
}

/// What is answered on `GET /api/v1/cluster`.
pub async fn cluster_answer(inside: &Inside) -> HttpResponse {
    match cluster_json(inside).await {
        Some(text) => json(200, text),
        None => problem(&Problem::new(Code::Unavailable, "this node is stopping: ask another one")),
    }
}

/// The cluster as this node sees it; `None` while the node stops.
async fn cluster_json(inside: &Inside) -> Option<String> {
    let standing = ask(&inside.standing, |reply| Standing { reply }).await?;
    let view = ask(&inside.hub.surroundings, |reply| Surroundings { reply }).await?;
    let directory = Arc::clone(&inside.directory.borrow());
    let answer = ClusterAnswer {
        cluster: &directory.cluster,
        node: &directory.node,
        leader: standing.leader.and_then(|leader| directory.name_of(leader)),
        term: standing.term.0,
        quorum: standing.quorum,
        applied: standing.applied.0,
        // What was acknowledged here is in it, whoever heard of it first.
        at: view.at.max(standing.at).0,
        epoch: &directory.epoch,
        nodes: directory.nodes.iter().map(|listed| node(listed, &directory, &standing, &view)).collect(),
    };
    serde_json::to_string(&answer).ok()
}

fn node<'a>(
    listed: &'a Listed,
    directory: &Directory,
    standing: &ClusterView,
    view: &'a View,
) -> NodeAnswer<'a> {
    let id: RaftId = listed.node.raft_id;
    let progress = standing.peers.iter().find(|progress| progress.peer == id);
    let link = view.links.get(&id);
    let round_trip_us = link.filter(|link| link.up).and_then(|link| link.round_trip_us);
    let here = listed.node.name == directory.node;
    let up = is_up(directory, view, &listed.node.name, id);
    let disk = standing.disks.get(&id);
    NodeAnswer {
        name: &listed.node.name,
        public: &listed.node.public,
        peer: &listed.node.peer,
        role: role_name(standing.leader, id, listed.learner),
        up,
        matched: progress.map(|progress| progress.matched.0),
        lag: progress.map(|progress| progress.lag),
        ms: round_trip_us.map(|us| us as f64 / 1_000.0),
        transfer: if here { standing.transfer } else { disk.filter(|_| up).and_then(|room| room.transfer) },
        disk: disk.map(|room| DiskAnswer { free_mb: room.free_mb, low: room.low }),
        version: if here { Some(VERSION) } else { link.and_then(|link| link.version.as_deref()) },
    }
}

pub async fn cluster(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    with_inside(&request, &gate, "GET", async |inside| match *request.method() {
        Method::GET | Method::HEAD => Some(cluster_answer(inside).await),
        _ => None,
    })
    .await
}

pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

pub async fn ready(gate: web::Data<Gate>) -> HttpResponse {
    if gate.is_stopping() {
        return not_ready("this node is stopping");
    }
    let Ok(inside) = gate.inside() else { return not_ready("this node is not part of a chat yet") };
    let Some(standing) = ask(&inside.standing, |reply| Standing { reply }).await else {
        return not_ready("this node is stopping");
    };
    match standing {
        ClusterView { quorum: false, .. } => return not_ready("no majority of the nodes answers"),
        ClusterView { leader: None, .. } => return not_ready("no leader is known"),
        ClusterView { transfer: Some(transfer), .. } => {
            let (at, of) = (transfer.at, transfer.of);
            return not_ready(&format!("catching up: the state has come up to {at} of {of}"));
        }
        _ => {}
    }
    // What this node knows to be committed says little: one that has just come in knows of nothing. So it asks.
    let passed = ask_anyway(&inside.barrier, |reply| ReadBarrier { reply });
    match tokio::time::timeout(CATCH_UP_MAX, passed).await {
        Ok(Ok(Ok(()))) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        _ => not_ready("catching up: what was acknowledged is not all here yet"),
    }
}

fn not_ready(why: &str) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .content_type("text/plain; charset=utf-8")
        .body(format!("not ready: {why}\n"))
}

/// For whoever asks; of pages only the chat's own may read the answer, as its view of the cluster does.
pub async fn metrics(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    let mut response = match gate.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            HttpResponse::InternalServerError().finish()
        }
    };
    if let Ok(inside) = gate.inside() {
        allow(&mut response, &origin::of(&request, &inside.directory.borrow()));
    }
    response
}

async fn ask<M: Post, T>(port: &Port<M>, question: impl FnOnce(oneshot::Sender<T>) -> M) -> Option<T> {
    tokio::time::timeout(ANSWER_MAX, ask_anyway(port, question)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use chat_actors::ids::At;
    use chat_actors::membership::Node;
    use chat_actors::messages::links::LinkState;
    use chat_actors::messages::news::DiskRoom;

    use super::*;

    const IS_AT: Transfer = Transfer { at: At(300), of: At(812) };

    /// What node1 says of itself and of node2, of which it has heard that state is on its way there.
    fn transfers(own: Option<Transfer>, link_is_up: bool) -> [Option<Transfer>; 2] {
        let listed = |number: u64| {
            let (peer, public) = (String::new(), String::new());
            let node = Node { name: format!("node{number}"), raft_id: RaftId(number), peer, public };
            Listed { node, learner: false }
        };
        let nodes = vec![listed(1), listed(2)];
        let directory = Directory { node: "node1".to_owned(), nodes, ..Directory::default() };
        let room = DiskRoom { node: "node2".to_owned(), free_mb: 7, low: false, transfer: Some(IS_AT) };
        let standing =
            ClusterView { transfer: own, disks: [(RaftId(2), room)].into(), ..ClusterView::default() };
        let peer = RaftId(2);
        let link = LinkState { peer, up: link_is_up, round_trip_us: None, version: None, level: None };
        let view = View { at: At(9), role: None, links: [(peer, link)].into() };
        [0, 1].map(|place| node(&directory.nodes[place], &directory, &standing, &view).transfer)
    }

    #[test]
    fn a_transfer_is_shown_for_this_node_and_for_others_that_are_up() {
        assert_eq!(transfers(None, true), [None, Some(IS_AT)]);
        assert_eq!(transfers(Some(IS_AT), false), [Some(IS_AT), None]);
    }
}
