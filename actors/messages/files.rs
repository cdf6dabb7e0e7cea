//! Anybody ↔ `FileShelf`, which keeps the bytes of files on this node, and `FileCarrier`, which sees that the
//! other nodes have them too.

use std::fs::File;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::files::partial::{NotTaken, Partial};
use crate::ids::{At, FileId};
use crate::post;

/// A file on its way in that more than one request writes to.
pub type Shared = Arc<Mutex<Partial>>;

/// Somebody begins to upload a file, of so many bytes if that is known.
pub struct BeginUpload {
    pub user: String,
    pub name: String,
    pub bytes: Option<u64>,
    pub reply: oneshot::Sender<Result<Partial, NotTaken>>,
}

/// Somebody begins an upload that can be gone on with. Answered with its id.
pub struct BeginKept {
    pub user: String,
    pub name: String,
    pub bytes: u64,
    pub reply: oneshot::Sender<Result<String, NotTaken>>,
}

/// An upload of this user that was begun. `None`: unknown, or somebody else's.
pub struct Begun {
    pub user: String,
    pub id: String,
    pub reply: oneshot::Sender<Option<Standing>>,
}

/// How far an upload is.
pub enum Standing {
    /// More is to come.
    Open(Shared),
    /// It is whole and has been told.
    Done(Uploaded),
}

/// A request has ended that brought some of the bytes of an upload that is kept, and they were synced.
pub struct Keep {
    pub id: String,
    pub reply: oneshot::Sender<Result<(), NotTaken>>,
}

/// Bytes begin to come from another node.
pub struct BeginCopy {
    pub file: FileId,
    pub bytes: u64,
    pub reply: oneshot::Sender<Result<Partial, NotTaken>>,
}

/// A file that came whole, and was sealed, gets its name. `at`: how far this node has applied.
pub struct Finish {
    pub partial: Partial,
    pub at: At,
    pub reply: oneshot::Sender<Result<Uploaded, NotTaken>>,
}

/// The same for an upload that is kept.
pub struct FinishKept {
    pub id: String,
    pub at: At,
    pub reply: oneshot::Sender<Result<Uploaded, NotTaken>>,
}

/// What is told of an upload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Uploaded {
    pub file: FileId,
    pub name: String,
    pub bytes: u64,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Which of these are here?
pub struct Hold {
    /// Whose uploads are asked for.
    pub user: String,
    pub files: Vec<FileId>,
    /// They are to stay for a while, whether a message holds them or not.
    pub hold: bool,
    pub reply: oneshot::Sender<Vec<Held>>,
}

/// What a node knows of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Its length, when the bytes are here.
    pub bytes: Option<u64>,
    /// The user uploaded it here, when this node had applied so far.
    pub uploaded: Option<At>,
}

impl Held {
    /// What another node knows as well. Of two uploads the later one counts: the earlier may have been sent since.
    pub fn join(&mut self, theirs: Self) {
        self.bytes = self.bytes.or(theirs.bytes);
        self.uploaded = self.uploaded.max(theirs.uploaded);
    }
}

/// Opens a file to read it; its length comes with it. `None`: not here.
pub struct OpenFile {
    pub file: FileId,
    pub reply: oneshot::Sender<Option<(File, u64)>>,
}

/// The bytes of a file turned out to be others: it is not here any more.
pub struct Discredit {
    pub file: FileId,
}

/// Which of these are not here?
pub struct Lacking {
    pub files: Vec<FileId>,
    pub reply: oneshot::Sender<Vec<FileId>>,
}

/// Files that nothing here holds any more, behind `after`, at most so many; whether a message does is not
/// known here.
pub struct Idle {
    pub after: Option<FileId>,
    pub limit: usize,
    pub reply: oneshot::Sender<Vec<FileId>>,
}

/// No message holds these: they go, unless somebody has asked for them meanwhile.
pub struct Discard {
    pub files: Vec<FileId>,
}

/// The next file behind `after`, to be read whole and compared with its hash.
pub struct NextFile {
    pub after: Option<FileId>,
    pub reply: oneshot::Sender<Option<FileId>>,
}

/// Where are these files, as far as nodes answer? Answered in their order.
pub struct Find {
    pub user: String,
    pub files: Vec<FileId>,
    /// Which of them the user may see: where they were uploaded is not waited for.
    pub seen: Vec<bool>,
    /// They are to stay there for a while.
    pub hold: bool,
    /// Every node is asked, also when this one knows of an upload: another may know of a later one.
    pub everywhere: bool,
    pub reply: oneshot::Sender<Vec<Held>>,
}

/// Sees that a majority of the nodes that vote holds these files, on the disk.
pub struct Secure {
    pub files: Vec<FileId>,
    pub reply: oneshot::Sender<Result<(), NotSecured>>,
}

/// Why a majority does not hold a file; more of them may soon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSecured {
    #[error("no majority of nodes can be reached to hold the files: nothing was sent")]
    NoMajority,
    #[error("no node that can be reached has the bytes of file {0}: nothing was sent")]
    Nowhere(FileId),
    #[error("the other nodes do not have the files yet: nothing was sent, repeat it in a moment")]
    NotYet,
    #[error("the other nodes did not take the files ({0}): nothing was sent")]
    Refused(String),
}

/// Brings a file here from another node. Whether it is here then.
pub struct Fetch {
    pub file: FileId,
    pub reply: oneshot::Sender<bool>,
}

post! {
    BeginUpload => "begin_upload",
    BeginKept => "begin_kept",
    Begun => "begun",
    Keep => "keep",
    BeginCopy => "begin_copy",
    Finish => "finish",
    FinishKept => "finish_kept",
    Hold => "hold",
    OpenFile => "open_file",
    Discredit => "discredit",
    Lacking => "lacking",
    Idle => "idle",
    Discard => "discard",
    NextFile => "next_file",
    Find => "find",
    Secure => "secure",
    Fetch => "fetch",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_uploads_the_later_one_counts() {
        let held = |bytes, at: Option<u64>| Held { bytes, uploaded: at.map(At) };
        for (mine, theirs, both) in [
            (held(Some(3), Some(5)), held(Some(3), Some(9)), held(Some(3), Some(9))),
            (held(Some(3), Some(9)), held(None, Some(5)), held(Some(3), Some(9))),
            (held(None, None), held(Some(3), Some(5)), held(Some(3), Some(5))),
            (held(Some(3), Some(5)), held(None, None), held(Some(3), Some(5))),
        ] {
            let mut known = mine;
            known.join(theirs);
            assert_eq!(known, both);
        }
    }
}
