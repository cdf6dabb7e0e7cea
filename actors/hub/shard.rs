//! `HubShard`: one a worker thread of the HTTP server.
//!
//! Owns the seats of the sessions of its thread (see [`super::shelf`]) and duplicates of their
//! sockets. Is told `Published` and `Passing` by `Hub`, and comings, goings and acknowledgements by
//! sessions. Tells sessions `Deliver`, one at a time each, and `Summon`; tells `Hub` who is here.
//! Never waits for anybody: a client that stops reading freezes its session, so it is the shard
//! that notices, and shuts the socket down.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use super::shelf::{Bounds, Out, Shelf};
use crate::bus::{Envelope, Meter, Port, Seat};
use crate::ids::At;
use crate::messages::hub::{
    Alive, Arrive, Beat, CaughtUp, Deliver, Delivered, Depart, Enter, Farewell, LeaveAll, Local, Passing,
    Published, Reached, SessionKey, ShardDoor, ShardHere, Summon,
};
use crate::metrics::Metrics;

/// How often dead clients are looked for.
const ROUND: Duration = Duration::from_secs(5);
/// Messages that may wait for a shard before `Hub` marks a gap instead.
const MAILBOX: usize = 8192;

#[derive(Clone, Debug)]
pub struct ShardConfig {
    pub bounds: Bounds,
    /// A client that answered no ping for so long is dead. Its session closes it a little earlier,
    /// unless it is frozen.
    pub silence_max: Duration,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self { bounds: Bounds::default(), silence_max: Duration::from_secs(65) }
    }
}

pub struct HubShard {
    number: u64,
    config: ShardConfig,
    shelf: Shelf,
    guests: HashMap<SessionKey, Guest>,
    /// Who waits until this node has applied so far.
    waiting: Vec<(At, oneshot::Sender<()>)>,
    /// Set while everybody is asked to leave.
    /// Said to everybody, also to who comes after it was said.
    leaving: Option<Farewell>,
    /// Told when nobody is left.
    left: Vec<oneshot::Sender<()>>,
    done: Vec<Out>,
    seat: Arc<Seat>,
    round: Meter,
    here: Port<ShardHere>,
    local: Port<Local>,
    metrics: Metrics,
}

struct Guest {
    deliver: Port<Deliver>,
    summon: Port<Summon>,
    socket: Option<Arc<TcpStream>>,
    heard: Instant,
}

impl HubShard {
    /// Starts the shard of the calling thread, which is a worker of the HTTP server.
    pub fn open(
        config: ShardConfig,
        metrics: &Metrics,
        here: Port<ShardHere>,
        local: Port<Local>,
    ) -> ShardDoor {
        let shard = Self::new(config, metrics, here, local);
        let seat = Arc::clone(&shard.seat);
        let addr = shard.start();
        ShardDoor {
            arrive: seat.port_to(&addr),
            enter: seat.port_to(&addr),
            caught_up: seat.port_to(&addr),
            delivered: seat.port_to(&addr),
            alive: seat.port_to(&addr),
            beat: seat.port_to(&addr),
            depart: seat.port_to(&addr),
            reached: seat.port_to(&addr),
        }
    }

    fn new(config: ShardConfig, metrics: &Metrics, here: Port<ShardHere>, local: Port<Local>) -> Self {
        static SHARDS: AtomicU64 = AtomicU64::new(0);
        // Without it the sessions of its thread would hear nothing.
        let seat = Seat::new(metrics, "hub_shard", MAILBOX).essential();
        Self {
            number: SHARDS.fetch_add(1, Ordering::Relaxed),
            shelf: Shelf::new(config.bounds),
            config,
            guests: HashMap::new(),
            waiting: Vec::new(),
            leaving: None,
            left: Vec::new(),
            done: Vec::new(),
            round: seat.meter("round"),
            seat: Arc::new(seat),
            here,
            local,
            metrics: metrics.clone(),
        }
    }

    /// Carries out what the core decided.
    fn carry_out(&mut self) {
        for out in self.done.drain(..) {
            match out {
                Out::Deliver { key, pass, frames, events, up_to } => {
                    if let Some(guest) = self.guests.get(&key) {
                        self.metrics.events_delivered.inc_by(events as u64);
                        guest.deliver.tell(Deliver { pass, frames, up_to, fell_behind: false });
                    }
                }
                Out::FellBehind { key, pass } => {
                    if let Some(guest) = self.guests.get(&key) {
                        let frames = Vec::new();
                        guest.deliver.tell(Deliver { pass, frames, up_to: At(0), fell_behind: true });
                    }
                }
                Out::Ended { key, token_hash } => {
                    if let Some(guest) = self.guests.get(&key) {
                        guest.summon.tell(Summon::Ended { token_hash });
                    }
                }
                Out::Online { user } => self.local.tell(Local { shard: self.number, user, online: true }),
                Out::Offline { user } => self.local.tell(Local { shard: self.number, user, online: false }),
            }
        }
    }

    fn answer_reached(&mut self) {
        let at = self.shelf.at();
        let (reached, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(wanted, _)| *wanted <= at);
        self.waiting = waiting;
        let reached: Vec<(At, oneshot::Sender<()>)> = reached;
        for (_, reply) in reached {
            let _gave_up = reply.send(());
        }
    }

    fn end_the_dead(&mut self, now: Instant) {
        for (key, guest) in &self.guests {
            if now.duration_since(guest.heard) < self.config.silence_max {
                continue;
            }
            if let Some(socket) = &guest.socket {
                tracing::debug!(session = key.0, "a client answers no more: its socket is shut down");
                // Already closed is just as well; `Depart` follows either way.
                let _closed = socket.shutdown(Shutdown::Both);
            }
        }
    }

    fn finish_leaving(&mut self) {
        if self.guests.is_empty() {
            for left in self.left.drain(..) {
                let _gave_up = left.send(());
            }
        }
    }
}

impl Actor for HubShard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let addr = ctx.address();
        self.here.tell(ShardHere {
            shard: self.number,
            published: self.seat.port_to(&addr),
            passing: self.seat.port_to(&addr),
            leave: self.seat.port_to(&addr),
        });
        ctx.run_interval(ROUND, |shard, _| {
            let _handling = shard.round.begin();
            shard.end_the_dead(Instant::now());
            shard.waiting.retain(|(_, reply)| !reply.is_closed());
        });
    }
}

impl Handler<Envelope<Published>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Published>, _: &mut Self::Context) {
        let (news, _handling) = envelope.open();
        self.shelf.publish(&news, &mut self.done);
        self.carry_out();
        if !self.waiting.is_empty() {
            self.answer_reached();
        }
    }
}

impl Handler<Envelope<Passing>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Passing>, _: &mut Self::Context) {
        let (news, _handling) = envelope.open();
        self.shelf.pass_on(&news.whom, &news.frame, &mut self.done);
        self.carry_out();
    }
}

impl Handler<Envelope<Arrive>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Arrive>, _: &mut Self::Context) {
        let (Arrive { key, deliver, summon, socket }, _handling) = envelope.open();
        if let Some(farewell) = self.leaving.clone() {
            summon.tell(Summon::Farewell(farewell));
        }
        self.shelf.arrive(key);
        self.guests.insert(key, Guest { deliver, summon, socket, heard: Instant::now() });
    }
}

impl Handler<Envelope<Enter>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Enter>, _: &mut Self::Context) {
        let (Enter { key, pass, user, token_hash, reply }, _handling) = envelope.open();
        self.shelf.enter(key, pass, &user, token_hash, &mut self.done);
        self.carry_out();
        let _gone = reply.send(());
    }
}

impl Handler<Envelope<CaughtUp>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<CaughtUp>, _: &mut Self::Context) {
        let (news, _handling) = envelope.open();
        self.shelf.caught_up(&news, &mut self.done);
        self.carry_out();
    }
}

impl Handler<Envelope<Delivered>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Delivered>, _: &mut Self::Context) {
        let (Delivered { key, pass }, _handling) = envelope.open();
        self.shelf.delivered(key, pass, &mut self.done);
        self.carry_out();
    }
}

impl Handler<Envelope<Alive>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Alive>, _: &mut Self::Context) {
        let (Alive { key }, _handling) = envelope.open();
        if let Some(guest) = self.guests.get_mut(&key) {
            guest.heard = Instant::now();
        }
    }
}

impl Handler<Envelope<Beat>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Beat>, _: &mut Self::Context) {
        let (Beat { key }, _handling) = envelope.open();
        self.shelf.beat(key, &mut self.done);
        self.carry_out();
    }
}

impl Handler<Envelope<Depart>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Depart>, _: &mut Self::Context) {
        let (Depart { key }, _handling) = envelope.open();
        self.shelf.depart(key, &mut self.done);
        self.guests.remove(&key);
        self.carry_out();
        self.finish_leaving();
    }
}

impl Handler<Envelope<Reached>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Reached>, _: &mut Self::Context) {
        let (Reached { at, reply }, _handling) = envelope.open();
        self.waiting.push((at, reply));
        self.answer_reached();
    }
}

impl Handler<Envelope<LeaveAll>> for HubShard {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LeaveAll>, _: &mut Self::Context) {
        let (LeaveAll { farewell, reply }, _handling) = envelope.open();
        if self.leaving.is_none() {
            for guest in self.guests.values() {
                guest.summon.tell(Summon::Farewell(farewell.clone()));
            }
        }
        self.leaving = Some(farewell);
        self.left.push(reply);
        self.finish_leaving();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Post;
    use crate::essential::testing::{Bang, assert_aborts};

    impl Handler<Envelope<Bang>> for HubShard {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<Bang>, _: &mut Self::Context) {
            let (Bang, _handling) = envelope.open();
            panic!("bang");
        }
    }

    /// The Hub of a shard that is alone.
    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl<M: Post> Handler<Envelope<M>> for Nobody {
        type Result = ();

        fn handle(&mut self, _: Envelope<M>, _: &mut Self::Context) {}
    }

    #[test]
    fn no_node_goes_on_without_it() {
        assert_aborts("hub::shard::tests::no_node_goes_on_without_it", async |metrics| {
            let hub = Nobody.start();
            let seat = Seat::new(metrics, "hub", 10);
            let shard =
                HubShard::new(ShardConfig::default(), metrics, seat.port_to(&hub), seat.port_to(&hub));
            let seat = Arc::clone(&shard.seat);
            seat.port_to::<_, Bang>(&shard.start()).tell(Bang);
        });
    }
}
