//! `Session`: one WebSocket.
//!
//! - **Owns** the connection, who it is, and its place in the stream of events.
//! - **Is told** frames by the client, `Deliver` and `Summon` by its shard.
//! - **Tells** its shard that it came, entered, caught up, took what was delivered, and went; asks
//!   everything else through the [`Executor`].
//! - **Never** holds more for its client than one `Deliver` and one page: a client that stops reading
//!   freezes its session (actix polls it as the response body), and the shard sees that.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Handler, StreamHandler, WrapFuture};
use actix_http::ws::{CloseCode, CloseReason, Item, ProtocolError};
use actix_web_actors::ws::{Message, WebsocketContext};
use bytes::BytesMut;

use super::caller::Caller;
use super::executor::{Executor, Started, Who};
use super::place::Place;
use super::pulse::{self, Pulse};
use super::reply::{self, Problem, Reply};
use super::request::{self, Frame, Op};
use crate::bus::{Envelope, Meter, Seat};
use crate::chat::command::TokenHash;
use crate::chat::outcome::Code;
use crate::messages::hub::{Alive, Arrive, Beat, Deliver, Delivered, Depart, Farewell, ShardDoor, Summon};
use crate::metrics::Metrics;

/// A connection that has not tried to say who it is after so long is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Whoever tried, and was not let in, has so long for the next try.
const RETRY_WITHIN: Duration = Duration::from_secs(60);
/// Requests of one connection under way.
const UNDER_WAY_MAX: usize = 1_024;
/// Of these so many are being read from the tables, since an answer can be large and waits in memory for
/// a client that does not read.
const READING_MAX: usize = 8;
/// Frames that may wait behind a request that goes alone.
const WAITING_MAX: usize = 1_024;
/// … and the bytes of so many frames of the greatest size.
const WAITING_FULL_FRAMES_MAX: usize = 16;
/// Messages from the shard: it has one `Deliver` outstanding.
pub(super) const MAILBOX: usize = 64;
/// How long somebody with too much under way is asked to wait.
const BUSY_RETRY_MS: u64 = 100;

/// How long a node that stops, or a token that ended, waits for what is under way.
const FAREWELL_WITHIN: Duration = Duration::from_millis(400);
/// After our close frame the client has so long to answer it. Ending at once would reset a connection on
/// which it still sends, and the reset could overtake the close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The answer to a client's close frame leaves at the end of the poll in which it is made: a timer, however
/// short, ends in a later one.
const CLOSE_ANSWERED: Duration = Duration::from_millis(1);

const NO_HELLO: u16 = 4501;
const NO_PONG: u16 = 4008;
const NOT_A_REQUEST: u16 = 4500;
pub(super) const TOKEN_ENDED: u16 = 4503;

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
    pub caller: Caller,
    /// A duplicate, by which the shard ends a frozen session, and a session its connection.
    pub socket: Option<Arc<TcpStream>>,
    /// Set by the edge when the client announced a frame that is too big, and nothing more is read.
    pub too_big: Rc<Cell<bool>>,
}

/// See the module.
pub struct Session {
    pub(super) place: Place,
    pub(super) config: SessionConfig,
    pub(super) opened: Opened,
    pub(super) who: Option<Who>,
    pulse: Pulse,
    /// The last `hello`, `register`, `login` or `set_password`.
    pub(super) tried: Option<Instant>,
    under_way: usize,
    reading: usize,
    /// What is to be read when another has been.
    to_read: VecDeque<(Who, String, Op)>,
    /// A request is under way that what follows waits for.
    pub(super) alone: bool,
    /// Its token has ended: the connection ends with the last answer.
    ending: bool,
    /// A token that ended meanwhile: perhaps the one that the request puts another in place of.
    ended: Option<TokenHash>,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    /// A message that comes in several frames.
    fragments: BytesMut,
    /// Said, once what is under way has been answered.
    farewell: Option<Farewell>,
    /// Our close frame is out: only the client's is waited for.
    pub(super) closing: bool,
    pub(super) work: Work,
}

/// What it does that no port brings, measured.
pub(super) struct Work {
    frame: Meter,
    pub(super) answered: Meter,
    timer: Meter,
}

/// What a request means for those that follow it.
#[derive(Clone, Copy, Default)]
struct Kind {
    alone: bool,
    reads: bool,
    ends: bool,
}

pub(super) type Ctx = WebsocketContext<Session>;

impl Session {
    pub fn new(config: SessionConfig, opened: Opened) -> Self {
        let place = Place::new();
        let pulse = Pulse::new(config.ping_every, place.key.0, Instant::now());
        config.metrics.sessions.inc();
        let seat = seat(&config.metrics);
        let work =
            Work { frame: seat.meter("frame"), answered: seat.meter("answered"), timer: seat.meter("timer") };
        Self {
            place,
            config,
            opened,
            who: None,
            pulse,
            tried: None,
            under_way: 0,
            reading: 0,
            to_read: VecDeque::new(),
            alone: false,
            ending: false,
            ended: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            fragments: BytesMut::new(),
            farewell: None,
            closing: false,
            work,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.config.metrics.sessions.dec();
        self.config.door.depart.tell(Depart { key: self.place.key });
    }
}

impl Actor for Session {
    type Context = Ctx;

    fn started(&mut self, ctx: &mut Ctx) {
        let (seat, addr) = (seat(&self.config.metrics), ctx.address());
        self.config.door.arrive.tell(Arrive {
            key: self.place.key,
            deliver: seat.port_to(&addr),
            summon: seat.port_to(&addr),
            socket: self.opened.socket.clone(),
        });
        ctx.run_later(HELLO_WITHIN, Self::expect_hello);
        self.beat(ctx);
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Ctx) {
        let _handling = self.work.frame.begin();
        match message {
            Ok(Message::Close(_)) if self.closing => self.hang_up(ctx),
            _ if self.closing => {}
            Ok(Message::Text(text)) => self.frame(&text, ctx),
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_)) => {
                self.pulse.pong(Instant::now());
                self.config.door.alive.tell(Alive { key: self.place.key });
            }
            Ok(Message::Binary(_)) => self.close(ctx, NOT_A_REQUEST, "frames are text"),
            Ok(Message::Continuation(part)) => self.fragment(part, ctx),
            Ok(Message::Close(reason)) => {
                self.closing = true;
                ctx.close(reason);
                ctx.run_later(CLOSE_ANSWERED, Self::hang_up);
            }
            Ok(Message::Nop) => {}
            Err(ProtocolError::Overflow) => self.close_too_big(ctx),
            Err(_) if self.opened.too_big.get() => self.close_too_big(ctx),
            // Text that is not UTF-8 comes as one. A connection that broke does not mind the code.
            Err(ProtocolError::Io(_)) => self.close(ctx, NOT_A_REQUEST, "frames are text in UTF-8"),
            Err(error) => {
                tracing::debug!(session = self.place.key.0, %error, "not a websocket frame");
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
        if !fell_behind {
            // Also when it is void here: the shard waits for it.
            self.config.door.delivered.tell(Delivered { key: self.place.key, pass });
        }
        if pass != self.place.pass || self.ending || self.closing {
            return;
        }
        for frame in frames {
            ctx.text(frame);
        }
        self.place.delivered(up_to);
        if fell_behind {
            self.read_again(ctx);
        }
    }
}

impl Handler<Envelope<Summon>> for Session {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Summon>, ctx: &mut Ctx) {
        let (summon, _handling) = envelope.open();
        match summon {
            Summon::Ended { token_hash } => self.token_ended(token_hash, ctx),
            Summon::Farewell(farewell) => {
                self.farewell = Some(farewell);
                self.leave_when_answered(ctx);
                ctx.run_later(FAREWELL_WITHIN, Self::leave);
            }
        }
    }
}

impl Session {
    /// A text frame from the client.
    fn frame(&mut self, text: &str, ctx: &mut Ctx) {
        let message_bytes = self.config.executor.limits().message_bytes;
        if self.alone {
            let bytes_max = self.config.executor.limits().frame_bytes * WAITING_FULL_FRAMES_MAX;
            if self.waiting.len() < WAITING_MAX && self.waiting_bytes + text.len() <= bytes_max {
                self.waiting_bytes += text.len();
                self.waiting.push_back(text.to_owned());
                return;
            }
            match request::frame(text, true, message_bytes) {
                Frame::Junk(why) => self.close(ctx, NOT_A_REQUEST, why),
                Frame::Wrong { id, .. } | Frame::Request { id, .. } => {
                    Self::reply(ctx, &id, &Err(too_many()));
                }
            }
            return;
        }
        match request::frame(text, self.who.is_some(), message_bytes) {
            Frame::Junk(why) => self.close(ctx, NOT_A_REQUEST, why),
            Frame::Wrong { id, refusal } => Self::reply(ctx, &id, &Err(refusal.into())),
            Frame::Request { id, op } => self.request(id, op, ctx),
        }
    }

    fn request(&mut self, id: String, op: Op, ctx: &mut Ctx) {
        if self.farewell.is_some() {
            let problem = Problem::new(Code::Unavailable, "this node is stopping: go on at another");
            Self::reply(ctx, &id, &Err(problem));
            return;
        }
        if op.opens() {
            self.enter(id, op, ctx);
            return;
        }
        if self.under_way + self.to_read.len() >= UNDER_WAY_MAX {
            Self::reply(ctx, &id, &Err(too_many()));
            return;
        }
        if let Op::SetPassword { link, password } = op {
            self.tried = Some(Instant::now());
            let started = self.config.executor.start_by_link(&id, link, password, &self.opened.caller);
            self.started(id, started, Kind { alone: true, ..Kind::default() }, ctx);
            return;
        }
        let Some(who) = self.who.clone() else {
            let problem = Problem::new(Code::Unauthorized, "begin with hello, register or login");
            Self::reply(ctx, &id, &Err(problem));
            return;
        };
        if op.reads() && self.reading >= READING_MAX {
            self.to_read.push_back((who, id, op));
        } else {
            self.start(&who, id, op, ctx);
        }
    }

    fn start(&mut self, who: &Who, id: String, op: Op, ctx: &mut Ctx) {
        let kind = Kind {
            alone: op.goes_alone(),
            reads: op.reads(),
            ends: matches!(op, Op::Logout | Op::DeleteAccount { .. }),
        };
        let started = self.config.executor.start(who, &id, op, &self.opened.caller);
        self.started(id, started, kind, ctx);
    }

    fn started(&mut self, id: String, started: Started, kind: Kind, ctx: &mut Ctx) {
        let Kind { alone, reads, ends } = kind;
        match started {
            Started::Now(reply) => Self::reply(ctx, &id, &reply),
            Started::Later(later) => {
                self.under_way += 1;
                self.reading += usize::from(reads);
                self.alone |= alone;
                ctx.spawn(later.into_actor(self).map(move |reply, session, ctx| {
                    let _handling = session.work.answered.begin();
                    session.under_way = session.under_way.saturating_sub(1);
                    if reads {
                        session.reading -= 1;
                        if let Some((who, id, op)) = session.to_read.pop_front() {
                            session.start(&who, id, op, ctx);
                        }
                    }
                    if !session.closing {
                        Self::reply(ctx, &id, &reply);
                    }
                    if ends && reply.is_ok() {
                        // What came before it is answered first, and nothing behind it is done.
                        session.ending = true;
                    } else if alone {
                        session.go_on(ctx);
                    }
                    session.leave_when_answered(ctx);
                }));
            }
        }
    }

    /// What waited behind a request that went alone.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx) {
        if self.ending {
            return;
        }
        self.alone = false;
        let ended = self.ended.take();
        self.end(ctx, ended);
        while !self.alone
            && !self.closing
            && let Some(text) = self.waiting.pop_front()
        {
            self.waiting_bytes -= text.len();
            self.frame(&text, ctx);
        }
    }

    /// Closes when it is the token of this connection that ended.
    pub(super) fn token_ended(&mut self, token_hash: TokenHash, ctx: &mut Ctx) {
        if self.alone {
            self.ended = Some(token_hash);
        } else {
            self.end(ctx, Some(token_hash));
        }
    }

    /// Nothing more is begun. What is under way may be the request that ended it, and is answered first.
    fn end(&mut self, ctx: &mut Ctx, ended: Option<TokenHash>) {
        if ended.is_some() && ended == self.who.as_ref().map(|who| who.token_hash) {
            self.ending = true;
            self.alone = true;
            self.to_read.clear();
            self.leave_when_answered(ctx);
            ctx.run_later(FAREWELL_WITHIN, Self::leave);
        }
    }

    fn leave(&mut self, ctx: &mut Ctx) {
        self.under_way = 0;
        self.to_read.clear();
        self.alone = false;
        self.leave_when_answered(ctx);
    }

    pub(super) fn leave_when_answered(&mut self, ctx: &mut Ctx) {
        if self.under_way + self.to_read.len() > 0 {
            return;
        }
        if self.ending {
            self.close(ctx, TOKEN_ENDED, "the session has ended");
        }
        if !self.alone
            && !self.closing
            && let Some(farewell) = &self.farewell
        {
            let (code, reason) = (farewell.close_code, farewell.reason.clone());
            ctx.text(farewell.frame.clone());
            self.close(ctx, code, &reason);
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
            return self.close_too_big(ctx);
        }
        self.fragments.extend_from_slice(&bytes);
        if last {
            let whole = self.fragments.split();
            match std::str::from_utf8(&whole) {
                Ok(text) => self.frame(text, ctx),
                Err(_) => self.close(ctx, NOT_A_REQUEST, "frames are text in UTF-8"),
            }
        }
    }

    /// Pings when it is time, and closes exactly when the last pong is too old.
    fn beat(&mut self, ctx: &mut Ctx) {
        let _handling = self.work.timer.begin();
        if self.closing {
            return;
        }
        let again_in = match self.pulse.beat(Instant::now()) {
            pulse::Beat::Dead => return self.close(ctx, NO_PONG, "no pong in time"),
            pulse::Beat::Ping { again_in } => {
                ctx.ping(b"");
                self.config.door.beat.tell(Beat { key: self.place.key });
                again_in
            }
            pulse::Beat::Wait { again_in } => again_in,
        };
        ctx.run_later(again_in, Self::beat);
    }

    fn expect_hello(&mut self, ctx: &mut Ctx) {
        let _handling = self.work.timer.begin();
        if self.who.is_some() {
            return;
        }
        let left = self.tried.map_or(Duration::ZERO, |tried| RETRY_WITHIN.saturating_sub(tried.elapsed()));
        if left.is_zero() {
            self.close(ctx, NO_HELLO, "no hello, register or login in time");
        } else {
            ctx.run_later(left, Self::expect_hello);
        }
    }

    pub(super) fn reply(ctx: &mut Ctx, id: &str, reply: &Reply) {
        ctx.text(reply::encode(Some(id), reply));
    }

    pub(super) fn close(&mut self, ctx: &mut Ctx, code: u16, why: &str) {
        self.close_with(ctx, CloseCode::Other(code), why);
    }

    fn close_too_big(&mut self, ctx: &mut Ctx) {
        self.close_with(ctx, CloseCode::Size, "the frame is larger than limits.frame_bytes");
    }

    fn close_with(&mut self, ctx: &mut Ctx, code: CloseCode, why: &str) {
        if self.closing {
            return;
        }
        self.closing = true;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.to_read.clear();
        ctx.close(Some(CloseReason { code, description: Some(why.to_owned()) }));
        ctx.run_later(CLOSE_WITHIN, Self::hang_up);
    }

    /// Ends the connection. Clients take it as closed only when TCP is, which the server would leave open
    /// for another second to read what may still come.
    fn hang_up(&mut self, ctx: &mut Ctx) {
        if let Some(socket) = &self.opened.socket {
            // Closed already is just as well.
            let _closed = socket.shutdown(Shutdown::Write);
        }
        ctx.stop();
    }
}

fn seat(metrics: &Metrics) -> Seat {
    Seat::new(metrics, "session", MAILBOX)
}

fn too_many() -> Problem {
    Problem::rate_limited("too many requests of this connection are under way", BUSY_RETRY_MS)
}
