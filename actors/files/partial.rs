//! A file on its way in: its bytes are written under a temporary name and hashed as they come.
//!
//! Whoever receives them writes them, on a thread that may wait; only when they are whole and on the disk
//! does the store give them their name. One that is dropped before that takes its bytes along, unless it was
//! to be kept: then it can be gone on with, up to what was synced also after a restart.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::room::Room;
use crate::ids::FileId;

const CHUNK_BYTES: usize = 256 * 1024;

/// What becomes of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody's upload.
    Upload { user: String, name: String },
    /// From another node, which says what it is; anything else is not taken.
    Copy { file: FileId },
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error("the file is longer than {max} bytes")]
    TooLarge { max: u64 },
    /// `Upload-Offset` is not where the bytes so far end.
    #[error("{at} bytes are here: go on from there")]
    WrongOffset { at: u64 },
    /// Why there is no room, and for whom that is to be said.
    #[error("{0}")]
    NoRoom(String),
    #[error("too many files are on their way to this node")]
    Busy,
    #[error("the bytes that came are not those of file {expected}")]
    OtherBytes { expected: FileId },
    #[error("{0} of {1} bytes came")]
    Short(u64, u64),
    #[error("this upload has ended")]
    Over,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// See the module.
#[derive(Debug)]
pub struct Partial {
    pub(super) purpose: Purpose,
    pub(super) path: PathBuf,
    file: File,
    /// Over what has been written; `None` until the bytes of an earlier run have been read again.
    hash: Option<Sha256>,
    bytes: u64,
    /// More are not taken.
    bytes_max: u64,
    kept: bool,
    state: State,
    room: Arc<Room>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Whole and on the disk.
    Sealed(FileId),
    /// It has its name, or is given up.
    Over,
}

impl Partial {
    pub(super) fn create(
        path: PathBuf,
        purpose: Purpose,
        bytes_max: u64,
        kept: bool,
        room: &Arc<Room>,
    ) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let (hash, room) = (Some(Sha256::new()), Arc::clone(room));
        Ok(Self { purpose, path, file, hash, bytes: 0, bytes_max, kept, state: State::Open, room })
    }

    /// What an earlier run of this node has kept, up to what was synced.
    pub(super) fn again(
        path: PathBuf,
        purpose: Purpose,
        (bytes, bytes_max): (u64, u64),
        room: &Arc<Room>,
    ) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(&path)?;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an upload lost some of its bytes"));
        }
        file.set_len(bytes)?;
        room.hold(bytes);
        let (state, room) = (State::Open, Arc::clone(room));
        Ok(Self { purpose, path, file, hash: None, bytes, bytes_max, kept: true, state, room })
    }

    /// How many bytes are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Adds bytes at their place. Waits for the disk.
    ///
    /// # Errors
    /// See [`NotTaken`]; nothing of these bytes stays then.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), NotTaken> {
        if self.state != State::Open {
            return Err(NotTaken::Over);
        }
        if offset != self.bytes {
            return Err(NotTaken::WrongOffset { at: self.bytes });
        }
        let after = self.bytes.saturating_add(bytes.len() as u64);
        if after > self.bytes_max {
            return Err(NotTaken::TooLarge { max: self.bytes_max });
        }
        self.read_again()?;
        let more = bytes.len() as u64;
        self.room.take(&self.purpose, more)?;
        let written = self.file.seek(SeekFrom::Start(self.bytes)).and_then(|_| self.file.write_all(bytes));
        if let Err(error) = written {
            self.room.give_back(more);
            return Err(error.into());
        }
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.bytes = after;
        Ok(())
    }

    /// Puts what came so far onto the disk. Waits for it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// All has come: puts it onto the disk and tells what it is. Waits for the disk.
    ///
    /// # Errors
    /// When it is not what it should be, or the disk fails.
    pub fn seal(&mut self) -> Result<FileId, NotTaken> {
        match self.state {
            State::Open => {}
            State::Sealed(file) => return Ok(file),
            State::Over => return Err(NotTaken::Over),
        }
        self.read_again()?;
        let hash = self.hash.clone().unwrap_or_default();
        let found = FileId(hash.finalize().into());
        if let Purpose::Copy { file: expected } = self.purpose {
            if self.bytes != self.bytes_max {
                return Err(NotTaken::Short(self.bytes, self.bytes_max));
            }
            if found != expected {
                return Err(NotTaken::OtherBytes { expected });
            }
        }
        self.file.sync_all()?;
        self.state = State::Sealed(found);
        Ok(found)
    }

    /// The same for a copy whose length was not known beforehand.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_whole(&mut self) -> Result<FileId, NotTaken> {
        self.bytes_max = self.bytes;
        self.seal()
    }

    /// What was sealed.
    pub(super) fn sealed(&self) -> Option<FileId> {
        match self.state {
            State::Sealed(file) => Some(file),
            State::Open | State::Over => None,
        }
    }

    /// It has its name now: nothing of it is to be removed.
    pub(super) fn named(&mut self) {
        self.state = State::Over;
    }

    /// Gives it up: it goes when nobody writes to it any more.
    pub(super) fn give_up(&mut self) {
        self.kept = false;
        if self.state != State::Over {
            self.state = State::Over;
            self.remove();
        }
    }

    fn read_again(&mut self) -> io::Result<()> {
        if self.hash.is_some() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        self.file.seek(SeekFrom::Start(0))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = (&mut self.file).take(self.bytes);
        loop {
            match left.read(&mut chunk)? {
                0 => break,
                count => hash.update(&chunk[..count]),
            }
        }
        self.hash = Some(hash);
        Ok(())
    }

    fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "bytes that nobody needs cannot be removed");
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
        if self.state != State::Over && !self.kept {
            self.remove();
        }
    }
}
