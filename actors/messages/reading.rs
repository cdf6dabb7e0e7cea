//! Questions to `Reader`: short read transactions on pooled, read-only connections.
//!
//! Each carries its `reply`; an answer that nobody waits for any more is dropped.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::chat::command::TokenHash;
use crate::chat::objects::{Event, Message, Room, User, Version};
use crate::chat::portable::{End, Place};
use crate::chat::tables::{AttachmentRow, LinkRow, Registration, SessionRow, SubscriptionRow, UserRow};
use crate::chat_db::pages::Position;
use crate::ids::{At, FileId, LogIndex, RoomId, Seq};
use crate::post;

/// Reading the tables failed; the text is for the log and for `internal`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read chat.db: {why}")]
pub struct ReadFailed {
    pub why: String,
    /// The file cannot be trusted any more.
    pub damage: bool,
}

impl ReadFailed {
    /// That says nothing about the file.
    pub fn of(why: impl Into<String>) -> Self {
        Self { why: why.into(), damage: false }
    }
}

pub type Answer<T> = oneshot::Sender<Result<T, ReadFailed>>;

/// Whose token is this? `None`: nobody's, or a session that ended.
pub struct SessionOf {
    pub token_hash: TokenHash,
    pub reply: Answer<Option<SessionUser>>,
}

/// Who is behind a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    pub user: User,
    /// What a bot may do; `None`: a person.
    pub rights: Option<Vec<String>>,
}

/// The account of that name, with its password's hash.
pub struct Account {
    pub name: String,
    pub reply: Answer<Option<UserRow>>,
}

/// What `hello` shows of one user's rooms, as of `at`.
pub struct Home {
    pub user: String,
    pub reply: Answer<HomeView>,
}

pub struct HomeView {
    pub at: At,
    pub rooms: Vec<HomeRoom>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HomeRoom {
    #[serde(flatten)]
    pub room: Room,
    pub read_seq: Seq,
    pub unread: u64,
    /// Of those unread, where somebody else wrote `@` and this user's name.
    pub mentions: u64,
    pub muted: bool,
}

/// The events with `at` > `after` that the user may see, as the rows are now, in the order of `at`;
/// at most `limit` of them. Ends at `up_to`: everything visible up to it is in this page or before it.
pub struct Pull {
    pub user: String,
    pub after: At,
    pub limit: usize,
    pub reply: Answer<PullPage>,
}

pub struct PullPage {
    pub events: Vec<Event>,
    pub up_to: At,
    /// `up_to` is this node's `at` as of this read: live news goes on from there.
    pub end: bool,
    /// The user's rooms as of this read.
    pub rooms: Vec<RoomId>,
}

pub struct History {
    pub user: String,
    pub room: RoomId,
    pub page: PageOf,
    pub limit: usize,
    /// `None` inside: no such room, or not one's own.
    pub reply: Answer<Option<HistoryPage>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOf {
    Newest,
    Before(Seq),
    After(Seq),
}

pub struct HistoryPage {
    pub messages: Vec<Message>,
    pub more: bool,
    pub at: At,
}

/// Accounts by name, deleted ones too; `pattern` with `*` and `?`.
pub struct Users {
    pub pattern: Option<String>,
    pub after: Option<String>,
    pub limit: usize,
    pub reply: Answer<Vec<User>>,
}

/// Public rooms and the user's own, by name; direct ones last.
pub struct Rooms {
    pub user: String,
    pub pattern: Option<String>,
    /// Private ones of others as well.
    pub all: bool,
    /// `None` inside: that is for admins to see.
    pub reply: Answer<Option<Vec<Room>>>,
}

/// A user's sessions that have not ended, the oldest first.
pub struct Sessions {
    pub user: String,
    pub reply: Answer<Vec<SessionRow>>,
}

/// All invitations; what changed last comes first.
pub struct Invites {
    pub user: String,
    /// `None` inside: that is for admins to see.
    pub reply: Answer<Option<Vec<LinkRow>>>,
}

/// All bots, by name, or the hooks of one room.
pub struct Bots {
    pub user: String,
    pub room: Option<RoomId>,
    pub reply: Answer<Result<Vec<UserRow>, Hidden>>,
}

/// Why somebody is not shown what those in charge are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It is for admins, or for the room's creator.
    NotInCharge,
    /// There is no such room, or none that they may see.
    NoSuchRoom,
}

/// Where a room's messages are posted, by number.
pub struct Subscriptions {
    pub user: String,
    pub room: RoomId,
    pub reply: Answer<Result<Vec<SubscriptionSeen>, Hidden>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSeen {
    pub row: SubscriptionRow,
    /// Who asked for it may see the room now.
    pub allowed: bool,
}

/// The link of that token, good or not.
pub struct LinkOf {
    pub token_hash: TokenHash,
    pub reply: Answer<Option<LinkRow>>,
}

/// Who may register, if an admin has set it.
pub struct RegistrationSet {
    pub reply: Answer<Option<Registration>>,
}

/// Who is in a room that the user may see.
pub struct Members {
    pub user: String,
    pub room: RoomId,
    pub reply: Answer<Option<Vec<User>>>,
}

/// One message, if the user may see it.
pub struct OneMessage {
    pub user: String,
    pub room: RoomId,
    pub seq: Seq,
    pub reply: Answer<Option<Message>>,
}

/// What a message said and says, the oldest first; `None`: none that the user may see. Of one that is
/// deleted nothing is left.
pub struct Versions {
    pub user: String,
    pub room: RoomId,
    pub seq: Seq,
    pub reply: Answer<Option<Vec<Version>>>,
}

/// Log entries that are no longer in memory, for a peer that lags; `[from, to)`, at least one, at
/// most `bytes_max` together.
pub struct LogEntries {
    pub from: LogIndex,
    pub to: LogIndex,
    pub bytes_max: u64,
    pub reply: Answer<Vec<raft::eraftpb::Entry>>,
}

/// The replicated rows behind `after`, as of now, as an encoded page (`chat_db::pages`) of about
/// `bytes_max` bytes.
pub struct StatePage {
    pub after: At,
    /// The highest `at` of any source so far: one that is behind it must not answer.
    pub horizon: At,
    pub bytes_max: usize,
    pub reply: Answer<StatePageAnswer>,
}

pub enum StatePageAnswer {
    Page(Bytes),
    /// This node has applied no further than this.
    Behind(At),
}

/// Which of these files does a message hold that the user may see?
pub struct FilesSeen {
    pub user: String,
    pub files: Vec<FileId>,
    pub reply: Answer<Vec<bool>>,
}

/// Has the user sent this file in a message after that?
pub struct SentSince {
    pub user: String,
    pub file: FileId,
    pub at: At,
    pub reply: Answer<bool>,
}

/// Has the user made any change under this id?
pub struct DoneBefore {
    pub user: String,
    pub id: String,
    pub reply: Answer<bool>,
}

/// Which messages came to hold which files, or were deleted, behind `after`: at least `limit` of those there
/// are, so that none of the same `at` is parted.
pub struct AttachmentsAfter {
    pub after: At,
    pub limit: usize,
    pub reply: Answer<Vec<AttachmentRow>>,
}

/// The next lines of an export, of everything or of what one user may see; of messages only those sent up to
/// an `at`. The lines of a page come to about `bytes_max` bytes.
pub struct ExportPage {
    pub user: Option<String>,
    pub after: Place,
    pub up_to: At,
    pub bytes_max: usize,
    /// `None` inside: there is no such user.
    pub reply: Answer<Option<ExportedPage>>,
}

pub struct ExportedPage {
    /// Lines of JSON (`chat::portable`).
    pub text: Bytes,
    pub counted: End,
    /// Where to go on; none: that was all.
    pub next: Option<Place>,
}

/// How long are these files, if any message holds them? Answered in their order.
pub struct InMessages {
    pub files: Vec<FileId>,
    pub reply: Answer<Vec<Option<u64>>>,
}

/// Where the tables stand.
pub struct TablesAt {
    pub reply: Answer<Position>,
}

post! {
    StatePage => "state_page",
    TablesAt => "tables_at",
    FilesSeen => "files_seen",
    SentSince => "sent_since",
    DoneBefore => "done_before",
    AttachmentsAfter => "attachments_after",
    InMessages => "in_messages",
    ExportPage => "export_page",
    SessionOf => "session_of",
    Account => "account",
    Home => "home",
    Pull => "pull",
    History => "history",
    Users => "users",
    Rooms => "rooms",
    Sessions => "sessions",
    Invites => "invites",
    Bots => "bots",
    Subscriptions => "subscriptions",
    LinkOf => "link_of",
    RegistrationSet => "registration_set",
    Members => "members",
    OneMessage => "one_message",
    Versions => "versions",
    LogEntries => "log_entries",
}
