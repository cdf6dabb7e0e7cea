//! The actor that owns the store.
//!
//! **Owns** the only writing connection, on a thread of its own. **Is told** [`Append`], [`Apply`] and
//! [`Compact`] and [`Retire`].
//! **Tells** `RaftNode` what is [`Persisted`] and [`Applied`], and whoever subscribed what
//! [`Changed`], or that the tables were [`Replaced`]; and `Indexer` that they have [`Grown`]. **Never** reports what is not on the disk, never runs a job before an earlier append,
//! never waits for another actor.
//!
//! Appends go first: what is to be applied waits in a queue, and is worked off in short pieces with
//! the mailbox in between.
//!
//! A full disk stops everything behind the job that found it, until there is room. Any other trouble
//! with the file ends the process; when the disk failed, nothing is tried a second time (a second fsync
//! may lie), and the file is set aside at the next start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message};
use tracing::{info, warn};

use super::store::{Store, StoreError};
use super::write_back::WriteBack;
use crate::bus::{Backlog, Envelope, Meter, News, Port, Seat};
use crate::essential;
use crate::ids::LogIndex;
use crate::messages::audit::Counted;
use crate::messages::disk::{
    Append, Applied, Apply, Changed, Committed, Compact, Members, Persisted, Retire,
};
use crate::messages::people::Replaced;
use crate::messages::search::Grown;
use crate::metrics::Metrics;

/// Between two tries to cut the WAL.
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// How long an append that comes in may have to wait for what is being applied.
const PIECE_MAX: Duration = Duration::from_millis(1);
/// Log entries forgotten in one transaction.
const COMPACTED_AT_ONCE_MAX: u64 = 128;
/// Pause between two tries on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(200);
/// Between two warnings about it.
const FULL_WARN_EVERY: Duration = Duration::from_secs(10);

/// Whom `Storage` tells.
pub struct StoragePorts {
    pub persisted: Port<Persisted>,
    pub applied: Port<Applied>,
    pub changed: News<Changed>,
    pub replaced: News<Replaced>,
    pub counted: News<Counted>,
    pub members: News<Members>,
    /// Whoever follows the tables.
    pub grown: Vec<Port<Grown>>,
}

/// The one writer of `chat.db`.
pub struct Storage {
    store: Store,
    ports: StoragePorts,
    metrics: Metrics,
    /// Applied entries that the log may hold.
    entries_max: u64,
    /// Entries up to here may be forgotten.
    compact_to: LogIndex,
    /// Committed and not yet applied, in order.
    waiting: VecDeque<Committed>,
    /// … as `/metrics` shows it.
    backlog: Backlog,
    going_on: Meter,
    /// A [`GoOn`] is in the mailbox.
    will_go_on: bool,
    /// Copies the WAL back beside this thread; without it this thread does it all.
    write_back: Option<WriteBack>,
    /// It was begun.
    writing_back: bool,
    /// When the WAL is to be cut, which an installed state made long.
    cut_at: Option<Instant>,
}

/// Tells itself to go on applying and compacting, behind what came in meanwhile.
struct GoOn;

impl Message for GoOn {
    type Result = ();
}

impl Storage {
    /// `store` is started; the log holds at most `entries_max` applied entries. `seat` is its own.
    pub fn new(store: Store, entries_max: u64, ports: StoragePorts, seat: &Seat, metrics: &Metrics) -> Self {
        let write_back = WriteBack::start(store.path());
        if let Err(error) = &write_back {
            warn!(%error, "no thread writes the WAL back: appends will wait for it");
        }
        Self {
            store,
            ports,
            metrics: metrics.clone(),
            entries_max,
            compact_to: LogIndex(0),
            waiting: VecDeque::new(),
            backlog: seat.backlog(),
            going_on: seat.meter("go_on"),
            will_go_on: false,
            write_back: write_back.ok(),
            writing_back: false,
            cut_at: None,
        }
    }

    /// Starts it on a thread of its own.
    ///
    /// An arbiter, not a `SyncArbiter`: through that every message would first wake the system's
    /// thread, on the way of each acknowledgement.
    pub fn start_on_own_thread(self) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| self)
    }

    /// After a job: the WAL is written back when it is long, and begun anew when that is done.
    fn tend_wal(&mut self) {
        if self.cut_at.is_some_and(|at| at <= Instant::now()) {
            let is_cut = insist(&mut self.store, Store::cut_wal);
            // Whoever counts the rows of the new state reads all of it in one piece: appends do not wait for that.
            self.cut_at = (!is_cut).then(|| Instant::now() + CUT_PAUSE);
        }
        if self.writing_back {
            if self.write_back.as_ref().is_none_or(WriteBack::is_done) {
                self.writing_back = false;
                let failed = self.write_back.as_ref().and_then(WriteBack::take_failure);
                insist(&mut self.store, |store| failed.as_deref().map_or(Ok(()), |why| store.damaged(why)));
                insist(&mut self.store, Store::write_back);
            }
        } else if insist(&mut self.store, Store::wal_is_long) {
            self.writing_back = true;
            if let Some(write_back) = &self.write_back {
                write_back.begin();
            }
        }
    }

    fn go_on_later(&mut self, ctx: &mut Context<Self>) {
        // What waits for room in the log goes on when more of it may be forgotten.
        let applies = !self.waiting.is_empty() && self.store.room_to_apply(self.entries_max) > 0;
        let compacts = self.store.cut() < self.compact_to;
        if !self.will_go_on && (applies || compacts) {
            self.will_go_on = true;
            ctx.address().do_send(GoOn);
        }
    }

    /// Forgets a few entries; says how many.
    fn compact(&mut self) -> u64 {
        let (before, to) = (self.store.cut(), self.compact_to);
        if before >= to {
            return 0;
        }
        let cut = insist(&mut self.store, |store| store.compact(to, COMPACTED_AT_ONCE_MAX));
        if cut == before {
            // Not applied yet: it is asked again when it is.
            self.compact_to = cut;
        }
        cut.0 - before.0
    }

    fn has_grown(&self) {
        // One that waits already says as much.
        for port in &self.ports.grown {
            let _full = port.offer(Grown);
        }
    }

    fn apply(&mut self, entries_max: u64) {
        let waiting = self.waiting.make_contiguous();
        let entries = usize::try_from(entries_max).unwrap_or(usize::MAX).min(waiting.len());
        if entries == 0 {
            return;
        }
        let piece = insist(&mut self.store, |store| {
            let started = Instant::now();
            store.apply(&waiting[..entries], || started.elapsed() >= PIECE_MAX)
        });
        self.waiting.drain(..piece.entries);
        self.backlog.set(self.waiting.len());
        if let Some(members) = piece.members {
            self.ports.members.publish(&members);
        }
        self.ports.applied.tell(piece.applied);
        if let Some(changed) = piece.changed {
            self.ports.changed.publish(&changed);
            self.has_grown();
        }
        for (index, sum) in piece.counted {
            self.ports.counted.publish(&Counted { index, sum });
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
            Err(error) => {
                if error.is_damage() {
                    store.suspect(&error.to_string());
                }
                essential::end_process(&error)
            }
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
        if let Some(install) = &append.snapshot {
            info!(index = %install.position.index, at = %self.store.at(), "the state of another replica is installed");
            let roll = insist(&mut self.store, |store| store.roll());
            self.ports.members.publish(&Members { roll: Arc::new(roll) });
            self.ports.replaced.publish(&Replaced { at: self.store.at() });
            self.has_grown();
        }
        self.ports.persisted.tell(Persisted { number: append.number });
        if append.snapshot.is_some() {
            self.cut_at = Some(Instant::now());
        }
        self.metrics.storage_commit_seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.storage_batch_entries.observe(append.entries.len() as f64);
        self.tend_wal();
    }
}

impl Handler<Envelope<Apply>> for Storage {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Apply>, ctx: &mut Self::Context) {
        let (apply, _handling) = letter.open();
        self.waiting.extend(apply.entries);
        self.backlog.set(self.waiting.len());
        self.go_on_later(ctx);
    }
}

impl Handler<Envelope<Retire>> for Storage {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Retire>, _: &mut Self::Context) {
        let (Retire { why, reply }, _handling) = letter.open();
        insist(&mut self.store, |store| store.retire(why));
        let _gone = reply.send(());
    }
}

impl Handler<Envelope<Compact>> for Storage {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Compact>, ctx: &mut Self::Context) {
        let (Compact { to }, _handling) = letter.open();
        self.compact_to = self.compact_to.max(to);
        self.go_on_later(ctx);
    }
}

impl Handler<GoOn> for Storage {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Self::Context) {
        let _handling = self.going_on.begin();
        self.will_go_on = false;
        let forgotten = self.compact();
        // A log that is over its bound already (it may have been lowered) grows no further.
        self.apply(self.store.room_to_apply(self.entries_max).max(forgotten));
        self.tend_wal();
        self.go_on_later(ctx);
    }
}

#[cfg(test)]
mod tests {
    use actix::{Recipient, System};
    use tokio::sync::mpsc;

    use super::*;
    use crate::bus::{Post, Seat};
    use crate::storage::testing::{TestDir, append, batch, committed, entry, send, setup, started};

    /// Writes down what it is told.
    struct Listener(mpsc::UnboundedSender<String>);

    impl Actor for Listener {
        type Context = Context<Self>;
    }

    macro_rules! hears {
        ($($news:ident: |$letter:ident| $told:expr;)+) => {$(
            impl Handler<Envelope<$news>> for Listener {
                type Result = ();

                fn handle(&mut self, letter: Envelope<$news>, _: &mut Self::Context) {
                    let ($letter, _handling) = letter.open();
                    self.0.send($told).unwrap();
                }
            }
        )+};
    }

    hears! {
        Persisted: |news| format!("persisted {}", news.number);
        Applied: |news| format!("applied {} with {} outcomes", news.index, news.outcomes.len());
        Grown: |_news| "grown".to_owned();
        Changed: |news| format!("changed up to {} with {} notices", news.at, news.notices.len());
    }

    fn port<M: Post>(metrics: &Metrics, to: Recipient<Envelope<M>>) -> Port<M> {
        Seat::new(metrics, "test", 100).port(to)
    }

    fn ports(metrics: &Metrics, listener: &Addr<Listener>) -> StoragePorts {
        let mut changed = News::default();
        changed.subscribe(port(metrics, listener.clone().recipient()));
        StoragePorts {
            persisted: port(metrics, listener.clone().recipient()),
            applied: port(metrics, listener.clone().recipient()),
            changed,
            replaced: News::default(),
            counted: News::default(),
            members: News::default(),
            grown: vec![port(metrics, listener.clone().recipient())],
        }
    }

    #[test]
    fn it_tells_what_is_persisted_applied_and_changed_in_order() {
        System::new().block_on(async {
            let dir = TestDir::new();
            let (store, _) = started(&dir);
            let metrics = Metrics::new();
            let (told, mut heard) = mpsc::unbounded_channel();
            let listener = Listener(told).start();
            let ports = ports(&metrics, &listener);
            let seat = Seat::new(&metrics, "storage", 100);
            let storage = Storage::new(store, 100, ports, &seat, &metrics).start_on_own_thread();
            let asks: (Port<Append>, Port<Apply>) = (seat.port_to(&storage), seat.port_to(&storage));

            let first = batch(1, &setup(&["ann"], 1));
            let second = batch(2, &[send("ann", 1, "1", "text")]);
            asks.0.tell(append(vec![entry(2, 1, &first)], Some((1, 1, 1))));
            asks.1.tell(Apply { entries: vec![committed(2, first)] });
            asks.0.tell(append(vec![entry(3, 1, &second)], Some((1, 1, 2))));
            let mut expected = vec!["persisted 1", "persisted 1", "applied 2 with 2 outcomes"];
            // ann, her session, the room, her membership: the room's row and the session tell nobody.
            expected.extend(["changed up to 7 with 3 notices", "grown"]);
            for expected in expected {
                assert_eq!(heard.recv().await.unwrap(), expected);
            }
            asks.1.tell(Apply { entries: vec![committed(3, second)] });
            assert_eq!(heard.recv().await.unwrap(), "applied 3 with 1 outcomes");
            assert_eq!(heard.recv().await.unwrap(), "changed up to 8 with 1 notices");
            assert_eq!(metrics.storage_commit_seconds.get_sample_count(), 2);
            // The second entry was applied by a piece of work that told of it before it ended; the first one's has.
            let went_on = seat.meter("go_on");
            assert!(went_on.seconds().get_sample_count() >= 1 && went_on.seconds().get_sample_sum() > 0.0);
        });
    }

    /// Whoever may forget nothing applies no further than the log may hold; and goes on when it may. What waits is
    /// shown.
    #[test]
    fn it_applies_no_further_than_the_log_may_hold() {
        System::new().block_on(async {
            let dir = TestDir::new();
            let (store, _) = started(&dir);
            let metrics = Metrics::new();
            let (told, mut heard) = mpsc::unbounded_channel();
            let listener = Listener(told).start();
            let ports = ports(&metrics, &listener);
            let seat = Seat::new(&metrics, "storage", 100);
            let storage = Storage::new(store, 10, ports, &seat, &metrics).start_on_own_thread();
            let asks: (Port<Append>, Port<Apply>, Port<Compact>) =
                (seat.port_to(&storage), seat.port_to(&storage), seat.port_to(&storage));
            let data = batch(1, &[]);
            let entries = (2..=60).map(|index| entry(index, 1, &data)).collect();
            asks.0.tell(append(entries, Some((1, 1, 60))));
            asks.1.tell(Apply { entries: (2..=60).map(|index| committed(index, data.clone())).collect() });
            assert_eq!(heard.recv().await.unwrap(), "persisted 1");
            // The log begins behind entry 1.
            for (forgets, applies) in [(1, 11), (8, 18), (9, 19), (55, 60)] {
                asks.2.tell(Compact { to: LogIndex(forgets) });
                let last = format!("applied {applies} with 0 outcomes");
                while heard.recv().await.unwrap() != last {}
                // Nothing more comes, however long one waits.
                actix::clock::sleep(Duration::from_millis(20)).await;
                assert!(heard.try_recv().is_err(), "after {forgets}");
                assert_eq!(metrics.mailbox("storage").get(), 60 - applies, "after {forgets}");
            }
        });
    }
}
