//! Uploads that can be gone on with, by the same user, also after this node was started again.
//!
//! Beside the bytes of each lies what is known of it, `partial/ID.json`, with how many of them were synced:
//! after a power cut what lies behind them may be anything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::names;
use super::partial::{NotTaken, Partial, Purpose};
use super::store::{FileStore, PARTIAL, sync, write};
use crate::ids::At;
use crate::messages::files::{Shared, Standing, Uploaded};

/// Of one user; another one takes the place of the oldest.
const OF_ONE_USER_MAX: usize = 16;
/// Of all users.
const ALL_MAX: usize = 4_096;
const NOTE: &str = "json";

/// See the module.
#[derive(Default)]
pub struct KeptUploads {
    by_id: BTreeMap<String, Kept>,
}

struct Kept {
    note: Note,
    stands: Standing,
}

/// What lies beside the bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    user: String,
    name: String,
    /// How many there will be.
    bytes: u64,
    synced: u64,
    time_ms: u64,
}

impl KeptUploads {
    /// What an earlier run has kept; everything else in that folder is removed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(store: &FileStore) -> io::Result<Self> {
        let folder = store.dir.join(PARTIAL);
        let mut kept = Self::default();
        let paths: Vec<PathBuf> =
            fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        for path in &paths {
            if path.extension().is_some_and(|ending| ending == NOTE) {
                kept.read(store, path);
            }
        }
        for path in &paths {
            let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_known = path.extension().is_none_or(|ending| ending == NOTE);
            if !(is_known && kept.by_id.contains_key(id)) {
                fs::remove_file(path)?;
            }
        }
        sync(&folder)?;
        Ok(kept)
    }

    /// One that cannot be gone on with is none: its user begins again.
    fn read(&mut self, store: &FileStore, path: &Path) {
        let note = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        let id = path.file_stem().and_then(|stem| stem.to_str());
        let (Some(note), Some(id)) = (note, id) else { return };
        let purpose = Purpose::Upload { user: note.user.clone(), name: note.name.clone() };
        let bytes = (note.synced, note.bytes);
        match Partial::again(path.with_extension(""), purpose, bytes, &store.room) {
            Ok(partial) => {
                let stands = Standing::Open(Arc::new(Mutex::new(partial)));
                self.by_id.insert(id.to_owned(), Kept { note, stands });
            }
            Err(error) => tracing::info!(id, %error, "an upload cannot be gone on with"),
        }
    }

    /// Begins one under this id, which was drawn for it.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn begin(
        &mut self,
        store: &FileStore,
        (user, name, bytes): (&str, &str, u64),
        id: &str,
        now_ms: u64,
    ) -> Result<(), NotTaken> {
        store.room.check_upload(bytes)?;
        if self.by_id.len() >= ALL_MAX {
            return Err(NotTaken::Busy);
        }
        let mine = || self.by_id.iter().filter(|(_, kept)| kept.note.user == user);
        if mine().count() >= OF_ONE_USER_MAX
            && let Some((oldest, _)) = mine().min_by_key(|(_, kept)| kept.note.time_ms)
        {
            self.remove(store, &oldest.clone());
        }
        let note =
            Note { user: user.to_owned(), name: names::clean(name), bytes, synced: 0, time_ms: now_ms };
        let path = store.dir.join(PARTIAL).join(id);
        let purpose = Purpose::Upload { user: note.user.clone(), name: note.name.clone() };
        let partial = Partial::create(path.clone(), purpose, bytes, true, &store.room)?;
        write(&path.with_extension(NOTE), &serde_json::to_vec(&note).map_err(io::Error::from)?)?;
        let stands = Standing::Open(Arc::new(Mutex::new(partial)));
        self.by_id.insert(id.to_owned(), Kept { note, stands });
        Ok(())
    }

    /// How far this user's upload of that id is.
    pub fn begun(&self, user: &str, id: &str) -> Option<Standing> {
        let kept = self.by_id.get(id).filter(|kept| kept.note.user == user)?;
        Some(match &kept.stands {
            Standing::Open(partial) => Standing::Open(Arc::clone(partial)),
            Standing::Done(uploaded) => Standing::Done(uploaded.clone()),
        })
    }

    /// What came so far has been synced: it survives a restart.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&mut self, store: &FileStore, id: &str) -> Result<(), NotTaken> {
        let kept = self.by_id.get_mut(id).ok_or(NotTaken::Over)?;
        let Standing::Open(partial) = &kept.stands else { return Ok(()) };
        kept.note.synced = {
            let partial = locked(partial);
            partial.sync()?;
            partial.bytes()
        };
        let path = store.dir.join(PARTIAL).join(id).with_extension(NOTE);
        Ok(write(&path, &serde_json::to_vec(&kept.note).map_err(io::Error::from)?)?)
    }

    /// It came whole, and was sealed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(
        &mut self,
        store: &mut FileStore,
        id: &str,
        at: At,
        now_ms: u64,
    ) -> Result<Uploaded, NotTaken> {
        let kept = self.by_id.get_mut(id).ok_or(NotTaken::Over)?;
        let uploaded = match &kept.stands {
            Standing::Done(uploaded) => return Ok(uploaded.clone()),
            Standing::Open(partial) => store.finish(&mut locked(partial), at, now_ms)?,
        };
        kept.stands = Standing::Done(uploaded.clone());
        remove_note(store, id);
        Ok(uploaded)
    }

    /// Those that were not finished in time go, and those that were are forgotten.
    pub fn expire(&mut self, store: &FileStore, now_ms: u64) {
        let old = self.by_id.iter().filter(|(_, kept)| store.is_old(kept.note.time_ms, now_ms));
        let old: Vec<String> = old.map(|(id, _)| id.clone()).collect();
        for id in old {
            self.remove(store, &id);
        }
    }

    fn remove(&mut self, store: &FileStore, id: &str) {
        if let Some(Kept { stands: Standing::Open(partial), .. }) = self.by_id.remove(id) {
            locked(&partial).give_up();
            remove_note(store, id);
        }
    }
}

/// Waits for whoever writes to it, who is not long.
pub fn locked(partial: &Shared) -> MutexGuard<'_, Partial> {
    // A panic while writing leaves it where it was: bytes count last.
    partial.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_note(store: &FileStore, id: &str) {
    let path = store.dir.join(PARTIAL).join(id).with_extension(NOTE);
    if let Err(error) = fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "what is known of an upload cannot be removed");
    }
}
