//! The files of messages: who may send which, and the rows by which they are found.

use std::collections::BTreeMap;

use super::super::command::Attached;
use super::super::objects::{File, Message};
use super::super::outcome::Code;
use super::super::tables::{AttachmentRow, Tables};
use super::{Step, Work, refuse};
use crate::ids::At;

impl<T: Tables> Work<'_, T> {
    /// A file as the message will show it: one's own upload, or one that a message holds which one may see.
    pub(super) fn attachable(&mut self, user: &str, asked: &Attached) -> Step<File, T> {
        let Attached { file, name, kind, .. } = asked;
        let bytes = match asked.uploaded {
            true => asked.bytes,
            false => self.tables.file_seen_by(user, *file)?.ok_or_else(|| {
                refuse(Code::NotFound, format!("file {file} is not there, or not for you: upload it again"))
            })?,
        };
        Ok(File { file: *file, name: name.clone(), bytes, kind: kind.clone() })
    }

    /// Writes down that a message holds its files, or no longer does, as part of its change at `at`.
    pub(super) fn put_attachments(&mut self, at: At, message: &Message, gone: bool) -> Result<(), T::Error> {
        let Message { room, seq, .. } = *message;
        // A file that stands twice in a message has one row.
        let files: BTreeMap<_, _> = message.files.iter().map(|file| (file.file, file.bytes)).collect();
        for (file, bytes) in files {
            self.tables.put_attachment(&AttachmentRow { at, file, room, seq, bytes, gone })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::Change;
    use super::super::super::outcome::Outcome;
    use super::super::story::Story;
    use super::*;
    use crate::ids::{FileId, RoomId, Seq};

    fn message(story: &mut Story, room: RoomId, seq: u64) -> Message {
        story.model.message(room, Seq(seq)).unwrap().unwrap().message
    }

    fn delete(room: RoomId, seqs: &[u64]) -> Change {
        Change::Delete { room, seqs: seqs.iter().copied().map(Seq).collect() }
    }

    fn with_files(room: RoomId, text: &str, files: &[(u8, bool)]) -> Change {
        let attached = |&(number, uploaded): &(u8, bool)| Attached {
            file: FileId([number; 32]),
            name: format!("{number}.txt"),
            bytes: if uploaded { u64::from(number) } else { 0 },
            kind: "text/plain".into(),
            uploaded,
        };
        Change::SendFiles {
            room,
            text: text.into(),
            reply_to: None,
            files: files.iter().map(attached).collect(),
        }
    }

    #[test]
    fn a_file_is_passed_on_by_who_uploaded_it_or_may_see_it() {
        let mut story = Story::new(&["ann", "bob", "cleo"]);
        let (one, other) = (story.room("ann", "public"), story.room("bob", "private"));
        assert_eq!(story.code("bob", with_files(one, "", &[(7, true)])), Code::NotFound, "not in it");
        assert_eq!(story.code("ann", with_files(one, "", &[(7, false)])), Code::NotFound);
        story.ok("ann", with_files(one, "", &[(7, true), (7, true)]));
        let files = message(&mut story, one, 1).files;
        let shown: Vec<_> = files.iter().map(|file| (file.file, file.bytes, file.name.as_str())).collect();
        assert_eq!(shown, [(FileId([7; 32]), 7, "7.txt"); 2]);

        // A hash is no permission.
        assert_eq!(story.code("bob", with_files(other, "", &[(7, false)])), Code::NotFound);
        story.ok("bob", Change::Join { room: one });
        story.ok("bob", with_files(other, "", &[(7, false)]));
        assert_eq!(message(&mut story, other, 1).files[0].bytes, 7, "the tables know how long it is");
        story.ok("bob", Change::Leave { room: one });
        story.ok("bob", with_files(other, "", &[(7, false)]));
        story.ok("bob", delete(other, &[1, 2]));
        assert_eq!(story.code("bob", with_files(other, "", &[(7, false)])), Code::NotFound);
        story.ok("bob", with_files(other, "again", &[(7, true)]));
        assert!(message(&mut story, other, 1).files.is_empty());
    }

    #[test]
    fn a_repeated_send_with_files_is_the_first_one_whatever_has_become_of_them() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        let first = story.ask_as("ann", "x", with_files(room, "", &[(7, true)])).outcome.unwrap();
        story.ok("ann", delete(room, &[1]));
        let again = story.ask_as("ann", "x", with_files(room, "", &[(7, false)])).outcome.unwrap();
        assert_eq!(again, Outcome { duplicate: true, ..first });
        let another = story.ask_as("ann", "x", with_files(room, "", &[(8, true)])).outcome.unwrap_err();
        assert_eq!(another.code, Code::Conflict);
    }
}
