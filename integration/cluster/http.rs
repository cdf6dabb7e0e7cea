//! Requests to a node, each on a connection of its own: one that a dead node held tells nothing.

use actix_web::http::{Method, header::HeaderMap};
use bytes::Bytes;
use serde_json::Value;

use super::wait::PATIENCE;

const BODY_BYTES_MAX: usize = 64 << 20;

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// Empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// # Errors
/// Says in words why there is no answer.
pub async fn exchange(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, String> {
    let exchange = async {
        let client = awc::Client::builder().disable_redirects().timeout(PATIENCE).finish();
        let mut request = client.request(method, url).force_close();
        for header in headers {
            request = request.insert_header(*header);
        }
        let mut response = request.send_body(body.into()).await.map_err(|error| error.to_string())?;
        let body = response.body().limit(BODY_BYTES_MAX).await.map_err(|error| error.to_string())?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    };
    match actix::clock::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{url}: nothing in {} s", PATIENCE.as_secs())),
    }
}

/// # Errors
/// Says in words why there is no answer.
pub async fn get(url: &str) -> Result<Answer, String> {
    exchange(Method::GET, url, &[], Bytes::new()).await
}

/// An op on a node's HTTP API. `key` is its `Idempotency-Key`.
pub async fn op(url: &str, op: &str, token: Option<&str>, key: Option<&str>, fields: &Value) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let url = format!("{url}/api/v1/{op}");
    exchange(Method::POST, &url, &headers, fields.to_string()).await.unwrap()
}
