//! The Raft log: entries and hard state, each append in one transaction with its fsync.

use protobuf::ProtobufEnum;
use raft::eraftpb::Entry;
use rusqlite::{Connection, params};

use super::store::{Standing, Store, StoreError, Synchronous};
use crate::chat_db::entries::checksum;
use crate::chat_db::rows::{Stored, int};
use crate::ids::LogIndex;
use crate::messages::disk::Append;

impl Store {
    /// Installs a snapshot, if there is one, then writes entries and hard state, in one transaction.
    /// When it returns they are on the disk.
    ///
    /// # Errors
    /// [`StoreError::Full`]: nothing is written, try again. Others: the process must end.
    ///
    /// # Panics
    /// When the entries leave a hole in the log or would replace applied ones: a bug in the caller.
    pub fn append(&mut self, append: &Append) -> Result<(), StoreError> {
        assert_ne!(self.standing.boot.0, 0, "the store was started");
        let before = match &append.snapshot {
            Some(install) => self.after_install(install),
            None => self.standing,
        };
        if let Some(first) = append.entries.first() {
            assert!(first.index <= before.last.next().0, "entries follow the log: no hole");
            assert!(first.index > before.applied.0, "entries that were applied are never replaced");
        }
        let last: Result<LogIndex, StoreError> = self.transaction(Synchronous::Full, |store| {
            if let Some(install) = &append.snapshot {
                store.install(install)?;
            }
            store.sql(|conn| {
                let state = &append.hard_state;
                // What was applied since this was asked for may have raised the commit already.
                conn.prepare_cached(
                    "UPDATE raft_state SET term = ?1, vote = ?2, commit_index = max(commit_index, ?3)",
                )?
                .execute([Stored(state.term), Stored(state.vote), Stored(state.commit)])?;
                write_entries(conn, before.last, &append.entries)
            })
        });
        self.standing = Standing { last: last?, ..before };
        if append.snapshot.is_some() {
            self.tables.restart((self.standing.at, self.standing.sum));
        }
        Ok(())
    }

    /// Forgets log entries up to `to`, oldest first, at most `entries_max` of them, applied ones only.
    /// Gives the new cut. Not synced: forgotten again after a power cut.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn compact(&mut self, to: LogIndex, entries_max: u64) -> Result<LogIndex, StoreError> {
        let cut = self.standing.cut;
        let to = to.min(self.standing.applied).min(LogIndex(cut.0 + entries_max));
        if to <= cut {
            return Ok(cut);
        }
        self.transaction::<_, StoreError>(Synchronous::Normal, |store| {
            store.sql(|conn| {
                conn.prepare_cached(
                    "UPDATE raft_state SET cut_index = log_index, cut_term = raft_log.term FROM raft_log
                     WHERE log_index = ?1",
                )?
                .execute([int(to.0)])?;
                conn.prepare_cached("DELETE FROM raft_log WHERE log_index <= ?1")?.execute([int(to.0)])
            })
        })?;
        self.standing.cut = to;
        Ok(to)
    }
}

/// Writes entries behind `last`, or in place of what is there from the first one's index on.
/// Gives the new last index.
fn write_entries(conn: &Connection, last: LogIndex, entries: &[Entry]) -> rusqlite::Result<LogIndex> {
    let Some(first) = entries.first() else { return Ok(last) };
    if first.index <= last.0 {
        conn.prepare_cached("DELETE FROM raft_log WHERE log_index >= ?1")?.execute([int(first.index)])?;
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO raft_log (log_index, term, kind, data, context, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut last = LogIndex(first.index - 1);
    for entry in entries {
        assert_eq!(entry.index, last.next().0, "entries follow each other");
        let kind = entry.get_entry_type().value();
        let sum = checksum(entry.index, entry.term, kind, &entry.data, &entry.context);
        let context = if entry.context.is_empty() { None } else { Some(&entry.context[..]) };
        insert.execute(params![
            Stored(entry.index),
            Stored(entry.term),
            kind,
            &entry.data[..],
            context,
            sum
        ])?;
        last = LogIndex(entry.index);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::eraftpb::EntryType;

    use super::*;
    use crate::chat_db::damage::{WrongChecksum, wrong_checksum};
    use crate::chat_db::entries::{check, read};
    use crate::ids::Term;
    use crate::storage::TermRun;
    use crate::storage::testing::{TestDir, append, batch, committed, entry, started};

    fn log_of(store: &Store) -> Vec<(u64, u64, Vec<u8>)> {
        let entries = read(store.conn(), LogIndex(0), LogIndex(u64::MAX), u64::MAX).unwrap();
        entries.into_iter().map(|entry| (entry.index, entry.term, entry.data.to_vec())).collect()
    }

    #[test]
    fn entries_and_hard_state_are_there_after_a_restart() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut change = entry(3, 1, b"change");
        change.set_entry_type(EntryType::EntryConfChangeV2);
        change.context = Bytes::from_static(b"context");
        store.append(&append(vec![entry(2, 1, b"two"), change.clone()], Some((1, 3, 1)))).unwrap();
        store.append(&append(vec![entry(4, 2, b"")], Some((2, 2, 2)))).unwrap();
        drop(store);

        let mut store = Store::open(&dir.data(), "node1").unwrap();
        let opened = store.start().unwrap();
        assert_eq!(opened.unapplied, [entry(2, 1, b"two"), change, entry(4, 2, b"")]);
        let state = opened.hard_state;
        assert_eq!((state.term, state.vote, state.commit), (2, 2, 2));
        let run = |first, term| TermRun { first: LogIndex(first), term: Term(term) };
        assert_eq!((opened.terms, opened.last), (vec![run(1, 1), run(4, 2)], LogIndex(4)));
        assert_eq!(opened.boot.0, 2);
    }

    #[test]
    fn entries_replace_what_is_there_from_their_first_index_on() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let old = (2..=5).map(|index| entry(index, 1, b"old")).collect();
        store.append(&append(old, None)).unwrap();
        store.append(&append(vec![entry(4, 2, b"new")], Some((2, 0, 1)))).unwrap();
        let expected: Vec<(u64, u64, Vec<u8>)> =
            vec![(2, 1, b"old".to_vec()), (3, 1, b"old".to_vec()), (4, 2, b"new".to_vec())];
        assert_eq!(log_of(&store), expected);
        store.append(&append(vec![entry(5, 2, b"next")], None)).unwrap();
        assert_eq!(store.standing.last, LogIndex(5));
    }

    #[test]
    fn a_byte_that_flipped_in_the_log_is_found() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut second = entry(3, 1, b"second");
        second.context = Bytes::from_static(b"context");
        store.append(&append(vec![entry(2, 1, b"first"), second], None)).unwrap();
        let read_all = |store: &Store| read(store.conn(), LogIndex(2), LogIndex(9), u64::MAX);
        for (column, value) in [
            ("data", "CAST('sebond' AS BLOB)"),
            ("data", "x''"),
            ("context", "CAST('contexs' AS BLOB)"),
            ("context", "NULL"),
            ("term", "2"),
            ("kind", "1"),
            ("checksum", "checksum + 1"),
            ("checksum", "-1"),
        ] {
            assert_eq!(read_all(&store).unwrap().len(), 2);
            store.conn().execute_batch("SAVEPOINT before").unwrap();
            let flip = format!("UPDATE raft_log SET {column} = {value} WHERE log_index = 3");
            store.conn().execute_batch(&flip).unwrap();
            let error = read_all(&store).unwrap_err();
            assert_eq!(wrong_checksum(&error), Some(WrongChecksum { index: LogIndex(3) }), "{flip}");
            assert!(check(store.conn()).is_err());
            store.conn().execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        }
        // As format 1 wrote it.
        store.conn().execute_batch("UPDATE raft_log SET checksum = NULL, data = x'00'").unwrap();
        assert_eq!(read_all(&store).unwrap().len(), 2);
    }

    #[test]
    fn a_page_of_the_log_ends_at_its_bytes_but_holds_one_entry() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let entries = (2..=9).map(|index| entry(index, 1, b"1234567890")).collect();
        store.append(&append(entries, None)).unwrap();
        for (from, to, bytes_max, expected) in
            [(2, 9, 30, vec![2, 3, 4]), (2, 9, 0, vec![2]), (5, 7, 999, vec![5, 6]), (10, 12, 999, vec![])]
        {
            let page = read(store.conn(), LogIndex(from), LogIndex(to), bytes_max).unwrap();
            assert_eq!(page.iter().map(|entry| entry.index).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn only_what_is_applied_is_forgotten_in_small_steps() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let entries = (2..=9).map(|index| entry(index, 1, &batch(1, &[]))).collect();
        store.append(&append(entries, Some((1, 0, 9)))).unwrap();
        let applied: Vec<_> = (2..=6).map(|index| committed(index, batch(1, &[]))).collect();
        store.apply(&applied, || false).unwrap();

        assert_eq!(store.compact(LogIndex(8), 2).unwrap(), LogIndex(3));
        assert_eq!(store.compact(LogIndex(8), 9).unwrap(), LogIndex(6));
        assert_eq!(store.compact(LogIndex(8), 9).unwrap(), LogIndex(6));
        assert_eq!(log_of(&store).iter().map(|(index, ..)| *index).collect::<Vec<_>>(), [7, 8, 9]);
        drop(store);
        let opened = Store::open(&dir.data(), "node1").unwrap().start().unwrap();
        assert_eq!((opened.cut, opened.unapplied.len()), ((LogIndex(6), Term(1)), 3));
    }

    #[test]
    #[should_panic(expected = "no hole")]
    fn a_hole_is_a_bug() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let _never = store.append(&append(vec![entry(3, 1, b"")], None));
    }

    #[test]
    #[should_panic(expected = "never replaced")]
    fn replacing_what_was_applied_is_a_bug() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.append(&append(vec![entry(2, 1, b"")], Some((1, 0, 2)))).unwrap();
        store.apply(&[committed(2, batch(1, &[]))], || false).unwrap();
        let _never = store.append(&append(vec![entry(2, 2, b"")], None));
    }
}
