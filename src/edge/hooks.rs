//! Messages from other programs: `POST /api/v1/hooks/TOKEN`.
//!
//! The body is what Slack and Mattermost take: an object with a `text`; what else is in it is not heeded,
//! also no `username`: whoever knows the address could take anybody's name.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::chat::outcome::Code;
use chat_actors::session::reply::{Problem, Reply};
use serde_json::{Map, Value};

use super::api::{id, read, replied, with_inside};
use super::gate::{Gate, Inside};

pub async fn post(
    request: HttpRequest,
    body: web::Payload,
    token: web::Path<String>,
    gate: web::Data<Gate>,
) -> HttpResponse {
    with_inside(&request, &gate, "POST", async |inside| match *request.method() {
        Method::POST => Some(replied(&gate, &send(&request, body, &gate, inside, &token).await)),
        _ => None,
    })
    .await
}

async fn send(request: &HttpRequest, body: web::Payload, gate: &Gate, inside: &Inside, token: &str) -> Reply {
    let _under_way = gate.begin()?;
    let body = gate.in_time(read(request, body, gate.frame_bytes)).await??;
    let wrong = |why: &str| Problem::new(Code::BadRequest, why);
    let fields: Map<String, Value> =
        serde_json::from_str(&body).map_err(|_| wrong("the body must be one JSON object with a text"))?;
    let Some(Value::String(text)) = fields.get("text") else {
        return Err(wrong("text is missing: it must be a string"));
    };
    inside.executor.post_to_hook(token, &id(request)?, text.clone()).await
}
