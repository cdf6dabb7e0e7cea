//! Which messages hold which files, and who may see that.

use rusqlite::{Result, params};

use super::view::View;
use crate::chat::tables::AttachmentRow;
use crate::chat_db::rows::{self, columns, file_seen, int, number};
use crate::ids::{At, FileId};

impl View<'_> {
    /// Whether a message holds each of these files that the user may see.
    pub fn files_seen(&self, user: &str, files: &[FileId]) -> Result<Vec<bool>> {
        let seen = |file: &FileId| {
            let found = self.one(file_seen!(), params![file.0, user], |_| Ok(()))?;
            Ok(found.is_some())
        };
        files.iter().map(seen).collect()
    }

    /// Whether the user has sent this file after that, whatever has become of the message.
    pub fn sent_since(&self, user: &str, file: FileId, at: At) -> Result<bool> {
        let found = self.one(
            "SELECT 1 FROM attachments JOIN messages USING (room, seq)
             WHERE file = ?1 AND author = ?2 AND sent_at > ?3 LIMIT 1",
            params![file.0, user, int(at.0)],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Whether the user has made a change under this id: what apply looks at for a repeat.
    pub fn done_before(&self, user: &str, id: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM messages WHERE id = ?1 AND author = ?2
                   UNION ALL SELECT 1 FROM outcomes WHERE id = ?1 AND user = ?2
                   UNION ALL SELECT 1 FROM sessions WHERE id = ?1 AND user = ?2";
        Ok(self.one(sql, [id, user], |_| Ok(()))?.is_some())
    }

    /// Which messages came to hold which files, or were deleted, behind `after`, by rising `at`; so many, and
    /// those that share the last one's `at`.
    pub fn attachments_after(&self, after: At, limit: usize) -> Result<Vec<AttachmentRow>> {
        let sql = concat!("SELECT ", columns!(attachment), " FROM attachments WHERE at > ?1 ORDER BY at");
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query([int(after.0)])?;
        let mut page: Vec<AttachmentRow> = Vec::new();
        while let Some(row) = found.next()? {
            let row = rows::attachment(row)?;
            if page.len() >= limit && page.last().is_some_and(|last| last.at < row.at) {
                break;
            }
            page.push(row);
        }
        Ok(page)
    }

    /// How long each of these files is, if any message holds it.
    pub fn in_messages(&self, files: &[FileId]) -> Result<Vec<Option<u64>>> {
        let sql = "SELECT bytes FROM attachments WHERE file = ?1 AND gone = 0 LIMIT 1";
        files.iter().map(|file| self.one(sql, [file.0], |row| number(row, 0))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::command::{Attached, Change};
    use crate::ids::{RoomId, Seq};
    use crate::reader::ReadPool;
    use crate::storage::testing::{TestDir, batch, command, committed, setup, started};

    #[test]
    fn files_are_found_by_who_may_see_them() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let [one, two, three] = [1, 2, 3].map(|number| FileId([number; 32]));
        let send = |id: &str, room, files: &[FileId]| {
            let attached = |file: &FileId| {
                let (name, kind) = ("a.txt".to_owned(), "text/plain".to_owned());
                Attached { file: *file, name, bytes: u64::from(file.0[0]), kind, uploaded: true }
            };
            let (text, files) = (String::new(), files.iter().map(attached).collect());
            command("ann", id, Change::SendFiles { room: RoomId(room), text, reply_to: None, files })
        };
        let mut commands = setup(&["ann", "bob"], 2);
        commands.push(send("first", 1, &[one, two]));
        commands.push(send("second", 2, &[two]));
        commands.push(command("bob", "out", Change::Leave { room: RoomId(1) }));
        commands.push(command("ann", "gone", Change::Delete { room: RoomId(2), seqs: vec![Seq(1)] }));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        let pool = ReadPool::open(store.path(), 1).unwrap();
        let read = |user: &str| pool.read(|view| view.files_seen(user, &[one, two, three])).unwrap();
        assert_eq!(read("ann"), [true, true, false]);
        assert_eq!(read("bob"), [false, false, false], "no longer in the one room, deleted in the other");

        let held = pool.read(|view| view.in_messages(&[three, two, one])).unwrap();
        assert_eq!(held, [None, Some(2), Some(1)]);

        let rows = pool.read(|view| view.attachments_after(At(0), 1)).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.file, row.gone)).collect::<Vec<_>>(),
            [(one, false), (two, false)]
        );
        let rest = pool.read(|view| view.attachments_after(rows[0].at, 9)).unwrap();
        assert_eq!(rest.iter().map(|row| (row.file, row.gone)).collect::<Vec<_>>(), [(two, true)]);

        let sent = |user: &str, file, at| pool.read(|view| view.sent_since(user, file, at)).unwrap();
        assert!(sent("ann", two, At(0)) && !sent("bob", two, At(0)) && !sent("ann", three, At(0)));
        assert!(!sent("ann", one, rows[0].at), "not after that");
        let before = |user: &str, id: &str| pool.read(|view| view.done_before(user, id)).unwrap();
        assert!(before("ann", "second") && before("ann", "gone") && before("bob", "out"));
        assert!(!before("bob", "second") && !before("ann", "third"));
        assert!(before("ann", "register"));
    }
}
