//! The paths that are no ops: files, events, export, hooks, the cluster. A story plays each and holds what is asked and
//! answered against this.

use chat_actors::chat::outcome::Code;
use serde_json::{Value, json};

use super::objects::Shape::{Text, Whole};
use super::objects::{self, ALWAYS, UPLOAD, UPLOADED, named};
use super::{idempotency_key, json_of, refusal, refusals, replies};

/// What may become of any request of people.
const ANY: [Code; 5] = [Code::Forbidden, Code::RateLimited, Code::Internal, Code::Unavailable, Code::Timeout];
const RANGE_NOT_SATISFIABLE: &str = "416";

/// Paths, and what is to be asked there.
pub fn all() -> [(&'static str, Value); 8] {
    [
        ("/api/v1/cluster", json!({"get": cluster()})),
        ("/api/v1/files", json!({"post": upload()})),
        ("/api/v1/files/{file}/{name}", json!({"get": download()})),
        ("/api/v1/uploads", json!({"post": begin_upload()})),
        ("/api/v1/uploads/{id}", json!({"get": upload_offset(), "patch": go_on_with_upload()})),
        ("/api/v1/events", json!({"get": events()})),
        ("/api/v1/export", json!({"get": export()})),
        ("/api/v1/hooks/{token}", json!({"post": post_to_hook()})),
    ]
}

fn cluster() -> Value {
    json!({
        "operationId": "cluster",
        "summary": "The cluster as this node sees it",
        "security": [],
        "responses": responses(
            ("Who leads, and every node", json_of(named("ClusterView"))),
            &[Code::Forbidden, Code::Unavailable],
        ),
    })
}

fn upload() -> Value {
    let own = [Code::BadRequest, Code::Unauthorized, Code::TooLarge];
    json!({
        "operationId": "upload",
        "summary": "Takes a file; it is sent with a message",
        "parameters": [file_name()],
        "requestBody": {"content": bytes("application/octet-stream")},
        "responses": responses(
            ("This node has it on its disk", json_of(objects::done(UPLOADED.0, UPLOADED.1))),
            &[&own, &ANY[..]].concat(),
        ),
    })
}

fn download() -> Value {
    let own = [Code::Unauthorized, Code::NotFound];
    let whole = ("The bytes, of the type that follows from the name", any_bytes());
    let mut responses = responses(whole, &[&own, &ANY[..]].concat());
    responses["206"] = json!({"description": "A range of them", "content": any_bytes()});
    responses["304"] = json!({"description": "The asker has them already"});
    responses[RANGE_NOT_SATISFIABLE] = refusal("the range lies behind the file's end");
    json!({
        "operationId": "download",
        "summary": "A file, to who may see a message that holds it: with a token, or by a link of `file_link`",
        "security": [{"token": []}, {}],
        "parameters": [
            given("path", "file", "string"),
            given("path", "name", "string"),
            left_out("query", "by", "string", "Of a link, as the next two"),
            left_out("query", "until", "integer", "Unix milliseconds"),
            left_out("query", "sig", "string", "Its signature"),
            left_out("header", "Range", "string", "One range of bytes"),
            left_out("header", "If-Range", "string", "The range only if this is the file's `ETag`"),
            left_out("header", "If-None-Match", "string", "The bytes only if this is not the file's `ETag`"),
        ],
        "responses": responses,
    })
}

fn begin_upload() -> Value {
    let own = [Code::BadRequest, Code::Unauthorized, Code::TooLarge];
    let begun = objects::done(&[("upload", Text, ALWAYS), ("offset", Whole, ALWAYS)], &[]);
    json!({
        "operationId": "begin_upload",
        "summary": "Begins an upload that may be cut off",
        "parameters": [file_name(), given("query", "bytes", "integer")],
        "responses": responses(("Begun", json_of(begun)), &[&own, &ANY[..]].concat()),
    })
}

fn upload_offset() -> Value {
    let own = [Code::Unauthorized, Code::NotFound];
    json!({
        "operationId": "upload_offset",
        "summary": "How far an upload is",
        "parameters": [given("path", "id", "string")],
        "responses": responses(
            ("So many bytes are here", json_of(objects::done(&UPLOAD, &[]))),
            &[&own, &ANY[..]].concat(),
        ),
    })
}

fn go_on_with_upload() -> Value {
    let own = [Code::BadRequest, Code::Unauthorized, Code::NotFound, Code::Conflict, Code::TooLarge];
    json!({
        "operationId": "go_on_with_upload",
        "summary": "Takes the next bytes",
        "parameters": [given("path", "id", "string"), given("header", "Upload-Offset", "integer")],
        "requestBody": {"content": bytes("application/octet-stream")},
        "responses": responses(
            ("So many bytes are here, and once it is all what an upload gives", json_of(objects::done(&UPLOAD, &[]))),
            &[&own, &ANY[..]].concat(),
        ),
    })
}

fn events() -> Value {
    let own = [Code::BadRequest, Code::Unauthorized];
    let last = "The id of the last event that was seen: the stream goes on behind it";
    let stream = json!({"text/event-stream": {"schema": {
        "type": "string",
        "description": "`data` is one of the schema `Event`; `id`, of those with an `at`, is EPOCH-AT",
    }}});
    json!({
        "operationId": "events",
        "summary": "The events of a WebSocket, as server-sent events",
        "parameters": [
            left_out("header", "Last-Event-ID", "string", last),
            left_out("query", "cursor", "string", "The same, for whom the header is out of reach"),
        ],
        "responses": responses(("A stream without end", stream), &[&own, &ANY[..]].concat()),
    })
}

fn export() -> Value {
    let lines = json!({"application/x-ndjson": {"schema": {
        "type": "string",
        "description": "Each line is JSON, one of the schema `Line`; the last one is an end, or it was cut off",
    }}});
    json!({
        "operationId": "export",
        "summary": "Everything that the asker may see, as lines of JSON",
        "responses": responses(("All of it", lines), &[&[Code::Unauthorized], &ANY[..]].concat()),
    })
}

fn post_to_hook() -> Value {
    let own = [Code::BadRequest, Code::NotFound, Code::Conflict, Code::TooLarge];
    let body = json!({
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
    });
    json!({
        "operationId": "post_to_hook",
        "summary": "A message to the room of a hook",
        "security": [],
        "parameters": [given("path", "token", "string"), idempotency_key()],
        "requestBody": {"required": true, "content": json_of(body)},
        "responses": responses(
            ("Sent", json_of(replies::of("send").unwrap_or_default())),
            &[&own, &ANY[..]].concat(),
        ),
    })
}

/// What it is when it was done, and what may be wrong.
fn responses((description, content): (&str, Value), codes: &[Code]) -> Value {
    let mut responses = refusals(codes);
    responses.insert("200".to_owned(), json!({"description": description, "content": content}));
    responses.into()
}

/// Bytes as they are. OpenAPI 3.1 needs no schema for them; generators of clients look for this one.
fn bytes(kind: &str) -> Value {
    json!({kind: {"schema": {"type": "string", "format": "binary"}}})
}

/// Bytes of whatever type; generators that know no `*/*` look for the other one.
fn any_bytes() -> Value {
    let mut any = bytes("*/*");
    any["application/octet-stream"] = any["*/*"].clone();
    any
}

fn file_name() -> Value {
    left_out("query", "name", "string", "What it is called; `file` when that is left out")
}

fn given(place: &str, name: &str, kind: &str) -> Value {
    json!({"name": name, "in": place, "required": true, "schema": {"type": kind}})
}

fn left_out(place: &str, name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": place, "description": description, "schema": {"type": kind}})
}
