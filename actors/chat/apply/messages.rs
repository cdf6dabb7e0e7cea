//! Messages, reactions and read marks.

use std::collections::{BTreeMap, BTreeSet};

use super::super::command::{Attached, LEVEL_REMEMBERS_ALL, LEVEL_REMEMBERS_MARKS};
use super::super::objects::{Event, Message, Role};
use super::super::outcome::{Audience, Code, Done, Outcome, Refusal};
use super::super::tables::{MessageRow, MuteRow, Tables, VersionRow};
use super::{Step, Stop, Work, id_in_use, refuse};
use crate::ids::{At, RoomId, Seq};

/// How many different emoji one message may gather.
pub const EMOJI_MAX: usize = 64;
/// How many versions of one message are kept, the present one among them.
pub const VERSIONS_MAX: u64 = 100;

impl<T: Tables> Work<'_, T> {
    /// A reply may name a deleted message: it has its place still, and whoever answers it may not know yet.
    pub(super) fn send(
        &mut self,
        room: RoomId,
        text: &str,
        reply_to: Option<Seq>,
        files: &[Attached],
    ) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        if let Some(seq) = reply_to {
            self.message(room, seq)?;
        }
        let files = files.iter().map(|file| self.attachable(&me.name, file)).collect::<Result<_, _>>()?;
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
            files,
        };
        let done = Done::Sent { seq: message.seq, time: message.time };
        let at = self.take_at()?;
        self.put_attachments(at, &message, false)?;
        self.put_message(at, MessageRow { message, digest: self.digest, sent_at: at })?;
        self.unremembered(done)
    }

    /// `keep`: also what it said before.
    pub(super) fn edit(
        &mut self,
        (room, seq): (RoomId, Seq),
        text: &str,
        version: Option<u64>,
        keep: bool,
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
            let before = row.message.clone();
            row.message.text = text.to_owned();
            row.message.version += 1;
            row.message.edited = true;
            let version = row.message.version;
            let at = self.take_at()?;
            if keep {
                self.keep_versions(at, before, text)?;
            }
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
            let at = self.take_at()?;
            self.put_attachments(at, &row.message, true)?;
            row.message.text.clear();
            row.message.reactions.clear();
            row.message.files.clear();
            row.message.version += 1;
            row.message.deleted = true;
            for kept in self.tables.versions(row.message.room, row.message.seq)? {
                self.forget_version(at, kept)?;
            }
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

    /// Before every mark was remembered, of a user's in a room the last alone was. It is looked for still: its
    /// repeat may come when all of them are.
    pub(super) fn mark_read(&mut self, room: RoomId, seq: Seq) -> Step<Outcome, T> {
        let me = self.asker()?;
        // No client's id: those are printable.
        let kept_as = format!("\u{1}read {room}");
        if self.level >= LEVEL_REMEMBERS_ALL
            && let Some(row) = self.tables.outcome(&me.name, &kept_as)?
            && row.outcome.done == self.marked()
        {
            return Err(match row.digest == self.digest {
                true => Stop::Repeated(Outcome { duplicate: true, ..row.outcome }),
                false => id_in_use(),
            });
        }
        self.my_room(room, &me)?;
        let (end, _) = self.tables.end(room)?;

        self.put_read(room, &me.name, seq.min(end))?;
        match self.level {
            LEVEL_REMEMBERS_MARKS.. => self.done(Done::Plain),
            LEVEL_REMEMBERS_ALL.. => self.remembered_as(kept_as, self.marked()),
            _ => self.unremembered(Done::Plain),
        }
    }

    fn marked(&self) -> Done {
        Done::Marked { id: self.command.id.clone() }
    }

    pub(super) fn mute(&mut self, room: RoomId, on: bool) -> Step<Outcome, T> {
        let me = self.asker()?;
        self.my_room(room, &me)?;
        let muted = self.tables.mute(room, &me.name)?.is_some_and(|row| row.muted);

        if muted != on {
            self.put_mute(room, &me.name, on)?;
        }
        self.done(Done::Plain)
    }

    pub(super) fn put_mute(&mut self, room: RoomId, user: &str, muted: bool) -> Result<(), T::Error> {
        let at = self.take_at()?;
        self.tables.put_mute(&MuteRow { at, room, user: user.to_owned(), muted })?;
        self.tell(Audience::User(user.to_owned()), Event::Mute { at, room, muted });
        Ok(())
    }

    /// Writes down what a message said, and what it says from now on. Both: of the last version only this
    /// tells when it was written.
    fn keep_versions(&mut self, at: At, before: Message, text: &str) -> Result<(), T::Error> {
        let Message { room, seq, version, text: old, time, .. } = before;
        let (text, gone) = (text.to_owned(), false);
        let kept = self.tables.version(room, seq, version)?;
        let time = kept.as_ref().map_or(time, |kept| kept.time);
        if kept.is_none() {
            self.tables.put_version(&VersionRow { at, room, seq, version, text: old, time, gone })?;
        }
        let (version, time) = (version + 1, self.time_ms.max(time));
        self.tables.put_version(&VersionRow { at, room, seq, version, text, time, gone })?;
        if let Some(oldest) = version.checked_sub(VERSIONS_MAX)
            && let Some(kept) = self.tables.version(room, seq, oldest)?
        {
            self.forget_version(at, kept)?;
        }
        Ok(())
    }

    fn forget_version(&mut self, at: At, kept: VersionRow) -> Result<(), T::Error> {
        if kept.gone {
            return Ok(());
        }
        self.tables.put_version(&VersionRow { at, text: String::new(), gone: true, ..kept })
    }

    fn message(&mut self, room: RoomId, seq: Seq) -> Step<MessageRow, T> {
        let row = self.tables.message(room, seq)?;
        row.ok_or_else(|| refuse(Code::NotFound, format!("no message {seq} in this room")))
    }

    /// Writes a message as of `at` and tells the room.
    pub(super) fn put_message(&mut self, at: At, mut row: MessageRow) -> Result<(), T::Error> {
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

#[cfg(test)]
mod tests {
    use super::super::super::command::{Change, Command, LEVEL_REMEMBERS_ALL};
    use super::super::story::Story;
    use super::super::{Stamp, apply_as};
    use super::*;

    fn send(room: RoomId, reply_to: u64) -> Change {
        Change::Send { room, text: "hi".into(), reply_to: Some(Seq(reply_to)) }
    }

    fn edit(room: RoomId, seq: u64, text: &str, version: Option<u64>) -> Change {
        Change::Edit { room, seq: Seq(seq), text: text.into(), version, keep: true }
    }

    fn delete(room: RoomId, seqs: &[u64]) -> Change {
        Change::Delete { room, seqs: seqs.iter().copied().map(Seq).collect() }
    }

    fn react(room: RoomId, seq: u64, emoji: &str, on: bool) -> Change {
        Change::React { room, seq: Seq(seq), emoji: emoji.into(), on }
    }

    fn mark(room: RoomId, seq: u64) -> Change {
        Change::MarkRead { room, seq: Seq(seq) }
    }

    fn message(story: &mut Story, room: RoomId, seq: u64) -> Message {
        story.model.message(room, Seq(seq)).unwrap().unwrap().message
    }

    #[test]
    fn a_message_is_sent() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        let effect = story.ask_as("ann", "x", Change::Send { room, text: "hi".into(), reply_to: None });
        let outcome = effect.outcome.unwrap();
        assert_eq!(outcome.done, Done::Sent { seq: Seq(1), time: 1000 });
        let sent = message(&mut story, room, 1);
        assert_eq!((sent.at, sent.id.as_str(), sent.from.as_str()), (outcome.at, "x", "ann"));
        assert_eq!((sent.version, sent.edited, sent.deleted, sent.reply_to), (1, false, false, None));
        assert_eq!(story.code("bob", send(room, 1)), Code::NotFound);
    }

    #[test]
    fn each_room_counts_for_itself_and_its_time_never_runs_backwards() {
        let mut story = Story::new(&["ann"]);
        let (one, other) = (story.room("ann", "public"), story.room("ann", "public"));
        story.send("ann", one, "a");
        story.time_ms = 500;
        assert_eq!(story.send("ann", one, "b"), Seq(2));
        assert_eq!(story.send("ann", other, "c"), Seq(1));
        assert_eq!(message(&mut story, one, 2).time, 1000);
        assert_eq!(message(&mut story, other, 1).time, 500);
    }

    #[test]
    fn a_reply_names_a_message_of_that_room() {
        let mut story = Story::new(&["ann"]);
        let (one, other) = (story.room("ann", "public"), story.room("ann", "public"));
        story.send("ann", one, "a");
        for (room, seq) in [(one, 0), (one, 2), (other, 1)] {
            assert_eq!(story.code("ann", send(room, seq)), Code::NotFound);
        }
        story.ok("ann", delete(one, &[1]));
        story.ok("ann", send(one, 1));
        assert_eq!(message(&mut story, one, 2).reply_to, Some(Seq(1)));
    }

    #[test]
    fn editing_ones_own() {
        let mut story = Story::new(&["admin", "ann"]);
        let room = story.room("ann", "public");
        story.ok("admin", Change::Join { room });
        story.send("ann", room, "a");
        assert_eq!(story.code("admin", edit(room, 1, "b", None)), Code::Forbidden);
        assert_eq!(story.code("ann", edit(room, 2, "b", None)), Code::NotFound);
        let outcome = story.ok("ann", edit(room, 1, "b", Some(1)));
        assert_eq!(outcome.done, Done::Edited { version: 2 });
        let edited = message(&mut story, room, 1);
        assert_eq!((edited.text.as_str(), edited.version, edited.edited), ("b", 2, true));
        assert_eq!((edited.at, edited.time), (outcome.at, 1000));

        let late = story.refused("ann", edit(room, 1, "c", Some(1)));
        assert_eq!((late.code, late.current), (Code::Conflict, Some(Box::new(edited))));
        assert_eq!(story.ok("ann", edit(room, 1, "b", None)).done, Done::Edited { version: 2 });
        assert_eq!(story.ok("ann", edit(room, 1, "c", None)).done, Done::Edited { version: 3 });
    }

    #[test]
    fn a_repeated_send_is_told_the_same_after_an_edit() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        let send = Change::Send { room, text: "a".into(), reply_to: None };
        let first = story.ask_as("ann", "x", send.clone()).outcome.unwrap();
        story.ok("ann", edit(room, 1, "b", None));
        story.ok("ann", delete(room, &[1]));
        let again = story.ask_as("ann", "x", send).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first });
    }

    #[test]
    fn deleting_all_or_none() {
        let mut story = Story::new(&["admin", "ann", "bob"]);
        let room = story.room("ann", "public");
        story.ok("bob", Change::Join { room });
        for (user, text) in [("ann", "a"), ("bob", "b"), ("ann", "c"), ("ann", "d")] {
            story.send(user, room, text);
        }
        story.ok("bob", react(room, 1, "+", true));
        assert_eq!(story.code("ann", delete(room, &[1, 2])), Code::Forbidden);
        assert_eq!(story.code("ann", delete(room, &[1, 9])), Code::NotFound);
        assert_eq!(story.code("admin", delete(room, &[1])), Code::NotFound);
        let before = story.model.present().0;
        assert_eq!(story.ok("ann", delete(room, &[4, 1, 3, 1])).at.0, before + 3);
        let gone = message(&mut story, room, 1);
        assert_eq!((gone.text.as_str(), gone.version, gone.deleted), ("", 2, true));
        assert!(gone.reactions.is_empty());
        assert_eq!(story.ok("ann", delete(room, &[1])).at.0, before + 3);

        for change in [edit(room, 1, "x", None), react(room, 1, "+", true), react(room, 1, "+", false)] {
            assert_eq!(story.code("ann", change), Code::Conflict);
        }
        story.ok("admin", Change::Join { room });
        story.ok("admin", delete(room, &[1, 2]));
        assert!(message(&mut story, room, 2).deleted);
    }

    fn said(story: &mut Story, room: RoomId, seq: u64) -> Vec<(u64, String, bool)> {
        let rows = story.model.versions(room, Seq(seq)).unwrap();
        rows.into_iter().map(|row| (row.version, row.text, row.gone)).collect()
    }

    fn kept(versions: &[(u64, &str)]) -> Vec<(u64, String, bool)> {
        versions.iter().map(|(version, text)| (*version, (*text).to_owned(), false)).collect()
    }

    #[test]
    fn what_a_message_said_is_kept_until_it_is_deleted() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.send("ann", room, "one");
        story.ok("ann", edit(room, 1, "one", None));
        assert_eq!(said(&mut story, room, 1), []);
        story.ok("ann", edit(room, 1, "two", None));
        story.ok("ann", edit(room, 1, "three", None));
        assert_eq!(said(&mut story, room, 1), kept(&[(1, "one"), (2, "two"), (3, "three")]));
        let rows = story.model.versions(room, Seq(1)).unwrap();
        assert_eq!(rows[0].time, message(&mut story, room, 1).time);
        assert!(rows.windows(2).all(|pair| pair[0].time <= pair[1].time));
        // One of an older program in between keeps nothing, and a later one goes on from there.
        let plain = edit(room, 1, "four", None).in_earlier_words().unwrap();
        story.ok("ann", plain);
        story.ok("ann", edit(room, 1, "five", None));
        let all = kept(&[(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")]);
        assert_eq!(said(&mut story, room, 1), all);
        story.ok("ann", delete(room, &[1]));
        assert!(said(&mut story, room, 1).iter().all(|(_, text, gone)| text.is_empty() && *gone));
    }

    #[test]
    fn so_many_versions_are_kept() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.send("ann", room, "0");
        for number in 1..=VERSIONS_MAX + 5 {
            story.ok("ann", edit(room, 1, &number.to_string(), None));
        }
        let left: Vec<_> = said(&mut story, room, 1).into_iter().filter(|(.., gone)| !gone).collect();
        assert_eq!((left.len() as u64, left[0].0), (VERSIONS_MAX, 7));
    }

    #[test]
    fn a_room_is_muted_for_oneself() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        let mute = |on| Change::Mute { room, on };
        let muted = |story: &mut Story| story.model.mute(room, "ann").unwrap().is_some_and(|row| row.muted);
        assert_eq!(story.code("bob", mute(true)), Code::NotFound);
        let before = story.model.present();
        assert_eq!(story.ok("ann", mute(false)).at, before);
        // That nothing changed is remembered.
        let before = story.model.present();
        assert_eq!(story.ok("ann", mute(true)).at, before.next());
        assert!(muted(&mut story));
        assert_eq!(story.ok("ann", mute(true)).at, before.next());
        story.ok("ann", mute(false));
        assert!(!muted(&mut story));
    }

    #[test]
    fn reactions_come_and_go() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        story.ok("bob", Change::Join { room });
        story.send("ann", room, "a");
        for user in ["bob", "ann"] {
            story.ok(user, react(room, 1, "+", true));
        }
        assert_eq!(message(&mut story, room, 1).reactions["+"], ["ann", "bob"]);
        story.ok("ann", react(room, 1, "+", false));
        assert_eq!(message(&mut story, room, 1).reactions["+"], ["bob"]);
        story.ok("bob", react(room, 1, "+", false));
        let left = message(&mut story, room, 1);
        assert!(left.reactions.is_empty());
        assert_eq!(left.version, 1);
        assert_eq!(story.code("bob", react(room, 2, "+", true)), Code::NotFound);
    }

    #[test]
    fn a_message_gathers_so_many_emoji() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        story.ok("bob", Change::Join { room });
        story.send("ann", room, "a");
        for n in 0..EMOJI_MAX {
            story.ok("ann", react(room, 1, &n.to_string(), true));
        }
        assert_eq!(story.code("bob", react(room, 1, "one more", true)), Code::Conflict);
        story.ok("bob", react(room, 1, "0", true));
    }

    #[test]
    fn read_marks_move_forward_to_the_end() {
        let mut story = Story::new(&["ann", "bob"]);
        let room = story.room("ann", "public");
        for text in ["a", "b", "c"] {
            story.send("ann", room, text);
        }
        assert_eq!(story.code("bob", mark(room, 1)), Code::NotFound);
        for (asked, then) in [(2, 2), (1, 2), (99, 3), (3, 3)] {
            story.ok("ann", mark(room, asked));
            assert_eq!(story.read_seq(room, "ann"), Seq(then));
        }
    }

    #[test]
    fn every_read_mark_is_remembered_under_its_id() {
        let mut story = Story::new(&["ann"]);
        let (room, other) = (story.room("ann", "public"), story.room("ann", "public"));
        for text in ["a", "b", "c"] {
            story.send("ann", room, text);
        }
        // The last one changes nothing.
        let marks = [("x", room, 1), ("y", room, 9), ("z", other, 0), ("w", room, 2)];
        let first = marks.map(|(id, room, seq)| story.ask_as("ann", id, mark(room, seq)).outcome.unwrap());
        assert_eq!(first[3].at, first[2].at.next());
        story.send("ann", room, "d");
        story.ok("ann", Change::Leave { room });
        for ((id, room, seq), first) in marks.into_iter().zip(first) {
            let again = story.ask_as("ann", id, mark(room, seq)).outcome.unwrap();
            assert_eq!(again, Outcome { duplicate: true, ..first }, "{id}: told whatever happened since");
            for another in [mark(room, seq + 1), Change::Join { room }, send(other, 1)] {
                assert_eq!(story.ask_as("ann", id, another).outcome.unwrap_err().code, Code::Conflict);
            }
        }
        assert_eq!(story.read_seq(room, "ann"), Seq(3), "the end was there");
    }

    /// In a batch of level 2, which not every member reads more than.
    #[test]
    fn the_last_read_mark_of_an_earlier_level_is_remembered() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.send("ann", room, "a");
        story.send("ann", room, "b");
        let earlier = |story: &mut Story, id: &str, seq| {
            let command = Command { user: "ann".into(), id: id.into(), change: mark(room, seq) };
            let stamp = Stamp { level: LEVEL_REMEMBERS_ALL, time_ms: 1000 };
            apply_as(&mut story.model, stamp, &command).unwrap().outcome
        };
        let first = earlier(&mut story, "x", 1).unwrap();
        assert_eq!(earlier(&mut story, "x", 1).unwrap(), Outcome { duplicate: true, ..first.clone() });
        assert_eq!(earlier(&mut story, "x", 2).unwrap_err().code, Code::Conflict);
        let again = story.ask_as("ann", "x", mark(room, 1)).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first }, "also when all of them are");
        earlier(&mut story, "y", 2).unwrap();
        assert!(!earlier(&mut story, "x", 1).unwrap().duplicate, "every replica forgets it alike");
    }

    #[test]
    fn outside_a_room_nothing_of_it_is_found() {
        let mut story = Story::new(&["admin", "ann"]);
        let room = story.room("ann", "private");
        story.send("ann", room, "a");
        let changes = [
            send(room, 1),
            edit(room, 1, "b", None),
            delete(room, &[1]),
            react(room, 1, "+", true),
            mark(room, 1),
        ];
        for change in changes {
            assert_eq!(story.code("admin", change), Code::NotFound);
        }
    }
}
