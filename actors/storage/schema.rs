//! The tables of `chat.db`, and how a file comes from one format to the next.
//!
//! A table is either *replicated*: the same rows on every node, each with the `at` of its last
//! change, nothing ever deleted; or *local*: this node's own share of Raft; or *derived*: it follows from
//! replicated rows. A test reads the schema and tells which is which. Derived columns (`rooms.last_seq`, `rooms.last_time`) follow from other
//! replicated rows and do not move an `at`.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::chat_db::mentions;

/// `RCHT`: what `file` and a node on starting know a chat by.
pub const APPLICATION_ID: i32 = 0x5243_4854;

/// The newest format that this program knows: the number of [`MIGRATIONS`].
pub const FORMAT: i32 = MIGRATIONS.len() as i32;

/// Bytes of a page; fixed when a file is made.
pub const PAGE_BYTES: i64 = 4096;

/// Tables that are this node's own. Every other one is replicated or derived.
pub const LOCAL: &[&str] = &["raft_state", "raft_log"];
/// Tables that follow from replicated rows, and are made from them (`pages::derive`).
pub const DERIVED: &[&str] = &["mentions", "tallies"];

/// In order; each brings a file from the format of its position to the next, part by part in one
/// transaction. What was released is never changed.
const MIGRATIONS: &[&[&str]] =
    &[&[V1], &[V2], &[V3_MESSAGES, V3_PEOPLE, V3_FILES, V3_SUBSCRIPTIONS], &[V4_TALLIES]];

// Clustering: messages lie in the order of `at`, so that new ones are appended and only two compact
// indexes are touched; an edit moves a row to the end. The other tables are small or rarely written
// and lie by key.
const V1: &str = "
CREATE TABLE users (
    name           TEXT PRIMARY KEY,
    at             INTEGER NOT NULL UNIQUE,
    display        TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    password_hash  TEXT NOT NULL,
    deleted        INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    created_digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    room      INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL UNIQUE,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('public', 'private', 'direct')),
    topic     TEXT NOT NULL,
    creator   TEXT NOT NULL,
    last_seq  INTEGER NOT NULL DEFAULT 0,
    last_time INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX rooms_by_name ON rooms (name) WHERE kind <> 'direct';
CREATE UNIQUE INDEX rooms_by_people ON rooms (name) WHERE kind = 'direct';

CREATE TABLE members (
    room   INTEGER NOT NULL,
    user   TEXT NOT NULL,
    at     INTEGER NOT NULL UNIQUE,
    member INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user, room, member, at);

CREATE TABLE messages (
    at        INTEGER PRIMARY KEY,
    room      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    id        TEXT NOT NULL,
    author    TEXT NOT NULL,
    text      TEXT NOT NULL,
    time      INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    edited    INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    reply_to  INTEGER,
    reactions TEXT,
    files     TEXT,
    digest    BLOB NOT NULL,
    sent_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_place ON messages (room, seq);
CREATE UNIQUE INDEX messages_by_id ON messages (id, author);

CREATE TABLE reads (
    user TEXT NOT NULL,
    room INTEGER NOT NULL,
    at   INTEGER NOT NULL UNIQUE,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    at         INTEGER NOT NULL UNIQUE,
    user       TEXT NOT NULL,
    id         TEXT NOT NULL,
    op         TEXT NOT NULL CHECK (op IN ('register', 'login')),
    first_at   INTEGER NOT NULL,
    ended      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user, id);

CREATE TABLE outcomes (
    id      TEXT NOT NULL,
    user    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    digest  BLOB NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (id, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_by_at ON outcomes (at);

CREATE TABLE nodes (
    name    TEXT PRIMARY KEY,
    at      INTEGER NOT NULL UNIQUE,
    raft_id INTEGER NOT NULL UNIQUE,
    peer    TEXT NOT NULL,
    public  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE raft_state (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    node          TEXT NOT NULL,
    foundation    TEXT NOT NULL DEFAULT 'empty' CHECK (foundation IN ('empty', 'proposed', 'founded')),
    founding      TEXT,
    cluster       TEXT,
    epoch         TEXT,
    raft_id       INTEGER NOT NULL DEFAULT 0,
    boot          INTEGER NOT NULL DEFAULT 0,
    term          INTEGER NOT NULL DEFAULT 0,
    vote          INTEGER NOT NULL DEFAULT 0,
    commit_index  INTEGER NOT NULL DEFAULT 0,
    cut_index     INTEGER NOT NULL DEFAULT 0,
    cut_term      INTEGER NOT NULL DEFAULT 0,
    applied_index INTEGER NOT NULL DEFAULT 0,
    applied_at    INTEGER NOT NULL DEFAULT 0,
    conf_state    BLOB NOT NULL DEFAULT x''
) STRICT;

CREATE TABLE raft_log (
    log_index INTEGER PRIMARY KEY,
    term      INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    data      BLOB NOT NULL,
    context   BLOB
) STRICT;
";

// Nodes come and go: a node keeps its name for good, and has a Raft id for one life of its disk.
const V2: &str = "
CREATE TABLE new_nodes (
    name    TEXT PRIMARY KEY,
    at      INTEGER NOT NULL UNIQUE,
    raft_id INTEGER UNIQUE,                     -- NULL: written down, not here yet
    disk    TEXT,                               -- drawn with the file that has this raft_id
    peer    TEXT NOT NULL,
    public  TEXT NOT NULL,
    learner INTEGER NOT NULL,                   -- stays one until it is promoted
    removed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO new_nodes SELECT name, at, raft_id, NULL, peer, public, 0, 0 FROM nodes;
DROP TABLE nodes;
ALTER TABLE new_nodes RENAME TO nodes;

CREATE TABLE new_raft_state (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    node          TEXT NOT NULL,
    disk          TEXT NOT NULL DEFAULT '',     -- drawn with the file; '' until then
    foundation    TEXT NOT NULL DEFAULT 'empty'
        CHECK (foundation IN ('empty', 'proposed', 'founded', 'removed', 'superseded')),
    founding      TEXT,
    cluster       TEXT,
    supersedes    TEXT NOT NULL DEFAULT '[]',   -- ids of the clusters in whose place this one came
    epoch         TEXT,
    raft_id       INTEGER NOT NULL DEFAULT 0,
    boot          INTEGER NOT NULL DEFAULT 0,
    term          INTEGER NOT NULL DEFAULT 0,
    vote          INTEGER NOT NULL DEFAULT 0,
    commit_index  INTEGER NOT NULL DEFAULT 0,
    cut_index     INTEGER NOT NULL DEFAULT 0,
    cut_term      INTEGER NOT NULL DEFAULT 0,
    applied_index INTEGER NOT NULL DEFAULT 0,
    applied_at    INTEGER NOT NULL DEFAULT 0,
    rows_sum      BLOB,                         -- what the replicated rows come to; NULL: not counted yet
    level         INTEGER NOT NULL DEFAULT 1,   -- the highest command format that was applied
    conf_state    BLOB NOT NULL DEFAULT x''
) STRICT;
INSERT INTO new_raft_state (one, node, foundation, founding, cluster, epoch, raft_id, boot, term, vote,
        commit_index, cut_index, cut_term, applied_index, applied_at, conf_state)
    SELECT one, node, foundation, founding, cluster, epoch, raft_id, boot, term, vote,
        commit_index, cut_index, cut_term, applied_index, applied_at, conf_state FROM raft_state;
DROP TABLE raft_state;
ALTER TABLE new_raft_state RENAME TO raft_state;

ALTER TABLE raft_log ADD COLUMN checksum INTEGER;   -- NULL: written by format 1
";

// What messages said before they were edited; which rooms somebody does not want to hear of; and, derived,
// whom messages mention (`chat_db::mentions`).
const V3_MESSAGES: &str = "
CREATE TABLE mutes (
    user  TEXT NOT NULL,
    room  INTEGER NOT NULL,
    at    INTEGER NOT NULL UNIQUE,
    muted INTEGER NOT NULL,
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    room    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT NOT NULL,
    time    INTEGER NOT NULL,
    gone    INTEGER NOT NULL,
    PRIMARY KEY (room, seq, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_at ON versions (at);

CREATE TABLE mentions (
    room INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    user TEXT NOT NULL,
    tail TEXT NOT NULL,                         -- with what of it the name could go on
    PRIMARY KEY (room, seq, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_by_user ON mentions (user, room, seq, tail);
INSERT INTO mentions (room, seq, user, tail)
    SELECT messages.room, messages.seq, members.user, found.value
    FROM messages, json_each(mentions(messages.text)) AS found
        JOIN members ON members.room = messages.room AND members.user = found.key AND member = 1
    WHERE deleted = 0 AND instr(text, '@') > 0 AND members.user <> author;
";

// What admins do: accounts shut out, links that let people in, settings for all nodes. A session says when
// it began and by what program.
const V3_PEOPLE: &str = "
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN bot TEXT;              -- NULL: a person's
CREATE INDEX users_admins ON users (name) WHERE role = 'admin';

CREATE TABLE new_sessions (
    token_hash BLOB PRIMARY KEY,
    at         INTEGER NOT NULL UNIQUE,
    user       TEXT NOT NULL,
    id         TEXT NOT NULL,
    op         TEXT NOT NULL CHECK (op IN ('register', 'login', 'bot')),
    first_at   INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    time       INTEGER NOT NULL DEFAULT 0,          -- 0: made before this was kept
    agent      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
INSERT INTO new_sessions (token_hash, at, user, id, op, first_at, ended)
    SELECT token_hash, at, user, id, op, first_at, ended FROM sessions;
DROP TABLE sessions;
ALTER TABLE new_sessions RENAME TO sessions;
CREATE INDEX sessions_by_user ON sessions (user, id);

CREATE TABLE links (
    token_hash BLOB PRIMARY KEY,
    at         INTEGER NOT NULL UNIQUE,
    kind       TEXT NOT NULL CHECK (kind IN ('create', 'invite', 'reset')),
    name       TEXT NOT NULL,                       -- for whom; '' for an invitation
    made_by    TEXT NOT NULL,
    id         TEXT NOT NULL,                       -- of the request that made it
    until      INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    used       INTEGER NOT NULL,
    revoked    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_id ON links (made_by, id);
CREATE INDEX links_by_name ON links (name, kind);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    at    INTEGER NOT NULL UNIQUE,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

// Which messages hold which files: the bytes lie beside the database, under their hash.
const V3_FILES: &str = "
CREATE TABLE attachments (
    file  BLOB NOT NULL,
    room  INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    at    INTEGER NOT NULL,                     -- of its message's change
    bytes INTEGER NOT NULL,
    gone  INTEGER NOT NULL,
    PRIMARY KEY (file, room, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_by_at ON attachments (at);
";

// To which URLs the messages of rooms are posted, and how far that has come.
const V3_SUBSCRIPTIONS: &str = "
CREATE TABLE subscriptions (
    subscription  INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL UNIQUE,
    room          INTEGER NOT NULL,
    url           TEXT NOT NULL,
    secret        TEXT NOT NULL,                -- what is posted is signed with it
    made_by       TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('on', 'off', 'gone')),
    delivered     INTEGER NOT NULL,             -- the seq of the last message that was dealt with
    failing_since INTEGER NOT NULL,             -- 0: the last one was taken
    error         TEXT NOT NULL,
    time          INTEGER NOT NULL
) STRICT;
";

// Derived: how many messages the whole blocks of a room hold (`chat_db::tallies`).
pub(crate) const V4_TALLIES: &str = "
CREATE TABLE tallies (
    room     INTEGER NOT NULL,
    user     TEXT NOT NULL,                     -- '': everybody
    block    INTEGER NOT NULL,                  -- of 1024 places
    what     TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (room, user, block, what)
) STRICT, WITHOUT ROWID;
WITH ends AS MATERIALIZED (SELECT room, max(seq) / 1024 AS blocks FROM messages GROUP BY room),
    wrote AS MATERIALIZED (
        SELECT messages.room, (seq - 1) / 1024 AS block, author, count(*) AS messages
        FROM messages JOIN ends ON ends.room = messages.room AND (seq - 1) / 1024 < blocks
        WHERE deleted = 0 GROUP BY 1, 2, 3)
INSERT INTO tallies (room, user, block, what, messages)
    SELECT room, '', block, '', sum(messages) FROM wrote GROUP BY room, block
    UNION ALL SELECT room, author, block, 'wrote', messages FROM wrote
    UNION ALL SELECT mentions.room, user, (seq - 1) / 1024, 'calls ' || tail, count(*)
        FROM mentions JOIN ends ON ends.room = mentions.room AND (seq - 1) / 1024 < blocks
        GROUP BY 1, 2, 3, 4;
";

/// Brings a file of format `from` to [`FORMAT`], one transaction a step. A new file gets its
/// [`APPLICATION_ID`] with its first tables.
///
/// # Errors
/// What SQLite says; the file then has the format of the last step that was done.
pub fn migrate(conn: &mut Connection, from: i32) -> rusqlite::Result<()> {
    migrate_to(conn, from, MIGRATIONS)
}

/// The tables and indexes of a format, by name, as the statements that make them.
///
/// # Errors
/// What SQLite says.
pub fn shape_of_format(format: i32) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut conn = Connection::open_in_memory()?;
    let steps = usize::try_from(format).unwrap_or_default().min(MIGRATIONS.len());
    migrate_to(&mut conn, 0, &MIGRATIONS[..steps])?;
    shape(&conn)
}

/// The tables and indexes of a file, by name, as the statements that make them.
///
/// # Errors
/// What SQLite says.
pub fn shape(conn: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = conn
        .prepare("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The replicated tables of a file, by name.
///
/// # Errors
/// What SQLite says.
pub fn replicated(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(
        "SELECT name FROM sqlite_schema AS of WHERE type = 'table'
             AND EXISTS (SELECT 1 FROM pragma_table_info(of.name) WHERE name = 'at') ORDER BY name",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn migrate_to(conn: &mut Connection, from: i32, steps: &[&[&str]]) -> rusqlite::Result<()> {
    mentions::make_function(conn)?;
    for (format, step) in (1..).zip(steps).skip_while(|(format, _)| *format <= from) {
        let transaction = Transaction::new(conn, TransactionBehavior::Immediate)?;
        for part in *step {
            transaction.execute_batch(part)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat_db::pages::{self, ROWS_FORMAT};

    fn fresh() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, 0).unwrap();
        conn
    }

    fn strings(conn: &Connection, sql: &str, of: &str) -> Vec<String> {
        let mut statement = conn.prepare(sql).unwrap();
        let params: &[&dyn rusqlite::ToSql] = if of.is_empty() { &[] } else { &[&of] };
        statement.query_map(params, |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_table_is_replicated_or_local() {
        let conn = fresh();
        let tables = strings(&conn, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", "");
        let mut replicated = Vec::new();
        for table in &tables {
            let columns = strings(&conn, "SELECT name FROM pragma_table_info(?1)", table);
            let has_at = columns.iter().any(|column| column == "at");
            let of_rows = LOCAL.contains(&table.as_str()) || DERIVED.contains(&table.as_str());
            assert_ne!(has_at, of_rows, "{table} is neither replicated nor local nor derived");
            if has_at {
                replicated.push(table.as_str());
            }
        }
        let expected = [
            "attachments",
            "links",
            "members",
            "messages",
            "mutes",
            "nodes",
            "outcomes",
            "reads",
            "rooms",
            "sessions",
            "settings",
            "subscriptions",
            "users",
            "versions",
        ];
        assert_eq!(replicated, expected);
        assert_eq!(tables.len(), expected.len() + LOCAL.len() + DERIVED.len());
    }

    #[test]
    fn every_replicated_table_is_found_by_at_and_every_table_is_strict() {
        let conn = fresh();
        for table in strings(&conn, "SELECT name FROM pragma_table_list WHERE name NOT LIKE 'sqlite%'", "") {
            let strict: i64 = conn
                .query_row("SELECT strict FROM pragma_table_list WHERE name = ?1", [&table], |row| row.get(0))
                .unwrap();
            assert_eq!(strict, 1, "{table} is not strict");
            if LOCAL.contains(&table.as_str()) || DERIVED.contains(&table.as_str()) {
                continue;
            }
            let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE at > 1 ORDER BY at");
            let plan: Vec<String> = conn
                .prepare(&sql)
                .unwrap()
                .query_map([], |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(plan.len() == 1 && plan[0].starts_with("SEARCH"), "{table}: {plan:?}");
        }
    }

    /// While nodes are upgraded one after the other, a new one may be sent the rows of an older file.
    #[test]
    fn rows_of_an_earlier_format_fit_into_the_newest() {
        let newest = fresh();
        // State is sent between files since format 2.
        for format in 2..MIGRATIONS.len() {
            let mut old = Connection::open_in_memory().unwrap();
            migrate_to(&mut old, 0, &MIGRATIONS[..format]).unwrap();
            for table in replicated(&old).unwrap() {
                let had = strings(&old, "SELECT name FROM pragma_table_info(?1)", &table);
                let must = "SELECT name FROM pragma_table_info(?1) WHERE \"notnull\" AND dflt_value IS NULL";
                for column in strings(&newest, must, &table) {
                    assert!(
                        had.contains(&column),
                        "{table}.{column} has no default for rows of format {format}"
                    );
                }
            }
        }
    }

    /// Who takes in pages goes by it.
    #[test]
    fn replicated_tables_have_not_changed_since_the_format_of_rows() {
        let mut old = Connection::open_in_memory().unwrap();
        let steps = usize::try_from(ROWS_FORMAT).unwrap();
        migrate_to(&mut old, 0, &MIGRATIONS[..steps]).unwrap();
        assert_eq!(pages::tables(&old).unwrap(), pages::tables(&fresh()).unwrap());
        let mut older = Connection::open_in_memory().unwrap();
        migrate_to(&mut older, 0, &MIGRATIONS[..steps - 1]).unwrap();
        assert_ne!(pages::tables(&older).unwrap(), pages::tables(&old).unwrap());
    }

    #[test]
    fn a_step_that_fails_halfway_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate_to(&mut conn, 0, &[&[V1]]).unwrap();
        conn.execute("INSERT INTO raft_state (one, node) VALUES (1, 'node1')", []).unwrap();
        let before = shape(&conn).unwrap();
        let failing = "UPDATE raft_state SET node = NULL;";
        migrate_to(&mut conn, 1, &[&[V1], &[V2, failing]]).unwrap_err();
        let format: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!((format, shape(&conn).unwrap()), (1, before));
        migrate(&mut conn, 1).unwrap();
        assert_eq!(shape(&conn).unwrap(), shape_of_format(FORMAT).unwrap());
    }

    #[test]
    fn a_file_of_any_format_comes_to_the_newest() {
        let conn = fresh();
        let format: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
        assert_eq!((format, application), (FORMAT, APPLICATION_ID));
        // Nothing is left to do: a second run changes nothing.
        let mut conn = conn;
        migrate(&mut conn, format).unwrap();
    }
}
