//! Accounts and their sessions.
//!
//! A token is told once and only its hash is kept, so a repeated `register` or `login` cannot be
//! answered with the first one again: the session made under that id ends and another takes its place.
//! The session rows are what finds such repeats.

use super::super::command::{LoginOp, TokenHash};
use super::super::objects::{Role, RoomKind};
use super::super::outcome::{Code, Done, Outcome, Refusal};
use super::super::tables::{LinkKind, Tables, UserRow};
use super::{DISABLED, NewAccount, NewSession, Step, Stop, Work, id_in_use, refuse};
use crate::ids::At;

/// What a deleted account is called from then on; its `name` stays taken.
pub const DELETED_DISPLAY: &str = "deleted";

impl<T: Tables> Work<'_, T> {
    pub(super) fn register(&mut self, new: &NewAccount<'_>, session: NewSession<'_>) -> Step<Outcome, T> {
        let name = &self.command.user;
        if let Some(row) = self.tables.user(name)? {
            return self.registered_before(&row, session.token_hash);
        }
        self.check_token_is_new(session.token_hash)?;
        let link = self.way_in(new)?;
        let first = !self.tables.any_user()?;
        let is_admin = match &link {
            Some(link) if link.kind == LinkKind::Create => true,
            _ => first && new.first_is_admin,
        };

        let user = self.put_user(UserRow {
            at: At(0),
            name: name.clone(),
            display: new.display.to_owned(),
            role: if is_admin { Role::Admin } else { Role::Member },
            password_hash: new.password_hash.to_owned(),
            deleted: false,
            disabled: false,
            bot: None,
            created_by: self.command.id.clone(),
            created_digest: self.digest,
        })?;
        if let Some(link) = link {
            self.use_link(link)?;
        }
        self.open_session(session, LoginOp::Register, None)?;
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

    pub(super) fn login(&mut self, new: NewSession<'_>, hash: &str, op: LoginOp) -> Step<Outcome, T> {
        let token_hash = new.token_hash;
        let Some(row) = self.tables.user(&self.command.user)? else { return Err(wrong_login()) };
        if row.deleted || row.bot.is_some() || !row.has_password(hash) {
            return Err(wrong_login());
        }
        if row.disabled {
            return Err(refuse(Code::Forbidden, DISABLED));
        }
        let earlier = self.tables.session_by_id(&row.name, &self.command.id)?;
        match &earlier {
            Some(earlier) if earlier.op == op => self.stop_if_same_command(&row, token_hash)?,
            Some(_) => return Err(id_in_use()),
            None if op == LoginOp::Register && row.created_by != self.command.id => {
                return Err(refuse(Code::Conflict, "this name is taken: choose another"));
            }
            // Whatever is found is of another op.
            None if self.done_before()?.is_some() => return Err(id_in_use()),
            None => {}
        }
        self.check_token_is_new(token_hash)?;

        let first_at = earlier.as_ref().map(|session| session.first_at);
        if let Some(alive) = earlier.filter(|session| !session.ended) {
            self.end_session(alive)?;
        }
        self.open_session(new, op, first_at)?;
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
    pub(super) fn check_token_is_new(&mut self, token_hash: &TokenHash) -> Step<(), T> {
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
        if !me.has_password(old_hash) {
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
        if !me.has_password(password_hash) {
            return Err(wrong_password());
        }
        self.retire(me)?;
        // Not remembered: whoever repeats it is no longer there to be told.
        self.unremembered(Done::Plain)
    }

    /// The end of an account, a person's or a bot's.
    pub(super) fn retire(&mut self, me: UserRow) -> Step<(), T> {
        let mut rooms = Vec::new();
        for room in self.tables.rooms_of(&me.name)? {
            rooms.extend(self.tables.room(room)?.filter(|row| row.kind != RoomKind::Direct));
        }
        let sessions = self.sessions_with_bots(&me.name)?;

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
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::super::super::command::Change;
    use super::super::super::outcome::Effect;
    use super::super::story::{Story, login, registration, token};
    use super::*;
    use crate::chat::objects::User;

    fn user(effect: &Effect) -> User {
        match &effect.outcome.as_ref().unwrap().done {
            Done::Account(user) => user.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn alive(story: &mut Story, token_name: &str) -> bool {
        story.model.session(&token(token_name)).unwrap().is_some_and(|session| !session.ended)
    }

    fn new_password(old: &str, new: &str, token_name: &str) -> Change {
        Change::ChangePassword {
            old_hash: old.into(),
            new_hash: new.into(),
            token_hash: token(token_name),
            request: [7; 16],
        }
    }

    fn deletion(hash: &str) -> Change {
        Change::DeleteAccount { password_hash: hash.into() }
    }

    #[test]
    fn the_first_account_is_admin_where_that_is_asked_for() {
        let mut story = Story::new(&["ann", "bob"]);
        let roles = ["ann", "bob"].map(|name| story.model.user(name).unwrap().unwrap().role);
        assert_eq!(roles, [Role::Admin, Role::Member]);

        let mut elsewhere = Story::new(&[]);
        let mut change = registration("ann");
        if let Change::Register { first_is_admin, .. } = &mut change {
            *first_is_admin = false;
        }
        assert_eq!(user(&elsewhere.ask("ann", change)).role, Role::Member);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut story = Story::new(&["ann"]);
        let refusal = story.refused("ann", registration("ann"));
        assert_eq!((refusal.code, refusal.registered_by_this_id), (Code::Conflict, false));
        story.ok("ann", deletion("ann's"));
        assert_eq!(story.code("ann", registration("ann")), Code::Conflict);
        let refusal = story.ask_as("ann", "register-ann", registration("ann")).outcome.unwrap_err();
        assert!(!refusal.registered_by_this_id);
    }

    /// The contract: the same account with a new token, and the earlier one is dead.
    #[test]
    fn a_repeated_registration_gives_a_new_token() {
        let mut story = Story::new(&[]);
        let first = story.ask_as("ann", "r", registration("ann")).outcome.unwrap();
        let mut again = registration("ann");
        if let Change::Register { token_hash, .. } = &mut again {
            *token_hash = token("second");
        }
        let refusal = story.ask_as("ann", "r", again.clone()).outcome.unwrap_err();
        assert!(refusal.registered_by_this_id);
        let effect = story.ask_as("ann", "r", login("ann", "second", LoginOp::Register));
        assert_eq!(effect.outcome.unwrap(), Outcome { duplicate: true, ..first.clone() });
        assert_eq!(effect.ended.len(), 1);
        assert!(!alive(&mut story, "ann") && alive(&mut story, "second"));

        // Once more, also after the one before was logged out.
        story.ok("ann", Change::Logout { token_hash: token("second") });
        let effect = story.ask_as("ann", "r", login("ann", "third", LoginOp::Register));
        assert_eq!(effect.outcome.unwrap().at, first.at);
        assert!(effect.ended.is_empty() && alive(&mut story, "third"));

        if let Change::Register { display, .. } = &mut again {
            *display = "another".into();
        }
        let refusal = story.ask_as("ann", "r", again).outcome.unwrap_err();
        assert_eq!((refusal.code, refusal.registered_by_this_id), (Code::Conflict, false));
    }

    #[test]
    fn a_repeated_login_gives_a_new_token() {
        let mut story = Story::new(&["ann"]);
        let first = story.ask_as("ann", "l", login("ann", "one", LoginOp::Login)).outcome.unwrap();
        assert!(!first.duplicate);
        let effect = story.ask_as("ann", "l", login("ann", "two", LoginOp::Login));
        assert_eq!(effect.outcome.unwrap(), Outcome { duplicate: true, ..first.clone() });
        let effect = story.ask_as("ann", "l", login("ann", "three", LoginOp::Login));
        assert_eq!(effect.outcome.unwrap().at, first.at);
        let all = ["ann", "one", "two", "three"].map(|name| alive(&mut story, name));
        assert_eq!(all, [true, false, false, true]);
    }

    /// One that was imported, until a link gave it a password.
    #[test]
    fn without_a_password_none_is_right() {
        let mut story = Story::new(&["ann"]);
        let mut row = story.model.user("ann").unwrap().unwrap();
        row.password_hash = String::new();
        story.model.put_user(&row).unwrap();
        let mut login = login("ann", "one", LoginOp::Login);
        if let Change::Login { password_hash, .. } = &mut login {
            password_hash.clear();
        }
        assert_eq!(story.code("ann", login), Code::Unauthorized);
        assert_eq!(story.code("ann", new_password("", "new", "ann")), Code::Forbidden);
        assert_eq!(story.code("ann", deletion("")), Code::Forbidden);
    }

    /// A node may hand the same command on twice.
    #[test]
    fn the_same_login_twice_in_the_log_is_one() {
        let mut story = Story::new(&[]);
        story.ask_as("ann", "r", registration("ann")).outcome.unwrap();
        assert!(story.ask_as("ann", "r", registration("ann")).outcome.unwrap().duplicate);
        story.ask_as("ann", "l", login("ann", "one", LoginOp::Login)).outcome.unwrap();
        let effect = story.ask_as("ann", "l", login("ann", "one", LoginOp::Login));
        assert!(effect.outcome.unwrap().duplicate && effect.ended.is_empty());
        assert!(alive(&mut story, "one") && alive(&mut story, "ann"));

        story.ok("ann", Change::Logout { token_hash: token("one") });
        let refusal = story.ask_as("ann", "l", login("ann", "one", LoginOp::Login)).outcome.unwrap_err();
        assert_eq!(refusal.code, Code::Unauthorized);
    }

    #[test]
    fn ids_of_sessions_and_other_requests_do_not_mix() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.ask_as("ann", "left", Change::Leave { room }).outcome.unwrap();
        story.ask_as("ann", "l", login("ann", "one", LoginOp::Login)).outcome.unwrap();
        for (id, op) in [("left", LoginOp::Login), ("register-ann", LoginOp::Login), ("l", LoginOp::Register)]
        {
            let refusal = story.ask_as("ann", id, login("ann", "two", op)).outcome.unwrap_err();
            assert_eq!(refusal.code, Code::Conflict, "{id}");
        }
        assert_eq!(story.code("ann", login("ann", "two", LoginOp::Register)), Code::Conflict);
        assert_eq!(story.ask_as("ann", "l", Change::Join { room }).outcome.unwrap_err().code, Code::Conflict);
    }

    #[test]
    fn a_login_needs_the_password_as_it_is_now() {
        let mut story = Story::new(&["ann", "bob"]);
        assert_eq!(story.code("ann", login("bob", "one", LoginOp::Login)), Code::Unauthorized);
        assert_eq!(story.code("nobody", login("nobody", "one", LoginOp::Login)), Code::Unauthorized);
        story.ok("ann", new_password("ann's", "new", "ann"));
        assert_eq!(story.code("ann", login("ann", "one", LoginOp::Login)), Code::Unauthorized);
        story.ok("bob", deletion("bob's"));
        assert_eq!(story.code("bob", login("bob", "one", LoginOp::Login)), Code::Unauthorized);
    }

    #[test]
    fn logout_ends_that_session_once() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", login("ann", "one", LoginOp::Login));
        let logout = |name| Change::Logout { token_hash: token(name) };
        assert_eq!(story.code("bob", logout("one")), Code::Unauthorized);
        let effect = story.ask("ann", logout("one"));
        assert_eq!(effect.ended[0].token_hash, token("one"));
        assert_eq!(story.code("ann", logout("one")), Code::Unauthorized);
        assert_eq!(story.code("ann", logout("unknown")), Code::Unauthorized);
        assert!(alive(&mut story, "ann"));
    }

    #[test]
    fn a_new_password_ends_the_other_sessions() {
        let mut story = Story::new(&["ann"]);
        story.ok("ann", login("ann", "one", LoginOp::Login));
        story.ok("ann", login("ann", "two", LoginOp::Login));
        assert_eq!(story.code("ann", new_password("other", "new", "one")), Code::Forbidden);
        assert_eq!(story.code("ann", new_password("ann's", "new", "unknown")), Code::Unauthorized);
        let effect = story.ask_as("ann", "p", new_password("ann's", "new", "one"));
        assert_eq!(effect.ended.len(), 2);
        assert_eq!(["ann", "one", "two"].map(|name| alive(&mut story, name)), [false, true, false]);
        // A repeat brings another salt, and the old password is no longer the stored one.
        let again = story.ask_as("ann", "p", new_password("ann's", "salted", "one")).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..effect.outcome.unwrap() });
    }

    #[test]
    fn a_deleted_account_leaves_its_messages_and_nothing_else() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("bob", "public");
        story.ok("ann", Change::Join { room });
        let direct = story.direct(&["ann", "bob"]);
        story.send("ann", room, "hi");
        assert_eq!(story.code("ann", deletion("other")), Code::Forbidden);
        let effect = story.ask("ann", deletion("ann's"));
        assert_eq!(effect.ended.len(), 1);

        let row = story.model.user("ann").unwrap().unwrap();
        assert!(row.deleted && row.password_hash.is_empty());
        assert_eq!((row.display.as_str(), row.role), (DELETED_DISPLAY, Role::Member));
        assert!(!story.is_member(room, "ann") && story.is_member(direct, "ann"));
        assert_eq!(story.model.messages(room).next().unwrap().message.text, "hi");
        assert_eq!(story.code("ann", deletion("ann's")), Code::Unauthorized);
        assert_eq!(story.code("ann", Change::Join { room }), Code::Unauthorized);
        assert_eq!(story.code("nobody", Change::Join { room }), Code::Unauthorized);
    }
}
