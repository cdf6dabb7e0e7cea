//! Canonical bytes: every part with its length or in a fixed width.

use sha2::{Digest, Sha256};

use crate::chat::command::RequestDigest;
use crate::chat::objects::RoomKind;

/// Collects canonical bytes.
pub struct Canon {
    hash: Sha256,
}

impl Canon {
    /// Begins with the name of the kind of thing that is written.
    pub fn new(kind: &str) -> Self {
        let mut canon = Self { hash: Sha256::new() };
        canon.text(kind);
        canon
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.hash.update(number.to_be_bytes());
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.hash.update([u8::from(flag)]);
        self
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.hash.update(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn maybe(&mut self, number: Option<u64>) -> &mut Self {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.number(number);
        }
        self
    }

    pub fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
        self
    }

    pub(super) fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
        self
    }

    pub(super) fn room_kind(&mut self, kind: RoomKind) -> &mut Self {
        self.text(match kind {
            RoomKind::Public => "public",
            RoomKind::Private => "private",
            RoomKind::Direct => "direct",
        })
    }

    pub fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    /// The first half of it, where that is enough.
    pub(super) fn half(self) -> RequestDigest {
        let mut half = RequestDigest::default();
        half.copy_from_slice(&self.finish()[..16]);
        half
    }
}
