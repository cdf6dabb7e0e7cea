//! `Courier`: posts messages, on the node that leads.
//!
//! **Owns** the connections to the receivers, and one that reads `chat.db`. **Is told** [`Role`], and [`Grown`] by
//! `Storage`. **Tells** `RaftNode` how far each subscription is, as a change like any other, and whoever subscribed
//! that `chat.db` is damaged, when it shows. **Never** holds a message longer than it takes to post it, never
//! waits for one receiver with another, never ends the process.
//!
//! A node that comes to lead first waits until it has applied all that was acknowledged before: what an earlier
//! leader reported, and which subscriptions were deleted. One that leads no more says how far it is and begins
//! nothing new; what it has begun may arrive twice, under one name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::fut::{WrapFuture as _, wrap_future};
use actix::{
    Actor, ActorFutureExt as _, Addr, Arbiter, AsyncContext, Context, Handler, Message, SpawnHandle,
};
use awc::Client;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use super::client::{self, Post};
use super::core::{Answer, Due, Now, Rounds};
use super::signature::signature;
use super::tables;
use crate::bus::{Envelope, Meter, News, Port, Seat};
use crate::chat::command::{Change, Command, Report};
use crate::chat::objects::Event;
use crate::chat_db::damage::is_damage;
use crate::chat_db::read_only;
use crate::ids::{RoomId, Seq, SubscriptionId, Term};
use crate::messages::audit::Damaged;
use crate::messages::consensus::{Propose, ReadBarrier};
use crate::messages::news::Role;
use crate::messages::search::Grown;
use crate::metrics::Metrics;
use crate::post;

/// Changes gather for so long before it is looked what is to be posted.
const GATHER: Duration = Duration::from_millis(10);
/// While nobody subscribes.
const GATHER_IDLE: Duration = Duration::from_millis(200);
/// Before what failed on this node is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Kibibytes of pages of `chat.db` kept in memory.
const CACHE_KIB: i64 = 1024;
/// The kind of what is posted.
const EVENT: &str = "message";

#[derive(Clone, Debug)]
pub struct CourierConfig {
    /// `chat.db`, which a store has opened before.
    pub chat: PathBuf,
    /// Also to addresses that are not public.
    pub allow_private: bool,
}

/// Whom it asks.
#[derive(Clone)]
pub struct CourierPorts {
    pub propose: Port<Propose>,
    pub barrier: Port<ReadBarrier>,
}

/// See the module.
pub struct Courier {
    config: CourierConfig,
    damaged: News<Damaged>,
    metrics: Metrics,
    /// `None` until consensus has been started.
    ports: Option<CourierPorts>,
    role: Option<Role>,
    /// In which term it posts; what was begun in another is not its own any more.
    serves: Option<Term>,
    rounds: Rounds,
    chat: Option<Connection>,
    client: Option<Client>,
    /// Kept until its work begins, if there is any: no second one is sent meanwhile, which would cost the writer something.
    grown: Option<Envelope<Grown>>,
    /// When the next piece of work begins by itself.
    timer: Option<(SpawnHandle, Instant)>,
    /// The last trouble, said once.
    trouble: Option<String>,
    began: Instant,
    work: Work,
}

/// What it does by itself, measured.
struct Work {
    go_on: Meter,
    answered: Meter,
}

/// Tells it who is to be asked: consensus names it before it is itself there.
pub struct Begin(pub CourierPorts);

post! { Begin => "begin" }

/// Tells itself to work.
struct GoOn;

impl Message for GoOn {
    type Result = ();
}

/// Why it cannot post just now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot read chat.db: {0}")]
    Chat(#[from] rusqlite::Error),
    #[error("message {seq} of room {room} is not there")]
    Missing { room: RoomId, seq: Seq },
    #[error("cannot encode a message: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("there is no tls: {0}")]
    Tls(#[from] rustls::Error),
}

impl Courier {
    fn new(config: CourierConfig, damaged: News<Damaged>, work: Work, metrics: Metrics) -> Self {
        Self {
            config,
            damaged,
            metrics,
            ports: None,
            role: None,
            serves: None,
            rounds: Rounds::default(),
            chat: None,
            client: None,
            grown: None,
            timer: None,
            trouble: None,
            began: Instant::now(),
            work,
        }
    }

    /// `seat` is its own.
    pub fn start_on_own_thread(
        config: CourierConfig,
        damaged: News<Damaged>,
        seat: &Seat,
        metrics: &Metrics,
    ) -> Addr<Self> {
        let work = Work { go_on: seat.meter("go_on"), answered: seat.meter("answered") };
        let metrics = metrics.clone();
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| Self::new(config, damaged, work, metrics))
    }

    /// Begins or ends to post, as this node came to lead or leads no more.
    fn heed_role(&mut self, ctx: &mut Context<Self>) {
        let Some((role, ports)) = self.role.zip(self.ports.clone()) else { return };
        let leads = role.leads && role.quorum;
        if self.serves.is_some_and(|term| !leads || term != role.term) {
            self.report(true, ctx);
            self.serves = None;
            self.rounds = Rounds::default();
            self.metrics.courier_behind.set(0);
        }
        if leads && self.serves.is_none() {
            let (reply, answer) = oneshot::channel();
            let asked = ports.barrier.offer(ReadBarrier { reply }).is_ok();
            let waiting = wrap_future(async move { asked && matches!(answer.await, Ok(Ok(()))) });
            ctx.spawn(waiting.map(move |caught_up, me: &mut Self, ctx| {
                let _handling = me.work.answered.begin();
                me.caught_up(caught_up, role, ctx);
            }));
        }
    }

    /// This node has applied all that was acknowledged before it came to lead, or could not say so.
    fn caught_up(&mut self, caught_up: bool, then: Role, ctx: &mut Context<Self>) {
        if self.role != Some(then) || self.serves.is_some() {
            return;
        }
        if caught_up {
            self.serves = Some(then.term);
            self.go_on_in(Duration::ZERO, ctx);
        } else {
            ctx.run_later(PAUSE, move |me, ctx| {
                if me.role == Some(then) {
                    me.heed_role(ctx);
                }
            });
        }
    }

    /// At the latest after this pause.
    fn go_on_in(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        let due = Instant::now() + pause;
        if self.timer.is_some_and(|(_, before)| before <= due) {
            return;
        }
        if let Some((timer, _)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = Some((ctx.notify_later(GoOn, pause), due));
    }

    /// A piece of work: looks at the tables, and begins to post what is due.
    fn look(&mut self) -> Result<Vec<(Due, Post)>, Trouble> {
        let chat = match self.chat.take() {
            Some(chat) => chat,
            None => read_only::open(&self.config.chat, CACHE_KIB)?,
        };
        let due = {
            // Ends when dropped, whatever happens: an open one would keep the WAL from beginning anew.
            let moment = chat.unchecked_transaction()?;
            self.look_at(&moment)
        };
        // Kept only while all is well.
        self.chat = Some(chat).filter(|_| due.is_ok());
        due
    }

    fn look_at(&mut self, moment: &Connection) -> Result<Vec<(Due, Post)>, Trouble> {
        let now = self.now();
        self.rounds.see(tables::listed(moment)?);
        let mut posts = Vec::new();
        for due in self.rounds.due(now) {
            if self.client.is_none() {
                self.client = Some(client::client(self.config.allow_private)?);
            }
            let post = signed(moment, &due, now)?;
            posts.push((due, post));
        }
        self.metrics.courier_behind.set(i64::try_from(self.rounds.behind()).unwrap_or(i64::MAX));
        Ok(posts)
    }

    fn post(&mut self, (due, post): (Due, Post), term: Term, ctx: &mut Context<Self>) {
        let Some(client) = self.client.clone() else { return };
        self.rounds.begun(due.subscription);
        let started = Instant::now();
        let posting = client::post(client, post).into_actor(self);
        ctx.spawn(posting.map(move |answer, me, ctx| {
            let _handling = me.work.answered.begin();
            me.metrics.courier_post_seconds.observe(started.elapsed().as_secs_f64());
            me.count(&answer);
            if me.serves == Some(term) {
                me.answered(due.subscription, due.seq, answer, ctx);
            }
        }));
    }

    fn answered(&mut self, subscription: SubscriptionId, seq: Seq, answer: Answer, ctx: &mut Context<Self>) {
        if let Answer::Refused(why) | Answer::Failed { why, .. } = &answer {
            debug!(%subscription, %seq, why, "a message was not taken");
        }
        let now = self.now();
        self.rounds.answered(subscription, seq, answer, now);
        self.go_on_in(Duration::ZERO, ctx);
    }

    fn count(&self, answer: &Answer) {
        let became = match answer {
            Answer::Taken => "taken",
            Answer::Refused(_) => "refused",
            Answer::Failed { .. } => "failed",
        };
        self.metrics.courier_posts.with_label_values(&[became]).inc();
    }

    /// Says how far the subscriptions are, if the tables do not.
    fn report(&mut self, last: bool, ctx: &mut Context<Self>) {
        let Some(ports) = self.ports.clone() else { return };
        let now = self.now();
        let reports = self.rounds.reports(now, last);
        if reports.is_empty() {
            return;
        }
        for Report { subscription, error, .. } in reports.iter().filter(|report| report.off) {
            warn!(%subscription, error, "a subscription is given up: nothing was taken for a day");
        }
        let id = format!("courier-{}", now.unix_ms);
        let command = Command { user: String::new(), id, change: Change::Delivered { reports } };
        let (reply, answer) = oneshot::channel();
        if ports.propose.offer(Propose { command, reply }).is_err() {
            return;
        }
        // What comes of it shows in the tables; until then it is said again, which does no harm.
        ctx.spawn(wrap_future(answer).map(|answer, _: &mut Self, _| {
            if let Ok(Err(why)) = answer {
                debug!(?why, "how far subscriptions are was not written down");
            }
        }));
    }

    fn said(&mut self, trouble: &Trouble) {
        let said = trouble.to_string();
        if self.trouble.as_ref() != Some(&said) {
            warn!("messages cannot be posted: {said}");
            self.trouble = Some(said);
        }
    }

    fn now(&self) -> Now {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { ms, unix_ms: unix_ms() }
    }
}

/// The message that is due, ready to be posted.
fn signed(moment: &Connection, due: &Due, now: Now) -> Result<Post, Trouble> {
    let missing = || Trouble::Missing { room: due.room, seq: due.seq };
    let message = tables::message(moment, due.room, due.seq)?.ok_or_else(missing)?;
    let body = serde_json::to_string(&Event::Message(message))?;
    let timestamp = (now.unix_ms / 1_000).to_string();
    Ok(Post {
        url: due.url.clone(),
        event: EVENT,
        delivery: format!("{}-{}-{}", tables::epoch(moment)?, due.subscription, due.seq),
        signature: signature(&due.secret, &timestamp, &body),
        timestamp,
        body,
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "what is posted says when, and the actor gives the core its time"
)]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Actor for Courier {
    type Context = Context<Self>;
}

impl Handler<Envelope<Begin>> for Courier {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Begin>, ctx: &mut Self::Context) {
        let (Begin(ports), _handling) = letter.open();
        self.ports = Some(ports);
        self.heed_role(ctx);
    }
}

impl Handler<Envelope<Role>> for Courier {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Role>, ctx: &mut Self::Context) {
        let (role, _handling) = letter.open();
        self.role = Some(role);
        self.heed_role(ctx);
    }
}

impl Handler<Envelope<Grown>> for Courier {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Grown>, ctx: &mut Self::Context) {
        self.grown = Some(letter);
        self.go_on_in(if self.rounds.is_empty() { GATHER_IDLE } else { GATHER }, ctx);
    }
}

impl Handler<GoOn> for Courier {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Self::Context) {
        let _handling = self.work.go_on.begin();
        self.timer = None;
        // The letter's own part is done at once: the work is measured by itself.
        drop(self.grown.take().map(Envelope::open));
        let Some(term) = self.serves else { return };
        // A panic would take the thread along: it costs a pause only.
        match catch_unwind(AssertUnwindSafe(|| self.look())) {
            Ok(Ok(posts)) => {
                self.trouble = None;
                for post in posts {
                    self.post(post, term, ctx);
                }
                self.report(false, ctx);
                let now = self.now();
                if let Some(ms) = self.rounds.wake_ms(now) {
                    self.go_on_in(Duration::from_millis(ms.saturating_sub(now.ms).max(1)), ctx);
                }
            }
            Ok(Err(trouble)) => {
                if let Trouble::Chat(source) = &trouble
                    && is_damage(source)
                {
                    self.damaged.publish(&Damaged { why: trouble.to_string() });
                }
                self.said(&trouble);
                self.go_on_in(PAUSE, ctx);
            }
            Err(_panic) => {
                error!("a bug: posting messages ended in the middle");
                self.go_on_in(PAUSE, ctx);
            }
        }
    }
}
