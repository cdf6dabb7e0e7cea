//! The files on this node's disk, and why each of them stays. No clock of its own: times are inputs.
//!
//! The bytes of a file lie in `files/ab/abcdef…`, under their SHA-256. They stay while something holds them:
//! an upload (for a day), somebody who asked for them (for some minutes), or a message, of which the tables
//! know and not this store. An upload is a record of its own, `files/uploads/HASH-USER`: only whoever brought
//! the bytes may pass them on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::names;
use super::partial::{NotTaken, Partial, Purpose};
pub use super::room::FileLimits;
use super::room::Room;
use crate::ids::{At, FileId};
use crate::messages::files::{Held, Uploaded};

/// Under `data_dir`.
pub const FOLDER: &str = "files";
const UPLOADS: &str = "uploads";
pub(super) const PARTIAL: &str = "partial";
/// A small file that is being written; no name of a record or an upload.
const UNFINISHED: &str = ".unfinished";
/// What somebody asked for stays so long: far longer than a send takes from asking to its row.
const HELD_MS: u64 = 10 * 60 * 1000;

/// See the module.
pub struct FileStore {
    pub(super) dir: PathBuf,
    pub(super) limits: FileLimits,
    blobs: BTreeMap<FileId, Blob>,
    uploads: BTreeMap<(FileId, String), Record>,
    pub(super) room: Arc<Room>,
}

struct Blob {
    bytes: u64,
    /// When it came, or somebody asked for it last. On the disk the time of the file's last change.
    held_ms: u64,
}

/// An upload, as it is on the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    name: String,
    at: At,
    time_ms: u64,
}

impl FileStore {
    /// Opens `data_dir/files`, makes it if need be, and looks what is there. What an earlier run had not
    /// finished is removed, but for what it had kept ([`super::kept`]).
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(data_dir: &Path, limits: FileLimits, now_ms: u64) -> io::Result<Self> {
        let dir = data_dir.join(FOLDER);
        for folder in [&dir, &dir.join(UPLOADS), &dir.join(PARTIAL)] {
            fs::create_dir_all(folder)?;
        }
        sync(data_dir)?;
        sync(&dir)?;
        let room = Arc::new(Room::new(dir.clone(), limits));
        let mut store = Self { dir, limits, blobs: BTreeMap::new(), uploads: BTreeMap::new(), room };
        for entry in fs::read_dir(&store.dir)? {
            let entry = entry?;
            let prefix = entry.file_name();
            if prefix.len() == 2 && entry.file_type()?.is_dir() {
                store.look_into(&entry.path(), now_ms)?;
            }
        }
        store.read_records()?;
        Ok(store)
    }

    fn look_into(&mut self, folder: &Path, now_ms: u64) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Some(file) = entry.file_name().to_str().and_then(|name| name.parse::<FileId>().ok()) else {
                continue;
            };
            let known = entry.metadata()?;
            let changed = known.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let held_ms = u64::try_from(changed.as_millis()).unwrap_or(now_ms).min(now_ms);
            self.room.came(known.len());
            self.blobs.insert(file, Blob { bytes: known.len(), held_ms });
        }
        Ok(())
    }

    fn read_records(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join(UPLOADS))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let whose =
                name.split_once('-').and_then(|(file, user)| Some((file.parse().ok()?, user.to_owned())));
            let record = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
            match (whose, record) {
                (Some(whose), Some(record)) => drop(self.uploads.insert(whose, record)),
                // Written halfway when the process ended: it was never answered.
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// How many files are here, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.blobs.len(), self.room.bytes_here())
    }

    fn path_of(&self, file: FileId) -> PathBuf {
        let name = file.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Begins to take an upload under a name that was drawn for it.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn begin_upload(
        &self,
        user: String,
        name: &str,
        bytes: Option<u64>,
        drawn: &str,
    ) -> Result<Partial, NotTaken> {
        self.room.check_upload(bytes.unwrap_or_default())?;
        let purpose = Purpose::Upload { user, name: names::clean(name) };
        let path = self.dir.join(PARTIAL).join(drawn);
        let bytes_max = bytes.unwrap_or(self.limits.file_bytes);
        Ok(Partial::create(path, purpose, bytes_max, false, &self.room)?)
    }

    /// Begins to take a file from another node.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn begin_copy(&self, file: FileId, bytes: u64, drawn: &str) -> Result<Partial, NotTaken> {
        self.room.check_disk(bytes)?;
        let path = self.dir.join(PARTIAL).join(drawn);
        Ok(Partial::create(path, Purpose::Copy { file }, bytes, false, &self.room)?)
    }

    /// Gives a sealed file its name. When this returns, it and the record of its upload are on the disk.
    ///
    /// # Errors
    /// What the disk says; nothing was promised then.
    pub fn finish(&mut self, partial: &mut Partial, at: At, now_ms: u64) -> Result<Uploaded, NotTaken> {
        let file = partial.sealed().ok_or(NotTaken::Over)?;
        let path = self.path_of(file);
        let folder = self.dir.join(&file.to_string()[..2]);
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            sync(&self.dir)?;
        }
        fs::rename(&partial.path, &path)?;
        partial.named();
        touch(&path, now_ms)?;
        sync(&folder)?;
        let bytes = partial.bytes();
        if let Some(before) = self.blobs.insert(file, Blob { bytes, held_ms: now_ms }) {
            self.room.went(before.bytes);
        }
        self.room.came(bytes);
        match &partial.purpose {
            Purpose::Copy { .. } => Ok(Uploaded { file, name: String::new(), bytes, kind: names::UNKNOWN }),
            Purpose::Upload { user, name } => {
                let record = Record { name: name.clone(), at, time_ms: now_ms };
                self.write_record(file, user, record)?;
                Ok(Uploaded { file, name: name.clone(), bytes, kind: names::kind_of(name) })
            }
        }
    }

    fn write_record(&mut self, file: FileId, user: &str, record: Record) -> io::Result<()> {
        let folder = self.dir.join(UPLOADS);
        write(&folder.join(format!("{file}-{user}")), &serde_json::to_vec(&record)?)?;
        self.uploads.insert((file, user.to_owned()), record);
        Ok(())
    }

    /// What is known of a file.
    pub fn look(&self, user: &str, file: FileId) -> Held {
        let Some(blob) = self.blobs.get(&file) else { return Held::default() };
        let uploaded = self.uploads.get(&(file, user.to_owned())).map(|record| record.at);
        Held { bytes: Some(blob.bytes), uploaded }
    }

    /// The same; and it stays for a while.
    pub fn hold(&mut self, user: &str, file: FileId, now_ms: u64) -> Held {
        let known = self.look(user, file);
        let path = self.path_of(file);
        let Some(blob) = self.blobs.get_mut(&file) else { return known };
        blob.held_ms = now_ms;
        match touch(&path, now_ms) {
            Ok(bytes) if bytes == blob.bytes => known,
            // Somebody took it away, or cut it.
            Ok(_) | Err(_) => {
                self.forget(file);
                Held::default()
            }
        }
    }

    /// Opens a file to read it.
    pub fn open_file(&mut self, file: FileId) -> Option<(File, u64)> {
        let bytes = self.blobs.get(&file)?.bytes;
        let opened = File::open(self.path_of(file)).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
        match opened {
            Ok((length, opened)) if length == bytes => Some((opened, bytes)),
            Ok(_) | Err(_) => {
                self.forget(file);
                None
            }
        }
    }

    pub fn lacks(&self, file: FileId) -> bool {
        !self.blobs.contains_key(&file)
    }

    /// Its bytes are not what they were: they go, and other nodes have better ones.
    pub fn discredit(&mut self, file: FileId) {
        tracing::warn!(%file, "the bytes of a file on this disk are damaged: they are fetched again");
        self.remove(file);
    }

    fn remove(&mut self, file: FileId) {
        match fs::remove_file(self.path_of(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%file, %error, "a file cannot be removed");
            }
            Ok(()) | Err(_) => self.forget(file),
        }
    }

    fn forget(&mut self, file: FileId) {
        if let Some(blob) = self.blobs.remove(&file) {
            self.room.went(blob.bytes);
        }
    }

    /// The next file behind that one.
    pub fn next(&self, after: Option<FileId>) -> Option<FileId> {
        self.behind(after).next().map(|(file, _)| *file)
    }

    fn behind(&self, after: Option<FileId>) -> impl Iterator<Item = (&FileId, &Blob)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.blobs.range((after.map_or(Unbounded, Excluded), Unbounded))
    }

    /// Uploads that nobody sent in time are uploads no more.
    pub fn expire(&mut self, now_ms: u64) {
        let old: Vec<_> =
            self.uploads.iter().filter(|(_, record)| self.is_old(record.time_ms, now_ms)).collect();
        let old: Vec<_> = old.into_iter().map(|(whose, _)| whose.clone()).collect();
        for (file, user) in old {
            let path = self.dir.join(UPLOADS).join(format!("{file}-{user}"));
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "the record of an upload cannot be removed");
            }
            self.uploads.remove(&(file, user));
        }
    }

    pub(super) fn is_old(&self, time_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(time_ms) >= self.limits.unsent_ms
    }

    /// Files behind `after` that nothing here holds; whether a message does is for the tables to say.
    pub fn idle(&self, after: Option<FileId>, limit: usize, now_ms: u64) -> Vec<FileId> {
        let idle = self.behind(after).filter(|&(&file, blob)| self.is_idle(file, blob, now_ms));
        idle.map(|(file, _)| *file).take(limit).collect()
    }

    fn is_idle(&self, file: FileId, blob: &Blob, now_ms: u64) -> bool {
        let held = now_ms.saturating_sub(blob.held_ms) < HELD_MS.min(self.limits.unsent_ms);
        !held && self.uploads.range((file, String::new())..).next().is_none_or(|((of, _), _)| *of != file)
    }

    /// Removes a file that no message holds, unless it is held again; says whether it did.
    pub fn discard(&mut self, file: FileId, now_ms: u64) -> bool {
        let idle = self.blobs.get(&file).is_some_and(|blob| self.is_idle(file, blob, now_ms));
        if idle {
            self.remove(file);
        }
        idle
    }
}

/// Writes a small file as a whole or not at all, and puts it and its name onto the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_file_name(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync(path.parent().unwrap_or(Path::new(".")))
}

/// Puts the names in a folder onto the disk.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Notes when somebody asked for a file; gives its length.
fn touch(path: &Path, now_ms: u64) -> io::Result<u64> {
    let file = File::options().write(true).open(path)?;
    file.set_modified(UNIX_EPOCH + Duration::from_millis(now_ms))?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
