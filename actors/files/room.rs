//! How much room there is for files: what is here, what is on its way, and what the disk has left. Looked at
//! before each piece is written, by whichever thread writes it: so what was begun and does not come takes none,
//! and whatever comes at the same time stays within the limits together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::partial::{NotTaken, Purpose};

const MB: u64 = 1_000_000;

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
#[derive(Debug)]
pub struct Room {
    dir: PathBuf,
    limits: FileLimits,
    /// The bytes of the files that are here.
    here: AtomicU64,
    /// The bytes that have come of those on their way.
    underway: AtomicU64,
}

impl Room {
    pub fn new(dir: PathBuf, limits: FileLimits) -> Self {
        Self { dir, limits, here: AtomicU64::new(0), underway: AtomicU64::new(0) }
    }

    pub fn bytes_here(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }

    /// A file is here now.
    pub fn came(&self, bytes: u64) {
        self.here.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file is no longer here.
    pub fn went(&self, bytes: u64) {
        self.here.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether an upload of so many bytes may begin; none are known of one that does not say.
    ///
    /// # Errors
    /// [`NotTaken::TooLarge`], or [`NotTaken::NoRoom`] with the reason.
    pub fn check_upload(&self, bytes: u64) -> Result<(), NotTaken> {
        let max = self.limits.file_bytes;
        if bytes > max {
            return Err(NotTaken::TooLarge { max });
        }
        self.check_total(bytes)?;
        self.check_disk(bytes)
    }

    /// Whether the disk has room for so many bytes more. Files that messages hold are taken whatever there is of
    /// them.
    ///
    /// # Errors
    /// [`NotTaken::NoRoom`], with the reason.
    pub fn check_disk(&self, bytes: u64) -> Result<(), NotTaken> {
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

    fn check_total(&self, bytes: u64) -> Result<(), NotTaken> {
        let total_mb = self.limits.total_mb;
        let total = self.bytes_here() + self.underway.load(Ordering::Relaxed);
        if total_mb > 0 && total.saturating_add(bytes) > total_mb.saturating_mul(MB) {
            return Err(NotTaken::NoRoom(format!(
                "this node holds as many files as it may (limits.files_total_mb, {total_mb} MB): delete some, or \
                 ask its operator for more"
            )));
        }
        Ok(())
    }

    /// Takes room for bytes that are about to be written, until they are [given back](Self::give_back).
    pub(super) fn take(&self, purpose: &Purpose, bytes: u64) -> Result<(), NotTaken> {
        self.hold(bytes);
        let checked = match purpose {
            Purpose::Upload { .. } => self.check_total(0).and_then(|()| self.check_disk(bytes)),
            Purpose::Copy { .. } => self.check_disk(bytes),
        };
        if checked.is_err() {
            self.give_back(bytes);
        }
        checked
    }

    /// The same for bytes that an earlier run has written.
    pub(super) fn hold(&self, bytes: u64) {
        self.underway.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.underway.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(dir)?;
    // Their types differ from one system to another.
    let bytes = found.blocks_available() as u128 * found.fragment_size() as u128;
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}
