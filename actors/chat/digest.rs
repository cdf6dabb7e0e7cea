//! Canonical bytes and their SHA-256: what a request asks for, and what the tables hold.
//!
//! Every part is written with its length or in a fixed width, so two different things never give the
//! same bytes. What is written here is compared across nodes and versions: it never changes. A field
//! that is added later is written only when it is there.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::command::{Change, Command, LoginOp, Report, RequestDigest};
use super::objects::{Message, Role, Room, RoomKind, User};
use super::outcome::{Done, Outcome};
use super::tables::{Bot, LinkKind, OutcomeRow, Row};

/// Collects canonical bytes.
pub struct Canon {
    hash: Sha256,
}

impl Canon {
    /// Begins with the name of the kind of thing that is written.
    pub fn new(kind: &str) -> Self {
        let mut canon = Self { hash: Sha256::new() };
        canon.text(kind);
        canon
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.hash.update(number.to_be_bytes());
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.hash.update([u8::from(flag)]);
        self
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.hash.update(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn maybe(&mut self, number: Option<u64>) -> &mut Self {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.number(number);
        }
        self
    }

    pub fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
        self
    }

    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}

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
        u128::from_be_bytes(half(canon))
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

/// The digest of what a command asks for: the same request gives the same, whatever its session salted
/// or drew for it. A password is not part of it; where another one must count as another request, the
/// change brings a digest of its own.
pub fn of_request(command: &Command) -> RequestDigest {
    let mut canon = Canon::new("request");
    match &command.change {
        Change::Register { display, link, .. } => {
            canon.text("register").text(&command.user).text(display);
            if let Some(link) = link {
                canon.bytes(link);
            }
        }
        Change::Login { .. } => {
            canon.text("login");
        }
        Change::Logout { token_hash } => {
            canon.text("logout").bytes(token_hash);
        }
        Change::ChangePassword { request, .. } => {
            canon.text("change_password").bytes(request);
        }
        Change::DeleteAccount { .. } => {
            canon.text("delete_account");
        }
        Change::CreateRoom { name, kind, topic } => {
            canon.text("create_room").text(name).text(kind_name(*kind)).text(topic);
        }
        Change::Join { room } => {
            canon.text("join").number(room.0);
        }
        Change::Leave { room } => {
            canon.text("leave").number(room.0);
        }
        Change::Invite { room, user } => {
            canon.text("invite").number(room.0).text(user);
        }
        Change::Remove { room, user } => {
            canon.text("remove").number(room.0).text(user);
        }
        Change::OpenDirect { users } => {
            canon.text("open_direct").texts(users);
        }
        Change::Send { room, text, reply_to } => {
            canon.text("send").number(room.0).text(text).maybe(reply_to.map(|seq| seq.0));
        }
        // Not where the bytes were when it was asked: that differs from node to node.
        Change::SendFiles { room, text, reply_to, files } => {
            canon.text("send").number(room.0).text(text).maybe(reply_to.map(|seq| seq.0));
            canon.number(files.len() as u64);
            for file in files {
                canon.text(&file.file.to_string()).text(&file.name);
            }
        }
        // Whether the old text is kept is for the nodes to settle: the request is the same.
        Change::Edit { room, seq, text, version, keep: _ } => {
            canon.text("edit").number(room.0).number(seq.0).text(text).maybe(*version);
        }
        Change::Delete { room, seqs } => {
            canon.text("delete").number(room.0).number(seqs.len() as u64);
            for seq in seqs {
                canon.number(seq.0);
            }
        }
        Change::React { room, seq, emoji, on } => {
            canon.text("react").number(room.0).number(seq.0).text(emoji).flag(*on);
        }
        Change::MarkRead { room, seq } => {
            canon.text("mark_read").number(room.0).number(seq.0);
        }
        Change::Mute { room, on } => {
            canon.text("mute").number(room.0).flag(*on);
        }
        Change::SetProfile { display } => {
            canon.text("set_profile").text(display);
        }
        Change::EndSession { session } => {
            canon.text("end_session").bytes(session);
        }
        Change::SetRole { user, role } => {
            canon.text("set_role").text(user).flag(*role == Role::Admin);
        }
        Change::SetDisabled { user, disabled } => {
            canon.text("set_disabled").text(user).flag(*disabled);
        }
        Change::SetRegistration { mode } => {
            canon.text("set_registration").text(mode.name());
        }
        Change::SetRoom { room, name, topic } => {
            canon.text("set_room").number(room.0).maybe_text(name.as_deref()).maybe_text(topic.as_deref());
        }
        Change::CreateInvite { uses, hours, .. } => {
            canon.text("create_invite").number(*uses).number(*hours);
        }
        Change::RevokeInvite { invite } => {
            canon.text("revoke_invite").bytes(invite);
        }
        Change::CreateBot { name, display, rights, .. } => {
            canon.text("create_bot").text(name).text(display).texts(rights);
        }
        Change::CreateHook { room, name, display, .. } => {
            canon.text("create_hook").number(room.0).text(name).text(display);
        }
        Change::DeleteHook { hook } => {
            canon.text("delete_hook").text(hook);
        }
        Change::RenewBotToken { bot, .. } => {
            canon.text("renew_bot_token").text(bot);
        }
        Change::DeleteBot { bot } => {
            canon.text("delete_bot").text(bot);
        }
        Change::CreateSubscription { room, url, .. } => {
            canon.text("create_subscription").number(room.0).text(url);
        }
        Change::DeleteSubscription { subscription } => {
            canon.text("delete_subscription").number(subscription.0);
        }
        Change::Delivered { reports } => {
            canon.text("delivered").number(reports.len() as u64);
            for Report { subscription, delivered, failing_since, error, off } in reports {
                canon
                    .number(subscription.0)
                    .number(delivered.0)
                    .number(*failing_since)
                    .text(error)
                    .flag(*off);
            }
        }
        Change::ResetPassword { user, .. } => {
            canon.text("reset_password").text(user);
        }
        Change::SetPassword { link, request, .. } => {
            canon.text("set_password").bytes(link).bytes(request);
        }
        Change::Appoint { .. } => {
            canon.text("appoint");
        }
        // Its items are what finds repeats.
        Change::Import { items, .. } => {
            canon.text("import").number(items.len() as u64);
        }
    }
    half(canon)
}

fn half(canon: Canon) -> RequestDigest {
    let mut half = RequestDigest::default();
    half.copy_from_slice(&canon.finish()[..16]);
    half
}

fn kind_name(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Public => "public",
        RoomKind::Private => "private",
        RoomKind::Direct => "direct",
    }
}

fn link_name(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Create => "create",
        LinkKind::Invite => "invite",
        LinkKind::Reset => "reset",
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
                self.text(kind_name(row.kind)).text(&row.topic).text(&row.creator)
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
        self.number(room.room.0).text(&room.name).text(kind_name(room.kind)).text(&room.topic);
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

    fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Attached, LoginOp};
    use crate::chat::tables::Registration;
    use crate::ids::{At, FileId, RoomId, Seq, SubscriptionId};

    fn of(change: Change) -> RequestDigest {
        of_request(&Command { user: "ann".into(), id: "1".into(), change })
    }

    fn register(display: &str, password_hash: &str, token: u8) -> Change {
        Change::Register {
            display: display.into(),
            password_hash: password_hash.into(),
            token_hash: [token; 32],
            first_is_admin: false,
            link: None,
            closed: false,
            agent: None,
        }
    }

    fn attached(number: u8, name: &str, uploaded: bool) -> Attached {
        let kind = "text/plain".to_owned();
        Attached { file: FileId([number; 32]), name: name.into(), bytes: 5, kind, uploaded }
    }

    #[test]
    fn where_bytes_were_makes_no_difference() {
        let send = |file: Attached| Change::SendFiles {
            room: RoomId(1),
            text: String::new(),
            reply_to: None,
            files: vec![file],
        };
        let elsewhere = Attached { bytes: 0, ..attached(1, "a", false) };
        assert_eq!(of(send(attached(1, "a", true))), of(send(elsewhere)));
    }

    #[test]
    fn what_a_session_salts_or_draws_makes_no_difference() {
        assert_eq!(of(register("Ann", "a", 1)), of(register("Ann", "b", 2)));
        assert_ne!(of(register("Ann", "a", 1)), of(register("Anna", "a", 1)));
        let login = |hash: &str, op| Change::Login {
            token_hash: [1; 32],
            password_hash: hash.into(),
            op,
            agent: None,
        };
        assert_eq!(of(login("a", LoginOp::Login)), of(login("b", LoginOp::Login)));
    }

    #[test]
    fn what_was_added_counts_only_when_it_is_there() {
        let mut with_link = register("Ann", "a", 1);
        if let Change::Register { link, closed, agent, .. } = &mut with_link {
            (*closed, *agent) = (true, Some("x".into()));
            *link = Some([1; 32]);
        }
        assert_ne!(of(with_link.clone()), of(register("Ann", "a", 1)));
        if let Change::Register { link, .. } = &mut with_link {
            *link = None;
        }
        assert_eq!(of(with_link), of(register("Ann", "a", 1)));
        let invite = |link| Change::CreateInvite { uses: 1, hours: 1, link: [link; 32] };
        assert_eq!(of(invite(1)), of(invite(2)));
    }

    #[test]
    fn an_edit_is_the_same_request_whether_the_old_text_is_kept_or_not() {
        let edit =
            |keep| Change::Edit { room: RoomId(1), seq: Seq(2), text: "a".into(), version: None, keep };
        assert_eq!(of(edit(true)), of(edit(false)));
        assert_eq!(edit(true).in_earlier_words(), Some(edit(false)));
        assert_eq!(edit(false).in_earlier_words(), None);
    }

    #[test]
    fn every_field_counts_and_none_runs_into_the_next() {
        let (room, seq) = (RoomId(1), Seq(2));
        let send = |text: &str, reply_to| Change::Send { room, text: text.into(), reply_to };
        let files = |text: &str, files: &[(u8, &str)]| Change::SendFiles {
            room,
            text: text.into(),
            reply_to: None,
            files: files.iter().map(|&(number, name)| attached(number, name, true)).collect(),
        };
        let create = |name: &str, topic: &str| Change::CreateRoom {
            name: name.into(),
            kind: RoomKind::Public,
            topic: topic.into(),
        };
        let all = [
            send("a", None),
            send("b", None),
            send("a", Some(Seq(0))),
            send("a", Some(seq)),
            create("ab", "c"),
            create("a", "bc"),
            Change::Join { room },
            Change::Leave { room },
            Change::Join { room: RoomId(2) },
            Change::Invite { room, user: "bob".into() },
            Change::Remove { room, user: "bob".into() },
            Change::OpenDirect { users: vec!["ann".into(), "bob".into()] },
            Change::Edit { room, seq, text: "a".into(), version: None, keep: true },
            Change::Edit { room, seq, text: "a".into(), version: Some(1), keep: true },
            Change::Delete { room, seqs: vec![seq] },
            Change::Delete { room, seqs: vec![seq, seq] },
            Change::React { room, seq, emoji: "+".into(), on: true },
            Change::React { room, seq, emoji: "+".into(), on: false },
            Change::MarkRead { room, seq },
            Change::Mute { room, on: true },
            Change::Mute { room, on: false },
            Change::SetProfile { display: "a".into() },
            Change::EndSession { session: [1; 8] },
            Change::RevokeInvite { invite: [1; 8] },
            Change::SetRole { user: "bob".into(), role: Role::Admin },
            Change::SetRole { user: "bob".into(), role: Role::Member },
            Change::SetDisabled { user: "bob".into(), disabled: true },
            Change::SetDisabled { user: "bob".into(), disabled: false },
            Change::SetRegistration { mode: Registration::Open },
            Change::SetRegistration { mode: Registration::Closed },
            Change::SetRoom { room, name: Some("a".into()), topic: None },
            Change::SetRoom { room, name: None, topic: Some("a".into()) },
            Change::SetRoom { room, name: Some("a".into()), topic: Some(String::new()) },
            Change::CreateInvite { uses: 1, hours: 2, link: [1; 32] },
            Change::CreateInvite { uses: 2, hours: 1, link: [1; 32] },
            Change::ResetPassword { user: "bob".into(), link: [1; 32] },
            Change::SetPassword { link: [1; 32], new_hash: "a".into(), request: [1; 16] },
            Change::SetPassword { link: [2; 32], new_hash: "a".into(), request: [1; 16] },
            Change::SetPassword { link: [1; 32], new_hash: "a".into(), request: [2; 16] },
            Change::Appoint { link: [1; 32] },
            Change::CreateSubscription { room, url: "a".into(), secret: "b".into() },
            Change::CreateSubscription { room, url: "b".into(), secret: "b".into() },
            Change::DeleteSubscription { subscription: SubscriptionId(1) },
            files("a", &[(1, "b")]),
            files("a", &[(1, "c")]),
            files("a", &[(2, "b")]),
            files("a", &[(1, "b"), (1, "b")]),
        ];
        for (i, one) in all.iter().enumerate() {
            for (j, other) in all.iter().enumerate() {
                assert_eq!(of(one.clone()) == of(other.clone()), i == j, "{one:?} and {other:?}");
            }
        }
    }

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

    /// Stored beside rows for good: a change here would turn every repeat into a conflict.
    #[test]
    fn digests_stay_as_they_are() {
        let digest = of(Change::Send { room: RoomId(12), text: "hi".into(), reply_to: None });
        assert_eq!(hex::encode(digest), "7783ffe18d9419747ae5e44242ba6d60");
    }
}
