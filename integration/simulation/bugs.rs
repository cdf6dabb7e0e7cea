//! Bugs planted in the simulation's own disks, drivers and clients, to prove that the checkers can fail.

use std::convert::Infallible;

use chat_actors::chat::command::{Shown, TokenHash};
use chat_actors::chat::model::Model;
use chat_actors::chat::tables::{
    AttachmentRow, LinkKind, LinkRow, MemberRow, MessageRow, MuteRow, OutcomeRow, ReadRow, RoomRow,
    SessionRow, SettingRow, SubscriptionRow, Tables, UserRow, VersionRow,
};
use chat_actors::ids::{At, FileId, RoomId, Seq, SubscriptionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The disk says `Persisted` when an append is written, before it is synced.
    PersistedBeforeSync,
    /// A term and a vote without entries are kept in memory only.
    VoteNotPersisted,
    /// A sync that failed is tried again, and its success believed.
    FailedSyncRepeated,
    /// A start believes what is written and does not sync it by committing its boot.
    StartWithoutBootCommit,
    /// Apply does not find what was done before under the same id.
    OutcomesForgotten,
    /// A resumed stream begins one `at` too late.
    ResumeOffByOne,
    /// The live stream begins one `at` too late after a resume.
    BufferDropsOneTooMany,
    /// The applied position survives a power cut that its rows do not survive.
    AppliedApartFromRows,
    /// One node applies the commands of an entry in another order.
    ApplyInAnotherOrder,
    /// A deadline is told as "this will never take effect".
    DeadlineAsRefused,
    /// A linearizable read is answered without asking the leader.
    StaleRead,
    /// The same, and nobody looks but the judge.
    StaleReadForTheJudge,
    /// A node says that it applied an entry before its rows are there.
    AppliedTooEarly,
    /// Forwarded commands get lost, and nobody is told.
    ForwardsLost,
    /// A leader takes forwarded commands though others that were asked before are lost.
    ForwardsOvertake,
    /// Forwarded commands count in whatever term they arrive.
    ForwardsOfAnyTerm,
    /// The position of an installed snapshot is safe before its rows are.
    PositionWithoutRows,
    /// State is taken from a source that is behind an earlier one.
    SourceBehindHorizon,
    /// A learner becomes a voter as soon as it is caught up.
    PromotedAtOnce,
}

/// Tables that do not find what was done before under the same id.
pub struct Forgetful<'a>(pub &'a mut Model);

macro_rules! pass_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {$(
        fn $name(&mut self, $($argument: $kind),*) -> Result<$result, Infallible> {
            self.0.$name($($argument),*)
        }
    )*};
}

impl Tables for Forgetful<'_> {
    type Error = Infallible;

    fn message_by_id(&mut self, _user: &str, _id: &str) -> Result<Option<MessageRow>, Infallible> {
        Ok(None)
    }

    fn outcome(&mut self, _user: &str, _id: &str) -> Result<Option<OutcomeRow>, Infallible> {
        Ok(None)
    }

    pass_on! {
        at() -> At;
        next_at() -> At;
        user(name: &str) -> Option<UserRow>;
        any_user() -> bool;
        put_user(row: &UserRow) -> ();
        room(room: RoomId) -> Option<RoomRow>;
        room_by_name(name: &str, direct: bool) -> Option<RoomRow>;
        last_room() -> RoomId;
        put_room(row: &RoomRow) -> ();
        member(room: RoomId, user: &str) -> Option<MemberRow>;
        members(room: RoomId) -> Vec<String>;
        put_member(row: &MemberRow) -> ();
        read(room: RoomId, user: &str) -> Option<ReadRow>;
        put_read(row: &ReadRow) -> ();
        end(room: RoomId) -> (Seq, u64);
        message(room: RoomId, seq: Seq) -> Option<MessageRow>;
        put_message(row: &MessageRow) -> ();
        session(token_hash: &TokenHash) -> Option<SessionRow>;
        session_by_id(user: &str, id: &str) -> Option<SessionRow>;
        sessions(user: &str) -> Vec<SessionRow>;
        put_session(row: &SessionRow) -> ();
        put_outcome(row: &OutcomeRow) -> ();
        mute(room: RoomId, user: &str) -> Option<MuteRow>;
        put_mute(row: &MuteRow) -> ();
        versions(room: RoomId, seq: Seq) -> Vec<VersionRow>;
        version(room: RoomId, seq: Seq, version: u64) -> Option<VersionRow>;
        put_version(row: &VersionRow) -> ();
        another_admin(name: &str) -> bool;
        bots_of(owner: &str) -> Vec<UserRow>;
        link(token_hash: &TokenHash) -> Option<LinkRow>;
        link_by_id(by: &str, id: &str) -> Option<LinkRow>;
        links_shown(shown: &Shown) -> Vec<LinkRow>;
        links_for(kind: LinkKind, name: &str) -> Vec<LinkRow>;
        put_link(row: &LinkRow) -> ();
        setting(key: &str) -> Option<SettingRow>;
        put_setting(row: &SettingRow) -> ();
        attachment(file: FileId, room: RoomId, seq: Seq) -> Option<AttachmentRow>;
        file_seen_by(user: &str, file: FileId) -> Option<u64>;
        put_attachment(row: &AttachmentRow) -> ();
        subscription(id: SubscriptionId) -> Option<SubscriptionRow>;
        subscriptions() -> Vec<SubscriptionRow>;
        last_subscription() -> SubscriptionId;
        put_subscription(row: &SubscriptionRow) -> ();
    }
}
