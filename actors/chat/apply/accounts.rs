//! Accounts and their sessions.
//!
//! A token is told once and only its hash is kept, so a repeated `register` or `login` cannot be
//! answered with the first one again: the session made under that id ends and another takes its place.
//! The session rows are what finds such repeats.

use super::super::command::{LoginOp, TokenHash};
use super::super::objects::{Role, RoomKind};
use super::super::outcome::{Code, Done, Outcome, Refusal};
use super::super::tables::{Tables, UserRow};
use super::{Step, Stop, Work, id_in_use, refuse};
use crate::ids::At;

/// What a deleted account is called from then on; its `name` stays taken.
pub const DELETED_DISPLAY: &str = "deleted";

impl<T: Tables> Work<'_, T> {
    pub(super) fn register(
        &mut self,
        display: &str,
        password_hash: &str,
        token_hash: &TokenHash,
        first_is_admin: bool,
    ) -> Step<Outcome, T> {
        let name = &self.command.user;
        if let Some(row) = self.tables.user(name)? {
            return self.registered_before(&row, token_hash);
        }
        self.check_token_is_new(token_hash)?;
        let first = !self.tables.any_user()?;

        let user = self.put_user(UserRow {
            at: At(0),
            name: name.clone(),
            display: display.to_owned(),
            role: if first && first_is_admin { Role::Admin } else { Role::Member },
            password_hash: password_hash.to_owned(),
            deleted: false,
            created_by: self.command.id.clone(),
            created_digest: self.digest,
        })?;
        self.open_session(token_hash, LoginOp::Register, None)?;
        self.unremembered(Done::Account(user))
    }

    /// The name is there already. Whether this is a repeat only the password can tell, and that is
    /// the session's to check: it then asks for a `Login` under the same id.
    fn registered_before(&mut self, row: &UserRow, token_hash: &TokenHash) -> Step<Outcome, T> {
        let by_this_id =
            !row.deleted && row.created_by == self.command.id && row.created_digest == self.digest;
        if by_this_id {
            self.stop_if_same_command(row, token_hash)?;
        }
        Err(Stop::Refused(Refusal {
            registered_by_this_id: by_this_id,
            ..Refusal::new(Code::Conflict, "this name is taken: choose another")
        }))
    }

    pub(super) fn login(&mut self, token_hash: &TokenHash, hash: &str, op: LoginOp) -> Step<Outcome, T> {
        let Some(row) = self.tables.user(&self.command.user)? else { return Err(wrong_login()) };
        if row.deleted || row.password_hash != hash {
            return Err(wrong_login());
        }
        let earlier = self.tables.session_by_id(&row.name, &self.command.id)?;
        if let Some(earlier) = &earlier {
            if earlier.op != op {
                return Err(id_in_use());
            }
            self.stop_if_same_command(&row, token_hash)?;
        } else if op == LoginOp::Register && row.created_by != self.command.id {
            return Err(refuse(Code::Conflict, "this name is taken: choose another"));
        } else if self.done_before()?.is_some() {
            // Unreachable by honest digests; a message or outcome under this id is another request.
            return Err(id_in_use());
        }
        self.check_token_is_new(token_hash)?;

        let first_at = earlier.as_ref().map(|session| session.first_at);
        if let Some(alive) = earlier.filter(|session| !session.ended) {
            self.end_session(alive)?;
        }
        self.open_session(token_hash, op, first_at)?;
        let outcome = self.unremembered(Done::Account(row.seen()))?;
        Ok(match first_at {
            Some(at) => Outcome { at, duplicate: true, ..outcome },
            None => outcome,
        })
    }

    /// The very same command can stand in the log twice: a node hands it on again when leadership moves.
    /// The second copy must neither revoke the token that the first one made good, nor revive it.
    fn stop_if_same_command(&mut self, row: &UserRow, token_hash: &TokenHash) -> Step<(), T> {
        let Some(session) = self.tables.session(token_hash)? else { return Ok(()) };
        if session.user != row.name || session.id != self.command.id || session.ended {
            return Err(refuse(Code::Unauthorized, "this session has ended: log in again"));
        }
        Err(Stop::Repeated(Outcome {
            at: session.first_at,
            duplicate: true,
            done: Done::Account(row.seen()),
        }))
    }

    /// Tokens are drawn from 2^256: one that is there already was not drawn.
    fn check_token_is_new(&mut self, token_hash: &TokenHash) -> Step<(), T> {
        match self.tables.session(token_hash)? {
            None => Ok(()),
            Some(_) => Err(refuse(Code::Internal, "this token was given before")),
        }
    }

    pub(super) fn logout(&mut self, token_hash: &TokenHash) -> Step<Outcome, T> {
        let me = self.asker()?;
        let session = match self.tables.session(token_hash)? {
            Some(session) if session.user == me.name && !session.ended => session,
            _ => return Err(refuse(Code::Unauthorized, "this session has ended already")),
        };

        self.end_session(session)?;
        self.done(Done::Plain)
    }

    pub(super) fn change_password(
        &mut self,
        old_hash: &str,
        new_hash: &str,
        token_hash: &TokenHash,
    ) -> Step<Outcome, T> {
        let mut me = self.asker()?;
        match self.tables.session(token_hash)? {
            Some(session) if session.user == me.name && !session.ended => {}
            _ => return Err(refuse(Code::Unauthorized, "this session has ended: log in again")),
        }
        if me.password_hash != old_hash {
            return Err(wrong_password());
        }
        let others = self.tables.sessions(&me.name)?;

        me.password_hash = new_hash.to_owned();
        self.put_user(me)?;
        for session in others.into_iter().filter(|session| session.token_hash != *token_hash) {
            self.end_session(session)?;
        }
        self.done(Done::Plain)
    }

    /// Messages, reactions and direct conversations stay; what is left of the account is its name.
    pub(super) fn delete_account(&mut self, password_hash: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        if me.password_hash != password_hash {
            return Err(wrong_password());
        }
        let mut rooms = Vec::new();
        for room in self.tables.rooms_of(&me.name)? {
            rooms.extend(self.tables.room(room)?.filter(|row| row.kind != RoomKind::Direct));
        }
        let sessions = self.tables.sessions(&me.name)?;

        for room in &rooms {
            self.put_member(room, &me.name, false)?;
        }
        for session in sessions {
            self.end_session(session)?;
        }
        self.put_user(UserRow {
            display: DELETED_DISPLAY.to_owned(),
            role: Role::Member,
            password_hash: String::new(),
            deleted: true,
            ..me
        })?;
        // Not remembered: whoever repeats it is no longer there to be told.
        self.unremembered(Done::Plain)
    }
}

fn wrong_login<E>() -> Stop<E> {
    refuse(Code::Unauthorized, "wrong name or password")
}

/// `forbidden`, since `unauthorized` says that the session is over, and on a repeated `delete_account`
/// that it was done.
fn wrong_password<E>() -> Stop<E> {
    refuse(Code::Forbidden, "wrong password")
}
