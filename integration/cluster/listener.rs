//! One stream of `GET /api/v1/events`.

use std::pin::Pin;

use awc::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;

use super::wait::PATIENCE;

pub struct Listener {
    body: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    text: String,
    /// Of the last event that had one.
    pub last_id: String,
    /// All events so far.
    pub events: Vec<Value>,
    last_at: u64,
}

impl Listener {
    /// Listens from the event with this id on; from now on when it is empty.
    pub async fn open(url: &str, token: &str, last_id: &str) -> Self {
        let client = awc::Client::builder().timeout(PATIENCE).finish();
        let mut request = client
            .get(format!("{url}/api/v1/events"))
            .insert_header(("Authorization", format!("Bearer {token}")));
        if !last_id.is_empty() {
            request = request.insert_header(("Last-Event-ID", last_id));
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        Self {
            body: Box::pin(response),
            text: String::new(),
            last_id: last_id.to_owned(),
            events: Vec::new(),
            last_at: 0,
        }
    }

    /// The next event, or `None` when the stream has ended. Comments are passed over.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                match self.block(&block) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = actix::clock::timeout(PATIENCE, self.body.next()).await.expect("nothing is told");
            match chunk {
                Some(Ok(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                // A node that was killed does not end its streams in good order.
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Waits for an event that looks like this.
    pub async fn event(&mut self, expected: Value) -> Value {
        let is_like = |event: &Value| {
            expected.as_object().unwrap().iter().all(|(name, value)| event.get(name) == Some(value))
        };
        while let Some(event) = self.next().await {
            if is_like(&event) {
                return event;
            }
        }
        panic!("the stream ended without {expected}: {:?}", self.events);
    }

    /// Waits for the end of the stream; its last event.
    pub async fn ended(mut self) -> Value {
        while self.next().await.is_some() {}
        self.events.pop().unwrap_or_default()
    }

    fn block(&mut self, block: &str) -> Option<Value> {
        let (mut id, mut event) = (None, None);
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => event = Some(serde_json::from_str::<Value>(text).unwrap()),
                Some(("retry", _)) => {}
                _ => assert_eq!(line, ":", "not a line of a stream of events"),
            }
        }
        let event = event?;
        if let Some(at) = event["at"].as_u64() {
            let id = id.as_deref().expect("an event with an at has an id");
            assert!(id.ends_with(&format!("-{at}")), "{id}: {event}");
            assert!(at > self.last_at, "events come in rising at: {event}");
            self.last_at = at;
        }
        if let Some(id) = id {
            self.last_id = id;
        }
        self.events.push(event.clone());
        Some(event)
    }
}
