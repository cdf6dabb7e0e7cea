//! Bytes from a connection into a file on its way in: never more of them in memory than one piece.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::task::spawn_blocking;

use super::kept::locked;
use super::partial::{NotTaken, Partial};
use crate::ids::FileId;
use crate::messages::files::Shared;

/// So much is written at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error("the bytes did not arrive whole: {0}")]
    Broken(String),
    #[error("the bytes did not arrive in time")]
    Late,
}

/// A file on its way in, for [`take_in`].
pub fn shared(partial: Partial) -> Shared {
    Arc::new(Mutex::new(partial))
}

/// Writes a body behind the first `offset` bytes; says how many there are then. A body may stand still for so
/// long. What came before it broke is kept.
///
/// # Errors
/// See [`Cut`].
pub async fn take_in<E: ToString>(
    partial: &Shared,
    offset: u64,
    body: impl Stream<Item = Result<Bytes, E>>,
    pause_max: Duration,
) -> Result<u64, Cut> {
    futures_util::pin_mut!(body);
    let (mut at, mut piece) = (offset, BytesMut::new());
    let ended = loop {
        match tokio::time::timeout(pause_max, body.next()).await {
            Ok(Some(Ok(bytes))) => piece.extend_from_slice(&bytes),
            Ok(Some(Err(error))) => break Err(Cut::Broken(error.to_string())),
            Ok(None) => break Ok(()),
            Err(_) => break Err(Cut::Late),
        }
        if piece.len() >= PIECE_BYTES {
            at = write(partial, at, piece.split().freeze()).await?;
        }
    };
    // Also when there is none: it is looked whether this is the place to go on from.
    at = write(partial, at, piece.freeze()).await?;
    ended.map(|()| at)
}

/// All has come: puts it onto the disk and tells what it is.
///
/// # Errors
/// See [`NotTaken`].
pub async fn seal(partial: &Shared) -> Result<FileId, NotTaken> {
    on_disk(partial, Partial::seal).await
}

async fn write(partial: &Shared, at: u64, piece: Bytes) -> Result<u64, NotTaken> {
    on_disk(partial, move |partial| {
        partial.write_at(at, &piece)?;
        Ok(at + piece.len() as u64)
    })
    .await
}

/// Does something that waits for the disk on a thread that may.
async fn on_disk<T: Send + 'static>(
    partial: &Shared,
    work: impl FnOnce(&mut Partial) -> Result<T, NotTaken> + Send + 'static,
) -> Result<T, NotTaken> {
    let partial = Arc::clone(partial);
    let done = spawn_blocking(move || work(&mut locked(&partial))).await;
    done.unwrap_or_else(|error| Err(NotTaken::Io(std::io::Error::other(error))))
}
