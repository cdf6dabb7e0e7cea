//! The secrets that let somebody in who has no account or password here.
//!
//! Of a link only the hash of its token is kept, so a repeated request that made one cannot be answered with
//! it again: like a repeated login, it puts another in its place, which is as far used, as long good.
//!
//! **How long a link is good** the leaders' clocks say: it is made with the time of the batch that makes it, and
//! looked at with the time of the batch that uses it. Clocks that differ shorten or lengthen its time by as much;
//! one that runs ahead by more than a link has left makes it expired for as long as that node leads, and no
//! longer: nothing is written down when a link has expired. So a wrong clock opens nothing that was not handed
//! out, and using a link once, or revoking it, depends on no clock.

use super::super::command::{Shown, TokenHash};
use super::super::objects::Role;
use super::super::outcome::{Code, Done, Outcome};
use super::super::tables::{LinkKind, LinkRow, Registration, Tables, UserRow};
use super::{DISABLED, NewAccount, Step, Stop, Work, check_admin, refuse};
use crate::ids::At;

/// How long a create link and a reset link are good.
const HOURS: u64 = 24;
const HOUR_MS: u64 = 3_600_000;

impl<T: Tables> Work<'_, T> {
    pub(super) fn create_invite(&mut self, uses: u64, hours: u64, token: &TokenHash) -> Step<Outcome, T> {
        if let Some(first) = self.made_before()? {
            return self.replace_link(first, token);
        }
        self.make_link(LinkKind::Invite, "", (uses, hours), token)
    }

    pub(super) fn revoke_invite(&mut self, invite: &Shown) -> Step<Outcome, T> {
        self.admin()?;
        let mut found = self.tables.links_shown(invite)?;
        found.retain(|row| row.kind == LinkKind::Invite);
        if found.is_empty() {
            return Err(refuse(Code::NotFound, "no such invitation"));
        }

        for row in found {
            self.revoke(row)?;
        }
        self.done(Done::Plain)
    }

    pub(super) fn reset_password(&mut self, user: &str, token: &TokenHash) -> Step<Outcome, T> {
        if let Some(first) = self.made_before()? {
            return self.replace_link(first, token);
        }
        self.person(user)?;
        self.make_link(LinkKind::Reset, user, (1, HOURS), token)
    }

    /// By a reset link. Whoever lost a password may have lost more: all sessions and other links end.
    pub(super) fn set_password(&mut self, token: &TokenHash, new_hash: &str) -> Step<Outcome, T> {
        let me = match self.tables.user(&self.command.user)? {
            Some(row) if row.is_active() => row,
            Some(row) if !row.deleted => return Err(refuse(Code::Forbidden, DISABLED)),
            _ => return Err(no_such_link()),
        };
        if let Some(first) = self.done_before()? {
            return Err(Stop::Repeated(first));
        }
        let link = self.good_link(token)?;
        if link.kind != LinkKind::Reset || link.name != me.name {
            return Err(no_such_link());
        }
        let others = self.tables.links_for(LinkKind::Reset, &me.name)?;
        let sessions = self.tables.sessions(&me.name)?;

        self.use_link(link)?;
        for other in others.into_iter().filter(|other| other.token_hash != *token) {
            self.revoke(other)?;
        }
        for session in sessions {
            self.end_session(session)?;
        }
        let seen = self.put_user(UserRow { password_hash: new_hash.to_owned(), ..me })?;
        self.done(Done::User(seen))
    }

    /// By whoever runs the cluster, so nobody is asked for permission. An account that was shut out is let in
    /// again: it must be able to act.
    pub(super) fn appoint(&mut self, token: &TokenHash) -> Step<Outcome, T> {
        if let Some(first) = self.done_before()? {
            return self.replace_link(first, token);
        }
        let name = &self.command.user;
        match self.tables.user(name)? {
            None => self.make_link(LinkKind::Create, name, (1, HOURS), token),
            Some(row) if row.deleted => Err(refuse(
                Code::Conflict,
                format!("the account {name} was deleted, and its name is never given again: choose another"),
            )),
            Some(row) if row.bot.is_some() => {
                Err(refuse(Code::Conflict, format!("{name} is a bot: choose another name")))
            }
            Some(row) if row.role == Role::Admin && row.is_active() => self.done(Done::User(row.seen())),
            Some(row) => {
                let seen = self.put_user(UserRow { role: Role::Admin, disabled: false, ..row })?;
                self.done(Done::User(seen))
            }
        }
    }

    /// Why somebody may register: by the link, or because anybody may.
    pub(super) fn way_in(&mut self, new: &NewAccount<'_>) -> Step<Option<LinkRow>, T> {
        let Some(token) = new.link else {
            return match self.registration(new.closed)? {
                Registration::Open => Ok(None),
                Registration::Closed => {
                    Err(refuse(Code::Forbidden, "registration is closed: ask an admin for an invitation"))
                }
            };
        };
        let link = self.good_link(token)?;
        match link.kind {
            LinkKind::Invite => Ok(Some(link)),
            LinkKind::Create if link.name == self.command.user => Ok(Some(link)),
            LinkKind::Create => Err(refuse(
                Code::Forbidden,
                format!("this link creates the account {} and no other", link.name),
            )),
            LinkKind::Reset => Err(no_such_link()),
        }
    }

    pub(super) fn use_link(&mut self, mut link: LinkRow) -> Result<(), T::Error> {
        link.at = self.take_at()?;
        link.used += 1;
        self.tables.put_link(&link)
    }

    /// A link that may still be used.
    fn good_link(&mut self, token: &TokenHash) -> Step<LinkRow, T> {
        let Some(link) = self.tables.link(token)? else { return Err(no_such_link()) };
        let bad = |why: &str| Err(refuse(Code::Forbidden, format!("this link {why}: ask for another")));
        match link {
            LinkRow { revoked: true, .. } => bad("was revoked"),
            LinkRow { used, uses, .. } if used >= uses => bad("was used already"),
            LinkRow { until, .. } if until <= self.time_ms => bad("has expired"),
            link => Ok(link),
        }
    }

    /// What was told when this request was done before. Only to an admin: a repeat gives a new secret.
    fn made_before(&mut self) -> Step<Option<Outcome>, T> {
        check_admin(&self.account()?)?;
        self.done_before()
    }

    fn make_link(
        &mut self,
        kind: LinkKind,
        name: &str,
        (uses, hours): (u64, u64),
        token: &TokenHash,
    ) -> Step<Outcome, T> {
        if self.tables.link(token)?.is_some() {
            // Tokens are drawn from 2^256: one that is there already was not drawn.
            return Err(refuse(Code::Internal, "this token was given before"));
        }

        let until = self.time_ms.saturating_add(hours.saturating_mul(HOUR_MS));
        let row = LinkRow {
            at: self.take_at()?,
            token_hash: *token,
            kind,
            name: name.to_owned(),
            by: self.command.user.clone(),
            id: self.command.id.clone(),
            until,
            uses,
            used: 0,
            revoked: false,
        };
        self.tables.put_link(&row)?;
        self.done(Done::Link { until })
    }

    /// The request is a repeat, with a new token.
    fn replace_link(&mut self, first: Outcome, token: &TokenHash) -> Step<Outcome, T> {
        let Some(link) = self.tables.link_by_id(&self.command.user, &self.command.id)? else {
            // It made none: what was appointed was there.
            return Err(Stop::Repeated(first));
        };
        if link.token_hash == *token {
            // The very same command, which stands in the log twice.
            return Err(Stop::Repeated(first));
        }
        if self.tables.link(token)?.is_some() {
            return Err(refuse(
                Code::Conflict,
                "this was asked again since: the link in the last answer counts",
            ));
        }

        self.revoke(link.clone())?;
        let at = self.take_at()?;
        self.tables.put_link(&LinkRow { at, token_hash: *token, ..link })?;
        Ok(first)
    }

    fn revoke(&mut self, link: LinkRow) -> Result<(), T::Error> {
        if link.revoked {
            return Ok(());
        }
        let at: At = self.take_at()?;
        self.tables.put_link(&LinkRow { at, revoked: true, ..link })
    }
}

fn no_such_link<E>() -> Stop<E> {
    refuse(Code::Forbidden, "this link is none of this chat's: see that it is whole, or ask for another")
}

#[cfg(test)]
mod tests {
    use super::super::super::command::{Change, shown};
    use super::super::super::outcome::Refusal;
    use super::super::story::{Story, registration, registration_by, token};
    use super::*;

    fn invite(uses: u64, hours: u64, name: &str) -> Change {
        Change::CreateInvite { uses, hours, link: token(name) }
    }

    fn reset(user: &str, name: &str) -> Change {
        Change::ResetPassword { user: user.into(), link: token(name) }
    }

    fn new_password(name: &str, new_hash: &str) -> Change {
        Change::SetPassword { link: token(name), new_hash: new_hash.into(), request: [7; 16] }
    }

    fn appoint(name: &str) -> Change {
        Change::Appoint { link: token(name) }
    }

    fn until(outcome: &Outcome) -> u64 {
        match outcome.done {
            Done::Link { until } => until,
            ref other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn assert_forbidden(refusal: &Refusal, word: &str) {
        assert_eq!(refusal.code, Code::Forbidden, "{refusal:?}");
        assert!(refusal.message.contains(word), "{refusal:?} has no {word}");
    }

    #[test]
    fn an_invitation_is_good_so_often_and_so_long() {
        let mut story = Story::new(&["ann"]);
        story.time_ms = 5_000;
        assert_eq!(until(&story.ok("ann", invite(2, 1, "i"))), 5_000 + HOUR_MS);
        story.ok("bob", registration_by("bob", Some("i")));
        assert_eq!(story.model.user("bob").unwrap().unwrap().role, Role::Member);
        story.time_ms = 5_000 + HOUR_MS;
        assert_forbidden(&story.refused("cleo", registration_by("cleo", Some("i"))), "expired");
        // Another leader, whose clock is behind.
        story.time_ms = 4_999 + HOUR_MS;
        story.ok("cleo", registration_by("cleo", Some("i")));
        assert_forbidden(&story.refused("dan", registration_by("dan", Some("i"))), "used already");
        assert_forbidden(&story.refused("dan", registration_by("dan", Some("j"))), "none of this chat's");
        assert_eq!(story.code("bob", invite(1, 1, "j")), Code::Forbidden);
        assert_eq!(story.code("bob", registration_by("bob", Some("i"))), Code::Conflict);
    }

    #[test]
    fn a_revoked_invitation_lets_nobody_in() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", invite(2, 1, "i"));
        let revoke = Change::RevokeInvite { invite: shown(&token("i")) };
        assert_eq!(story.code("bob", revoke.clone()), Code::Forbidden);
        story.ok("ann", revoke.clone());
        assert_forbidden(&story.refused("dan", registration_by("dan", Some("i"))), "revoked");
        let present = story.model.present();
        assert_eq!(story.ok("ann", revoke).at, present);
        story.ok("ann", reset("bob", "r"));
        for name in ["nothing", "r"] {
            let other = Change::RevokeInvite { invite: shown(&token(name)) };
            assert_eq!(story.code("ann", other), Code::NotFound, "{name}");
        }
    }

    #[test]
    fn a_repeat_puts_another_link_in_the_place_of_the_first() {
        let mut story = Story::new(&["ann"]);
        let first = story.ask_as("ann", "x", invite(2, 1, "i")).outcome.unwrap();
        story.ok("bob", registration_by("bob", Some("i")));
        story.time_ms += 1_000;
        let again = story.ask_as("ann", "x", invite(2, 1, "j")).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first.clone() });
        assert_forbidden(&story.refused("cleo", registration_by("cleo", Some("i"))), "revoked");
        story.ok("cleo", registration_by("cleo", Some("j")));
        assert_forbidden(&story.refused("dan", registration_by("dan", Some("j"))), "used already");

        // The very same command a second time, of the last try and of an earlier one.
        let same = story.ask_as("ann", "x", invite(2, 1, "j")).outcome.unwrap();
        assert_eq!(same, Outcome { duplicate: true, ..first });
        let earlier = story.ask_as("ann", "x", invite(2, 1, "i")).outcome.unwrap_err();
        assert_eq!(earlier.code, Code::Conflict);
        let other = story.ask_as("ann", "x", invite(3, 1, "k")).outcome.unwrap_err();
        assert_eq!(other.code, Code::Conflict);
    }

    #[test]
    fn a_repeat_gives_no_secret_to_who_is_no_admin_any_more() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", Change::SetRole { user: "bob".into(), role: Role::Admin });
        story.ask_as("bob", "x", invite(1, 1, "i")).outcome.unwrap();
        story.ok("ann", Change::SetRole { user: "bob".into(), role: Role::Member });
        let again = story.ask_as("bob", "x", invite(1, 1, "j")).outcome.unwrap_err();
        assert_forbidden(&again, "only an admin");
    }

    #[test]
    fn a_revoked_invitation_stays_revoked_when_it_is_asked_for_again() {
        let mut story = Story::new(&["ann"]);
        story.ask_as("ann", "x", invite(1, 1, "i")).outcome.unwrap();
        story.ok("ann", Change::RevokeInvite { invite: shown(&token("i")) });
        story.ask_as("ann", "x", invite(1, 1, "j")).outcome.unwrap();
        assert_forbidden(&story.refused("bob", registration_by("bob", Some("j"))), "revoked");
    }

    #[test]
    fn a_reset_link_ends_all_sessions_and_the_other_links() {
        let mut story = Story::new(&["ann", "bob"]);
        assert_eq!(story.code("bob", reset("ann", "r")), Code::Forbidden);
        assert_eq!(story.code("ann", reset("nobody", "r")), Code::NotFound);
        let made = story.ok("ann", reset("bob", "r"));
        assert_eq!(until(&made), story.time_ms + 24 * HOUR_MS);
        story.ok("ann", reset("bob", "s"));
        assert_forbidden(&story.refused("ann", new_password("r", "new")), "none of this chat's");
        assert_forbidden(&story.refused("cleo", registration_by("cleo", Some("r"))), "none of this chat's");
        let effect = story.ask_as("bob", "p", new_password("r", "new"));
        assert_eq!(effect.ended.len(), 1);
        assert_eq!(story.model.user("bob").unwrap().unwrap().password_hash, "new");
        // A repeat brings another salt.
        let again = story.ask_as("bob", "p", new_password("r", "salted")).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..effect.outcome.unwrap() });
        assert_forbidden(&story.refused("bob", new_password("r", "newer")), "used already");
        assert_forbidden(&story.refused("bob", new_password("s", "newer")), "revoked");
    }

    #[test]
    fn who_is_shut_out_or_gone_gets_no_password() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", reset("bob", "r"));
        story.ok("ann", Change::SetDisabled { user: "bob".into(), disabled: true });
        assert_forbidden(&story.refused("bob", new_password("r", "new")), "disabled");
        story.ok("ann", Change::SetDisabled { user: "bob".into(), disabled: false });
        story.ok("bob", Change::DeleteAccount { password_hash: "bob's".into() });
        assert_forbidden(&story.refused("bob", new_password("r", "new")), "none of this chat's");
        assert_eq!(story.code("ann", reset("bob", "s")), Code::NotFound);
    }

    #[test]
    fn an_operator_makes_an_admin_of_whom_is_there() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("bob", appoint("a"));
        assert_eq!(story.model.user("bob").unwrap().unwrap().role, Role::Admin);
        let present = story.model.present();
        assert_eq!(story.ok("bob", appoint("b")).at, present);
        story.ok("ann", Change::SetDisabled { user: "bob".into(), disabled: true });
        story.ok("bob", appoint("c"));
        assert!(story.model.user("bob").unwrap().unwrap().is_active());
        story.ok("bob", Change::DeleteAccount { password_hash: "bob's".into() });
        assert_eq!(story.code("bob", appoint("d")), Code::Conflict);
    }

    #[test]
    fn a_create_link_makes_that_admin_and_no_other_account() {
        let mut story = Story::new(&["ann"]);
        story.ok("ann", Change::SetRegistration { mode: Registration::Closed });
        assert_eq!(until(&story.ok("bob", appoint("a"))), story.time_ms + 24 * HOUR_MS);
        story.ok("bob", appoint("b"));
        assert_eq!(story.code("bob", registration("bob")), Code::Forbidden);
        assert_forbidden(&story.refused("cleo", registration_by("cleo", Some("a"))), "bob and no other");
        story.ok("bob", registration_by("bob", Some("a")));
        assert_eq!(story.model.user("bob").unwrap().unwrap().role, Role::Admin);
        assert_eq!(story.code("bob", registration_by("bob", Some("b"))), Code::Conflict);
        assert_eq!(story.code("ann", Change::RevokeInvite { invite: shown(&token("b")) }), Code::NotFound);
    }
}
