//! Frames and bodies → typed requests. Pure: form only, no tables.
//!
//! A frame is read twice: first `id` and `op`, then the fields of that op, so that fields which an op
//! does not know are ignored. Only when that fails is it looked at once more, to say what is wrong.

mod people;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::fields;
use super::forms::{
    ChangePassword, CreateRoom, Delete, DeleteAccount, Edit, FileRef, Hello, History, ListRooms, ListUsers,
    Login, Mute, OneMessage, OpenDirect, React, Register, RoomOnly, RoomUser, Search, Send,
};
use crate::chat::command::Change;
use crate::chat::objects::RoomKind;
use crate::chat::outcome::{Code, Refusal};
use crate::chat::rules;
use crate::files::names;
use crate::ids::{At, FileId, RoomId, Seq};
use crate::messages::reading::PageOf;
use crate::words::Query;

/// What a frame turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    Request {
        id: String,
        op: Op,
    },
    /// Wrong, with an id to answer to.
    Wrong {
        id: String,
        refusal: Refusal,
    },
    /// Not a request: no JSON object, or no good `id` to answer to.
    Junk(&'static str),
}

/// A request, checked for form.
#[derive(Debug, PartialEq, Eq)]
pub enum Op {
    Register {
        name: String,
        password: String,
        display: String,
        invite: Option<String>,
    },
    Login {
        name: String,
        password: String,
        resume: Resume,
    },
    Hello {
        token: String,
        resume: Resume,
    },
    Logout,
    ChangePassword {
        old: String,
        new: String,
    },
    DeleteAccount {
        password: String,
    },
    /// A change that needs nothing but its user.
    Change(Change),
    OpenDirect {
        users: Vec<String>,
    },
    SendFiles(SendFiles),
    FileLink {
        file: FileId,
        name: String,
    },
    ListUsers {
        pattern: Option<String>,
        after: Option<String>,
        limit: usize,
    },
    ListRooms {
        pattern: Option<String>,
        all: bool,
    },
    Members {
        room: RoomId,
    },
    History {
        room: RoomId,
        page: PageOf,
        limit: usize,
        local: bool,
    },
    Search(Wanted),
    Versions {
        room: RoomId,
        seq: Seq,
    },
    Typing {
        room: RoomId,
    },
    ListSessions,
    CreateInvite {
        uses: u64,
        hours: u64,
    },
    ListInvites,
    CreateBot {
        name: String,
        display: String,
        rights: Vec<String>,
    },
    RenewBotToken {
        bot: String,
    },
    CreateHook {
        room: RoomId,
        name: String,
        display: String,
    },
    ListHooks {
        room: RoomId,
    },
    ListBots,
    CreateSubscription {
        room: RoomId,
        url: String,
    },
    ListSubscriptions {
        room: RoomId,
    },
    ResetPassword {
        user: String,
    },
    /// Who asks is known by the link alone.
    SetPassword {
        link: String,
        password: String,
    },
    Server,
    Ping,
}

/// What somebody looks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub query: Query,
    pub room: Option<RoomId>,
    pub from: Option<String>,
    pub before: Option<At>,
    pub before_time: Option<u64>,
    pub limit: usize,
}

/// A message with files, by hash and name, before it is known where their bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFiles {
    pub room: RoomId,
    pub text: String,
    pub reply_to: Option<Seq>,
    pub files: Vec<(FileId, String)>,
}

/// Where a client wants to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Resume {
    pub cursor: Option<At>,
    pub epoch: Option<String>,
}

impl Op {
    /// Whether a connection may begin with it.
    pub fn opens(&self) -> bool {
        matches!(self, Self::Register { .. } | Self::Login { .. } | Self::Hello { .. })
    }

    /// Whether what follows on the connection waits for it: it changes who is asking, or something slow comes
    /// before it is proposed (a hash, files on their way), and changes are proposed in the order of their frames.
    pub fn goes_alone(&self) -> bool {
        let slow = matches!(
            self,
            Self::Logout
                | Self::ChangePassword { .. }
                | Self::DeleteAccount { .. }
                | Self::SetPassword { .. }
                | Self::SendFiles(_)
        );
        slow || self.opens()
    }

    /// Whether it is answered with what stands in the tables, which can be much.
    pub fn reads(&self) -> bool {
        matches!(
            self,
            Self::ListUsers { .. }
                | Self::ListRooms { .. }
                | Self::Members { .. }
                | Self::History { .. }
                | Self::Versions { .. }
                | Self::Search(_)
                | Self::ListSessions
                | Self::ListInvites
                | Self::ListBots
                | Self::ListHooks { .. }
                | Self::ListSubscriptions { .. }
        )
    }
}

/// Every op of the contract that this program knows.
pub const OPS: &[&str] = &[
    "register",
    "login",
    "hello",
    "logout",
    "change_password",
    "delete_account",
    "list_users",
    "create_room",
    "list_rooms",
    "join",
    "leave",
    "invite",
    "remove",
    "members",
    "open_direct",
    "send",
    "edit",
    "delete",
    "react",
    "history",
    "mark_read",
    "mute",
    "versions",
    "search",
    "file_link",
    "typing",
    "set_profile",
    "list_sessions",
    "end_session",
    "set_role",
    "set_disabled",
    "reset_password",
    "set_password",
    "create_invite",
    "list_invites",
    "revoke_invite",
    "set_registration",
    "create_bot",
    "list_bots",
    "renew_bot_token",
    "delete_bot",
    "create_hook",
    "list_hooks",
    "delete_hook",
    "create_subscription",
    "list_subscriptions",
    "delete_subscription",
    "server",
    "set_room",
    "ping",
];

/// What needs no session.
pub const BEFORE_HELLO: [&str; 4] = ["register", "login", "hello", "set_password"];

/// Reads a text frame. `known`: the connection has said who it is.
pub fn frame(text: &str, known: bool, message_bytes: usize) -> Frame {
    let (id, op) = match head(text) {
        Ok(head) => head,
        Err(why) => return Frame::Junk(why),
    };
    if rules::id(&id).is_err() {
        return Frame::Junk("id must be 1 to 64 printable ascii characters");
    }
    let Some(op) = op else {
        return Frame::Wrong { id, refusal: bad("op is missing: it must be a string") };
    };
    if !known && !BEFORE_HELLO.contains(&op.as_ref()) {
        let refusal = Refusal::new(Code::Unauthorized, "begin with hello, register or login");
        return Frame::Wrong { id, refusal };
    }
    match fields_of(&op, text, message_bytes) {
        Ok(op) => Frame::Request { id, op },
        Err(refusal) => Frame::Wrong { id, refusal },
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    op: Cow<'a, str>,
}

/// The id and the op of a frame; or why it is no request.
fn head(text: &str) -> Result<(String, Option<Cow<'_, str>>), &'static str> {
    if !is_object(text) {
        return Err("a frame must be one JSON object");
    }
    if let Ok(Head { id, op }) = serde_json::from_str::<Head>(text) {
        return Ok((id.into_owned(), Some(op)));
    }
    let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else {
        return Err("a frame must be one JSON object");
    };
    let Some(id) = object.get("id").and_then(|id| id.as_str()) else {
        return Err("a frame must have an id, a string");
    };
    let op = object.get("op").and_then(|op| op.as_str()).map(|op| Cow::Owned(op.to_owned()));
    Ok((id.to_owned(), op))
}

/// The fields of an op, from a frame or from the body of an HTTP request.
///
/// # Errors
/// `bad_request` with what is wrong, `too_large` for a text over its limit.
pub fn fields_of(op: &str, text: &str, message_bytes: usize) -> Result<Op, Refusal> {
    Ok(match op {
        "send" => send(read(op, text)?, message_bytes)?,
        "file_link" => {
            let FileRef { file, name } = read(op, text)?;
            Op::FileLink { file: rules::file(&file)?, name: names::clean(&name.unwrap_or_default()) }
        }
        "register" => {
            let fields: Register = read(op, text)?;
            rules::password(&fields.password)?;
            Op::Register {
                name: rules::name(&fields.name)?,
                display: rules::display(fields.display.as_deref(), &fields.name)?,
                password: fields.password,
                invite: fields.invite,
            }
        }
        "login" => {
            let fields: Login = read(op, text)?;
            let resume = Resume { cursor: fields.cursor, epoch: fields.epoch };
            Op::Login { name: fields.name.to_ascii_lowercase(), password: fields.password, resume }
        }
        "hello" => {
            let fields: Hello = read(op, text)?;
            Op::Hello { token: fields.token, resume: Resume { cursor: fields.cursor, epoch: fields.epoch } }
        }
        "logout" => {
            read::<IgnoredAny>(op, text)?;
            Op::Logout
        }
        "change_password" => {
            let fields: ChangePassword = read(op, text)?;
            let named = |refusal| Refusal { message: format!("new {refusal}"), ..bad("") };
            rules::password(&fields.new).map_err(|refusal| named(refusal.message))?;
            Op::ChangePassword { old: fields.old, new: fields.new }
        }
        "delete_account" => Op::DeleteAccount { password: read::<DeleteAccount>(op, text)?.password },
        "ping" => {
            read::<IgnoredAny>(op, text)?;
            Op::Ping
        }
        "create_room" | "join" | "leave" | "invite" | "remove" | "members" | "open_direct" | "typing" => {
            rooms(op, text)?
        }
        "edit" | "delete" | "react" | "mark_read" | "mute" => Op::Change(messages(op, text, message_bytes)?),
        "list_users" | "list_rooms" | "history" | "search" | "versions" => lists(op, text)?,
        "set_profile"
        | "list_sessions"
        | "end_session"
        | "set_role"
        | "set_disabled"
        | "reset_password"
        | "set_password"
        | "create_invite"
        | "list_invites"
        | "revoke_invite"
        | "set_registration"
        | "create_bot"
        | "list_bots"
        | "renew_bot_token"
        | "delete_bot"
        | "create_hook"
        | "list_hooks"
        | "delete_hook"
        | "create_subscription"
        | "list_subscriptions"
        | "delete_subscription"
        | "server"
        | "set_room" => people::fields_of(op, text)?,
        _ => return Err(bad(format!("unknown op: {}", shortened(op)))),
    })
}

fn send(fields: Send, message_bytes: usize) -> Result<Op, Refusal> {
    let Send { room, text, reply_to, files } = fields;
    let files = files.unwrap_or_default();
    if reply_to == Some(Seq(0)) {
        return Err(bad("reply_to must be the seq of a message, from 1"));
    }
    if files.is_empty() {
        rules::text(&text, message_bytes)?;
        return Ok(Op::Change(Change::Send { room: rules::room(room)?, text, reply_to }));
    }
    rules::caption(&text, message_bytes)?;
    if files.len() > rules::FILES_MAX {
        return Err(bad(format!(
            "files must be at most {}: send the others in another message",
            rules::FILES_MAX
        )));
    }
    let named = |FileRef { file, name }| Ok((rules::file(&file)?, names::clean(&name.unwrap_or_default())));
    let files = files.into_iter().map(named).collect::<Result<_, Refusal>>()?;
    Ok(Op::SendFiles(SendFiles { room: rules::room(room)?, text, reply_to, files }))
}

fn rooms(op: &str, text: &str) -> Result<Op, Refusal> {
    Ok(match op {
        "create_room" => {
            let CreateRoom { name, kind, topic } = read(op, text)?;
            let kind = match kind.as_str() {
                "public" => RoomKind::Public,
                "private" => RoomKind::Private,
                _ => return Err(bad("kind must be public or private")),
            };
            let topic = rules::topic(topic.as_deref().unwrap_or_default())?;
            Op::Change(Change::CreateRoom { name: rules::room_name(&name)?, kind, topic })
        }
        "invite" | "remove" => {
            let RoomUser { room, user } = read(op, text)?;
            let (room, user) = (rules::room(room)?, named_user(&user)?);
            Op::Change(match op {
                "invite" => Change::Invite { room, user },
                _ => Change::Remove { room, user },
            })
        }
        "open_direct" => Op::OpenDirect { users: read::<OpenDirect>(op, text)?.users },
        _ => {
            let room = rules::room(read::<RoomOnly>(op, text)?.room)?;
            match op {
                "join" => Op::Change(Change::Join { room }),
                "leave" => Op::Change(Change::Leave { room }),
                "members" => Op::Members { room },
                _ => Op::Typing { room },
            }
        }
    })
}

fn messages(op: &str, text: &str, message_bytes: usize) -> Result<Change, Refusal> {
    Ok(match op {
        "edit" => {
            let Edit { room, seq, text, version } = read(op, text)?;
            rules::text(&text, message_bytes)?;
            Change::Edit { room: rules::room(room)?, seq, text, version, keep: true }
        }
        "delete" => {
            let Delete { room, seqs } = read(op, text)?;
            Change::Delete { room: rules::room(room)?, seqs: rules::seqs(&seqs)? }
        }
        "react" => {
            let React { room, seq, emoji, on } = read(op, text)?;
            rules::emoji(&emoji)?;
            Change::React { room: rules::room(room)?, seq, emoji, on }
        }
        "mute" => {
            let Mute { room, on } = read(op, text)?;
            Change::Mute { room: rules::room(room)?, on }
        }
        _ => {
            let OneMessage { room, seq } = read(op, text)?;
            Change::MarkRead { room: rules::room(room)?, seq }
        }
    })
}

fn lists(op: &str, text: &str) -> Result<Op, Refusal> {
    Ok(match op {
        "list_users" => {
            let ListUsers { pattern, after, limit } = read(op, text)?;
            rules::pattern(pattern.as_deref().unwrap_or_default())?;
            // Names are folded, and so is what looks for them.
            let pattern = pattern.map(|text| text.to_lowercase());
            let after = after.map(|text| text.to_ascii_lowercase());
            Op::ListUsers { pattern, after, limit: limit.map_or(rules::PAGE_MAX, |l| rules::limit(Some(l))) }
        }
        "list_rooms" => {
            let ListRooms { pattern, all } = read(op, text)?;
            rules::pattern(pattern.as_deref().unwrap_or_default())?;
            Op::ListRooms { pattern, all: all.unwrap_or(false) }
        }
        "versions" => {
            let OneMessage { room, seq } = read(op, text)?;
            Op::Versions { room: rules::room(room)?, seq: rules::seq(seq.0) }
        }
        "search" => {
            let Search { text, room, from, before, before_time, limit } = read(op, text)?;
            rules::sought(&text)?;
            Op::Search(Wanted {
                query: Query::read(&text),
                room: room.map(rules::room).transpose()?,
                from: from.as_deref().map(named_user).transpose()?,
                before,
                before_time,
                limit: rules::search_limit(limit),
            })
        }
        _ => {
            let History { room, before, after, limit, read } = read(op, text)?;
            let page = match (before, after) {
                (None, None) => PageOf::Newest,
                (Some(seq), None) => PageOf::Before(seq),
                (None, Some(seq)) => PageOf::After(seq),
                (Some(_), Some(_)) => return Err(bad("before and after exclude each other")),
            };
            let local = match read.as_deref() {
                None | Some("linearizable") => false,
                Some("local") => true,
                Some(_) => return Err(bad("read must be linearizable or local")),
            };
            Op::History { room: rules::room(room)?, page, limit: rules::limit(limit), local }
        }
    })
}

/// Somebody else's name. One that cannot be is nobody's.
fn named_user(user: &str) -> Result<String, Refusal> {
    rules::name(user).map_err(|_| Refusal::new(Code::NotFound, format!("no such user: {}", shortened(user))))
}

/// Whether this begins like a JSON object: serde would read a list into a struct as well.
fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
}

fn read<T: DeserializeOwned>(op: &str, text: &str) -> Result<T, Refusal> {
    if !is_object(text) {
        return Err(bad("the request must be one JSON object"));
    }
    serde_json::from_str(text).map_err(|error| bad(fields::what_is_wrong(op, text, &error)))
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}

/// What a client sent, short enough to be told back.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
