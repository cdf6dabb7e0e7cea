//! `GET /api/v1/openapi.json`: the HTTP API, described for programs. Made from the very table that says
//! what is wrong with a request, and from one of what replies hold.

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
    paths.insert(
        "/api/v1/cluster".to_owned(),
        json!({"get": {
            "operationId": "cluster",
            "summary": "The cluster as this node sees it",
            "security": [],
            "responses": {"200": {"description": "Who leads, and every node"}},
        }}),
    );
    paths.extend(files());
    paths.insert(
        "/api/v1/events".to_owned(),
        json!({"get": {
            "operationId": "events",
            "summary": "The events of a WebSocket, as server-sent events",
            "parameters": [
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "description": "The id of the last event that was seen: the stream goes on behind it.",
                    "schema": {"type": "string"},
                },
                {
                    "name": "cursor",
                    "in": "query",
                    "description": "The same, for whom the header is out of reach.",
                    "schema": {"type": "string"},
                },
            ],
            "responses": {
                "200": {
                    "description": "`data` is an event; `id`, of those with an `at`, is EPOCH-AT",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                },
                "401": {
                    "description": "unauthorized",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }}),
    );
    paths.insert(
        "/api/v1/export".to_owned(),
        json!({"get": {
            "operationId": "export",
            "summary": "Everything that the asker may see, as lines of JSON",
            "responses": {
                "200": {
                    "description": "A header, then users, rooms, members, messages, read marks, and an end",
                    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
                },
                "401": {
                    "description": "unauthorized",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }}),
    );
    let refused = json!({
        "description": "Refused, with the reason",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    });
    paths.insert(
        "/api/v1/hooks/{token}".to_owned(),
        json!({"post": {
            "operationId": "post_to_hook",
            "summary": "A message to the room of a hook",
            "security": [],
            "parameters": [
                {"name": "token", "in": "path", "required": true, "schema": {"type": "string"}},
                idempotency_key(),
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["text"],
                "properties": {"text": {"type": "string"}},
            }}}},
            "responses": {
                "200": {
                    "description": "Sent",
                    "content": {"application/json": {"schema": replies::of("send")}},
                },
                "400": refused.clone(),
                "404": refused.clone(),
                "429": refused,
            },
        }}),
    );
    let mut schemas = replies::objects();
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

/// Files travel as they are, not as JSON.
fn files() -> impl Iterator<Item = (String, Value)> {
    let parameter = |place: &str, name: &str, kind: &str| json!({"name": name, "in": place, "required": true, "schema": {"type": kind}});
    // OpenAPI 3.1 needs no schema for bytes; generators of clients look for this one.
    let schema = json!({"type": "string", "format": "binary"});
    let bytes = json!({"content": {"application/octet-stream": {"schema": schema}}});
    let named = parameter("query", "name", "string");
    let id = parameter("path", "id", "string");
    [
        (
            "/api/v1/files",
            json!({"post": {
                "operationId": "upload",
                "parameters": [named],
                "requestBody": bytes,
                "responses": {"200": {"description": "`file`, `name`, `bytes`, `type`"}},
            }}),
        ),
        (
            "/api/v1/files/{file}/{name}",
            json!({"get": {
                "operationId": "download",
                "parameters": [parameter("path", "file", "string"), parameter("path", "name", "string")],
                "responses": {"200": {"description": "The bytes"}, "206": {"description": "A range of them"}},
            }}),
        ),
        (
            "/api/v1/uploads",
            json!({"post": {
                "operationId": "begin_upload",
                "parameters": [named, parameter("query", "bytes", "integer")],
                "responses": {"200": {"description": "`upload`, `offset`"}},
            }}),
        ),
        (
            "/api/v1/uploads/{id}",
            json!({
                "get": {
                    "operationId": "upload_offset",
                    "parameters": [id],
                    "responses": {"200": {"description": "`offset`"}},
                },
                "patch": {
                    "operationId": "go_on_with_upload",
                    "parameters": [id, parameter("header", "Upload-Offset", "integer")],
                    "requestBody": bytes,
                    "responses": {"200": {"description": "`offset`, or what an upload gives"}},
                },
            }),
        ),
    ]
    .into_iter()
    .map(|(path, described)| (path.to_owned(), described))
}

fn operation(op: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for Described { name, kind, items, needed } in described(op) {
        // Over HTTP the header brings it.
        let by_header = op == "hello" && name == "token";
        let mut schema = json!({"type": kind});
        if let Some(items) = items {
            schema["items"] = json!({"type": items});
        }
        properties.insert(name.to_owned(), schema);
        if needed && !by_header {
            required.push(name);
        }
    }
    let mut responses = Map::new();
    let done = json!({"application/json": {"schema": replies::of(op)}});
    responses.insert("200".to_owned(), json!({"description": "Done: `ok` is true", "content": done}));
    for code in CODES {
        let (name, status, _) = code.row();
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
        responses.insert(status.to_string(), json!({"description": name, "content": content}));
    }
    let mut operation = json!({
        "operationId": op,
        "parameters": [idempotency_key()],
        "requestBody": {"content": {"application/json": {"schema": {
            "type": "object",
            "properties": properties,
            "required": required,
        }}}},
        "responses": responses,
    });
    if BEFORE_HELLO.contains(&op) && op != "hello" {
        operation["security"] = json!([]);
    }
    operation
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
