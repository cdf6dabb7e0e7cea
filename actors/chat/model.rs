//! The tables in memory: what the simulation runs on, and the measure of the SQL store.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::command::{Shown, TokenHash, shown};
use super::digest;
use super::objects::{Role, RoomKind};
use super::tables::{
    AttachmentRow, LinkKind, LinkRow, MemberRow, MessageRow, MuteRow, OutcomeRow, ReadRow, RoomRow, Row,
    Serving, SessionRow, SettingRow, SubscriptionRow, Tables, UserRow, VersionRow,
};
use crate::ids::{At, FileId, RoomId, Seq, SubscriptionId};

/// All rows of one replica. A clone is a copy of its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    at: At,
    users: BTreeMap<String, UserRow>,
    rooms: BTreeMap<RoomId, RoomRow>,
    members: BTreeMap<(RoomId, String), MemberRow>,
    reads: BTreeMap<(RoomId, String), ReadRow>,
    messages: BTreeMap<(RoomId, Seq), MessageRow>,
    sessions: BTreeMap<TokenHash, SessionRow>,
    outcomes: BTreeMap<(String, String), OutcomeRow>,
    mutes: BTreeMap<(RoomId, String), MuteRow>,
    versions: BTreeMap<(RoomId, Seq, u64), VersionRow>,
    links: BTreeMap<TokenHash, LinkRow>,
    settings: BTreeMap<String, SettingRow>,
    attachments: BTreeMap<(FileId, RoomId, Seq), AttachmentRow>,
    subscriptions: BTreeMap<SubscriptionId, SubscriptionRow>,
    /// What finds rows by other than their key; derived.
    room_names: BTreeMap<(bool, String), RoomId>,
    message_ids: BTreeMap<(String, String), (RoomId, Seq)>,
    session_ids: BTreeMap<(String, String), TokenHash>,
}

impl Model {
    /// The last `at` given out.
    pub fn present(&self) -> At {
        self.at
    }

    /// All rows in their canonical order.
    pub fn rows(&self) -> Vec<Row> {
        let users = self.users.values().cloned().map(Row::User);
        let rooms = self.rooms.values().cloned().map(Row::Room);
        let members = self.members.values().cloned().map(Row::Member);
        let reads = self.reads.values().cloned().map(Row::Read);
        let messages = self.messages.values().cloned().map(Row::Message);
        let sessions = self.sessions.values().cloned().map(Row::Session);
        let outcomes = self.outcomes.values().cloned().map(Row::Outcome);
        let mutes = self.mutes.values().cloned().map(Row::Mute);
        let versions = self.versions.values().cloned().map(Row::Version);
        let links = self.links.values().cloned().map(Row::Link);
        let settings = self.settings.values().cloned().map(Row::Setting);
        let attachments = self.attachments.values().cloned().map(Row::Attachment);
        let subscriptions = self.subscriptions.values().cloned().map(Row::Subscription);
        users
            .chain(rooms)
            .chain(members)
            .chain(reads)
            .chain(messages)
            .chain(sessions)
            .chain(outcomes)
            .chain(mutes)
            .chain(versions)
            .chain(links)
            .chain(settings)
            .chain(attachments)
            .chain(subscriptions)
            .collect()
    }

    /// The same for two replicas that hold the same rows, and for nothing else.
    pub fn digest(&self) -> [u8; 32] {
        digest::of_rows(&self.rows())
    }

    /// Takes over rows of another replica, all that changed there after this one's `at` and up to `at`.
    pub fn install(&mut self, at: At, rows: &[Row]) {
        for row in rows {
            match row {
                Row::User(row) => self.insert_user(row),
                Row::Room(row) => self.insert_room(row),
                Row::Member(row) => self.insert_member(row),
                Row::Read(row) => self.insert_read(row),
                Row::Message(row) => self.insert_message(row),
                Row::Session(row) => self.insert_session(row),
                Row::Outcome(row) => self.insert_outcome(row),
                Row::Mute(row) => self.insert_mute(row),
                Row::Version(row) => self.insert_version(row),
                Row::Link(row) => self.insert_link(row),
                Row::Setting(row) => self.insert_setting(row),
                Row::Attachment(row) => self.insert_attachment(row),
                Row::Subscription(row) => self.insert_subscription(row),
            }
        }
        self.at = self.at.max(at);
    }

    /// A room's messages by rising `seq`.
    pub fn messages(&self, room: RoomId) -> impl Iterator<Item = &MessageRow> {
        self.messages.range((room, Seq(0))..(room.next(), Seq(0))).map(|(_, row)| row)
    }

    fn insert_user(&mut self, row: &UserRow) {
        self.users.insert(row.name.clone(), row.clone());
    }

    fn insert_room(&mut self, row: &RoomRow) {
        let named = |row: &RoomRow| (row.kind == RoomKind::Direct, row.name.clone());
        // A name that was given up may be another room's by now.
        if let Some(before) = self.rooms.get(&row.room).map(named)
            && self.room_names.get(&before) == Some(&row.room)
        {
            self.room_names.remove(&before);
        }
        self.room_names.insert(named(row), row.room);
        self.rooms.insert(row.room, row.clone());
    }

    fn insert_member(&mut self, row: &MemberRow) {
        self.members.insert((row.room, row.user.clone()), row.clone());
    }

    fn insert_read(&mut self, row: &ReadRow) {
        self.reads.insert((row.room, row.user.clone()), row.clone());
    }

    fn insert_message(&mut self, row: &MessageRow) {
        let message = &row.message;
        let place = (message.room, message.seq);
        self.message_ids.insert((message.from.clone(), message.id.clone()), place);
        self.messages.insert(place, row.clone());
    }

    fn insert_session(&mut self, row: &SessionRow) {
        // An older session under the same id ends before the younger is made, so the last `at` is
        // the youngest's in whatever order rows are installed.
        let id = (row.user.clone(), row.id.clone());
        let youngest = self.session_ids.get(&id).and_then(|token| self.sessions.get(token));
        if youngest.is_none_or(|other| other.at < row.at) {
            self.session_ids.insert(id, row.token_hash);
        }
        self.sessions.insert(row.token_hash, row.clone());
    }

    fn insert_outcome(&mut self, row: &OutcomeRow) {
        self.outcomes.insert((row.user.clone(), row.id.clone()), row.clone());
    }

    fn insert_mute(&mut self, row: &MuteRow) {
        self.mutes.insert((row.room, row.user.clone()), row.clone());
    }

    fn insert_version(&mut self, row: &VersionRow) {
        self.versions.insert((row.room, row.seq, row.version), row.clone());
    }

    fn insert_link(&mut self, row: &LinkRow) {
        self.links.insert(row.token_hash, row.clone());
    }

    fn insert_setting(&mut self, row: &SettingRow) {
        self.settings.insert(row.key.clone(), row.clone());
    }

    fn insert_attachment(&mut self, row: &AttachmentRow) {
        self.attachments.insert((row.file, row.room, row.seq), row.clone());
    }

    fn insert_subscription(&mut self, row: &SubscriptionRow) {
        self.subscriptions.insert(row.subscription, row.clone());
    }

    /// Where a file is or was.
    fn places_of(&self, file: FileId) -> impl Iterator<Item = &AttachmentRow> {
        let from = (file, RoomId(0), Seq(0));
        self.attachments.range(from..).map(|(_, row)| row).take_while(move |row| row.file == file)
    }
}

impl Tables for Model {
    type Error = Infallible;

    fn at(&mut self) -> Result<At, Infallible> {
        Ok(self.at)
    }

    fn next_at(&mut self) -> Result<At, Infallible> {
        self.at = self.at.next();
        Ok(self.at)
    }

    fn user(&mut self, name: &str) -> Result<Option<UserRow>, Infallible> {
        Ok(self.users.get(name).cloned())
    }

    fn any_user(&mut self) -> Result<bool, Infallible> {
        Ok(!self.users.is_empty())
    }

    fn another_admin(&mut self, name: &str) -> Result<bool, Infallible> {
        let is_other = |row: &UserRow| row.role == Role::Admin && row.is_active() && row.name != name;
        Ok(self.users.values().any(is_other))
    }

    fn bots_of(&mut self, owner: &str) -> Result<Vec<UserRow>, Infallible> {
        let is_own = |row: &&UserRow| !row.deleted && row.bot.as_ref().is_some_and(|bot| bot.owner == owner);
        Ok(self.users.values().filter(is_own).cloned().collect())
    }

    fn put_user(&mut self, row: &UserRow) -> Result<(), Infallible> {
        self.insert_user(row);
        Ok(())
    }

    fn room(&mut self, room: RoomId) -> Result<Option<RoomRow>, Infallible> {
        Ok(self.rooms.get(&room).cloned())
    }

    fn room_by_name(&mut self, name: &str, direct: bool) -> Result<Option<RoomRow>, Infallible> {
        let room = self.room_names.get(&(direct, name.to_owned()));
        Ok(room.and_then(|room| self.rooms.get(room)).cloned())
    }

    fn last_room(&mut self) -> Result<RoomId, Infallible> {
        Ok(self.rooms.keys().next_back().copied().unwrap_or_default())
    }

    fn put_room(&mut self, row: &RoomRow) -> Result<(), Infallible> {
        self.insert_room(row);
        Ok(())
    }

    fn member(&mut self, room: RoomId, user: &str) -> Result<Option<MemberRow>, Infallible> {
        Ok(self.members.get(&(room, user.to_owned())).cloned())
    }

    fn members(&mut self, room: RoomId) -> Result<Vec<String>, Infallible> {
        let rows = self.members.range((room, String::new())..(room.next(), String::new()));
        Ok(rows.filter(|(_, row)| row.member).map(|((_, user), _)| user.clone()).collect())
    }

    fn put_member(&mut self, row: &MemberRow) -> Result<(), Infallible> {
        self.insert_member(row);
        Ok(())
    }

    fn read(&mut self, room: RoomId, user: &str) -> Result<Option<ReadRow>, Infallible> {
        Ok(self.reads.get(&(room, user.to_owned())).cloned())
    }

    fn put_read(&mut self, row: &ReadRow) -> Result<(), Infallible> {
        self.insert_read(row);
        Ok(())
    }

    fn end(&mut self, room: RoomId) -> Result<(Seq, u64), Infallible> {
        let last = self.messages.range((room, Seq(0))..(room.next(), Seq(0))).next_back();
        Ok(last.map_or((Seq(0), 0), |(_, row)| (row.message.seq, row.message.time)))
    }

    fn message(&mut self, room: RoomId, seq: Seq) -> Result<Option<MessageRow>, Infallible> {
        Ok(self.messages.get(&(room, seq)).cloned())
    }

    fn message_by_id(&mut self, user: &str, id: &str) -> Result<Option<MessageRow>, Infallible> {
        let place = self.message_ids.get(&(user.to_owned(), id.to_owned()));
        Ok(place.and_then(|place| self.messages.get(place)).cloned())
    }

    fn put_message(&mut self, row: &MessageRow) -> Result<(), Infallible> {
        self.insert_message(row);
        Ok(())
    }

    fn session(&mut self, token_hash: &TokenHash) -> Result<Option<SessionRow>, Infallible> {
        Ok(self.sessions.get(token_hash).cloned())
    }

    fn session_by_id(&mut self, user: &str, id: &str) -> Result<Option<SessionRow>, Infallible> {
        let token = self.session_ids.get(&(user.to_owned(), id.to_owned()));
        Ok(token.and_then(|token| self.sessions.get(token)).cloned())
    }

    fn sessions(&mut self, user: &str) -> Result<Vec<SessionRow>, Infallible> {
        let alive = self.sessions.values().filter(|row| row.user == user && !row.ended);
        let mut rows: Vec<_> = alive.cloned().collect();
        rows.sort_by_key(|row| row.at);
        Ok(rows)
    }

    fn put_session(&mut self, row: &SessionRow) -> Result<(), Infallible> {
        self.insert_session(row);
        Ok(())
    }

    fn outcome(&mut self, user: &str, id: &str) -> Result<Option<OutcomeRow>, Infallible> {
        Ok(self.outcomes.get(&(user.to_owned(), id.to_owned())).cloned())
    }

    fn put_outcome(&mut self, row: &OutcomeRow) -> Result<(), Infallible> {
        self.insert_outcome(row);
        Ok(())
    }

    fn mute(&mut self, room: RoomId, user: &str) -> Result<Option<MuteRow>, Infallible> {
        Ok(self.mutes.get(&(room, user.to_owned())).cloned())
    }

    fn put_mute(&mut self, row: &MuteRow) -> Result<(), Infallible> {
        self.insert_mute(row);
        Ok(())
    }

    fn versions(&mut self, room: RoomId, seq: Seq) -> Result<Vec<VersionRow>, Infallible> {
        let rows = self.versions.range((room, seq, 0)..(room, seq.next(), 0));
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn version(&mut self, room: RoomId, seq: Seq, version: u64) -> Result<Option<VersionRow>, Infallible> {
        Ok(self.versions.get(&(room, seq, version)).cloned())
    }

    fn put_version(&mut self, row: &VersionRow) -> Result<(), Infallible> {
        self.insert_version(row);
        Ok(())
    }

    fn link(&mut self, token_hash: &TokenHash) -> Result<Option<LinkRow>, Infallible> {
        Ok(self.links.get(token_hash).cloned())
    }

    fn link_by_id(&mut self, by: &str, id: &str) -> Result<Option<LinkRow>, Infallible> {
        let made = self.links.values().filter(|row| row.by == by && row.id == id);
        Ok(made.max_by_key(|row| row.at).cloned())
    }

    fn links_shown(&mut self, by: &Shown) -> Result<Vec<LinkRow>, Infallible> {
        Ok(self.links.values().filter(|row| shown(&row.token_hash) == *by).cloned().collect())
    }

    fn links_for(&mut self, kind: LinkKind, name: &str) -> Result<Vec<LinkRow>, Infallible> {
        let good = |row: &&LinkRow| !row.revoked && row.used < row.uses;
        let found = self.links.values().filter(|row| row.kind == kind && row.name == name).filter(good);
        let mut rows: Vec<_> = found.cloned().collect();
        rows.sort_by_key(|row| row.at);
        Ok(rows)
    }

    fn put_link(&mut self, row: &LinkRow) -> Result<(), Infallible> {
        self.insert_link(row);
        Ok(())
    }

    fn setting(&mut self, key: &str) -> Result<Option<SettingRow>, Infallible> {
        Ok(self.settings.get(key).cloned())
    }

    fn put_setting(&mut self, row: &SettingRow) -> Result<(), Infallible> {
        self.insert_setting(row);
        Ok(())
    }

    fn attachment(
        &mut self,
        file: FileId,
        room: RoomId,
        seq: Seq,
    ) -> Result<Option<AttachmentRow>, Infallible> {
        Ok(self.attachments.get(&(file, room, seq)).cloned())
    }

    fn file_seen_by(&mut self, user: &str, file: FileId) -> Result<Option<u64>, Infallible> {
        let is_in = |room| self.members.get(&(room, user.to_owned())).is_some_and(|row| row.member);
        Ok(self.places_of(file).find(|row| !row.gone && is_in(row.room)).map(|row| row.bytes))
    }

    fn put_attachment(&mut self, row: &AttachmentRow) -> Result<(), Infallible> {
        self.insert_attachment(row);
        Ok(())
    }

    fn subscription(&mut self, id: SubscriptionId) -> Result<Option<SubscriptionRow>, Infallible> {
        Ok(self.subscriptions.get(&id).cloned())
    }

    fn subscriptions(&mut self) -> Result<Vec<SubscriptionRow>, Infallible> {
        Ok(self.subscriptions.values().filter(|row| row.state != Serving::Gone).cloned().collect())
    }

    fn last_subscription(&mut self) -> Result<SubscriptionId, Infallible> {
        Ok(self.subscriptions.keys().next_back().copied().unwrap_or_default())
    }

    fn put_subscription(&mut self, row: &SubscriptionRow) -> Result<(), Infallible> {
        self.insert_subscription(row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::apply::apply;
    use crate::chat::script::Script;

    fn played(seed: u64, steps: usize) -> Model {
        let mut model = Model::default();
        for step in Script::new(seed).take(steps) {
            let Ok(_effect) = apply(&mut model, step.time_ms, &step.command);
        }
        model
    }

    #[test]
    fn rows_come_in_the_order_of_their_keys() {
        let rows = played(1, 600).rows();
        assert!(rows.windows(2).all(|pair| pair[0].key() < pair[1].key()));
    }

    #[test]
    fn the_same_script_gives_the_same_digest_and_another_another() {
        assert_eq!(played(1, 300).digest(), played(1, 300).digest());
        assert_ne!(played(1, 300).digest(), played(2, 300).digest());
    }

    #[test]
    fn rows_of_another_replica_make_the_same_state() {
        let (early, late) = (played(3, 300), played(3, 600));
        let delta: Vec<_> = late.rows().into_iter().filter(|row| row.at() > early.present()).collect();
        let mut caught_up = early;
        caught_up.install(late.present(), &delta);
        assert_eq!(caught_up, late);

        let mut anew = Model::default();
        anew.install(late.present(), &late.rows());
        assert_eq!(anew, late);
    }

    #[test]
    fn rows_survive_their_encoding() {
        for row in played(4, 600).rows() {
            let bytes = rmp_serde::to_vec_named(&row).unwrap();
            assert_eq!(rmp_serde::from_slice::<Row>(&bytes).unwrap(), row);
        }
    }
}
