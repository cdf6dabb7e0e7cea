//! What a client announces is not waited for when it is too big.
//!
//! actix looks at the size of a frame when all of it has come, and keeps it until then: one header that
//! announces a terabyte would fill the memory. [`Bounded`] reads the headers as the bytes go by.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// A frame's header is two bytes, up to eight for its length, and four for its mask.
const HEADER_MAX: usize = 14;

/// The bytes of a WebSocket, up to the first frame that is too big; what follows is read and dropped.
pub struct Bounded<S> {
    bytes: S,
    frames: Frames,
    too_big: Rc<Cell<bool>>,
}

impl<S> Bounded<S> {
    /// `too_big` is set before the error that ends the frames is handed on.
    pub fn new(bytes: S, frame_bytes: usize, too_big: Rc<Cell<bool>>) -> Self {
        Self { bytes, frames: Frames::new(frame_bytes), too_big }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for Bounded<S> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let chunk = match Pin::new(&mut self.bytes).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => chunk,
                other => return other,
            };
            if self.too_big.get() {
                continue;
            }
            if self.frames.fit(&chunk) {
                return Poll::Ready(Some(Ok(chunk)));
            }
            self.too_big.set(true);
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
    }
}

/// Follows the frames in a stream of bytes. Pure.
struct Frames {
    frame_bytes: u64,
    header: [u8; HEADER_MAX],
    header_len: usize,
    /// Bytes of the present frame that are still to come.
    payload: u64,
}

impl Frames {
    fn new(frame_bytes: usize) -> Self {
        Self { frame_bytes: frame_bytes as u64, header: [0; HEADER_MAX], header_len: 0, payload: 0 }
    }

    /// Whether every frame that begins in this chunk is small enough.
    fn fit(&mut self, mut chunk: &[u8]) -> bool {
        while !chunk.is_empty() {
            if self.payload > 0 {
                let here = self.payload.min(chunk.len() as u64);
                self.payload -= here;
                chunk = chunk.get(here as usize..).unwrap_or_default();
                continue;
            }
            self.header[self.header_len] = chunk[0];
            self.header_len += 1;
            chunk = &chunk[1..];
            let Some(payload) = self.announced() else { continue };
            if payload > self.frame_bytes {
                return false;
            }
            self.payload = payload;
            self.header_len = 0;
        }
        true
    }

    /// The size that the header announces, once all of it is here.
    fn announced(&self) -> Option<u64> {
        let header = self.header.get(..self.header_len)?;
        let (first, masked) = (header.get(1)? & 0x7f, header.get(1)? & 0x80 != 0);
        let (size_len, size) = match first {
            126 => (2, u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?))),
            127 => (8, u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)),
            small => (0, u64::from(small)),
        };
        let whole = 2 + size_len + if masked { 4 } else { 0 };
        (header.len() == whole).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: usize) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match size {
            0..=125 => bytes.push(0x80 | size as u8),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(size as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(size as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes.resize(bytes.len() + size, b'x');
        bytes
    }

    #[test]
    fn frames_that_fit_go_by_however_they_are_cut() {
        let stream: Vec<u8> = [0, 1, 125, 126, 300, 1000, 7].into_iter().flat_map(frame).collect();
        for cut in [1, 2, 3, 7, 64, 1000, stream.len()] {
            let mut frames = Frames::new(1000);
            assert!(stream.chunks(cut).all(|chunk| frames.fit(chunk)), "chunks of {cut}");
            assert_eq!((frames.payload, frames.header_len), (0, 0));
        }
    }

    #[test]
    fn a_frame_that_does_not_fit_is_seen_by_its_header() {
        for size in [1001, 70_000] {
            let stream = [frame(10), frame(size)].concat();
            let header_end = stream.len() - size;
            for cut in [1, 5, header_end] {
                let mut frames = Frames::new(1000);
                assert!(!stream[..header_end].chunks(cut).all(|chunk| frames.fit(chunk)), "{size} by {cut}");
            }
        }
    }
}
