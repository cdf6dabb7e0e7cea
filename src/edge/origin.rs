//! Which pages may talk to us: this node's own and every member's, since a page must be let in where it
//! fails over to. Programs send no `Origin`.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::http::uri::Uri;
use chat_actors::membership::Directory;

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A program, or a page of this very address that need not say so.
    None,
    /// A page that may; answered with this in `Access-Control-Allow-Origin`.
    Allowed(String),
    Foreign,
}

pub fn of(request: &HttpRequest, directory: &Directory) -> Origin {
    let Some(origin) = request.headers().get(ORIGIN) else { return Origin::None };
    let Ok(origin) = origin.to_str() else { return Origin::Foreign };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let own = host.is_some_and(|host| authority(origin).is_some_and(|from| from.eq_ignore_ascii_case(host)));
    let member = || directory.nodes.iter().any(|listed| same(&listed.node.public, origin));
    if own || member() { Origin::Allowed(origin.to_owned()) } else { Origin::Foreign }
}

/// The `host:port` of an origin.
fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
}

/// Whether two origins are the same; a port that the scheme implies may be left out.
fn same(one: &str, other: &str) -> bool {
    matches!((parts(one), parts(other)), (Some(one), Some(other)) if one == other)
}

/// Scheme, host and port; none of what is more than these, as no origin is.
fn parts(origin: &str) -> Option<(String, String, u16)> {
    let uri: Uri = origin.parse().ok()?;
    let more = uri.authority()?.as_str().contains('@') || uri.path() != "/" || uri.query().is_some();
    if more || origin.contains('#') {
        return None;
    }
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let implied = if scheme == "https" { 443 } else { 80 };
    Some((scheme, uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(implied)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use chat_actors::ids::RaftId;
    use chat_actors::membership::{Listed, Node};

    #[test]
    fn own_and_members_pages_may_and_others_may_not() {
        let node = Node {
            name: "node2".into(),
            raft_id: RaftId(2),
            peer: "http://127.0.0.1:8202".into(),
            public: "https://chat.example".into(),
        };
        let listed = Listed { node, learner: false };
        let directory = Directory { nodes: vec![listed], ..Directory::default() };
        for (origin, expected) in [
            (None, true),
            (Some("http://127.0.0.1:8101"), true),
            (Some("https://chat.example"), true),
            (Some("https://chat.example:443"), true),
            (Some("HTTPS://Chat.Example"), true),
            (Some("http://chat.example"), false),
            (Some("https://chat.example:444"), false),
            (Some("https://chat.example.evil.test"), false),
            (Some("http://127.0.0.1:8102"), false),
            (Some("https://evil.test@chat.example"), false),
            (Some("https://chat.example@evil.test"), false),
            (Some("https://chat.example/path"), false),
            (Some("https://chat.example//"), false),
            (Some("https://chat.example?a=b"), false),
            (Some("https://chat.example#a"), false),
            (Some("https://chat.example:"), false),
            (Some("//chat.example"), false),
            (Some("http://evil.test@127.0.0.1:8101"), false),
            (Some("http://127.0.0.1:8101/path"), false),
            (Some("null"), false),
        ] {
            let mut request = TestRequest::default().insert_header(("host", "127.0.0.1:8101"));
            if let Some(origin) = origin {
                request = request.insert_header(("origin", origin));
            }
            let found = of(&request.to_http_request(), &directory);
            assert_eq!(found != Origin::Foreign, expected, "{origin:?}");
        }
    }
}
