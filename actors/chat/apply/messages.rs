//! Messages, reactions and read marks.

use std::collections::{BTreeMap, BTreeSet};

use super::super::objects::{Event, Message, Role};
use super::super::outcome::{Audience, Code, Done, Outcome, Refusal};
use super::super::tables::{MessageRow, Tables};
use super::{Step, Stop, Work, refuse};
use crate::ids::{At, RoomId, Seq};

/// How many different emoji one message may gather.
pub const EMOJI_MAX: usize = 64;

impl<T: Tables> Work<'_, T> {
    /// A reply may name a deleted message: it has its place still, and whoever answers it may not know yet.
    pub(super) fn send(&mut self, room: RoomId, text: &str, reply_to: Option<Seq>) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        if let Some(seq) = reply_to {
            self.message(room, seq)?;
        }
        let (end, last_time) = self.tables.end(room)?;

        let message = Message {
            at: At(0),
            room,
            seq: end.next(),
            id: self.command.id.clone(),
            from: me.name,
            text: text.to_owned(),
            // Leaders' clocks differ; a room's time never runs backwards.
            time: self.time_ms.max(last_time),
            version: 1,
            edited: false,
            deleted: false,
            reply_to,
            reactions: BTreeMap::new(),
            files: Vec::new(),
        };
        let done = Done::Sent { seq: message.seq, time: message.time };
        let at = self.take_at()?;
        self.put_message(at, MessageRow { message, digest: self.digest, sent_at: at })?;
        self.unremembered(done)
    }

    pub(super) fn edit(
        &mut self,
        room: RoomId,
        seq: Seq,
        text: &str,
        version: Option<u64>,
    ) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        let mut row = self.message(room, seq)?;
        if row.message.from != me.name {
            return Err(refuse(Code::Forbidden, "only one's own messages can be edited"));
        }
        if row.message.deleted {
            return Err(conflict("this message is deleted", row.message));
        }
        if version.is_some_and(|version| version != row.message.version) {
            return Err(conflict("this message has changed: look at it and edit again", row.message));
        }

        if row.message.text != text {
            row.message.text = text.to_owned();
            row.message.version += 1;
            row.message.edited = true;
            let version = row.message.version;
            let at = self.take_at()?;
            self.put_message(at, row)?;
            return self.done(Done::Edited { version });
        }
        self.done(Done::Edited { version: row.message.version })
    }

    pub(super) fn delete(&mut self, room: RoomId, seqs: &[Seq]) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        let mut rows = Vec::new();
        for seq in seqs.iter().copied().collect::<BTreeSet<_>>() {
            let row = self.message(room, seq)?;
            if row.message.from != me.name && me.role != Role::Admin {
                return Err(refuse(Code::Forbidden, "only one's own messages can be deleted"));
            }
            rows.push(row);
        }

        for mut row in rows.into_iter().filter(|row| !row.message.deleted) {
            row.message.text.clear();
            row.message.reactions.clear();
            row.message.files.clear();
            row.message.version += 1;
            row.message.deleted = true;
            let at = self.take_at()?;
            self.put_message(at, row)?;
        }
        self.done(Done::Plain)
    }

    /// A reaction leaves `version` as it is: it is no reason to refuse somebody's edit.
    pub(super) fn react(&mut self, room: RoomId, seq: Seq, emoji: &str, on: bool) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        let mut row = self.message(room, seq)?;
        if row.message.deleted {
            return Err(conflict("this message is deleted", row.message));
        }
        let reactions = &mut row.message.reactions;
        let is_on = reactions.get(emoji).is_some_and(|users| users.contains(&me.name));
        if is_on == on {
            return self.done(Done::Plain);
        }
        if on && !reactions.contains_key(emoji) && reactions.len() >= EMOJI_MAX {
            return Err(refuse(
                Code::Conflict,
                format!("this message has {EMOJI_MAX} emoji already: use one of them"),
            ));
        }

        let users = reactions.entry(emoji.to_owned()).or_default();
        match users.binary_search(&me.name) {
            Err(place) => users.insert(place, me.name),
            Ok(place) => {
                users.remove(place);
            }
        }
        if users.is_empty() {
            reactions.remove(emoji);
        }
        let at = self.take_at()?;
        self.put_message(at, row)?;
        self.done(Done::Plain)
    }

    /// Naturally idempotent, so not remembered.
    pub(super) fn mark_read(&mut self, room: RoomId, seq: Seq) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        let (end, _) = self.tables.end(room)?;

        self.put_read(room, &me.name, seq.min(end))?;
        self.unremembered(Done::Plain)
    }

    fn message(&mut self, room: RoomId, seq: Seq) -> Step<MessageRow, T> {
        let row = self.tables.message(room, seq)?;
        row.ok_or_else(|| refuse(Code::NotFound, format!("no message {seq} in this room")))
    }

    /// Writes a message as of `at` and tells the room.
    fn put_message(&mut self, at: At, mut row: MessageRow) -> Result<(), T::Error> {
        row.message.at = at;
        self.tables.put_message(&row)?;
        self.tell(Audience::Room, Event::Message(row.message));
        Ok(())
    }
}

/// Something else came first; shows the message as it is.
fn conflict<E>(message: &str, current: Message) -> Stop<E> {
    Stop::Refused(Refusal { current: Some(Box::new(current)), ..Refusal::new(Code::Conflict, message) })
}
