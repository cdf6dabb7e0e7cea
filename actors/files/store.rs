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
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::names;
use super::partial::{NotTaken, Partial, Purpose, Underway};
use crate::ids::{At, FileId};
use crate::messages::files::{Held, Uploaded};

/// Under `data_dir`.
pub const FOLDER: &str = "files";
const UPLOADS: &str = "uploads";
pub(super) const PARTIAL: &str = "partial";
/// A small file that is being written; no name of a record or an upload.
const UNFINISHED: &str = ".unfinished";
const MB: u64 = 1_000_000;
/// What somebody asked for stays so long: far longer than a send takes from asking to its row.
const HELD_MS: u64 = 10 * 60 * 1000;

/// What this node takes.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// Of one file.
    pub file_bytes: u64,
    /// Of all files; 0 is no limit.
    pub total_mb: u64,
    /// What must stay free on the disk.
    pub reserve_mb: u64,
    /// How long an upload stays that no message holds.
    pub unsent_ms: u64,
}

/// See the module.
pub struct FileStore {
    pub(super) dir: PathBuf,
    pub(super) limits: FileLimits,
    blobs: BTreeMap<FileId, Blob>,
    bytes: u64,
    uploads: BTreeMap<(FileId, String), Record>,
    pub(super) underway: Underway,
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
        let underway = Underway::default();
        let (blobs, uploads) = (BTreeMap::new(), BTreeMap::new());
        let mut store = Self { dir, limits, blobs, bytes: 0, uploads, underway };
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
            self.bytes += known.len();
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
        (self.blobs.len(), self.bytes)
    }

    fn path_of(&self, file: FileId) -> PathBuf {
        let name = file.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Whether so many more bytes of people's own are taken.
    ///
    /// # Errors
    /// [`NotTaken::TooLarge`], or [`NotTaken::NoRoom`] with the reason.
    pub fn check_upload(&self, bytes: u64) -> Result<(), NotTaken> {
        let FileLimits { file_bytes, total_mb, .. } = self.limits;
        if bytes > file_bytes {
            return Err(NotTaken::TooLarge { max: file_bytes });
        }
        let total = self.bytes + self.underway.load(Ordering::Relaxed);
        if total_mb > 0 && total.saturating_add(bytes) > total_mb.saturating_mul(MB) {
            return Err(NotTaken::NoRoom(format!(
                "this node holds as many files as it may (limits.files_total_mb, {total_mb} MB): delete some, or \
                 ask its operator for more"
            )));
        }
        self.check_disk(bytes)
    }

    fn check_disk(&self, bytes: u64) -> Result<(), NotTaken> {
        let reserve_mb = self.limits.reserve_mb;
        if reserve_mb == 0 {
            return Ok(());
        }
        let free = free_bytes(&self.dir)?;
        if free.saturating_sub(bytes) < reserve_mb.saturating_mul(MB) {
            return Err(NotTaken::NoRoom(format!(
                "the disk of this node is nearly full (disk.reserve_mb, {reserve_mb} MB): files are taken when \
                 there is room"
            )));
        }
        Ok(())
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
        self.check_upload(bytes.unwrap_or_default())?;
        let purpose = Purpose::Upload { user, name: names::clean(name) };
        let path = self.dir.join(PARTIAL).join(drawn);
        let bytes_max = bytes.unwrap_or(self.limits.file_bytes);
        Ok(Partial::create(path, purpose, bytes_max, false, &self.underway)?)
    }

    /// Begins to take a file from another node.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn begin_copy(&self, file: FileId, bytes: u64, drawn: &str) -> Result<Partial, NotTaken> {
        self.check_disk(bytes)?;
        let path = self.dir.join(PARTIAL).join(drawn);
        Ok(Partial::create(path, Purpose::Copy { file }, bytes, false, &self.underway)?)
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
            self.bytes -= before.bytes;
        }
        self.bytes += bytes;
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

    /// What is known of a file; it stays for a while.
    pub fn hold(&mut self, user: &str, file: FileId, now_ms: u64) -> Held {
        let uploaded = self.uploads.get(&(file, user.to_owned())).map(|record| record.at);
        let path = self.path_of(file);
        let Some(blob) = self.blobs.get_mut(&file) else { return Held { bytes: None, uploaded: None } };
        blob.held_ms = now_ms;
        match touch(&path, now_ms) {
            Ok(bytes) if bytes == blob.bytes => Held { bytes: Some(bytes), uploaded },
            // Somebody took it away, or cut it.
            Ok(_) | Err(_) => {
                self.forget(file);
                Held { bytes: None, uploaded: None }
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
            self.bytes -= blob.bytes;
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

fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(dir)?;
    // Their types differ from one system to another.
    let bytes = found.blocks_available() as u128 * found.fragment_size() as u128;
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::kept::{KeptUploads, locked};
    use crate::messages::files::Standing;
    use crate::storage::testing::TestDir;

    const LIMITS: FileLimits =
        FileLimits { file_bytes: 1000, total_mb: 0, reserve_mb: 0, unsent_ms: 86_400_000 };
    const HOUR_MS: u64 = 3_600_000;

    fn open(dir: &TestDir, limits: FileLimits, now_ms: u64) -> (FileStore, KeptUploads) {
        let store = FileStore::open(dir.path(), limits, now_ms).unwrap();
        let kept = KeptUploads::open(&store).unwrap();
        (store, kept)
    }

    fn upload(store: &mut FileStore, user: &str, bytes: &[u8], now_ms: u64) -> FileId {
        let mut partial = store.begin_upload(user.into(), "dir/a.png", None, &format!("u{now_ms}")).unwrap();
        partial.write_at(0, bytes).unwrap();
        partial.seal().unwrap();
        let uploaded = store.finish(&mut partial, At(7), now_ms).unwrap();
        assert_eq!((uploaded.name.as_str(), uploaded.kind), ("a.png", "image/png"));
        assert_eq!(uploaded.bytes, bytes.len() as u64);
        uploaded.file
    }

    fn files_in(dir: &TestDir) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(&dir.path().join(FOLDER))
    }

    #[test]
    fn an_upload_is_found_by_its_hash_and_its_record_survives() {
        let dir = TestDir::new();
        let (mut store, _) = open(&dir, LIMITS, 1000);
        let file = upload(&mut store, "ann", b"hello", 1000);
        assert_eq!(file.to_string(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        let empty = upload(&mut store, "ann", b"", 1001);
        for _ in 0..2 {
            let held = Held { bytes: Some(5), uploaded: Some(At(7)) };
            assert_eq!(store.hold("ann", file, 1002), held);
            assert_eq!(store.hold("bob", file, 1002).uploaded, None, "a hash is no permission");
            let (mut opened, bytes) = store.open_file(file).unwrap();
            let mut text = String::new();
            io::Read::read_to_string(&mut opened, &mut text).unwrap();
            assert_eq!((text.as_str(), bytes, store.size()), ("hello", 5, (2, 5)));
            assert_eq!(store.open_file(empty).unwrap().1, 0);
            drop(store);
            store = open(&dir, LIMITS, 1003).0;
        }
        assert_eq!(store.hold("ann", FileId([0; 32]), 1), Held::default());
    }

    #[test]
    fn nothing_is_kept_of_what_is_too_large_or_never_finished() {
        let dir = TestDir::new();
        let (store, _) = open(&dir, LIMITS, 0);
        let mut partial = store.begin_upload("ann".into(), "a", None, "one").unwrap();
        partial.write_at(0, &[1; 1000]).unwrap();
        assert!(matches!(partial.write_at(1000, b"x"), Err(NotTaken::TooLarge { max: 1000 })));
        assert!(matches!(partial.write_at(999, b"x"), Err(NotTaken::WrongOffset { at: 1000 })));
        drop(partial);
        let large = store.begin_upload("ann".into(), "a", Some(1001), "two");
        assert!(matches!(large, Err(NotTaken::TooLarge { .. })));
        // As a crash leaves it.
        fs::write(dir.path().join(FOLDER).join(PARTIAL).join("three"), "half").unwrap();
        assert_eq!(files_in(&dir), 1);
        open(&dir, LIMITS, 0);
        assert_eq!(files_in(&dir), 0);
    }

    #[test]
    fn a_copy_is_taken_only_when_it_is_what_it_should_be() {
        let dir = TestDir::new();
        let (mut store, _) = open(&dir, LIMITS, 0);
        let file = upload(&mut store, "ann", b"hello", 0);
        store.discredit(file);
        assert!(store.lacks(file) && store.open_file(file).is_none());
        let begin = |store: &FileStore, drawn: &str| store.begin_copy(file, 5, drawn).unwrap();
        let mut other = begin(&store, "one");
        other.write_at(0, b"hullo").unwrap();
        assert!(matches!(other.seal(), Err(NotTaken::OtherBytes { .. })));
        let mut short = begin(&store, "two");
        short.write_at(0, b"hell").unwrap();
        assert!(matches!(short.seal(), Err(NotTaken::Short(4, 5))));
        drop((other, short));
        let mut good = begin(&store, "three");
        good.write_at(0, b"hello").unwrap();
        good.seal().unwrap();
        store.finish(&mut good, At(0), 0).unwrap();
        assert_eq!(store.hold("", file, 0), Held { bytes: Some(5), uploaded: None });
    }

    #[test]
    fn bytes_that_were_cut_or_taken_away_are_not_here() {
        let dir = TestDir::new();
        let (mut store, _) = open(&dir, LIMITS, 0);
        let (cut, gone) = (upload(&mut store, "ann", b"one", 0), upload(&mut store, "ann", b"two", 1));
        fs::write(store.path_of(cut), "o").unwrap();
        fs::remove_file(store.path_of(gone)).unwrap();
        assert_eq!(store.hold("ann", cut, 0), Held::default());
        assert!(store.open_file(gone).is_none() && store.lacks(gone));
        assert_eq!(store.size(), (0, 0));
    }

    #[test]
    fn limits_of_all_files_and_of_the_disk() {
        let dir = TestDir::new();
        let (mut store, mut kept) =
            open(&dir, FileLimits { file_bytes: 2_000_000, total_mb: 1, ..LIMITS }, 0);
        upload(&mut store, "ann", &[0; 600_000], 0);
        assert!(store.begin_upload("ann".into(), "a", Some(400_000), "one").is_ok());
        let mut underway = store.begin_upload("ann".into(), "a", None, "two").unwrap();
        underway.write_at(0, &[1; 1000]).unwrap();
        let refused = store.begin_upload("ann".into(), "a", Some(400_000), "three").unwrap_err();
        assert!(refused.to_string().contains("limits.files_total_mb"), "{refused}");
        assert!(kept.begin(&store, ("ann", "a", 400_000), "four", 0).is_err());
        drop(underway);
        assert!(store.begin_copy(FileId([1; 32]), 400_001, "five").is_ok(), "messages hold it already");

        store.limits.reserve_mb = 1_000_000_000;
        for refused in [
            store.begin_upload("ann".into(), "a", Some(1), "six").unwrap_err(),
            store.begin_copy(FileId([1; 32]), 1, "seven").unwrap_err(),
        ] {
            assert!(refused.to_string().contains("disk.reserve_mb"), "{refused}");
        }
    }

    #[test]
    fn what_nothing_holds_goes_in_time() {
        let dir = TestDir::new();
        let (mut store, _) = open(&dir, LIMITS, 0);
        let file = upload(&mut store, "ann", b"one", 0);
        let other = upload(&mut store, "bob", b"two", 10);
        assert!(store.idle(None, 9, 23 * HOUR_MS).is_empty(), "an upload stays for a day");
        store.expire(23 * HOUR_MS);
        assert!(store.hold("ann", file, 23 * HOUR_MS).uploaded.is_some());
        store.expire(24 * HOUR_MS + 10);
        assert!(store.hold("ann", file, 24 * HOUR_MS + 10).uploaded.is_none());
        assert_eq!(store.idle(None, 9, 24 * HOUR_MS + 10), [other], "somebody asked for the other");
        assert!(!store.discard(file, 24 * HOUR_MS + 10), "nor is it taken from whoever asked meanwhile");

        // That somebody asked for it is on the disk as well.
        let (mut store, _) = open(&dir, LIMITS, 24 * HOUR_MS + 11);
        assert_eq!(store.idle(None, 9, 24 * HOUR_MS + 11), [other]);
        let later = 25 * HOUR_MS;
        let mut both = [file, other];
        both.sort();
        assert_eq!(store.idle(None, 9, later), both);
        assert_eq!(
            (store.idle(None, 1, later), store.idle(Some(both[0]), 9, later)),
            (vec![both[0]], vec![both[1]])
        );
        assert!(store.discard(file, later) && store.discard(other, later));
        assert_eq!((files_in(&dir), store.size()), (0, (0, 0)));
    }

    #[test]
    fn an_upload_goes_on_where_it_was_cut_off() {
        let dir = TestDir::new();
        let (store, mut kept) = open(&dir, LIMITS, 0);
        kept.begin(&store, ("ann", "a.png", 11), "one", 0).unwrap();
        let partial = |kept: &KeptUploads| match kept.begun("ann", "one") {
            Some(Standing::Open(partial)) => partial,
            _ => panic!("it is under way"),
        };
        assert!(kept.begun("bob", "one").is_none() && kept.begun("ann", "two").is_none());
        locked(&partial(&kept)).write_at(0, b"hello").unwrap();
        kept.keep(&store, "one").unwrap();
        locked(&partial(&kept)).write_at(5, b" never synced").unwrap_err();
        locked(&partial(&kept)).write_at(5, b" lost").unwrap();
        drop((store, kept));

        let (mut store, mut kept) = open(&dir, LIMITS, 1);
        assert_eq!(locked(&partial(&kept)).bytes(), 5, "what was not synced may be anything");
        assert!(matches!(locked(&partial(&kept)).write_at(0, b"h"), Err(NotTaken::WrongOffset { at: 5 })));
        assert!(matches!(kept.finish(&mut store, "one", At(7), 2), Err(NotTaken::Over)), "it is not whole");
        locked(&partial(&kept)).write_at(5, b" world").unwrap();
        locked(&partial(&kept)).seal().unwrap();
        let uploaded = kept.finish(&mut store, "one", At(7), 2).unwrap();
        let expected = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        assert_eq!((uploaded.file.to_string().as_str(), uploaded.kind), (expected, "image/png"));
        assert_eq!(store.hold("ann", uploaded.file, 3), Held { bytes: Some(11), uploaded: Some(At(7)) });
        assert_eq!(
            kept.finish(&mut store, "one", At(9), 4).unwrap(),
            uploaded,
            "its answer may have been lost"
        );
        assert!(matches!(kept.begun("ann", "one"), Some(Standing::Done(_))));
    }

    #[test]
    fn uploads_that_are_never_finished_go() {
        let dir = TestDir::new();
        let (store, mut kept) = open(&dir, LIMITS, 0);
        for number in 0..20 {
            kept.begin(&store, ("ann", "a", 9), &format!("a{number}"), number).unwrap();
        }
        kept.begin(&store, ("bob", "a", 9), "b", 30).unwrap();
        assert!(
            kept.begun("ann", "a3").is_none() && kept.begun("ann", "a4").is_some(),
            "the oldest make room"
        );
        assert_eq!(files_in(&dir), 2 * 17);
        kept.expire(&store, 24 * HOUR_MS + 19);
        assert!(kept.begun("bob", "b").is_some());
        assert_eq!(files_in(&dir), 2);
        fs::write(store.dir.join(PARTIAL).join("b"), "").unwrap();
        fs::write(store.dir.join(PARTIAL).join("b.json"), "{").unwrap();
        drop((store, kept));
        open(&dir, LIMITS, 0);
        assert_eq!(files_in(&dir), 0);
    }
}
