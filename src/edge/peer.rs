//! The door for the other nodes, and for operators: everything here needs the cluster's secret.
//!
//! The secret is checked before anything else, then the cluster, then whom the request is for; only
//! then is the body read. Until the chat is founded, founding is answered, and operators are told what this
//! node waits for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::{Bytes, BytesMut};
use chat_actors::bus::{News, Port, Post, Unanswered, ask};
use chat_actors::chat::command::LEVEL;
use chat_actors::chat_db::pages::PAGE_BYTES;
use chat_actors::files::wire as files;
use chat_actors::founding::{Answer, Listed, Request};
use chat_actors::ids::{At, RaftId};
use chat_actors::membership::{Directory, Foundation, Roll};
use chat_actors::messages::audit::{PeerCounted, Vouch};
use chat_actors::messages::consensus::{Forwarded, Standing, Step};
use chat_actors::messages::links::{Dismissal, Dismissed, Heard, Word};
use chat_actors::messages::members::{ChangeMembers, Stranger};
use chat_actors::messages::news::DiskReport;
use chat_actors::messages::reading::{StatePage, StatePageAnswer};
use chat_actors::peer_link::wire::{self, PARCEL_BYTES_MAX, Parcel, Refused};
use chat_actors::peer_link::{OwnRun, Secret, Seen};
use chat_actors::state_fetch::pace::Pace;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use tokio::sync::watch;

use super::admin::{self, Appoint};
use super::copies::{self, CopyPorts};
use super::export::{self, ExportPorts, Exports};
use super::import::{self, Import};
use super::members;
use super::peer_files::{self, PeerFilePorts};

pub const FOUNDING_PATH: &str = "/peer/founding";
/// One file, between nodes.
const FILE_PATH: &str = "/peer/files/{file}";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const FOUNDING_BYTES_MAX: usize = 1024 * 1024;

/// Answers `GET /api/v1/cluster` for operators; the same as the clients' door gives.
pub type ClusterAnswer = Arc<dyn Fn() -> LocalBoxFuture<'static, HttpResponse> + Send + Sync>;

/// Who answers for this node's part in the founding.
pub trait FoundingDesk: Send + Sync {
    /// How far this node is.
    ///
    /// # Errors
    /// A sentence, when its disk cannot be read.
    fn answer(&self) -> Result<Answer, String>;

    /// Does what the founder asks.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn obey(&self, request: &Request) -> Result<Answer, String>;

    /// What this node waits for before the chat exists.
    fn waiting_for(&self) -> String;

    /// The operator gives members up: the chat is to be founded without them. Where to ask instead, when
    /// another member would found it.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn give_up(&self, without: &[String]) -> Result<Option<Listed>, String>;
}

/// What is behind the door once the chat exists.
pub struct Inside {
    pub own: RaftId,
    pub cluster: String,
    /// The clusters in whose place this one came.
    pub supersedes: Vec<String>,
    pub roll: watch::Receiver<Arc<Roll>>,
    pub directory: watch::Receiver<Arc<Directory>>,
    pub stranger: Port<Stranger>,
    pub change: Port<ChangeMembers>,
    pub standing: Port<Standing>,
    pub seen: Seen,
    pub run: OwnRun,
    pub dismissed: News<Dismissed>,
    pub step: Port<Step>,
    pub forwarded: Port<Forwarded>,
    pub heard: Port<Heard>,
    pub peer_counted: Port<PeerCounted>,
    pub vouch: Port<Vouch>,
    pub copies: CopyPorts,
    pub disk_report: Port<DiskReport>,
    pub state_page: Port<StatePage>,
    pub files: PeerFilePorts,
    pub export: ExportPorts,
    pub exports: Exports,
    pub cluster_answer: ClusterAnswer,
    pub appoint: Appoint,
    pub import: Import,
}

/// The peer port's state, shared by its workers.
pub struct PeerEdge {
    secret: Secret,
    desk: Arc<dyn FoundingDesk>,
    inside: OnceLock<Inside>,
    /// Of the state that this node sends, since then.
    pace: Mutex<Pace>,
    began: Instant,
}

impl PeerEdge {
    pub fn new(secret: Secret, desk: Arc<dyn FoundingDesk>) -> Self {
        let (inside, pace) = (OnceLock::new(), Mutex::default());
        Self { secret, desk, inside, pace, began: Instant::now() }
    }

    /// Opens the door: the chat exists and its actors run. Only the first call counts.
    pub fn open(&self, inside: Inside) {
        let _opened_before = self.inside.set(inside);
    }

    /// Whether the request shows the cluster's secret; operators need nothing more.
    ///
    /// # Errors
    /// [`Turned::WrongSecret`].
    pub fn admit(&self, request: &HttpRequest) -> Result<(), Turned> {
        match request.headers().get(AUTHORIZATION) {
            Some(shown) if self.secret.is_bearer(shown.as_bytes()) => Ok(()),
            _ => Err(Turned::WrongSecret),
        }
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) fn desk(&self) -> &dyn FoundingDesk {
        &*self.desk
    }

    pub(super) fn inside(&self) -> Result<&Inside, Turned> {
        self.inside.get().ok_or_else(|| Turned::NotFounded(self.desk.waiting_for()))
    }

    /// How long so many bytes of state are to wait, that all who lag together take no more than one of them.
    fn before_sending(&self, bytes: usize) -> Duration {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.wait(self.began.elapsed(), bytes)
    }

    /// What an operator is told of a node that is part of no chat yet: the shape of a cluster's state with
    /// nothing in it, and what this node waits for.
    fn not_yet(&self) -> Result<HttpResponse, Turned> {
        let answer = self.desk.answer().map_err(Turned::Failed)?;
        let (cluster, waiting) = match answer.foundation {
            Foundation::Founded(record) => (Some(record.cluster), "the node is starting".to_owned()),
            _ => (None, self.desk.waiting_for()),
        };
        Ok(HttpResponse::Ok().json(serde_json::json!({
            "cluster": cluster, "node": answer.name, "leader": null, "term": 0, "quorum": false,
            "applied": 0, "at": 0, "epoch": null, "nodes": [], "waiting": waiting,
        })))
    }

    /// Checks who asks and whom; gives the sender.
    pub(super) fn admit_peer(&self, request: &HttpRequest) -> Result<(&Inside, RaftId), Turned> {
        self.admit(request)?;
        let inside = self.inside()?;
        let cluster = text(request, wire::CLUSTER);
        if cluster != Some(inside.cluster.as_str()) {
            if let Some(old) = inside.supersedes.iter().find(|old| cluster == Some(old.as_str())) {
                return Err(Turned::Superseded { old: old.clone(), new: inside.cluster.clone() });
            }
            return Err(Turned::OtherCluster(inside.cluster.clone()));
        }
        let sender = number(request, wire::FROM).ok_or_else(|| bad("the sender is not named"))?;
        if sender == inside.own.0 {
            return Err(bad("a parcel from this node to itself"));
        }
        let sender = RaftId(sender);
        inside.know(request, sender)?;
        if number(request, wire::TO) != Some(inside.own.0) {
            return Err(Turned::OtherReceiver(inside.own));
        }
        Ok((inside, sender))
    }
}

impl Inside {
    /// Whether the sender is one of us, on a disk that did not go back in time. One whose id is higher than
    /// any known here is: this node lags, and needs its address.
    fn know(&self, request: &HttpRequest, sender: RaftId) -> Result<(), Turned> {
        let (removed, new) = {
            let roll = self.roll.borrow();
            (roll.was_removed(sender), sender > roll.highest())
        };
        if removed {
            return Err(Turned::Removed(sender));
        }
        if text(request, wire::HEARD).is_some_and(|heard| self.run.is_behind(heard)) {
            // Not a word of it is heeded: this node has forgotten what it promised.
            let word = format!("the disk went back in time: raft id {sender} has heard more of this node");
            self.dismissed.publish(&Dismissed { by: sender, why: Dismissal::WentBack, word });
            return Err(Turned::Stopping);
        }
        if let Some(boot) = number(request, wire::BOOT)
            && !self.seen.goes_on(sender, boot, text(request, wire::RUN).unwrap_or_default())
        {
            return Err(Turned::WentBack(sender));
        }
        if new && let Some(url) = text(request, wire::URL) {
            // It asks again when there is no room now.
            let _busy = self.stranger.offer(Stranger { id: sender, url: url.to_owned() });
        }
        Ok(())
    }

    /// Whether what the sender says agrees with what earlier runs of it have said.
    fn trust(&self, request: &HttpRequest, sender: RaftId, step: &Step) -> Result<(), Turned> {
        match number(request, wire::BOOT) {
            Some(boot) if !self.seen.keeps_word(sender, boot, &step.messages) => {
                Err(Turned::WentBack(sender))
            }
            _ => Ok(()),
        }
    }
}

/// Adds the services of the peer port to an app.
///
/// The server is to have `tcp_nodelay(true)` and a keep-alive above 30 s, after which links drop an
/// idle connection; held responses never end, so it is stopped without grace.
pub fn configure(edge: &Arc<PeerEdge>) -> impl FnOnce(&mut web::ServiceConfig) + Clone + use<> {
    let edge = web::Data::from(Arc::clone(edge));
    move |app| {
        app.app_data(edge)
            .route(wire::PARCEL_PATH, web::post().to(parcel))
            .route(wire::HOLD_PATH, web::get().to(hold))
            .route(wire::STATE_PATH, web::get().to(state))
            .route(FOUNDING_PATH, web::get().to(founding))
            .route(FOUNDING_PATH, web::post().to(found))
            .route(members::PATH, web::post().to(members::change))
            .route(members::FOUND_PATH, web::post().to(members::found))
            .route(admin::PATH, web::post().to(admin::appoint))
            .route("/api/v1/cluster", web::get().to(cluster))
            .route(copies::BARRIER_PATH, web::get().to(copies::barrier))
            .route(copies::PAGE_PATH, web::get().to(copies::page))
            .route(import::PATH, web::post().to(import::bring))
            .route(&format!("{}/{{file}}", import::FILES_PATH), web::get().to(import::has_file))
            .route(&format!("{}/{{file}}", import::FILES_PATH), web::put().to(import::take_file))
            .route(export::PATH, web::get().to(export::for_operators))
            .route(files::HOLD_PATH, web::post().to(peer_files::hold))
            .route(FILE_PATH, web::put().to(peer_files::take))
            .route(FILE_PATH, web::get().to(peer_files::give))
            .route(&format!("{}/{{file}}", peer_files::COPY_FILES_PATH), web::get().to(peer_files::copy))
            .default_service(web::to(nowhere));
    }
}

async fn parcel(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    let (inside, from) = edge.admit_peer(&request)?;
    let bytes = read(&request, body, PARCEL_BYTES_MAX).await?;
    let mut parcel = Parcel::decode(&bytes).map_err(bad)?;
    let messages = parcel.messages(from.0, inside.own.0).map_err(bad)?;
    let step = Step { messages };
    inside.trust(&request, from, &step)?;
    if !step.messages.is_empty() {
        queue(&inside.step, step)?;
    }
    for (term, chain) in parcel.take_chains() {
        queue(&inside.forwarded, Forwarded { from, term, chain })?;
    }
    for word in parcel.words {
        // Passing news: lost when who it is for is busy.
        let _busy = match word {
            Word::Rows { index, sum } => inside.peer_counted.offer(PeerCounted { from, index, sum }).is_err(),
            Word::Disk(room) => inside.disk_report.offer(DiskReport { of: from, room }).is_err(),
            word => inside.heard.offer(Heard { from, word }).is_err(),
        };
    }
    Ok(HttpResponse::NoContent().finish())
}

/// A body that lasts as long as the process: its end is the news.
async fn hold(edge: web::Data<PeerEdge>, request: HttpRequest) -> Result<HttpResponse, Turned> {
    edge.admit_peer(&request)?;
    let beats = futures_util::stream::unfold(Duration::ZERO, |pause| async move {
        actix_web::rt::time::sleep(pause).await;
        Some((Ok::<_, Turned>(Bytes::from_static(b".")), Duration::from_millis(wire::HOLD_BEAT_MS)))
    });
    let mut response = HttpResponse::Ok();
    response.content_type("application/octet-stream").insert_header((wire::VERSION, VERSION));
    response.insert_header((wire::LEVEL, LEVEL.to_string()));
    Ok(response.streaming(beats))
}

#[derive(Deserialize)]
pub(super) struct WhichPage {
    after: u64,
    #[serde(default)]
    horizon: u64,
    #[serde(default = "page_bytes")]
    bytes: usize,
}

fn page_bytes() -> usize {
    PAGE_BYTES
}

/// The replicated rows behind an `at`, for a replica that lags behind every log.
async fn state(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    which: web::Query<WhichPage>,
) -> Result<HttpResponse, Turned> {
    let (inside, _) = edge.admit_peer(&request)?;
    // What is damaged here must not become what others hold.
    if let Err(unsound) = ask(&inside.vouch, |reply| Vouch { reply }).await? {
        return Err(Turned::Unavailable(unsound.to_string()));
    }
    let page = read_page(inside, &which).await?;
    actix_web::rt::time::sleep(edge.before_sending(page.len())).await;
    Ok(page_answer(page))
}

/// The page of state that is asked for, as it stands.
pub(super) async fn page_of(inside: &Inside, which: &WhichPage) -> Result<HttpResponse, Turned> {
    Ok(page_answer(read_page(inside, which).await?))
}

async fn read_page(inside: &Inside, which: &WhichPage) -> Result<Bytes, Turned> {
    let WhichPage { after, horizon, bytes } = *which;
    let (after, horizon, bytes_max) = (At(after), At(horizon), bytes.min(PAGE_BYTES));
    match ask(&inside.state_page, |reply| StatePage { after, horizon, bytes_max, reply }).await? {
        Ok(StatePageAnswer::Page(page)) => Ok(page),
        Ok(StatePageAnswer::Behind(at)) => Err(Turned::Behind(at)),
        Err(error) => Err(Turned::Failed(error.to_string())),
    }
}

fn page_answer(page: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/octet-stream").body(page)
}

async fn founding(edge: web::Data<PeerEdge>, request: HttpRequest) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    Ok(HttpResponse::Ok().json(edge.desk.answer().map_err(Turned::Failed)?))
}

async fn found(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let bytes = read(&request, body, FOUNDING_BYTES_MAX).await?;
    let asked: Request = serde_json::from_slice(&bytes).map_err(bad)?;
    Ok(HttpResponse::Ok().json(edge.desk.obey(&asked).map_err(Turned::Conflict)?))
}

async fn cluster(edge: web::Data<PeerEdge>, request: HttpRequest) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    match edge.inside.get() {
        Some(inside) => {
            let answer = Arc::clone(&inside.cluster_answer);
            Ok(answer().await)
        }
        None => edge.not_yet(),
    }
}

async fn nowhere(edge: web::Data<PeerEdge>, request: HttpRequest) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    Err(Turned::Nowhere(request.path().to_owned()))
}

/// Why the door stayed shut.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    #[error("wrong secret: peer.secret must be the same on every node")]
    WrongSecret,
    #[error("the chat is not founded yet: {0}")]
    NotFounded(String),
    #[error("another cluster: this node belongs to {0}")]
    OtherCluster(String),
    #[error("cluster {new} came in the place of cluster {old}")]
    Superseded { old: String, new: String },
    #[error("another receiver: this node has the raft id {0}")]
    OtherReceiver(RaftId),
    #[error("the node with the raft id {0} was removed from this chat")]
    Removed(RaftId),
    #[error("the disk of raft id {0} went back in time: more of it was heard here before")]
    WentBack(RaftId),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("more than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Conflict(String),
    #[error("too much waits here already")]
    Busy,
    #[error("the node is stopping")]
    Stopping,
    #[error("this node has applied no further than {0}")]
    Behind(At),
    #[error("{0}")]
    Failed(String),
    #[error("there is nothing at {0}")]
    Nowhere(String),
}

impl From<Unanswered> for Turned {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Full => Self::Busy,
            Unanswered::Gone => Self::Stopping,
        }
    }
}

impl Turned {
    /// The code in the JSON, the HTTP status, and whether the same request can be repeated.
    fn row(&self) -> (&'static str, StatusCode, bool) {
        match self {
            Self::WrongSecret => ("unauthorized", StatusCode::UNAUTHORIZED, false),
            Self::NotFounded(_) => ("not_founded", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::OtherCluster(_) => ("other_cluster", StatusCode::CONFLICT, false),
            Self::Superseded { .. } => (wire::SUPERSEDED, StatusCode::CONFLICT, false),
            Self::OtherReceiver(_) => ("other_receiver", StatusCode::CONFLICT, false),
            Self::Removed(_) => (wire::REMOVED, StatusCode::GONE, false),
            Self::WentBack(_) => (wire::WENT_BACK, StatusCode::GONE, false),
            Self::Unavailable(_) => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Unknown(_) => ("timeout", StatusCode::GATEWAY_TIMEOUT, true),
            Self::BadRequest(_) => ("bad_request", StatusCode::BAD_REQUEST, false),
            Self::TooLarge(_) => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, false),
            Self::Conflict(_) => ("conflict", StatusCode::CONFLICT, false),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Behind(_) => (wire::BEHIND, StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Failed(_) => ("internal", StatusCode::INTERNAL_SERVER_ERROR, true),
            Self::Nowhere(_) => ("not_found", StatusCode::NOT_FOUND, false),
        }
    }
}

impl ResponseError for Turned {
    fn status_code(&self) -> StatusCode {
        self.row().1
    }

    fn error_response(&self) -> HttpResponse {
        let (code, status, retry) = self.row();
        HttpResponse::build(status).json(Refused::new(code, self.to_string(), retry))
    }
}

pub(super) fn bad(reason: impl std::fmt::Display) -> Turned {
    Turned::BadRequest(reason.to_string())
}

fn text<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn number(request: &HttpRequest, name: &str) -> Option<u64> {
    text(request, name)?.parse().ok()
}

pub(super) fn queue<M: Post>(port: &Port<M>, message: M) -> Result<(), Turned> {
    Ok(port.offer(message).map_err(Unanswered::from)?)
}

/// Reads a body whose length is known beforehand, so that a larger one is refused unread.
pub(super) async fn read(
    request: &HttpRequest,
    mut body: web::Payload,
    bytes_max: usize,
) -> Result<Bytes, Turned> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .ok_or_else(|| bad("a request without Content-Length"))?;
    if length > bytes_max {
        return Err(Turned::TooLarge(bytes_max));
    }
    let mut bytes = BytesMut::with_capacity(length);
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(bad)?);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
pub(super) mod tests;
