//! Which errors mean that the file itself cannot be trusted any more.

use rusqlite::ffi;
use rusqlite::types::Type;

use crate::ids::LogIndex;

/// An entry of the log is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log entry {index} is not what was written there: its checksum is wrong")]
pub struct WrongChecksum {
    pub index: LogIndex,
}

impl From<WrongChecksum> for rusqlite::Error {
    fn from(wrong: WrongChecksum) -> Self {
        Self::FromSqlConversionFailure(0, Type::Blob, Box::new(wrong))
    }
}

/// The entry whose checksum was wrong, if that is what failed.
pub fn wrong_checksum(error: &rusqlite::Error) -> Option<WrongChecksum> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, source) => source.downcast_ref().copied(),
        _ => None,
    }
}

/// Whether the disk failed in reading, writing or syncing, or gave back what nobody wrote.
///
/// A file that is busy, locked, out of memory or not to be opened is none of that.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    const NO_DAMAGE: [i32; 9] = [
        ffi::SQLITE_IOERR_NOMEM,
        ffi::SQLITE_IOERR_BLOCKED,
        ffi::SQLITE_IOERR_LOCK,
        ffi::SQLITE_IOERR_RDLOCK,
        ffi::SQLITE_IOERR_UNLOCK,
        ffi::SQLITE_IOERR_CHECKRESERVEDLOCK,
        // What lies in the -shm file is computed anew at the next start.
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMLOCK,
    ];
    let Some(failure) = error.sqlite_error() else {
        // Texts are UTF-8 when they are written.
        return wrong_checksum(error).is_some() || matches!(error, rusqlite::Error::Utf8Error(..));
    };
    match failure.extended_code & 0xff {
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => true,
        ffi::SQLITE_IOERR => !NO_DAMAGE.contains(&failure.extended_code),
        _ => false,
    }
}

/// Whether there is no room. The -shm file grows with the WAL, and SQLite has a code of its own for that.
pub fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map_or(0, |failure| failure.extended_code);
    code & 0xff == ffi::SQLITE_FULL || code == ffi::SQLITE_IOERR_SHMSIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_lied_or_failed_is_damage() {
        for (code, damage, full) in [
            (ffi::SQLITE_CORRUPT, true, false),
            (ffi::SQLITE_CORRUPT_INDEX, true, false),
            (ffi::SQLITE_NOTADB, true, false),
            (ffi::SQLITE_IOERR, true, false),
            (ffi::SQLITE_IOERR_READ, true, false),
            (ffi::SQLITE_IOERR_WRITE, true, false),
            (ffi::SQLITE_IOERR_FSYNC, true, false),
            (ffi::SQLITE_IOERR_SHORT_READ, true, false),
            (ffi::SQLITE_IOERR_NOMEM, false, false),
            (ffi::SQLITE_IOERR_SHMSIZE, false, true),
            (ffi::SQLITE_FULL, false, true),
            (ffi::SQLITE_BUSY, false, false),
            (ffi::SQLITE_READONLY, false, false),
            (ffi::SQLITE_CANTOPEN, false, false),
            (ffi::SQLITE_NOMEM, false, false),
            (ffi::SQLITE_CONSTRAINT, false, false),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!((is_damage(&error), is_full(&error)), (damage, full), "{error}");
        }
        let wrong = WrongChecksum { index: LogIndex(7) };
        assert!(is_damage(&wrong.into()));
        let text = String::from_utf8(vec![b'a', 0xff]).unwrap_err();
        assert!(is_damage(&rusqlite::Error::Utf8Error(0, text.utf8_error())));
        assert!(!is_damage(&rusqlite::Error::QueryReturnedNoRows));
    }
}
