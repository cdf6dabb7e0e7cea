//! The rows of the chat in SQLite, as `chat::tables` wants them.

use std::collections::HashMap;

use rusqlite::{self, Connection, OptionalExtension, Params, Result, params};

use crate::chat::command::{Shown, TokenHash};
use crate::chat::digest::RowsSum;
use crate::chat::tables::{
    AttachmentRow, LinkKind, LinkRow, MemberRow, MessageRow, MuteRow, OutcomeRow, ReadRow, RoomRow, Row,
    SessionRow, SettingRow, SubscriptionRow, Tables, UserRow, VersionRow,
};
use crate::chat_db::rows::{self, Stored, columns, file_seen, int, json, rooms_of};
use crate::chat_db::{mentions, tallies};
use crate::ids::{At, FileId, RoomId, Seq, SubscriptionId};

/// Rooms whose end is kept in memory; beyond that all are forgotten and read again.
const ENDS_KEPT_MAX: usize = 10_000;

/// The writing connection, and what of the tables is kept in memory beside it.
///
/// In memory only within what [`settle`](Self::settle) wrote or [`restart`](Self::restart) forgot:
/// a transaction that is rolled back must be followed by `restart`.
pub struct SqlTables {
    pub(super) conn: Connection,
    at: At,
    sum: RowsSum,
    ends: HashMap<RoomId, End>,
    /// Rooms whose row does not yet say what `ends` says.
    moved: Vec<RoomId>,
}

/// A room's last message.
#[derive(Clone, Copy)]
struct End {
    seq: Seq,
    time: u64,
    moved: bool,
}

impl SqlTables {
    pub(super) fn new(conn: Connection) -> Self {
        Self { conn, at: At(0), sum: RowsSum::default(), ends: HashMap::new(), moved: Vec::new() }
    }

    /// Goes on from a position, with nothing in memory: at a start, and after a rollback.
    pub(super) fn restart(&mut self, (at, sum): (At, RowsSum)) {
        (self.at, self.sum) = (at, sum);
        self.ends.clear();
        self.moved.clear();
    }

    /// The last `at` given out, and what the rows come to.
    pub(super) fn position(&self) -> (At, RowsSum) {
        (self.at, self.sum)
    }

    /// The sum follows a row that changes from what it was to what it is.
    pub(super) fn sum_up(&mut self, before: Option<Row>, now: Row) {
        if let Some(before) = before {
            self.sum.take(&before);
        }
        self.sum.add(&now);
    }

    /// Writes the ends of rooms that moved: once a transaction, not once a message.
    pub(super) fn settle(&mut self) -> Result<()> {
        for room in self.moved.drain(..) {
            let Some(end) = self.ends.get_mut(&room) else { continue };
            end.moved = false;
            self.conn
                .prepare_cached("UPDATE rooms SET last_seq = ?2, last_time = ?3 WHERE room = ?1")?
                .execute(params![Stored(room.0), Stored(end.seq.0), Stored(end.time)])?;
        }
        if self.ends.len() > ENDS_KEPT_MAX {
            self.ends.clear();
        }
        Ok(())
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        key: impl Params,
        read: fn(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.conn.prepare_cached(sql)?.query_row(key, read).optional()
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        key: impl Params,
        read: fn(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.conn.prepare_cached(sql)?.query_map(key, read)?.collect()
    }

    pub(super) fn put(&self, sql: &str, values: impl Params) -> Result<usize> {
        self.conn.prepare_cached(sql)?.execute(values)
    }

    fn insert_message(&mut self, row: &MessageRow) -> Result<()> {
        self.sum_up(None, Row::Message(row.clone()));
        let message = &row.message;
        self.put(
            concat!(
                "INSERT INTO messages (",
                columns!(message),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
            ),
            params![
                Stored(message.at.0),
                Stored(message.room.0),
                Stored(message.seq.0),
                message.id,
                message.from,
                message.text,
                Stored(message.time),
                Stored(message.version),
                message.edited,
                message.deleted,
                message.reply_to.map(|seq| Stored(seq.0)),
                json(&message.reactions, message.reactions.is_empty())?,
                json(&message.files, message.files.is_empty())?,
                row.digest,
                Stored(row.sent_at.0),
            ],
        )?;
        mentions::note(&self.conn, message)?;
        tallies::sent(&self.conn, message)?;
        let end = End { seq: message.seq, time: message.time, moved: true };
        if !self.ends.insert(message.room, end).is_some_and(|end| end.moved) {
            self.moved.push(message.room);
        }
        Ok(())
    }

    fn replace_message(&mut self, row: &MessageRow, last: Seq) -> Result<()> {
        let message = &row.message;
        let before = self.message(message.room, message.seq)?;
        if let Some(MessageRow { message: before, .. }) = &before
            && (&before.text, before.deleted) != (&message.text, message.deleted)
        {
            tallies::take(&self.conn, before, last)?;
            mentions::note_anew(&self.conn, message)?;
            tallies::add(&self.conn, message, last)?;
        }
        self.sum_up(before.map(Row::Message), Row::Message(row.clone()));
        let changed = self.put(
            "UPDATE messages SET at = ?1, text = ?4, version = ?5, edited = ?6, deleted = ?7, reply_to = ?8,
                 reactions = ?9, files = ?10, digest = ?11
             WHERE room = ?2 AND seq = ?3",
            params![
                Stored(message.at.0),
                Stored(message.room.0),
                Stored(message.seq.0),
                message.text,
                Stored(message.version),
                message.edited,
                message.deleted,
                message.reply_to.map(|seq| Stored(seq.0)),
                json(&message.reactions, message.reactions.is_empty())?,
                json(&message.files, message.files.is_empty())?,
                row.digest,
            ],
        )?;
        // Neither at the room's end nor in it: a hole in seq would follow.
        if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
    }
}

impl Tables for SqlTables {
    type Error = rusqlite::Error;

    fn at(&mut self) -> Result<At> {
        Ok(self.at)
    }

    fn next_at(&mut self) -> Result<At> {
        self.at = self.at.next();
        Ok(self.at)
    }

    fn user(&mut self, name: &str) -> Result<Option<UserRow>> {
        self.one(concat!("SELECT ", columns!(user), " FROM users WHERE name = ?1"), [name], rows::user)
    }

    fn any_user(&mut self) -> Result<bool> {
        self.conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM users)")?.query_row([], |row| row.get(0))
    }

    fn another_admin(&mut self, name: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM users
                       WHERE role = 'admin' AND deleted = 0 AND disabled = 0 AND name <> ?1)";
        self.conn.prepare_cached(sql)?.query_row([name], |row| row.get(0))
    }

    fn bots_of(&mut self, owner: &str) -> Result<Vec<UserRow>> {
        let sql = concat!(
            "SELECT ",
            columns!(user),
            " FROM users WHERE bot IS NOT NULL AND deleted = 0 ORDER BY name"
        );
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut bots = statement.query_map([], rows::user)?.collect::<Result<Vec<UserRow>>>()?;
        bots.retain(|row| row.bot.as_ref().is_some_and(|bot| bot.owner == owner));
        Ok(bots)
    }

    fn put_user(&mut self, row: &UserRow) -> Result<()> {
        let before = self.user(&row.name)?.map(Row::User);
        self.sum_up(before, Row::User(row.clone()));
        self.put(
            concat!(
                "INSERT INTO users (",
                columns!(user),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (name) DO UPDATE SET at = ?1, display = ?3, role = ?4, password_hash = ?5,
                     deleted = ?6, disabled = ?7, bot = ?8, created_by = ?9, created_digest = ?10"
            ),
            params![
                Stored(row.at.0),
                row.name,
                row.display,
                rows::role_text(row.role),
                row.password_hash,
                row.deleted,
                row.disabled,
                json(&row.bot, row.bot.is_none())?,
                row.created_by,
                row.created_digest,
            ],
        )?;
        Ok(())
    }

    fn room(&mut self, room: RoomId) -> Result<Option<RoomRow>> {
        self.one(concat!("SELECT ", columns!(room), " FROM rooms WHERE room = ?1"), [int(room.0)], rows::room)
    }

    fn room_by_name(&mut self, name: &str, direct: bool) -> Result<Option<RoomRow>> {
        let sql = if direct {
            concat!("SELECT ", columns!(room), " FROM rooms WHERE name = ?1 AND kind = 'direct'")
        } else {
            concat!("SELECT ", columns!(room), " FROM rooms WHERE name = ?1 AND kind <> 'direct'")
        };
        self.one(sql, [name], rows::room)
    }

    fn last_room(&mut self) -> Result<RoomId> {
        let last = self.one("SELECT max(room) FROM rooms", [], |row| row.get::<_, Option<i64>>(0))?;
        Ok(RoomId(last.flatten().map_or(0, i64::unsigned_abs)))
    }

    fn put_room(&mut self, row: &RoomRow) -> Result<()> {
        let before = self.room(row.room)?.map(Row::Room);
        self.sum_up(before, Row::Room(row.clone()));
        self.put(
            concat!(
                "INSERT INTO rooms (",
                columns!(room),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (room) DO UPDATE SET at = ?1, name = ?3, kind = ?4, topic = ?5, creator = ?6"
            ),
            params![
                Stored(row.at.0),
                Stored(row.room.0),
                row.name,
                rows::kind_text(row.kind),
                row.topic,
                row.creator
            ],
        )?;
        Ok(())
    }

    fn member(&mut self, room: RoomId, user: &str) -> Result<Option<MemberRow>> {
        self.one(
            concat!("SELECT ", columns!(member), " FROM members WHERE room = ?1 AND user = ?2"),
            params![int(room.0), user],
            rows::member,
        )
    }

    fn members(&mut self, room: RoomId) -> Result<Vec<String>> {
        self.all(
            "SELECT user FROM members WHERE room = ?1 AND member = 1 ORDER BY user",
            [int(room.0)],
            |row| row.get(0),
        )
    }

    fn rooms_of(&mut self, user: &str) -> Result<Vec<RoomId>> {
        let sql = concat!(rooms_of!("?1"), " ORDER BY room");
        self.all(sql, [user], |row| rows::number(row, 0).map(RoomId))
    }

    fn put_member(&mut self, row: &MemberRow) -> Result<()> {
        let before = self.member(row.room, &row.user)?.map(Row::Member);
        self.sum_up(before, Row::Member(row.clone()));
        self.put(
            concat!(
                "INSERT INTO members (",
                columns!(member),
                ") VALUES (?1, ?2, ?3, ?4) ON CONFLICT (room, user) DO UPDATE SET at = ?1, member = ?4"
            ),
            params![Stored(row.at.0), Stored(row.room.0), row.user, row.member],
        )?;
        Ok(())
    }

    fn read(&mut self, room: RoomId, user: &str) -> Result<Option<ReadRow>> {
        self.one(
            concat!("SELECT ", columns!(read), " FROM reads WHERE user = ?2 AND room = ?1"),
            params![int(room.0), user],
            rows::read,
        )
    }

    fn put_read(&mut self, row: &ReadRow) -> Result<()> {
        let before = self.read(row.room, &row.user)?.map(Row::Read);
        self.sum_up(before, Row::Read(row.clone()));
        self.put(
            concat!(
                "INSERT INTO reads (",
                columns!(read),
                ") VALUES (?1, ?2, ?3, ?4) ON CONFLICT (user, room) DO UPDATE SET at = ?1, seq = ?4"
            ),
            params![Stored(row.at.0), Stored(row.room.0), row.user, Stored(row.seq.0)],
        )?;
        Ok(())
    }

    fn end(&mut self, room: RoomId) -> Result<(Seq, u64)> {
        if let Some(end) = self.ends.get(&room) {
            return Ok((end.seq, end.time));
        }
        let end =
            self.one("SELECT last_seq, last_time FROM rooms WHERE room = ?1", [int(room.0)], |row| {
                Ok((Seq(rows::number(row, 0)?), rows::number(row, 1)?))
            })?;
        let Some((seq, time)) = end else { return Ok((Seq(0), 0)) };
        self.ends.insert(room, End { seq, time, moved: false });
        Ok((seq, time))
    }

    fn message(&mut self, room: RoomId, seq: Seq) -> Result<Option<MessageRow>> {
        self.one(
            concat!("SELECT ", columns!(message), " FROM messages WHERE room = ?1 AND seq = ?2"),
            [int(room.0), int(seq.0)],
            rows::message_row,
        )
    }

    fn message_by_id(&mut self, user: &str, id: &str) -> Result<Option<MessageRow>> {
        self.one(
            concat!("SELECT ", columns!(message), " FROM messages WHERE id = ?1 AND author = ?2"),
            [id, user],
            rows::message_row,
        )
    }

    fn put_message(&mut self, row: &MessageRow) -> Result<()> {
        let (last, _) = self.end(row.message.room)?;
        if row.message.seq == last.next() {
            self.insert_message(row)
        } else {
            self.replace_message(row, last)
        }
    }

    fn session(&mut self, token_hash: &TokenHash) -> Result<Option<SessionRow>> {
        self.one(
            concat!("SELECT ", columns!(session), " FROM sessions WHERE token_hash = ?1"),
            [token_hash],
            rows::session,
        )
    }

    fn session_by_id(&mut self, user: &str, id: &str) -> Result<Option<SessionRow>> {
        self.one(
            concat!(
                "SELECT ",
                columns!(session),
                " FROM sessions WHERE user = ?1 AND id = ?2 ORDER BY at DESC LIMIT 1"
            ),
            [user, id],
            rows::session,
        )
    }

    fn sessions(&mut self, user: &str) -> Result<Vec<SessionRow>> {
        self.all(
            concat!("SELECT ", columns!(session), " FROM sessions WHERE user = ?1 AND ended = 0 ORDER BY at"),
            [user],
            rows::session,
        )
    }

    fn put_session(&mut self, row: &SessionRow) -> Result<()> {
        let before = self.session(&row.token_hash)?.map(Row::Session);
        self.sum_up(before, Row::Session(row.clone()));
        self.put(
            concat!(
                "INSERT INTO sessions (",
                columns!(session),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (token_hash) DO UPDATE SET at = ?1, user = ?3, id = ?4, op = ?5, first_at = ?6,
                     ended = ?7, time = ?8, agent = ?9"
            ),
            params![
                Stored(row.at.0),
                row.token_hash,
                row.user,
                row.id,
                rows::op_text(row.op),
                Stored(row.first_at.0),
                row.ended,
                Stored(row.time),
                row.agent,
            ],
        )?;
        Ok(())
    }

    fn outcome(&mut self, user: &str, id: &str) -> Result<Option<OutcomeRow>> {
        self.one(
            concat!("SELECT ", columns!(outcome), " FROM outcomes WHERE id = ?2 AND user = ?1"),
            [user, id],
            rows::outcome,
        )
    }

    fn put_outcome(&mut self, row: &OutcomeRow) -> Result<()> {
        let before = self.outcome(&row.user, &row.id)?.map(Row::Outcome);
        self.sum_up(before, Row::Outcome(row.clone()));
        self.put(
            concat!(
                "INSERT INTO outcomes (",
                columns!(outcome),
                ") VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id, user) DO UPDATE SET at = ?1, digest = ?4, outcome = ?5"
            ),
            params![Stored(row.at.0), row.user, row.id, row.digest, json(&row.outcome, false)?],
        )?;
        Ok(())
    }

    fn mute(&mut self, room: RoomId, user: &str) -> Result<Option<MuteRow>> {
        self.one(
            concat!("SELECT ", columns!(mute), " FROM mutes WHERE user = ?2 AND room = ?1"),
            params![int(room.0), user],
            rows::mute,
        )
    }

    fn put_mute(&mut self, row: &MuteRow) -> Result<()> {
        let before = self.mute(row.room, &row.user)?.map(Row::Mute);
        self.sum_up(before, Row::Mute(row.clone()));
        self.put(
            concat!(
                "INSERT INTO mutes (",
                columns!(mute),
                ") VALUES (?1, ?2, ?3, ?4) ON CONFLICT (user, room) DO UPDATE SET at = ?1, muted = ?4"
            ),
            params![Stored(row.at.0), Stored(row.room.0), row.user, row.muted],
        )?;
        Ok(())
    }

    fn versions(&mut self, room: RoomId, seq: Seq) -> Result<Vec<VersionRow>> {
        self.all(
            concat!(
                "SELECT ",
                columns!(version),
                " FROM versions WHERE room = ?1 AND seq = ?2 ORDER BY version"
            ),
            [int(room.0), int(seq.0)],
            rows::version,
        )
    }

    fn version(&mut self, room: RoomId, seq: Seq, version: u64) -> Result<Option<VersionRow>> {
        self.one(
            concat!(
                "SELECT ",
                columns!(version),
                " FROM versions WHERE room = ?1 AND seq = ?2 AND version = ?3"
            ),
            [int(room.0), int(seq.0), int(version)],
            rows::version,
        )
    }

    fn put_version(&mut self, row: &VersionRow) -> Result<()> {
        let before = self.version(row.room, row.seq, row.version)?.map(Row::Version);
        self.sum_up(before, Row::Version(row.clone()));
        self.put(
            concat!(
                "INSERT INTO versions (",
                columns!(version),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (room, seq, version) DO UPDATE SET at = ?1, text = ?5, time = ?6, gone = ?7"
            ),
            params![
                Stored(row.at.0),
                Stored(row.room.0),
                Stored(row.seq.0),
                Stored(row.version),
                row.text,
                Stored(row.time),
                row.gone,
            ],
        )?;
        Ok(())
    }

    fn link(&mut self, token_hash: &TokenHash) -> Result<Option<LinkRow>> {
        self.find_link(token_hash)
    }

    fn link_by_id(&mut self, by: &str, id: &str) -> Result<Option<LinkRow>> {
        self.find_link_by_id(by, id)
    }

    fn links_shown(&mut self, by: &Shown) -> Result<Vec<LinkRow>> {
        self.find_links_shown(by)
    }

    fn links_for(&mut self, kind: LinkKind, name: &str) -> Result<Vec<LinkRow>> {
        self.find_links_for(kind, name)
    }

    fn put_link(&mut self, row: &LinkRow) -> Result<()> {
        self.write_link(row)
    }

    fn setting(&mut self, key: &str) -> Result<Option<SettingRow>> {
        self.find_setting(key)
    }

    fn put_setting(&mut self, row: &SettingRow) -> Result<()> {
        self.write_setting(row)
    }

    fn attachment(&mut self, file: FileId, room: RoomId, seq: Seq) -> Result<Option<AttachmentRow>> {
        self.one(
            concat!(
                "SELECT ",
                columns!(attachment),
                " FROM attachments WHERE file = ?1 AND room = ?2 AND seq = ?3"
            ),
            params![file.0, int(room.0), int(seq.0)],
            rows::attachment,
        )
    }

    fn file_seen_by(&mut self, user: &str, file: FileId) -> Result<Option<u64>> {
        self.one(file_seen!(), params![file.0, user], |row| rows::number(row, 0))
    }

    fn put_attachment(&mut self, row: &AttachmentRow) -> Result<()> {
        let before = self.attachment(row.file, row.room, row.seq)?.map(Row::Attachment);
        self.sum_up(before, Row::Attachment(row.clone()));
        self.put(
            concat!(
                "INSERT INTO attachments (",
                columns!(attachment),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (file, room, seq) DO UPDATE SET at = ?1, bytes = ?5, gone = ?6"
            ),
            params![
                Stored(row.at.0),
                row.file.0,
                Stored(row.room.0),
                Stored(row.seq.0),
                Stored(row.bytes),
                row.gone
            ],
        )?;
        Ok(())
    }

    fn subscription(&mut self, id: SubscriptionId) -> Result<Option<SubscriptionRow>> {
        self.find_subscription(id)
    }

    fn subscriptions(&mut self) -> Result<Vec<SubscriptionRow>> {
        self.find_subscriptions()
    }

    fn last_subscription(&mut self) -> Result<SubscriptionId> {
        self.find_last_subscription()
    }

    fn put_subscription(&mut self, row: &SubscriptionRow) -> Result<()> {
        self.write_subscription(row)
    }
}
