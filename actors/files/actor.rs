//! `FileShelf`: the one place that gives files their names and takes them away.
//!
//! - **Owns** `data_dir/files`: the bytes, the records of uploads, and uploads that are under way.
//! - **Is told** the messages of `messages::files`, each with its reply.
//! - **Tells** whoever asked.
//! - **Never** reads or writes the bytes themselves: whoever brings or fetches them does, on a thread that may
//!   wait, with the [`Partial`](super::partial::Partial) or the open file that it gives out.
//!
//! It has a thread of its own: giving a name waits for the disk.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{Actor, Addr, Arbiter, AsyncContext as _, Context, Handler};

use super::kept::KeptUploads;
use super::partial::NotTaken;
use super::store::{FileLimits, FileStore};
use crate::bus::{Envelope, Meter, Seat};
use crate::ids::FileId;
use crate::messages::files::{
    BeginCopy, BeginKept, BeginUpload, Begun, Discard, Discredit, Finish, FinishKept, Hold, Idle, Keep,
    Lacking, NextFile, OpenFile,
};
use crate::metrics::Metrics;

/// How often it is looked which uploads have become too old.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
const ID_BYTES: usize = 16;

/// See the module.
pub struct FileShelf {
    store: FileStore,
    kept: KeptUploads,
    metrics: Metrics,
    expiring: Meter,
    /// The wall clock when this run began; from there on time only goes forward.
    began_ms: u64,
    began: Instant,
}

impl FileShelf {
    /// Opens `data_dir/files`; `seat` is its own.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(data_dir: &Path, limits: FileLimits, seat: &Seat, metrics: &Metrics) -> io::Result<Self> {
        let (began_ms, began) = (unix_ms(), Instant::now());
        let store = FileStore::open(data_dir, limits, began_ms)?;
        let kept = KeptUploads::open(&store)?;
        let expiring = seat.meter("expire");
        let shelf = Self { store, kept, metrics: metrics.clone(), expiring, began_ms, began };
        shelf.count();
        Ok(shelf)
    }

    pub fn start_on_own_thread(self) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| self)
    }

    fn now_ms(&self) -> u64 {
        self.began_ms.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn count(&self) {
        let (files, bytes) = self.store.size();
        self.metrics.files.set(i64::try_from(files).unwrap_or(i64::MAX));
        self.metrics.files_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn expire(&mut self) {
        let _handling = self.expiring.begin();
        let now_ms = self.now_ms();
        self.store.expire(now_ms);
        self.kept.expire(&self.store, now_ms);
    }
}

impl Actor for FileShelf {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.expire();
        let every = EXPIRE_EVERY.min(Duration::from_millis(self.store.limits.unsent_ms / 4 + 1));
        ctx.run_interval(every, |shelf, _| shelf.expire());
    }
}

/// What is done for each message, and what of it is the answer.
macro_rules! answers {
    ($($message:ident: |$shelf:ident, $ask:ident| $answer:expr;)+) => {$(
        impl Handler<Envelope<$message>> for FileShelf {
            type Result = ();

            fn handle(&mut self, envelope: Envelope<$message>, _: &mut Self::Context) {
                let ($ask, _handling) = envelope.open();
                let $shelf = self;
                let answer = $answer;
                let _nobody_waits = $ask.reply.send(answer);
            }
        }
    )+};
}

answers! {
    BeginUpload: |shelf, ask| {
        draw().and_then(|id| shelf.store.begin_upload(ask.user, &ask.name, ask.bytes, &id))
    };
    BeginKept: |shelf, ask| {
        let now_ms = shelf.now_ms();
        draw().and_then(|id| {
            shelf.kept.begin(&shelf.store, (&ask.user, &ask.name, ask.bytes), &id, now_ms).map(|()| id)
        })
    };
    BeginCopy: |shelf, ask| draw().and_then(|id| shelf.store.begin_copy(ask.file, ask.bytes, &id));
    Begun: |shelf, ask| shelf.kept.begun(&ask.user, &ask.id);
    Keep: |shelf, ask| shelf.kept.keep(&shelf.store, &ask.id);
    Finish: |shelf, ask| {
        let mut partial = ask.partial;
        let done = shelf.store.finish(&mut partial, ask.at, shelf.now_ms());
        shelf.count();
        done
    };
    FinishKept: |shelf, ask| {
        let now_ms = shelf.now_ms();
        let done = shelf.kept.finish(&mut shelf.store, &ask.id, ask.at, now_ms);
        shelf.count();
        done
    };
    Hold: |shelf, ask| {
        let now_ms = shelf.now_ms();
        let held = |file: &FileId| match ask.hold {
            true => shelf.store.hold(&ask.user, *file, now_ms),
            false => shelf.store.look(&ask.user, *file),
        };
        ask.files.iter().map(held).collect()
    };
    OpenFile: |shelf, ask| shelf.store.open_file(ask.file);
    Lacking: |shelf, ask| ask.files.into_iter().filter(|file| shelf.store.lacks(*file)).collect();
    Idle: |shelf, ask| shelf.store.idle(ask.after, ask.limit, shelf.now_ms());
    NextFile: |shelf, ask| shelf.store.next(ask.after);
}

impl Handler<Envelope<Discredit>> for FileShelf {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Discredit>, _: &mut Self::Context) {
        let (Discredit { file }, _handling) = envelope.open();
        self.store.discredit(file);
        self.count();
    }
}

impl Handler<Envelope<Discard>> for FileShelf {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Discard>, _: &mut Self::Context) {
        let (Discard { files }, _handling) = envelope.open();
        let now_ms = self.now_ms();
        let gone = files.into_iter().filter(|file| self.store.discard(*file, now_ms)).count();
        if gone > 0 {
            tracing::debug!(gone, "files that nobody needs are removed");
        }
        self.count();
    }
}

#[allow(clippy::disallowed_methods, reason = "what names an upload is drawn here")]
fn draw() -> Result<String, NotTaken> {
    let mut bytes = [0_u8; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| NotTaken::Io(io::Error::other(error.to_string())))?;
    Ok(hex::encode(bytes))
}

#[allow(clippy::disallowed_methods, reason = "how old a file is survives a restart")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
