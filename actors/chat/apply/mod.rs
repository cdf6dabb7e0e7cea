//! Applies one command: a deterministic function of the command and the tables as they are.
//!
//! Authorization is here, once. Each handler does all its checks first and all its writes after them,
//! so a refusal writes nothing. Each row that changes takes the next `at`; the row that remembers an
//! outcome shares the last one, and those that keep what a message said share the message's. No settings, clock, dice or Unicode tables.
//!
//! - [`accounts`]: accounts and their sessions.
//! - [`people`]: profiles, and what admins do with accounts and for all nodes.
//! - [`bots`]: accounts of programs.
//! - [`links`]: the secrets that let somebody in: invitations, create and reset links.
//! - [`rooms`]: rooms and who is in them.
//! - [`messages`]: messages, reactions and read marks.
//! - [`files`]: the files of messages.
//! - [`subscriptions`]: where the messages of a room are posted.
//! - [`import`]: what was elsewhere.

mod accounts;
mod bots;
mod files;
mod import;
mod links;
mod messages;
mod people;
mod rooms;
mod subscriptions;

pub use messages::VERSIONS_MAX;

use super::command::{Change, Command, LEVEL, LEVEL_REMEMBERS_ALL, LoginOp, RequestDigest, TokenHash};
use super::digest;
use super::objects::{Event, Role, User, UserEvent};
use super::outcome::{Audience, Code, Done, Effect, Notice, Outcome, Refusal, SessionEnded};
use super::tables::{OutcomeRow, SessionRow, Tables, UserRow};
use crate::ids::At;

/// Applies a command at the leader's time.
///
/// # Errors
/// Only when the tables cannot be read or written: the caller rolls back. What the rules of the chat
/// forbid is a refusal inside the effect.
pub fn apply<T: Tables>(tables: &mut T, time_ms: u64, command: &Command) -> Result<Effect, T::Error> {
    apply_as(tables, Stamp { level: LEVEL, time_ms }, command)
}

/// What a batch says of all its commands.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Every replica that reads the batch knows this level, and applies all of it as that level says.
    pub level: u8,
    /// The leader's clock, in Unix milliseconds.
    pub time_ms: u64,
}

/// Does so as the command was meant in a batch with this stamp.
///
/// # Errors
/// As [`apply`].
pub fn apply_as<T: Tables>(tables: &mut T, stamp: Stamp, command: &Command) -> Result<Effect, T::Error> {
    let mut work = Work {
        tables,
        time_ms: stamp.time_ms,
        level: stamp.level,
        command,
        digest: digest::of_request(command),
        last: None,
        notices: Vec::new(),
        ended: Vec::new(),
    };
    match work.run() {
        Ok(outcome) => Ok(Effect { outcome: Ok(outcome), notices: work.notices, ended: work.ended }),
        Err(Stop::Repeated(outcome)) => Ok(Effect::only(Ok(outcome))),
        Err(Stop::Refused(refusal)) => {
            debug_assert!(work.last.is_none(), "a refusal writes nothing");
            Ok(Effect::only(Err(refusal)))
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// One command on its way.
struct Work<'a, T: Tables> {
    tables: &'a mut T,
    time_ms: u64,
    /// What the command means: see the levels of [`super::command`].
    level: u8,
    command: &'a Command,
    digest: RequestDigest,
    /// The last `at` that this command took.
    last: Option<At>,
    notices: Vec<Notice>,
    ended: Vec<SessionEnded>,
}

/// Why a handler ends before its writes.
enum Stop<E> {
    Refused(Refusal),
    /// Done before under this id.
    Repeated(Outcome),
    /// The tables failed.
    Failed(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

/// What `register` asks for.
struct NewAccount<'c> {
    display: &'c str,
    password_hash: &'c str,
    link: Option<&'c TokenHash>,
    /// The node that asks lets nobody register by its own settings.
    closed: bool,
    first_is_admin: bool,
}

/// A session that is to be opened.
#[derive(Clone, Copy)]
struct NewSession<'c> {
    token_hash: &'c TokenHash,
    agent: Option<&'c str>,
}

type Step<O, T> = Result<O, Stop<<T as Tables>::Error>>;

fn refuse<E>(code: Code, message: impl Into<String>) -> Stop<E> {
    Stop::Refused(Refusal::new(code, message))
}

impl<T: Tables> Work<'_, T> {
    fn run(&mut self) -> Step<Outcome, T> {
        match &self.command.change {
            Change::Register { display, password_hash, token_hash, first_is_admin, link, closed, agent } => {
                let new = NewAccount {
                    display,
                    password_hash,
                    link: link.as_ref(),
                    closed: *closed,
                    first_is_admin: *first_is_admin,
                };
                self.register(&new, NewSession { token_hash, agent: agent.as_deref() })
            }
            Change::Login { token_hash, password_hash, op, agent } => {
                self.login(NewSession { token_hash, agent: agent.as_deref() }, password_hash, *op)
            }
            Change::Logout { token_hash } => self.logout(token_hash),
            Change::ChangePassword { old_hash, new_hash, token_hash, .. } => {
                self.change_password(old_hash, new_hash, token_hash)
            }
            Change::DeleteAccount { password_hash } => self.delete_account(password_hash),
            Change::CreateRoom { name, kind, topic } => self.create_room(name, *kind, topic),
            Change::Join { room } => self.join(*room),
            Change::Leave { room } => self.leave(*room),
            Change::Invite { room, user } => self.invite(*room, user),
            Change::Remove { room, user } => self.remove(*room, user),
            Change::OpenDirect { users } => self.open_direct(users),
            Change::Send { room, text, reply_to } => self.send(*room, text, *reply_to, &[]),
            Change::SendFiles { room, text, reply_to, files } => self.send(*room, text, *reply_to, files),
            Change::Edit { room, seq, text, version, keep } => {
                self.edit((*room, *seq), text, *version, *keep)
            }
            Change::Delete { room, seqs } => self.delete(*room, seqs),
            Change::React { room, seq, emoji, on } => self.react(*room, *seq, emoji, *on),
            Change::MarkRead { room, seq } => self.mark_read(*room, *seq),
            Change::Mute { room, on } => self.mute(*room, *on),
            Change::SetProfile { display } => self.set_profile(display),
            Change::EndSession { session } => self.end_session_shown(session),
            Change::SetRole { user, role } => self.set_role(user, *role),
            Change::SetDisabled { user, disabled } => self.set_disabled(user, *disabled),
            Change::SetRegistration { mode } => self.set_registration(*mode),
            Change::SetRoom { room, name, topic } => self.set_room(*room, name.as_deref(), topic.as_deref()),
            Change::CreateInvite { uses, hours, link } => self.create_invite(*uses, *hours, link),
            Change::RevokeInvite { invite } => self.revoke_invite(invite),
            Change::CreateBot { name, display, rights, token_hash } => {
                self.create_bot(name, display, rights, token_hash)
            }
            Change::CreateHook { room, name, display, token_hash } => {
                self.create_hook(*room, name, display, token_hash)
            }
            Change::DeleteHook { hook } => self.delete_hook(hook),
            Change::RenewBotToken { bot, token_hash } => self.renew_bot_token(bot, token_hash),
            Change::DeleteBot { bot } => self.delete_bot(bot),
            Change::CreateSubscription { room, url, secret } => self.create_subscription(*room, url, secret),
            Change::DeleteSubscription { subscription } => self.delete_subscription(*subscription),
            Change::Delivered { reports } => self.delivered(reports),
            Change::ResetPassword { user, link } => self.reset_password(user, link),
            Change::SetPassword { link, new_hash, .. } => self.set_password(link, new_hash),
            Change::Appoint { link } => self.appoint(link),
            Change::Import { items, into_existing } => self.import(items, *into_existing),
        }
    }

    /// Every handler's first line, but for those that let somebody in: the account that asks, unless the
    /// request is a repeat. A repeat is answered before any other check, so its answer is the first one
    /// whatever has become of the room since.
    fn asker(&mut self) -> Step<UserRow, T> {
        let row = self.account()?;
        match self.done_before()? {
            Some(first) => Err(Stop::Repeated(first)),
            None => Ok(row),
        }
    }

    /// The same for what only admins may do.
    fn admin(&mut self) -> Step<UserRow, T> {
        let row = self.asker()?;
        check_admin(&row)?;
        Ok(row)
    }

    /// The account that asks.
    fn account(&mut self) -> Step<UserRow, T> {
        match self.tables.user(&self.command.user)? {
            Some(row) if row.is_active() => Ok(row),
            Some(row) if !row.deleted => Err(refuse(Code::Unauthorized, DISABLED)),
            _ => Err(refuse(Code::Unauthorized, "this account does not exist any more: log in with another")),
        }
    }

    /// Looks for the asker's id among messages, outcomes and sessions.
    fn done_before(&mut self) -> Step<Option<Outcome>, T> {
        let Command { user, id, .. } = self.command;
        if let Some(row) = self.tables.message_by_id(user, id)? {
            if row.digest != self.digest {
                return Err(id_in_use());
            }
            let done = Done::Sent { seq: row.message.seq, time: row.message.time };
            return Ok(Some(Outcome { at: row.sent_at, duplicate: true, done }));
        }
        if let Some(row) = self.tables.outcome(user, id)? {
            if row.digest != self.digest {
                return Err(id_in_use());
            }
            return Ok(Some(Outcome { duplicate: true, ..row.outcome }));
        }
        match self.tables.session_by_id(user, id)? {
            Some(_) => Err(id_in_use()),
            None => Ok(None),
        }
    }

    /// Takes the next `at` for a row that changes now.
    fn take_at(&mut self) -> Result<At, T::Error> {
        let at = self.tables.next_at()?;
        self.last = Some(at);
        Ok(at)
    }

    fn tell(&mut self, audience: Audience, event: Event) {
        self.notices.push(Notice { audience, event });
    }

    /// The end of a handler: remembered for repeats. So is what changed nothing, in a row that takes an
    /// `at` of its own: a copy of the request that arrives late must not find something to change.
    fn done(&mut self, done: Done) -> Step<Outcome, T> {
        if self.last.is_none() && self.level < LEVEL_REMEMBERS_ALL {
            return self.unremembered(done);
        }
        self.remembered_as(self.command.id.clone(), done)
    }

    fn remembered_as(&mut self, id: String, done: Done) -> Step<Outcome, T> {
        let outcome = self.unremembered(done)?;
        let at = match self.last {
            Some(at) => at,
            None => self.take_at()?,
        };
        self.tables.put_outcome(&OutcomeRow {
            at,
            user: self.command.user.clone(),
            id,
            digest: self.digest,
            outcome: outcome.clone(),
        })?;
        Ok(outcome)
    }

    /// The end of a handler whose rows are its memory, or that may be done twice.
    fn unremembered(&mut self, done: Done) -> Step<Outcome, T> {
        let at = match self.last {
            Some(at) => at,
            None => self.tables.at()?,
        };
        Ok(Outcome { at, duplicate: false, done })
    }

    /// Writes a user's row and tells everybody. The row's own `at` is set here.
    fn put_user(&mut self, mut row: UserRow) -> Result<User, T::Error> {
        row.at = self.take_at()?;
        self.tables.put_user(&row)?;
        self.tell(Audience::Everybody, Event::User(UserEvent { at: row.at, user: row.seen() }));
        Ok(row.seen())
    }

    /// Opens a session; `first_at` is what the first reply under this id told, when this is a repeat.
    fn open_session(
        &mut self,
        new: NewSession<'_>,
        op: LoginOp,
        first_at: Option<At>,
    ) -> Result<(), T::Error> {
        let at = self.take_at()?;
        self.tables.put_session(&SessionRow {
            at,
            token_hash: *new.token_hash,
            user: self.command.user.clone(),
            id: self.command.id.clone(),
            op,
            first_at: first_at.unwrap_or(at),
            ended: false,
            // Without an agent the command is one that earlier programs read, and theirs is the row.
            time: new.agent.map_or(0, |_| self.time_ms),
            agent: new.agent.unwrap_or_default().to_owned(),
        })
    }

    fn end_session(&mut self, mut row: SessionRow) -> Result<(), T::Error> {
        row.at = self.take_at()?;
        row.ended = true;
        self.tables.put_session(&row)?;
        self.ended.push(SessionEnded { token_hash: row.token_hash });
        Ok(())
    }
}

/// Said to an account that an admin shut out.
const DISABLED: &str = "this account is disabled: ask an admin";

fn check_admin<E>(row: &UserRow) -> Result<(), Stop<E>> {
    match row.role {
        Role::Admin => Ok(()),
        Role::Member => Err(refuse(Code::Forbidden, "only an admin may do this")),
    }
}

fn id_in_use<E>() -> Stop<E> {
    refuse(Code::Conflict, "this id was used for another request: take a new one")
}

#[cfg(test)]
mod story;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::story::{Story, checked};
    use super::*;
    use crate::chat::model::Model;
    use crate::chat::objects::Message;
    use crate::chat::script::Script;
    use crate::ids::{RoomId, Seq};

    #[test]
    fn random_scripts_keep_every_promise_about_rows_and_notices() {
        for seed in 0..6 {
            let mut model = Model::default();
            for step in Script::new(seed).take(500) {
                checked(&mut model, step.time_ms, &step.command);
            }
        }
    }

    /// What a client holds that hears only what it may: room → its messages and members.
    #[derive(Default)]
    struct Client {
        rooms: BTreeMap<RoomId, (BTreeMap<Seq, Message>, BTreeSet<String>)>,
    }

    impl Client {
        fn hears(&mut self, event: &Event, model: &mut Model) {
            match event {
                Event::Room(room) if room.member => {
                    let messages =
                        model.messages(room.room).map(|row| (row.message.seq, row.message.clone()));
                    let loaded =
                        (messages.collect(), model.members(room.room).unwrap().into_iter().collect());
                    self.rooms.insert(room.room, loaded);
                }
                Event::Room(room) => assert!(self.rooms.remove(&room.room).is_some(), "left what it was in"),
                Event::Message(message) => {
                    let (messages, _) = self.rooms.get_mut(&message.room).expect("only its rooms");
                    messages.insert(message.seq, message.clone());
                }
                Event::Member { room, user, member, .. } => {
                    let (_, members) = self.rooms.get_mut(room).expect("only its rooms");
                    if *member {
                        members.insert(user.clone())
                    } else {
                        members.remove(user)
                    };
                }
                Event::User(_) | Event::Read { .. } | Event::Mute { .. } => {}
            }
        }
    }

    /// Delivers as a Hub does, by what it heard so far, and compares what clients hold with the tables.
    #[test]
    fn who_only_listens_holds_exactly_what_one_may_see() {
        for seed in 0..6 {
            let mut model = Model::default();
            let mut clients: BTreeMap<String, Client> = BTreeMap::new();
            for step in Script::new(100 + seed).take(500) {
                let Ok(effect) = apply(&mut model, step.time_ms, &step.command);
                for notice in &effect.notices {
                    let inside = |client: &Client, room| client.rooms.contains_key(&room);
                    let room = match &notice.event {
                        Event::Message(message) => message.room,
                        Event::Room(room) => room.room,
                        Event::Member { room, .. } | Event::Read { room, .. } | Event::Mute { room, .. } => {
                            *room
                        }
                        Event::User(event) => {
                            clients.entry(event.user.name.clone()).or_default();
                            RoomId(0)
                        }
                    };
                    for (name, client) in &mut clients {
                        let told = match &notice.audience {
                            Audience::Everybody => true,
                            Audience::Room => inside(client, room),
                            Audience::RoomWithout(user) => inside(client, room) && user != name,
                            Audience::User(user) => user == name,
                        };
                        if told {
                            client.hears(&notice.event, &mut model);
                        }
                    }
                }
                for (name, client) in &clients {
                    let mine: Vec<_> = client.rooms.keys().copied().collect();
                    assert_eq!(model.rooms_of(name).unwrap(), mine, "{name} after {:?}", step.command);
                    for (room, (messages, members)) in &client.rooms {
                        assert!(model.members(*room).unwrap().iter().eq(members));
                        assert!(model.messages(*room).map(|row| &row.message).eq(messages.values()));
                    }
                }
            }
        }
    }

    #[test]
    fn seq_has_no_hole_and_time_never_runs_backwards() {
        let mut model = Model::default();
        for step in Script::new(9).take(2000) {
            apply(&mut model, step.time_ms, &step.command).unwrap();
        }
        let last = model.last_room().unwrap();
        assert!(last > RoomId(3));
        for room in (1..=last.0).map(RoomId) {
            let messages: Vec<_> = model.messages(room).map(|row| row.message.clone()).collect();
            assert!((1..=messages.len() as u64).eq(messages.iter().map(|message| message.seq.0)));
            assert!(messages.windows(2).all(|pair| pair[0].time <= pair[1].time));
        }
    }

    #[test]
    fn a_repeat_is_done_once_and_told_the_first_outcome() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        let send = Change::Send { room, text: "hi".into(), reply_to: None };
        let first = story.ask_as("ann", "x", send.clone()).outcome.unwrap();
        story.send("ann", room, "later");
        let again = story.ask_as("ann", "x", send).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first });

        let first = story.ask_as("bob", "x", Change::Join { room }).outcome.unwrap();
        story.ok("bob", Change::Leave { room });
        let again = story.ask_as("bob", "x", Change::Join { room }).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first });
        assert!(!story.is_member(room, "bob"), "a repeated join does not join again");
    }

    #[test]
    fn what_changed_nothing_is_remembered_as_well() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        let first = story.ask_as("bob", "x", Change::Leave { room }).outcome.unwrap();
        story.ok("bob", Change::Join { room });
        let again = story.ask_as("bob", "x", Change::Leave { room }).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first });
        assert!(story.is_member(room, "bob"), "a late copy does not find something to change");
        assert_eq!(story.ask_as("bob", "x", Change::Join { room }).outcome.unwrap_err().code, Code::Conflict);
    }

    #[test]
    fn the_same_id_for_another_request_is_a_conflict() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        let send = |text: &str| Change::Send { room, text: text.into(), reply_to: None };
        story.ask_as("ann", "sent", send("a")).outcome.unwrap();
        story.ask_as("ann", "left", Change::Leave { room }).outcome.unwrap();
        story.ok("ann", Change::Join { room });
        for (id, change) in [
            ("sent", send("b")),
            ("sent", Change::Leave { room }),
            ("sent", Change::MarkRead { room, seq: Seq(1) }),
            ("left", send("a")),
            ("left", Change::Join { room }),
            ("register-ann", send("a")),
        ] {
            assert_eq!(story.ask_as("ann", id, change).outcome.unwrap_err().code, Code::Conflict, "{id}");
        }
    }

    #[test]
    fn a_refusal_is_not_remembered() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "private");
        let send = Change::Send { room, text: "hi".into(), reply_to: None };
        assert_eq!(story.ask_as("bob", "x", send.clone()).outcome.unwrap_err().code, Code::NotFound);
        story.ok("ann", Change::Invite { room, user: "bob".into() });
        assert!(!story.ask_as("bob", "x", send).outcome.unwrap().duplicate);
    }

    #[test]
    fn ids_are_each_users_own() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        story.ok("bob", Change::Join { room });
        for user in ["ann", "bob"] {
            let send = Change::Send { room, text: user.into(), reply_to: None };
            assert!(!story.ask_as(user, "x", send).outcome.unwrap().duplicate);
        }
    }

    #[test]
    fn what_changed_nothing_has_the_present_at() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        story.send("ann", room, "hi");
        for change in [
            Change::Join { room },
            Change::Invite { room, user: "ann".into() },
            Change::Edit { room, seq: Seq(1), text: "hi".into(), version: Some(1), keep: true },
            Change::React { room, seq: Seq(1), emoji: "+".into(), on: false },
            Change::MarkRead { room, seq: Seq(0) },
        ] {
            let present = story.model.present();
            assert_eq!(story.ok("ann", change).at, present);
        }
        let present = story.model.present();
        assert_eq!(story.ok("bob", Change::Leave { room }).at, present);
    }
}
