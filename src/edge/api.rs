//! The ops of the WebSocket over HTTP: `POST /api/v1/OP`.

use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use chat_actors::chat::outcome::Code;
use chat_actors::chat::rules;
use chat_actors::session::executor::Started;
use chat_actors::session::reply::{self, Problem, Reply};
use chat_actors::session::request::{BEFORE_HELLO, OPS, Op, fields_of};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::gate::{Gate, Inside, json, problem};
use super::origin::{self, Origin};
use super::ws::caller;

/// A body that is too large is read so far and dropped: an answer that overtakes it is lost when the
/// connection is reset.
const READ_ANYWAY: usize = 1024 * 1024;
/// How long a body may stand still.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Anything under `/api/v1/` that is an op, or nothing.
pub async fn op(request: HttpRequest, body: web::Payload, gate: web::Data<Gate>) -> HttpResponse {
    // As it came: no op has a character that is escaped.
    let op = request.path().strip_prefix("/api/v1/").unwrap_or_default();
    with_inside(&request, &gate, "POST", async |inside| {
        if !OPS.contains(&op) {
            return Some(problem(&Problem::new(Code::NotFound, "no such op: see docs/protocol.md")));
        }
        if request.method() != Method::POST {
            return None;
        }
        Some(replied(&gate, &carry_out(&request, body, &gate, inside, op).await))
    })
    .await
}

/// What requests of people begin and end with: the chat has to be there, a page of another origin is turned away, and a
/// browser that asks first hears which `methods` there are. `work` answers those, and `None` for any other.
pub async fn with_inside(
    request: &HttpRequest,
    gate: &Gate,
    methods: &'static str,
    work: impl AsyncFnOnce(&Inside) -> Option<HttpResponse>,
) -> HttpResponse {
    let inside = match gate.inside() {
        Ok(inside) => inside,
        Err(shut) => return shut,
    };
    let from = origin::of(request, &inside.directory.borrow());
    let mut response = match *request.method() {
        _ if from == Origin::Foreign => problem(&foreign()),
        Method::OPTIONS => HttpResponse::NoContent().finish(),
        _ => work(inside).await.unwrap_or_else(|| wrong_method(methods)),
    };
    allow(&mut response, &from);
    response
}

/// The answer to a page from somewhere else.
pub fn foreign() -> Problem {
    Problem::new(Code::Forbidden, "this page's origin is not one of the chat's nodes")
}

/// Lets a member's page read the answer.
pub fn allow(response: &mut HttpResponse, from: &Origin) {
    let Origin::Allowed(origin) = from else { return };
    let headers = response.headers_mut();
    if let Ok(origin) = HeaderValue::from_str(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PATCH, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, If-None-Match, If-Range, Upload-Offset",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A reply with its status.
pub fn replied(gate: &Gate, reply: &Reply) -> HttpResponse {
    let status = reply.as_ref().map_or_else(|problem| problem.code.row().1, |_| 200);
    let mut response = json(status, reply::encode(None, reply));
    if gate.is_stopping() {
        // The next request on this connection would not be answered.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// 405, with the JSON that every error under `/api/v1/` has.
pub fn wrong_method(allowed: &'static str) -> HttpResponse {
    let mut response = error(405, format!("wrong method: use {allowed}"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A status that is none of the codes' own, with the JSON that every error has.
pub fn error(status: u16, message: String) -> HttpResponse {
    json(status, reply::encode(None, &Err(Problem::new(Code::BadRequest, message))))
}

async fn carry_out(
    request: &HttpRequest,
    body: web::Payload,
    gate: &Gate,
    inside: &Inside,
    op: &str,
) -> Reply {
    let _under_way = gate.begin()?;
    let text = gate.in_time(read(request, body, gate.frame_bytes)).await??;
    let id = id(request)?;
    let executor = &inside.executor;
    let from = caller(request);
    if !BEFORE_HELLO.contains(&op) {
        // As on a WebSocket: who asks is looked at before what is asked.
        let who = executor.session_of(&token(request)?).await?.who();
        let asked = fields_of(op, &text, executor.limits().message_bytes)?;
        return answered(executor.start(&who, &id, asked, &from)).await;
    }
    let text = if op == "hello" { with_token(text, token(request))? } else { text };
    match fields_of(op, &text, executor.limits().message_bytes)? {
        Op::SetPassword { link, password } => {
            answered(executor.start_by_link(&id, link, password, &from)).await
        }
        opening => executor.admit_once(&id, opening, &from).await,
    }
}

async fn answered(started: Started) -> Reply {
    match started {
        Started::Now(reply) => reply,
        Started::Later(later) => later.await,
    }
}

/// The client's own id of the request; without one a repeat is a new request.
pub fn id(request: &HttpRequest) -> Result<String, Problem> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(draw_id()) };
    let key = key.to_str().unwrap_or_default();
    rules::id(key).map_err(|_| {
        Problem::new(Code::BadRequest, "Idempotency-Key must be 1 to 64 printable ascii characters")
    })?;
    Ok(key.to_owned())
}

#[allow(clippy::disallowed_methods, reason = "the edge draws what the client did not")]
fn draw_id() -> String {
    Uuid::now_v7().to_string()
}

/// The token that every request of a program has.
///
/// # Errors
/// `unauthorized` without one.
pub fn token(request: &HttpRequest) -> Result<String, Problem> {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let bearer = shown.and_then(|shown| shown.split_once(' '));
    match bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, token)) => Ok(token.trim().to_owned()),
        None => Err(Problem::new(Code::Unauthorized, "no token: send Authorization: Bearer TOKEN")),
    }
}

/// A `hello` over HTTP has its token in the header, like everything else; one in the body counts as well.
fn with_token(text: String, token: Result<String, Problem>) -> Result<String, Problem> {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&text) else {
        // What is wrong with it is said when its fields are read.
        return Ok(text);
    };
    if !fields.contains_key("token") {
        fields.insert("token".to_owned(), token?.into());
    }
    Ok(Value::from(fields).to_string())
}

async fn within<T>(pause: Duration, work: impl Future<Output = T>) -> Result<T, Problem> {
    let late = |_| Problem::new(Code::BadRequest, "the body did not arrive in time");
    tokio::time::timeout(pause, work).await.map_err(late)
}

/// The body as text; an empty one is an object without fields.
pub async fn read(
    request: &HttpRequest,
    mut body: web::Payload,
    bytes_max: usize,
) -> Result<String, Problem> {
    let too_large =
        || Problem::new(Code::TooLarge, format!("the body is over limits.frame_bytes, {bytes_max} bytes"));
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let said = said.and_then(|length| length.parse::<usize>().ok()).unwrap_or_default();
    if said > bytes_max.max(READ_ANYWAY) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut dropped = 0;
    while let Some(chunk) = within(BODY_PAUSE_MAX, body.next()).await? {
        let chunk = chunk.map_err(|_| Problem::new(Code::BadRequest, "the body did not arrive whole"))?;
        if dropped == 0 && bytes.len() + chunk.len() <= bytes_max {
            bytes.extend_from_slice(&chunk);
            continue;
        }
        dropped += chunk.len();
        if dropped > READ_ANYWAY {
            return Err(too_large());
        }
    }
    if dropped > 0 {
        return Err(too_large());
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok("{}".to_owned());
    }
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::new(Code::BadRequest, "the body must be JSON in UTF-8"))
}
