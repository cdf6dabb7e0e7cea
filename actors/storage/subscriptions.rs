//! Where the messages of rooms are posted: the rows in SQLite.

use rusqlite::{Result, params};

use super::tables::SqlTables;
use crate::chat::tables::{Row, SubscriptionRow};
use crate::chat_db::rows::{self, Stored, columns, int};
use crate::ids::SubscriptionId;

impl SqlTables {
    pub(super) fn find_subscription(&self, id: SubscriptionId) -> Result<Option<SubscriptionRow>> {
        self.one(
            concat!("SELECT ", columns!(subscription), " FROM subscriptions WHERE subscription = ?1"),
            [int(id.0)],
            rows::subscription,
        )
    }

    pub(super) fn find_subscriptions(&self) -> Result<Vec<SubscriptionRow>> {
        self.all(
            concat!(
                "SELECT ",
                columns!(subscription),
                " FROM subscriptions WHERE state <> 'gone' ORDER BY subscription"
            ),
            [],
            rows::subscription,
        )
    }

    pub(super) fn find_last_subscription(&self) -> Result<SubscriptionId> {
        let sql = "SELECT coalesce(max(subscription), 0) FROM subscriptions";
        let last = self.one(sql, [], |row| rows::number(row, 0))?;
        Ok(SubscriptionId(last.unwrap_or_default()))
    }

    pub(super) fn write_subscription(&mut self, row: &SubscriptionRow) -> Result<()> {
        let before = self.find_subscription(row.subscription)?.map(Row::Subscription);
        self.sum_up(before, Row::Subscription(row.clone()));
        self.put(
            concat!(
                "INSERT INTO subscriptions (",
                columns!(subscription),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (subscription) DO UPDATE SET at = ?1, room = ?3, url = ?4, secret = ?5,
                     made_by = ?6, state = ?7, delivered = ?8, failing_since = ?9, error = ?10, time = ?11"
            ),
            params![
                Stored(row.at.0),
                Stored(row.subscription.0),
                Stored(row.room.0),
                row.url,
                row.secret,
                row.by,
                row.state.name(),
                Stored(row.delivered.0),
                Stored(row.failing_since),
                row.error,
                Stored(row.time),
            ],
        )?;
        Ok(())
    }
}
