//! Uploads: `POST /api/v1/files` for all of a file at once, `/api/v1/uploads` for one that may be cut off.
//!
//! An upload is answered when this node has it on its disk. The bytes go there as they come; the other nodes
//! are sent them behind that, so that a message with the file need not wait for it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::bus::ask;
use chat_actors::chat::outcome::Code;
use chat_actors::files::partial::NotTaken;
use chat_actors::files::receive::{Cut, seal, shared, take_in};
use chat_actors::ids::At;
use chat_actors::messages::files::{
    BeginKept, BeginUpload, Begun, Finish, FinishKept, Keep, Secure, Shared, Standing, Uploaded,
};
use chat_actors::messages::reading::TablesAt;
use chat_actors::session::bots::WRITE;
use chat_actors::session::reply::Problem;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::api::with_inside;
use super::downloads::{FilePorts, bearer};
use super::gate::{self, Gate, Inside, problem};

/// How long a body may stand still.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is left of a body that is not taken is read so long and dropped: an answer that overtakes it is lost
/// when the connection is reset.
const DROP_MAX: Duration = Duration::from_secs(20);
const UPLOAD_OFFSET: &str = "upload-offset";

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct NamedAndSized {
    #[serde(default)]
    name: String,
    bytes: u64,
}

/// `POST /api/v1/files?name=…`
pub async fn whole(request: HttpRequest, body: web::Payload, gate: web::Data<Gate>) -> HttpResponse {
    answer(request, body, gate, "POST", async |request, body, gate, inside| match *request.method() {
        Method::POST => Some(take_whole(request, body, gate, inside).await),
        _ => None,
    })
    .await
}

/// `POST /api/v1/uploads?name=…&bytes=N`
pub async fn begin(request: HttpRequest, body: web::Payload, gate: web::Data<Gate>) -> HttpResponse {
    answer(request, body, gate, "POST", async |request, _, _, inside| match *request.method() {
        Method::POST => Some(begin_kept(request, inside).await),
        _ => None,
    })
    .await
}

/// `GET` and `PATCH /api/v1/uploads/ID`
pub async fn go_on(request: HttpRequest, body: web::Payload, gate: web::Data<Gate>) -> HttpResponse {
    answer(request, body, gate, "GET, PATCH", async |request, body, gate, inside| match *request.method() {
        Method::GET => Some(look(request, inside).await),
        Method::PATCH => Some(add(request, body, gate, inside).await),
        _ => None,
    })
    .await
}

/// What all have in common: who may ask, and what becomes of a body that was not read.
async fn answer(
    request: HttpRequest,
    mut body: web::Payload,
    gate: web::Data<Gate>,
    methods: &'static str,
    work: impl AsyncFnOnce(&HttpRequest, &mut web::Payload, &Gate, &Inside) -> Option<Result<Value, Problem>>,
) -> HttpResponse {
    let response = with_inside(&request, &gate, methods, async |inside| {
        Some(match work(&request, &mut body, &gate, inside).await? {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                gate::json(200, answer.to_string())
            }
            Err(why) => problem(&why),
        })
    })
    .await;
    if !response.status().is_success() {
        actix_web::rt::spawn(drop_rest(body));
    }
    response
}

async fn drop_rest(mut body: web::Payload) {
    let read = async { while let Some(Ok(_)) = body.next().await {} };
    let _in_time = tokio::time::timeout(DROP_MAX, read).await;
}

async fn take_whole(
    request: &HttpRequest,
    body: &mut web::Payload,
    gate: &Gate,
    inside: &Inside,
) -> Result<Value, Problem> {
    let ports = &inside.files;
    let _under_way = gate.begin()?;
    let user = bearer(request, inside, WRITE).await?.user;
    let Named { name } = query(request)?;
    let bytes = number(request, CONTENT_LENGTH);
    let begin = |reply| BeginUpload { user, name, bytes, reply };
    let partial = shared(ask(&ports.begin_upload, begin).await?.map_err(not_taken)?);
    gate.in_time(take_in(&partial, 0, body, PAUSE_MAX)).await?.map_err(cut)?;
    seal(&partial).await.map_err(not_taken)?;
    let partial = Arc::into_inner(partial).and_then(|partial| partial.into_inner().ok());
    let partial = partial.ok_or_else(Problem::internal)?;
    let at = at(ports).await?;
    let uploaded = ask(&ports.finish, |reply| Finish { partial, at, reply }).await?.map_err(not_taken)?;
    Ok(told(ports, &uploaded))
}

async fn begin_kept(request: &HttpRequest, inside: &Inside) -> Result<Value, Problem> {
    let user = bearer(request, inside, WRITE).await?.user;
    let NamedAndSized { name, bytes } = query(request)?;
    let begin = |reply| BeginKept { user, name, bytes, reply };
    let id = ask(&inside.files.begin_kept, begin).await?.map_err(not_taken)?;
    Ok(json!({"upload": id, "offset": 0}))
}

async fn look(request: &HttpRequest, inside: &Inside) -> Result<Value, Problem> {
    let (_, standing) = begun(request, inside).await?;
    Ok(match standing {
        Standing::Open(partial) => json!({"offset": offset(&partial)}),
        Standing::Done(uploaded) => done(&uploaded),
    })
}

async fn add(
    request: &HttpRequest,
    body: &mut web::Payload,
    gate: &Gate,
    inside: &Inside,
) -> Result<Value, Problem> {
    let ports = &inside.files;
    let _under_way = gate.begin()?;
    let (id, standing) = begun(request, inside).await?;
    let partial = match standing {
        Standing::Open(partial) => partial,
        // Its answer was lost on the way.
        Standing::Done(uploaded) => return Ok(done(&uploaded)),
    };
    let from = number(request, HeaderName::from_static(UPLOAD_OFFSET)).ok_or_else(|| {
        Problem::new(Code::BadRequest, "Upload-Offset is missing: it must be how many bytes are here already")
    })?;
    let taken = gate.in_time(take_in(&partial, from, body, PAUSE_MAX)).await;
    if !matches!(taken, Ok(Err(Cut::NotTaken(NotTaken::WrongOffset { .. } | NotTaken::Over)))) {
        let id = id.clone();
        ask(&ports.keep, |reply| Keep { id, reply }).await?.map_err(not_taken)?;
    }
    let offset = taken?.map_err(cut)?;
    if offset < total(&partial) {
        return Ok(json!({"offset": offset}));
    }
    seal(&partial).await.map_err(not_taken)?;
    let at = at(ports).await?;
    let finish = |reply| FinishKept { id, at, reply };
    let uploaded = ask(&ports.finish_kept, finish).await?.map_err(not_taken)?;
    Ok(told(ports, &uploaded))
}

/// The upload that the path names, if it is the asker's.
async fn begun(request: &HttpRequest, inside: &Inside) -> Result<(String, Standing), Problem> {
    let user = bearer(request, inside, WRITE).await?.user;
    let id = request.match_info().get("id").unwrap_or_default().to_owned();
    let begun = |reply| Begun { user, id: id.clone(), reply };
    let standing = ask(&inside.files.begun, begun).await?;
    let unknown = || Problem::new(Code::NotFound, "no such upload on this node: begin again");
    Ok((id, standing.ok_or_else(unknown)?))
}

/// What is answered; the other nodes are sent the file meanwhile.
fn told(ports: &FilePorts, uploaded: &Uploaded) -> Value {
    let (reply, _nobody_waits) = oneshot::channel();
    let _busy = ports.secure.offer(Secure { files: vec![uploaded.file], reply });
    done(uploaded)
}

fn done(uploaded: &Uploaded) -> Value {
    let Uploaded { file, name, bytes, kind } = uploaded;
    json!({"file": file, "name": name, "bytes": bytes, "type": kind, "offset": bytes})
}

fn offset(partial: &Shared) -> u64 {
    chat_actors::files::kept::locked(partial).bytes()
}

fn total(partial: &Shared) -> u64 {
    chat_actors::files::kept::locked(partial).bytes_max()
}

async fn at(ports: &FilePorts) -> Result<At, Problem> {
    let position = ask(&ports.tables_at, |reply| TablesAt { reply }).await?;
    Ok(position.map_err(|_| Problem::internal())?.at)
}

fn query<T: serde::de::DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let read = web::Query::<T>::from_query(request.query_string());
    Ok(read.map_err(|error| Problem::new(Code::BadRequest, format!("the query: {error}")))?.into_inner())
}

fn number(request: &HttpRequest, header: HeaderName) -> Option<u64> {
    request.headers().get(header)?.to_str().ok()?.trim().parse().ok()
}

fn cut(cut: Cut) -> Problem {
    match cut {
        Cut::NotTaken(why) => not_taken(why),
        Cut::Broken(_) | Cut::Late => Problem::new(Code::BadRequest, cut.to_string()),
    }
}

fn not_taken(why: NotTaken) -> Problem {
    let code = match &why {
        NotTaken::TooLarge { max } => {
            let message =
                format!("the file is longer than {max} bytes (limits.file_bytes, or what was announced)");
            return Problem::new(Code::TooLarge, message);
        }
        NotTaken::NoRoom(_) => Code::Unavailable,
        NotTaken::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            return Problem::new(Code::Unavailable, "the disk of this node is full: try another node");
        }
        NotTaken::Io(error) => {
            tracing::error!(%error, "a file cannot be written");
            return Problem::internal();
        }
        NotTaken::Busy => return Problem::rate_limited("too many uploads are under way on this node", 1_000),
        NotTaken::WrongOffset { .. } => Code::Conflict,
        NotTaken::Over => Code::NotFound,
        NotTaken::OtherBytes { .. } | NotTaken::Short(..) => Code::BadRequest,
    };
    Problem::new(code, why.to_string())
}
