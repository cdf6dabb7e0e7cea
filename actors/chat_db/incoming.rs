//! Pages of state that have come in and are not installed yet: files in `data_dir/incoming`.
//!
//! They are written without an fsync: each carries its checksum, and what a power cut takes away is
//! fetched again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::pages::{self, Header, PageError};

/// The folder beside `chat.db`.
pub const FOLDER: &str = "incoming";
const ENDING: &str = "page";

/// Why pages that came in cannot be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Page { path: PathBuf, source: PageError },
}

/// The folder of pages, numbered from 1.
#[derive(Clone, Debug)]
pub struct Incoming {
    folder: PathBuf,
}

impl Incoming {
    /// Beside the `chat.db` of `data_dir`; made when the first page comes.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// Whether there is anything.
    pub fn is_there(&self) -> bool {
        self.folder.exists()
    }

    /// Writes the page of that number.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, number: u64, bytes: &[u8]) -> Result<(), IncomingError> {
        let path = self.path(number);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        // As for the file that the pages become part of: for its owner alone.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.folder)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| IncomingError::Io { path, source })
    }

    /// The bytes of the page of that number.
    ///
    /// # Errors
    /// What the file system says.
    pub fn get(&self, number: u64) -> Result<Vec<u8>, IncomingError> {
        let path = self.path(number);
        fs::read(&path).map_err(|source| IncomingError::Io { path, source })
    }

    /// The heads of the pages from 1 on, as far as they are there and whole. One that is not ends them.
    pub fn heads(&self) -> impl Iterator<Item = Header> + '_ {
        (1..).map_while(|number| pages::verify(&self.get(number).ok()?).ok())
    }

    /// Takes pages out, verified.
    ///
    /// # Errors
    /// When it is not there or not whole.
    pub fn page(&self, number: u64) -> Result<pages::Page, IncomingError> {
        let bytes = self.get(number)?;
        pages::Page::decode(&bytes).map_err(|source| IncomingError::Page { path: self.path(number), source })
    }

    /// Throws everything away.
    ///
    /// # Errors
    /// What the file system says.
    pub fn clear(&self) -> Result<(), IncomingError> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(IncomingError::Io { path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{ENDING}"))
    }
}
