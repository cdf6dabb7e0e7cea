//! What was elsewhere comes here, item by item. Each is found again by what it is, so that all of it may come
//! twice, or in parts: a user by name, a room by its key, a message by author and id. An item that cannot come
//! is skipped with a reason, and the others come all the same.

use std::collections::BTreeMap;

use super::super::command::{Attached, Change, Command, LEVEL_KEEPS_LESS, RequestDigest};
use super::super::digest;
use super::super::objects::{Message, RoomKind, User, Version};
use super::super::outcome::{Done, Outcome};
use super::super::portable::{
    Imported, ImportedMessage, Landed, PortableBot, PortableMessage, PortableRoom, PortableSubscription,
};
use super::super::tables::{
    Bot, MessageRow, Reactions, RoomRow, Serving, SettingRow, SubscriptionRow, Tables, UserRow, VersionRow,
    direct_name, hook_right, imported_room, imported_subscription,
};
use super::messages::{EMOJI_MAX, VERSIONS_MAX};
use super::subscriptions::{SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_OF_ROOM_MAX};
use super::{Step, Work};
use crate::ids::{At, RoomId, Seq};

/// What is shown of a subscription that an import brought.
const WITHOUT_SECRET: &str = "brought without its secret: subscribe anew";

impl<T: Tables> Work<'_, T> {
    pub(super) fn import(&mut self, items: &[Imported], into_existing: bool) -> Step<Outcome, T> {
        let mut landed = Vec::with_capacity(items.len());
        for item in items {
            let one = match item {
                Imported::User(user) => self.import_user(user)?,
                Imported::Room { key, room } => self.import_room(key, room, into_existing)?,
                Imported::Member { room, user } => self.import_member(*room, user)?,
                Imported::Message(item) => self.import_message(item, &landed)?,
                Imported::Read { room, user, seq } => self.import_read(*room, user, *seq)?,
                Imported::Mute { room, user } => self.import_mute(*room, user)?,
                Imported::Bot(bot) => self.import_bot(bot)?,
                Imported::Subscription { key, subscription } => {
                    self.import_subscription(key, subscription)?
                }
            };
            landed.push(one);
        }
        self.unremembered(Done::Imported(landed))
    }

    /// Without a password: nobody can log in before an admin has given a link for one.
    fn import_user(&mut self, user: &User) -> Result<Landed, T::Error> {
        if self.tables.user(&user.name)?.is_some() {
            return Ok(Landed::There(0));
        }
        self.put_user(UserRow {
            at: At(0),
            name: user.name.clone(),
            display: user.display.clone(),
            role: user.role,
            password_hash: String::new(),
            deleted: user.deleted,
            disabled: user.disabled,
            bot: user.bot.then(|| Bot { owner: String::new(), rights: Vec::new() }),
            created_by: self.command.id.clone(),
            created_digest: self.digest,
        })?;
        Ok(Landed::New(0))
    }

    fn import_room(
        &mut self,
        key: &str,
        room: &PortableRoom,
        into_existing: bool,
    ) -> Result<Landed, T::Error> {
        let key = imported_room(key);
        let before = self.tables.setting(&key)?;
        if let Some(number) = before.and_then(|row| row.value.parse().ok()) {
            return Ok(Landed::There(number));
        }
        let direct = room.kind == RoomKind::Direct;
        let name = if direct { direct_name(&room.users) } else { room.name.clone() };
        if let Some(row) = self.tables.room_by_name(&name, direct)? {
            if !into_existing {
                return Ok(Landed::Skipped(format!(
                    "room {} is there and no import made it: --into-existing adds to it",
                    name.replace('\n', ", ")
                )));
            }
            self.put_imported_room(key, row.room)?;
            return Ok(Landed::There(row.room.0));
        }
        for user in &room.users {
            if self.tables.user(user)?.is_none() {
                return Ok(Landed::Skipped(format!("no such user: {user}")));
            }
        }
        let row = RoomRow {
            at: self.take_at()?,
            room: self.tables.last_room()?.next(),
            name,
            kind: room.kind,
            topic: room.topic.clone(),
            creator: room.creator.clone().unwrap_or_default(),
        };
        self.tables.put_room(&row)?;
        self.put_imported_room(key, row.room)?;
        for user in &room.users {
            self.put_member(&row, user, true)?;
        }
        Ok(Landed::New(row.room.0))
    }

    fn put_imported_room(&mut self, key: String, room: RoomId) -> Result<(), T::Error> {
        let at = self.take_at()?;
        self.tables.put_setting(&SettingRow { at, key, value: room.to_string() })
    }

    /// Whoever was in the room once and left is not brought back.
    fn import_member(&mut self, room: RoomId, user: &str) -> Result<Landed, T::Error> {
        let Some(row) = self.tables.room(room)? else { return Ok(no_such_room(room)) };
        if self.tables.user(user)?.is_none_or(|row| row.deleted) {
            return Ok(Landed::Skipped(format!("no such user: {user}")));
        }
        if self.tables.member(room, user)?.is_some() {
            return Ok(Landed::There(0));
        }
        // Nobody comes into a direct conversation: it is of its people for good.
        if self.level >= LEVEL_KEEPS_LESS
            && row.kind == RoomKind::Direct
            && !row.people().iter().any(|one| one == user)
        {
            return Ok(Landed::Skipped(format!("{user} is none of the people of a direct conversation")));
        }
        let (last_seq, _) = self.tables.end(room)?;
        self.let_in(&row, user, last_seq)?;
        Ok(Landed::New(0))
    }

    fn import_read(&mut self, room: RoomId, user: &str, seq: Seq) -> Result<Landed, T::Error> {
        if self.tables.room(room)?.is_none() {
            return Ok(no_such_room(room));
        }
        if self.tables.user(user)?.is_none() {
            return Ok(Landed::Skipped(format!("no such user: {user}")));
        }
        let (end, _) = self.tables.end(room)?;
        let before = self.last;
        self.put_read(room, user, seq.min(end))?;
        Ok(if self.last == before { Landed::There(0) } else { Landed::New(0) })
    }

    /// Whoever said here before whether they want to hear of the room is not asked again.
    fn import_mute(&mut self, room: RoomId, user: &str) -> Result<Landed, T::Error> {
        if self.tables.room(room)?.is_none() {
            return Ok(no_such_room(room));
        }
        if self.tables.user(user)?.is_none() {
            return Ok(Landed::Skipped(format!("no such user: {user}")));
        }
        if self.tables.mute(room, user)?.is_some() {
            return Ok(Landed::There(0));
        }
        self.put_mute(room, user, true)?;
        Ok(Landed::New(0))
    }

    /// For a bot that an import brought and nobody gave any rights here. It still has no token.
    fn import_bot(&mut self, brought: &PortableBot) -> Result<Landed, T::Error> {
        let PortableBot { name, owner, rights, hook } = brought;
        let Some(row) = self.tables.user(name)?.filter(|row| !row.deleted) else {
            return Ok(Landed::Skipped(format!("no such user: {name}")));
        };
        match &row.bot {
            None => return Ok(Landed::Skipped(format!("{name} is no bot here"))),
            Some(bot) if !bot.owner.is_empty() => return Ok(Landed::There(0)),
            Some(_) => {}
        }
        if self.tables.user(owner)?.is_none_or(|row| row.deleted) {
            return Ok(Landed::Skipped(format!("no such user: {owner}")));
        }
        let rights = match *hook {
            None => rights.clone(),
            Some(room) if self.tables.room(room)?.is_some() => vec![hook_right(room)],
            Some(room) => return Ok(no_such_room(room)),
        };
        self.put_user(UserRow { bot: Some(Bot { owner: owner.clone(), rights }), ..row })?;
        Ok(Landed::New(0))
    }

    /// It is not served: what would be posted could not be signed as its receiver expects.
    fn import_subscription(&mut self, key: &str, brought: &PortableSubscription) -> Result<Landed, T::Error> {
        let PortableSubscription { room, url, by, .. } = brought;
        let key = imported_subscription(key);
        let before = self.tables.setting(&key)?;
        if let Some(number) = before.and_then(|row| row.value.parse().ok()) {
            return Ok(Landed::There(number));
        }
        if self.tables.room(*room)?.is_none() {
            return Ok(no_such_room(*room));
        }
        if self.tables.user(by)?.is_none_or(|row| row.deleted) {
            return Ok(Landed::Skipped(format!("no such user: {by}")));
        }
        let others = self.tables.subscriptions()?;
        if let Some(row) = others.iter().find(|row| row.room == *room && row.url == *url && row.by == *by) {
            return Ok(Landed::There(row.subscription.0));
        }
        let of_room = others.iter().filter(|row| row.room == *room).count();
        if others.len() >= SUBSCRIPTIONS_MAX || of_room >= SUBSCRIPTIONS_OF_ROOM_MAX {
            return Ok(Landed::Skipped("there are as many subscriptions as there may be".to_owned()));
        }
        let (delivered, _) = self.tables.end(*room)?;
        let row = SubscriptionRow {
            at: self.take_at()?,
            subscription: self.tables.last_subscription()?.next(),
            room: *room,
            url: url.clone(),
            secret: String::new(),
            by: by.clone(),
            state: Serving::Off,
            delivered,
            failing_since: 0,
            error: WITHOUT_SECRET.to_owned(),
            time: self.time_ms,
        };
        self.tables.put_subscription(&row)?;
        let (at, value) = (self.take_at()?, row.subscription.to_string());
        self.tables.put_setting(&SettingRow { at, key, value })?;
        Ok(Landed::New(row.subscription.0))
    }

    fn import_message(&mut self, item: &ImportedMessage, landed: &[Landed]) -> Result<Landed, T::Error> {
        let PortableMessage { room, from, .. } = &item.message;
        let room = *room;
        if self.tables.room(room)?.is_none() {
            return Ok(no_such_room(room));
        }
        if self.tables.user(from)?.is_none() {
            return Ok(Landed::Skipped(format!("no such user: {from}")));
        }
        // Looked at before it is proposed; here as well, since what no row holds must not get as far as one.
        if self.level >= LEVEL_KEEPS_LESS && !item.message.has_good_numbers() {
            return Ok(Landed::Skipped("a message with a number that is too large".to_owned()));
        }
        let mut free = None;
        for id in [&item.message.id, &item.other_id] {
            match self.tables.message_by_id(from, id)? {
                Some(row) if is_same(&row.message, &item.message) => {
                    return Ok(Landed::There(row.message.seq.0));
                }
                Some(_) => {}
                None if self.tables.outcome(from, id)?.is_some() => {}
                None if self.tables.session_by_id(from, id)?.is_some() => {}
                None => free = free.or(Some(id.clone())),
            }
        }
        let Some(id) = free else {
            return Ok(Landed::Skipped(format!("{from} used the id {} for something else", item.message.id)));
        };
        let reply_to = match item.answers.and_then(|place| landed.get(place)) {
            Some(Landed::New(seq) | Landed::There(seq)) => Some(Seq(*seq)),
            Some(Landed::Skipped(_)) => None,
            None => item.message.reply_to,
        };
        let reply_to = match reply_to {
            Some(seq) => self.tables.message(room, seq)?.map(|row| row.message.seq),
            None => None,
        };
        self.put_imported(&item.message, id, reply_to)
    }

    fn put_imported(
        &mut self,
        brought: &PortableMessage,
        id: String,
        reply_to: Option<Seq>,
    ) -> Result<Landed, T::Error> {
        // Place, id and what is answered are those of here.
        let PortableMessage {
            room,
            seq: _,
            id: _,
            from,
            text,
            time,
            version,
            edited,
            deleted: gone,
            reply_to: _,
            reactions,
            files,
            versions,
        } = brought;
        let (room, gone) = (*room, *gone);
        let (end, last_time) = self.tables.end(room)?;
        let message = Message {
            at: At(0),
            room,
            seq: end.next(),
            id,
            from: from.clone(),
            text: if gone { String::new() } else { text.clone() },
            // Neither later than now nor, in this room, earlier than what is there.
            time: (*time).min(self.time_ms).max(last_time),
            version: *version,
            edited: *edited,
            deleted: gone,
            reply_to,
            reactions: if gone { Reactions::new() } else { self.known_reactions(reactions)? },
            files: if gone { Vec::new() } else { files.clone() },
        };
        let digest = digest_of(&message, versions.first());
        let at = self.take_at()?;
        self.put_attachments(at, &message, false)?;
        let kept = versions.len().saturating_sub(VERSIONS_MAX as usize);
        for one in versions.iter().skip(kept).filter(|_| !gone) {
            self.tables.put_version(&VersionRow {
                at,
                room: message.room,
                seq: message.seq,
                version: one.version,
                text: one.text.clone(),
                time: one.time,
                gone: false,
            })?;
        }
        let seq = message.seq.0;
        self.put_message(at, MessageRow { message, digest, sent_at: at })?;
        Ok(Landed::New(seq))
    }

    /// Reactions of those who are here, as they are stored.
    fn known_reactions(&mut self, brought: &Reactions) -> Result<Reactions, T::Error> {
        let mut known = BTreeMap::new();
        for (emoji, users) in brought.iter().take(EMOJI_MAX) {
            let mut here = Vec::new();
            for user in users {
                if self.tables.user(user)?.is_some() {
                    here.push(user.clone());
                }
            }
            here.sort();
            here.dedup();
            if !here.is_empty() {
                known.insert(emoji.clone(), here);
            }
        }
        Ok(known)
    }
}

/// Whether a message of the same author and id is the one that is brought, or its id means something else here.
fn is_same(here: &Message, brought: &PortableMessage) -> bool {
    let changed = here.version > 1 || brought.version > 1;
    here.room == brought.room && (changed || here.text == brought.text)
}

/// As of the request that sent it here, so that its author's client may repeat that.
fn digest_of(message: &Message, first: Option<&Version>) -> RequestDigest {
    let Message { room, reply_to, .. } = *message;
    let text = first.map_or_else(|| message.text.clone(), |first| first.text.clone());
    let files = message.files.iter().map(|file| Attached {
        file: file.file,
        name: file.name.clone(),
        bytes: file.bytes,
        kind: file.kind.clone(),
        uploaded: true,
    });
    let change = match message.files.is_empty() {
        true => Change::Send { room, text, reply_to },
        false => Change::SendFiles { room, text, reply_to, files: files.collect() },
    };
    digest::of_request(&Command { user: message.from.clone(), id: message.id.clone(), change })
}

fn no_such_room(room: RoomId) -> Landed {
    Landed::Skipped(format!("no such room: {room}"))
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::*;
    use crate::chat::objects::Role;
    use crate::ids::SubscriptionId;

    fn user(name: &str) -> Imported {
        let (name, display) = (name.to_owned(), name.to_uppercase());
        Imported::User(User {
            name,
            display,
            role: Role::Member,
            deleted: false,
            disabled: false,
            bot: false,
        })
    }

    fn room(key: &str, name: &str) -> Imported {
        let kind = RoomKind::Public;
        let (name, topic) = (name.to_owned(), "topic".to_owned());
        let room = PortableRoom { room: RoomId(9), name, kind, topic, users: Vec::new(), creator: None };
        Imported::Room { key: key.to_owned(), room }
    }

    fn message(room: u64, from: &str, id: &str, text: &str, time: u64) -> ImportedMessage {
        let said =
            format!(r#"{{"room":{room},"seq":1,"id":"{id}","from":"{from}","text":"{text}","time":{time}}}"#);
        let message = serde_json::from_str(&said).unwrap();
        ImportedMessage { message, other_id: format!("other {id}"), answers: None }
    }

    fn bring(story: &mut Story, items: Vec<Imported>, into_existing: bool) -> Vec<Landed> {
        match story.ok("", Change::Import { items, into_existing }).done {
            Done::Imported(landed) => landed,
            other => panic!("{other:?}"),
        }
    }

    fn sent(message: ImportedMessage) -> Imported {
        Imported::Message(Box::new(message))
    }

    #[test]
    fn all_of_it_may_come_twice() {
        let mut story = Story::new(&[]);
        story.time_ms = 5_000;
        let first = vec![user("ann"), user("bob"), room("k", "general")];
        let made = bring(&mut story, first.clone(), false);
        assert_eq!(made, [Landed::New(0), Landed::New(0), Landed::New(1)]);
        let mut answer = message(1, "bob", "2", "yes", 300);
        answer.answers = Some(1);
        answer.message.reactions = [("+".to_owned(), vec!["bob".into(), "eve".into(), "ann".into()])].into();
        let mut edited = message(1, "ann", "3", "now", 9_999);
        (edited.message.version, edited.message.edited) = (2, true);
        edited.message.versions = [(1, "once"), (2, "now")]
            .map(|(version, text)| Version { version, text: text.into(), time: 400 })
            .to_vec();
        let second = vec![
            Imported::Member { room: RoomId(1), user: "ann".into() },
            sent(message(1, "ann", "1", "well?", 200)),
            sent(answer),
            sent(edited),
            sent(message(1, "eve", "4", "who?", 500)),
            Imported::Read { room: RoomId(1), user: "ann".into(), seq: Seq(2) },
        ];
        let landed = bring(&mut story, second.clone(), false);
        assert_eq!(landed[1..4], [Landed::New(1), Landed::New(2), Landed::New(3)]);
        assert_eq!(landed[4], Landed::Skipped("no such user: eve".into()));
        let row = story.model.message(RoomId(1), Seq(2)).unwrap().unwrap().message;
        assert_eq!((row.reply_to, row.time), (Some(Seq(1)), 300));
        assert_eq!(row.reactions["+"], ["ann", "bob"]);
        let row = story.model.message(RoomId(1), Seq(3)).unwrap().unwrap().message;
        assert_eq!((row.time, row.version), (5_000, 2), "not in the future");
        assert_eq!(story.model.versions(RoomId(1), Seq(3)).unwrap().len(), 2);

        let before = story.model.clone();
        let again = [bring(&mut story, first, false), bring(&mut story, second, false)].concat();
        assert!(story.model == before, "a second run changes nothing");
        assert!(again.iter().all(|landed| !matches!(landed, Landed::New(_))), "{again:?}");
        // Also when the room has another name by now, and somebody has left it.
        story.ok("ann", Change::Leave { room: RoomId(1) });
        assert_eq!(bring(&mut story, vec![room("k", "renamed")], false), [Landed::There(1)]);
        let back = Imported::Member { room: RoomId(1), user: "ann".into() };
        assert_eq!(bring(&mut story, vec![back], false), [Landed::There(0)]);
    }

    #[test]
    fn mutes_bots_and_subscriptions_come_once_and_give_way_to_what_is_here() {
        let mut story = Story::new(&["ann", "bob"]);
        let mute = |user: &str| Imported::Mute { room: RoomId(1), user: user.to_owned() };
        let bot = |name: &str, owner: &str, hook: Option<u64>| {
            let rights = if hook.is_some() { Vec::new() } else { vec!["read".to_owned()] };
            let (name, owner, hook) = (name.to_owned(), owner.to_owned(), hook.map(RoomId));
            Imported::Bot(PortableBot { name, owner, rights, hook })
        };
        let subscription = |number: u64, by: &str| {
            let (id, room, by) = (SubscriptionId(number), RoomId(1), by.to_owned());
            let subscription = PortableSubscription { id, room, url: format!("https://a/{number}"), by };
            Imported::Subscription { key: format!("key {number}"), subscription }
        };
        let robots = ["robot", "hook"].map(|name| {
            let Imported::User(plain) = user(name) else { panic!("{name}") };
            Imported::User(User { bot: true, ..plain })
        });
        let items = vec![
            room("k", "garden"),
            mute("ann"),
            mute("nobody"),
            bot("robot", "bob", None),
            bot("hook", "ann", Some(1)),
            bot("ann", "bob", None),
            bot("robot", "nobody", None),
            subscription(7, "bob"),
            subscription(8, "nobody"),
        ];
        let all: Vec<_> = robots.iter().cloned().chain(items.iter().cloned()).collect();
        let mut landed = bring(&mut story, robots.to_vec(), false);
        landed.extend(bring(&mut story, items, false));
        let words: Vec<_> = landed.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
        assert_eq!(
            words.join(" "),
            r#"{"new":0} {"new":0} {"new":1} {"new":0} {"skipped":"no such user: nobody"} {"new":0} {"new":0} "#
                .to_owned()
                + r#"{"skipped":"ann is no bot here"} {"there":0} {"new":1} {"skipped":"no such user: nobody"}"#
        );
        let robot = story.model.user("robot").unwrap().unwrap().bot.unwrap();
        assert_eq!((robot.owner.as_str(), robot.rights), ("bob", vec!["read".to_owned()]));
        assert_eq!(story.model.user("hook").unwrap().unwrap().bot.unwrap().rights, ["hook:1"]);
        let row = story.model.subscription(SubscriptionId(1)).unwrap().unwrap();
        assert_eq!((row.state, row.secret.as_str(), row.url.as_str()), (Serving::Off, "", "https://a/7"));

        let before = story.model.present();
        let again = bring(&mut story, all.clone(), false);
        assert!(again.iter().all(|one| !matches!(one, Landed::New(_))), "{again:?}");
        assert_eq!(story.model.present(), before);
        // What was said or deleted here stays so.
        story.ok("ann", Change::Join { room: RoomId(1) });
        story.ok("ann", Change::Mute { room: RoomId(1), on: false });
        story.ok("ann", Change::DeleteSubscription { subscription: SubscriptionId(1) });
        let before = story.model.present();
        bring(&mut story, all, false);
        assert_eq!(story.model.present(), before);
        assert!(!story.model.mute(RoomId(1), "ann").unwrap().unwrap().muted);
    }

    #[test]
    fn numbers_that_no_row_holds_are_skipped() {
        let mut story = Story::new(&["ann"]);
        story.room("ann", "public");
        let mut most = message(1, "ann", "1", "a", 1);
        most.message.version = u64::MAX;
        let landed = bring(&mut story, vec![sent(most), sent(message(1, "ann", "2", "b", 1))], false);
        assert!(matches!(&landed[0], Landed::Skipped(why) if why.contains("too large")), "{landed:?}");
        assert_eq!(landed[1], Landed::New(1));
    }

    #[test]
    fn nobody_is_brought_into_a_direct_conversation() {
        let mut story = Story::new(&["ann", "bob", "zed"]);
        let direct = story.direct(&["ann", "bob"]);
        let member = |user: &str| Imported::Member { room: direct, user: user.into() };
        let landed = bring(&mut story, vec![member("bob"), member("zed")], true);
        assert_eq!(landed[0], Landed::There(0));
        assert!(matches!(&landed[1], Landed::Skipped(why) if why.contains("zed")), "{landed:?}");
        assert!(!story.is_member(direct, "zed"));
    }

    #[test]
    fn rooms_that_no_import_made_are_left_alone_unless_asked() {
        let mut story = Story::new(&["ann"]);
        let create = Change::CreateRoom { name: "general".into(), kind: RoomKind::Public, topic: "".into() };
        story.ok("ann", create);
        let refused = bring(&mut story, vec![room("k", "general")], false);
        assert!(matches!(&refused[0], Landed::Skipped(why) if why.contains("--into-existing")));
        assert_eq!(bring(&mut story, vec![room("k", "general")], true), [Landed::There(1)]);
        assert_eq!(bring(&mut story, vec![room("k", "general")], false), [Landed::There(1)]);
    }

    #[test]
    fn an_id_that_means_something_else_here_gives_way_to_the_other() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.ask_as("ann", "1", Change::Send { room, text: "mine".into(), reply_to: None });
        let same = bring(&mut story, vec![sent(message(1, "ann", "1", "mine", 1))], false);
        assert_eq!(same, [Landed::There(1)]);
        let another = vec![sent(message(1, "ann", "1", "another", 1))];
        assert_eq!(bring(&mut story, another.clone(), false), [Landed::New(2)]);
        assert_eq!(bring(&mut story, another, false), [Landed::There(2)]);
        let row = story.model.message(room, Seq(2)).unwrap().unwrap().message;
        assert_eq!((row.id.as_str(), row.time), ("other 1", 1000));
        // Whoever sent it elsewhere may repeat that here.
        bring(&mut story, vec![sent(message(1, "ann", "9", "outbox", 1))], false);
        let send = Change::Send { room, text: "outbox".into(), reply_to: None };
        assert!(story.ask_as("ann", "9", send).outcome.unwrap().duplicate);
    }
}
