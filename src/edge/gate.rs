//! What is behind the people's door, once the chat exists.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::HttpResponse;
use chat_actors::bus::Port;
use chat_actors::chat::outcome::Code;
use chat_actors::hub::{HubPorts, HubShard, ShardConfig};
use chat_actors::membership::Directory;
use chat_actors::messages::consensus::{ReadBarrier, Standing};
use chat_actors::messages::hub::ShardDoor;
use chat_actors::metrics::Metrics;
use chat_actors::session::Executor;
use chat_actors::session::reply::{self, Problem};
use tokio::sync::watch;

use super::downloads::FilePorts;
use super::export::{ExportPorts, Exports};

/// How often to look whether what is under way has been answered.
const CLOSE_LOOK: Duration = Duration::from_millis(10);

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
    /// Requests that wait for their outcome.
    under_way: AtomicUsize,
}

/// One request under way, until it is dropped.
pub struct UnderWay<'g>(&'g AtomicUsize);

impl Drop for UnderWay<'_> {
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
        let (stopping, closing, under_way) = <(AtomicBool, AtomicBool, AtomicUsize)>::default();
        Self { metrics, frame_bytes, inside: OnceLock::new(), stopping, closing, under_way }
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

    /// Counts a request that is about to be carried out.
    ///
    /// # Errors
    /// Once nothing is begun any more.
    pub fn begin(&self) -> Result<UnderWay<'_>, Problem> {
        // Counted before the look: whoever closes and then counts sees it, or it sees that it is too late.
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(&self.under_way);
        match self.closing.load(Ordering::SeqCst) {
            true => Err(Problem::new(Code::Unavailable, "this node is stopping: ask another one")),
            false => Ok(under_way),
        }
    }

    /// Begins nothing more; returns when what is under way has been answered, so give it a bound.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        while self.under_way.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(CLOSE_LOOK).await;
        }
        // The last answer still has to be written.
        tokio::time::sleep(CLOSE_LOOK).await;
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
