//! What operators bring from elsewhere, on the peer port: the cluster's secret is enough.
//!
//! First the bytes of files, each under its hash, then the messages that hold them. All of it may be repeated.

use std::sync::Arc;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::chat::outcome::Code;
use chat_actors::chat::portable::{Imported, Landed};
use chat_actors::session::reply::Problem;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::peer::{PeerEdge, Turned, bad, read};
use super::peer_files;

pub const PATH: &str = "/peer/import";
/// With `/HASH` behind it.
pub const FILES_PATH: &str = "/peer/import/files";
/// A hundred versions of one long message, as JSON.
pub const BYTES_MAX: usize = 8 << 20;

/// Brings items into the chat.
pub type Import = Arc<dyn Fn(Asked) -> LocalBoxFuture<'static, Result<Vec<Landed>, Problem>> + Send + Sync>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub items: Vec<Imported>,
    #[serde(default)]
    pub into_existing: bool,
}

/// What is answered: what became of each item, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    pub landed: Vec<Landed>,
}

pub(super) async fn bring(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let import = Arc::clone(&edge.inside()?.import);
    let bytes = read(&request, body, BYTES_MAX).await?;
    let asked = serde_json::from_slice(&bytes).map_err(bad)?;
    match import(asked).await {
        Ok(landed) => Ok(HttpResponse::Ok().json(Done { landed })),
        Err(problem) => Err(match problem.code {
            Code::Timeout => Turned::Unknown("it is not known whether this was done: repeat it".to_owned()),
            Code::Unavailable | Code::RateLimited => Turned::Unavailable(problem.message),
            Code::Internal => Turned::Failed(problem.message),
            _ => Turned::BadRequest(problem.message),
        }),
    }
}

/// Whether the bytes are here; then they stay for a while.
pub(super) async fn has_file(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    file: web::Path<String>,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    match peer_files::is_here(&edge.inside()?.files, file.parse().map_err(bad)?).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Turned::Nowhere(request.path().to_owned())),
    }
}

pub(super) async fn take_file(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    file: web::Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = length.ok_or_else(|| bad("a request without Content-Length"))?;
    peer_files::take_bytes(&edge.inside()?.files, file.parse().map_err(bad)?, bytes, body).await
}
