//! HTTP to another node, over kept connections without Nagle's delay.

use std::io;
use std::time::Duration;

use actix_tls::connect::{ConnectError as DialError, ConnectInfo, Connector as Dialler};
use actix_web::dev::{Service, fn_service};
use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::{Client, ClientResponse, Connector};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::TcpStream;

use super::wire::{Refused, RefusedError};

/// A lost SYN is repeated after a second at the earliest: dial again before that.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// Bytes that the other machine does not acknowledge for so long will not arrive soon: after a silent cut the
/// system would repeat them ever more rarely, and all that waits behind them with them. It says nothing about how
/// long a large parcel takes.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(1);
/// Shorter than the peer port's own, so that a POST never meets a connection just being closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// A client with connections of its own; whatever takes longer than `answer_max` has failed.
/// Must be made and used on one thread, with an actix runtime.
pub fn client(answer_max: Duration) -> Client {
    let dialler = Dialler::default().service();
    let no_delay = fn_service(move |to: ConnectInfo<Uri>| {
        let dialling = dialler.call(to);
        async move {
            let connection = dialling.await?;
            connection.set_nodelay(true).map_err(DialError::Io)?;
            give_up_early(connection.io_ref()).map_err(DialError::Io)?;
            Ok(connection)
        }
    });
    let connector = Connector::new()
        .connector(no_delay)
        .timeout(CONNECT_MAX)
        .conn_keep_alive(IDLE_MAX)
        .conn_lifetime(LIFETIME_MAX);
    Client::builder().connector(connector).timeout(answer_max).disable_redirects().finish()
}

#[cfg(target_os = "linux")]
fn give_up_early(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}

/// Elsewhere a parcel's own deadline must do.
#[cfg(not(target_os = "linux"))]
fn give_up_early(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there: the process is gone.
    #[error("the port refuses connections")]
    PortClosed,
    #[error("{0}")]
    NoAnswer(String),
    /// The node is there and says no, for now.
    #[error("it is not ready: {}", .0.message)]
    NotReady(RefusedError),
    /// The node is there and will have nothing to do with this one.
    #[error("it refuses this node: {}", .0.message)]
    Refused(RefusedError),
}

impl From<SendRequestError> for Failure {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Connect(ConnectError::Io(error))
                if error.kind() == io::ErrorKind::ConnectionRefused =>
            {
                Self::PortClosed
            }
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
                Self::NoAnswer("no answer in time".to_owned())
            }
            SendRequestError::Send(error) => Self::NoAnswer(error.to_string()),
            SendRequestError::Response(error) => Self::NoAnswer(error.to_string()),
            other => Self::NoAnswer(other.to_string()),
        }
    }
}

/// The response when it is a good one, or what it says instead.
///
/// # Errors
/// See [`Failure`].
pub async fn good(answer: Result<ClientResponse, SendRequestError>) -> Result<ClientResponse, Failure> {
    let mut response = answer?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = match tokio::time::timeout(CONNECT_MAX, response.body().limit(REFUSAL_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        _ => bytes::Bytes::new(),
    };
    let said = match serde_json::from_slice::<Refused>(&text) {
        Ok(refused) => refused.error,
        Err(_) => Refused::new("unknown", format!("HTTP status {}", status.as_u16()), false).error,
    };
    Err(if status.is_server_error() { Failure::NotReady(said) } else { Failure::Refused(said) })
}
