//! What the tables hold: each row with every field that is replicated.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Canon;
use crate::chat::command::LoginOp;
use crate::chat::objects::{Message, Role, Room, User};
use crate::chat::outcome::{Done, Outcome};
use crate::chat::tables::{Bot, LinkKind, OutcomeRow, Row};

/// Begins the digest of a replica's rows, which are to come in their canonical order.
pub fn begin_rows() -> Canon {
    Canon::new("rows")
}

/// The digest of a replica's rows, which come in their canonical order.
pub fn of_rows<'r>(rows: impl IntoIterator<Item = &'r Row>) -> [u8; 32] {
    let mut canon = begin_rows();
    for row in rows {
        canon.row(row);
    }
    canon.finish()
}

/// What the rows of a replica come to, whatever their order: each row's digest, added up. So it follows
/// a change by what the row was and what it is, and two replicas compare all they hold by 16 bytes.
/// It finds damage and mistakes; it does not withstand somebody who chooses the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsSum([u8; 16]);

impl RowsSum {
    pub fn of_rows<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Self {
        let mut sum = Self::default();
        for row in rows {
            sum.add(row);
        }
        sum
    }

    pub fn add(&mut self, row: &Row) {
        self.set(self.number().wrapping_add(Self::one(row)));
    }

    pub fn take(&mut self, row: &Row) {
        self.set(self.number().wrapping_sub(Self::one(row)));
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn one(row: &Row) -> u128 {
        let mut canon = Canon::new("row");
        canon.row(row);
        u128::from_be_bytes(canon.half())
    }

    fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    fn set(&mut self, number: u128) {
        self.0 = number.to_be_bytes();
    }
}

impl fmt::Display for RowsSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Canon {
    /// Writes a whole row, with every field that is replicated.
    pub fn row(&mut self, row: &Row) -> &mut Self {
        match row {
            Row::User(row) => {
                self.text("user").number(row.at.0).user(&row.seen()).text(&row.password_hash);
                self.text(&row.created_by).bytes(&row.created_digest);
                if row.disabled {
                    self.text("disabled");
                }
                if let Some(Bot { owner, rights }) = &row.bot {
                    self.text("bot").text(owner).texts(rights);
                }
                self
            }
            Row::Room(row) => {
                self.text("room").number(row.at.0).number(row.room.0).text(&row.name);
                self.room_kind(row.kind).text(&row.topic).text(&row.creator)
            }
            Row::Member(row) => {
                self.text("member").number(row.at.0).number(row.room.0).text(&row.user).flag(row.member)
            }
            Row::Read(row) => {
                self.text("read").number(row.at.0).number(row.room.0).text(&row.user).number(row.seq.0)
            }
            Row::Message(row) => {
                self.text("message").message(&row.message).bytes(&row.digest).number(row.sent_at.0)
            }
            Row::Session(row) => {
                self.text("session").number(row.at.0).bytes(&row.token_hash).text(&row.user).text(&row.id);
                self.flag(row.op == LoginOp::Register).number(row.first_at.0).flag(row.ended);
                if row.time > 0 {
                    self.number(row.time).text(&row.agent);
                }
                if row.op == LoginOp::Bot {
                    self.text("bot");
                }
                self
            }
            Row::Outcome(OutcomeRow { at, user, id, digest, outcome }) => {
                self.text("outcome").number(at.0).text(user).text(id).bytes(digest).outcome(outcome)
            }
            Row::Mute(row) => {
                self.text("mute").number(row.at.0).number(row.room.0).text(&row.user).flag(row.muted)
            }
            Row::Version(row) => {
                self.text("version").number(row.at.0).number(row.room.0).number(row.seq.0);
                self.number(row.version).text(&row.text).number(row.time).flag(row.gone)
            }
            Row::Link(row) => {
                self.text("link").number(row.at.0).bytes(&row.token_hash).text(link_name(row.kind));
                self.text(&row.name).text(&row.by).text(&row.id).number(row.until);
                self.number(row.uses).number(row.used).flag(row.revoked)
            }
            Row::Setting(row) => self.text("setting").number(row.at.0).text(&row.key).text(&row.value),
            Row::Subscription(row) => {
                self.text("subscription").number(row.at.0).number(row.subscription.0).number(row.room.0);
                self.text(&row.url).text(&row.secret).text(&row.by).text(row.state.name());
                self.number(row.delivered.0).number(row.failing_since).text(&row.error).number(row.time)
            }
            Row::Attachment(row) => {
                self.text("attachment").number(row.at.0).bytes(&row.file.0).number(row.room.0);
                self.number(row.seq.0).number(row.bytes).flag(row.gone)
            }
        }
    }

    fn user(&mut self, user: &User) -> &mut Self {
        self.text(&user.name).text(&user.display).flag(user.role == Role::Admin).flag(user.deleted)
    }

    fn message(&mut self, message: &Message) -> &mut Self {
        self.number(message.at.0).number(message.room.0).number(message.seq.0).text(&message.id);
        self.text(&message.from).text(&message.text).number(message.time).number(message.version);
        self.flag(message.edited).flag(message.deleted).maybe(message.reply_to.map(|seq| seq.0));
        self.number(message.reactions.len() as u64);
        for (emoji, users) in &message.reactions {
            self.text(emoji).texts(users);
        }
        self.number(message.files.len() as u64);
        for file in &message.files {
            self.text(&file.file.to_string()).text(&file.name).number(file.bytes).text(&file.kind);
        }
        self
    }

    fn room(&mut self, room: &Room) -> &mut Self {
        self.number(room.room.0).text(&room.name).room_kind(room.kind).text(&room.topic);
        self.texts(&room.users).flag(room.member).number(room.last_seq.0).number(room.at.0)
    }

    fn outcome(&mut self, outcome: &Outcome) -> &mut Self {
        self.number(outcome.at.0);
        match &outcome.done {
            Done::Plain => self.text("plain"),
            Done::Account(user) => self.text("account").user(user),
            Done::Room(room) => self.text("room").room(room),
            Done::Sent { seq, time } => self.text("sent").number(seq.0).number(*time),
            Done::Edited { version } => self.text("edited").number(*version),
            Done::User(user) => {
                self.text("now").user(user);
                self.flag(user.disabled).flag(user.bot)
            }
            Done::Link { until } => self.text("link").number(*until),
            Done::Subscribed { subscription, secret } => {
                self.text("subscribed").number(subscription.0);
                if secret.is_empty() { self } else { self.text(secret) }
            }
            Done::Marked { id } => self.text("marked").text(id),
            Done::Imported(landed) => self.text("imported").number(landed.len() as u64),
        }
    }
}

fn link_name(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Create => "create",
        LinkKind::Invite => "invite",
        LinkKind::Reset => "reset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{At, SubscriptionId};

    /// An earlier program kept a subscription's secret with the outcome: its row still comes to the same.
    #[test]
    fn an_outcome_with_a_secret_counts_as_it_did() {
        let sum = |secret: &str| {
            let done = Done::Subscribed { subscription: SubscriptionId(1), secret: secret.into() };
            let outcome = Outcome { at: At(5), duplicate: false, done };
            let (user, id) = ("ann".to_owned(), "1".to_owned());
            let row = Row::Outcome(OutcomeRow { at: At(5), user, id, digest: [7; 16], outcome });
            RowsSum::of_rows(&[row]).to_string()
        };
        assert_eq!(sum("secret"), "b296bb656d0d8abf6fb21824c18b3d4a");
        assert_ne!(sum("secret"), sum(""));
    }
}
