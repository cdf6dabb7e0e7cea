//! `StateFetch`: brings the state of another replica to this disk, page by page.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt as _;
use actix::{Actor, Addr, Arbiter, AsyncContext as _, Context, Handler, WrapFuture as _};
use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::collected::Collected;
use super::pace;
use crate::bus::{Envelope, Meter, News, Port, Seat};
use crate::chat::command::LEVEL;
use crate::chat_db::incoming::Incoming;
use crate::chat_db::pages::{self, PAGE_BYTES, PAGE_BYTES_MAX, Position};
use crate::ids::{Boot, LogIndex, RaftId};
use crate::messages::reading::TablesAt;
use crate::messages::transfer::{FetchOver, FetchState, Fetched, Offer, Sources, StateHere, Transfer};
use crate::metrics::Metrics;
use crate::peer_link::client::{self, Failure};
use crate::peer_link::secret::Secret;
use crate::peer_link::wire;

/// How long a source may take for one page.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Before another source is asked, or the same one again.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Who asks.
#[derive(Clone, Debug)]
pub struct StateFetchConfig {
    pub secret: Secret,
    pub cluster: String,
    pub own: RaftId,
    pub boot: Boot,
    /// Where `chat.db` is, and the pages wait.
    pub data_dir: PathBuf,
    /// The newest format of a file whose rows this program can keep.
    pub format: i32,
    /// Whom to ask at first; [`Sources`] replaces it.
    pub sources: BTreeMap<RaftId, String>,
}

/// Whom it tells.
pub struct StateFetchPorts {
    pub tables_at: Port<TablesAt>,
    pub fetched: News<Fetched>,
    pub here: Port<StateHere>,
    pub metrics: Metrics,
}

/// **Owns** connections of its own to the other nodes, and the pages in `data_dir/incoming`.
/// **Is told** FetchState, FetchOver, Sources. **Tells** whoever subscribed how far it is, and `RaftNode` when all is here.
/// **Never** holds more than a page in memory, never asks for two at a time, never touches `chat.db`.
///
/// The leader that made the offer is asked first, the others when it does not answer. What has come
/// survives a restart, and another source goes on with it.
pub struct StateFetch {
    config: StateFetchConfig,
    ports: StateFetchPorts,
    incoming: Incoming,
    client: awc::Client,
    offer: Option<Offer>,
    own: Position,
    collected: Option<Collected>,
    source: Option<RaftId>,
    failures: u32,
    /// Counts the errands: what comes back for an earlier one is dropped.
    errand: u64,
    running: bool,
    work: Work,
}

/// What it does by itself, measured.
struct Work {
    go_on: Meter,
    answered: Meter,
}

impl StateFetch {
    fn new(config: StateFetchConfig, ports: StateFetchPorts, work: Work) -> Self {
        Self {
            incoming: Incoming::of(&config.data_dir),
            config,
            ports,
            client: client::client(ANSWER_MAX),
            offer: None,
            own: Position::default(),
            collected: None,
            source: None,
            failures: 0,
            errand: 0,
            running: false,
            work,
        }
    }

    /// Starts it on a thread of its own: it writes files and checks sums. `seat` is its own.
    pub fn start_on_own_thread(config: StateFetchConfig, ports: StateFetchPorts, seat: &Seat) -> Addr<Self> {
        let work = Work { go_on: seat.meter("go_on"), answered: seat.meter("answered") };
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| Self::new(config, ports, work))
    }
}

impl Actor for StateFetch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Installed before the last process ended, or overtaken by the log: of no use any more?
        if self.incoming.is_there() {
            self.running = true;
            self.begin(ctx);
        }
    }
}

impl Handler<Envelope<FetchState>> for StateFetch {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FetchState>, ctx: &mut Self::Context) {
        let (FetchState { offer }, _handling) = envelope.open();
        if self.offer.is_none() {
            info!(from = %offer.from, index = %offer.index, "behind every log: fetching the state");
        }
        self.offer = Some(offer);
        if !self.running {
            self.running = true;
            self.begin(ctx);
        }
    }
}

impl Handler<Envelope<FetchOver>> for StateFetch {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FetchOver>, _: &mut Self::Context) {
        let (FetchOver, _handling) = envelope.open();
        self.offer = None;
        self.collected = None;
        self.source = None;
        self.failures = 0;
        self.errand += 1;
        self.running = false;
        self.throw_away();
        self.ports.fetched.publish(&Fetched { transfer: None });
    }
}

impl Handler<Envelope<Sources>> for StateFetch {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Sources>, _: &mut Self::Context) {
        let (Sources { urls }, _handling) = envelope.open();
        self.config.sources = urls;
    }
}

impl StateFetch {
    /// Looks where the tables stand, and at what an earlier run has left; then goes on.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        if self.collected.is_some() {
            return self.go_on(ctx);
        }
        let (reply, answer) = oneshot::channel();
        self.ports.tables_at.tell(TablesAt { reply });
        let errand = self.errand;
        ctx.spawn(answer.into_actor(self).map(move |answer, actor, ctx| {
            let _handling = actor.work.answered.begin();
            if actor.errand != errand {
                return;
            }
            match answer {
                Ok(Ok(own)) => actor.look(own, ctx),
                Ok(Err(error)) => {
                    warn!(%error, "cannot see where the tables stand");
                    actor.again_later(ctx);
                }
                // The node is stopping.
                Err(_dropped) => actor.running = false,
            }
        }));
    }

    fn look(&mut self, own: Position, ctx: &mut Context<Self>) {
        let collected = Collected::again(self.incoming.heads(), &own);
        if collected.pages() == 0 {
            self.throw_away();
        } else if self.offer.is_some() {
            info!(pages = collected.pages(), at = %collected.after(), "going on with what came before");
            let transfer = Some(Transfer { at: collected.after(), of: collected.horizon() });
            self.ports.fetched.publish(&Fetched { transfer });
        }
        self.own = own;
        self.collected = Some(collected);
        self.go_on(ctx);
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        let (Some(offer), Some(collected)) = (self.offer, &self.collected) else {
            self.running = false;
            self.collected = None;
            return;
        };
        if let Some(install) = collected.install(offer.index) {
            info!(pages = install.pages, index = %install.position.index, "the state is here");
            self.running = false;
            return self.ports.here.tell(StateHere { install });
        }
        let (after, horizon) = (collected.after(), collected.horizon());
        let Some((source, url)) = self.choose(offer) else {
            warn!("nobody is known who could send the state");
            return self.again_later(ctx);
        };
        let url = format!(
            "{}{}?after={after}&horizon={horizon}&bytes={PAGE_BYTES}",
            url.trim_end_matches('/'),
            wire::STATE_PATH
        );
        let asking = self
            .client
            .get(url)
            .insert_header(("authorization", self.config.secret.bearer()))
            .insert_header((wire::CLUSTER, self.config.cluster.as_str()))
            .insert_header((wire::FROM, self.config.own.to_string()))
            .insert_header((wire::BOOT, self.config.boot.to_string()))
            .insert_header((wire::TO, source.to_string()))
            .send();
        let answer = async move {
            let mut response = client::good(asking.await).await?;
            let body = response.body().limit(PAGE_BYTES_MAX);
            match tokio::time::timeout(ANSWER_MAX, body).await {
                Ok(body) => body.map_err(|error| Failure::NoAnswer(error.to_string())),
                Err(_) => Err(Failure::NoAnswer("the page did not come in time".to_owned())),
            }
        };
        let (errand, began) = (self.errand, Instant::now());
        ctx.spawn(answer.into_actor(self).map(move |answer, actor, ctx| {
            let _handling = actor.work.answered.begin();
            if actor.errand != errand {
                return;
            }
            let why = match answer {
                Ok(bytes) => match actor.take(&bytes) {
                    Ok(()) => {
                        actor.failures = 0;
                        return actor.later(pace::pause_after(bytes.len(), began.elapsed()), ctx);
                    }
                    Err(why) => why,
                },
                Err(failure) => {
                    actor.note_behind(&failure);
                    failure.to_string()
                }
            };
            if actor.failures == 0 {
                info!(%source, why, "no page of state from there: asking the next node");
            } else {
                debug!(%source, why, "no page of state");
            }
            actor.source = actor.after_source(source);
            actor.again_later(ctx);
        }));
    }

    /// Checks a page and keeps it.
    fn take(&mut self, bytes: &Bytes) -> Result<(), String> {
        let head = pages::verify(bytes).map_err(|error| error.to_string())?;
        if head.format > self.config.format {
            return Err(format!("it has format {}, which this program does not know", head.format));
        }
        let level = head.position.level;
        if level > u32::from(LEVEL) {
            return Err(format!(
                "it holds changes of level {level}, which this program does not know: run a newer one"
            ));
        }
        let Some(collected) = &mut self.collected else { return Ok(()) };
        let wanted = self.offer.map_or(LogIndex(0), |offer| offer.index);
        let mut more = collected.clone();
        more.take(&head, &self.own, wanted).map_err(|unfit| unfit.to_string())?;
        self.incoming.put(more.pages(), bytes).map_err(|error| {
            warn!(%error, "a page of state cannot be kept");
            error.to_string()
        })?;
        *collected = more;
        if head.end && head.position.index < wanted {
            // It may stay behind for long: whoever made the last offer is far enough.
            self.source = None;
        }
        self.ports.metrics.state_received_bytes.inc_by(bytes.len() as u64);
        let transfer = Some(Transfer { at: head.up_to, of: head.position.at });
        self.ports.fetched.publish(&Fetched { transfer });
        Ok(())
    }

    /// What has come is of no use when nobody is as far as where it came from.
    fn note_behind(&mut self, failure: &Failure) {
        let Failure::NotReady(said) = failure else { return };
        let Some(collected) = self.collected.as_mut().filter(|_| said.code == wire::BEHIND) else { return };
        let before = collected.pages();
        collected.source_behind(self.own.at);
        if collected.pages() < before {
            info!(pages = before, "no node is as far as those that sent pages: fetching anew");
        }
    }

    fn choose(&mut self, offer: Offer) -> Option<(RaftId, String)> {
        let sources = &self.config.sources;
        let wanted = self.source.unwrap_or(offer.from);
        let known = sources.get_key_value(&wanted).or_else(|| sources.first_key_value());
        let (id, url) = known?;
        self.source = Some(*id);
        Some((*id, url.clone()))
    }

    /// The next one in the round of all.
    fn after_source(&self, source: RaftId) -> Option<RaftId> {
        let sources = &self.config.sources;
        let next = sources.range(source.next()..).next().or_else(|| sources.first_key_value());
        next.map(|(id, _)| *id)
    }

    fn again_later(&mut self, ctx: &mut Context<Self>) {
        let pause = PAUSE.saturating_mul(1 << self.failures.min(8)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.later(pause, ctx);
    }

    fn later(&self, pause: Duration, ctx: &mut Context<Self>) {
        let errand = self.errand;
        ctx.run_later(pause, move |actor, ctx| {
            let _handling = actor.work.go_on.begin();
            if actor.errand == errand {
                actor.begin(ctx);
            }
        });
    }

    fn throw_away(&self) {
        if let Err(error) = self.incoming.clear() {
            warn!(%error, "pages that are not needed any more cannot be removed");
        }
    }
}
