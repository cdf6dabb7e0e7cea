//! `GET /api/v1/openapi.json`: the HTTP API, described for programs. Made from the very table that says
//! what is wrong with a request, and from those of what `replies` and other `paths` hold and of which `objects` there are.

mod objects;
mod paths;
mod replies;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::chat::outcome::Code;
use chat_actors::session::fields::{Described, described};
use chat_actors::session::request::{BEFORE_HELLO, OPS};
use serde_json::{Map, Value, json};

use super::api::with_inside;
use super::gate::{self, Gate};

const CODES: [Code; 10] = [
    Code::BadRequest,
    Code::Unauthorized,
    Code::Forbidden,
    Code::NotFound,
    Code::Conflict,
    Code::TooLarge,
    Code::RateLimited,
    Code::Internal,
    Code::Unavailable,
    Code::Timeout,
];

pub async fn describe(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    with_inside(&request, &gate, "GET", async |_| match *request.method() {
        Method::GET | Method::HEAD => Some(gate::json(200, description().to_string())),
        _ => None,
    })
    .await
}

fn description() -> Value {
    let mut paths: Map<String, Value> =
        OPS.iter().map(|op| (format!("/api/v1/{op}"), json!({"post": operation(op)}))).collect();
    paths.extend(paths::all().map(|(path, described)| (path.to_owned(), described)));
    let mut schemas = objects::all();
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "replicated-chat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The ops of the WebSocket, one request at a time; see docs/protocol.md.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    })
}

fn operation(op: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for Described { name, kind, items, needed } in described(op) {
        // Over HTTP the header brings it.
        let by_header = op == "hello" && name == "token";
        let mut schema = json!({"type": kind});
        if let Some(items) = items {
            schema["items"] = match items {
                "object" => objects::named("FileToSend"),
                items => json!({"type": items}),
            };
        }
        properties.insert(name.to_owned(), schema);
        if needed && !by_header {
            required.push(name);
        }
    }
    let mut responses = refusals(&CODES);
    let done = json_of(replies::of(op).unwrap_or_default());
    responses.insert("200".to_owned(), json!({"description": "Done: `ok` is true", "content": done}));
    let mut operation = json!({
        "operationId": op,
        "parameters": [idempotency_key()],
        "requestBody": {"required": !required.is_empty(), "content": json_of(json!({
            "type": "object",
            "properties": properties,
            "required": required,
        }))},
        "responses": responses,
    });
    if BEFORE_HELLO.contains(&op) && op != "hello" {
        operation["security"] = json!([]);
    }
    operation
}

/// By their status.
fn refusals(codes: &[Code]) -> Map<String, Value> {
    codes.iter().map(|code| code.row()).map(|(name, status, _)| (status.to_string(), refusal(name))).collect()
}

fn refusal(description: &str) -> Value {
    json!({"description": description, "content": json_of(objects::named("Error"))})
}

fn json_of(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The request's own id: a change repeated with it is done once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    })
}

fn error_schema() -> Value {
    let codes: Vec<&str> = CODES.iter().map(|code| code.row().0).collect();
    json!({
        "type": "object",
        "required": ["ok", "error"],
        "properties": {
            "ok": {"type": "boolean", "const": false},
            "error": {
                "type": "object",
                "required": ["code", "message", "retry"],
                "properties": {
                    "code": {"type": "string", "enum": codes},
                    "message": {"type": "string"},
                    "retry": {"type": "boolean"},
                    "retry_after_ms": {"type": "integer"},
                    "current": {"$ref": "#/components/schemas/Message"},
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_is_described_with_its_fields() {
        let description = description();
        for op in OPS {
            assert!(description["paths"][format!("/api/v1/{op}")]["post"].is_object(), "{op}");
            assert!(replies::of(op).is_some(), "the reply to {op} is not described: see replies.rs");
        }
        let schema = |op: &str| {
            description["paths"][format!("/api/v1/{op}")]["post"]["requestBody"]["content"]["application/json"]
                ["schema"]
                .clone()
        };
        assert_eq!(schema("send")["required"], json!(["room", "text"]));
        assert_eq!(
            schema("delete")["properties"]["seqs"],
            json!({"type": "array", "items": {"type": "integer"}})
        );
        assert_eq!(schema("hello")["required"], json!([]));
    }
}
