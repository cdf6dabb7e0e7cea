//! For tests: a small chat to play in, where every command is checked against what holds for all.

use std::collections::BTreeMap;

use super::super::command::{Change, Command, LoginOp};
use super::super::model::Model;
use super::super::objects::{Event, RoomKind};
use super::super::outcome::{Audience, Code, Done, Effect, Outcome, Refusal};
use super::super::tables::{Row, RowKey, Tables};
use super::apply;
use crate::ids::{RoomId, Seq};

pub struct Story {
    pub model: Model,
    pub time_ms: u64,
    number: u64,
}

impl Story {
    /// A chat with these accounts; the first is its admin. Each has the password hash `NAME's` and the
    /// token [`token`]`(NAME)`, from the request `register-NAME`.
    pub fn new(names: &[&str]) -> Self {
        let mut story = Self { model: Model::default(), time_ms: 1000, number: 0 };
        for name in names {
            story.ask_as(name, &format!("register-{name}"), registration(name)).outcome.unwrap();
        }
        story
    }

    pub fn ask_as(&mut self, user: &str, id: &str, change: Change) -> Effect {
        checked(&mut self.model, self.time_ms, &Command { user: user.into(), id: id.into(), change })
    }

    pub fn ask(&mut self, user: &str, change: Change) -> Effect {
        self.number += 1;
        self.ask_as(user, &format!("request-{}", self.number), change)
    }

    pub fn ok(&mut self, user: &str, change: Change) -> Outcome {
        self.ask(user, change).outcome.unwrap()
    }

    pub fn refused(&mut self, user: &str, change: Change) -> Refusal {
        self.ask(user, change).outcome.unwrap_err()
    }

    pub fn code(&mut self, user: &str, change: Change) -> Code {
        self.refused(user, change).code
    }

    pub fn room(&mut self, user: &str, kind: &str) -> RoomId {
        let kind = if kind == "public" { RoomKind::Public } else { RoomKind::Private };
        self.number += 1;
        let name = format!("room {}", self.number);
        match self.ok(user, Change::CreateRoom { name, kind, topic: String::new() }).done {
            Done::Room(room) => room.room,
            other => panic!("{other:?}"),
        }
    }

    pub fn direct(&mut self, users: &[&str]) -> RoomId {
        let users = users.iter().map(|&user| user.to_owned()).collect::<Vec<_>>();
        match self.ok(&users[0].clone(), Change::OpenDirect { users }).done {
            Done::Room(room) => room.room,
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, user: &str, room: RoomId, text: &str) -> Seq {
        match self.ok(user, Change::Send { room, text: text.into(), reply_to: None }).done {
            Done::Sent { seq, .. } => seq,
            other => panic!("{other:?}"),
        }
    }

    pub fn is_member(&mut self, room: RoomId, user: &str) -> bool {
        self.model.member(room, user).unwrap().is_some_and(|row| row.member)
    }

    pub fn read_seq(&mut self, room: RoomId, user: &str) -> Seq {
        self.model.read(room, user).unwrap().map_or(Seq(0), |row| row.seq)
    }
}

pub fn registration(name: &str) -> Change {
    registration_by(name, None)
}

/// The same with the link of this [`token`].
pub fn registration_by(name: &str, link: Option<&str>) -> Change {
    Change::Register {
        display: name.to_uppercase(),
        password_hash: format!("{name}'s"),
        token_hash: token(name),
        first_is_admin: true,
        link: link.map(token),
        closed: false,
        agent: None,
    }
}

pub fn login(name: &str, token_name: &str, op: LoginOp) -> Change {
    Change::Login { token_hash: token(token_name), password_hash: format!("{name}'s"), op, agent: None }
}

pub fn token(name: &str) -> [u8; 32] {
    let mut token = [0; 32];
    token[..name.len()].copy_from_slice(name.as_bytes());
    token
}

/// Applies, and checks what holds for every command: a refusal and a repeat leave no trace, each changed
/// row has an `at` of its own, and each is told to whom it must be told and to nobody else.
pub fn checked(model: &mut Model, time_ms: u64, command: &Command) -> Effect {
    let before = model.clone();
    let effect = apply(model, time_ms, command).unwrap();
    // A repeat of these gives another secret.
    let renews = matches!(
        command.change,
        Change::Login { .. }
            | Change::CreateInvite { .. }
            | Change::ResetPassword { .. }
            | Change::Appoint { .. }
            | Change::CreateBot { .. }
            | Change::CreateHook { .. }
    );
    let outcome = match &effect.outcome {
        Ok(outcome) if !outcome.duplicate || renews => outcome,
        _ => {
            assert!(*model == before, "a refusal or repeat wrote something: {command:?}");
            assert!(effect.notices.is_empty() && effect.ended.is_empty());
            return effect;
        }
    };

    let old: BTreeMap<_, _> = before.rows().into_iter().map(|row| (row.key(), row)).collect();
    let mut changed: Vec<_> =
        model.rows().into_iter().filter(|row| old.get(&row.key()) != Some(row)).collect();
    changed.sort_by_key(Row::at);
    if !outcome.duplicate {
        let only_remembered = changed.iter().all(|row| matches!(row, Row::Outcome(_)));
        let told = if only_remembered { before.present() } else { model.present() };
        assert_eq!(outcome.at, told, "{command:?}");
    }
    let (files, changed): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|row| matches!(row, Row::Attachment(_)));
    let (memories, rows): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|row| matches!(row, Row::Outcome(_)));
    for file in files {
        let theirs = |row: &Row| match (row, &file) {
            (Row::Message(message), Row::Attachment(file)) => {
                let message = &message.message;
                let there = message.files.iter().any(|held| held.file == file.file);
                (message.at, message.room, message.seq, there) == (file.at, file.room, file.seq, !file.gone)
            }
            _ => false,
        };
        assert!(rows.iter().any(theirs), "a file comes and goes with its message: {command:?}");
    }
    assert!(memories.len() <= 1, "one memory, of what was done: {command:?}");
    let is_mark = matches!(command.change, Change::MarkRead { .. });
    for row in &memories {
        assert_eq!(row.at(), model.present());
        assert!(is_mark || !old.contains_key(&row.key()), "of marks alone the last is kept: {command:?}");
    }
    let (versions, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| matches!(row, Row::Version(_)));
    for row in versions {
        let RowKey::Version(room, seq, _) = row.key() else { unreachable!() };
        let message = rows.iter().find(|of| of.key() == RowKey::Message(room, seq));
        assert_eq!(message.map(Row::at), Some(row.at()), "it is part of its message's change: {command:?}");
    }
    let of_its_own = if rows.is_empty() { &memories } else { &rows };
    let ats: Vec<_> = of_its_own.iter().map(|row| row.at().0).collect();
    let taken: Vec<_> = (before.present().0 + 1..=model.present().0).collect();
    assert_eq!(ats, taken, "each row takes one: {command:?}");

    let mut ended = Vec::new();
    let mut notices = effect.notices.iter();
    for row in &rows {
        let at = row.at();
        let mut next = || {
            let notice = notices.next().expect("a notice for each row");
            assert_eq!(notice.event.at(), at);
            (&notice.audience, &notice.event)
        };
        match row {
            Row::User(row) => match next() {
                (Audience::Everybody, Event::User(event)) => assert_eq!(event.user, row.seen()),
                other => panic!("{other:?}"),
            },
            Row::Member(row) => {
                match next() {
                    (Audience::User(user), Event::Room(room)) => {
                        assert_eq!((user, room.room, room.member), (&row.user, row.room, row.member));
                    }
                    other => panic!("{other:?}"),
                }
                match next() {
                    (Audience::RoomWithout(without), Event::Member { room, user, member, .. }) => {
                        assert_eq!((without, user), (&row.user, &row.user));
                        assert_eq!((*room, *member), (row.room, row.member));
                    }
                    other => panic!("{other:?}"),
                }
            }
            Row::Read(row) => match next() {
                (Audience::User(to), Event::Read { room, user, seq, .. }) => {
                    assert_eq!((to, user, *room, *seq), (&row.user, &row.user, row.room, row.seq));
                }
                other => panic!("{other:?}"),
            },
            Row::Mute(row) => match next() {
                (Audience::User(to), Event::Mute { room, muted, .. }) => {
                    assert_eq!((to, *room, *muted), (&row.user, row.room, row.muted));
                }
                other => panic!("{other:?}"),
            },
            Row::Message(row) => match next() {
                (Audience::Room, Event::Message(message)) => assert_eq!(*message, row.message),
                other => panic!("{other:?}"),
            },
            // Nobody is in a room yet when it is made.
            Row::Room(row) if old.contains_key(&RowKey::Room(row.room)) => match next() {
                (Audience::Room, Event::Room(room)) => {
                    assert_eq!((room.room, room.member, room.at), (row.room, true, row.at));
                    assert_eq!((&room.name, &room.topic), (&row.name, &row.topic));
                }
                other => panic!("{other:?}"),
            },
            Row::Session(row) if row.ended => ended.push(row.token_hash),
            Row::Room(_)
            | Row::Session(_)
            | Row::Outcome(_)
            | Row::Version(_)
            | Row::Link(_)
            | Row::Setting(_)
            | Row::Attachment(_)
            | Row::Subscription(_) => {}
        }
    }
    assert!(notices.next().is_none(), "no notice without its row");
    assert!(effect.ended.iter().map(|session| session.token_hash).eq(ended));
    effect
}
