//! `Indexer`: the thread of search.
//!
//! **Owns** `search.db`, and a connection that reads `chat.db`. **Is told** [`Grown`] by `Storage`, and
//! [`Search`] by whoever looks for something. **Tells** whoever subscribed that `chat.db` is damaged, when it
//! shows. **Never** writes `chat.db`, never holds a read transaction beyond one short piece of work, never ends
//! the process: what it owns is derived, and made anew when it cannot be used.
//!
//! It follows the tables a moment after they changed, many changes at once. A search does not wait for that: it
//! has the rest indexed first, and is answered from the same moment of the tables, so that one finds what one
//! has just sent, and nothing that one may no longer see. Only while much is missing it is answered with what
//! there is.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message, SpawnHandle};
use rusqlite::Connection;
use tracing::{error, info, warn};

use super::index::{FILE, Index, IndexError, Standing};
use crate::bus::{Backlog, Envelope, Meter, News, Seat};
use crate::chat_db::damage::{is_damage, is_full};
use crate::chat_db::read_only;
use crate::ids::At;
use crate::messages::audit::Damaged;
use crate::messages::search::{Grown, Search, Searched};
use crate::metrics::Metrics;

/// Messages indexed in one transaction: each makes a part of the index, and parts are merged again and again.
const MESSAGES_AT_ONCE: usize = 4_000;
/// Changes gather for so long before they are indexed, unless somebody searches.
const GATHER: Duration = Duration::from_secs(1);
/// Where there is not enough of the processors for all, those who talk come before those who search: at this
/// nice value the thread gets a tenth of what another gets beside it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// A search that lacks more changes than this is answered at once, with what there is …
const FAR: u64 = 20_000;
/// … and one that lacks fewer, after this time.
const WAIT: Duration = Duration::from_secs(2);
/// Searches are answered from one moment of the tables for so long.
const MOMENT: Duration = Duration::from_millis(50);
/// While much is missing it rests so long after each piece, so that people come first.
const REST: Duration = Duration::from_millis(5);
/// Searches that wait; a further one is refused.
const WAITING_MAX: usize = 1_024;
/// Before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Kibibytes of pages of `chat.db` kept in memory.
const CACHE_KIB: i64 = 4 * 1024;

#[derive(Clone, Debug)]
pub struct IndexerConfig {
    /// Where the index is.
    pub data_dir: PathBuf,
    /// `chat.db`, which a store has opened before.
    pub chat: PathBuf,
}

/// See the module.
pub struct Indexer {
    config: IndexerConfig,
    damaged: News<Damaged>,
    metrics: Metrics,
    chat: Option<Connection>,
    index: Option<Index>,
    /// Why the file is to be made anew.
    spoiled: Option<String>,
    waiting: VecDeque<Waiting>,
    /// … as `/metrics` shows it.
    backlog: Backlog,
    going_on: Meter,
    /// Kept until its work begins, so that no second one is sent meanwhile.
    grown: Option<Envelope<Grown>>,
    /// When the next piece of work begins by itself.
    timer: Option<SpawnHandle>,
    /// A [`GoOn`] is in the mailbox.
    will_go_on: bool,
    /// The last trouble, said once.
    trouble: Option<String>,
}

struct Waiting {
    search: Search,
    since: Instant,
}

/// Tells itself to work.
struct GoOn;

impl Message for GoOn {
    type Result = ();
}

/// What a piece of work left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// The index is behind by so many changes, or searches wait.
    Behind(u64),
}

impl Indexer {
    /// `seat` is its own.
    pub fn new(config: IndexerConfig, damaged: News<Damaged>, seat: &Seat, metrics: &Metrics) -> Self {
        Self {
            config,
            damaged,
            metrics: metrics.clone(),
            chat: None,
            index: None,
            spoiled: None,
            waiting: VecDeque::new(),
            backlog: seat.backlog(),
            going_on: seat.meter("go_on"),
            grown: None,
            timer: None,
            will_go_on: false,
            trouble: None,
        }
    }

    pub fn start_on_own_thread(self) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| self)
    }

    fn go_on_now(&mut self, ctx: &mut Context<Self>) {
        if !self.will_go_on {
            self.will_go_on = true;
            ctx.notify(GoOn);
        }
    }

    fn go_on_in(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        if self.timer.is_none() && !self.will_go_on {
            self.timer = Some(ctx.notify_later(GoOn, pause));
        }
    }

    /// A piece of work: indexes some of what is missing, and answers who need not wait any longer.
    fn work(&mut self) -> Result<Left, IndexError> {
        let chat = match self.chat.take() {
            Some(chat) => chat,
            None => read_only::open(&self.config.chat, CACHE_KIB).map_err(IndexError::Chat)?,
        };
        let left = {
            // Ends when dropped, whatever happens: an open one would keep the WAL from beginning anew.
            let moment = chat.unchecked_transaction().map_err(IndexError::Chat)?;
            self.work_at(&moment)
        };
        // Kept only while all is well.
        self.chat = Some(chat).filter(|_| left.is_ok());
        left
    }

    fn work_at(&mut self, moment: &Connection) -> Result<Left, IndexError> {
        let standing = Standing::of(moment).map_err(IndexError::Chat)?;
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(open(&self.config, &standing, &mut self.spoiled)?),
        };
        let whole = index.follow(moment, MESSAGES_AT_ONCE, &self.metrics.search_indexed)?;
        let behind = standing.at.0.saturating_sub(index.at().0);
        self.metrics.search_lag.set(i64::try_from(behind).unwrap_or(i64::MAX));
        let began = Instant::now();
        while let Some(first) = self.waiting.front() {
            if began.elapsed() >= MOMENT || !whole && behind <= FAR && first.since.elapsed() < WAIT {
                return Ok(Left::Behind(behind));
            }
            let searched = index.search(moment, &first.search, !whole)?;
            answer_first(&mut self.waiting, searched, &self.metrics);
        }
        Ok(if whole { Left::Nothing } else { Left::Behind(behind) })
    }

    /// What failed is tried again, the index from a new file when this one cannot be trusted.
    fn failed(&mut self, failure: &IndexError) {
        let said = failure.to_string();
        match failure {
            IndexError::Chat(source) if is_damage(source) => {
                self.damaged.publish(&Damaged { why: said.clone() });
            }
            IndexError::Search(source) if !is_full(source) => self.spoiled = Some(said.clone()),
            IndexError::Chat(_) | IndexError::Search(_) | IndexError::File { .. } => {}
        }
        self.index = None;
        while self.waiting.front().is_some_and(|first| first.since.elapsed() >= WAIT) {
            answer_first(&mut self.waiting, Searched::NotNow, &self.metrics);
        }
        if self.trouble.as_ref() != Some(&said) {
            warn!("search has to wait: {said}");
            self.trouble = Some(said);
        }
    }
}

/// Answers who waits longest.
fn answer_first(waiting: &mut VecDeque<Waiting>, searched: Searched, metrics: &Metrics) {
    if let Some(Waiting { search, since }) = waiting.pop_front() {
        metrics.search_seconds.observe(since.elapsed().as_secs_f64());
        let _nobody_waits = search.reply.send(searched);
    }
}

fn open(
    config: &IndexerConfig,
    standing: &Standing,
    spoiled: &mut Option<String>,
) -> Result<Index, IndexError> {
    let (index, anew) = Index::open(&config.data_dir, standing, spoiled.clone())?;
    *spoiled = None;
    if let Some(why) = anew.filter(|_| standing.at > At(0)) {
        info!(at = %standing.at, why, "{FILE} is made anew");
    }
    Ok(index)
}

impl Actor for Indexer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // On Linux each thread has its own.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            warn!(%error, "search runs as fast as all else");
        }
        self.go_on_now(ctx);
    }
}

impl Handler<Envelope<Grown>> for Indexer {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Grown>, ctx: &mut Self::Context) {
        self.grown = Some(letter);
        self.go_on_in(GATHER, ctx);
    }
}

impl Handler<Envelope<Search>> for Indexer {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Search>, ctx: &mut Self::Context) {
        let (search, _handling) = letter.open();
        if self.waiting.len() >= WAITING_MAX {
            let _nobody_waits = search.reply.send(Searched::NotNow);
            return;
        }
        self.waiting.push_back(Waiting { search, since: Instant::now() });
        self.backlog.set(self.waiting.len());
        self.go_on_now(ctx);
    }
}

impl Handler<GoOn> for Indexer {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Self::Context) {
        // The letter's own part is done at once: the work is measured by itself.
        drop(self.grown.take().map(Envelope::open));
        let _handling = self.going_on.begin();
        self.will_go_on = false;
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.waiting.retain(|waiting| !waiting.search.reply.is_closed());
        // A panic would take the thread along: it costs the index only, which is made anew.
        let left = catch_unwind(AssertUnwindSafe(|| self.work()));
        self.backlog.set(self.waiting.len());
        match left {
            Ok(Ok(left)) => {
                self.trouble = None;
                match left {
                    Left::Nothing => {}
                    Left::Behind(behind) if behind > FAR && self.waiting.is_empty() => {
                        self.go_on_in(REST, ctx);
                    }
                    Left::Behind(_) => self.go_on_now(ctx),
                }
            }
            Ok(Err(failure)) => {
                self.failed(&failure);
                self.go_on_in(PAUSE, ctx);
            }
            Err(_panic) => {
                error!("a bug: a piece of work on the index ended it");
                self.index = None;
                self.spoiled = Some("a bug, see the log".to_owned());
                answer_first(&mut self.waiting, Searched::NotNow, &self.metrics);
                self.go_on_in(PAUSE, ctx);
            }
        }
    }
}
