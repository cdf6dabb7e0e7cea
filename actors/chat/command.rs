//! What the ordered list holds: commands, and the batch of them that one Raft entry carries.
//!
//! Formats grow by one rule: a field that is added is optional and has a default that means what its
//! absence meant; anything else is a new variant with a new [`level`](Change::level), which is proposed
//! only when every member knows it. What a replica cannot read ends its process, and is never skipped:
//! the replicas would part.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::objects::{Role, RoomKind, is_false};
use super::portable::Imported;
use super::tables::Registration;
use crate::ids::{FileId, Origin, RoomId, Seq, SubscriptionId};

/// The highest format level that this program reads and writes.
pub const LEVEL: u8 = 3;
/// The level that every program reads.
pub const LEVEL_FIRST: u8 = 1;
/// From this level of a batch on, what changed nothing and a user's last read mark are remembered for repeats as well.
pub const LEVEL_REMEMBERS_ALL: u8 = 2;
/// From this level of a batch on, the outcome that is kept of a new subscription does not hold its secret, and an
/// import brings nobody into a direct conversation and no number that is too large.
pub const LEVEL_KEEPS_LESS: u8 = 3;
/// From this one on every read mark is, like every other change.
pub const LEVEL_REMEMBERS_MARKS: u8 = 3;

/// A change that somebody asks for. Idempotent by (`user`, `id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Who asks; for `Register` the name that is to be.
    pub user: String,
    /// The client's own id of the request.
    pub id: String,
    pub change: Change,
}

/// What is asked for, checked for form by the session and for permission in apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Change {
    Register {
        display: String,
        /// argon2id, in the PHC string format.
        password_hash: String,
        token_hash: TokenHash,
        /// The cluster listens on loopback only: its first account is its admin.
        first_is_admin: bool,
        /// Of the invitation or create link that was shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<TokenHash>,
        /// The node that asks lets nobody register, by its own settings.
        #[serde(default, skip_serializing_if = "is_false")]
        closed: bool,
        /// By what program, as it said of itself. `None` until every member reads this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// A session for an account whose password the session's node has checked. Repeated under the id
    /// of an earlier login or registration it revokes that one's token and gives this.
    Login {
        token_hash: TokenHash,
        /// The stored hash that the password was checked against; another one by now is a refusal.
        password_hash: String,
        /// What the request was: `register` (repeated) or `login`.
        op: LoginOp,
        /// As for `Register`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    Logout {
        token_hash: TokenHash,
    },
    ChangePassword {
        /// The stored hash that the old password was checked against.
        old_hash: String,
        new_hash: String,
        /// The session that asks; it alone stays.
        token_hash: TokenHash,
        /// Distinguishes this request from another under the same id: the salted hash would not.
        request: RequestDigest,
    },
    DeleteAccount {
        password_hash: String,
    },
    CreateRoom {
        name: String,
        kind: RoomKind,
        topic: String,
    },
    Join {
        room: RoomId,
    },
    Leave {
        room: RoomId,
    },
    Invite {
        room: RoomId,
        user: String,
    },
    Remove {
        room: RoomId,
        user: String,
    },
    /// `users`: everybody in it, the asker included, sorted.
    OpenDirect {
        users: Vec<String>,
    },
    Send {
        room: RoomId,
        text: String,
        reply_to: Option<Seq>,
    },
    /// A send with files; the text may be empty.
    SendFiles {
        room: RoomId,
        text: String,
        reply_to: Option<Seq>,
        files: Vec<Attached>,
    },
    Edit {
        room: RoomId,
        seq: Seq,
        text: String,
        version: Option<u64>,
        /// What it said before is kept as well. Level 2.
        #[serde(default, skip_serializing_if = "is_false")]
        keep: bool,
    },
    Delete {
        room: RoomId,
        seqs: Vec<Seq>,
    },
    React {
        room: RoomId,
        seq: Seq,
        emoji: String,
        on: bool,
    },
    MarkRead {
        room: RoomId,
        seq: Seq,
    },
    Mute {
        room: RoomId,
        on: bool,
    },
    SetProfile {
        /// Empty: the name.
        display: String,
    },
    EndSession {
        session: Shown,
    },
    SetRole {
        user: String,
        role: Role,
    },
    SetDisabled {
        user: String,
        disabled: bool,
    },
    SetRegistration {
        mode: Registration,
    },
    SetRoom {
        room: RoomId,
        name: Option<String>,
        topic: Option<String>,
    },
    CreateInvite {
        uses: u64,
        hours: u64,
        link: TokenHash,
    },
    RevokeInvite {
        invite: Shown,
    },
    CreateBot {
        name: String,
        display: String,
        /// Sorted, each once.
        rights: Vec<String>,
        token_hash: TokenHash,
    },
    /// A bot that may do nothing but send to one room.
    CreateHook {
        room: RoomId,
        name: String,
        display: String,
        token_hash: TokenHash,
    },
    DeleteHook {
        hook: String,
    },
    RenewBotToken {
        bot: String,
        token_hash: TokenHash,
    },
    DeleteBot {
        bot: String,
    },
    /// The room's messages are to be posted to a URL.
    CreateSubscription {
        room: RoomId,
        url: String,
        /// What is posted is signed with it.
        secret: String,
    },
    DeleteSubscription {
        subscription: SubscriptionId,
    },
    /// By whoever posts messages, for nobody: how far each subscription is.
    Delivered {
        reports: Vec<Report>,
    },
    ResetPassword {
        user: String,
        link: TokenHash,
    },
    /// By whoever holds a reset link; the command's user is the one whom the link names.
    SetPassword {
        link: TokenHash,
        new_hash: String,
        /// As for `ChangePassword`.
        request: RequestDigest,
    },
    /// By whoever runs the cluster: makes the command's user an admin, or, when there is no such account,
    /// a link that creates it.
    Appoint {
        link: TokenHash,
    },
    /// By whoever runs the cluster: what was elsewhere comes here, each item once. The command's user is nobody.
    Import {
        items: Vec<Imported>,
        /// Also into rooms that no import made.
        into_existing: bool,
    },
}

/// The level of changes that came after the first version.
const LEVEL_SECOND: u8 = 2;
/// The level from which on imports bring what bots may do, muted rooms and subscriptions.
const LEVEL_THIRD: u8 = 3;

/// A file that a message is to hold. Its bytes are on the disks of a majority before it is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    pub file: FileId,
    pub name: String,
    /// How long it is, when it is `uploaded`; else the tables know.
    pub bytes: u64,
    #[serde(rename = "type")]
    pub kind: String,
    /// The sender uploaded it: some node has the record. If not, it must be one that the sender can see.
    pub uploaded: bool,
}

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub subscription: SubscriptionId,
    /// The last message that was dealt with.
    pub delivered: Seq,
    /// Since when nothing was taken, in Unix milliseconds; 0: the last one was.
    pub failing_since: u64,
    /// Why not.
    pub error: String,
    /// It is given up.
    pub off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginOp {
    Register,
    Login,
    /// Of a bot: a token that an admin had drawn for it.
    Bot,
}

/// SHA-256 of a token; the token itself is told once and kept nowhere.
pub type TokenHash = [u8; 32];
/// The first bytes of a token's hash: by these a session or an invitation is named to people.
pub type Shown = [u8; 8];
/// The first half of a SHA-256 over what a request asks for.
pub type RequestDigest = [u8; 16];

/// What the data of one Raft entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The format level that a replica must know to read it, and by whose rules it is applied.
    pub level: u8,
    /// The leader's clock when it proposed this, in Unix milliseconds.
    pub time_ms: u64,
    pub items: Vec<Item>,
}

/// One command of a batch. Its bytes stay as its node encoded them: a leader wraps, never re-encodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub origin: Origin,
    /// An encoded [`Command`].
    pub command: ByteBuf,
}

/// Bytes of the log or of a peer that are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("cannot encode: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("cannot decode: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("format level {found}, but this program knows levels up to {LEVEL}: run a newer replicated-chat")]
    Newer { found: u8 },
}

/// The name that people see of a token's hash.
pub fn shown(token_hash: &TokenHash) -> Shown {
    let mut shown = Shown::default();
    shown.copy_from_slice(&token_hash[..8]);
    shown
}

impl Change {
    /// The format level that a program must know to read this change.
    pub fn level(&self) -> u8 {
        match self {
            Self::Register { link: None, closed: false, agent: None, .. }
            | Self::Login { agent: None, .. }
            | Self::Logout { .. }
            | Self::ChangePassword { .. }
            | Self::DeleteAccount { .. }
            | Self::CreateRoom { .. }
            | Self::Join { .. }
            | Self::Leave { .. }
            | Self::Invite { .. }
            | Self::Remove { .. }
            | Self::OpenDirect { .. }
            | Self::Send { .. }
            | Self::Edit { keep: false, .. }
            | Self::Delete { .. }
            | Self::React { .. }
            | Self::MarkRead { .. } => LEVEL_FIRST,
            Self::Import { items, .. } if items.iter().any(Imported::is_late) => LEVEL_THIRD,
            Self::SendFiles { .. }
            | Self::Edit { keep: true, .. }
            | Self::Mute { .. }
            | Self::Register { .. }
            | Self::Login { .. }
            | Self::SetProfile { .. }
            | Self::EndSession { .. }
            | Self::SetRole { .. }
            | Self::SetDisabled { .. }
            | Self::SetRegistration { .. }
            | Self::SetRoom { .. }
            | Self::CreateInvite { .. }
            | Self::RevokeInvite { .. }
            | Self::CreateBot { .. }
            | Self::CreateHook { .. }
            | Self::DeleteHook { .. }
            | Self::RenewBotToken { .. }
            | Self::DeleteBot { .. }
            | Self::CreateSubscription { .. }
            | Self::DeleteSubscription { .. }
            | Self::Delivered { .. }
            | Self::ResetPassword { .. }
            | Self::SetPassword { .. }
            | Self::Appoint { .. }
            | Self::Import { .. } => LEVEL_SECOND,
        }
    }

    /// The same in the format of an earlier level, as far as that can say it: for while not every member
    /// is known to read this one.
    pub fn in_earlier_words(&self) -> Option<Self> {
        match self {
            Self::Edit { room, seq, text, version, keep: true } => {
                let (text, version) = (text.clone(), *version);
                Some(Self::Edit { room: *room, seq: *seq, text, version, keep: false })
            }
            // By what program is only nice to know.
            Self::Register { agent: Some(_), .. } | Self::Login { agent: Some(_), .. } => {
                let mut earlier = self.clone();
                if let Self::Register { agent, .. } | Self::Login { agent, .. } = &mut earlier {
                    *agent = None;
                }
                Some(earlier)
            }
            _ => None,
        }
    }

    /// Whether it waits while disks are nearly full. What frees or ends something goes on: it is the way
    /// out of there.
    pub fn takes_room(&self) -> bool {
        match self {
            Self::Delete { .. }
            | Self::DeleteAccount { .. }
            | Self::Logout { .. }
            | Self::Leave { .. }
            | Self::Mute { .. }
            | Self::MarkRead { .. }
            | Self::EndSession { .. }
            | Self::SetDisabled { .. }
            | Self::DeleteBot { .. }
            | Self::DeleteHook { .. }
            | Self::DeleteSubscription { .. }
            | Self::Delivered { .. }
            | Self::RevokeInvite { .. } => false,
            Self::Register { .. }
            | Self::Login { .. }
            | Self::ChangePassword { .. }
            | Self::CreateRoom { .. }
            | Self::Join { .. }
            | Self::Invite { .. }
            | Self::Remove { .. }
            | Self::OpenDirect { .. }
            | Self::Send { .. }
            | Self::SendFiles { .. }
            | Self::Edit { .. }
            | Self::React { .. }
            | Self::SetProfile { .. }
            | Self::SetRole { .. }
            | Self::SetRegistration { .. }
            | Self::SetRoom { .. }
            | Self::CreateInvite { .. }
            | Self::CreateBot { .. }
            | Self::CreateHook { .. }
            | Self::RenewBotToken { .. }
            | Self::CreateSubscription { .. }
            | Self::ResetPassword { .. }
            | Self::SetPassword { .. }
            | Self::Appoint { .. }
            | Self::Import { .. } => true,
        }
    }
}

impl Command {
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Ok(rmp_serde::to_vec_named(self)?)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

impl Batch {
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        // Level and shape of the batch itself never change: positions suffice.
        Ok(rmp_serde::to_vec(self)?)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let batch: Self = rmp_serde::from_slice(bytes)?;
        if batch.level > LEVEL {
            return Err(FormatError::Newer { found: batch.level });
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A login as the first programs wrote it, in their bytes.
    #[test]
    fn a_field_that_is_not_there_is_not_written() {
        let login = |agent: Option<&str>| Command {
            user: "ann".into(),
            id: "1".into(),
            change: Change::Login {
                token_hash: [1; 32],
                password_hash: "hash".into(),
                op: LoginOp::Login,
                agent: agent.map(str::to_owned),
            },
        };
        let old = login(None);
        assert_eq!(old.change.level(), LEVEL_FIRST);
        let bytes = old.encode().unwrap();
        assert!(
            !bytes.windows(5).any(|part| part == b"agent"),
            "earlier programs refuse a field they do not know"
        );
        assert_eq!(Command::decode(&bytes).unwrap(), old);

        let new = login(Some("a phone"));
        assert_eq!(new.change.level(), 2);
        assert_eq!(Command::decode(&new.encode().unwrap()).unwrap(), new);
        assert_eq!(new.change.in_earlier_words(), Some(old.change.clone()));
        assert_eq!(old.change.in_earlier_words(), None);
    }
}
