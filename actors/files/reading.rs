//! A file on this disk as a stream of bytes, read on threads that may wait.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::bus::Port;
use crate::ids::FileId;
use crate::messages::files::Discredit;

const CHUNK_BYTES: u64 = 128 * 1024;

/// Some of the bytes of a file. When they are all of them, they are compared with its hash: other bytes end
/// with an error before the last of them are given out, and the store hears of it.
pub fn stream(
    file: FileId,
    opened: File,
    range: Range<u64>,
    bytes: u64,
    discredit: Port<Discredit>,
) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let hash = (range.start == 0 && range.end == bytes).then(Sha256::new);
    let reading = Reading { file, opened: Arc::new(opened), next: range.start, end: range.end, hash };
    stream::try_unfold((reading, discredit), |(reading, discredit)| async move {
        if reading.next >= reading.end {
            return Ok(None);
        }
        let file = reading.file;
        match spawn_blocking(move || reading.step()).await.map_err(io::Error::other)? {
            Ok((chunk, reading)) => Ok(Some((chunk, (reading, discredit)))),
            Err(error) => {
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
                    discredit.tell(Discredit { file });
                }
                Err(error)
            }
        }
    })
}

/// Whether a file is what its hash says. Waits for the disk.
///
/// # Errors
/// What the disk says.
pub fn is_whole(file: FileId, mut opened: &File) -> io::Result<bool> {
    let mut hash = Sha256::new();
    io::copy(&mut opened, &mut hash)?;
    Ok(FileId(hash.finalize().into()) == file)
}

struct Reading {
    file: FileId,
    opened: Arc<File>,
    next: u64,
    end: u64,
    hash: Option<Sha256>,
}

impl Reading {
    fn step(mut self) -> io::Result<(Bytes, Self)> {
        let length = CHUNK_BYTES.min(self.end - self.next);
        let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
        self.opened.read_exact_at(&mut chunk, self.next)?;
        self.next += length;
        if let Some(hash) = &mut self.hash {
            hash.update(&chunk);
            if self.next == self.end && FileId(hash.clone().finalize().into()) != self.file {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the bytes on the disk are damaged"));
            }
        }
        Ok((chunk.into(), self))
    }
}
