//! The chat as lines of JSON: what is written by `export` and read by `import`.
//!
//! A file is a header, then users, rooms, members, messages by room and place, read marks, muted rooms, what bots may
//! do, subscriptions, and an end, by which a reader knows that nothing is missing. Whoever reads ignores fields it does not know, and passes over
//! lines of a type it does not know. A row's `at` is no part of it: that belongs to one chat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::objects::{File, Message, RoomKind, User, Version};
use super::outcome::{Code, Refusal};
use super::rules::{self, Checked};
use super::tables::{Bot, RoomRow, hook_room};
use crate::files::names;
use crate::ids::{At, RoomId, Seq, SubscriptionId};

/// What the header calls the format, and the version that is written.
pub const FORMAT: &str = "replicated-chat";
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    Header(Header),
    User(User),
    Room(PortableRoom),
    Member {
        room: RoomId,
        user: String,
    },
    Message(Box<PortableMessage>),
    Read {
        room: RoomId,
        user: String,
        seq: Seq,
    },
    /// The user wants to hear nothing of the room.
    Mute {
        room: RoomId,
        user: String,
    },
    Bot(PortableBot),
    Subscription(PortableSubscription),
    End(End),
    /// Of a type that a later program writes.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub version: u32,
    pub epoch: String,
    /// Messages that were sent later are left out; everything else is as it was when it was read.
    pub at: At,
    /// Whose view this is; none: everything.
    #[serde(default)]
    pub user: Option<String>,
    /// Everything acknowledged before is in it; else it is what one node had.
    #[serde(default)]
    pub majority: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortableRoom {
    pub room: RoomId,
    /// Empty for a direct conversation.
    pub name: String,
    pub kind: RoomKind,
    #[serde(default)]
    pub topic: String,
    /// The people of a direct conversation, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Not told to one user of a room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortableMessage {
    pub room: RoomId,
    pub seq: Seq,
    pub id: String,
    pub from: String,
    pub text: String,
    /// Unix milliseconds.
    pub time: u64,
    #[serde(default = "first")]
    pub version: u64,
    #[serde(default)]
    pub edited: bool,
    #[serde(default)]
    pub deleted: bool,
    #[serde(default)]
    pub reply_to: Option<Seq>,
    #[serde(default)]
    pub reactions: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub files: Vec<File>,
    /// What it said before it was edited and says now, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
}

/// What an account of a program may do. Its token stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortableBot {
    pub name: String,
    pub owner: String,
    #[serde(default)]
    pub rights: Vec<String>,
    /// The room that it is a hook of, whose right is not among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<RoomId>,
}

/// A URL to which the messages of a room are posted. What they are signed with stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortableSubscription {
    pub id: SubscriptionId,
    pub room: RoomId,
    pub url: String,
    pub by: String,
}

/// What an import brings, an item each; rooms are named by the numbers of the chat that it is brought to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Imported {
    User(User),
    /// `key`: by what the same room is found again by a later import, whatever it is called by then. The
    /// room's own number says nothing.
    Room {
        key: String,
        room: PortableRoom,
    },
    Member {
        room: RoomId,
        user: String,
    },
    Message(Box<ImportedMessage>),
    Read {
        room: RoomId,
        user: String,
        seq: Seq,
    },
    Mute {
        room: RoomId,
        user: String,
    },
    Bot(PortableBot),
    /// `key`: as of a room. Its own number says nothing.
    Subscription {
        key: String,
        subscription: PortableSubscription,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedMessage {
    /// Its `seq` says nothing, and its `reply_to` only without `answers`.
    pub message: PortableMessage,
    /// The id when the author used the message's own for something else here.
    pub other_id: String,
    /// It is a reply to this item of the same import.
    #[serde(default)]
    pub answers: Option<usize>,
}

/// What became of an item. The number is that of the room, or the place of the message; else 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landed {
    New(u64),
    /// Brought before, or there of itself.
    There(u64),
    Skipped(String),
}

impl Imported {
    /// Whether it is of a kind that came after imports did.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Mute { .. } | Self::Bot(_) | Self::Subscription { .. })
    }

    /// Whether its form is one that the chat takes.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, message_bytes: usize) -> Checked<()> {
        let wrong = |what: &str| Err(Refusal::new(Code::BadRequest, what));
        let name = |name: &str| match rules::name(name)? == name {
            true => Ok(()),
            false => wrong("names are written in lower case"),
        };
        match self {
            Self::User(user) => {
                name(&user.name)?;
                rules::display(Some(&user.display), &user.name).map(drop)
            }
            Self::Room { key, room } => {
                rules::id(key)?;
                rules::topic(&room.topic)?;
                room.creator.iter().filter(|creator| !creator.is_empty()).try_for_each(|it| name(it))?;
                if room.kind != RoomKind::Direct {
                    return rules::room_name(&room.name).map(drop);
                }
                room.users.iter().try_for_each(|user| name(user))?;
                let in_order = room.users.windows(2).all(|pair| pair[0] < pair[1]);
                match in_order && rules::DIRECT_USERS.contains(&room.users.len()) {
                    true => Ok(()),
                    false => wrong("users of a direct conversation must be 2 to 9 names, sorted, each once"),
                }
            }
            Self::Member { room, user } | Self::Mute { room, user } => {
                rules::room(room.0)?;
                name(user)
            }
            Self::Bot(bot) => {
                name(&bot.name)?;
                name(&bot.owner)?;
                match bot.hook {
                    None => rules::rights(&bot.rights).map(drop),
                    Some(room) if bot.rights.is_empty() => rules::room(room.0).map(drop),
                    Some(_) => wrong("a hook has no other rights"),
                }
            }
            Self::Subscription { key, subscription } => {
                rules::id(key)?;
                rules::room(subscription.room.0)?;
                name(&subscription.by)?;
                rules::url(&subscription.url)
            }
            Self::Read { room, user, seq } => {
                rules::room(room.0)?;
                if seq.0 > rules::NUMBER_MAX {
                    return wrong("seq must be below 2^53");
                }
                name(user)
            }
            Self::Message(item) => {
                let message = &item.message;
                rules::room(message.room.0)?;
                rules::id(&message.id)?;
                rules::id(&item.other_id)?;
                name(&message.from)?;
                match (message.deleted, message.files.is_empty()) {
                    (true, _) => {}
                    (false, true) => rules::text(&message.text, message_bytes)?,
                    (false, false) => rules::caption(&message.text, message_bytes)?,
                }
                if !message.has_good_numbers() {
                    return wrong(
                        "versions must be from 1 to 4294967295; seq, reply_to, times and bytes below 2^53",
                    );
                }
                if message.files.len() > rules::FILES_MAX {
                    return wrong("files must be at most 20");
                }
                if message.files.iter().any(|file| names::clean(&file.name) != file.name) {
                    return wrong("a file's name must be one line of at most 255 bytes, without a path");
                }
                for (emoji, users) in &message.reactions {
                    rules::emoji(emoji)?;
                    users.iter().try_for_each(|user| name(user))?;
                }
                message.versions.iter().try_for_each(|one| rules::caption(&one.text, message_bytes))
            }
        }
    }
}

/// How many lines there were of what matters most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub users: u64,
    pub rooms: u64,
    pub messages: u64,
}

fn first() -> u64 {
    1
}

/// Where an export goes on: behind what is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Users(String),
    Rooms(RoomId),
    Members(RoomId, String),
    Messages(RoomId, Seq),
    Reads(String, RoomId),
    Mutes(String, RoomId),
    Bots(String),
    Subscriptions(SubscriptionId),
}

impl Place {
    pub fn start() -> Self {
        Self::Users(String::new())
    }
}

impl PortableRoom {
    /// `creator`: whether whoever reads it may know who made the room.
    pub fn of(row: RoomRow, creator: bool) -> Self {
        let users = row.people();
        let RoomRow { room, name, kind, topic, creator: made_by, .. } = row;
        let name = if kind == RoomKind::Direct { String::new() } else { name };
        Self { room, name, kind, topic, users, creator: creator.then_some(made_by) }
    }
}

impl PortableBot {
    /// `None`: it came from elsewhere and may nothing here.
    pub fn of(name: String, bot: Bot) -> Option<Self> {
        let Bot { owner, rights } = bot;
        let (hook, rights) = match hook_room(&rights) {
            None => (None, rights),
            hook => (hook, Vec::new()),
        };
        (!owner.is_empty()).then_some(Self { name, owner, rights, hook })
    }
}

impl PortableMessage {
    pub fn of(message: Message, versions: Vec<Version>) -> Self {
        // Every field by its name, here and where it comes back: one that is added is not lost on the way.
        let Message {
            at: _,
            room,
            seq,
            id,
            from,
            text,
            time,
            version,
            edited,
            deleted,
            reply_to,
            reactions,
            files,
        } = message;
        Self {
            room,
            seq,
            id,
            from,
            text,
            time,
            version,
            edited,
            deleted,
            reply_to,
            reactions,
            files,
            versions,
        }
    }

    /// Whether rows hold its numbers, and clients can read them. Nothing but its form bounds what a file says.
    pub fn has_good_numbers(&self) -> bool {
        let is_version = |version: u64| (1..=rules::VERSION_MAX).contains(&version);
        let is_number = |number: u64| number <= rules::NUMBER_MAX;
        let replied = self.reply_to.is_none_or(|seq| is_number(seq.0));
        let mut versions = self.versions.iter();
        let mut files = self.files.iter();
        is_version(self.version)
            && is_number(self.time)
            && is_number(self.seq.0)
            && replied
            && versions.all(|one| is_version(one.version) && is_number(one.time))
            && files.all(|file| is_number(file.bytes))
    }
}

impl End {
    pub fn add(&mut self, more: Self) {
        self.users += more.users;
        self.rooms += more.rooms;
        self.messages += more.messages;
    }

    pub fn count(&mut self, line: &Line) {
        match line {
            Line::User(_) => self.users += 1,
            Line::Room(_) => self.rooms += 1,
            Line::Message(_) => self.messages += 1,
            Line::Header(_) | Line::Member { .. } | Line::Read { .. } | Line::Mute { .. } => {}
            Line::Bot(_) | Line::Subscription(_) | Line::End(_) | Line::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let message = r#"{"type":"message","room":1,"seq":2,"id":"x","from":"ann","text":"hi","time":3,"version":1,"edited":false,"deleted":false,"reply_to":null,"reactions":{"+":["bob"]},"files":[]}"#;
        let line: Line = serde_json::from_str(message).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), message);
        let room = r#"{"type":"room","room":1,"name":"","kind":"direct","topic":"","users":["ann","bob"]}"#;
        let line: Line = serde_json::from_str(room).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), room);
    }

    #[test]
    fn what_is_not_said_is_the_usual() {
        let short =
            r#"{"type":"message","room":1,"seq":2,"id":"x","from":"ann","text":"hi","time":3,"new":1}"#;
        let Line::Message(message) = serde_json::from_str(short).unwrap() else { panic!("{short}") };
        assert_eq!((message.version, message.deleted, message.reply_to), (1, false, None));
        assert!(serde_json::from_str::<Line>(r#"{"type":"member","room":1}"#).is_err());
        assert_eq!(serde_json::from_str::<Line>(r#"{"type":"later","x":1}"#).unwrap(), Line::Unknown);
    }

    #[test]
    fn a_hook_is_known_by_its_room_and_a_subscription_by_its_url() {
        let bot = |owner: &str, rights: &[&str]| {
            let rights = rights.iter().map(|right| (*right).to_owned()).collect();
            PortableBot::of("robot".into(), Bot { owner: owner.into(), rights })
        };
        let hook = bot("ann", &["hook:3"]).unwrap();
        assert_eq!((hook.hook, hook.rights.len()), (Some(RoomId(3)), 0));
        let plain = bot("ann", &["read", "write"]).unwrap();
        assert_eq!((plain.hook, plain.rights.len()), (None, 2));
        assert_eq!(bot("", &[]), None);
        assert!(
            Imported::Bot(hook.clone()).check(1).is_ok() && Imported::Bot(plain.clone()).check(1).is_ok()
        );
        for wrong in [
            PortableBot { rights: plain.rights, ..hook.clone() },
            PortableBot { hook: None, ..hook.clone() },
            PortableBot { owner: String::new(), ..hook },
        ] {
            assert!(Imported::Bot(wrong.clone()).check(1).is_err(), "{wrong:?}");
        }
        for (url, good) in [("https://a/b", true), ("ftp://a", false), ("http://a b", false)] {
            let (id, room, by) = (SubscriptionId(1), RoomId(1), "ann".to_owned());
            let subscription = PortableSubscription { id, room, url: url.into(), by };
            let item = Imported::Subscription { key: "k".into(), subscription };
            assert_eq!(item.check(1).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn numbers_and_names_of_files_are_ones_that_rows_hold() {
        let message = |more: &str| {
            let said = format!(r#"{{"room":1,"seq":2,"id":"x","from":"ann","text":"hi","time":3{more}}}"#);
            let message = serde_json::from_str(&said).unwrap();
            Imported::Message(Box::new(ImportedMessage { message, other_id: "y".into(), answers: None }))
        };
        let file = format!(r#"{{"file":"{}","name":"a","type":"text/plain","bytes"#, "0".repeat(64));
        let most = u64::MAX;
        for (more, good) in [
            (String::new(), true),
            (r#","version":4294967295"#.to_owned(), true),
            (r#","version":4294967296"#.to_owned(), false),
            (r#","version":0"#.to_owned(), false),
            (format!(r#","version":{most}"#), false),
            (format!(r#","reply_to":{most}"#), false),
            (format!(r#","files":[{file}":9007199254740991}}]"#), true),
            (format!(r#","files":[{file}":9007199254740992}}]"#), false),
            (format!(r#","versions":[{{"version":{most},"text":"a","time":1}}]"#), false),
            (format!(r#","versions":[{{"version":1,"text":"a","time":{most}}}]"#), false),
            (r#","versions":[{"version":1,"text":"a","time":1}]"#.to_owned(), true),
            (format!(r#","files":[{}":5}}]"#, file.replace(r#""a""#, r#""../a\u202e""#)), false),
        ] {
            assert_eq!(message(&more).check(100).is_ok(), good, "{more}");
        }
        let Imported::Message(mut late) = message("") else { panic!() };
        late.message.time = most;
        assert!(Imported::Message(late).check(100).is_err());
        let read = |seq| Imported::Read { room: RoomId(1), user: "ann".into(), seq: Seq(seq) };
        assert!(read(rules::NUMBER_MAX).check(100).is_ok() && read(most).check(100).is_err());
    }

    #[test]
    fn a_direct_conversation_has_people_and_no_name() {
        let row = RoomRow {
            at: At(1),
            room: RoomId(1),
            name: "ann\nbob".into(),
            kind: RoomKind::Direct,
            topic: String::new(),
            creator: "ann".into(),
        };
        let room = PortableRoom::of(row.clone(), true);
        assert_eq!((room.name.as_str(), room.users.len()), ("", 2));
        assert_eq!(room.creator.as_deref(), Some("ann"));
        assert_eq!(PortableRoom::of(row, false).creator, None);
    }
}
