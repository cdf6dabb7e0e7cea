//! A file that cannot be trusted any more is never opened again: it is set aside, and the node begins
//! anew with an empty one, which is filled from the others.
//!
//! Whoever learns that the file cannot be trusted leaves a note ([`suspect`]) and ends the process; the
//! next start finds it ([`Store::open`](super::Store::open)) and sets the file aside. Nothing is deleted:
//! the operator may want it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::open::FILE;

/// Says why the file beside it is not to be opened.
pub(super) const SUSPECT: &str = "suspect";
/// Where the other nodes were, as the file that was set aside last had it.
pub(super) const KNOWN_PEERS: &str = "known-peers";
/// What belongs to the file: SQLite's companions, and state that was on its way into it.
const COMPANIONS: [&str; 3] = ["chat.db-wal", "chat.db-shm", "incoming"];
/// Directories of files that were set aside begin so.
pub(super) const SET_ASIDE: &str = "set-aside-";
/// More are not made: something is wrong with the disk for good.
const SET_ASIDE_MAX: u32 = 100;

/// Notes that the file in `data_dir` cannot be trusted, and why; the first reason stays. Touches
/// nothing else, so it may be called while the file is open.
///
/// # Errors
/// What the disk says. The process must end all the same.
pub fn suspect(data_dir: &Path, reason: &str) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(data_dir.join(SUSPECT)) {
        Ok(mut note) => {
            writeln!(note, "{reason}")?;
            note.sync_all()?;
            sync_directory(data_dir)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Why the file in `data_dir` is not to be opened, if it is not.
///
/// # Errors
/// What the disk says about the note, except that there is none.
pub fn suspicion(data_dir: &Path) -> io::Result<Option<String>> {
    match fs::read(data_dir.join(SUSPECT)) {
        Ok(reason) => Ok(Some(String::from_utf8_lossy(&reason).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves the file and all that belongs to it into a directory `set-aside-N`, with the reason in it, and
/// gives that directory. A crash in the middle leaves the note, and the next call goes on.
///
/// Only while no process has the file open: call it with the directory's lock held and no store.
///
/// # Errors
/// What the disk says; the note is there then, unless that could not be written either.
pub fn set_aside(data_dir: &Path, reason: &str) -> io::Result<PathBuf> {
    suspect(data_dir, reason)?;
    let aside = new_directory(data_dir)?;
    // The file first: with a WAL of another file SQLite would do harm, without one it does none.
    for name in [FILE].into_iter().chain(COMPANIONS) {
        move_over(data_dir, &aside, name)?;
    }
    sync_directory(&aside)?;
    sync_directory(data_dir)?;
    // The note goes last: until then every start comes here again.
    move_over(data_dir, &aside, SUSPECT)?;
    sync_directory(&aside)?;
    sync_directory(data_dir)?;
    Ok(aside)
}

/// Whether a file of this directory was ever set aside: then a chat was here, and this node must not
/// help to found another.
///
/// # Errors
/// When the directory cannot be read.
pub fn was_set_aside(data_dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().starts_with(SET_ASIDE.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps where the other nodes are, for a node that would have nobody to ask without its file.
///
/// # Errors
/// What the disk says.
pub(super) fn keep_peers(data_dir: &Path, peers: &[String]) -> io::Result<()> {
    let mut kept = File::create(data_dir.join(KNOWN_PEERS))?;
    for peer in peers {
        writeln!(kept, "{peer}")?;
    }
    kept.sync_all()?;
    sync_directory(data_dir)
}

/// The peer URLs of the other nodes, as the file had them that was set aside here; none while the file is as it was.
///
/// # Errors
/// What the disk says.
pub fn known_peers(data_dir: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(data_dir.join(KNOWN_PEERS)) {
        Ok(peers) => Ok(peers.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn new_directory(data_dir: &Path) -> io::Result<PathBuf> {
    for number in 1..=SET_ASIDE_MAX {
        let aside = data_dir.join(format!("{SET_ASIDE}{number}"));
        match fs::create_dir(&aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "{SET_ASIDE_MAX} files were set aside here already: is this disk any good?"
    )))
}

fn move_over(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    match fs::rename(from.join(name), to.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Foundation;
    use crate::storage::testing::{TestDir, founded, founding};
    use crate::storage::{FoundingError, Store};

    #[test]
    fn a_suspect_file_is_set_aside_at_the_next_start() {
        let dir = TestDir::new();
        drop(founded(&dir));
        suspect(&dir.data(), "the disk said no").unwrap();
        suspect(&dir.data(), "and again").unwrap();
        assert_eq!(suspicion(&dir.data()).unwrap().unwrap(), "the disk said no");

        let mut store = Store::open(&dir.data(), "node1").unwrap();
        assert_eq!(store.foundation().unwrap(), Foundation::Empty);
        let refused = store.propose_founding(&founding()).unwrap_err();
        assert!(matches!(refused, FoundingError::SetAside { .. }), "{refused}");
        assert_eq!(suspicion(&dir.data()).unwrap(), None);
        let aside = dir.data().join("set-aside-1");
        assert!(aside.join("chat.db").is_file());
        assert_eq!(fs::read_to_string(aside.join("suspect")).unwrap(), "the disk said no\n");
        assert!(was_set_aside(&dir.data()).unwrap());
        let others = ["http://127.0.0.1:8202", "http://127.0.0.1:8203"];
        assert_eq!(known_peers(&dir.data()).unwrap(), others);
        drop(store);

        // Nothing more happens without a reason; with one it goes beside the first.
        drop(Store::open(&dir.data(), "node1").unwrap());
        assert!(!dir.data().join("set-aside-2").exists());
        assert_eq!(set_aside(&dir.data(), "another").unwrap(), dir.data().join("set-aside-2"));
    }

    #[test]
    fn what_a_crash_left_half_moved_is_not_opened() {
        let dir = TestDir::new();
        drop(founded(&dir));
        suspect(&dir.data(), "reason").unwrap();
        fs::create_dir(dir.data().join("set-aside-1")).unwrap();
        fs::rename(dir.data().join(FILE), dir.data().join("set-aside-1").join(FILE)).unwrap();
        let store = Store::open(&dir.data(), "node1").unwrap();
        assert_eq!(store.foundation().unwrap(), Foundation::Empty);
        assert!(dir.data().join("set-aside-2/chat.db-wal").is_file());
    }
}
