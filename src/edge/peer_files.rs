//! Files between nodes: who has which, and their bytes. Behind the door of [`super::peer`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::bus::{Port, ask};
use chat_actors::files::partial::NotTaken;
use chat_actors::files::reading;
use chat_actors::files::receive::{Cut, seal, shared, take_in};
use chat_actors::files::wire::AskHeld;
use chat_actors::ids::{At, FileId};
use chat_actors::messages::files::{BeginCopy, Discredit, Fetch, Finish, Hold, OpenFile};

use super::downloads::sized;
use super::peer::{PeerEdge, Turned, bad, read};

/// Of an [`AskHeld`].
const ASK_BYTES_MAX: usize = 64 * 1024;
const PAUSE_MAX: Duration = Duration::from_secs(10);
const FETCH_MAX: Duration = Duration::from_secs(60);

/// Where an operator gets the bytes of a file for a copy.
pub const COPY_FILES_PATH: &str = "/peer/copy/files";

/// Whom the door asks about files.
pub struct PeerFilePorts {
    pub hold: Port<Hold>,
    pub begin_copy: Port<BeginCopy>,
    pub finish: Port<Finish>,
    pub open_file: Port<OpenFile>,
    pub discredit: Port<Discredit>,
    pub fetch: Port<Fetch>,
}

pub(super) async fn hold(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    let (inside, _) = edge.admit_peer(&request)?;
    let asked = read(&request, body, ASK_BYTES_MAX).await?;
    let AskHeld { user, files, hold } = serde_json::from_slice(&asked).map_err(bad)?;
    let held = ask(&inside.files.hold, |reply| Hold { user, files, hold, reply }).await?;
    Ok(HttpResponse::Ok().json(held))
}

pub(super) async fn take(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    file: web::Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    let (inside, _) = edge.admit_peer(&request)?;
    let file: FileId = file.parse().map_err(bad)?;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = length.ok_or_else(|| bad("a request without Content-Length"))?;
    take_bytes(&inside.files, file, bytes, body).await
}

/// Whether the bytes of a file are here; then they stay for a while.
pub(super) async fn is_here(ports: &PeerFilePorts, file: FileId) -> Result<bool, Turned> {
    let hold = |reply| Hold { user: String::new(), files: vec![file], hold: true, reply };
    let held = ask(&ports.hold, hold).await?;
    Ok(held.first().is_some_and(|held| held.bytes.is_some()))
}

/// Takes the bytes of a file, which must be those of its hash.
pub(super) async fn take_bytes(
    ports: &PeerFilePorts,
    file: FileId,
    bytes: u64,
    body: web::Payload,
) -> Result<HttpResponse, Turned> {
    let began = ask(&ports.begin_copy, |reply| BeginCopy { file, bytes, reply }).await?;
    let partial = shared(began.map_err(not_taken)?);
    take_in(&partial, 0, body, PAUSE_MAX).await.map_err(|cut| match cut {
        Cut::NotTaken(why) => not_taken(why),
        Cut::Broken(_) | Cut::Late => bad(cut),
    })?;
    seal(&partial).await.map_err(not_taken)?;
    let partial = Arc::into_inner(partial).and_then(|partial| partial.into_inner().ok());
    let partial = partial.ok_or_else(|| Turned::Failed("its bytes are still being written".to_owned()))?;
    let finish = |reply| Finish { partial, at: At(0), reply };
    ask(&ports.finish, finish).await?.map_err(not_taken)?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn give(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    file: web::Path<String>,
) -> Result<HttpResponse, Turned> {
    let (inside, _) = edge.admit_peer(&request)?;
    let file = file.parse().map_err(bad)?;
    opened(&inside.files, file).await?.ok_or_else(|| Turned::Nowhere(request.path().to_owned()))
}

/// The bytes of a file for a copy of the chat; from another node when they are not here.
pub(super) async fn copy(
    edge: web::Data<PeerEdge>,
    request: HttpRequest,
    file: web::Path<String>,
) -> Result<HttpResponse, Turned> {
    edge.admit(&request)?;
    let (ports, file) = (&edge.inside()?.files, file.parse().map_err(bad)?);
    if let Some(response) = opened(ports, file).await? {
        return Ok(response);
    }
    let fetching = ask(&ports.fetch, |reply| Fetch { file, reply });
    let _fetched = tokio::time::timeout(FETCH_MAX, fetching).await;
    opened(ports, file).await?.ok_or_else(|| Turned::Nowhere(request.path().to_owned()))
}

async fn opened(ports: &PeerFilePorts, file: FileId) -> Result<Option<HttpResponse>, Turned> {
    let opened = ask(&ports.open_file, |reply| OpenFile { file, reply }).await?;
    Ok(opened.map(|(opened, bytes)| {
        let body = reading::stream(file, opened, 0..bytes, bytes, ports.discredit.clone());
        sized(HttpResponse::Ok(), bytes, body)
    }))
}

fn not_taken(why: NotTaken) -> Turned {
    match why {
        NotTaken::NoRoom(why) => Turned::Unavailable(why),
        NotTaken::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            Turned::Unavailable("the disk is full".to_owned())
        }
        NotTaken::Io(error) => Turned::Failed(error.to_string()),
        NotTaken::Busy => Turned::Busy,
        why => bad(why),
    }
}
