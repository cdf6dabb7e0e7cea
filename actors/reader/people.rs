//! What may be seen of sessions, invitations and what admins have set.

use rusqlite::Result;

use super::view::View;
use crate::chat::command::TokenHash;
use crate::chat::tables::{LinkRow, REGISTRATION, Registration, SessionRow};
use crate::chat_db::rows::{self, columns};

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

    /// The invitations, the youngest first, for an admin.
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
