//! Rooms and who is in them.
//!
//! Who comes or goes is told of the room, those in it of the member, under one `at`. A room's own row is told
//! to those in it: nobody yet at its making.

use super::super::objects::{Event, Role, Room, RoomKind};
use super::super::outcome::{Audience, Code, Done, Outcome};
use super::super::rules;
use super::super::tables::{MemberRow, ReadRow, RoomRow, Tables, UserRow, direct_name};
use super::{Step, Stop, Work, refuse};
use crate::ids::{RoomId, Seq};

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
        let (row, member) = self.room_with_a_door(room, &me)?;
        let (last_seq, _) = self.tables.end(room)?;

        if !member {
            self.let_in(&row, &me.name, last_seq)?;
        }
        self.done_room(&row, &me)
    }

    pub(super) fn leave(&mut self, room: RoomId) -> Step<Outcome, T> {
        let me = self.asker()?;
        let (row, member) = self.room_with_a_door(room, &me)?;

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

    /// Another name or topic, by who made the room or by an admin.
    pub(super) fn set_room(
        &mut self,
        room: RoomId,
        name: Option<&str>,
        topic: Option<&str>,
    ) -> Step<Outcome, T> {
        let me = self.asker()?;
        let row = self.room_in_charge_of(room, &me)?;
        let (name, topic) = (name.unwrap_or(&row.name), topic.unwrap_or(&row.topic));
        if name != row.name && self.tables.room_by_name(name, false)?.is_some() {
            return Err(refuse(Code::Conflict, "a room of this name exists: choose another name"));
        }
        let new = RoomRow { name: name.to_owned(), topic: topic.to_owned(), ..row.clone() };

        if new == row {
            return self.done_room(&row, &me);
        }
        let row = RoomRow { at: self.take_at()?, ..new };
        self.tables.put_room(&row)?;
        let (last_seq, _) = self.tables.end(room)?;
        // Later than any membership, so that it looks the same to all of them.
        let seen = Room { member: true, ..row.seen(None, last_seq) };
        self.tell(Audience::Room, Event::Room(seen));
        self.done_room(&row, &me)
    }

    /// A room, for its creator or an admin to change.
    pub(super) fn room_in_charge_of(&mut self, room: RoomId, me: &UserRow) -> Step<RoomRow, T> {
        let (row, member) = self.room_and_membership(room, me)?;
        let admin = me.role == Role::Admin && row.kind != RoomKind::Direct;
        match row.kind {
            RoomKind::Private | RoomKind::Direct if !member && !admin => Err(no_such_room()),
            RoomKind::Direct => {
                Err(refuse(Code::Forbidden, "a direct conversation has neither name, topic nor hooks"))
            }
            RoomKind::Public | RoomKind::Private if admin || row.creator == me.name => Ok(row),
            RoomKind::Public | RoomKind::Private => {
                Err(refuse(Code::Forbidden, "only the room's creator or an admin changes it"))
            }
        }
    }

    /// The one room of these people, made when it is not there. One that is there is shown also when
    /// somebody in it has deleted the account since.
    pub(super) fn open_direct(&mut self, users: &[String]) -> Step<Outcome, T> {
        let me = self.asker()?;
        let in_order = users.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || !users.contains(&me.name) || !rules::DIRECT_USERS.contains(&users.len()) {
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

    /// A room that one may join or leave, and whether one is in it. A public one can be seen from
    /// outside, so that not being in it is no refusal.
    fn room_with_a_door(&mut self, room: RoomId, me: &UserRow) -> Step<(RoomRow, bool), T> {
        let (row, member) = self.room_and_membership(room, me)?;
        match (row.kind, member) {
            (RoomKind::Direct, true) => Err(direct_stays()),
            (RoomKind::Private | RoomKind::Direct, false) => Err(no_such_room()),
            (RoomKind::Public, _) | (RoomKind::Private, true) => Ok((row, member)),
        }
    }

    pub(super) fn is_member(&mut self, room: RoomId, user: &str) -> Result<bool, T::Error> {
        Ok(self.tables.member(room, user)?.is_some_and(|row| row.member))
    }

    fn check_people(&mut self, names: &[String]) -> Step<(), T> {
        for name in names {
            if self.tables.user(name)?.is_none_or(|row| row.deleted) {
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
    pub(super) fn let_in(&mut self, row: &RoomRow, user: &str, last_seq: Seq) -> Result<(), T::Error> {
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

#[cfg(test)]
mod tests {
    use super::super::super::command::Change;
    use super::super::story::Story;
    use super::*;

    fn seen(outcome: Outcome) -> Room {
        match outcome.done {
            Done::Room(room) => room,
            other => panic!("{other:?}"),
        }
    }

    fn create(name: &str, kind: RoomKind) -> Change {
        Change::CreateRoom { name: name.into(), kind, topic: "t".into() }
    }

    fn invite(room: RoomId, user: &str) -> Change {
        Change::Invite { room, user: user.into() }
    }

    fn remove(room: RoomId, user: &str) -> Change {
        Change::Remove { room, user: user.into() }
    }

    fn direct(users: &[&str]) -> Change {
        Change::OpenDirect { users: users.iter().map(|&user| user.to_owned()).collect() }
    }

    #[test]
    fn whoever_makes_a_room_is_in_it() {
        let mut story = Story::new(&["ann", "bob"]);
        let outcome = story.ok("ann", create("general", RoomKind::Public));
        let (at, room) = (outcome.at, seen(outcome));
        assert_eq!((room.room, room.member, room.last_seq, room.at), (RoomId(1), true, Seq(0), at));
        assert_eq!((room.name.as_str(), room.topic.as_str()), ("general", "t"));
        assert!(room.users.is_empty());
        assert_eq!(story.code("bob", create("general", RoomKind::Private)), Code::Conflict);
        assert_eq!(story.code("bob", create("other", RoomKind::Direct)), Code::BadRequest);
        assert_eq!(seen(story.ok("bob", create("General", RoomKind::Private))).room, RoomId(2));
    }

    #[test]
    fn joining_starts_at_the_last_message_each_time() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        assert_eq!(story.read_seq(room, "ann"), Seq(0));
        story.send("ann", room, "one");
        let outcome = story.ok("bob", Change::Join { room });
        let (at, joined) = (outcome.at, seen(outcome));
        // The membership, then the read mark: each with its own.
        assert_eq!((joined.at.next(), joined.last_seq), (at, Seq(1)));
        assert_eq!(story.read_seq(room, "bob"), Seq(1));
        story.ok("bob", Change::Leave { room });
        story.send("ann", room, "two");
        story.ok("bob", Change::Join { room });
        assert_eq!(story.read_seq(room, "bob"), Seq(2));
    }

    #[test]
    fn leaving() {
        let mut story = Story::new(&["ann", "bob"]);
        let (public, private) = (story.room("ann", "public"), story.room("ann", "private"));
        let left = seen(story.ok("ann", Change::Leave { room: public }));
        assert!(!left.member);
        assert_eq!(left.at, story.model.present());
        story.ok("ann", Change::Leave { room: public });
        assert_eq!(story.code("bob", Change::Leave { room: private }), Code::NotFound);
        story.ok("ann", Change::Leave { room: private });
        for change in [Change::Leave { room: private }, Change::Join { room: private }] {
            assert_eq!(story.code("ann", change), Code::NotFound);
        }
    }

    #[test]
    fn a_private_room_is_entered_by_invitation_of_any_member() {
        let mut story = Story::new(&["admin", "ann", "bob", "cleo"]);
        let room = story.room("ann", "private");
        assert_eq!(story.code("bob", Change::Join { room }), Code::NotFound);
        assert_eq!(story.code("bob", invite(room, "bob")), Code::NotFound);
        assert_eq!(story.code("admin", invite(room, "admin")), Code::NotFound);
        assert_eq!(story.code("ann", invite(room, "nobody")), Code::NotFound);
        story.send("ann", room, "hi");
        story.ok("ann", invite(room, "bob"));
        assert_eq!(story.read_seq(room, "bob"), Seq(1));
        story.ok("bob", invite(room, "cleo"));
        assert!(story.is_member(room, "cleo"));
        story.ok("cleo", Change::DeleteAccount { password_hash: "cleo's".into() });
        assert_eq!(story.code("ann", invite(room, "cleo")), Code::NotFound);
    }

    #[test]
    fn the_creator_or_an_admin_removes() {
        let mut story = Story::new(&["admin", "ann", "bob", "cleo"]);
        let room = story.room("ann", "private");
        assert_eq!(story.code("bob", remove(room, "ann")), Code::NotFound);
        story.ok("ann", invite(room, "bob"));
        story.ok("ann", invite(room, "cleo"));
        assert_eq!(story.code("bob", remove(room, "cleo")), Code::Forbidden);
        assert!(seen(story.ok("ann", remove(room, "cleo"))).member);
        assert!(!story.is_member(room, "cleo"));
        let present = story.model.present();
        assert_eq!(story.ok("ann", remove(room, "cleo")).at, present);
        assert_eq!(story.code("ann", remove(room, "nobody")), Code::NotFound);
        // Also when not in it.
        assert!(!seen(story.ok("admin", remove(room, "ann"))).member);
        assert_eq!(story.code("ann", remove(room, "bob")), Code::NotFound);
    }

    #[test]
    fn nobody_is_removed_from_a_public_room() {
        let mut story = Story::new(&["admin", "ann", "bob"]);
        let room = story.room("ann", "public");
        assert_eq!(story.code("bob", invite(room, "bob")), Code::NotFound);
        story.ok("ann", invite(room, "bob"));
        assert!(story.is_member(room, "bob"));
        for user in ["admin", "ann", "bob"] {
            assert_eq!(story.code(user, remove(room, "bob")), Code::Forbidden);
        }
    }

    #[test]
    fn the_creator_or_an_admin_changes_a_room() {
        let mut story = Story::new(&["admin", "ann", "bob"]);
        let (public, private) = (story.room("ann", "public"), story.room("ann", "private"));
        let direct = story.direct(&["admin", "ann"]);
        let set = |room, name: Option<&str>, topic: Option<&str>| Change::SetRoom {
            room,
            name: name.map(str::to_owned),
            topic: topic.map(str::to_owned),
        };
        let outcome = story.ok("ann", set(private, Some("a"), None));
        let (at, room) = (outcome.at, seen(outcome));
        assert_eq!((room.name.as_str(), room.topic.as_str(), room.member, room.at), ("a", "", true, at));
        assert_eq!(story.code("bob", set(private, Some("b"), None)), Code::NotFound);
        assert_eq!(story.code("bob", set(public, Some("b"), None)), Code::Forbidden);
        assert_eq!(story.code("ann", set(public, Some("a"), None)), Code::Conflict);
        assert_eq!(story.code("ann", set(direct, Some("b"), None)), Code::Forbidden);
        assert_eq!(story.code("bob", set(direct, Some("b"), None)), Code::NotFound);
        assert!(!seen(story.ok("admin", set(private, None, Some("t")))).member);
        let present = story.model.present();
        assert_eq!(story.ok("ann", set(private, Some("a"), Some("t"))).at, present, "nothing changed");
        // A name that was given up is free.
        story.ok("ann", set(private, Some("c"), None));
        story.ok("ann", set(public, Some("a"), None));
        assert_eq!(story.code("ann", create("a", RoomKind::Public)), Code::Conflict);
    }

    #[test]
    fn a_direct_conversation_is_one_for_the_same_people() {
        let mut story = Story::new(&["ann", "bob", "cleo"]);
        let outcome = story.ok("bob", direct(&["ann", "bob"]));
        let (at, room) = (outcome.at, seen(outcome));
        assert_eq!((room.name.as_str(), room.users.len(), room.member), ("", 2, true));
        let again = story.ok("ann", direct(&["ann", "bob"]));
        assert_eq!((again.at, again.duplicate), (at, false));
        assert_eq!(seen(again).room, room.room);
        assert_ne!(seen(story.ok("ann", direct(&["ann", "bob", "cleo"]))).room, room.room);
        story.ok("bob", Change::DeleteAccount { password_hash: "bob's".into() });
        assert_eq!(seen(story.ok("ann", direct(&["ann", "bob"]))).users, ["ann", "bob"]);
        assert_eq!(story.code("cleo", direct(&["bob", "cleo"])), Code::NotFound);
        assert_eq!(story.code("cleo", direct(&["cleo", "nobody"])), Code::NotFound);
        let many = ["a", "b", "c", "cleo", "d", "e", "f", "g", "h", "i"];
        let wrong: [&[&str]; 5] =
            [&["cleo"], &["ann", "bob"], &["cleo", "ann"], &["ann", "ann", "cleo"], &many];
        for users in wrong {
            assert_eq!(story.code("cleo", direct(users)), Code::BadRequest, "{users:?}");
        }
    }

    #[test]
    fn a_direct_conversation_keeps_its_people() {
        let mut story = Story::new(&["admin", "ann", "bob", "cleo"]);
        let room = story.direct(&["ann", "bob"]);
        let changes =
            [Change::Join { room }, Change::Leave { room }, invite(room, "cleo"), remove(room, "bob")];
        for change in changes {
            assert_eq!(story.code("ann", change.clone()), Code::Forbidden);
            assert_eq!(story.code("cleo", change.clone()), Code::NotFound);
            assert_eq!(story.code("admin", change), Code::NotFound);
        }
    }

    #[test]
    fn a_room_that_is_not_there() {
        let mut story = Story::new(&["ann"]);
        let room = RoomId(7);
        let changes =
            [Change::Join { room }, Change::Leave { room }, invite(room, "ann"), remove(room, "ann")];
        for change in changes {
            assert_eq!(story.code("ann", change), Code::NotFound);
        }
    }
}
