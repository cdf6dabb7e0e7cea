//! What the terminal client keeps on this machine: its tokens, and what was written and is not acknowledged yet.
//!
//! One small SQLite file in the user's state directory, for its owner alone. Several clients may use it at a time.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::frames::{Problem, Room};

/// How long another client may be writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE accounts (
    account INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    token   TEXT,
    nodes   TEXT NOT NULL,
    used    INTEGER NOT NULL
) STRICT;
CREATE TABLE rooms (
    account INTEGER NOT NULL,
    room    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    PRIMARY KEY (account, room)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    id      TEXT PRIMARY KEY,
    account INTEGER NOT NULL,
    room    INTEGER NOT NULL,
    op      TEXT NOT NULL,
    fields  TEXT NOT NULL,
    written INTEGER NOT NULL,
    refused TEXT
) STRICT, WITHOUT ROWID;
";

/// The file, open.
pub struct Keep {
    file: Connection,
    path: PathBuf,
}

/// Somebody who is known on some chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub account: i64,
    pub name: String,
    /// `None`: logged out.
    pub token: Option<String>,
    /// Public URLs.
    pub nodes: Vec<String>,
}

/// A change that was written and is not acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: String,
    pub room: u64,
    /// `send` or `edit`.
    pub op: String,
    pub fields: Value,
    /// Unix milliseconds.
    pub written: u64,
    /// Why it was refused for good: it waits for its writer's decision.
    pub refused: Option<String>,
}

/// `$XDG_STATE_HOME/replicated-chat`, by default in `~/.local/state`.
///
/// # Errors
/// When the environment says neither.
pub fn state_dir() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    match state {
        Some(state) => Ok(state.join("replicated-chat")),
        None => bail!("neither XDG_STATE_HOME nor HOME names a directory: set one of them"),
    }
}

impl Keep {
    /// Opens the file in this directory, or makes both.
    ///
    /// # Errors
    /// When that cannot be done, or a newer program made the file.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("terminal.db");
        let file = Self::open_file(dir, &path).with_context(|| {
            format!("cannot use {}: make it writable, or set XDG_STATE_HOME", path.display())
        })?;
        Ok(Self { file, path })
    }

    fn open_file(dir: &Path, path: &Path) -> anyhow::Result<Connection> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // Made before SQLite opens it, which gives its journal the same mode.
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        made.set_permissions(fs::Permissions::from_mode(0o600))?;
        // Closed before SQLite holds locks on it.
        drop(made);
        let mut file = Connection::open(path)?;
        file.busy_timeout(BUSY_TIMEOUT)?;
        // EXTRA also syncs the directory: what was committed is not undone by a journal that comes back.
        file.pragma_update(None, "synchronous", "EXTRA")?;
        file.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        let transaction = file.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let format: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match format {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
            }
            FORMAT => {}
            newer => bail!("its format {newer} is newer than this program"),
        }
        transaction.commit()?;
        Ok(file)
    }

    /// The account last used on a chat with one of these nodes, under this name if one is given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, urls: &[String], name: Option<&str>) -> anyhow::Result<Option<Account>> {
        let mut select =
            self.file.prepare("SELECT account, name, token, nodes FROM accounts ORDER BY used DESC")?;
        let accounts = select.query_map([], account)?;
        for account in accounts {
            let account = account?;
            let is_here = account.nodes.iter().any(|node| urls.contains(node));
            if is_here && name.is_none_or(|name| name == account.name) {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    /// Notes who was let in, and where the chat is; gives the account's number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_account(
        &self,
        known: Option<i64>,
        name: &str,
        token: Option<&str>,
        nodes: &[String],
        now: u64,
    ) -> anyhow::Result<i64> {
        let nodes = serde_json::to_string(nodes)?;
        let written = match known {
            Some(account) => {
                self.file.execute(
                    "UPDATE accounts SET token = coalesce(?2, token), nodes = ?3, used = ?4 WHERE account = ?1",
                    params![account, token, nodes, signed(now)],
                )?;
                account
            }
            None => {
                self.file.execute(
                    "INSERT INTO accounts (name, token, nodes, used) VALUES (?1, ?2, ?3, ?4)",
                    params![name, token, nodes, signed(now)],
                )?;
                self.file.last_insert_rowid()
            }
        };
        Ok(written)
    }

    /// The token is no longer good.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_token(&self, account: i64) -> anyhow::Result<()> {
        self.file.execute("UPDATE accounts SET token = NULL WHERE account = ?1", [account])?;
        Ok(())
    }

    /// Remembers which rooms there are, so that one can be named while no node is reached.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_rooms(&mut self, account: i64, rooms: &[Room]) -> anyhow::Result<()> {
        let transaction = self.file.transaction()?;
        transaction.execute("DELETE FROM rooms WHERE account = ?1", [account])?;
        for room in rooms.iter().filter(|room| !room.name.is_empty()) {
            transaction.execute(
                "INSERT OR REPLACE INTO rooms (account, room, name) VALUES (?1, ?2, ?3)",
                params![account, signed(room.room), room.name],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// The number of the room of this name, as it was last known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn room(&self, account: i64, name: &str) -> anyhow::Result<Option<u64>> {
        let found: Option<i64> = self
            .file
            .query_row(
                "SELECT room FROM rooms WHERE account = ?1 AND name = ?2",
                params![account, name],
                |row| row.get(0),
            )
            .optional()?;
        Ok(found.and_then(|room| u64::try_from(room).ok()))
    }

    /// Puts a change down; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it is not.
    pub fn put(&self, account: i64, item: &Item) -> anyhow::Result<()> {
        self.file
            .execute(
                "INSERT OR REPLACE INTO outbox (id, account, room, op, fields, written, refused)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    item.id,
                    account,
                    signed(item.room),
                    item.op,
                    item.fields.to_string(),
                    signed(item.written),
                    item.refused
                ],
            )
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }

    /// It is acknowledged, or given up.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&self, id: &str) -> anyhow::Result<()> {
        self.file.execute("DELETE FROM outbox WHERE id = ?1", [id])?;
        Ok(())
    }

    /// It is refused for good.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn refuse(&self, id: &str, problem: &Problem) -> anyhow::Result<()> {
        self.file.execute("UPDATE outbox SET refused = ?2 WHERE id = ?1", params![id, problem.message])?;
        Ok(())
    }

    /// Everything that waits for this account, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outbox(&self, account: i64) -> anyhow::Result<Vec<Item>> {
        let mut select = self.file.prepare_cached(
            "SELECT id, room, op, fields, written, refused FROM outbox WHERE account = ?1 ORDER BY id",
        )?;
        let items = select.query_map([account], item)?.collect::<Result<_, _>>()?;
        Ok(items)
    }
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let nodes: String = row.get(3)?;
    // Without nodes it is found no more, and made anew.
    let nodes = serde_json::from_str(&nodes).unwrap_or_default();
    Ok(Account { account: row.get(0)?, name: row.get(1)?, token: row.get(2)?, nodes })
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let fields: String = row.get(3)?;
    let fields = serde_json::from_str(&fields).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, error.into())
    })?;
    let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or_default());
    Ok(Item {
        id: row.get(0)?,
        room: number(1)?,
        op: row.get(2)?,
        fields,
        written: number(4)?,
        refused: row.get(5)?,
    })
}

/// SQLite's integers are signed; room numbers and times are far below their end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A directory of its own that goes with the test.
    pub struct Dir(pub PathBuf);

    impl Dir {
        pub fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("chat-keep-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn item(id: &str, room: u64) -> Item {
        let fields = json!({"room": room, "text": "hi"});
        Item { id: id.into(), room, op: "send".into(), fields, written: 7, refused: None }
    }

    #[test]
    fn what_was_put_is_there_the_next_time_and_for_its_owner_alone() {
        let dir = Dir::new("put");
        let keep = Keep::open(&dir.0).unwrap();
        keep.put(1, &item("b", 2)).unwrap();
        keep.put(1, &item("a", 1)).unwrap();
        keep.put(2, &item("c", 1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keep.path), mode(&dir.0)), (0o600, 0o700));
        drop(keep);

        let keep = Keep::open(&dir.0).unwrap();
        assert_eq!(keep.outbox(1).unwrap(), [item("a", 1), item("b", 2)]);
        keep.refuse("a", &Problem::own("not_found", "no such room")).unwrap();
        keep.remove("b").unwrap();
        let left = keep.outbox(1).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].refused.as_deref(), Some("no such room"));
    }

    #[test]
    fn accounts_are_found_by_any_node_of_their_chat() {
        let dir = Dir::new("accounts");
        let mut keep = Keep::open(&dir.0).unwrap();
        let urls = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ann = keep.note_account(None, "ann", Some("t1"), &urls(&["http://a", "http://b"]), 1).unwrap();
        let bob = keep.note_account(None, "bob", Some("t2"), &urls(&["http://b"]), 2).unwrap();
        let found = |keep: &Keep, url: &str, name| {
            keep.find(&urls(&[url]), name).unwrap().map(|account| (account.name, account.token))
        };
        assert_eq!(found(&keep, "http://b", None), Some(("bob".into(), Some("t2".into()))));
        assert_eq!(found(&keep, "http://b", Some("ann")), Some(("ann".into(), Some("t1".into()))));
        assert_eq!(found(&keep, "http://c", None), None);
        keep.note_account(Some(ann), "ann", None, &urls(&["http://b", "http://c"]), 3).unwrap();
        keep.forget_token(bob).unwrap();
        assert_eq!(found(&keep, "http://c", None), Some(("ann".into(), Some("t1".into()))));
        assert_eq!(found(&keep, "http://b", Some("bob")), Some(("bob".into(), None)));

        let room = Room { room: 7, name: "general".into(), ..Room::default() };
        keep.note_rooms(ann, &[room]).unwrap();
        assert_eq!(keep.room(ann, "general").unwrap(), Some(7));
        assert_eq!(keep.room(bob, "general").unwrap(), None);
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let dir = Dir::new("newer");
        let keep = Keep::open(&dir.0).unwrap();
        keep.file.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop(keep);
        let error = Keep::open(&dir.0).err().unwrap();
        assert!(format!("{error:#}").contains("newer than this program"), "{error:#}");
    }
}
