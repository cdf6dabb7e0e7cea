//! The way of a client that must not depend on any one node: where to go next, and how to come in.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Client, new_id};

/// A node that owes an answer for so long is left for another.
pub const SILENCE: Duration = Duration::from_millis(2500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A node may wait 2 s for itself before it answers a `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A node that was no good is left alone for so long, while there are others.
const SHUNNED: Duration = Duration::from_secs(5);

pub struct Route {
    urls: Vec<String>,
    /// When it left each node, or could not reach it.
    left: Vec<Option<Instant>>,
}

impl Route {
    pub fn new(urls: &[String]) -> Self {
        Self { urls: urls.to_vec(), left: vec![None; urls.len()] }
    }

    /// Any node that there is no reason to avoid, or else the one that was left first; its number and URL.
    pub fn choose(&self) -> (usize, String) {
        let avoids = |node: &usize| self.left[*node].is_some_and(|left| left.elapsed() < SHUNNED);
        let good: Vec<usize> = (0..self.left.len()).filter(|node| !avoids(node)).collect();
        let node = if good.is_empty() {
            (0..self.left.len()).min_by_key(|node| self.left[*node]).unwrap_or(0)
        } else {
            good[rand::random_range(0..good.len())]
        };
        (node, self.urls[node].clone())
    }

    pub fn leave(&mut self, node: usize) {
        self.left[node] = Some(Instant::now());
    }
}

/// A connection and what it answered to this `hello`; `None`: not there, or silent.
pub async fn connect(url: &str, hello: Value) -> Option<(Client, Value)> {
    let open = actix::clock::timeout(CONNECT_TIMEOUT, Client::open_with(url, &[])).await;
    let mut client = open.ok()?.ok()?;
    let id = new_id();
    client.post(&id, "hello", hello).await;
    let deadline = Instant::now() + HELLO_TIMEOUT;
    loop {
        if let Some(reply) = client.take_reply(&id) {
            return Some((client, reply));
        }
        if !client.read(deadline).await {
            return None;
        }
    }
}
