//! Rooms and who is in them.
//!
//! A room's own row changes only at its making, when nobody is in it yet: so all that people are told
//! here are memberships. Who comes or goes is told of the room, those in it of the member, under one `at`.

use super::super::objects::{Event, Role, Room, RoomKind};
use super::super::outcome::{Audience, Code, Done, Outcome};
use super::super::tables::{MemberRow, ReadRow, RoomRow, Tables, UserRow, direct_name};
use super::{Step, Stop, Work, refuse};
use crate::ids::{RoomId, Seq};

/// The most people in a direct conversation, the asker included.
pub const DIRECT_USERS_MAX: usize = 9;

impl<T: Tables> Work<'_, T> {
    pub(super) fn create_room(&mut self, name: &str, kind: RoomKind, topic: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        if kind == RoomKind::Direct {
            return Err(refuse(
                Code::BadRequest,
                "kind must be public or private: open_direct is for direct ones",
            ));
        }
        if self.tables.room_by_name(name, false)?.is_some() {
            return Err(refuse(Code::Conflict, "a room of this name exists: choose another name"));
        }

        let row = self.put_new_room(name.to_owned(), kind, topic)?;
        self.put_member(&row, &me.name, true)?;
        self.done_room(&row, &me)
    }

    pub(super) fn join(&mut self, room: RoomId) -> Step<Outcome, T> {
        let me = self.asker()?;
        let (row, member) = self.room_and_membership(room, &me)?;
        match (row.kind, member) {
            (RoomKind::Direct, true) => return Err(direct_stays()),
            (RoomKind::Public, _) | (RoomKind::Private, true) => {}
            (RoomKind::Private | RoomKind::Direct, false) => return Err(no_such_room()),
        }
        let (last_seq, _) = self.tables.end(room)?;

        if !member {
            self.let_in(&row, &me.name, last_seq)?;
        }
        self.done_room(&row, &me)
    }

    pub(super) fn leave(&mut self, room: RoomId) -> Step<Outcome, T> {
        let me = self.asker()?;
        let (row, member) = self.room_and_membership(room, &me)?;
        match (row.kind, member) {
            (RoomKind::Direct, true) => return Err(direct_stays()),
            // A public room can be seen from outside: not being in it is what was asked for.
            (RoomKind::Public, _) | (RoomKind::Private, true) => {}
            (RoomKind::Private | RoomKind::Direct, false) => return Err(no_such_room()),
        }

        if member {
            self.put_member(&row, &me.name, false)?;
        }
        self.done_room(&row, &me)
    }

    /// Any member brings in others, also into a public room.
    pub(super) fn invite(&mut self, room: RoomId, user: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        let (row, member) = self.room_and_membership(room, &me)?;
        if !member {
            return Err(no_such_room());
        }
        if row.kind == RoomKind::Direct {
            return Err(direct_stays());
        }
        self.check_people(&[user.to_owned()])?;
        let already = self.is_member(room, user)?;
        let (last_seq, _) = self.tables.end(room)?;

        if !already {
            self.let_in(&row, user, last_seq)?;
        }
        self.done_room(&row, &me)
    }

    /// Only from private rooms: into a public one the person would walk back.
    pub(super) fn remove(&mut self, room: RoomId, user: &str) -> Step<Outcome, T> {
        let me = self.asker()?;
        let (row, member) = self.room_and_membership(room, &me)?;
        // An admin may also when not in the room: somebody must be able to when its creator has gone.
        let admin = me.role == Role::Admin && row.kind != RoomKind::Direct;
        if !member && !admin {
            return Err(no_such_room());
        }
        match row.kind {
            RoomKind::Direct => return Err(direct_stays()),
            RoomKind::Public => {
                return Err(refuse(Code::Forbidden, "people are removed from private rooms only"));
            }
            RoomKind::Private => {}
        }
        if !admin && row.creator != me.name {
            return Err(refuse(Code::Forbidden, "only the room's creator or an admin removes people"));
        }
        if self.tables.user(user)?.is_none() {
            return Err(no_such_user(user));
        }
        let there = self.is_member(room, user)?;

        if there {
            self.put_member(&row, user, false)?;
        }
        self.done_room(&row, &me)
    }

    /// The one room of these people, made when it is not there. One that is there is shown also when
    /// somebody in it has deleted the account since.
    pub(super) fn open_direct(&mut self, users: &[String]) -> Step<Outcome, T> {
        let me = self.asker()?;
        let in_order = users.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || !users.contains(&me.name) || !(2..=DIRECT_USERS_MAX).contains(&users.len()) {
            return Err(refuse(Code::BadRequest, "users must name 1 to 8 other people"));
        }
        let name = direct_name(users);
        if let Some(row) = self.tables.room_by_name(&name, true)? {
            return self.done_room(&row, &me);
        }
        self.check_people(users)?;

        let row = self.put_new_room(name, RoomKind::Direct, "")?;
        for user in users {
            self.put_member(&row, user, true)?;
        }
        self.done_room(&row, &me)
    }

    /// The room of which the asker must be a member to know of it.
    pub(super) fn my_room(&mut self, room: RoomId, me: &UserRow) -> Step<RoomRow, T> {
        match self.room_and_membership(room, me)? {
            (row, true) => Ok(row),
            (_, false) => Err(no_such_room()),
        }
    }

    fn room_and_membership(&mut self, room: RoomId, me: &UserRow) -> Step<(RoomRow, bool), T> {
        let Some(row) = self.tables.room(room)? else { return Err(no_such_room()) };
        let member = self.is_member(room, &me.name)?;
        Ok((row, member))
    }

    fn is_member(&mut self, room: RoomId, user: &str) -> Result<bool, T::Error> {
        Ok(self.tables.member(room, user)?.is_some_and(|row| row.member))
    }

    fn check_people(&mut self, names: &[String]) -> Step<(), T> {
        for name in names {
            if !self.tables.user(name)?.is_some_and(|row| !row.deleted) {
                return Err(no_such_user(name));
            }
        }
        Ok(())
    }

    /// Nobody is told: the members are yet to come.
    fn put_new_room(&mut self, name: String, kind: RoomKind, topic: &str) -> Result<RoomRow, T::Error> {
        let room = self.tables.last_room()?.next();
        let creator = self.command.user.clone();
        let row = RoomRow { at: self.take_at()?, room, name, kind, topic: topic.to_owned(), creator };
        self.tables.put_room(&row)?;
        Ok(row)
    }

    /// Makes somebody a member who has read what was written before.
    fn let_in(&mut self, row: &RoomRow, user: &str, last_seq: Seq) -> Result<(), T::Error> {
        self.put_member(row, user, true)?;
        self.put_read(row.room, user, last_seq)
    }

    pub(super) fn put_member(&mut self, room: &RoomRow, user: &str, member: bool) -> Result<(), T::Error> {
        let at = self.take_at()?;
        self.tables.put_member(&MemberRow { at, room: room.room, user: user.to_owned(), member })?;
        let seen = self.seen(room, user)?;
        self.tell(Audience::User(user.to_owned()), Event::Room(seen));
        let news = Event::Member { at, room: room.room, user: user.to_owned(), member };
        self.tell(Audience::RoomWithout(user.to_owned()), news);
        Ok(())
    }

    /// Moves a read mark forward; nothing happens when it is there already.
    pub(super) fn put_read(&mut self, room: RoomId, user: &str, seq: Seq) -> Result<(), T::Error> {
        let so_far = self.tables.read(room, user)?.map_or(Seq(0), |row| row.seq);
        if seq <= so_far {
            return Ok(());
        }
        let at = self.take_at()?;
        self.tables.put_read(&ReadRow { at, room, user: user.to_owned(), seq })?;
        let news = Event::Read { at, room, user: user.to_owned(), seq };
        self.tell(Audience::User(user.to_owned()), news);
        Ok(())
    }

    fn done_room(&mut self, row: &RoomRow, me: &UserRow) -> Step<Outcome, T> {
        let seen = self.seen(row, &me.name)?;
        self.done(Done::Room(seen))
    }

    fn seen(&mut self, row: &RoomRow, user: &str) -> Result<Room, T::Error> {
        let member = self.tables.member(row.room, user)?;
        let (last_seq, _) = self.tables.end(row.room)?;
        Ok(row.seen(member.as_ref(), last_seq))
    }
}

fn no_such_room<E>() -> Stop<E> {
    refuse(Code::NotFound, "no such room, or not one of yours")
}

fn no_such_user<E>(name: &str) -> Stop<E> {
    refuse(Code::NotFound, format!("no such user: {name}"))
}

fn direct_stays<E>() -> Stop<E> {
    refuse(Code::Forbidden, "a direct conversation always has the same people: open another with open_direct")
}
