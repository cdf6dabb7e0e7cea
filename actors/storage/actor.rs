//! The actor that owns the store.
//!
//! **Owns** the only writing connection, on a thread of its own. **Is told** [`Append`] and [`Apply`].
//! **Tells** `RaftNode` what is [`Persisted`] and [`Applied`], and whoever subscribed what
//! [`Changed`]. **Never** reports what is not on the disk, never runs a job before an earlier append,
//! never waits for another actor.
//!
//! Appends go first: what is to be applied waits in a queue, and is worked off in short pieces with
//! the mailbox in between.
//!
//! A full disk stops everything behind the job that found it, until there is room. Any other trouble
//! with the file ends the process.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message};
use tracing::{info, warn};

use super::store::{Store, StoreError};
use crate::bus::{Envelope, News, Port};
use crate::essential;
use crate::messages::disk::{Append, Applied, Apply, Changed, Committed, Persisted};
use crate::metrics::Metrics;

/// How long an append that comes in may have to wait for what is being applied.
const PIECE_MAX: Duration = Duration::from_millis(1);
/// Pause between two tries on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(200);
/// Between two warnings about it.
const FULL_WARN_EVERY: Duration = Duration::from_secs(10);

/// The one writer of `chat.db`.
pub struct Storage {
    store: Store,
    persisted: Port<Persisted>,
    applied: Port<Applied>,
    changed: News<Changed>,
    metrics: Metrics,
    /// Committed and not yet applied, in order.
    waiting: VecDeque<Committed>,
    /// An [`ApplyMore`] is in the mailbox.
    will_go_on: bool,
}

/// Tells itself to go on applying, behind what came in meanwhile.
struct ApplyMore;

impl Message for ApplyMore {
    type Result = ();
}

impl Storage {
    /// `store` is started.
    pub fn new(
        store: Store,
        persisted: Port<Persisted>,
        applied: Port<Applied>,
        changed: News<Changed>,
        metrics: &Metrics,
    ) -> Self {
        let waiting = VecDeque::new();
        Self { store, persisted, applied, changed, metrics: metrics.clone(), waiting, will_go_on: false }
    }

    /// Starts it on a thread of its own.
    ///
    /// An arbiter, not a `SyncArbiter`: through that every message would first wake the system's
    /// thread, on the way of each acknowledgement.
    pub fn start_on_own_thread(self) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| self)
    }

    fn go_on_later(&mut self, ctx: &mut Context<Self>) {
        if !self.will_go_on && !self.waiting.is_empty() {
            self.will_go_on = true;
            ctx.address().do_send(ApplyMore);
        }
    }
}

/// Tries a job until it is done. Ends the process when it cannot be.
fn insist<T>(store: &mut Store, mut job: impl FnMut(&mut Store) -> Result<T, StoreError>) -> T {
    let mut warned: Option<Instant> = None;
    loop {
        match job(store) {
            Ok(done) => {
                if warned.is_some() {
                    info!("there is room on the disk again");
                }
                return done;
            }
            Err(StoreError::Full { file, source }) => {
                if warned.is_none_or(|last| last.elapsed() >= FULL_WARN_EVERY) {
                    let file = file.display();
                    warn!(%file, error = %source, "the disk is full: nothing goes on until there is room");
                    warned = Some(Instant::now());
                }
                thread::sleep(FULL_PAUSE);
            }
            Err(error) => essential::end_process(&error),
        }
    }
}

impl Actor for Storage {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        essential::mark("storage");
    }
}

impl Handler<Envelope<Append>> for Storage {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Append>, _: &mut Self::Context) {
        let (append, _handling) = letter.open();
        let started = Instant::now();
        insist(&mut self.store, |store| store.append(&append));
        self.persisted.tell(Persisted { number: append.number });
        self.metrics.storage_commit_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.storage_batch_entries.observe(append.entries.len() as f64);
        insist(&mut self.store, Store::tend_wal);
    }
}

impl Handler<Envelope<Apply>> for Storage {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Apply>, ctx: &mut Self::Context) {
        let (apply, _handling) = letter.open();
        self.waiting.extend(apply.entries);
        self.go_on_later(ctx);
    }
}

impl Handler<ApplyMore> for Storage {
    type Result = ();

    fn handle(&mut self, _: ApplyMore, ctx: &mut Self::Context) {
        self.will_go_on = false;
        let waiting = self.waiting.make_contiguous();
        let piece = insist(&mut self.store, |store| {
            let started = Instant::now();
            store.apply(waiting, || started.elapsed() >= PIECE_MAX)
        });
        self.waiting.drain(..piece.entries);
        self.applied.tell(piece.applied);
        if let Some(changed) = piece.changed {
            self.changed.publish(&changed);
        }
        insist(&mut self.store, Store::tend_wal);
        self.go_on_later(ctx);
    }
}
