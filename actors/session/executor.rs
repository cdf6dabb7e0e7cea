//! `Executor`: carries out requests, for every session and for HTTP alike.
//!
//! Owns the rate limits of this node. A change is handed to `RaftNode` before [`Executor::start`]
//! returns, so that a session's changes are proposed in the order of its frames; what is answered
//! later is a future. Everything is answered within [`ANSWER_WITHIN`].

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, oneshot, watch};

use super::bots;
use super::caller::Caller;
use super::files::FilePorts;
use super::limits::{Attempts, Buckets};
use super::links::for_admins;
use super::reply::{Answer, Limits, ListedUser, Problem, Reply};
use super::request::{Op, Wanted};
use crate::bus::{Port, Post, Unanswered, ask};
use crate::chat::command::{Change, Command, TokenHash};
use crate::chat::objects::User;
use crate::chat::outcome::{Code, Outcome, Refusal};
use crate::chat::rules;
use crate::chat::tables::Registration;
use crate::ids::{At, RoomId};
use crate::membership::Directory;
use crate::messages::consensus::{NotDone, Propose, ReadBarrier};
use crate::messages::passwords::PasswordPorts;
use crate::messages::people::{Online, Surroundings, Typing};
use crate::messages::reading::{
    Account, Bots, History, Home, Invites, LinkOf, Members, PageOf, Pull, PullPage, ReadFailed,
    RegistrationSet, Rooms, SessionOf, SessionUser, Sessions, Subscriptions, Users, Versions,
};
use crate::messages::search::{Search, Searched};

/// The contract says 5 s; what is left is for the way back.
const ANSWER_WITHIN: Duration = Duration::from_millis(4500);
/// A user's burst, in seconds of its rate.
const BURST_SECONDS: f64 = 10.0;
/// Events read at a time by who catches up.
const PAGE: usize = 256;

/// The actors that requests need.
#[derive(Clone)]
pub struct Ports {
    pub propose: Port<Propose>,
    pub barrier: Port<ReadBarrier>,
    pub session_of: Port<SessionOf>,
    pub account: Port<Account>,
    pub home: Port<Home>,
    pub pull: Port<Pull>,
    pub history: Port<History>,
    pub users: Port<Users>,
    pub rooms: Port<Rooms>,
    pub members: Port<Members>,
    pub sessions: Port<Sessions>,
    pub invites: Port<Invites>,
    pub link_of: Port<LinkOf>,
    pub registration: Port<RegistrationSet>,
    pub bots: Port<Bots>,
    pub subscriptions: Port<Subscriptions>,
    pub versions: Port<Versions>,
    pub search: Port<Search>,
    pub passwords: PasswordPorts,
    pub typing: Port<Typing>,
    pub online: Port<Online>,
    pub surroundings: Port<Surroundings>,
    pub files: FilePorts,
}

#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub limits: Limits,
    /// Who may register, unless an admin has set it.
    pub registration: Registration,
    /// The cluster listens on loopback only: its first account is its admin.
    pub first_is_admin: bool,
    /// Messages may be posted to addresses that are not public.
    pub allow_private: bool,
    /// Told to clients.
    pub heartbeat_ms: u64,
}

/// Who asks, and by which session.
#[derive(Clone, Debug)]
pub struct Who {
    pub user: String,
    pub token_hash: TokenHash,
    /// Of a bot.
    pub rights: Option<Arc<[String]>>,
}

/// A request under way.
pub enum Started {
    Now(Reply),
    Later(LocalBoxFuture<'static, Reply>),
}

pub struct Executor {
    pub(super) ports: Ports,
    pub(super) config: Config,
    pub(super) directory: watch::Receiver<Arc<Directory>>,
    /// What a user sends, and apart from it what else costs something.
    messages: Mutex<Buckets<String>>,
    others: Mutex<Buckets<String>>,
    pub(super) failed_by_address: Mutex<Attempts<IpAddr>>,
    /// One of them has ended.
    pub(super) attempt_ended: Notify,
    pub(super) failed_by_name: Mutex<Buckets<String>>,
}

impl Executor {
    pub fn new(ports: Ports, config: Config, directory: watch::Receiver<Arc<Directory>>) -> Arc<Self> {
        let rate = f64::from(config.limits.messages_per_second);
        let logins = f64::from(config.limits.logins_per_minute);
        Arc::new(Self {
            ports,
            config,
            directory,
            messages: Mutex::new(Buckets::new(rate, rate * BURST_SECONDS)),
            others: Mutex::new(Buckets::new(rate, rate * BURST_SECONDS)),
            failed_by_address: Mutex::new(Attempts::new(logins / 60.0, logins)),
            attempt_ended: Notify::new(),
            failed_by_name: Mutex::new(Buckets::new(logins / 60.0, logins)),
        })
    }

    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What the tables hold for somebody above a cursor. Bounded by the number of connections: each has one
    /// page asked for at most.
    pub(super) fn ask_page(&self, who: &Who, after: At) -> Read<PullPage> {
        let (reply, page) = oneshot::channel();
        self.ports.pull.tell(Pull { user: who.user.clone(), after, limit: PAGE, reply });
        page
    }

    /// Whose session this is, as this node knows it: asked once by a connection that fell behind.
    pub(super) fn ask_session(&self, token_hash: TokenHash) -> Read<Option<SessionUser>> {
        let (reply, answer) = oneshot::channel();
        self.ports.session_of.tell(SessionOf { token_hash, reply });
        answer
    }

    /// Starts a request of somebody who is known. `hello`, `register` and `login` are
    /// [`Executor::admit`]'s, `set_password` is [`Executor::start_by_link`]'s.
    pub fn start(self: &Arc<Self>, who: &Who, id: &str, op: Op, from: &Caller) -> Started {
        if let Err(problem) = bots::check(who.rights.as_deref(), &op) {
            return Started::Now(Err(problem));
        }
        match op {
            Op::Change(change) => self.start_change(who, id, change),
            Op::OpenDirect { users } => match rules::direct_users(&who.user, &users) {
                Ok(users) => self.start_change(who, id, Change::OpenDirect { users }),
                Err(refusal) => Started::Now(Err(refusal.into())),
            },
            Op::Logout => self.start_change(who, id, Change::Logout { token_hash: who.token_hash }),
            Op::CreateInvite { uses, hours } => self.create_invite(who, id, (uses, hours)),
            Op::CreateBot { name, display, rights } => {
                self.start_bot(who, id, |token_hash| Change::CreateBot { name, display, rights, token_hash })
            }
            Op::RenewBotToken { bot } => {
                self.start_bot(who, id, |token_hash| Change::RenewBotToken { bot, token_hash })
            }
            Op::CreateHook { room, name, display } => self.create_hook(who, id, room, name, display),
            Op::CreateSubscription { room, url } => self.create_subscription(who, id, room, &url),
            Op::ResetPassword { user } => self.reset_password(who, id, user),
            Op::Ping => Started::Now(Ok(Answer::Pong { time: unix_ms() })),
            op => {
                let (me, who, id, from) = (Arc::clone(self), who.clone(), id.to_owned(), from.address);
                Started::Later(Box::pin(async move { within(me.slowly(who, id, op, from)).await }))
            }
        }
    }

    pub(super) fn start_change(self: &Arc<Self>, who: &Who, id: &str, change: Change) -> Started {
        let counted = match change {
            Change::Send { .. } => self.count_message(&who.user),
            // Whoever goes is not held up.
            Change::Logout { .. } => Ok(()),
            _ => self.count_other(&who.user),
        };
        if let Err(problem) = counted {
            return Started::Now(Err(problem));
        }
        let command = |change| Command { user: who.user.clone(), id: id.to_owned(), change };
        let earlier = change.in_earlier_words().map(command);
        match self.propose(command(change)) {
            Ok(asked) => {
                let me = Arc::clone(self);
                Started::Later(Box::pin(
                    async move { Ok(within(me.outcome_of(asked, earlier)).await?.into()) },
                ))
            }
            Err(problem) => Started::Now(Err(problem)),
        }
    }

    /// Waits for what became of a change. While not every node reads it, it is asked for in words that all do.
    async fn outcome_of(&self, asked: Asked, earlier: Option<Command>) -> Result<Outcome, Problem> {
        match (asked.await, earlier) {
            (Ok(Err(NotDone::TooNew { .. })), Some(earlier)) => outcome(self.propose(earlier)?).await,
            (Ok(answer), _) => answer.map_err(not_done),
            // The node stops: the change may be on its way.
            (Err(_), _) => Err(Problem::timeout()),
        }
    }

    async fn slowly(self: Arc<Self>, who: Who, id: String, op: Op, from: Option<IpAddr>) -> Reply {
        match op {
            Op::ChangePassword { old, new } => self.change_password(who, id, (old, new), from).await,
            Op::DeleteAccount { password } => self.delete_account(who, id, password, from).await,
            Op::ListUsers { pattern, after, limit } => self.list_users(pattern, after, limit).await,
            Op::ListRooms { pattern, all } => {
                let ask = |reply| Rooms { user: who.user, pattern, all, reply };
                let rooms = self.read(&self.ports.rooms, ask).await?;
                Ok(Answer::Rooms { rooms: rooms.ok_or_else(for_admins)? })
            }
            Op::ListSessions => self.list_sessions(who).await,
            Op::ListInvites => self.list_invites(who.user).await,
            Op::ListBots => self.list_bots(who.user).await,
            Op::ListHooks { room } => self.list_hooks(who.user, room).await,
            Op::ListSubscriptions { room } => self.list_subscriptions(who.user, room).await,
            Op::Server => self.server().await,
            Op::Members { room } => {
                let users = self.members(who.user, room).await?;
                Ok(Answer::Users { users: self.with_presence(users).await, more: None })
            }
            Op::Versions { room, seq } => {
                let ask = |reply| Versions { user: who.user, room, seq, reply };
                let versions = self.read(&self.ports.versions, ask).await?;
                Ok(Answer::Versions { versions: versions.ok_or_else(no_such_message)? })
            }
            Op::Search(wanted) => self.search(who, wanted).await,
            Op::SendFiles(asked) => self.send_files(who, id, asked).await,
            Op::FileLink { file, name } => self.file_link(who, file, &name).await,
            Op::History { room, page, limit, local } => self.history(who, room, page, limit, local).await,
            Op::Typing { room } => {
                self.count_other(&who.user)?;
                self.members(who.user.clone(), room).await?;
                // Passing news: a Hub that is full loses it.
                let _full = self.ports.typing.offer(Typing { room, user: who.user });
                Ok(Answer::Heard {})
            }
            Op::Register { .. }
            | Op::Login { .. }
            | Op::Hello { .. }
            | Op::SetPassword { .. }
            | Op::Change(_) => {
                tracing::error!("a request was started the wrong way");
                Err(Problem::internal())
            }
            Op::OpenDirect { .. }
            | Op::Logout
            | Op::CreateInvite { .. }
            | Op::CreateBot { .. }
            | Op::RenewBotToken { .. }
            | Op::CreateHook { .. }
            | Op::CreateSubscription { .. }
            | Op::ResetPassword { .. }
            | Op::Ping => {
                tracing::error!("a quick request was started slowly");
                Err(Problem::internal())
            }
        }
    }

    async fn history(&self, who: Who, room: RoomId, page: PageOf, limit: usize, local: bool) -> Reply {
        if !local {
            self.barrier().await?;
        }
        let ask = |reply| History { user: who.user, room, page, limit, reply };
        let page = self.read(&self.ports.history, ask).await?.ok_or_else(no_such_room)?;
        Ok(Answer::History { messages: page.messages, more: page.more, at: page.at })
    }

    async fn search(&self, who: Who, wanted: Wanted) -> Reply {
        self.count_other(&who.user)?;
        let Wanted { query, room, from, before, before_time, limit } = wanted;
        let question =
            |reply| Search { user: who.user, query, room, from, before, before_time, limit, reply };
        match ask(&self.ports.search, question).await? {
            Searched::Found(page) => Ok(Answer::Found(page)),
            Searched::NoSuchRoom => Err(no_such_room()),
            Searched::NoSuchUser => Err(Problem::new(Code::NotFound, "no such user")),
            Searched::NotNow => Err(Problem::new(
                Code::Unavailable,
                "this node cannot search just now: try another, or later",
            )),
        }
    }

    async fn list_users(&self, pattern: Option<String>, after: Option<String>, limit: usize) -> Reply {
        let one_more = limit + 1;
        let ask = |reply| Users { pattern, after, limit: one_more, reply };
        let mut users = self.read(&self.ports.users, ask).await?;
        let more = users.len() > limit;
        users.truncate(limit);
        Ok(Answer::Users { users: self.with_presence(users).await, more: Some(more) })
    }

    async fn members(&self, user: String, room: RoomId) -> Result<Vec<User>, Problem> {
        let ask = |reply| Members { user, room, reply };
        self.read(&self.ports.members, ask).await?.ok_or_else(no_such_room)
    }

    /// Who of these is online; nobody, when the Hub cannot say.
    async fn with_presence(&self, users: Vec<User>) -> Vec<ListedUser> {
        let names = users.iter().map(|user| user.name.clone()).collect();
        let online = ask(&self.ports.online, |reply| Online { names, reply }).await.unwrap_or_default();
        let online = online.into_iter().chain(std::iter::repeat(false));
        users.into_iter().zip(online).map(|(user, online)| ListedUser { user, online }).collect()
    }

    /// Counts a message against the user's rate.
    pub(super) fn count_message(&self, user: &str) -> Result<(), Problem> {
        let taken = locked(&self.messages).take(user.to_owned(), Instant::now());
        taken.map_err(|wait| Problem::rate_limited("too many messages in a short time", millis(wait)))
    }

    /// Counts another change, or a search, against a rate as large: whoever writes much can still read and mark.
    pub(super) fn count_other(&self, user: &str) -> Result<(), Problem> {
        locked(&self.others).take(user.to_owned(), Instant::now()).map_err(|wait| {
            Problem::rate_limited("too many changes or searches in a short time", millis(wait))
        })
    }

    /// Hands a change to `RaftNode`.
    pub(super) fn propose(&self, command: Command) -> Result<Asked, Problem> {
        let (reply, asked) = oneshot::channel();
        self.ports.propose.offer(Propose { command, reply }).map_err(Unanswered::from)?;
        Ok(asked)
    }

    /// Waits until this node has applied all that was acknowledged anywhere before now.
    pub(super) async fn barrier(&self) -> Result<(), Problem> {
        ask(&self.ports.barrier, |reply| ReadBarrier { reply }).await?.map_err(not_done)
    }

    /// Asks `Reader`.
    pub(super) async fn read<M: Post, T>(
        &self,
        port: &Port<M>,
        question: impl FnOnce(oneshot::Sender<Result<T, ReadFailed>>) -> M,
    ) -> Result<T, Problem> {
        ask(port, question).await?.map_err(|error| {
            tracing::error!(%error, "a question failed");
            if error.damage {
                // This node's trouble alone: it is about to take itself out.
                return Problem::new(Code::Unavailable, "this node's disk is damaged: go on at another");
            }
            Problem::internal()
        })
    }
}

/// What `Reader` will say.
pub(super) type Read<T> = oneshot::Receiver<Result<T, ReadFailed>>;

pub(super) type Asked = oneshot::Receiver<Result<Outcome, NotDone>>;

/// Waits for what became of a change.
pub(super) async fn outcome(asked: Asked) -> Result<Outcome, Problem> {
    match asked.await {
        Ok(answer) => answer.map_err(not_done),
        // The node stops: the change may be on its way.
        Err(_) => Err(Problem::timeout()),
    }
}

/// Gives up in time; what was handed on by then may still be done.
pub(super) async fn within<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(ANSWER_WITHIN, work).await.unwrap_or_else(|_| Err(Problem::timeout()))
}

pub(super) fn locked<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves counts behind, at worst a little off.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

pub(super) fn not_done(not_done: NotDone) -> Problem {
    match not_done {
        NotDone::Refused(refusal) => Problem::from(*refusal),
        NotDone::Unavailable => Problem::unavailable(),
        NotDone::NoRoom(why) => Problem::new(Code::Unavailable, why),
        NotDone::Unknown => Problem::timeout(),
        NotDone::Busy => Unanswered::Full.into(),
        NotDone::TooNew { .. } => Problem::new(
            Code::Unavailable,
            "not every node is known to read this kind of change yet: it can be made once all of them run a \
             program that does",
        ),
    }
}

fn no_such_message() -> Problem {
    Refusal::new(Code::NotFound, "no such message, or not in a room of yours").into()
}

pub(super) fn no_such_room() -> Problem {
    Refusal::new(Code::NotFound, "no such room, or not one of yours").into()
}

#[allow(
    clippy::disallowed_methods,
    reason = "pings are answered with this node's clock, and links end by it"
)]
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
