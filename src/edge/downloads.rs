//! `GET /api/v1/files/FILE/NAME`: a file, to who may see a message that holds it.
//!
//! The name in the path says what the bytes are shown as; they are never sniffed, never run, and shown in
//! place only when they are a plain image, sound, film or text.

use std::fs::File;
use std::io;
use std::time::Duration;

use actix_http::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use chat_actors::bus::{Port, ask};
use chat_actors::chat::outcome::Code;
use chat_actors::files::links::Claim;
use chat_actors::files::{names, reading};
use chat_actors::ids::FileId;
use chat_actors::messages::files::{
    BeginKept, BeginUpload, Begun, Discredit, Fetch, Finish, FinishKept, Keep, OpenFile, Secure,
};
use chat_actors::messages::reading::TablesAt;
use chat_actors::session::bots::READ;
use chat_actors::session::executor::Who;
use chat_actors::session::reply::Problem;
use futures_util::{Stream, StreamExt as _, stream};

use super::api::{self, with_inside};
use super::gate::{Gate, Inside, problem, until_out};
use super::ranges::{Wanted, wanted};

/// How long the bytes may take to come from another node.
const FETCH_MAX: Duration = Duration::from_secs(20);

/// Whom requests about files ask.
#[derive(Clone)]
pub struct FilePorts {
    pub begin_upload: Port<BeginUpload>,
    pub begin_kept: Port<BeginKept>,
    pub begun: Port<Begun>,
    pub keep: Port<Keep>,
    pub finish: Port<Finish>,
    pub finish_kept: Port<FinishKept>,
    pub open_file: Port<OpenFile>,
    pub discredit: Port<Discredit>,
    pub fetch: Port<Fetch>,
    pub tables_at: Port<TablesAt>,
    pub secure: Port<Secure>,
}

pub async fn serve(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    with_inside(&request, &gate, "GET, HEAD", async |inside| match *request.method() {
        Method::GET | Method::HEAD => {
            Some(answer(&request, &gate, inside).await.unwrap_or_else(|why| problem(&why)))
        }
        _ => None,
    })
    .await
}

async fn answer(
    request: &HttpRequest,
    gate: &web::Data<Gate>,
    inside: &Inside,
) -> Result<HttpResponse, Problem> {
    let under_way = gate.begin()?;
    let path = request.uri().path().strip_prefix("/api/v1/files/").unwrap_or_default();
    let (file, name) = path.split_once('/').unwrap_or((path, ""));
    let name = names::clean(&names::unescaped(name));
    let file: Result<FileId, _> = file.parse();
    let who = who(request, inside, file.ok().zip(Some(name.as_str()))).await?;
    let file = file.map_err(|_| Problem::new(Code::NotFound, "no such file, or none that you may see"))?;
    inside.executor.may_fetch(&who, file).await?;

    let tag = format!("\"{file}\"");
    let known = |name| text(request.headers(), name);
    let has = known(header::IF_NONE_MATCH);
    if has.is_some_and(|has| has.split(',').any(|one| same_tag(one, &tag) || one.trim() == "*")) {
        let mut response = HttpResponse::NotModified();
        describe(&mut response, &name, tag);
        return Ok(response.finish());
    }
    let (opened, length) = open(&inside.files, file).await?;
    // A part of another version is of no use to who has the beginning of this one.
    let range = known(header::RANGE).filter(|_| known(header::IF_RANGE).is_none_or(|of| of.trim() == tag));
    let (mut response, range) = match wanted(range, length) {
        Wanted::Whole => (HttpResponse::Ok(), 0..length),
        Wanted::Part(range) => {
            let mut response = HttpResponse::PartialContent();
            let shown = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            response.insert_header((header::CONTENT_RANGE, shown));
            (response, range)
        }
        Wanted::Nothing => {
            let mut response = api::error(416, format!("the range lies behind the file's end, at {length}"));
            if let Ok(shown) = HeaderValue::from_str(&format!("bytes */{length}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, shown);
            }
            return Ok(response);
        }
    };
    describe(&mut response, &name, tag);
    let bytes = range.end - range.start;
    if request.method() == Method::HEAD {
        return Ok(sized(response, bytes, stream::empty()));
    }
    let mut body = Box::pin(reading::stream(file, opened, range, length, inside.files.discredit.clone()));
    // The head is not sent before there is something to send: a small file is whole by then.
    let first = body.next().await.transpose().map_err(|error| {
        tracing::warn!(%file, %error, "cannot read the bytes of a file");
        Problem::new(
            Code::Unavailable,
            "the bytes of this file are damaged here, and are fetched again: try again",
        )
    })?;
    let body = until_out(stream::iter(first.map(Ok)).chain(body), gate.clone(), under_way);
    Ok(sized(response, bytes, body))
}

fn describe(response: &mut HttpResponseBuilder, name: &str, tag: String) {
    let kind = names::kind_of(name);
    let shown = if kind == "text/plain" { "text/plain; charset=utf-8" } else { kind };
    response
        .insert_header((header::CONTENT_TYPE, shown))
        .insert_header((header::CONTENT_DISPOSITION, names::disposition(name, kind)))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::ETAG, tag));
}

pub(super) fn sized(
    mut response: HttpResponseBuilder,
    bytes: u64,
    body: impl Stream<Item = io::Result<Bytes>> + 'static,
) -> HttpResponse {
    response.body(SizedStream::new(bytes, Box::pin(body)))
}

/// Who asks: by a token, or by a link to this very file.
async fn who(
    request: &HttpRequest,
    inside: &Inside,
    link_to: Option<(FileId, &str)>,
) -> Result<String, Problem> {
    let claim = web::Query::<Claim>::from_query(request.query_string());
    if let (Err(_), Some((file, name)), Ok(claim)) = (api::token(request), link_to, claim) {
        return inside.executor.follow(file, name, claim.into_inner()).await;
    }
    Ok(bearer(request, inside, READ).await?.user)
}

/// Who asks, by the token that every request of a program has; a bot needs this right.
pub(super) async fn bearer(request: &HttpRequest, inside: &Inside, right: &str) -> Result<Who, Problem> {
    let who = inside.executor.session_of(&api::token(request)?).await?.who();
    who.check_right(right)?;
    Ok(who)
}

/// Opens a file; brings it here first when only another node has it.
async fn open(ports: &FilePorts, file: FileId) -> Result<(File, u64), Problem> {
    if let Some(opened) = ask(&ports.open_file, |reply| OpenFile { file, reply }).await? {
        return Ok(opened);
    }
    let fetching = ask(&ports.fetch, |reply| Fetch { file, reply });
    let _fetched = tokio::time::timeout(FETCH_MAX, fetching).await;
    let opened = ask(&ports.open_file, |reply| OpenFile { file, reply }).await?;
    opened.ok_or_else(|| {
        Problem::new(Code::Unavailable, "no node that can be reached has the bytes of this file now")
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a tag is this one; that it is called weak makes no difference here.
fn same_tag(one: &str, tag: &str) -> bool {
    let one = one.trim();
    one.strip_prefix("W/").unwrap_or(one) == tag
}
