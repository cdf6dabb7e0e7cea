//! Bots: the token that is drawn for one, and what its rights let it do.

use std::sync::Arc;

use super::accounts::draw_token;
use super::executor::{Executor, Started, Who, no_such_room, outcome, within};
use super::links::for_admins;
use super::reply::{Answer, ListedBot, ListedHook, Problem, Reply};
use super::request::Op;
use crate::chat::command::{Change, Command, TokenHash};
use crate::chat::objects::User;
use crate::chat::outcome::{Code, Done, Outcome};
use crate::chat::rules;
use crate::chat::tables::{hook_right, hook_room};
use crate::ids::{At, RoomId};
use crate::messages::reading::{Bots, Hidden};

/// To see what people wrote.
pub const READ: &str = "read";
/// To write.
pub const WRITE: &str = "write";

/// What a bot must be allowed to do for an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A right of this name.
    Right(&'static str),
    /// To be a person.
    Person,
}

fn needs(op: &Op) -> Needs {
    match op {
        Op::Ping | Op::Server | Op::Logout => Needs::Nothing,
        Op::FileLink { .. }
        | Op::ListUsers { .. }
        | Op::ListRooms { .. }
        | Op::Members { .. }
        | Op::History { .. }
        | Op::Search(_)
        | Op::Versions { .. }
        | Op::Hello { .. }
        | Op::Change(Change::MarkRead { .. } | Change::Mute { .. }) => Needs::Right(READ),
        Op::Typing { .. }
        | Op::SendFiles(_)
        | Op::Change(
            Change::Send { .. } | Change::Edit { .. } | Change::Delete { .. } | Change::React { .. },
        ) => Needs::Right(WRITE),
        Op::OpenDirect { .. }
        | Op::Change(
            Change::CreateRoom { .. }
            | Change::Join { .. }
            | Change::Leave { .. }
            | Change::Invite { .. }
            | Change::Remove { .. }
            | Change::SetRoom { .. },
        ) => Needs::Right("rooms"),
        _ => Needs::Person,
    }
}

/// Whether somebody with these rights may ask for this; `None`: a person, who may ask for anything.
///
/// # Errors
/// `forbidden`, with what is missing.
pub(super) fn check(rights: Option<&[String]>, op: &Op) -> Result<(), Problem> {
    let Some(rights) = rights else { return Ok(()) };
    if let Op::Change(Change::Send { room, .. }) = op
        && rights.contains(&hook_right(*room))
    {
        return Ok(());
    }
    match needs(op) {
        Needs::Nothing => Ok(()),
        Needs::Right(right) if rights.iter().any(|own| own == right) => Ok(()),
        Needs::Right(right) => Err(lacks(right)),
        Needs::Person => Err(Problem::new(Code::Forbidden, "this is not for bots")),
    }
}

impl Who {
    /// For what is no op: files on their way.
    ///
    /// # Errors
    /// `forbidden` for a bot without this right.
    pub fn check_right(&self, right: &str) -> Result<(), Problem> {
        match &self.rights {
            Some(rights) if rights.iter().all(|own| own != right) => Err(lacks(right)),
            _ => Ok(()),
        }
    }
}

/// Why somebody is not shown what is a room's creator's to `see`.
pub(super) fn hidden(why: Hidden, see: &str) -> Problem {
    match why {
        Hidden::NotInCharge => {
            Problem::new(Code::Forbidden, format!("only the room's creator or an admin may {see}"))
        }
        Hidden::NoSuchRoom => no_such_room(),
    }
}

fn lacks(right: &str) -> Problem {
    Problem::new(Code::Forbidden, format!("this bot has no right to do this: it lacks {right}"))
}

impl Executor {
    pub(super) fn start_bot(
        self: &Arc<Self>,
        who: &Who,
        id: &str,
        change: impl FnOnce(TokenHash) -> Change,
    ) -> Started {
        self.start_with_token(who, id, change, |token, user, at, duplicate| {
            Ok(Answer::Bot { token, user, at, duplicate })
        })
    }

    /// A change for which a token is drawn, that is told with what became of it.
    fn start_with_token(
        self: &Arc<Self>,
        who: &Who,
        id: &str,
        change: impl FnOnce(TokenHash) -> Change,
        answer: impl FnOnce(String, User, At, bool) -> Reply + 'static,
    ) -> Started {
        let start = || {
            self.count_other(&who.user)?;
            let (token, token_hash) = draw_token()?;
            let command = Command { user: who.user.clone(), id: id.to_owned(), change: change(token_hash) };
            Ok((token, self.propose(command)?))
        };
        let (token, asked) = match start() {
            Ok(started) => started,
            Err(problem) => return Started::Now(Err(problem)),
        };
        Started::Later(Box::pin(async move {
            let Outcome { at, duplicate, done } = within(outcome(asked)).await?;
            let Done::User(user) = done else {
                tracing::error!(?done, "a bot was answered with something else");
                return Err(Problem::internal());
            };
            answer(token, user, at, duplicate)
        }))
    }

    pub(super) fn create_hook(
        self: &Arc<Self>,
        who: &Who,
        id: &str,
        room: RoomId,
        name: String,
        display: String,
    ) -> Started {
        let me = Arc::clone(self);
        let change = |token_hash| Change::CreateHook { room, name, display, token_hash };
        self.start_with_token(who, id, change, move |token, user, at, duplicate| {
            let url = format!("{}/api/v1/hooks/{token}", me.public_url()?);
            Ok(Answer::Hook { hook: user.name, url, at, duplicate })
        })
    }

    /// What was posted to a hook, sent to its room.
    ///
    /// # Errors
    /// `not_found` for a token that is no hook's, and those of `send`.
    pub async fn post_to_hook(self: &Arc<Self>, token: &str, id: &str, text: String) -> Reply {
        let nobody = || Problem::new(Code::NotFound, "no such hook: ask for a new address");
        let who = match self.session_of(token).await {
            Ok(admitted) => admitted.who(),
            Err(problem) if problem.code == Code::Unauthorized => return Err(nobody()),
            Err(problem) => return Err(problem),
        };
        let room = hook_room(who.rights.as_deref().unwrap_or_default()).ok_or_else(nobody)?;
        rules::text(&text, self.limits().message_bytes)?;
        match self.start_change(&who, id, Change::Send { room, text, reply_to: None }) {
            Started::Now(reply) => reply,
            Started::Later(later) => later.await,
        }
    }

    pub(super) async fn list_hooks(&self, user: String, room: RoomId) -> Reply {
        let hooks = self.read(&self.ports.bots, |reply| Bots { user, room: Some(room), reply }).await?;
        let hooks = hooks.map_err(|why| hidden(why, "see its hooks"))?.into_iter().filter_map(|row| {
            let (hook, display, disabled) = (row.name, row.display, row.disabled);
            Some(ListedHook { hook, display, owner: row.bot?.owner, disabled })
        });
        Ok(Answer::Hooks { hooks: hooks.collect() })
    }

    pub(super) async fn list_bots(&self, user: String) -> Reply {
        let bots = self.read(&self.ports.bots, |reply| Bots { user, room: None, reply }).await?;
        let bots = bots.map_err(|_| for_admins())?.into_iter().filter_map(|row| {
            let bot = row.bot?;
            let (name, display, disabled) = (row.name, row.display, row.disabled);
            Some(ListedBot { name, display, owner: bot.owner, rights: bot.rights, disabled })
        });
        Ok(Answer::Bots { bots: bots.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seq;

    #[test]
    fn a_bot_does_what_its_rights_say_and_a_person_anything() {
        let room = RoomId(1);
        let send = Op::Change(Change::Send { room, text: "hi".into(), reply_to: None });
        let read = Op::Change(Change::MarkRead { room, seq: Seq(1) });
        let join = Op::Change(Change::Join { room });
        let admin = Op::Change(Change::SetDisabled { user: "ann".into(), disabled: true });
        for (rights, expected) in [
            (vec!["read"], [false, true, false, false]),
            (vec!["write"], [true, false, false, false]),
            (vec!["rooms"], [false, false, true, false]),
            (vec!["read", "rooms", "write"], [true, true, true, false]),
        ] {
            let rights: Vec<String> = rights.into_iter().map(str::to_owned).collect();
            let may = [&send, &read, &join, &admin].map(|op| check(Some(&rights), op).is_ok());
            assert_eq!(may, expected, "{rights:?}");
            assert!(check(Some(&rights), &Op::Ping).is_ok());
            assert!(check(Some(&rights), &Op::ListSessions).is_err());
        }
        let hook = [hook_right(room)];
        assert!(check(Some(&hook), &send).is_ok());
        assert!(check(Some(&[hook_right(RoomId(2))]), &send).is_err());
        assert!([&read, &join].iter().all(|op| check(Some(&hook), op).is_err()));
        assert!(check(None, &admin).is_ok());
    }
}
