//! `RaftNode`: the actor that gives consensus a thread and a clock.
//!
//! - **Owns** the [`Node`] (the `RawNode`, the log's recent tail, who waits for which outcome).
//! - **Is told** Propose, Step, Forwarded, ReadBarrier, Persisted, Applied, Members, LinkState, Unreachable, Died, StepDown,
//!   Standing, ChangeMembers, Links, Fetched, StateHere, DiskReport.
//! - **Tells** Append, Apply and Compact → Storage, FetchState and FetchOver → StateFetch, Send and Forward → peers,
//!   role and quorum, Dismissed → whoever subscribed.
//! - **Never** touches the disk or a socket, and never waits: what needs time comes back as news.

mod outputs;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::node::Node;
use crate::bus::{Envelope, Handling, Meter, News, Port, Seat};
use crate::chat::outcome::Outcome;
use crate::ids::{At, RaftId};
use crate::messages::consensus::{
    ClusterView, Died, Forwarded, NotDone, Propose, ReadBarrier, Standing, Step, StepDown, Unreachable,
};
use crate::messages::disk::{Append, Applied, Apply, Compact, Members, Persisted};
use crate::messages::links::{Dismissed, LinkState, PeerPorts};
use crate::messages::members::{ChangeMembers, Links, Settled};
use crate::messages::news::{DiskReport, Role};
use crate::messages::reading::LogEntries;
use crate::messages::transfer::{FetchOver, FetchState, Fetched, StateHere, Transfer};
use crate::metrics::Metrics;

/// A peer whose process died: how long each further survivor waits before it stands for election.
const STAND_STAGGER: Duration = Duration::from_millis(20);
/// … and how long the first one gives the others to notice as well.
const STAND_AFTER: Duration = Duration::from_millis(4);
/// Ticks that are made up for at once after a pause. More would end a leadership before the messages
/// that waited through the pause are read.
const TICKS_AT_ONCE_MAX: u32 = 3;
/// Inputs handled before outputs, when the mailbox does not run dry.
const INPUTS_MAX: usize = 512;
/// Reads of old log entries under way for lagging peers.
const FETCHES_MAX: usize = 4;
/// Proposals that are held in the first moments.
const EARLY_MAX: usize = 1024;
/// How long leadership may take to move before a stopping node goes without.
const STEP_DOWN_TICKS_MAX: u32 = 20;

/// Whom `RaftNode` tells.
pub struct Ports {
    pub append: Port<Append>,
    pub apply: Port<Apply>,
    pub compact: Port<Compact>,
    pub fetch_state: Port<FetchState>,
    pub fetch_over: Port<FetchOver>,
    pub log_entries: Port<LogEntries>,
    pub role: News<Role>,
    pub dismissed: News<Dismissed>,
}

/// See the module.
pub struct RaftNode {
    node: Node,
    ports: Ports,
    peers: BTreeMap<RaftId, PeerPorts>,
    tick: Duration,
    election: Duration,
    metrics: Metrics,
    driving: Meter,
    last_tick: Instant,
    /// What a member is not known to read yet, and what came after it. See [`Node::is_early`].
    early: VecDeque<Propose>,
    /// Proposals whose sessions wait, with when they asked.
    proposals: HashMap<u64, (oneshot::Sender<Result<Outcome, NotDone>>, Instant)>,
    reads: HashMap<u64, oneshot::Sender<Result<(), NotDone>>>,
    wishes: HashMap<u64, oneshot::Sender<Settled>>,
    fetches: usize,
    going: Option<Going>,
    transfer: Option<Transfer>,
    /// The last `at` that was applied, as far as this run has applied anything.
    at: At,
    /// A `Drive` is on its way; inputs since the last one.
    drive_queued: bool,
    inputs: usize,
    leader: Option<RaftId>,
}

struct Going {
    replies: Vec<oneshot::Sender<()>>,
    ticks_left: u32,
}

/// Does what the inputs so far made possible; runs when the mailbox is drained.
struct Drive;

impl actix::Message for Drive {
    type Result = ();
}

impl RaftNode {
    /// `seat` is its own.
    pub fn new(node: Node, tick: Duration, ports: Ports, seat: &Seat, metrics: Metrics) -> Self {
        let elections = u32::try_from(node.core().election_ticks()).unwrap_or(u32::MAX);
        Self {
            node,
            ports,
            peers: BTreeMap::new(),
            tick,
            election: tick.saturating_mul(elections),
            metrics,
            driving: seat.meter("drive"),
            last_tick: Instant::now(),
            early: VecDeque::new(),
            proposals: HashMap::new(),
            reads: HashMap::new(),
            wishes: HashMap::new(),
            fetches: 0,
            going: None,
            transfer: None,
            at: At(0),
            drive_queued: false,
            inputs: 0,
            leader: None,
        }
    }
}

impl Actor for RaftNode {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        crate::essential::mark("raft");
        self.last_tick = Instant::now();
        ctx.run_interval(self.tick, |actor, ctx| actor.drive(ctx));
        // What the disk held that is committed and not applied is handed out by the first drive.
        self.drive_soon(ctx);
    }
}

impl Handler<Envelope<Propose>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Propose>, ctx: &mut Self::Context) {
        let (asked, handling) = envelope.open();
        if self.early.is_empty() && !self.node.is_early(&asked.command) {
            self.propose(asked);
        } else if self.early.len() < EARLY_MAX {
            self.early.push_back(asked);
        } else {
            answer(asked.reply, Err(NotDone::Busy));
        }
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Step>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Step>, ctx: &mut Self::Context) {
        let (Step { messages }, handling) = envelope.open();
        self.notice_pause();
        for message in messages {
            self.node.step(message);
        }
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Forwarded>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Forwarded>, ctx: &mut Self::Context) {
        let (Forwarded { term, chain, .. }, handling) = envelope.open();
        self.node.forwarded(term, chain);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Persisted>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Persisted>, ctx: &mut Self::Context) {
        let (Persisted { number }, handling) = envelope.open();
        self.node.persisted(number);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Applied>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Applied>, ctx: &mut Self::Context) {
        let (Applied { index, at, outcomes, level }, handling) = envelope.open();
        self.at = at;
        self.node.reached(level);
        self.node.applied(index, outcomes);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<ReadBarrier>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ReadBarrier>, ctx: &mut Self::Context) {
        let (ReadBarrier { reply }, handling) = envelope.open();
        match self.node.read() {
            Ok(number) => {
                self.reads.insert(number, reply);
                self.wake(handling, ctx);
            }
            Err(why) => answer(reply, Err(why)),
        }
    }
}

impl Handler<Envelope<Unreachable>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Unreachable>, ctx: &mut Self::Context) {
        let (Unreachable { peer }, handling) = envelope.open();
        self.node.unreachable(peer);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Died>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Died>, ctx: &mut Self::Context) {
        let (Died { peer }, handling) = envelope.open();
        if let Some((term, rank)) = self.node.died(peer) {
            info!(peer = self.name(peer), "the leader's process is gone");
            let places = u32::try_from(rank).unwrap_or(u32::MAX);
            ctx.run_later(STAND_AFTER + STAND_STAGGER.saturating_mul(places), move |actor, ctx| {
                actor.node.stand(term);
                actor.drive(ctx);
            });
        }
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<LinkState>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LinkState>, _ctx: &mut Self::Context) {
        let (LinkState { peer, level, .. }, _handling) = envelope.open();
        if let Some(level) = level {
            self.node.reads_up_to(peer, level);
        }
    }
}

impl Handler<Envelope<StepDown>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<StepDown>, ctx: &mut Self::Context) {
        let (StepDown { reply }, handling) = envelope.open();
        if let Some(to) = self.node.step_down() {
            info!(to = self.name(to), "handing leadership over");
        }
        let going = self.going.get_or_insert(Going { replies: Vec::new(), ticks_left: STEP_DOWN_TICKS_MAX });
        going.replies.push(reply);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Members>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Members>, ctx: &mut Self::Context) {
        let (Members { roll }, handling) = envelope.open();
        self.node.members(roll);
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<ChangeMembers>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ChangeMembers>, ctx: &mut Self::Context) {
        let (ChangeMembers { wish, reply }, handling) = envelope.open();
        match self.node.wish(&wish) {
            Ok(number) => {
                info!(?wish, "a change of members begins");
                self.wishes.insert(number, reply);
            }
            Err(settled) => answer(reply, settled),
        }
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Links>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Links>, ctx: &mut Self::Context) {
        let (Links { peers }, handling) = envelope.open();
        for (id, gone) in &self.peers {
            if !peers.values().any(|peer| peer.name == gone.name) {
                // It may never have been set.
                let _unset = self.metrics.raft_peer_lag.remove_label_values(&[gone.name.as_str()]);
            }
            if !peers.contains_key(id) {
                info!(peer = gone.name, %id, "no longer a peer");
            }
        }
        self.peers = peers;
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<Standing>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Standing>, _ctx: &mut Self::Context) {
        let (Standing { reply }, _handling) = envelope.open();
        answer(reply, ClusterView { at: self.at, transfer: self.transfer, ..self.node.view() });
    }
}

impl Handler<Envelope<Fetched>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Fetched>, _ctx: &mut Self::Context) {
        let (Fetched { transfer }, _handling) = envelope.open();
        self.transfer = transfer.filter(|_| self.node.core().lacks_state());
    }
}

impl Handler<Envelope<StateHere>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<StateHere>, ctx: &mut Self::Context) {
        let (StateHere { install }, handling) = envelope.open();
        let index = install.position.index;
        let verdict = self.node.state_here(install);
        info!(%index, ?verdict, "state was fetched");
        self.wake(handling, ctx);
    }
}

impl Handler<Envelope<DiskReport>> for RaftNode {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<DiskReport>, _ctx: &mut Self::Context) {
        let (report, _handling) = envelope.open();
        self.node.disk_report(report);
    }
}

impl Handler<Drive> for RaftNode {
    type Result = ();

    fn handle(&mut self, _: Drive, ctx: &mut Self::Context) {
        self.drive_queued = false;
        self.drive(ctx);
    }
}

impl RaftNode {
    /// An input was handled. Sees to it that outputs follow: once the mailbox is drained, or after so many.
    fn wake(&mut self, handled: Handling, ctx: &mut Context<Self>) {
        // What a drive takes is measured as its own.
        drop(handled);
        self.inputs += 1;
        if self.inputs >= INPUTS_MAX {
            self.drive(ctx);
        } else {
            self.drive_soon(ctx);
        }
    }

    fn drive_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.drive_queued {
            self.drive_queued = true;
            ctx.notify(Drive);
        }
    }

    fn propose(&mut self, Propose { command, reply }: Propose) {
        match self.node.propose(&command) {
            Ok(number) => {
                self.proposals.insert(number, (reply, Instant::now()));
            }
            Err(why) => {
                if let NotDone::TooNew { member } = why {
                    warn!(
                        member = self.name(member),
                        "a kind of change that this member is not known to read"
                    );
                }
                answer(reply, Err(why));
            }
        }
    }

    fn drive(&mut self, ctx: &mut Context<Self>) {
        let _handling = self.driving.begin();
        self.inputs = 0;
        self.catch_up();
        while let Some(asked) = self.early.pop_front_if(|asked| !self.node.is_early(&asked.command)) {
            self.propose(asked);
        }
        let todo = self.node.drive(unix_time_ms());
        self.carry_out(todo, ctx);
    }

    /// What waited through a pause may come before the first tick after it, or behind that one.
    fn notice_pause(&mut self) {
        if self.last_tick.elapsed() > self.election {
            self.node.stood_still();
        }
    }

    /// Counts ticks from the time that has passed: actix repays missed beats in a burst.
    fn catch_up(&mut self) {
        self.notice_pause();
        let mut ticks = 0;
        while self.last_tick.elapsed() >= self.tick {
            if ticks == TICKS_AT_ONCE_MAX {
                self.last_tick = Instant::now();
                break;
            }
            self.last_tick += self.tick;
            self.node.tick();
            ticks += 1;
        }
        if ticks > 0 {
            self.observe();
            self.go_on_going(ticks);
        }
    }
}

/// Who asked may have gone: then nobody is to be told.
fn answer<T>(reply: oneshot::Sender<T>, with: T) {
    let _gone = reply.send(with);
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The leader's clock, which stamps what it proposes.
#[allow(clippy::disallowed_methods, reason = "the actor gives the core its time")]
fn unix_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
