//! `Session`: one WebSocket.
//!
//! - **Owns** the connection, who it is, and its place in the stream of events.
//! - **Is told** frames by the client, `Deliver` and `Summon` by its shard.
//! - **Tells** its shard that it came, entered, caught up, took what was delivered, and went; asks
//!   everything else through the [`Executor`].
//! - **Never** holds more for its client than one `Deliver` and one page: a client that stops reading
//!   freezes its session (actix polls it as the response body), and the shard sees that.

use std::collections::VecDeque;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler, WrapFuture};
use actix_http::ws::{CloseCode, CloseReason, Item, ProtocolError};
use actix_web_actors::ws::{Message, WebsocketContext};
use bytes::BytesMut;
use tokio::sync::oneshot;

use super::accounts::{Admitted, Onward, resume_of};
use super::executor::{Executor, Started, Who};
use super::reply::{self, Answer, Problem, Reply};
use super::request::{self, Frame, Op};
use crate::bus::{Envelope, Seat};
use crate::chat::outcome::Code;
use crate::ids::At;
use crate::messages::hub::{
    Alive, Arrive, Beat, Deliver, Delivered, Depart, Enter, Farewell, Pass, SessionKey, ShardDoor, Summon,
};
use crate::metrics::Metrics;

/// A connection that has not said who it is after so long is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// A client that answered no ping for so long is closed.
const PONG_WITHIN: Duration = Duration::from_secs(60);
/// Requests of one connection under way.
const UNDER_WAY_MAX: usize = 256;
/// Frames that may wait behind a request that goes alone.
const WAITING_MAX: usize = 256;
/// Messages from the shard: it has one `Deliver` outstanding.
const MAILBOX: usize = 64;
/// How long somebody with too much under way is asked to wait.
const BUSY_RETRY_MS: u64 = 100;

/// How long a node that stops waits for what is under way.
const FAREWELL_WITHIN: Duration = Duration::from_millis(400);

const NO_HELLO: u16 = 4501;
const NO_PONG: u16 = 4008;
const NOT_A_REQUEST: u16 = 4500;
const TOKEN_ENDED: u16 = 4503;

/// What all sessions of a thread share.
#[derive(Clone)]
pub struct SessionConfig {
    pub executor: Arc<Executor>,
    pub door: ShardDoor,
    pub metrics: Metrics,
    /// The server's pings: clients are told, and may take silence for death.
    pub ping_every: Duration,
}

/// The connection that was opened.
pub struct Opened {
    pub from: Option<IpAddr>,
    /// A duplicate, by which the shard ends a frozen session.
    pub socket: Option<Arc<TcpStream>>,
}

/// See the module.
pub struct Session {
    pub(super) key: SessionKey,
    pub(super) pass: Pass,
    pub(super) config: SessionConfig,
    opened: Opened,
    pub(super) who: Option<Who>,
    /// The client has seen every event up to here.
    pub(super) cursor: At,
    /// The last event that this session itself read from the tables and sent.
    pub(super) told: At,
    heard: Instant,
    under_way: usize,
    /// A request is under way that what follows waits for.
    alone: bool,
    waiting: VecDeque<String>,
    /// A message that comes in several frames.
    fragments: BytesMut,
    /// Said, once what is under way has been answered.
    farewell: Option<Farewell>,
}

type Ctx = WebsocketContext<Session>;

impl Session {
    pub fn new(config: SessionConfig, opened: Opened) -> Self {
        static KEYS: AtomicU64 = AtomicU64::new(1);
        Self {
            key: SessionKey(KEYS.fetch_add(1, Ordering::Relaxed)),
            pass: Pass::default(),
            config,
            opened,
            who: None,
            cursor: At(0),
            told: At(0),
            heard: Instant::now(),
            under_way: 0,
            alone: false,
            waiting: VecDeque::new(),
            fragments: BytesMut::new(),
            farewell: None,
        }
    }
}

impl Actor for Session {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        self.config.metrics.sessions.inc();
        let seat = Seat::new(&self.config.metrics, "session", MAILBOX);
        self.config.door.arrive.tell(Arrive {
            key: self.key,
            deliver: seat.port(ctx.address().recipient()),
            summon: seat.port(ctx.address().recipient()),
            socket: self.opened.socket.take(),
        });
        ctx.run_later(HELLO_WITHIN, |session, ctx| {
            if session.who.is_none() {
                session.close(ctx, NO_HELLO, "no hello, register or login in time");
            }
        });
        // Sessions that came at the same moment, after a node died, do not ping at the same moment.
        let first = self.config.ping_every.mul_f64((self.key.0 % 16) as f64 / 32.0 + 0.5);
        ctx.run_later(first, Self::ping);
    }

    fn stopped(&mut self, _: &mut Ctx) {
        self.config.metrics.sessions.dec();
        self.config.door.depart.tell(Depart { key: self.key });
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Ctx) {
        match message {
            Ok(Message::Text(text)) => self.frame(&text, ctx),
            Ok(Message::Ping(payload)) => {
                self.hear();
                ctx.pong(&payload);
            }
            Ok(Message::Pong(_)) => self.hear(),
            Ok(Message::Binary(_)) => self.close(ctx, NOT_A_REQUEST, "frames are text"),
            Ok(Message::Continuation(part)) => self.fragment(part, ctx),
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(Message::Nop) => {}
            Err(ProtocolError::Overflow) => {
                self.close_with(ctx, CloseCode::Size, "the frame is larger than limits.frame_bytes");
            }
            Err(error) => {
                tracing::debug!(session = self.key.0, %error, "not a websocket frame");
                self.close_with(ctx, CloseCode::Protocol, "not a websocket frame");
            }
        }
    }

    fn finished(&mut self, ctx: &mut Ctx) {
        ctx.stop();
    }
}

impl Handler<Envelope<Deliver>> for Session {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Deliver>, ctx: &mut Ctx) {
        let (Deliver { pass, frames, up_to, fell_behind }, _handling) = envelope.open();
        if pass != self.pass {
            return;
        }
        if fell_behind {
            self.pull(ctx);
            return;
        }
        for frame in frames {
            ctx.text(frame);
        }
        self.cursor = self.cursor.max(up_to);
        self.config.door.delivered.tell(Delivered { key: self.key, pass });
    }
}

impl Handler<Envelope<Summon>> for Session {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Summon>, ctx: &mut Ctx) {
        let (summon, _handling) = envelope.open();
        match summon {
            Summon::Ended { token_hash } => {
                // Its own logout answers first and closes then.
                let mine = self.who.as_ref().is_some_and(|who| who.token_hash == token_hash);
                if mine && !self.alone {
                    self.close(ctx, TOKEN_ENDED, "the session has ended");
                }
            }
            Summon::Farewell(farewell) => {
                ctx.text(farewell.frame.clone());
                self.farewell = Some(farewell);
                self.leave_when_answered(ctx);
                ctx.run_later(FAREWELL_WITHIN, |session, ctx| {
                    session.under_way = 0;
                    session.leave_when_answered(ctx);
                });
            }
        }
    }
}

impl Session {
    /// A text frame from the client.
    fn frame(&mut self, text: &str, ctx: &mut Ctx) {
        self.hear();
        if self.alone {
            if self.waiting.len() >= WAITING_MAX {
                self.close(ctx, NOT_A_REQUEST, "too much is waiting for an answer");
            } else {
                self.waiting.push_back(text.to_owned());
            }
            return;
        }
        match request::frame(text, self.who.is_some(), self.config.executor.limits().message_bytes) {
            Frame::Junk(why) => self.close(ctx, NOT_A_REQUEST, why),
            Frame::Wrong { id, refusal } => Self::reply(ctx, &id, &Err(refusal.into())),
            Frame::Request { id, op } => self.request(id, op, ctx),
        }
    }

    fn request(&mut self, id: String, op: Op, ctx: &mut Ctx) {
        if op.opens() {
            self.enter(id, op, ctx);
            return;
        }
        let Some(who) = &self.who else {
            Self::reply(
                ctx,
                &id,
                &Err(Problem::new(Code::Unauthorized, "begin with hello, register or login")),
            );
            return;
        };
        if self.under_way >= UNDER_WAY_MAX {
            let problem =
                Problem::rate_limited("too many requests of this connection are under way", BUSY_RETRY_MS);
            Self::reply(ctx, &id, &Err(problem));
            return;
        }
        let (alone, ends) = (op.goes_alone(), matches!(op, Op::Logout | Op::DeleteAccount { .. }));
        match self.config.executor.start(who, &id, op) {
            Started::Now(reply) => Self::reply(ctx, &id, &reply),
            Started::Later(later) => {
                self.under_way += 1;
                self.alone = alone;
                ctx.spawn(later.into_actor(self).map(move |reply, session, ctx| {
                    session.under_way -= 1;
                    Self::reply(ctx, &id, &reply);
                    if ends && reply.is_ok() {
                        session.close(ctx, TOKEN_ENDED, "the session has ended");
                    }
                    if alone {
                        session.go_on(ctx);
                    }
                    session.leave_when_answered(ctx);
                }));
            }
        }
    }

    /// `hello`, `register` or `login`: lets somebody in. Events are kept from before the tables are
    /// read, so that nothing is missed between what they say and what comes live.
    fn enter(&mut self, id: String, op: Op, ctx: &mut Ctx) {
        self.alone = true;
        self.pass.0 += 1;
        let (key, pass, from) = (self.key, self.pass, self.opened.from);
        let (executor, door) = (Arc::clone(&self.config.executor), self.config.door.clone());
        let by_token = matches!(op, Op::Hello { .. });
        let entering = async move {
            let resume = resume_of(&op);
            let admitted = executor.admit(&id, op, from).await;
            let entered = match admitted {
                Ok(admitted) => {
                    let (reply, kept) = oneshot::channel();
                    let (user, token_hash) = (admitted.user.name.clone(), admitted.token_hash);
                    door.enter.tell(Enter { key, pass, user, token_hash, reply });
                    // The shard lives on this thread: it answers, or the node is stopping.
                    let _stopping = kept.await;
                    let welcome = executor.welcome(&admitted, &resume, Some(&door.reached)).await;
                    welcome.map(|(welcome, onward)| (admitted, welcome, onward))
                }
                Err(problem) => Err(problem),
            };
            (id, entered)
        };
        ctx.spawn(entering.into_actor(self).map(move |(id, entered), session, ctx| {
            match entered {
                Ok((admitted, welcome, onward)) => {
                    Self::reply(ctx, &id, &Ok(Answer::Welcome(Box::new(welcome))));
                    session.entered(&admitted, onward, ctx);
                }
                Err(problem) => {
                    // A token that is no longer good: coming back with it is of no use.
                    let ends = by_token && problem.code == Code::Unauthorized;
                    Self::reply(ctx, &id, &Err(problem));
                    if ends {
                        session.close(ctx, TOKEN_ENDED, "the session has ended");
                    }
                }
            }
            session.go_on(ctx);
        }));
    }

    fn entered(&mut self, admitted: &Admitted, onward: Onward, ctx: &mut Ctx) {
        self.who = Some(admitted.who());
        self.cursor = onward.cursor;
        self.told = onward.cursor;
        if onward.pull {
            self.pull(ctx);
        } else {
            self.caught_up(onward.cursor, onward.rooms, onward.rooms_at);
        }
    }

    /// What waited behind a request that went alone.
    fn go_on(&mut self, ctx: &mut Ctx) {
        self.alone = false;
        while !self.alone
            && let Some(text) = self.waiting.pop_front()
        {
            self.frame(&text, ctx);
        }
    }

    fn leave_when_answered(&mut self, ctx: &mut Ctx) {
        if self.under_way == 0
            && let Some(farewell) = self.farewell.take()
        {
            self.close(ctx, farewell.close_code, &farewell.reason);
        }
    }

    fn fragment(&mut self, part: Item, ctx: &mut Ctx) {
        let (bytes, last) = match part {
            Item::FirstText(bytes) => {
                self.fragments.clear();
                (bytes, false)
            }
            Item::FirstBinary(_) => return self.close(ctx, NOT_A_REQUEST, "frames are text"),
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.fragments.len() + bytes.len() > self.config.executor.limits().frame_bytes {
            return self.close_with(ctx, CloseCode::Size, "the frame is larger than limits.frame_bytes");
        }
        self.fragments.extend_from_slice(&bytes);
        if last {
            let whole = self.fragments.split();
            match std::str::from_utf8(&whole) {
                Ok(text) => self.frame(text, ctx),
                Err(_) => self.close_with(ctx, CloseCode::Invalid, "text frames are UTF-8"),
            }
        }
    }

    fn ping(&mut self, ctx: &mut Ctx) {
        if self.heard.elapsed() >= PONG_WITHIN {
            self.close(ctx, NO_PONG, "no pong in time");
            return;
        }
        ctx.ping(b"");
        self.config.door.beat.tell(Beat { key: self.key });
        ctx.run_later(self.config.ping_every, Self::ping);
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.config.door.alive.tell(Alive { key: self.key });
    }

    fn reply(ctx: &mut Ctx, id: &str, reply: &Reply) {
        ctx.text(reply::encode(Some(id), reply));
    }

    pub(super) fn close(&mut self, ctx: &mut Ctx, code: u16, why: &str) {
        self.close_with(ctx, CloseCode::Other(code), why);
    }

    fn close_with(&mut self, ctx: &mut Ctx, code: CloseCode, why: &str) {
        self.waiting.clear();
        ctx.close(Some(CloseReason { code, description: Some(why.to_owned()) }));
        ctx.stop();
    }
}
