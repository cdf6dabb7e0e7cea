//! The rows of the chat, and the trait over whoever keeps them.
//!
//! Apply is written once against [`Tables`]; SQLite (`storage::Store`) and the model in memory
//! (`chat::model`) keep the rows. Every row is replicated and has the `at` of its last change;
//! nothing is ever deleted: what is gone is a row that says so (a tombstone).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::{LoginOp, RequestDigest, Shown, TokenHash};
use super::objects::{Message, Role, Room, RoomKind, User};
use super::outcome::Outcome;
use crate::ids::{At, FileId, RoomId, Seq, SubscriptionId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    pub at: At,
    pub name: String,
    pub display: String,
    pub role: Role,
    /// argon2id, PHC string; empty for a program's, for an imported one until a link gave it one, and once deleted.
    pub password_hash: String,
    pub deleted: bool,
    /// Shut out by an admin, until one lets it in again.
    pub disabled: bool,
    /// What a program's account is more than a person's; `None` for people.
    pub bot: Option<Bot>,
    /// The `register` that made it.
    pub created_by: String,
    pub created_digest: RequestDigest,
}

impl UserRow {
    /// The account as people see it.
    pub fn seen(&self) -> User {
        User {
            name: self.name.clone(),
            display: self.display.clone(),
            role: self.role,
            deleted: self.deleted,
            disabled: self.disabled,
            bot: self.bot.is_some(),
        }
    }

    /// Whether this is the hash of its password. One without a password, because it was imported, has none.
    pub fn has_password(&self, hash: &str) -> bool {
        !hash.is_empty() && self.password_hash == hash
    }

    /// Whether it may act at all.
    pub fn is_active(&self) -> bool {
        !self.deleted && !self.disabled
    }
}

/// Of a bot's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bot {
    /// Whoever made it: shut out with them.
    pub owner: String,
    /// By name, each once.
    pub rights: Vec<String>,
}

/// The right of a hook: to send messages to this one room.
pub fn hook_right(room: RoomId) -> String {
    format!("hook:{room}")
}

/// The room that a bot with these rights is a hook of.
pub fn hook_room(rights: &[String]) -> Option<RoomId> {
    rights.iter().find_map(|right| right.strip_prefix("hook:")?.parse().ok()).map(RoomId)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    pub at: At,
    pub room: RoomId,
    /// For a direct conversation its people, sorted, with a line feed between: unique like a name, never shown.
    pub name: String,
    pub kind: RoomKind,
    pub topic: String,
    pub creator: String,
}

impl RoomRow {
    /// The people of a direct conversation; none of any other room.
    pub fn people(&self) -> Vec<String> {
        match self.kind {
            RoomKind::Direct => self.name.split('\n').map(str::to_owned).collect(),
            RoomKind::Public | RoomKind::Private => Vec::new(),
        }
    }

    /// The room as the user sees it whose membership, present or past, is given.
    pub fn seen(&self, member: Option<&MemberRow>, last_seq: Seq) -> Room {
        let direct = self.kind == RoomKind::Direct;
        Room {
            room: self.room,
            name: if direct { String::new() } else { self.name.clone() },
            kind: self.kind,
            topic: self.topic.clone(),
            users: self.people(),
            member: member.is_some_and(|row| row.member),
            last_seq,
            at: member.map_or(self.at, |row| row.at.max(self.at)),
        }
    }
}

/// The stored name of a direct conversation: its people, sorted. No name of a user holds a line feed.
pub fn direct_name(users: &[String]) -> String {
    users.join("\n")
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    pub at: At,
    pub room: RoomId,
    pub user: String,
    pub member: bool,
}

/// How far a user has read in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRow {
    pub at: At,
    pub room: RoomId,
    pub user: String,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// `message.at` is the row's `at`; `message.id` and `message.from` find repeats.
    pub message: Message,
    pub digest: RequestDigest,
    /// The `at` of its sending, which its reply told.
    pub sent_at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub at: At,
    pub token_hash: TokenHash,
    pub user: String,
    /// The request that made it.
    pub id: String,
    pub op: LoginOp,
    /// The `at` that the first reply under this id told.
    pub first_at: At,
    pub ended: bool,
    /// When it began, by the leader's clock, and by what program: for its user to know it by. 0 and empty
    /// for one that was made before this was kept.
    pub time: u64,
    pub agent: String,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Creates the account that it names, an admin.
    Create,
    /// Lets somebody register.
    Invite,
    /// Gives the account that it names a new password.
    Reset,
}

/// A secret that lets somebody in who has no account or password here. Like a session's, only its hash
/// is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRow {
    pub at: At,
    pub token_hash: TokenHash,
    pub kind: LinkKind,
    /// For whom it is; empty for an invitation.
    pub name: String,
    /// Who asked for it; for a create link, which operators make, its name.
    pub by: String,
    /// The request that made it.
    pub id: String,
    /// Unix milliseconds, by the clock of the leader that made it.
    pub until: u64,
    pub uses: u64,
    pub used: u64,
    pub revoked: bool,
}

/// What admins set for all nodes, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRow {
    pub at: At,
    pub key: String,
    pub value: String,
}

/// Under this key lies the [`Registration`] that an admin has set; it wins over the nodes' settings files.
pub const REGISTRATION: &str = "registration";

/// The setting that holds the number of a room that an import made or filled.
pub fn imported_room(key: &str) -> String {
    format!("import {key}")
}

/// The same of a subscription.
pub fn imported_subscription(key: &str) -> String {
    format!("import subscription {key}")
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    Open,
    /// Who was invited.
    Closed,
}

impl Registration {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Closed].into_iter().find(|mode| mode.name() == name)
    }
}

/// The outcome of a change that is not a send, kept for repeats. It shares the `at` of the last row
/// that its change wrote: it is part of that change. One that wrote none takes an `at` for this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    pub at: At,
    pub user: String,
    pub id: String,
    pub digest: RequestDigest,
    pub outcome: Outcome,
}

/// Whether a user wants to hear nothing of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteRow {
    pub at: At,
    pub room: RoomId,
    pub user: String,
    pub muted: bool,
}

/// What an edited message said in one of its versions, the present one among them. It shares the `at` of
/// its message: it is part of that change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    pub at: At,
    pub room: RoomId,
    pub seq: Seq,
    pub version: u64,
    /// Empty once it is gone.
    pub text: String,
    pub time: u64,
    pub gone: bool,
}

/// A file that a message holds, or held: by it the file is found from its hash. It shares the `at` of the
/// change of its message that brought it or took it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRow {
    pub at: At,
    pub file: FileId,
    pub room: RoomId,
    pub seq: Seq,
    pub bytes: u64,
    /// The message was deleted.
    pub gone: bool,
}

/// Whether a subscription is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serving {
    On,
    /// Given up: nothing was taken for too long.
    Off,
    /// Deleted.
    Gone,
}

impl Serving {
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Gone => "gone",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Self::On, Self::Off, Self::Gone].into_iter().find(|state| state.name() == name)
    }
}

/// A URL to which the messages of a room are posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRow {
    pub at: At,
    pub subscription: SubscriptionId,
    pub room: RoomId,
    /// Like the secret empty once it is gone.
    pub url: String,
    /// What is posted is signed with it, so it is kept as it is.
    pub secret: String,
    /// Who asked for it. It is served only while they may see the room.
    pub by: String,
    pub state: Serving,
    /// The last message that was dealt with.
    pub delivered: Seq,
    /// Since when nothing was taken, in Unix milliseconds; 0: the last one was.
    pub failing_since: u64,
    /// Why not.
    pub error: String,
    /// When the row changed, in Unix milliseconds.
    pub time: u64,
}

/// A row of any table, for what treats all alike: state for a lagging replica, copies, comparisons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    User(UserRow),
    Room(RoomRow),
    Member(MemberRow),
    Read(ReadRow),
    Message(MessageRow),
    Session(SessionRow),
    Outcome(OutcomeRow),
    Mute(MuteRow),
    Version(VersionRow),
    Link(LinkRow),
    Setting(SettingRow),
    Attachment(AttachmentRow),
    Subscription(SubscriptionRow),
}

/// What a row is found by. The canonical order of all rows is the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    User(String),
    Room(RoomId),
    Member(RoomId, String),
    Read(RoomId, String),
    Message(RoomId, Seq),
    Session(TokenHash),
    /// Whose, and the request's id.
    Outcome(String, String),
    Mute(RoomId, String),
    Version(RoomId, Seq, u64),
    Link(TokenHash),
    Setting(String),
    Attachment(FileId, RoomId, Seq),
    Subscription(SubscriptionId),
}

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Self::User(row) => RowKey::User(row.name.clone()),
            Self::Room(row) => RowKey::Room(row.room),
            Self::Member(row) => RowKey::Member(row.room, row.user.clone()),
            Self::Read(row) => RowKey::Read(row.room, row.user.clone()),
            Self::Message(row) => RowKey::Message(row.message.room, row.message.seq),
            Self::Session(row) => RowKey::Session(row.token_hash),
            Self::Outcome(row) => RowKey::Outcome(row.user.clone(), row.id.clone()),
            Self::Mute(row) => RowKey::Mute(row.room, row.user.clone()),
            Self::Version(row) => RowKey::Version(row.room, row.seq, row.version),
            Self::Link(row) => RowKey::Link(row.token_hash),
            Self::Setting(row) => RowKey::Setting(row.key.clone()),
            Self::Attachment(row) => RowKey::Attachment(row.file, row.room, row.seq),
            Self::Subscription(row) => RowKey::Subscription(row.subscription),
        }
    }

    pub fn at(&self) -> At {
        match self {
            Self::User(row) => row.at,
            Self::Room(row) => row.at,
            Self::Member(row) => row.at,
            Self::Read(row) => row.at,
            Self::Message(row) => row.message.at,
            Self::Session(row) => row.at,
            Self::Outcome(row) => row.at,
            Self::Mute(row) => row.at,
            Self::Version(row) => row.at,
            Self::Link(row) => row.at,
            Self::Setting(row) => row.at,
            Self::Attachment(row) => row.at,
            Self::Subscription(row) => row.at,
        }
    }
}

/// Who keeps the rows. `put_…` inserts or replaces by the row's key.
pub trait Tables {
    /// Reading or writing failed: the caller rolls back; never a refusal.
    type Error;

    /// The last `at` given out.
    fn at(&mut self) -> Result<At, Self::Error>;
    /// Takes the next `at` for a row that changes now.
    fn next_at(&mut self) -> Result<At, Self::Error>;

    fn user(&mut self, name: &str) -> Result<Option<UserRow>, Self::Error>;
    fn any_user(&mut self) -> Result<bool, Self::Error>;
    /// Whether there is an admin who may act besides this one.
    fn another_admin(&mut self, name: &str) -> Result<bool, Self::Error>;
    /// The bots of an owner that were not deleted, by name. Asked only when the owner may not act any more.
    fn bots_of(&mut self, owner: &str) -> Result<Vec<UserRow>, Self::Error>;
    fn put_user(&mut self, row: &UserRow) -> Result<(), Self::Error>;

    fn room(&mut self, room: RoomId) -> Result<Option<RoomRow>, Self::Error>;
    /// Public and private rooms share one space of names (`direct: false`); direct conversations have their own.
    fn room_by_name(&mut self, name: &str, direct: bool) -> Result<Option<RoomRow>, Self::Error>;
    fn last_room(&mut self) -> Result<RoomId, Self::Error>;
    fn put_room(&mut self, row: &RoomRow) -> Result<(), Self::Error>;

    fn member(&mut self, room: RoomId, user: &str) -> Result<Option<MemberRow>, Self::Error>;
    /// Who is in a room now, by name.
    fn members(&mut self, room: RoomId) -> Result<Vec<String>, Self::Error>;
    /// The rooms that a user is in now, by number. Asked only when an account is deleted; a store that
    /// has an index for it does better than this walk.
    fn rooms_of(&mut self, user: &str) -> Result<Vec<RoomId>, Self::Error> {
        let mut rooms = Vec::new();
        let last = self.last_room()?;
        let mut room = RoomId(1);
        while room <= last {
            if self.member(room, user)?.is_some_and(|row| row.member) {
                rooms.push(room);
            }
            room = room.next();
        }
        Ok(rooms)
    }
    fn put_member(&mut self, row: &MemberRow) -> Result<(), Self::Error>;

    fn read(&mut self, room: RoomId, user: &str) -> Result<Option<ReadRow>, Self::Error>;
    fn put_read(&mut self, row: &ReadRow) -> Result<(), Self::Error>;

    /// The last message's place and time in a room; (0, 0) when it has none.
    fn end(&mut self, room: RoomId) -> Result<(Seq, u64), Self::Error>;
    fn message(&mut self, room: RoomId, seq: Seq) -> Result<Option<MessageRow>, Self::Error>;
    fn message_by_id(&mut self, user: &str, id: &str) -> Result<Option<MessageRow>, Self::Error>;
    /// Inserts a message with a new (room, seq) at the room's end, or replaces the one that is there.
    fn put_message(&mut self, row: &MessageRow) -> Result<(), Self::Error>;

    fn session(&mut self, token_hash: &TokenHash) -> Result<Option<SessionRow>, Self::Error>;
    /// The youngest session made under this id.
    fn session_by_id(&mut self, user: &str, id: &str) -> Result<Option<SessionRow>, Self::Error>;
    /// A user's sessions that have not ended, by rising `at`.
    fn sessions(&mut self, user: &str) -> Result<Vec<SessionRow>, Self::Error>;
    fn put_session(&mut self, row: &SessionRow) -> Result<(), Self::Error>;

    fn outcome(&mut self, user: &str, id: &str) -> Result<Option<OutcomeRow>, Self::Error>;
    fn put_outcome(&mut self, row: &OutcomeRow) -> Result<(), Self::Error>;

    fn mute(&mut self, room: RoomId, user: &str) -> Result<Option<MuteRow>, Self::Error>;
    fn put_mute(&mut self, row: &MuteRow) -> Result<(), Self::Error>;

    /// What is kept of a message's versions, by their number, those among them that are gone.
    fn versions(&mut self, room: RoomId, seq: Seq) -> Result<Vec<VersionRow>, Self::Error>;
    fn version(&mut self, room: RoomId, seq: Seq, version: u64) -> Result<Option<VersionRow>, Self::Error>;
    fn put_version(&mut self, row: &VersionRow) -> Result<(), Self::Error>;
    fn link(&mut self, token_hash: &TokenHash) -> Result<Option<LinkRow>, Self::Error>;
    /// The youngest link made under this id.
    fn link_by_id(&mut self, by: &str, id: &str) -> Result<Option<LinkRow>, Self::Error>;
    /// The links that are known to people by this, by hash.
    fn links_shown(&mut self, shown: &Shown) -> Result<Vec<LinkRow>, Self::Error>;
    /// Those for somebody that are neither revoked nor used up, by rising `at`.
    fn links_for(&mut self, kind: LinkKind, name: &str) -> Result<Vec<LinkRow>, Self::Error>;
    fn put_link(&mut self, row: &LinkRow) -> Result<(), Self::Error>;

    fn setting(&mut self, key: &str) -> Result<Option<SettingRow>, Self::Error>;
    fn put_setting(&mut self, row: &SettingRow) -> Result<(), Self::Error>;

    fn attachment(
        &mut self,
        file: FileId,
        room: RoomId,
        seq: Seq,
    ) -> Result<Option<AttachmentRow>, Self::Error>;
    /// How long a file is, if a message holds it that the user may see.
    fn file_seen_by(&mut self, user: &str, file: FileId) -> Result<Option<u64>, Self::Error>;
    fn put_attachment(&mut self, row: &AttachmentRow) -> Result<(), Self::Error>;

    fn subscription(&mut self, id: SubscriptionId) -> Result<Option<SubscriptionRow>, Self::Error>;
    /// Those that were not deleted, by number; there are never many.
    fn subscriptions(&mut self) -> Result<Vec<SubscriptionRow>, Self::Error>;
    /// The highest number ever given.
    fn last_subscription(&mut self) -> Result<SubscriptionId, Self::Error>;
    fn put_subscription(&mut self, row: &SubscriptionRow) -> Result<(), Self::Error>;
}

/// Reactions in the order they are stored and shown.
pub type Reactions = BTreeMap<String, Vec<String>>;
