//! The page: plain files, built into the program, under a strict policy.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::membership::Directory;
use sha2::{Digest, Sha256};

use super::gate::Gate;

// `FILES`: path and bytes of each, as `build/main.rs` made them.
include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What the service worker asks for: which files make up the page.
const SHELL: &str = "shell.json";

struct File {
    bytes: Cow<'static, [u8]>,
    tag: String,
}

/// Every file of the page, by its path.
static PAGE: LazyLock<BTreeMap<&'static str, File>> = LazyLock::new(|| {
    let file = |bytes: Cow<'static, [u8]>| {
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
        File { bytes, tag }
    };
    let mut page: BTreeMap<_, _> =
        FILES.iter().map(|(path, bytes)| (*path, file(Cow::Borrowed(bytes)))).collect();
    let tags: String = page.values().map(|file| file.tag.as_str()).collect();
    let version = hex::encode(&Sha256::digest(tags)[..8]);
    let shell = serde_json::json!({ "version": version, "files": page.keys().collect::<Vec<_>>() });
    page.insert(SHELL, file(Cow::Owned(shell.to_string().into_bytes())));
    page
});

/// `GET /` and every file of the page.
pub async fn serve(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish();
    }
    let path = match request.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let Some(file) = PAGE.get(path) else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("not found\n");
    };
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|known| known.trim() == file.tag)) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cross-origin-opener-policy", "same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&file.tag) {
        response.insert_header((ETAG, tag));
    }
    if path == "index.html" {
        let policy =
            gate.inside().map_or_else(|_| policy(&[]), |inside| nodes_policy(&inside.directory.borrow()));
        response.insert_header(("content-security-policy", policy));
    }
    body(&mut response, path, file)
}

fn body(response: &mut actix_web::HttpResponseBuilder, path: &str, file: &File) -> HttpResponse {
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    };
    response.content_type(kind).body(file.bytes.to_vec())
}

fn nodes_policy(directory: &Directory) -> String {
    policy(&directory.public_urls())
}

/// Nothing but our own files, and every node to talk to: a page stays when its node dies.
fn policy(nodes: &[String]) -> String {
    let http = nodes.join(" ");
    let sockets: Vec<_> = nodes.iter().map(|node| node.replacen("http", "ws", 1)).collect();
    let sockets = sockets.join(" ");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; manifest-src 'self'; \
         connect-src 'self' {http} {sockets}; img-src 'self' blob: {http}; media-src 'self' blob: {http}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types chat"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_program_and_its_tools_are_not() {
        assert!(PAGE.contains_key("index.html") && PAGE.contains_key("main.js"));
        let strays: Vec<_> = FILES
            .iter()
            .map(|(path, _)| *path)
            .filter(|path| path.contains("node_modules") || path.contains("test") || path.ends_with(".json"))
            .collect();
        assert!(strays.is_empty(), "{strays:?}");
    }

    #[test]
    fn the_service_worker_is_told_of_every_file() {
        let shell: serde_json::Value = serde_json::from_slice(&PAGE[SHELL].bytes).unwrap();
        let files: Vec<_> =
            shell["files"].as_array().unwrap().iter().filter_map(|file| file.as_str()).collect();
        assert_eq!(files, FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
        assert!(!shell["version"].as_str().unwrap().is_empty());
    }

    #[test]
    fn the_policy_names_every_node_for_both_protocols() {
        let policy = policy(&["http://127.0.0.1:8101".into(), "https://b.example".into()]);
        for part in [
            "connect-src 'self' http://127.0.0.1:8101 https://b.example ws://127.0.0.1:8101 wss://b.example;",
            "require-trusted-types-for 'script'",
            "default-src 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
    }
}
