//! A copy becomes the file of a node with an empty `data_dir`: a new cluster of that node alone.
//!
//! The copy is verified before anything is made in `data_dir`. It is worked on in a folder of its own there, and gets its
//! place only when it is whole and synced, so an end in the middle leaves `data_dir` without a chat, and with that
//! folder, which the next try takes away.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::copy::{self, Copied, CopyError, FILE_PARTS};
use super::founding::FoundingError;
use super::open::{self, FILE, LOCK, OpenError, OpenFile};
use super::rebirth::{NewCluster, RebirthError};
use super::schema;
use super::set_aside::{KNOWN_PEERS, SET_ASIDE, SUSPECT};
use super::start::read_state;
use super::store::{Store, Synchronous};
use crate::chat_db::incoming::FOLDER;
use crate::chat_db::rows::{Stored, number};
use crate::ids::{At, RaftId};
use crate::membership::Foundation;

/// Where it is until it is whole.
const UNFINISHED: &str = "restoring";
/// The bytes of files. Beside [`UNFINISHED`] they are from there: before that was made, `data_dir` was empty.
const FILES: &str = "files";
/// SQLite's companions.
const COMPANIONS: [&str; 3] = ["chat.db-wal", "chat.db-shm", "chat.db-journal"];
/// What else may lie in the directory of a node without a chat, whatever became of an earlier one.
const LEFT: [&str; 6] = [LOCK, FILE, FOLDER, SUSPECT, KNOWN_PEERS, UNFINISHED];
/// File systems begin with it.
const LOST_AND_FOUND: &str = "lost+found";
/// What is said of the subscriptions of a copy.
const RESTORED: &str = "the chat was restored from a copy: subscribe anew";

/// Why a copy did not become a node's file.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{dir} holds a chat already: move it away, or choose an empty data_dir")]
    NotEmpty { dir: PathBuf },
    #[error("{dir} is not empty, it holds {}: move that away, or choose an empty data_dir", .found.join(", "))]
    Occupied { dir: PathBuf, found: Vec<String> },
    #[error(
        "cannot read {path}: {source}: make it a folder that this user may read and write, or choose another data_dir"
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Founding(#[from] FoundingError),
    #[error(transparent)]
    Rebirth(#[from] RebirthError),
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Copy(CopyError::Sqlite(error))
    }
}

/// Whether a node may be restored into this directory: there is none, or nothing in it but what a node leaves that has no
/// chat.
///
/// # Errors
/// [`RestoreError::NotEmpty`], [`RestoreError::Occupied`], or why it cannot be told.
pub fn is_empty(data_dir: &Path, node: &str) -> Result<(), RestoreError> {
    let unreadable = |source| RestoreError::Unreadable { path: data_dir.to_owned(), source };
    let mut names = Vec::new();
    match fs::read_dir(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
        Ok(entries) => {
            for entry in entries {
                names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
            }
        }
    }
    match Store::open_to_look(data_dir, node).map(|store| store.foundation()) {
        Ok(Ok(Foundation::Empty)) | Err(OpenError::Nothing { .. }) => {}
        Ok(foundation) => {
            foundation?;
            return Err(RestoreError::NotEmpty { dir: data_dir.to_owned() });
        }
        Err(error) => return Err(error.into()),
    }
    let interrupted = names.iter().any(|name| name == UNFINISHED);
    names.retain(|name| {
        let name = name.as_str();
        let left = LEFT.contains(&name) || COMPANIONS.contains(&name) || name == LOST_AND_FOUND;
        !(left || name.starts_with(SET_ASIDE) || (interrupted && name == FILES))
    });
    names.sort_unstable();
    match names.is_empty() {
        true => Ok(()),
        false => Err(RestoreError::Occupied { dir: data_dir.to_owned(), found: names }),
    }
}

/// Makes the copy the file of this node, a cluster of its own; `disk` was drawn for it. The copy's
/// sessions, links and subscriptions end. Gives the `at` that it then has.
///
/// `bring_files` is to put the bytes of its files where a node with the directory that it is given would look for them.
///
/// # Errors
/// Says why not; `data_dir` then holds no chat.
pub fn restore<E: From<RestoreError>>(
    copy: &Path,
    data_dir: &Path,
    node: &str,
    disk: &str,
    new: &NewCluster,
    bring_files: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<At, E> {
    copy::verify(copy).map_err(RestoreError::from)?;
    is_empty(data_dir, node)?;
    let lock = open::take_directory(data_dir).map_err(RestoreError::from)?;
    take_away_unfinished(data_dir)?;
    let folder = data_dir.join(UNFINISHED);
    fs::create_dir(&folder).map_err(unwritable(&folder))?;
    let done = bring_files(&folder).and_then(|()| {
        let (at, _lock) = make(copy, &folder.join(FILE), lock, (node, disk), new)?;
        put_in_place(data_dir)?;
        Ok(at)
    });
    if done.is_err() {
        // Why it failed counts; the next try takes away what is left.
        let _left = take_away_unfinished(data_dir);
    }
    done
}

/// The file last: it says that all is there.
fn put_in_place(data_dir: &Path) -> Result<(), RestoreError> {
    sweep(data_dir)?;
    let folder = data_dir.join(UNFINISHED);
    for name in [FILES, FILE] {
        let place = data_dir.join(name);
        match fs::rename(folder.join(name), &place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound || name == FILE => {
                return Err(unwritable(&place)(error));
            }
            _ => sync(data_dir)?,
        }
    }
    remove_folder(&folder)
}

/// What a try has left that did not come to its end.
fn take_away_unfinished(data_dir: &Path) -> Result<(), RestoreError> {
    let folder = data_dir.join(UNFINISHED);
    if folder.exists() {
        remove_folder(&data_dir.join(FILES))?;
    }
    remove_folder(&folder)
}

/// Everything but the name of the file; gives back the lock, which must last until it has that.
fn make(
    copy: &Path,
    path: &Path,
    lock: File,
    (node, disk): (&str, &str),
    new: &NewCluster,
) -> Result<(At, Store), RestoreError> {
    fs::copy(copy, path).map_err(unwritable(path))?;
    // What was copied, not what was there to be copied.
    let Copied { format, .. } = copy::verify(path)?;
    let mut conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA synchronous = FULL; DROP TABLE copy")?;
    if conn.table_exists(None, FILE_PARTS)? {
        // Their bytes lie beside the chat's file from now on: it is made as small as it was.
        conn.execute_batch("DROP TABLE file_parts; VACUUM")?;
    }
    schema::migrate(&mut conn, format)?;
    conn.execute("UPDATE raft_state SET node = ?1, disk = ?2", params![node, disk])?;
    let mut store = Store::on(OpenFile { conn, path: path.to_owned(), lock }, node);
    let at = store.transaction(Synchronous::Full, |store| {
        store.sql(end_sessions)?;
        store.sql(revoke_links)?;
        store.sql(end_subscriptions)?;
        let state = store.sql(read_state)?;
        store.begin_anew(new, (state.applied, state.cut.1), RaftId(0))
    })?;
    sync(path)?;
    Ok((at, store))
}

/// Each session that ends takes the next `at`.
fn end_sessions(conn: &Connection) -> rusqlite::Result<()> {
    let mut at = conn.query_row("SELECT applied_at FROM raft_state", [], |row| number(row, 0))?;
    let mut statement = conn.prepare("SELECT token_hash FROM sessions WHERE NOT ended ORDER BY at")?;
    let tokens: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for token in tokens {
        at += 1;
        conn.execute(
            "UPDATE sessions SET ended = 1, at = ?1 WHERE token_hash = ?2",
            params![Stored(at), token],
        )?;
    }
    conn.execute("UPDATE raft_state SET applied_at = ?1", [Stored(at)]).map(|_| ())
}

/// What was used after the copy was made would be good once more; each that ends takes the next `at`.
fn revoke_links(conn: &Connection) -> rusqlite::Result<()> {
    let mut at = conn.query_row("SELECT applied_at FROM raft_state", [], |row| number(row, 0))?;
    let mut statement =
        conn.prepare("SELECT token_hash FROM links WHERE NOT revoked AND used < uses ORDER BY at")?;
    let tokens: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for token in tokens {
        at += 1;
        conn.execute(
            "UPDATE links SET revoked = 1, at = ?1 WHERE token_hash = ?2",
            params![Stored(at), token],
        )?;
    }
    conn.execute("UPDATE raft_state SET applied_at = ?1", [Stored(at)]).map(|_| ())
}

/// A copy that is tried out must post nothing to anybody; each that ends takes the next `at`.
fn end_subscriptions(conn: &Connection) -> rusqlite::Result<()> {
    let mut at = conn.query_row("SELECT applied_at FROM raft_state", [], |row| number(row, 0))?;
    let mut statement =
        conn.prepare("SELECT subscription FROM subscriptions WHERE state = 'on' ORDER BY at")?;
    let served: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for subscription in served {
        at += 1;
        conn.execute(
            "UPDATE subscriptions SET state = 'off', error = ?1, at = ?2 WHERE subscription = ?3",
            params![RESTORED, Stored(at), subscription],
        )?;
    }
    conn.execute("UPDATE raft_state SET applied_at = ?1", [Stored(at)]).map(|_| ())
}

/// Takes away what an empty node has left: a file without a chat, what was said of another one, and pages of state.
fn sweep(data_dir: &Path) -> Result<(), RestoreError> {
    for file in [FILE, SUSPECT, KNOWN_PEERS].into_iter().chain(COMPANIONS) {
        remove(&data_dir.join(file))?;
    }
    remove_folder(&data_dir.join(FOLDER))
}

fn remove_folder(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path)(error)),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path)(error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), RestoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(unwritable(path))
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |source| RestoreError::Unwritable { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::Change;
    use crate::chat_db::pages;
    use crate::ids::RoomId;
    use crate::storage::copy::CopyInTheMaking;
    use crate::storage::suspect;
    use crate::storage::testing::{TestDir, append, batch, command, committed, entry, send, setup, started};

    fn new_cluster() -> NewCluster {
        NewCluster {
            cluster: "d".repeat(32),
            epoch: "f".repeat(16),
            peer: "http://127.0.0.1:9201".into(),
            public: "http://127.0.0.1:9101".into(),
        }
    }

    /// On node9, with a file.
    fn bring_back(copy: &Path, data: &Path) -> Result<At, RestoreError> {
        restore(copy, data, "node9", "disk", &new_cluster(), |folder| {
            fs::create_dir(folder.join(FILES)).unwrap();
            fs::write(folder.join(FILES).join("abc"), "bytes").map_err(unwritable(folder))
        })
    }

    /// A copy of a chat with three sessions, a link and a subscription, in pages of one row, and the chat's store.
    fn copied(dir: &TestDir) -> (Store, PathBuf, Copied) {
        let (mut store, _) = started(dir);
        let first = batch(1, &setup(&["ann", "bob", "cleo"], 2));
        let invite = Change::CreateInvite { uses: 1, hours: 1, link: [9; 32] };
        let subscription = Change::CreateSubscription {
            room: RoomId(1),
            url: "http://example.org".into(),
            secret: "secret".into(),
        };
        let second = batch(
            2,
            &[
                send("ann", 1, "1", "one"),
                send("bob", 1, "2", "two"),
                send("ann", 2, "3", "x"),
                command("ann", "4", invite),
                command("ann", "5", subscription),
            ],
        );
        store.append(&append(vec![entry(2, 1, &first), entry(3, 1, &second)], Some((1, 1, 3)))).unwrap();
        store.apply(&[committed(2, first), committed(3, second)], || false).unwrap();
        let path = dir.path().join("a.copy");
        let mut copy = CopyInTheMaking::begin(&path).unwrap();
        loop {
            let page = pages::read(store.conn(), copy.up_to(), 1).unwrap().encode().unwrap();
            if copy.add(&page).unwrap().end {
                break;
            }
        }
        let copied = copy.finish("node1", "test").unwrap();
        (store, path, copied)
    }

    #[test]
    fn a_copy_holds_what_the_chat_holds_and_becomes_a_new_one() {
        let dir = TestDir::new();
        let (store, path, copied) = copied(&dir);
        assert_eq!((copied.digest, copied.at), (store.digest().unwrap(), store.at()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(CopyInTheMaking::begin(&path), Err(CopyError::Unwritable { .. })));

        let data = dir.path().join("node9");
        let at = bring_back(&path, &data).unwrap();
        // Three sessions, a link, a subscription, three old nodes and the new one.
        assert_eq!(at.0, copied.at.0 + 9);
        assert!(matches!(bring_back(&path, &data), Err(RestoreError::NotEmpty { .. })));
        Store::open_to_look(&data, "node9").unwrap().check().unwrap();
        let mut store = Store::open(&data, "node9").unwrap();
        let opened = store.start().unwrap();
        assert_eq!((opened.cluster, opened.epoch, opened.at), ("d".repeat(32), "f".repeat(16), at));
        assert_eq!((opened.raft_id, opened.conf_state.voters), (RaftId(4), vec![4]));
        assert_eq!(store.supersedes().unwrap(), ["c".repeat(32)]);
        let open: i64 = store
            .conn()
            .query_row("SELECT count(*) FROM sessions WHERE NOT ended", [], |row| row.get(0))
            .unwrap();
        assert_eq!(open, 0);
        let good: i64 = store
            .conn()
            .query_row("SELECT count(*) FROM links WHERE NOT revoked", [], |row| row.get(0))
            .unwrap();
        assert_eq!(good, 0);
        let served: i64 = store
            .conn()
            .query_row("SELECT count(*) FROM subscriptions WHERE state = 'on'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(served, 0);
        store.append(&append(vec![entry(4, 2, b"")], Some((2, 4, 3)))).unwrap();
    }

    #[test]
    fn a_node_that_only_waited_counts_as_empty() {
        let dir = TestDir::new();
        let (_store, path, _) = copied(&dir);
        let data = dir.path().join("node9");
        drop(Store::open(&data, "node9").unwrap());
        bring_back(&path, &data).unwrap();
        Store::open(&data, "node9").unwrap().start().unwrap();
    }

    #[test]
    fn a_try_that_was_ended_stands_in_nobodys_way() {
        let dir = TestDir::new();
        let (_store, path, _) = copied(&dir);
        let data = dir.path().join("node9");
        let folder = data.join(UNFINISHED);
        for files in [folder.join(FILES), data.join(FILES)] {
            fs::create_dir_all(&files).unwrap();
            fs::create_dir_all(&folder).unwrap();
            fs::write(files.join("half"), "half a file").unwrap();
            fs::write(folder.join(FILE), "half a chat").unwrap();
            fs::write(folder.join("chat.db-journal"), "of that one").unwrap();
            bring_back(&path, &data).unwrap();
            assert!(!folder.exists());
            let brought: Vec<_> =
                fs::read_dir(data.join(FILES)).unwrap().map(|file| file.unwrap().file_name()).collect();
            assert_eq!(brought, ["abc"]);
            Store::open(&data, "node9").unwrap().start().unwrap();
            fs::remove_dir_all(&data).unwrap();
        }
        let refused = restore(&path, &data, "node9", "disk", &new_cluster(), |folder| {
            Err(unwritable(folder)(io::Error::other("no room")))
        });
        let refused: RestoreError = refused.unwrap_err();
        assert!(refused.to_string().contains("no room"), "{refused}");
        let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK]);
    }

    #[test]
    fn what_is_not_a_nodes_own_is_left_alone() {
        let dir = TestDir::new();
        let (_store, path, _) = copied(&dir);
        let data = dir.path().join("node9");
        let precious = data.join(FILES).join("precious.txt");
        fs::create_dir_all(data.join(FILES)).unwrap();
        fs::write(&precious, "text").unwrap();
        fs::write(data.join("notes.txt"), "text").unwrap();
        let refused = bring_back(&path, &data).unwrap_err().to_string();
        assert!(refused.contains("it holds files, notes.txt: move that away"), "{refused}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "text");

        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        let refused = bring_back(&path, &file).unwrap_err();
        assert!(matches!(&refused, RestoreError::Unreadable { .. }), "{refused}");
    }

    /// Its operator has moved the file away that the note is about.
    #[test]
    fn a_restored_chat_is_not_suspect() {
        let dir = TestDir::new();
        let (_store, path, _) = copied(&dir);
        let data = dir.path().join("node9");
        fs::create_dir_all(data.join("set-aside-1")).unwrap();
        suspect(&data, "the disk said no").unwrap();
        let at = bring_back(&path, &data).unwrap();
        let opened = Store::open(&data, "node9").unwrap().start().unwrap();
        assert_eq!(opened.at, at);
    }

    #[test]
    fn any_damage_is_told_and_nothing_is_made() {
        let dir = TestDir::new();
        let (_store, path, _) = copied(&dir);
        let good = fs::read(&path).unwrap();
        let data = dir.path().join("node9");
        let mut places: Vec<usize> = (0..good.len()).step_by(4_999).collect();
        places.extend((0..100).chain(4_096..4_150));
        for place in places {
            let mut bad = good.clone();
            bad[place] ^= 0x40;
            fs::write(&path, bad).unwrap();
            bring_back(&path, &data).expect_err("every byte counts");
            assert!(!data.exists(), "byte {place}");
        }
        for length in [0, 1, 100, 4096, 8192, good.len() / 2, good.len() - 4096, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            bring_back(&path, &data).expect_err("it is not whole");
            assert!(!data.exists(), "{length} bytes");
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        bring_back(&path, &data).expect_err("it has grown");
        let other = dir.data().join(FILE);
        let refused = bring_back(&other, &data).unwrap_err();
        assert!(refused.to_string().contains("is not a copy"), "{refused}");
        let missing = bring_back(&dir.path().join("none"), &data).unwrap_err();
        assert!(missing.to_string().contains("cannot read"), "{missing}");
        fs::write(&path, good).unwrap();
        bring_back(&path, &data).unwrap();
    }

    #[test]
    fn rows_that_went_bad_make_no_copy() {
        let dir = TestDir::new();
        let (store, ..) = copied(&dir);
        store.conn().execute("UPDATE messages SET text = 'forged' WHERE seq = 1 AND room = 1", []).unwrap();
        let mut copy = CopyInTheMaking::begin(&dir.path().join("b.copy")).unwrap();
        copy.add(&pages::read(store.conn(), At(0), 1 << 20).unwrap().encode().unwrap()).unwrap();
        let refused = copy.finish("node1", "test").unwrap_err().to_string();
        assert!(refused.contains("the rows of node1 are damaged"), "{refused}");
    }

    #[test]
    fn pages_that_do_not_follow_make_no_copy() {
        let dir = TestDir::new();
        let (store, ..) = copied(&dir);
        let mut copy = CopyInTheMaking::begin(&dir.path().join("b.copy")).unwrap();
        let page = |after| pages::read(store.conn(), At(after), 1).unwrap().encode().unwrap();
        assert!(copy.add(&page(5)).unwrap_err().to_string().contains("goes on from at 5"));
        let mut damaged = page(0);
        damaged[60] ^= 1;
        assert!(copy.add(&damaged).is_err());
        copy.add(&page(0)).unwrap();
        assert!(copy.finish("node1", "test").unwrap_err().to_string().contains("in the middle"));
    }
}
