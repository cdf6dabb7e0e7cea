//! Columns into rows, and numbers into columns, for the writer and the readers.

use std::collections::BTreeMap;

use rusqlite::types::{ToSql, ToSqlOutput, Type};
use rusqlite::{Result, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chat::command::LoginOp;
use crate::chat::objects::{File, Message, Role, RoomKind, User};
use crate::chat::tables::{
    AttachmentRow, Bot, LinkKind, LinkRow, MemberRow, MessageRow, MuteRow, OutcomeRow, ReadRow, RoomRow,
    Serving, SessionRow, SettingRow, SubscriptionRow, UserRow, VersionRow,
};
use crate::ids::{At, FileId, RoomId, Seq, SubscriptionId};

/// The columns of each table in the order in which the functions below read them. It and those that follow, by
/// which it is told who may see what, are macros, so that they can stand inside a statement.
macro_rules! columns {
    (user) => {
        "at, name, display, role, password_hash, deleted, disabled, bot, created_by, created_digest"
    };
    (room) => {
        "at, room, name, kind, topic, creator"
    };
    (member) => {
        "at, room, user, member"
    };
    (read) => {
        "at, room, user, seq"
    };
    (message) => {
        "at, room, seq, id, author, text, time, version, edited, deleted, reply_to, reactions, files, \
         digest, sent_at"
    };
    (session) => {
        "at, token_hash, user, id, op, first_at, ended, time, agent"
    };
    (outcome) => {
        "at, user, id, digest, outcome"
    };
    (mute) => {
        "at, room, user, muted"
    };
    (version) => {
        "at, room, seq, version, text, time, gone"
    };
    (link) => {
        "at, token_hash, kind, name, made_by, id, until, uses, used, revoked"
    };
    (setting) => {
        "at, key, value"
    };
    (subscription) => {
        "at, subscription, room, url, secret, made_by, state, delivered, failing_since, error, time"
    };
    (attachment) => {
        "at, file, room, seq, bytes, gone"
    };
}
pub(crate) use columns;

/// The rooms that a user is in.
macro_rules! rooms_of {
    ($user:literal) => {
        concat!("SELECT room FROM members WHERE user = ", $user, " AND member = 1")
    };
}
pub(crate) use rooms_of;

/// Whether a user is in a room; both as they are called where this stands.
macro_rules! is_member {
    ($user:literal, $room:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM members WHERE members.room = ",
            $room,
            " AND members.user = ",
            $user,
            " AND member = 1)"
        )
    };
}
pub(crate) use is_member;

/// Whether whoever made a row of `subscriptions` may see its room now.
macro_rules! maker_may_see {
    () => {
        "EXISTS (SELECT 1 FROM members JOIN users ON users.name = members.user
             WHERE members.room = subscriptions.room AND members.user = made_by AND member = 1
                 AND deleted = 0 AND disabled = 0)"
    };
}
pub(crate) use maker_may_see;

/// Messages that hold the file `?1` and that the user `?2` may see: `bytes` of one of them.
macro_rules! file_seen {
    () => {
        "SELECT bytes FROM attachments JOIN members ON members.room = attachments.room
         WHERE file = ?1 AND gone = 0 AND user = ?2 AND member = 1 LIMIT 1"
    };
}
pub(crate) use file_seen;

/// A number that a question holds, as SQLite compares it. One past its range lies behind every row, as it should.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number on its way into a row. One past SQLite's range is an error: as another one, the row would not be
/// what the sum over the rows says, and every replica would find its own file damaged.
pub struct Stored(pub u64);

impl ToSql for Stored {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let kept = i64::try_from(self.0);
        kept.map(ToSqlOutput::from).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

/// A number out of a column; the tables hold none below zero.
pub fn number(row: &Row<'_>, column: usize) -> Result<u64> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, found))
}

pub fn at(row: &Row<'_>, column: usize) -> Result<At> {
    number(row, column).map(At)
}

pub fn role_text(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

pub fn kind_text(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Public => "public",
        RoomKind::Private => "private",
        RoomKind::Direct => "direct",
    }
}

pub fn op_text(op: LoginOp) -> &'static str {
    match op {
        LoginOp::Register => "register",
        LoginOp::Login => "login",
        LoginOp::Bot => "bot",
    }
}

pub fn link_text(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Create => "create",
        LinkKind::Invite => "invite",
        LinkKind::Reset => "reset",
    }
}

fn link_kind(row: &Row<'_>, column: usize) -> Result<LinkKind> {
    match row.get_ref(column)?.as_str()? {
        "create" => Ok(LinkKind::Create),
        "invite" => Ok(LinkKind::Invite),
        "reset" => Ok(LinkKind::Reset),
        other => Err(strange(column, other)),
    }
}

fn role(row: &Row<'_>, column: usize) -> Result<Role> {
    match row.get_ref(column)?.as_str()? {
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        other => Err(strange(column, other)),
    }
}

pub fn kind(row: &Row<'_>, column: usize) -> Result<RoomKind> {
    match row.get_ref(column)?.as_str()? {
        "public" => Ok(RoomKind::Public),
        "private" => Ok(RoomKind::Private),
        "direct" => Ok(RoomKind::Direct),
        other => Err(strange(column, other)),
    }
}

fn op(row: &Row<'_>, column: usize) -> Result<LoginOp> {
    match row.get_ref(column)?.as_str()? {
        "register" => Ok(LoginOp::Register),
        "login" => Ok(LoginOp::Login),
        "bot" => Ok(LoginOp::Bot),
        other => Err(strange(column, other)),
    }
}

fn strange(column: usize, found: &str) -> rusqlite::Error {
    let message = format!("{found} is not a word for this column");
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, message.into())
}

/// A value as JSON text; an empty one is NULL.
pub fn json<T: Serialize>(value: &T, empty: bool) -> Result<Option<String>> {
    if empty {
        return Ok(None);
    }
    let text = serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(Some(text))
}

pub fn from_json<T: DeserializeOwned + Default>(row: &Row<'_>, column: usize) -> Result<T> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(T::default()),
        Some(text) => parse(text, column),
    }
}

fn parse<T: DeserializeOwned>(text: &str, column: usize) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

/// What everybody may see of an account, out of `columns!(user)`.
pub fn profile(row: &Row<'_>) -> Result<(At, User)> {
    let user = User {
        name: row.get(1)?,
        display: row.get(2)?,
        role: role(row, 3)?,
        deleted: row.get(5)?,
        disabled: row.get(6)?,
        bot: row.get_ref(7)?.as_str_or_null()?.is_some(),
    };
    Ok((at(row, 0)?, user))
}

/// A bot's rights, out of `columns!(user)`; `None` for a person.
pub fn rights(row: &Row<'_>) -> Result<Option<Vec<String>>> {
    let bot = row.get_ref(7)?.as_str_or_null()?.map(|text| parse::<Bot>(text, 7)).transpose()?;
    Ok(bot.map(|bot| bot.rights))
}

pub fn user(row: &Row<'_>) -> Result<UserRow> {
    Ok(UserRow {
        at: at(row, 0)?,
        name: row.get(1)?,
        display: row.get(2)?,
        role: role(row, 3)?,
        password_hash: row.get(4)?,
        deleted: row.get(5)?,
        disabled: row.get(6)?,
        bot: row.get_ref(7)?.as_str_or_null()?.map(|text| parse(text, 7)).transpose()?,
        created_by: row.get(8)?,
        created_digest: row.get(9)?,
    })
}

pub fn room(row: &Row<'_>) -> Result<RoomRow> {
    Ok(RoomRow {
        at: at(row, 0)?,
        room: RoomId(number(row, 1)?),
        name: row.get(2)?,
        kind: kind(row, 3)?,
        topic: row.get(4)?,
        creator: row.get(5)?,
    })
}

pub fn member(row: &Row<'_>) -> Result<MemberRow> {
    Ok(MemberRow { at: at(row, 0)?, room: RoomId(number(row, 1)?), user: row.get(2)?, member: row.get(3)? })
}

pub fn read(row: &Row<'_>) -> Result<ReadRow> {
    Ok(ReadRow {
        at: at(row, 0)?,
        room: RoomId(number(row, 1)?),
        user: row.get(2)?,
        seq: Seq(number(row, 3)?),
    })
}

/// What its room may see of a message, out of `columns!(message)`.
pub fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        at: at(row, 0)?,
        room: RoomId(number(row, 1)?),
        seq: Seq(number(row, 2)?),
        id: row.get(3)?,
        from: row.get(4)?,
        text: row.get(5)?,
        time: number(row, 6)?,
        version: number(row, 7)?,
        edited: row.get(8)?,
        deleted: row.get(9)?,
        reply_to: row.get::<_, Option<i64>>(10)?.map(|seq| Seq(seq.unsigned_abs())),
        reactions: from_json::<BTreeMap<String, Vec<String>>>(row, 11)?,
        files: from_json::<Vec<File>>(row, 12)?,
    })
}

pub fn message_row(row: &Row<'_>) -> Result<MessageRow> {
    Ok(MessageRow { message: message(row)?, digest: row.get(13)?, sent_at: at(row, 14)? })
}

pub fn session(row: &Row<'_>) -> Result<SessionRow> {
    Ok(SessionRow {
        at: at(row, 0)?,
        token_hash: row.get(1)?,
        user: row.get(2)?,
        id: row.get(3)?,
        op: op(row, 4)?,
        first_at: at(row, 5)?,
        ended: row.get(6)?,
        time: number(row, 7)?,
        agent: row.get(8)?,
    })
}

pub fn link(row: &Row<'_>) -> Result<LinkRow> {
    Ok(LinkRow {
        at: at(row, 0)?,
        token_hash: row.get(1)?,
        kind: link_kind(row, 2)?,
        name: row.get(3)?,
        by: row.get(4)?,
        id: row.get(5)?,
        until: number(row, 6)?,
        uses: number(row, 7)?,
        used: number(row, 8)?,
        revoked: row.get(9)?,
    })
}

pub fn setting(row: &Row<'_>) -> Result<SettingRow> {
    Ok(SettingRow { at: at(row, 0)?, key: row.get(1)?, value: row.get(2)? })
}

pub fn outcome(row: &Row<'_>) -> Result<OutcomeRow> {
    Ok(OutcomeRow {
        at: at(row, 0)?,
        user: row.get(1)?,
        id: row.get(2)?,
        digest: row.get(3)?,
        outcome: parse(row.get_ref(4)?.as_str()?, 4)?,
    })
}

pub fn mute(row: &Row<'_>) -> Result<MuteRow> {
    Ok(MuteRow { at: at(row, 0)?, room: RoomId(number(row, 1)?), user: row.get(2)?, muted: row.get(3)? })
}

pub fn version(row: &Row<'_>) -> Result<VersionRow> {
    Ok(VersionRow {
        at: at(row, 0)?,
        room: RoomId(number(row, 1)?),
        seq: Seq(number(row, 2)?),
        version: number(row, 3)?,
        text: row.get(4)?,
        time: number(row, 5)?,
        gone: row.get(6)?,
    })
}

pub fn subscription(row: &Row<'_>) -> Result<SubscriptionRow> {
    let state = row.get_ref(6)?.as_str()?;
    Ok(SubscriptionRow {
        at: at(row, 0)?,
        subscription: SubscriptionId(number(row, 1)?),
        room: RoomId(number(row, 2)?),
        url: row.get(3)?,
        secret: row.get(4)?,
        by: row.get(5)?,
        state: Serving::of_name(state).ok_or_else(|| strange(6, state))?,
        delivered: Seq(number(row, 7)?),
        failing_since: number(row, 8)?,
        error: row.get(9)?,
        time: number(row, 10)?,
    })
}

pub fn attachment(row: &Row<'_>) -> Result<AttachmentRow> {
    Ok(AttachmentRow {
        at: at(row, 0)?,
        file: FileId(row.get(1)?),
        room: RoomId(number(row, 2)?),
        seq: Seq(number(row, 3)?),
        bytes: number(row, 4)?,
        gone: row.get(5)?,
    })
}
