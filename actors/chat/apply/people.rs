//! Profiles, and what admins do: with accounts, and for all nodes.
//!
//! There is always an admin who may act, once there was one: the last cannot be made a member or shut out.
//! (Whoever deletes their own account may be the last: operators make another.)

use super::super::command::{Shown, shown};
use super::super::objects::Role;
use super::super::outcome::{Code, Done, Outcome};
use super::super::tables::{REGISTRATION, Registration, SettingRow, Tables, UserRow};
use super::{Step, Work, refuse};

impl<T: Tables> Work<'_, T> {
    pub(super) fn set_profile(&mut self, display: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        let display = if display.is_empty() { me.name.clone() } else { display.to_owned() };
        self.change_user(&me, UserRow { display, ..me.clone() })
    }

    /// One of one's own sessions, wherever it is connected.
    pub(super) fn end_session_shown(&mut self, session: &Shown) -> Step<Outcome, T> {
        let me = self.asker()?;
        let mine = self.tables.sessions(&me.name)?;
        let Some(found) = mine.into_iter().find(|row| shown(&row.token_hash) == *session) else {
            return Err(refuse(Code::NotFound, "no such session of yours, or it has ended already"));
        };

        self.end_session(found)?;
        self.done(Done::Plain)
    }

    pub(super) fn set_role(&mut self, user: &str, role: Role) -> Step<Outcome, T> {
        self.admin()?;
        let row = self.person(user)?;
        if role == Role::Member {
            self.check_not_the_last(&row)?;
        }
        self.change_user(&row, UserRow { role, ..row.clone() })
    }

    /// Ends all that the account is connected with; it keeps its rooms and its messages.
    pub(super) fn set_disabled(&mut self, user: &str, disabled: bool) -> Step<Outcome, T> {
        self.admin()?;
        let row = self.somebody(user)?;
        let mut sessions = Vec::new();
        if disabled {
            self.check_not_the_last(&row)?;
            sessions = self.tables.sessions(user)?;
        }

        for session in sessions {
            self.end_session(session)?;
        }
        self.change_user(&row, UserRow { disabled, ..row.clone() })
    }

    pub(super) fn set_registration(&mut self, mode: Registration) -> Step<Outcome, T> {
        self.admin()?;
        let before = self.tables.setting(REGISTRATION)?;

        if before.is_none_or(|row| row.value != mode.name()) {
            let (key, value) = (REGISTRATION.to_owned(), mode.name().to_owned());
            let row = SettingRow { at: self.take_at()?, key, value };
            self.tables.put_setting(&row)?;
        }
        self.done(Done::Plain)
    }

    /// Who may register: as an admin has set, else as the node's settings say.
    pub(super) fn registration(&mut self, closed_here: bool) -> Result<Registration, T::Error> {
        let set = self.tables.setting(REGISTRATION)?;
        let here = if closed_here { Registration::Closed } else { Registration::Open };
        Ok(set.and_then(|row| Registration::of_name(&row.value)).unwrap_or(here))
    }

    /// An account that was not deleted.
    pub(super) fn somebody(&mut self, user: &str) -> Step<UserRow, T> {
        match self.tables.user(user)? {
            Some(row) if !row.deleted => Ok(row),
            _ => Err(refuse(Code::NotFound, format!("no such user: {user}"))),
        }
    }

    /// The same, but no bot's: those have neither roles nor passwords.
    pub(super) fn person(&mut self, user: &str) -> Step<UserRow, T> {
        match self.somebody(user)? {
            row if row.bot.is_none() => Ok(row),
            _ => Err(refuse(Code::Forbidden, format!("{user} is a bot: it has neither role nor password"))),
        }
    }

    fn check_not_the_last(&mut self, row: &UserRow) -> Step<(), T> {
        if row.role == Role::Admin && row.is_active() && !self.tables.another_admin(&row.name)? {
            return Err(refuse(Code::Conflict, "this is the last admin: make somebody else one first"));
        }
        Ok(())
    }

    /// The end of a handler that may change an account.
    fn change_user(&mut self, before: &UserRow, after: UserRow) -> Step<Outcome, T> {
        let seen = match *before == after {
            true => after.seen(),
            false => self.put_user(after)?,
        };
        self.done(Done::User(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::{Change, LoginOp};
    use super::super::super::objects::User;
    use super::super::story::{Story, login, registration, token};
    use super::*;

    fn user(outcome: Outcome) -> User {
        match outcome.done {
            Done::User(user) => user,
            other => panic!("{other:?}"),
        }
    }

    fn role(user: &str, role: Role) -> Change {
        Change::SetRole { user: user.into(), role }
    }

    fn disabled(user: &str, disabled: bool) -> Change {
        Change::SetDisabled { user: user.into(), disabled }
    }

    fn profile(display: &str) -> Change {
        Change::SetProfile { display: display.into() }
    }

    #[test]
    fn a_profile_without_a_display_shows_the_name() {
        let mut story = Story::new(&["ann"]);
        assert_eq!(user(story.ok("ann", profile("Ann B."))).display, "Ann B.");
        let at = story.model.present();
        assert_eq!(story.ok("ann", profile("Ann B.")).at, at, "nothing changed");
        assert_eq!(user(story.ok("ann", profile(""))).display, "ann");
    }

    #[test]
    fn one_ends_ones_own_sessions_only() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", login("ann", "phone", LoginOp::Login));
        let end = Change::EndSession { session: shown(&token("phone")) };
        assert_eq!(story.code("bob", end.clone()), Code::NotFound);
        let effect = story.ask_as("ann", "1", end.clone());
        assert_eq!(effect.ended[0].token_hash, token("phone"));
        assert!(story.ask_as("ann", "1", end.clone()).outcome.unwrap().duplicate);
        assert_eq!(story.code("ann", end), Code::NotFound);
    }

    #[test]
    fn only_admins_and_always_one() {
        let mut story = Story::new(&["ann", "bob", "cleo"]);
        assert_eq!(story.code("bob", role("bob", Role::Admin)), Code::Forbidden);
        assert_eq!(story.code("bob", disabled("ann", true)), Code::Forbidden);
        assert_eq!(story.code("bob", Change::SetRegistration { mode: Registration::Open }), Code::Forbidden);
        for change in [role("ann", Role::Member), disabled("ann", true)] {
            assert_eq!(story.code("ann", change), Code::Conflict);
        }
        assert_eq!(user(story.ok("ann", role("bob", Role::Admin))).role, Role::Admin);
        story.ok("ann", disabled("bob", true));
        assert_eq!(story.code("ann", role("ann", Role::Member)), Code::Conflict, "bob cannot act");
        story.ok("ann", role("bob", Role::Member));
        story.ok("ann", role("cleo", Role::Admin));
        assert_eq!(user(story.ok("ann", role("ann", Role::Member))).role, Role::Member);
        assert_eq!(story.code("ann", role("ann", Role::Admin)), Code::Forbidden);
        assert_eq!(story.code("cleo", role("nobody", Role::Admin)), Code::NotFound);
    }

    #[test]
    fn who_is_shut_out_does_nothing_until_let_in_again() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("bob", "public");
        story.ok("bob", login("bob", "phone", LoginOp::Login));
        let effect = story.ask("ann", disabled("bob", true));
        assert_eq!(effect.ended.len(), 2);
        assert!(user(effect.outcome.unwrap()).disabled);
        assert_eq!(story.code("bob", Change::Leave { room }), Code::Unauthorized);
        assert_eq!(story.code("bob", login("bob", "new", LoginOp::Login)), Code::Forbidden);
        let mut wrong = login("bob", "new", LoginOp::Login);
        if let Change::Login { password_hash, .. } = &mut wrong {
            *password_hash = "other".into();
        }
        assert_eq!(story.code("bob", wrong), Code::Unauthorized);
        assert!(story.is_member(room, "bob"));
        story.ok("ann", disabled("bob", false));
        story.ok("bob", login("bob", "new", LoginOp::Login));
        story.ok("bob", Change::Leave { room });
    }

    #[test]
    fn what_an_admin_sets_wins_over_what_the_node_says() {
        let mut story = Story::new(&["ann"]);
        let closed_here = |name| {
            let mut change = registration(name);
            if let Change::Register { closed, .. } = &mut change {
                *closed = true;
            }
            change
        };
        assert_eq!(story.code("bob", closed_here("bob")), Code::Forbidden);
        story.ok("bob", registration("bob"));
        story.ok("ann", Change::SetRegistration { mode: Registration::Open });
        story.ok("cleo", closed_here("cleo"));
        story.ok("ann", Change::SetRegistration { mode: Registration::Closed });
        assert_eq!(story.code("dan", registration("dan")), Code::Forbidden);
        let present = story.model.present();
        assert_eq!(story.ok("ann", Change::SetRegistration { mode: Registration::Closed }).at, present);
        // A repeat is one still.
        let again = story.ask_as("bob", "request-2", registration("bob")).outcome;
        assert!(again.unwrap().duplicate);
    }
}
