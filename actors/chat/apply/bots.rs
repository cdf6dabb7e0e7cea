//! Accounts of programs. A bot has no password: it has one token at a time, which its owner hands to the
//! program. A hook is a bot that may send to one room and do nothing else. Like a login, a repeated request that made a token ends that one and makes another good.

use super::super::command::{LoginOp, TokenHash};
use super::super::objects::{Role, User};
use super::super::outcome::{Code, Done, Outcome};
use super::super::tables::{Bot, SessionRow, Tables, UserRow, hook_right, hook_room};
use super::{Step, Stop, Work, refuse};
use crate::ids::{At, RoomId};

impl<T: Tables> Work<'_, T> {
    pub(super) fn create_bot(
        &mut self,
        name: &str,
        display: &str,
        rights: &[String],
        token_hash: &TokenHash,
    ) -> Step<Outcome, T> {
        if let Some(first) = self.made_before()? {
            return self.renew_again(first, name, token_hash);
        }
        self.check_is_new(name, token_hash)?;

        let seen = self.put_bot(name, display, rights.to_vec())?;
        self.give_token(name, token_hash)?;
        self.done(Done::User(seen))
    }

    pub(super) fn create_hook(
        &mut self,
        room: RoomId,
        name: &str,
        display: &str,
        token_hash: &TokenHash,
    ) -> Step<Outcome, T> {
        let me = self.account()?;
        let before = self.done_before()?;
        // Also of a repeat: it gives a new secret.
        let row = self.room_in_charge_of(room, &me)?;
        if let Some(first) = before {
            return self.renew_again(first, name, token_hash);
        }
        self.check_is_new(name, token_hash)?;
        let (last_seq, _) = self.tables.end(room)?;

        let seen = self.put_bot(name, display, vec![hook_right(room)])?;
        self.let_in(&row, name, last_seq)?;
        self.give_token(name, token_hash)?;
        self.done(Done::User(seen))
    }

    pub(super) fn delete_hook(&mut self, name: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        let no_such_hook = || refuse(Code::NotFound, format!("no such hook: {name}"));
        let row = self.tables.user(name)?.filter(|row| !row.deleted).ok_or_else(no_such_hook)?;
        let room = row.bot.as_ref().and_then(|bot| hook_room(&bot.rights)).ok_or_else(no_such_hook)?;
        self.room_in_charge_of(room, &me)?;
        self.retire(row)?;
        self.done(Done::Plain)
    }

    fn check_is_new(&mut self, name: &str, token_hash: &TokenHash) -> Step<(), T> {
        if self.tables.user(name)?.is_some() {
            return Err(refuse(Code::Conflict, "this name is taken: choose another"));
        }
        self.check_token_is_new(token_hash)
    }

    fn put_bot(&mut self, name: &str, display: &str, rights: Vec<String>) -> Result<User, T::Error> {
        self.put_user(UserRow {
            at: At(0),
            name: name.to_owned(),
            display: display.to_owned(),
            role: Role::Member,
            password_hash: String::new(),
            deleted: false,
            disabled: false,
            bot: Some(Bot { owner: self.command.user.clone(), rights }),
            created_by: self.command.id.clone(),
            created_digest: self.digest,
        })
    }

    /// Whoever renews a bot's token is its owner from then on.
    pub(super) fn renew_bot_token(&mut self, name: &str, token_hash: &TokenHash) -> Step<Outcome, T> {
        if let Some(first) = self.made_before()? {
            return self.renew_again(first, name, token_hash);
        }
        let (row, bot) = self.bot(name)?;
        self.check_token_is_new(token_hash)?;
        let sessions = self.tables.sessions(name)?;

        for session in sessions {
            self.end_session(session)?;
        }
        let mut seen = row.seen();
        if bot.owner != self.command.user {
            let bot = Some(Bot { owner: self.command.user.clone(), ..bot });
            seen = self.put_user(UserRow { bot, ..row })?;
        }
        self.give_token(name, token_hash)?;
        self.done(Done::User(seen))
    }

    pub(super) fn delete_bot(&mut self, name: &str) -> Step<Outcome, T> {
        self.admin()?;
        let row = match self.tables.user(name)? {
            Some(row) if row.bot.is_some() && !row.deleted => row,
            _ => return Err(no_such_bot(name)),
        };
        self.retire(row)?;
        self.done(Done::Plain)
    }

    /// The bots of somebody who may not act any more can do nothing either.
    pub(super) fn sessions_with_bots(&mut self, name: &str) -> Step<Vec<SessionRow>, T> {
        let mut sessions = self.tables.sessions(name)?;
        for bot in self.tables.bots_of(name)? {
            sessions.extend(self.tables.sessions(&bot.name)?);
        }
        Ok(sessions)
    }

    /// The request is a repeat, with a new token.
    fn renew_again(&mut self, first: Outcome, name: &str, token_hash: &TokenHash) -> Step<Outcome, T> {
        if let Some(session) = self.tables.session(token_hash)? {
            // The very same command, which stands in the log twice.
            return match session.ended {
                false => Err(Stop::Repeated(first)),
                true => Err(refuse(
                    Code::Conflict,
                    "this was asked again since: the token in the last answer counts",
                )),
            };
        }
        self.bot(name)?;
        let sessions = self.tables.sessions(name)?;

        for session in sessions {
            self.end_session(session)?;
        }
        self.give_token(name, token_hash)?;
        Ok(first)
    }

    /// A bot that may act.
    fn bot(&mut self, name: &str) -> Step<(UserRow, Bot), T> {
        match self.tables.user(name)? {
            Some(row) if row.deleted => Err(no_such_bot(name)),
            Some(row) if row.disabled => {
                Err(refuse(Code::Conflict, format!("the bot {name} is disabled: enable it first")))
            }
            Some(row) => match row.bot.clone() {
                Some(bot) => Ok((row, bot)),
                None => Err(no_such_bot(name)),
            },
            None => Err(no_such_bot(name)),
        }
    }

    fn give_token(&mut self, name: &str, token_hash: &TokenHash) -> Result<(), T::Error> {
        let at = self.take_at()?;
        self.tables.put_session(&SessionRow {
            at,
            token_hash: *token_hash,
            user: name.to_owned(),
            // No request of the bot's own can have an id with a line feed.
            id: format!("{}\n{}", self.command.user, self.command.id),
            op: LoginOp::Bot,
            first_at: at,
            ended: false,
            time: self.time_ms,
            agent: String::new(),
        })
    }
}

fn no_such_bot<E>(name: &str) -> Stop<E> {
    refuse(Code::NotFound, format!("no such bot: {name}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::command::Change;
    use super::super::story::{Story, token};
    use super::*;

    fn create(name: &str, token_name: &str) -> Change {
        let rights = vec!["read".to_owned(), "write".to_owned()];
        Change::CreateBot {
            name: name.into(),
            display: "Robot".into(),
            rights,
            token_hash: token(token_name),
        }
    }

    fn renew(name: &str, token_name: &str) -> Change {
        Change::RenewBotToken { bot: name.into(), token_hash: token(token_name) }
    }

    fn alive(story: &mut Story, token_name: &str) -> bool {
        story.model.session(&token(token_name)).unwrap().is_some_and(|session| !session.ended)
    }

    #[test]
    fn admins_make_bots_and_each_has_one_token() {
        let mut story = Story::new(&["ann", "bob"]);
        assert_eq!(story.code("bob", create("robot", "a")), Code::Forbidden);
        assert_eq!(story.code("ann", create("bob", "a")), Code::Conflict);
        let first = story.ask_as("ann", "make", create("robot", "a")).outcome.unwrap();
        assert!(alive(&mut story, "a"));
        // A repeat, also of the very same command, leaves one token that is good.
        let again = story.ask_as("ann", "make", create("robot", "b")).outcome.unwrap();
        assert_eq!((again.at, again.duplicate), (first.at, true));
        assert!(!alive(&mut story, "a") && alive(&mut story, "b"));
        story.ask_as("ann", "make", create("robot", "b")).outcome.unwrap();
        let late = story.ask_as("ann", "make", create("robot", "a")).outcome.unwrap_err();
        assert_eq!(late.code, Code::Conflict);
        assert!(alive(&mut story, "b"));

        let renewed = story.ok("ann", renew("robot", "c"));
        assert!(matches!(renewed.done, Done::User(user) if user.bot));
        assert!(!alive(&mut story, "b") && alive(&mut story, "c"));
        assert_eq!(story.code("ann", renew("bob", "d")), Code::NotFound);
    }

    #[test]
    fn a_rooms_creator_or_an_admin_makes_its_hooks() {
        let mut story = Story::new(&["ann", "bob", "cleo"]);
        let room = story.room("bob", "private");
        let create = |name: &str, token_name: &str| Change::CreateHook {
            room,
            name: name.into(),
            display: "Builds".into(),
            token_hash: token(token_name),
        };
        assert_eq!(story.code("cleo", create("builds", "a")), Code::NotFound);
        story.ask_as("bob", "make", create("builds", "a")).outcome.unwrap();
        story.ask_as("bob", "make", create("builds", "b")).outcome.unwrap();
        assert!(!alive(&mut story, "a") && alive(&mut story, "b"));
        story.ok("ann", create("alarms", "c"));
        assert!(story.model.members(room).unwrap().contains(&"builds".to_owned()));
        story.send("builds", room, "done");
        let bot = story.model.user("builds").unwrap().unwrap().bot.unwrap();
        assert_eq!(hook_room(&bot.rights), Some(room));

        let delete = |hook: &str| Change::DeleteHook { hook: hook.into() };
        assert_eq!(story.code("cleo", delete("builds")), Code::NotFound);
        assert_eq!(story.code("bob", delete("ann")), Code::NotFound);
        story.ok("bob", delete("alarms"));
        story.ok("ann", delete("builds"));
        assert!(!alive(&mut story, "b") && !alive(&mut story, "c"));
        assert_eq!(story.model.members(room).unwrap(), ["bob"]);
    }

    #[test]
    fn a_bot_acts_as_long_as_its_owner_may() {
        let mut story = Story::new(&["ann", "bob"]);
        story.ok("ann", Change::SetRole { user: "bob".into(), role: Role::Admin });
        story.ok("bob", create("robot", "a"));
        let room = story.room("bob", "public");
        story.ok("robot", Change::Join { room });
        story.send("robot", room, "hello");
        story.ok("ann", Change::SetDisabled { user: "bob".into(), disabled: true });
        assert!(!alive(&mut story, "a"));
        // Another admin takes it over.
        story.ok("ann", renew("robot", "b"));
        assert_eq!(story.model.user("robot").unwrap().unwrap().bot.unwrap().owner, "ann");
        story.ok("ann", Change::DeleteBot { bot: "robot".into() });
        assert!(!alive(&mut story, "b"));
        assert!(!story.model.members(room).unwrap().contains(&"robot".to_owned()));
        assert_eq!(story.code("ann", renew("robot", "c")), Code::NotFound);
        assert_eq!(story.code("ann", create("robot", "c")), Code::Conflict);
        assert_eq!(story.code("robot", Change::Join { room }), Code::Unauthorized);
    }
}
