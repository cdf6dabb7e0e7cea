//! A file whose node is part of its chat no more, and the clusters in whose place its own came.

use super::store::{Store, StoreError, Synchronous};
use crate::membership::Retirement;

/// As `raft_state.foundation` says it.
fn word(why: Retirement) -> &'static str {
    match why {
        Retirement::Removed => "removed",
        Retirement::Superseded => "superseded",
    }
}

impl Store {
    /// Whether, and why, this file serves nobody any more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn retirement(&self) -> Result<Option<Retirement>, StoreError> {
        let found: String =
            self.sql(|conn| conn.query_row("SELECT foundation FROM raft_state", [], |row| row.get(0)))?;
        Ok([Retirement::Removed, Retirement::Superseded].into_iter().find(|why| word(*why) == found))
    }

    /// Marks the file so that it serves nobody from now on, with an fsync.
    ///
    /// # Errors
    /// As for appending.
    pub fn retire(&mut self, why: Retirement) -> Result<(), StoreError> {
        self.transaction(Synchronous::Full, |store| {
            store.sql(|conn| conn.execute("UPDATE raft_state SET foundation = ?1", [word(why)]).map(|_| ()))
        })
    }

    /// The ids of the clusters in whose place this file's came.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn supersedes(&self) -> Result<Vec<String>, StoreError> {
        self.sql(|conn| {
            let text: String = conn.query_row("SELECT supersedes FROM raft_state", [], |row| row.get(0))?;
            serde_json::from_str(&text).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
            })
        })
    }
}
