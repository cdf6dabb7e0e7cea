//! Events over HTTP, as server-sent events: `GET /api/v1/events`. The stream is the one that a WebSocket
//! gets, from the same shard; here it is only written down.
//!
//! The id of an event is `EPOCH-AT`: a client that comes back with the last one goes on behind it, on any
//! node, and learns when the chat was restored from a copy.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::{ConnectionType, Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chat_actors::chat::outcome::Code;
use chat_actors::ids::At;
use chat_actors::session::reply::{Problem, Welcome};
use chat_actors::session::request::Resume;
use chat_actors::session::{Heard, Listener, Opened, SessionConfig};
use futures_util::stream;
use serde::Deserialize;

use super::api::{token, with_inside};
use super::gate::{Gate, Inside, Worker, problem};
use super::ws::{caller, socket};

/// How long a client should wait before it comes back.
const RETRY_MS: u32 = 500;

pub async fn open(
    request: HttpRequest,
    gate: web::Data<Gate>,
    worker: web::ThinData<Rc<Worker>>,
) -> HttpResponse {
    with_inside(&request, &gate, "GET", async |inside| match *request.method() {
        Method::GET => {
            Some(listen(&request, &gate, inside, &worker).await.unwrap_or_else(|why| problem(&why)))
        }
        _ => None,
    })
    .await
}

async fn listen(
    request: &HttpRequest,
    gate: &Gate,
    inside: &Inside,
    worker: &Worker,
) -> Result<HttpResponse, Problem> {
    let token = token(request)?;
    let resume = position(request)?;
    let config = SessionConfig {
        executor: Arc::clone(&inside.executor),
        door: worker.door(inside, &gate.metrics),
        metrics: gate.metrics.clone(),
        ping_every: inside.ping_every,
    };
    let opened =
        Opened { caller: caller(request), socket: socket(request), too_big: Rc::new(Cell::new(false)) };
    let wanted = resume.cursor.is_some();
    let (listener, welcome) = Listener::open(config, opened, token, resume).await?;
    let Welcome { epoch, cursor, resumed, .. } = welcome;
    let first = greeting(&epoch, cursor, wanted, resumed);
    let text = stream::unfold((Some(first), listener, epoch), |(first, mut listener, epoch)| async move {
        let text = match first {
            Some(first) => first,
            None => written(&epoch, listener.next().await?),
        };
        Some((Ok::<_, actix_web::Error>(Bytes::from(text)), (None, listener, epoch)))
    });
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // A proxy that gathers what it passes on would hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(text);
    response.head_mut().set_connection_type(ConnectionType::Close);
    Ok(response)
}

/// From where the client goes on: the header that an `EventSource` sends by itself, else `?cursor=`.
fn position(request: &HttpRequest) -> Result<Resume, Problem> {
    #[derive(Deserialize)]
    struct Asked {
        cursor: Option<String>,
    }
    let wrong = || {
        let text = "Last-Event-ID or cursor must be the id of an event: EPOCH-AT";
        Problem::new(Code::BadRequest, text)
    };
    let asked = match request.headers().get("last-event-id") {
        Some(id) => Some(id.to_str().map_err(|_| wrong())?.to_owned()),
        None => {
            web::Query::<Asked>::from_query(request.query_string()).map_err(|_| wrong())?.into_inner().cursor
        }
    };
    match asked {
        Some(id) if !id.is_empty() => read_id(&id).ok_or_else(wrong),
        _ => Ok(Resume::default()),
    }
}

fn read_id(id: &str) -> Option<Resume> {
    let (epoch, at) = id.rsplit_once('-')?;
    Some(Resume { cursor: Some(At(at.parse().ok()?)), epoch: Some(epoch.to_owned()) })
}

/// The first event. Whoever goes on needs none; whoever begins is told where, and whoever cannot go on, that
/// what it holds is to be loaded anew.
fn greeting(epoch: &str, cursor: At, wanted: bool, resumed: bool) -> String {
    let first = match (wanted, resumed) {
        (_, true) => String::new(),
        (true, false) => format!("id: {epoch}-{cursor}\ndata: {{\"ev\":\"reset\"}}\n\n"),
        (false, false) => {
            format!("id: {epoch}-{cursor}\ndata: {{\"ev\":\"cursor\",\"at\":{cursor}}}\n\n")
        }
    };
    format!("retry: {RETRY_MS}\n\n{first}")
}

fn written(epoch: &str, heard: Heard) -> String {
    match heard {
        Heard::Events(events) => {
            let mut text = String::with_capacity(events.iter().map(|event| event.len() + 64).sum());
            for event in &events {
                write(&mut text, epoch, event);
            }
            text
        }
        Heard::Silence => ":\n\n".to_owned(),
        Heard::Farewell(bye) => {
            let mut text = String::new();
            write(&mut text, epoch, &bye);
            text
        }
        Heard::Over(reason) => {
            format!("data: {}\n\n", serde_json::json!({"ev": "over", "reason": reason}))
        }
    }
}

/// One event, with its id when it has one. JSON has no line breaks of its own.
fn write(text: &mut String, epoch: &str, event: &str) {
    if let Some(at) = at_of(event) {
        text.push_str(&format!("id: {epoch}-{at}\n"));
    }
    text.push_str("data: ");
    text.push_str(event);
    text.push_str("\n\n");
}

fn at_of(event: &str) -> Option<At> {
    #[derive(Deserialize)]
    struct Numbered {
        at: Option<At>,
    }
    serde_json::from_str::<Numbered>(event).ok()?.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_an_at_have_it_as_their_id() {
        let events =
            [r#"{"ev":"message","at":12,"text":"a\nb"}"#, r#"{"ev":"typing","room":1,"user":"ann"}"#];
        let heard = Heard::Events(events.map(Into::into).to_vec());
        let expected = "id: e0-12\ndata: {\"ev\":\"message\",\"at\":12,\"text\":\"a\\nb\"}\n\n\
                        data: {\"ev\":\"typing\",\"room\":1,\"user\":\"ann\"}\n\n";
        assert_eq!(written("e0", heard), expected);
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let resume = read_id("e-0-12").unwrap();
        assert_eq!((resume.cursor, resume.epoch.as_deref()), (Some(At(12)), Some("e-0")));
        for wrong in ["12", "e0-", "e0-x", ""] {
            assert!(read_id(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn who_cannot_go_on_is_told_to_load_anew() {
        assert_eq!(greeting("e", At(3), true, true), "retry: 500\n\n");
        assert!(greeting("e", At(3), true, false).ends_with("id: e-3\ndata: {\"ev\":\"reset\"}\n\n"));
        assert!(greeting("e", At(3), false, false).ends_with("data: {\"ev\":\"cursor\",\"at\":3}\n\n"));
    }
}
