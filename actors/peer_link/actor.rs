//! `PeerLink`: the outgoing connections to one other node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt as _;
use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use awc::http::header::{HeaderMap, HeaderName, HeaderValue};
use awc::{ClientResponse, FrozenClientRequest};
use bytes::Bytes;
use futures_util::StreamExt as _;
use protobuf::Message as _;
use tracing::{debug, error, info, warn};

use super::client::{self, Failure};
use super::lane::{Cargo, Full, Lane, LaneLimits, Next};
use super::secret::Secret;
use super::seen::{OwnRun, Seen};
use super::wire::{self, Parcel};
use crate::bus::{Envelope, Meter, News, Port, Seat};
use crate::chat::command::LEVEL_FIRST;
use crate::ids::RaftId;
use crate::membership::Retirement;
use crate::messages::consensus::{Chain, Died, Unreachable};
use crate::messages::links::{Dismissal, Dismissed, Forward, Gossip, LinkState, Send};
use crate::post;

/// Heartbeats are useless when they are late, and the peer answers before its disk does.
const URGENT_ANSWER_MAX: Duration = Duration::from_secs(1);
const APPEND_ANSWER_MAX: Duration = Duration::from_secs(3);
/// The head of a held response; its body has no end.
const HOLD_ANSWER_MAX: Duration = Duration::from_secs(1);
/// A held response that is silent for longer is dead.
const HOLD_SILENCE_MAX: Duration = Duration::from_millis(wire::HOLD_BEAT_MS * 5 / 2);
const HOLD_PAUSE_MIN: Duration = Duration::from_millis(20);
const HOLD_PAUSE_MAX: Duration = Duration::from_millis(250);
/// A node that refuses us is a matter for its operator.
const HOLD_PAUSE_REFUSED: Duration = Duration::from_secs(1);
/// How often the link's state is told, and an idle connection is tried.
const BEAT: Duration = Duration::from_secs(1);

const CONNECTED: &str = "connected";

/// Which peer, and who asks.
#[derive(Clone, Debug)]
pub struct PeerLinkConfig {
    pub peer: RaftId,
    /// Where the peer's own port is: `http://host:port`.
    pub url: String,
    pub secret: Secret,
    pub cluster: String,
    pub own: RaftId,
    /// Where this node's own peer port is.
    pub own_url: String,
    pub run: OwnRun,
    /// What was heard of the others.
    pub seen: Seen,
    pub limits: LaneLimits,
}

/// Whom a link tells.
#[derive(Clone)]
pub struct PeerLinkPorts {
    pub unreachable: Port<Unreachable>,
    pub died: Port<Died>,
    pub state: News<LinkState>,
    pub dismissed: News<Dismissed>,
}

/// Owns the outgoing HTTP connections to one peer: one for heartbeats, votes, reads and
/// acknowledgements, one for appends, forwarded commands and gossip, and one whose response the peer
/// holds open as long as its process lives.
///
/// Is told `Send`, `Forward`, `Gossip`. Tells `RaftNode` `Unreachable` whenever something was lost
/// (it may have arrived all the same), and `Died` each time the peer's port turns out to be closed;
/// tells whoever subscribed when the peer says that this node is no replica any more; tells whoever subscribed the link's state, when it changes and once a second.
/// Never waits for room, never repeats anything: what is lost is repeated by its owner.
pub struct PeerLink {
    peer: RaftId,
    seen: Seen,
    ports: PeerLinkPorts,
    append: Way,
    urgent: Way,
    hold: FrozenClientRequest,
    /// Attempts to hold that failed since the last good one.
    hold_failures: u32,
    up: bool,
    round_trip: Option<Duration>,
    version: Option<Arc<str>>,
    level: Option<u8>,
    /// What the log said last about the peer.
    said: Option<String>,
    work: Work,
}

/// What it does by itself, measured.
struct Work {
    flush: Meter,
    answered: Meter,
    hold: Meter,
    beat: Meter,
}

/// One of the two connections that carry parcels.
struct Way {
    lane: Lane,
    request: FrozenClientRequest,
    /// A timer will look again after a pause.
    waking: bool,
    flushing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Append,
    Urgent,
}

impl PeerLink {
    /// Makes a link, whose seat this is; to be called on the thread that it will live on, within an actix runtime.
    ///
    /// # Errors
    /// When the URL, the secret or the cluster's id cannot stand in an HTTP request.
    pub fn new(config: PeerLinkConfig, ports: PeerLinkPorts, seat: &Seat) -> Result<Self, BadLink> {
        let way = |answer_max| {
            let client = client::client(answer_max);
            Ok::<_, BadLink>(Way {
                lane: Lane::new(config.limits),
                request: asking(&config, client.post(format!("{}{}", base(&config.url), wire::PARCEL_PATH)))?,
                waking: false,
                flushing: false,
            })
        };
        let holder = client::client(HOLD_ANSWER_MAX);
        Ok(Self {
            peer: config.peer,
            seen: config.seen.clone(),
            append: way(APPEND_ANSWER_MAX)?,
            urgent: way(URGENT_ANSWER_MAX)?,
            hold: asking(&config, holder.get(format!("{}{}", base(&config.url), wire::HOLD_PATH)))?,
            hold_failures: 0,
            up: false,
            round_trip: None,
            version: None,
            level: None,
            said: None,
            work: Work {
                flush: seat.meter("flush"),
                answered: seat.meter("answered"),
                hold: seat.meter("hold"),
                beat: seat.meter("beat"),
            },
            ports,
        })
    }
}

/// The settings of a link cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask {url}: {reason}")]
pub struct BadLink {
    pub url: String,
    pub reason: String,
}

impl Actor for PeerLink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.hold_again(ctx);
        ctx.run_interval(BEAT, |link, ctx| link.beat(ctx));
    }
}

impl Handler<Envelope<Send>> for PeerLink {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Send>, ctx: &mut Self::Context) {
        let (send, _handling) = envelope.open();
        let mut dropped = false;
        for message in send.messages {
            let which = if wire::is_urgent(&message) { Which::Urgent } else { Which::Append };
            match message.write_to_bytes() {
                Ok(bytes) => dropped |= self.put(which, Cargo::Raft(bytes), ctx).is_err(),
                Err(error) => {
                    error!(peer = %self.peer, %error, "cannot encode a raft message");
                    dropped = true;
                }
            }
        }
        if dropped {
            self.tell_unreachable();
        }
    }
}

impl Handler<Envelope<Forward>> for PeerLink {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Forward>, ctx: &mut Self::Context) {
        let (forward, _handling) = envelope.open();
        let Forward { term, chain: Chain { mut after, items } } = forward;
        for item in items {
            let number = item.origin.number;
            // The leader would not take what follows one that finds no room.
            if self.put(Which::Append, Cargo::Item { term, after, item }, ctx).is_err() {
                return self.tell_unreachable();
            }
            after = number;
        }
    }
}

impl Handler<Envelope<Gossip>> for PeerLink {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Gossip>, ctx: &mut Self::Context) {
        let (gossip, _handling) = envelope.open();
        // Not worth a try when nobody is there: the whole of it is told again when the peer is up.
        if self.up {
            let _lost = self.put(Which::Append, Cargo::Word(gossip.word), ctx);
        }
    }
}

/// The peer is none any more.
pub(super) struct Stop;

post! { Stop => "stop" }

impl Handler<Envelope<Stop>> for PeerLink {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Stop>, ctx: &mut Self::Context) {
        let (Stop, _handling) = envelope.open();
        ctx.stop();
    }
}

/// Sends what waits. Runs when the mailbox is drained, so that one POST carries all that came together.
struct Flush(Which);

impl Message for Flush {
    type Result = ();
}

impl Handler<Flush> for PeerLink {
    type Result = ();

    fn handle(&mut self, Flush(which): Flush, ctx: &mut Self::Context) {
        let _handling = self.work.flush.begin();
        self.way(which).flushing = false;
        self.pump(which, ctx);
    }
}

impl PeerLink {
    fn way(&mut self, which: Which) -> &mut Way {
        match which {
            Which::Append => &mut self.append,
            Which::Urgent => &mut self.urgent,
        }
    }

    fn put(&mut self, which: Which, cargo: Cargo, ctx: &mut Context<Self>) -> Result<(), Full> {
        let way = self.way(which);
        way.lane.put(cargo)?;
        if !way.flushing {
            way.flushing = true;
            ctx.notify(Flush(which));
        }
        Ok(())
    }

    fn pump(&mut self, which: Which, ctx: &mut Context<Self>) {
        let way = self.way(which);
        match way.lane.next(Instant::now()) {
            Next::Nothing => {}
            Next::Pause(_) if way.waking => {}
            Next::Pause(pause) => {
                way.waking = true;
                ctx.run_later(pause, move |link, ctx| {
                    let _handling = link.work.flush.begin();
                    link.way(which).waking = false;
                    link.pump(which, ctx);
                });
            }
            Next::Post(parcel) => self.post(which, &parcel, ctx),
        }
    }

    fn post(&mut self, which: Which, parcel: &Parcel, ctx: &mut Context<Self>) {
        let body = match parcel.encode() {
            Ok(body) => body,
            Err(error) => {
                error!(peer = %self.peer, %error, "a parcel is lost");
                return self.lost(which);
            }
        };
        let heard = self.heard();
        let sending = self.way(which).request.extra_headers(heard).send_body(Bytes::from(body));
        let started = Instant::now();
        let answer = async move { client::good(sending.await).await.map(drop) };
        ctx.spawn(answer.into_actor(self).map(move |answer, link, ctx| {
            let _handling = link.work.answered.begin();
            match answer {
                Ok(()) => {
                    link.way(which).lane.arrived();
                    if which == Which::Urgent {
                        link.round_trip = Some(started.elapsed());
                    }
                }
                Err(failure) => {
                    debug!(peer = %link.peer, ?which, %failure, "a parcel is lost");
                    link.heed(&failure);
                    link.lost(which);
                }
            }
            link.pump(which, ctx);
        }));
    }

    /// A refusal that says what became of this node.
    fn heed(&self, failure: &Failure) {
        let Failure::Refused(said) = failure else { return };
        let why = match said.code.as_str() {
            wire::SUPERSEDED => Dismissal::Retired(Retirement::Superseded),
            wire::REMOVED => Dismissal::Retired(Retirement::Removed),
            wire::WENT_BACK => Dismissal::WentBack,
            _ => return,
        };
        self.ports.dismissed.publish(&Dismissed { by: self.peer, why, word: said.message.clone() });
    }

    /// What the peer must know of itself before it does anything.
    fn heard(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(Ok(heard)) = self.seen.heard_of(self.peer).map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(wire::HEARD), heard);
        }
        headers
    }

    fn lost(&mut self, which: Which) {
        self.way(which).lane.lost(Instant::now());
        self.tell_unreachable();
    }

    fn tell_unreachable(&self) {
        self.ports.unreachable.tell(Unreachable { peer: self.peer });
    }

    fn try_hold(&mut self, ctx: &mut Context<Self>) {
        let asking = self.hold.extra_headers(self.heard()).send();
        let answer = async move { client::good(asking.await).await };
        ctx.spawn(answer.into_actor(self).map(|answer, link, ctx| {
            let _handling = link.work.answered.begin();
            match answer {
                Ok(response) => link.held(response, ctx),
                Err(failure) => link.not_held(&failure, ctx),
            }
        }));
    }

    /// The peer is there. When its response ends the process is gone, or the network: the next try tells.
    fn held(&mut self, response: ClientResponse, ctx: &mut Context<Self>) {
        self.hold_failures = 0;
        let told = |name| response.headers().get(name).and_then(|told| told.to_str().ok());
        self.version = told(wire::VERSION).map(Arc::from);
        // One that does not say is from before there was more than one.
        self.level = Some(told(wire::LEVEL).and_then(|level| level.parse().ok()).unwrap_or(LEVEL_FIRST));
        self.append.lane.recovered();
        self.urgent.lane.recovered();
        self.say(CONNECTED);
        if !self.up {
            self.up = true;
            self.publish();
        }
        let ping = self.urgent.lane.ping(Instant::now(), Duration::ZERO);
        if let Some(ping) = ping {
            self.post(Which::Urgent, &ping, ctx);
        }
        self.pump(Which::Append, ctx);
        self.pump(Which::Urgent, ctx);
        ctx.spawn(end_of(response).into_actor(self).map(|(), link, ctx| link.hold_again(ctx)));
    }

    fn not_held(&mut self, failure: &Failure, ctx: &mut Context<Self>) {
        if self.up {
            self.up = false;
            self.round_trip = None;
            self.publish();
        }
        self.heed(failure);
        if *failure == Failure::PortClosed {
            self.ports.died.tell(Died { peer: self.peer });
        }
        self.say(&failure.to_string());
        let pause = match failure {
            Failure::Refused(_) => HOLD_PAUSE_REFUSED,
            _ => HOLD_PAUSE_MIN.saturating_mul(1 << self.hold_failures.min(8)).min(HOLD_PAUSE_MAX),
        };
        // The first failure may be the last breath of a process whose port is not closed yet.
        let pause =
            if self.hold_failures == 0 && *failure != Failure::PortClosed { pause / 10 } else { pause };
        self.hold_failures = self.hold_failures.saturating_add(1);
        ctx.run_later(pause, Self::hold_again);
    }

    fn hold_again(&mut self, ctx: &mut Context<Self>) {
        let _handling = self.work.hold.begin();
        self.try_hold(ctx);
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        let _handling = self.work.beat.begin();
        if self.up {
            for which in [Which::Urgent, Which::Append] {
                if let Some(ping) = self.way(which).lane.ping(Instant::now(), BEAT) {
                    self.post(which, &ping, ctx);
                }
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let round_trip_us = self.round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.ports.state.publish(&LinkState {
            peer: self.peer,
            up: self.up,
            round_trip_us,
            version: self.version.clone(),
            level: self.level,
        });
    }

    /// Logs how things stand, once per change.
    fn say(&mut self, state: &str) {
        if self.said.as_deref() == Some(state) {
            return;
        }
        if state == CONNECTED {
            info!(peer = %self.peer, state, "link to peer");
        } else {
            warn!(peer = %self.peer, state, "link to peer");
        }
        self.said = Some(state.to_owned());
    }
}

/// Resolves when a held response has ended, in whatever way.
async fn end_of(mut response: ClientResponse) {
    while let Ok(Some(Ok(_beat))) = tokio::time::timeout(HOLD_SILENCE_MAX, response.next()).await {}
}

fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// The request with the headers by which peers know each other.
fn asking(config: &PeerLinkConfig, request: awc::ClientRequest) -> Result<FrozenClientRequest, BadLink> {
    request
        .insert_header(("authorization", config.secret.bearer()))
        .insert_header((wire::CLUSTER, config.cluster.as_str()))
        .insert_header((wire::FROM, config.own.to_string()))
        .insert_header((wire::URL, config.own_url.as_str()))
        .insert_header((wire::BOOT, config.run.boot.to_string()))
        .insert_header((wire::RUN, config.run.name.as_str()))
        .insert_header((wire::TO, config.peer.to_string()))
        .freeze()
        .map_err(|error| BadLink { url: config.url.clone(), reason: error.to_string() })
}
