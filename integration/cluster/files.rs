//! Files of the chat: bytes to send, and the requests that carry them.

use std::path::{Path, PathBuf};

use actix_web::http::Method;
use serde_json::Value;

use super::client::{Client, new_id};
use super::http::{Answer, exchange};
use super::replies::{done, refused};
use super::wait::until;

/// Bytes that are like no others.
pub fn bytes_of(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub async fn ask(method: Method, url: &str, token: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    exchange(method, url, &headers, body).await.unwrap()
}

pub async fn try_upload(url: &str, token: &str, name: &str, bytes: &[u8]) -> Result<Answer, String> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    exchange(Method::POST, &format!("{url}/api/v1/files?name={name}"), &headers, bytes.to_vec()).await
}

pub async fn upload(url: &str, token: &str, name: &str, bytes: &[u8]) -> Value {
    let answer = try_upload(url, token, name, bytes).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub async fn fetch(url: &str, token: &str, file: &str, name: &str, headers: &[(&str, &str)]) -> Answer {
    ask(Method::GET, &format!("{url}/api/v1/files/{file}/{name}"), token, headers, Vec::new()).await
}

/// The same until it is there: a node without a copy asks the others, who may not get to answer in time.
pub async fn fetched(url: &str, token: &str, file: &str, name: &str) -> Answer {
    until("a file to be there", async || {
        let answer = fetch(url, token, file, name, &[]).await;
        assert!([200, 404, 503, 504].contains(&answer.status), "{}", answer.text());
        (answer.status == 200).then_some(answer)
    })
    .await
}

/// Asks under one id for something with a file, until it is done: who knows of the upload, or is to keep its bytes, may
/// not get to say so in time.
pub async fn until_found(client: &mut Client, op: &str, fields: Value) -> Value {
    let id = new_id();
    let reply = until("a file to be found", async || {
        let reply = client.until_settled(&id, op, &fields).await;
        (reply["error"]["code"] != "not_found").then_some(reply)
    })
    .await;
    done(&format!("{op} {fields}"), &reply);
    reply
}

#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    refused("a file", &answer.json(), code);
}

/// Where a node keeps the bytes of a file.
pub fn path_of(data_dir: &Path, file: &str) -> PathBuf {
    data_dir.join("files").join(&file[..2]).join(file)
}
