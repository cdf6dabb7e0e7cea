//! HTTP to strangers: no redirect is followed, and nothing is sent to an address that is not public, unless the
//! operators allow it. Addresses are looked at when a connection is made, and no other is connected to, so a name
//! cannot lead elsewhere afterwards.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_tls::connect::{ConnectError as DialError, ConnectInfo, Connector as Dialler};
use actix_web::dev::{Service, fn_service};
use actix_web::http::header::{HttpDate, RETRY_AFTER};
use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::{Client, ClientResponse, Connector};
use tokio::net::lookup_host;

use super::addresses::is_public;
use super::core::Answer;
use crate::tls;

/// Whatever takes longer has failed.
const WITHIN: Duration = Duration::from_secs(10);
/// Of what a receiver answers behind its status no more is read, and not for longer; with more, its connection is
/// not used again.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
const AGENT: &str = concat!("replicated-chat/", env!("CARGO_PKG_VERSION"));

/// One request, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub url: String,
    pub event: &'static str,
    /// The same however often it is posted.
    pub delivery: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

/// A host that may not be posted to.
#[derive(Debug, thiserror::Error)]
#[error("{host} is not at a public address")]
struct NotPublic {
    host: String,
}

/// A client with connections of its own. Must be made and used on one thread, with an actix runtime.
///
/// # Errors
/// When there is no TLS to be had.
pub fn client(allow_private: bool) -> Result<Client, rustls::Error> {
    let dialler = Dialler::default().service();
    let public_only = fn_service(move |to: ConnectInfo<Uri>| {
        let dialler = dialler.clone();
        async move {
            let (host, port) = (to.hostname().to_owned(), to.port());
            let found = lookup_host(format!("{host}:{port}")).await;
            let mut addresses: Vec<_> =
                found.map_err(|error| DialError::Resolver(Box::new(error)))?.collect();
            addresses.retain(|address| allow_private || is_public(address.ip()));
            if addresses.is_empty() {
                return Err(DialError::Resolver(Box::new(NotPublic { host })));
            }
            dialler.call(to.set_addrs(addresses)).await
        }
    });
    let connector = Connector::new()
        .connector(public_only)
        .rustls_0_23(Arc::new(tls::client_config()?))
        .timeout(WITHIN)
        .handshake_timeout(WITHIN);
    Ok(Client::builder()
        .connector(connector)
        .timeout(WITHIN)
        .disable_redirects()
        .no_default_headers()
        .add_default_header(("User-Agent", AGENT))
        .finish())
}

/// Posts it, once.
pub async fn post(client: Client, post: Post) -> Answer {
    match tokio::time::timeout(WITHIN, send(&client, post)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::failed(words(error)),
        Err(_) => Answer::failed(format!("no answer in {} s", WITHIN.as_secs())),
    }
}

async fn send(client: &Client, post: Post) -> Result<Answer, SendRequestError> {
    let request = client
        .post(&post.url)
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("X-Chat-Event", post.event))
        .insert_header(("X-Chat-Delivery", post.delivery))
        .insert_header(("X-Chat-Timestamp", post.timestamp))
        .insert_header(("X-Chat-Signature", post.signature));
    let mut response = request.send_body(post.body).await?;
    let answer = Answer::of_status(response.status().as_u16(), retry_after_ms(&response));
    // Read to its end, a connection can be used again; what it says is of no interest, and its status stands.
    let _unread = tokio::time::timeout(ANSWER_WITHIN, response.body().limit(ANSWER_BYTES_MAX)).await;
    Ok(answer)
}

/// The pause that a receiver asks for: in seconds, or until some time of day.
fn retry_after_ms<S>(response: &ClientResponse<S>) -> Option<u64> {
    pause_ms(response.headers().get(RETRY_AFTER)?.to_str().ok()?, now())
}

fn pause_ms(asked: &str, now: SystemTime) -> Option<u64> {
    if let Ok(seconds) = asked.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let until: SystemTime = asked.parse::<HttpDate>().ok()?.into();
    u64::try_from(until.duration_since(now).unwrap_or_default().as_millis()).ok()
}

#[allow(clippy::disallowed_methods, reason = "a receiver names a time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// What went wrong, for whoever looks after the subscription.
fn words(error: SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(why)) => match why.downcast::<NotPublic>() {
            Ok(not_public) => not_public.to_string(),
            Err(why) => format!("its name leads nowhere: {why}"),
        },
        SendRequestError::Connect(ConnectError::Io(error)) if refused(&error) => {
            "its port refuses connections".to_owned()
        }
        SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => {
            format!("no answer in {} s", WITHIN.as_secs())
        }
        other => other.to_string(),
    }
}

fn refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::UNIX_EPOCH;

    use actix::System;

    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_time() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        for (asked, pause) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(pause_ms(asked, now), pause, "{asked}");
        }
    }

    /// However the address of this machine is written: nobody is connected to.
    #[test]
    fn only_public_addresses_are_connected_to() {
        System::new().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = client(false).unwrap();
            for host in ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
                let post = Post {
                    url: format!("http://{host}:{port}/"),
                    event: "message",
                    delivery: "1".into(),
                    timestamp: "1".into(),
                    signature: "1".into(),
                    body: "{}".into(),
                };
                let expected = Answer::failed(format!("{host} is not at a public address"));
                assert_eq!(super::post(client.clone(), post).await, expected, "{host}");
            }
            listener.accept().expect_err("nobody has come");
        });
    }
}
