//! What is behind the people's door, once the chat exists.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use chat_actors::bus::Port;
use chat_actors::chat::outcome::Code;
use chat_actors::hub::{HubPorts, HubShard, ShardConfig};
use chat_actors::membership::Directory;
use chat_actors::messages::consensus::{ReadBarrier, Standing};
use chat_actors::messages::hub::ShardDoor;
use chat_actors::metrics::Metrics;
use chat_actors::session::Executor;
use chat_actors::session::reply::{self, Problem};
use futures_util::{Stream, StreamExt as _, future, stream};
use tokio::sync::watch;

use super::downloads::FilePorts;
use super::export::{ExportPorts, Exports};

/// How often to look whether what is under way has been answered.
const CLOSE_LOOK: Duration = Duration::from_millis(10);
/// How long answers may take to be written once nothing more is waited for.
const LAST_ANSWERS_MAX: Duration = Duration::from_millis(500);
/// How long the last piece of a body may take to leave a node that stops.
const LAST_PIECE: Duration = Duration::from_millis(200);

/// The people's door: shut until the chat exists and its actors run.
pub struct Gate {
    pub metrics: Metrics,
    /// What a request's body or a frame may hold.
    pub frame_bytes: usize,
    inside: OnceLock<Arc<Inside>>,
    /// The node stops: nobody should be sent here any more.
    stopping: AtomicBool,
    /// … and nothing is begun any more.
    closing: AtomicBool,
    /// … and what is still coming is waited for no more.
    late: watch::Sender<bool>,
    /// Requests that are on their way in, wait for their outcome, or are being answered.
    under_way: Arc<AtomicUsize>,
}

/// One request under way, until it is dropped.
pub struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The ways in.
pub struct Inside {
    pub executor: Arc<Executor>,
    pub standing: Port<Standing>,
    pub barrier: Port<ReadBarrier>,
    pub hub: HubPorts,
    pub directory: watch::Receiver<Arc<Directory>>,
    pub ping_every: Duration,
    pub files: FilePorts,
    pub export: ExportPorts,
    pub exports: Exports,
}

impl Gate {
    pub fn new(metrics: Metrics, frame_bytes: usize) -> Self {
        let (stopping, closing, under_way) = <(AtomicBool, AtomicBool, Arc<AtomicUsize>)>::default();
        let late = watch::Sender::new(false);
        Self { metrics, frame_bytes, inside: OnceLock::new(), stopping, closing, late, under_way }
    }

    /// Opens the door; only the first call counts.
    pub fn open(&self, inside: Arc<Inside>) {
        let _opened_before = self.inside.set(inside);
    }

    /// From here on the node says that it is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Counts a request, from before its body is read.
    ///
    /// # Errors
    /// Once nothing is begun any more.
    pub fn begin(&self) -> Result<UnderWay, Problem> {
        // Counted before the look: whoever closes and then counts sees it, or it sees that it is too late.
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(Arc::clone(&self.under_way));
        match self.closing.load(Ordering::SeqCst) {
            true => Err(stopping()),
            false => Ok(under_way),
        }
    }

    /// Waits for something of a client's, as long as this node can wait.
    ///
    /// # Errors
    /// When it stops before that.
    pub async fn in_time<T>(&self, coming: impl Future<Output = T>) -> Result<T, Problem> {
        let mut late = self.late.subscribe();
        tokio::select! {
            came = coming => Ok(came),
            _ = late.wait_for(|late| *late) => Err(stopping()),
        }
    }

    /// Begins nothing more; returns when what is under way has been answered. What still comes after so long is
    /// answered that this node stops.
    pub async fn close(&self, within: Duration) {
        self.closing.store(true, Ordering::SeqCst);
        if tokio::time::timeout(within, self.answered()).await.is_err() {
            self.late.send_replace(true);
            let _given_up = tokio::time::timeout(LAST_ANSWERS_MAX, self.answered()).await;
        }
        // The last answer still has to be written.
        tokio::time::sleep(CLOSE_LOOK).await;
    }

    async fn answered(&self) {
        while self.under_way.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(CLOSE_LOOK).await;
        }
    }

    /// # Errors
    /// The answer to give while the door is shut.
    #[expect(clippy::result_large_err, reason = "made once a request, and handed on at once")]
    pub fn inside(&self) -> Result<&Inside, HttpResponse> {
        self.inside.get().map(Arc::as_ref).ok_or_else(|| {
            problem(&Problem::new(Code::Unavailable, "this node is not part of a chat yet: see its log"))
        })
    }
}

/// The bytes of an answer, which is under way until the last of them are out.
pub fn until_out<T>(
    body: impl Stream<Item = T>,
    gate: web::Data<Gate>,
    under_way: UnderWay,
) -> impl Stream<Item = T> {
    body.chain(
        stream::once(async move {
            // They may wait to be written still; a body that has not ended holds the connection.
            if gate.is_stopping() {
                tokio::time::sleep(LAST_PIECE).await;
            }
            drop(under_way);
        })
        .filter_map(|()| future::ready(None)),
    )
}

fn stopping() -> Problem {
    Problem::new(Code::Unavailable, "this node is stopping: ask another one")
}

/// One worker thread's own shard of the Hub, opened by its first client.
#[derive(Default)]
pub struct Worker {
    door: OnceCell<ShardDoor>,
}

impl Worker {
    pub fn door(&self, inside: &Inside, metrics: &Metrics) -> ShardDoor {
        let open = || {
            let (here, local) = (inside.hub.shard_here.clone(), inside.hub.local.clone());
            HubShard::open(ShardConfig::default(), metrics, here, local)
        };
        self.door.get_or_init(open).clone()
    }
}

/// A problem as an HTTP answer.
pub fn problem(problem: &Problem) -> HttpResponse {
    let (_, status, _) = problem.code.row();
    json(status, reply::encode(None, &Err(problem.clone())))
}

pub fn json(status: u16, body: String) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .content_type("application/json")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(body)
}
