//! Links, and what admins set: their rows in SQLite.

use rusqlite::{Result, params};

use super::tables::SqlTables;
use crate::chat::command::{Shown, TokenHash};
use crate::chat::tables::{LinkKind, LinkRow, Row, SettingRow};
use crate::chat_db::rows::{self, Stored, columns};

impl SqlTables {
    pub(super) fn find_link(&self, token_hash: &TokenHash) -> Result<Option<LinkRow>> {
        self.one(
            concat!("SELECT ", columns!(link), " FROM links WHERE token_hash = ?1"),
            [token_hash],
            rows::link,
        )
    }

    pub(super) fn find_link_by_id(&self, by: &str, id: &str) -> Result<Option<LinkRow>> {
        self.one(
            concat!(
                "SELECT ",
                columns!(link),
                " FROM links WHERE made_by = ?1 AND id = ?2 ORDER BY at DESC LIMIT 1"
            ),
            [by, id],
            rows::link,
        )
    }

    pub(super) fn find_links_shown(&self, by: &Shown) -> Result<Vec<LinkRow>> {
        let (mut first, mut last) = (TokenHash::default(), [0xff; 32]);
        first[..by.len()].copy_from_slice(by);
        last[..by.len()].copy_from_slice(by);
        self.all(
            concat!(
                "SELECT ",
                columns!(link),
                " FROM links WHERE token_hash BETWEEN ?1 AND ?2 ORDER BY token_hash"
            ),
            [first, last],
            rows::link,
        )
    }

    pub(super) fn find_links_for(&self, kind: LinkKind, name: &str) -> Result<Vec<LinkRow>> {
        self.all(
            concat!(
                "SELECT ",
                columns!(link),
                " FROM links WHERE name = ?1 AND kind = ?2 AND revoked = 0 AND used < uses ORDER BY at"
            ),
            [name, rows::link_text(kind)],
            rows::link,
        )
    }

    pub(super) fn write_link(&mut self, row: &LinkRow) -> Result<()> {
        let before = self.find_link(&row.token_hash)?.map(Row::Link);
        self.sum_up(before, Row::Link(row.clone()));
        self.put(
            concat!(
                "INSERT INTO links (",
                columns!(link),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (token_hash) DO UPDATE SET at = ?1, kind = ?3, name = ?4, made_by = ?5, id = ?6,
                     until = ?7, uses = ?8, used = ?9, revoked = ?10"
            ),
            params![
                Stored(row.at.0),
                row.token_hash,
                rows::link_text(row.kind),
                row.name,
                row.by,
                row.id,
                Stored(row.until),
                Stored(row.uses),
                Stored(row.used),
                row.revoked,
            ],
        )?;
        Ok(())
    }

    pub(super) fn find_setting(&self, key: &str) -> Result<Option<SettingRow>> {
        self.one(concat!("SELECT ", columns!(setting), " FROM settings WHERE key = ?1"), [key], rows::setting)
    }

    pub(super) fn write_setting(&mut self, row: &SettingRow) -> Result<()> {
        let before = self.find_setting(&row.key)?.map(Row::Setting);
        self.sum_up(before, Row::Setting(row.clone()));
        self.put(
            concat!(
                "INSERT INTO settings (",
                columns!(setting),
                ") VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET at = ?1, value = ?3"
            ),
            params![Stored(row.at.0), row.key, row.value],
        )?;
        Ok(())
    }
}
