//! Looking through the files of a stopped node. Changes nothing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::reading::is_whole;
use super::store::FOLDER;
use crate::ids::FileId;

/// How the files stand that messages hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesStand {
    pub whole: usize,
    /// Not here; other nodes may have them.
    pub lacking: usize,
    pub damaged: Vec<PathBuf>,
}

/// Reads all of these files under `data_dir`.
///
/// # Errors
/// What the disk says.
pub fn look(data_dir: &Path, files: &[FileId]) -> io::Result<FilesStand> {
    let mut stand = FilesStand::default();
    for file in files {
        let name = file.to_string();
        let path = data_dir.join(FOLDER).join(&name[..2]).join(&name);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => stand.lacking += 1,
            Err(error) => return Err(error),
            Ok(opened) if is_whole(*file, &opened)? => stand.whole += 1,
            Ok(_) => stand.damaged.push(path),
        }
    }
    Ok(stand)
}
