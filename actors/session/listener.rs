//! `Listener`: somebody who is told events over HTTP, without a WebSocket.
//!
//! Owns a [`Place`] in the stream like a session, and an [`Ear`], an actor that hands on what the shard
//! tells. It does nothing by itself: whoever writes the response asks for what is [`Heard`] next once the
//! last has gone out. So a client that stops reading freezes it, and it holds no more than one `Deliver`
//! or one page; the shard sees that nothing is taken, and in the end shuts the socket down.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler};
use bytestring::ByteString;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::accounts::Onward;
use super::actor::{MAILBOX, Opened, SessionConfig};
use super::executor::Who;
use super::place::{Place, let_in};
use super::reply::{Problem, Welcome};
use super::request::{Op, Resume};
use crate::bus::{Envelope, Seat};
use crate::ids::{At, RoomId};
use crate::messages::hub::{Alive, Arrive, Beat, Deliver, Delivered, Depart, Pass, SessionKey, Summon};

const ENDED: &str = "the session has ended";
const CANNOT_READ: &str = "this node cannot read on: try another";

/// What a listener is to be told next.
#[derive(Debug)]
pub enum Heard {
    /// Events as JSON, in order.
    Events(Vec<ByteString>),
    /// Nothing happened for a while: a sign of life is due.
    Silence,
    /// The node goes: its `bye` is the last event.
    Farewell(ByteString),
    /// Nothing follows, for this reason.
    Over(&'static str),
}

/// See the module.
pub struct Listener {
    guest: Guest,
    place: Place,
    who: Who,
    next: Next,
    told: UnboundedReceiver<Told>,
    silence_at: Instant,
}

enum Next {
    /// What the tables hold has gone out, or there was nothing.
    CaughtUp {
        rooms: Vec<RoomId>,
        rooms_at: At,
    },
    /// The tables hold more.
    Read,
    /// Nothing until the shard says something.
    Listen,
    Over,
}

/// Leaves its shard when it is dropped, also before somebody was let in.
struct Guest {
    key: SessionKey,
    config: SessionConfig,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.config.metrics.sessions.dec();
        self.config.door.depart.tell(Depart { key: self.key });
    }
}

enum Told {
    Deliver(Deliver),
    Summon(Summon),
}

/// Hands on what a shard tells. The channel needs no bound of its own: the shard has one `Deliver`
/// outstanding, and summons are few.
struct Ear {
    tell: UnboundedSender<Told>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Envelope<Deliver>> for Ear {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Deliver>, _: &mut Self::Context) {
        let (deliver, _handling) = envelope.open();
        let _gone = self.tell.send(Told::Deliver(deliver));
    }
}

impl Handler<Envelope<Summon>> for Ear {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Summon>, _: &mut Self::Context) {
        let (summon, _handling) = envelope.open();
        let _gone = self.tell.send(Told::Summon(summon));
    }
}

impl Listener {
    /// Lets somebody in by a token, to go on from a cursor.
    ///
    /// # Errors
    /// Those of `hello`.
    pub async fn open(
        config: SessionConfig,
        opened: Opened,
        token: String,
        resume: Resume,
    ) -> Result<(Self, Welcome), Problem> {
        let mut place = Place::new();
        let key = place.key;
        config.metrics.sessions.inc();
        let guest = Guest { key, config };
        let config = &guest.config;
        let (tell, told) = unbounded_channel();
        let ear = Ear { tell }.start();
        let seat = Seat::new(&config.metrics, "listener", MAILBOX);
        config.door.arrive.tell(Arrive {
            key,
            deliver: seat.port(ear.clone().recipient()),
            summon: seat.port(ear.recipient()),
            socket: opened.socket,
        });
        let pass = Pass(1);
        let hello = Op::Hello { token, resume };
        let (executor, door) = (Arc::clone(&config.executor), config.door.clone());
        let told_shard = Rc::new(Cell::new(false));
        let entering = let_in(executor, door, (key, pass), String::new(), hello, opened.caller, told_shard);
        let (admitted, welcome, Onward { cursor, pull, rooms, rooms_at }) = entering.await?;
        place.entered(pass, cursor);
        place.greeted();
        let next = if pull { Next::Read } else { Next::CaughtUp { rooms, rooms_at } };
        let silence_at = Instant::now() + config.ping_every;
        Ok((Self { guest, place, who: admitted.who(), next, told, silence_at }, welcome))
    }

    /// Waits for what the client is to be told next. To be asked once the last has gone out; after
    /// `Farewell` and `Over` there is nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        let door = self.guest.config.door.clone();
        // Whoever asks has written what there was: the client reads.
        door.alive.tell(Alive { key: self.place.key });
        loop {
            match std::mem::replace(&mut self.next, Next::Listen) {
                Next::Over => {
                    self.next = Next::Over;
                    return None;
                }
                Next::Read => {
                    let events = match self.page().await {
                        Ok(events) => events,
                        Err(over) => return Some(over),
                    };
                    if !events.is_empty() {
                        return Some(Heard::Events(events));
                    }
                }
                Next::CaughtUp { rooms, rooms_at } => {
                    door.caught_up.tell(self.place.caught_up(rooms, rooms_at));
                }
                Next::Listen => {
                    let Ok(told) = tokio::time::timeout_at(self.silence_at, self.told.recv()).await else {
                        self.silence_at = Instant::now() + self.guest.config.ping_every;
                        door.beat.tell(Beat { key: self.place.key });
                        return Some(Heard::Silence);
                    };
                    let heard = match told {
                        Some(Told::Deliver(deliver)) => self.deliver(deliver).await,
                        Some(Told::Summon(summon)) => self.summon(summon),
                        None => Some(self.over("this node is stopping: go on at another")),
                    };
                    if heard.is_some() {
                        return heard;
                    }
                }
            }
        }
    }

    async fn page(&mut self) -> Result<Vec<ByteString>, Heard> {
        let page = self.guest.config.executor.ask_page(&self.who, self.place.cursor).await;
        let Ok(Ok(page)) = page else { return Err(self.over(CANNOT_READ)) };
        let encoded = page.events.iter().map(|event| match serde_json::to_string(event) {
            Ok(text) => Some(ByteString::from(text)),
            Err(error) => {
                tracing::error!(%error, at = %event.at(), "an event cannot be encoded");
                None
            }
        });
        let events: Vec<ByteString> = encoded.flatten().collect();
        self.guest.config.metrics.events_delivered.inc_by(events.len() as u64);
        self.place.read(&page);
        self.next = match page.end {
            true => Next::CaughtUp { rooms: page.rooms, rooms_at: page.up_to },
            false => Next::Read,
        };
        Ok(events)
    }

    async fn deliver(&mut self, deliver: Deliver) -> Option<Heard> {
        let Deliver { pass, frames, up_to, fell_behind } = deliver;
        if fell_behind {
            // What was missed may have ended this very session.
            return match self.guest.config.executor.ask_session(self.who.token_hash).await {
                Ok(Ok(Some(_))) => {
                    self.next = Next::Read;
                    None
                }
                Ok(Ok(None)) => Some(self.over(ENDED)),
                Ok(Err(_)) | Err(_) => Some(self.over(CANNOT_READ)),
            };
        }
        self.guest.config.door.delivered.tell(Delivered { key: self.place.key, pass });
        self.place.delivered(up_to);
        (!frames.is_empty()).then_some(Heard::Events(frames))
    }

    fn summon(&mut self, summon: Summon) -> Option<Heard> {
        match summon {
            Summon::Ended { token_hash } if token_hash == self.who.token_hash => Some(self.over(ENDED)),
            Summon::Ended { .. } => None,
            Summon::Farewell(farewell) => {
                self.next = Next::Over;
                Some(Heard::Farewell(farewell.frame))
            }
        }
    }

    fn over(&mut self, why: &'static str) -> Heard {
        self.next = Next::Over;
        Heard::Over(why)
    }
}
