//! The log as `RawNode` sees it: every entry above the applied one and a recent tail, in memory;
//! of the rest only the terms, as runs. No SQL happens inside Raft.

use std::cell::RefCell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

/// What the log held when the node was started; see `storage::Opened`.
#[derive(Clone, Debug, Default)]
pub struct LogStart {
    pub hard_state: HardState,
    pub conf_state: ConfState,
    pub applied: u64,
    /// The entry before the first one: index and term.
    pub cut: (u64, u64),
    /// Where each term begins, from the cut or the entry after it on, by rising index.
    pub term_runs: Vec<(u64, u64)>,
    /// All entries above `applied`, and as many before it as the caller likes, without a hole.
    pub tail: Vec<Entry>,
    pub last: u64,
}

/// Entries that a lagging peer needs and that are only on the disk.
#[derive(Debug)]
pub struct Wanted {
    pub from: u64,
    /// Exclusive.
    pub to: u64,
    pub bytes_max: u64,
    /// Hands the entries back to Raft once they are here.
    pub context: GetEntriesContext,
}

/// See the module.
pub struct LogView {
    hard_state: HardState,
    conf_state: ConfState,
    applied: u64,
    /// As of `applied`.
    applied_conf_state: ConfState,
    /// Handed out and not applied yet, each with its index.
    conf_states_ahead: VecDeque<(u64, ConfState)>,
    cut: (u64, u64),
    term_runs: Vec<(u64, u64)>,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    last: u64,
    /// Entries read back from the disk for a lagging peer; at most one range at a time.
    fetched: Vec<Entry>,
    wanted: RefCell<Vec<Wanted>>,
}

/// Applied entries stay in memory up to this many bytes, for peers that are a little behind.
const TAIL_BYTES_MAX: usize = 4 << 20;
/// … and up to this many entries.
const TAIL_ENTRIES_MAX: usize = 8_192;

impl LogView {
    /// # Panics
    /// When the parts of `start` contradict each other: `storage` has checked them.
    pub fn new(start: LogStart) -> Self {
        let first_of_tail = start.tail.first().map_or(start.last + 1, |entry| entry.index);
        assert!(first_of_tail <= start.applied + 1, "every entry above the applied one is in the tail");
        assert!(start.last >= start.cut.0, "the log ends at or after its cut");
        let tail_bytes = start.tail.iter().map(size).sum();
        Self {
            hard_state: start.hard_state,
            applied: start.applied,
            applied_conf_state: start.conf_state.clone(),
            conf_states_ahead: VecDeque::new(),
            conf_state: start.conf_state,
            cut: start.cut,
            term_runs: start.term_runs,
            tail: start.tail.into(),
            tail_bytes,
            last: start.last,
            fetched: Vec::new(),
            wanted: RefCell::default(),
        }
    }

    /// Appends entries; what the log held from the first one's index on is cut off.
    ///
    /// # Panics
    /// When they would leave a hole.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index <= self.last + 1, "entries follow the log without a hole");
        assert!(first.index > self.cut.0, "entries that were compacted away are never written again");
        if first.index <= self.last {
            self.truncate(first.index);
        }
        for entry in entries {
            assert_eq!(entry.index, self.last + 1, "entries follow each other without a hole");
            if self.term_runs.last().is_none_or(|&(_, term)| term != entry.term) {
                self.term_runs.push((entry.index, entry.term));
            }
            self.tail_bytes += size(entry);
            self.tail.push_back(entry.clone());
            self.last = entry.index;
        }
    }

    pub fn set_hard_state(&mut self, hard_state: &HardState) {
        self.hard_state = hard_state.clone();
    }

    /// The configuration as of an entry that is handed out.
    pub fn set_conf_state(&mut self, index: u64, conf_state: &ConfState) {
        self.conf_state = conf_state.clone();
        self.conf_states_ahead.push_back((index, conf_state.clone()));
    }

    /// The tables hold everything up to `applied`. Forgets the oldest applied entries when more are in
    /// memory than the bounds allow.
    pub fn set_applied(&mut self, applied: u64) {
        self.applied = applied;
        while let Some((_, conf_state)) = self.conf_states_ahead.pop_front_if(|(index, _)| *index <= applied)
        {
            self.applied_conf_state = conf_state;
        }
        while self.tail_bytes > TAIL_BYTES_MAX || self.tail.len() > TAIL_ENTRIES_MAX {
            if !self.forget_first_up_to(applied) {
                break;
            }
        }
    }

    /// Cuts the log behind `to`, an applied entry: from here on nobody is sent what lies before.
    ///
    /// # Panics
    /// When it is not applied.
    pub fn cut_to(&mut self, to: u64) {
        assert!(to <= self.applied, "only what is applied is cut off");
        let Some(term) = self.term_of(to).filter(|_| to > self.cut.0) else { return };
        self.cut = (to, term);
        while self.forget_first_up_to(to) {}
        // The run that holds the entry after the cut stays.
        let stays = self.term_runs.partition_point(|&(start, _)| start <= to + 1).saturating_sub(1);
        self.term_runs.drain(..stays);
    }

    /// The log begins anew behind a snapshot.
    pub fn restore(&mut self, index: u64, term: u64, conf_state: &ConfState) {
        self.cut = (index, term);
        self.last = index;
        self.term_runs.clear();
        self.tail.clear();
        self.tail_bytes = 0;
        self.fetched.clear();
        self.conf_state = conf_state.clone();
        self.conf_states_ahead = VecDeque::from([(index, conf_state.clone())]);
    }

    fn forget_first_up_to(&mut self, index: u64) -> bool {
        let forgotten = self.tail.pop_front_if(|entry| entry.index <= index);
        self.tail_bytes -= forgotten.as_ref().map_or(0, size);
        forgotten.is_some()
    }

    /// What Raft asked for and must be read from the disk.
    pub fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(self.wanted.get_mut())
    }

    /// Puts entries read from the disk where Raft finds them when it asks again. `None` takes them away.
    pub fn set_fetched(&mut self, entries: Option<Vec<Entry>>) {
        self.fetched = entries.unwrap_or_default();
    }

    pub fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// The entry before the first one.
    pub fn cut(&self) -> u64 {
        self.cut.0
    }

    /// The term of an entry that the log has (or of its cut).
    pub fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.cut.0 {
            return Some(self.cut.1);
        }
        if index < self.cut.0 || index > self.last {
            return None;
        }
        let after = self.term_runs.partition_point(|&(start, _)| start <= index);
        after.checked_sub(1).map(|run| self.term_runs[run].1)
    }

    /// About the bytes of the entries that are in memory.
    pub fn bytes_in_memory(&self) -> usize {
        self.tail_bytes
    }

    fn first_in_memory(&self) -> u64 {
        self.last + 1 - self.tail.len() as u64
    }

    fn truncate(&mut self, from: u64) {
        while self.tail.back().is_some_and(|entry| entry.index >= from) {
            if let Some(entry) = self.tail.pop_back() {
                self.tail_bytes -= size(&entry);
            }
        }
        self.last = from - 1;
        while self.term_runs.last().is_some_and(|&(start, _)| start >= from) {
            self.term_runs.pop();
        }
    }
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        assert!(high <= self.last + 1, "raft asks only for entries that it was given");
        if low <= self.cut.0 {
            return Err(StorageError::Compacted.into());
        }
        let in_memory = self.first_in_memory();
        if low >= in_memory {
            let from = usize::try_from(low - in_memory).unwrap_or(usize::MAX);
            let count = usize::try_from(high - low).unwrap_or(usize::MAX);
            return Ok(limited(self.tail.iter().skip(from).take(count), bytes_max));
        }
        if let Some(first) = self.fetched.first()
            && first.index <= low
            && low < first.index + self.fetched.len() as u64
        {
            let entries = self.fetched.iter().skip_while(|entry| entry.index < low);
            return Ok(limited(entries.take_while(|entry| entry.index < high), bytes_max));
        }
        assert!(context.can_async(), "entries above the applied one are always in memory");
        self.wanted.borrow_mut().push(Wanted { from: low, to: high, bytes_max, context });
        Err(StorageError::LogTemporarilyUnavailable.into())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        match self.term_of(index) {
            Some(term) => Ok(term),
            None if index < self.cut.0 => Err(StorageError::Compacted.into()),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.cut.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last)
    }

    /// Only where this node stands: whoever is sent it fetches the rows by themselves.
    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let term = self.term_of(self.applied).filter(|_| self.applied > 0 && self.applied >= request_index);
        let Some(term) = term else {
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        };
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = self.applied;
        metadata.term = term;
        metadata.set_conf_state(self.applied_conf_state.clone());
        Ok(snapshot)
    }
}

fn size(entry: &Entry) -> usize {
    entry.data.len() + 48
}

/// At least one entry, then as many as fit.
fn limited<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: u64) -> Vec<Entry> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for entry in entries {
        bytes += size(entry) as u64;
        if !taken.is_empty() && bytes > bytes_max {
            break;
        }
        taken.push(entry.clone());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, data: vec![0; 100].into(), ..Entry::default() }
    }

    fn view() -> LogView {
        let mut view = LogView::new(LogStart { applied: 1, cut: (1, 1), last: 1, ..LogStart::default() });
        view.append(&[entry(2, 1), entry(3, 1), entry(4, 2)]);
        view
    }

    #[test]
    fn terms_are_known_from_the_cut_to_the_end() {
        let view = view();
        let terms: Vec<_> = (0..=5).map(|index| view.term_of(index)).collect();
        assert_eq!(terms, [None, Some(1), Some(1), Some(1), Some(2), None]);
    }

    #[test]
    fn appending_over_the_end_cuts_it_off() {
        let mut view = view();
        view.append(&[entry(3, 3)]);
        assert_eq!((view.term_of(2), view.term_of(3), view.term_of(4)), (Some(1), Some(3), None));
        assert_eq!(view.last_index().unwrap(), 3);
        view.append(&[entry(4, 3)]);
        assert_eq!(view.term_runs, [(2, 1), (3, 3)]);
    }

    #[test]
    fn entries_are_limited_but_never_none() {
        let view = view();
        let sizes = [0, 200, 300, 10_000]
            .map(|bytes_max| view.entries(2, 5, bytes_max, GetEntriesContext::empty(false)).unwrap().len());
        assert_eq!(sizes, [1, 1, 2, 3]);
    }

    #[test]
    fn what_is_cut_off_is_compacted_and_a_snapshot_says_where_the_tables_stand() {
        let mut view = view();
        let voters = |voters: &[u64]| ConfState { voters: voters.to_vec(), ..ConfState::default() };
        view.set_conf_state(3, &voters(&[1, 2]));
        view.set_conf_state(4, &voters(&[1, 2, 3]));
        view.set_applied(3);
        view.cut_to(3);
        view.cut_to(2);
        assert_eq!((view.first_index().unwrap(), view.first_in_memory()), (4, 4));
        let terms: Vec<_> = (2..=5).map(|index| view.term_of(index)).collect();
        assert_eq!(terms, [None, Some(1), Some(2), None]);
        assert!(matches!(
            view.entries(3, 5, None, GetEntriesContext::empty(true)),
            Err(raft::Error::Store(StorageError::Compacted))
        ));
        let metadata = view.snapshot(0, 2).unwrap().take_metadata();
        assert_eq!((metadata.index, metadata.term), (3, 1));
        assert_eq!(metadata.get_conf_state().voters, [1, 2]);

        view.restore(9, 3, &voters(&[4]));
        assert_eq!((view.first_index().unwrap(), view.last_index().unwrap()), (10, 9));
        assert_eq!((view.term_of(9), view.term_of(4)), (Some(3), None));
        view.set_applied(9);
        view.append(&[entry(10, 4)]);
        assert_eq!(view.term_of(10), Some(4));
        assert_eq!(view.snapshot(0, 2).unwrap().get_metadata().get_conf_state().voters, [4]);
    }

    #[test]
    fn an_empty_log_has_no_snapshot() {
        let mut view = LogView::new(LogStart::default());
        assert!(view.snapshot(0, 2).is_err());
        assert_eq!(
            (view.first_index().unwrap(), view.last_index().unwrap(), view.term_of(0)),
            (1, 0, Some(0))
        );
        view.append(&[entry(1, 1)]);
        assert_eq!(view.term_of(1), Some(1));
    }

    #[test]
    fn what_is_not_in_memory_is_wanted_and_found_once_fetched() {
        let mut view = view();
        view.tail_bytes = TAIL_BYTES_MAX + 149;
        view.set_applied(3);
        assert_eq!(view.first_in_memory(), 4, "two were forgotten, the unapplied one stays");
        assert!(view.entries(2, 5, None, GetEntriesContext::empty(true)).is_err());
        let wanted = view.take_wanted();
        assert_eq!((wanted[0].from, wanted[0].to), (2, 5));
        view.set_fetched(Some(vec![entry(2, 1), entry(3, 1)]));
        let found = view.entries(2, 5, None, GetEntriesContext::empty(true)).unwrap();
        assert_eq!(found.iter().map(|entry| entry.index).collect::<Vec<_>>(), [2, 3]);
        assert!(view.entries(4, 5, None, GetEntriesContext::empty(false)).is_ok());
        assert!(matches!(
            view.entries(1, 5, None, GetEntriesContext::empty(true)),
            Err(raft::Error::Store(StorageError::Compacted))
        ));
    }
}
