//! `Session` ↔ `HubShard` ↔ `Hub`: events on their way to the clients of this node.
//!
//! A session is a guest of the shard of its thread: it *arrives* with its socket, *enters* once it
//! is known who it is, says how far it has *caught up* from the tables, and is then handed events,
//! one `Deliver` at a time.

use std::net::TcpStream;
use std::sync::Arc;

use bytestring::ByteString;
use tokio::sync::oneshot;

use crate::bus::Port;
use crate::chat::command::TokenHash;
use crate::chat::outcome::{Audience, SessionEnded};
use crate::ids::{At, RoomId};
use crate::post;

/// One connection, as its shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// Counts how often a connection entered: what was on its way for an earlier entry is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pass(pub u32);

/// One event, encoded once for everybody.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub at: At,
    pub audience: Audience,
    /// The room whose members the audience means.
    pub room: Option<RoomId>,
    /// A `room` event: from here on the user of the audience is in that room, or is not.
    pub member: Option<bool>,
    pub frame: ByteString,
}

/// What the chat has become, for each shard.
#[derive(Clone)]
pub struct Published {
    /// The last `at` applied here.
    pub at: At,
    pub events: Arc<[Encoded]>,
    pub ended: Arc<Vec<SessionEnded>>,
    /// Something before this was not passed on: everybody reads the tables again.
    pub gap: bool,
}

/// News without `at`; whoever is not there misses it.
#[derive(Clone, Debug)]
pub struct Passing {
    pub whom: Whom,
    pub frame: ByteString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Everybody,
    /// Those in the room, without the one it is about.
    Room {
        room: RoomId,
        except: String,
    },
}

/// A connection was opened. `socket` is a duplicate, to end it when its session is frozen.
pub struct Arrive {
    pub key: SessionKey,
    pub deliver: Port<Deliver>,
    pub summon: Port<Summon>,
    pub socket: Option<Arc<TcpStream>>,
}

/// The session is this user's from now on: events are kept for it until it has caught up.
pub struct Enter {
    pub key: SessionKey,
    pub pass: Pass,
    pub user: String,
    pub token_hash: TokenHash,
    /// Answered when events are being kept: what is read from the tables after that leaves no gap.
    pub reply: oneshot::Sender<()>,
}

/// The session has sent all events up to `up_to`; `rooms` are its user's as of `rooms_at`.
#[derive(Clone, Debug)]
pub struct CaughtUp {
    pub key: SessionKey,
    pub pass: Pass,
    pub up_to: At,
    pub rooms: Vec<RoomId>,
    pub rooms_at: At,
    /// The last event that the session itself has sent had this `at`.
    pub told: At,
}

/// The one outstanding `Deliver` was taken.
pub struct Delivered {
    pub key: SessionKey,
    pub pass: Pass,
}

/// The client answered a ping.
pub struct Alive {
    pub key: SessionKey,
}

/// A ping goes out: time to move a quiet client's cursor along.
pub struct Beat {
    pub key: SessionKey,
}

/// The connection is gone.
pub struct Depart {
    pub key: SessionKey,
}

/// Answered once this node has applied as far as `at`.
pub struct Reached {
    pub at: At,
    pub reply: oneshot::Sender<()>,
}

/// Frames for the client, in order. The next comes after `Delivered`.
pub struct Deliver {
    pub pass: Pass,
    pub frames: Vec<ByteString>,
    /// Whoever has these has seen everything up to here.
    pub up_to: At,
    /// The session did not keep up: it reads on from the tables and then says `CaughtUp`.
    pub fell_behind: bool,
}

/// Something the session itself has to act upon.
#[derive(Clone, Debug)]
pub enum Summon {
    /// Its token is no longer good.
    Ended { token_hash: TokenHash },
    /// The node goes: say `bye` and close.
    Farewell(Farewell),
}

#[derive(Clone, Debug)]
pub struct Farewell {
    /// The `bye` event.
    pub frame: ByteString,
    pub close_code: u16,
    pub reason: String,
}

/// The ports of a shard, for the sessions of its thread.
#[derive(Clone)]
pub struct ShardDoor {
    pub arrive: Port<Arrive>,
    pub enter: Port<Enter>,
    pub caught_up: Port<CaughtUp>,
    pub delivered: Port<Delivered>,
    pub alive: Port<Alive>,
    pub beat: Port<Beat>,
    pub depart: Port<Depart>,
    pub reached: Port<Reached>,
}

/// A shard joins its `Hub`.
pub struct ShardHere {
    pub shard: u64,
    pub published: Port<Published>,
    pub passing: Port<Passing>,
    pub leave: Port<LeaveAll>,
}

/// A user's first session on a shard came, or the last one went.
pub struct Local {
    pub shard: u64,
    pub user: String,
    pub online: bool,
}

/// Every session of the shard is to say farewell; answered when none is left.
pub struct LeaveAll {
    pub farewell: Farewell,
    pub reply: oneshot::Sender<()>,
}

/// The node goes: every client is told where else to go. Answered when none is left.
pub struct Drain {
    pub reason: String,
    /// 1001 when it stops, 4001 when it was removed.
    pub close_code: u16,
    pub reply: oneshot::Sender<()>,
}

post! {
    Published => "published",
    Passing => "passing",
    Arrive => "arrive",
    Enter => "enter",
    CaughtUp => "caught_up",
    Delivered => "delivered",
    Alive => "alive",
    Beat => "beat",
    Depart => "depart",
    Reached => "reached",
    Deliver => "deliver",
    Summon => "summon",
    ShardHere => "shard_here",
    Local => "local",
    LeaveAll => "leave_all",
    Drain => "drain",
}
