//! The page: plain files, built into the program, under a strict policy.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use chat_actors::membership::Directory;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::gate::Gate;

#[derive(RustEmbed)]
#[folder = "web-client/"]
#[exclude = "tests/*"]
#[exclude = "node_modules/*"]
#[exclude = "*.json"]
struct Files;

/// `GET /` and every file of the page.
pub async fn serve(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish();
    }
    let path = match request.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let Some(file) = Files::get(path) else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("not found\n");
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cross-origin-opener-policy", "same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.insert_header((ETAG, tag));
    }
    if path == "index.html" {
        let policy =
            gate.inside().map_or_else(|_| policy(&[]), |inside| nodes_policy(&inside.directory.borrow()));
        response.insert_header(("content-security-policy", policy));
    }
    body(&mut response, path, file)
}

fn body(response: &mut actix_web::HttpResponseBuilder, path: &str, file: EmbeddedFile) -> HttpResponse {
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    };
    response.content_type(kind).body(file.data.into_owned())
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
        assert!(Files::get("index.html").is_some() && Files::get("views/app.js").is_some());
        let strays: Vec<_> =
            Files::iter().filter(|path| path.contains("node_modules") || path.ends_with(".json")).collect();
        assert!(strays.is_empty(), "{strays:?}");
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
