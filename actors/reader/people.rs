//! What may be seen of sessions, invitations and what admins have set.

use rusqlite::{Result, params};

use super::view::View;
use crate::chat::command::TokenHash;
use crate::chat::objects::RoomKind;
use crate::chat::tables::{LinkRow, REGISTRATION, Registration, SessionRow, UserRow, hook_right};
use crate::chat_db::rows::{self, columns, int, is_member, maker_may_see};
use crate::ids::RoomId;
use crate::messages::reading::{Hidden, SubscriptionSeen};

/// The most bots that are shown.
const BOTS_MAX: i64 = 1_000;
/// The most invitations that are shown.
const INVITES_MAX: i64 = 1_000;

impl View<'_> {
    pub(super) fn is_admin(&self, user: &str) -> Result<bool> {
        let sql = "SELECT role = 'admin' AND deleted = 0 AND disabled = 0 FROM users WHERE name = ?1";
        Ok(self.one(sql, [user], |row| row.get(0))?.unwrap_or(false))
    }

    /// A user's sessions that have not ended, the oldest first.
    pub fn sessions(&self, user: &str) -> Result<Vec<SessionRow>> {
        self.all(
            concat!("SELECT ", columns!(session), " FROM sessions WHERE user = ?1 AND ended = 0 ORDER BY at"),
            [user],
            rows::session,
        )
    }

    /// The invitations, for an admin; what changed last comes first.
    pub fn invites(&self, user: &str) -> Result<Option<Vec<LinkRow>>> {
        if !self.is_admin(user)? {
            return Ok(None);
        }
        let sql = concat!(
            "SELECT ",
            columns!(link),
            " FROM links WHERE name = '' AND kind = 'invite' ORDER BY at DESC LIMIT ?1"
        );
        self.all(sql, [INVITES_MAX], rows::link).map(Some)
    }

    /// The bots that were not deleted, for an admin; or a room's hooks, also for its creator.
    pub fn bots(&self, user: &str, room: Option<RoomId>) -> Result<Result<Vec<UserRow>, Hidden>> {
        let hidden = match room {
            Some(room) => self.hidden_of(user, room)?,
            None => (!self.is_admin(user)?).then_some(Hidden::NotInCharge),
        };
        if let Some(why) = hidden {
            return Ok(Err(why));
        }
        let sql = concat!(
            "SELECT ",
            columns!(user),
            " FROM users WHERE bot IS NOT NULL AND deleted = 0
                  AND (?1 IS NULL OR EXISTS (SELECT 1 FROM json_each(bot, '$.rights') WHERE value = ?1))
              ORDER BY name LIMIT ?2"
        );
        self.all(sql, params![room.map(hook_right), BOTS_MAX], rows::user).map(Ok)
    }

    /// Where a room's messages are posted, for an admin or for its creator.
    pub fn subscriptions(&self, user: &str, room: RoomId) -> Result<Result<Vec<SubscriptionSeen>, Hidden>> {
        if let Some(why) = self.hidden_of(user, room)? {
            return Ok(Err(why));
        }
        let sql = concat!(
            "SELECT ",
            columns!(subscription),
            ", ",
            maker_may_see!(),
            " FROM subscriptions WHERE room = ?1 AND state <> 'gone' ORDER BY subscription"
        );
        let seen = |row: &rusqlite::Row<'_>| {
            Ok(SubscriptionSeen { row: rows::subscription(row)?, allowed: row.get(11)? })
        };
        self.all(sql, [int(room.0)], seen).map(Ok)
    }

    /// Why somebody may not see who else has a hand in a room. As apply says who may change a room: whoever made
    /// it may have been removed from it since.
    fn hidden_of(&self, user: &str, room: RoomId) -> Result<Option<Hidden>> {
        let sql = concat!(
            "SELECT kind, creator = ?2, ",
            is_member!("?2", "rooms.room"),
            " FROM rooms WHERE room = ?1"
        );
        let found = self.one(sql, params![int(room.0), user], |row| {
            Ok((rows::kind(row, 0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?))
        })?;
        let Some((kind, made, member)) = found else { return Ok(Some(Hidden::NoSuchRoom)) };
        let admin = kind != RoomKind::Direct && self.is_admin(user)?;
        Ok(match kind {
            RoomKind::Private | RoomKind::Direct if !member && !admin => Some(Hidden::NoSuchRoom),
            RoomKind::Public | RoomKind::Private if made || admin => None,
            RoomKind::Public | RoomKind::Private | RoomKind::Direct => Some(Hidden::NotInCharge),
        })
    }

    pub fn link_of(&self, token_hash: &TokenHash) -> Result<Option<LinkRow>> {
        self.one(
            concat!("SELECT ", columns!(link), " FROM links WHERE token_hash = ?1"),
            [token_hash],
            rows::link,
        )
    }

    /// Who may register, if an admin has set it.
    pub fn registration(&self) -> Result<Option<Registration>> {
        let sql = "SELECT value FROM settings WHERE key = ?1";
        let set = self.one(sql, [REGISTRATION], |row| row.get::<_, String>(0))?;
        Ok(set.and_then(|mode| Registration::of_name(&mode)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Change, Command, shown};
    use crate::chat::objects::Role;
    use crate::chat::tables::LinkKind;
    use crate::reader::ReadPool;
    use crate::storage::testing::{TestDir, batch, command, committed, setup, started};

    fn link(user: &str, id: u8) -> Command {
        command(user, &format!("link {id}"), Change::CreateInvite { uses: 2, hours: 1, link: [id; 32] })
    }

    /// ann is the admin.
    #[test]
    fn admins_see_invitations_and_all_rooms_but_direct_ones() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob", "cleo"], 1);
        let room = |name: &str| Change::CreateRoom {
            name: name.into(),
            kind: RoomKind::Private,
            topic: String::new(),
        };
        commands.push(command("bob", "secret", room("secret")));
        let users = vec!["bob".to_owned(), "cleo".to_owned()];
        commands.push(command("bob", "direct", Change::OpenDirect { users }));
        commands.extend([link("ann", 1), link("ann", 2)]);
        commands.push(command("ann", "revoke", Change::RevokeInvite { invite: shown(&[1; 32]) }));
        commands.push(command("ann", "reset", Change::ResetPassword { user: "bob".into(), link: [3; 32] }));
        commands.push(command("ann", "mode", Change::SetRegistration { mode: Registration::Closed }));
        let piece = store.apply(&[committed(2, batch(7, &commands))], || false).unwrap();
        assert!(piece.applied.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
        let pool = ReadPool::open(store.path(), 1).unwrap();

        let invites = pool.read(|view| view.invites("ann")).unwrap().unwrap();
        // The one that changed last comes first.
        let seen: Vec<_> = invites.iter().map(|row| (row.token_hash[0], row.revoked, row.until)).collect();
        assert_eq!(seen, [(1, true, 3_600_007), (2, false, 3_600_007)]);
        assert!(pool.read(|view| view.invites("bob")).unwrap().is_none());
        let names = |user: &str, all| {
            let rooms = pool.read(|view| view.rooms(user, None, all)).unwrap();
            rooms.map(|rooms| rooms.into_iter().map(|room| room.name).collect::<Vec<_>>())
        };
        assert_eq!(names("ann", true).unwrap(), ["room1", "secret"]);
        assert_eq!(names("ann", false).unwrap(), ["room1"]);
        assert_eq!(names("bob", true), None);
        let reset = pool.read(|view| view.link_of(&[3; 32])).unwrap().unwrap();
        assert_eq!((reset.kind, reset.name.as_str(), reset.by.as_str()), (LinkKind::Reset, "bob", "ann"));
        assert!(pool.read(|view| view.link_of(&[4; 32])).unwrap().is_none());
        assert_eq!(pool.read(|view| view.registration()).unwrap(), Some(Registration::Closed));
    }

    fn hook(user: &str, room: u64, name: &str, token: u64) -> Command {
        let mut token_hash = [9; 32];
        token_hash[..8].copy_from_slice(&token.to_be_bytes());
        let change =
            Change::CreateHook { room: RoomId(room), name: name.into(), display: name.into(), token_hash };
        command(user, &format!("hook {name}"), change)
    }

    /// ann is the admin; bob made both rooms, and is no longer in the private one.
    #[test]
    fn hooks_and_subscriptions_are_seen_by_who_is_in_charge_of_the_room() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob", "cleo"], 0);
        let room = |name: &str, kind| Change::CreateRoom { name: name.into(), kind, topic: String::new() };
        commands.push(command("bob", "open", room("open", RoomKind::Public)));
        commands.push(command("bob", "secret", room("secret", RoomKind::Private)));
        commands.push(command(
            "bob",
            "direct",
            Change::OpenDirect { users: vec!["bob".into(), "cleo".into()] },
        ));
        commands.push(command("cleo", "join", Change::Join { room: RoomId(1) }));
        commands.push(hook("bob", 2, "z", 0));
        // As many elsewhere as are shown at most.
        commands.extend((1..=1_001).map(|number| hook("bob", 1, &format!("a{number:04}"), number)));
        let subscription = Change::CreateSubscription {
            room: RoomId(2),
            url: "http://example.org/secret-path".into(),
            secret: "s".into(),
        };
        commands.push(command("bob", "subscription", subscription));
        let remove = Change::Remove { room: RoomId(2), user: "bob".into() };
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();
        let hooks = |user: &str, room| {
            let found = pool.read(|view| view.bots(user, Some(RoomId(room)))).unwrap();
            let posted = pool.read(|view| view.subscriptions(user, RoomId(room))).unwrap();
            assert_eq!(posted.as_ref().err(), found.as_ref().err());
            assert!(posted.iter().all(|posted| posted.len() == usize::from(room == 2)));
            found.map(|found| found.into_iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(hooks("bob", 2), Ok(vec!["z".to_owned()]), "whatever there is in other rooms");
        assert_eq!(hooks("bob", 1).map(|names| names.len()), Ok(1_000));
        store.apply(&[committed(3, batch(1, &[command("ann", "remove", remove)]))], || false).unwrap();
        assert_eq!(hooks("ann", 2), Ok(vec!["z".to_owned()]));
        for (user, room, why) in [
            ("bob", 2, Hidden::NoSuchRoom),
            ("cleo", 2, Hidden::NoSuchRoom),
            ("cleo", 1, Hidden::NotInCharge),
            ("ann", 3, Hidden::NoSuchRoom),
            ("bob", 3, Hidden::NotInCharge),
            ("ann", 4711, Hidden::NoSuchRoom),
        ] {
            assert_eq!(hooks(user, room), Err(why), "{user} in {room}");
        }
    }

    #[test]
    fn who_is_shut_out_has_no_session_and_no_say() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann", "bob"], 0);
        commands.push(command("ann", "role", Change::SetRole { user: "bob".into(), role: Role::Admin }));
        commands.push(command("ann", "out", Change::SetDisabled { user: "bob".into(), disabled: true }));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();
        assert!(pool.read(|view| view.invites("bob")).unwrap().is_none());
        assert!(pool.read(|view| view.session_of(&[1; 32])).unwrap().is_none());
        assert!(pool.read(|view| view.sessions("bob")).unwrap().is_empty());
        let sessions = pool.read(|view| view.sessions("ann")).unwrap();
        assert_eq!((sessions.len(), sessions[0].time, sessions[0].agent.as_str()), (1, 0, ""));
    }
}
