//! The fields of each op, as a client writes them. What they may be is checked in [`request`](super::request).

use serde::Deserialize;

use crate::ids::{At, Seq};

#[derive(Deserialize)]
pub struct Register {
    pub name: String,
    pub password: String,
    pub display: Option<String>,
    pub invite: Option<String>,
}

#[derive(Deserialize)]
pub struct Login {
    pub name: String,
    pub password: String,
    pub cursor: Option<At>,
    pub epoch: Option<String>,
}

#[derive(Deserialize)]
pub struct Hello {
    pub token: String,
    pub cursor: Option<At>,
    pub epoch: Option<String>,
}

#[derive(Deserialize)]
pub struct ChangePassword {
    pub old: String,
    pub new: String,
}

#[derive(Deserialize)]
pub struct DeleteAccount {
    pub password: String,
}

#[derive(Deserialize)]
pub struct Send {
    pub room: u64,
    pub text: String,
    pub reply_to: Option<Seq>,
    pub files: Option<Vec<FileRef>>,
}

#[derive(Deserialize)]
pub struct FileRef {
    pub file: String,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub struct CreateRoom {
    pub name: String,
    pub kind: String,
    pub topic: Option<String>,
}

#[derive(Deserialize)]
pub struct RoomUser {
    pub room: u64,
    pub user: String,
}

#[derive(Deserialize)]
pub struct RoomOnly {
    pub room: u64,
}

#[derive(Deserialize)]
pub struct OpenDirect {
    pub users: Vec<String>,
}

#[derive(Deserialize)]
pub struct Edit {
    pub room: u64,
    pub seq: Seq,
    pub text: String,
    pub version: Option<u64>,
}

#[derive(Deserialize)]
pub struct Delete {
    pub room: u64,
    pub seqs: Vec<u64>,
}

#[derive(Deserialize)]
pub struct React {
    pub room: u64,
    pub seq: Seq,
    pub emoji: String,
    pub on: bool,
}

#[derive(Deserialize)]
pub struct Mute {
    pub room: u64,
    pub on: bool,
}

#[derive(Deserialize)]
pub struct OneMessage {
    pub room: u64,
    pub seq: Seq,
}

#[derive(Deserialize)]
pub struct ListUsers {
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    pub after: Option<String>,
    pub limit: Option<i64>,
}

#[derive(Deserialize)]
pub struct ListRooms {
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    pub all: Option<bool>,
}

#[derive(Deserialize)]
pub struct Search {
    pub text: String,
    pub room: Option<u64>,
    pub from: Option<String>,
    pub before: Option<At>,
    pub before_time: Option<u64>,
    pub limit: Option<i64>,
}

#[derive(Deserialize)]
pub struct History {
    pub room: u64,
    pub before: Option<Seq>,
    pub after: Option<Seq>,
    pub limit: Option<i64>,
    pub read: Option<String>,
}
