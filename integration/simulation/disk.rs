//! A disk that keeps apart what was *written* and what was *synced*.
//!
//! Every change is a transaction, and the order of transactions is the order of the write-ahead log.
//! A killed process finds all that was written; after a power cut there is what was synced and any
//! prefix of the transactions written since.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use chat_actors::chat::batch::{Gathered, Here, apply_batch_with, apply_item};
use chat_actors::chat::command::{Batch, Item};
use chat_actors::chat::model::Model;
use chat_actors::chat::outcome::Effect;
use chat_actors::ids::{Boot, LogIndex, RaftId};
use chat_actors::messages::disk::{Append, Committed, Payload};
use chat_actors::raft::log_view::LogStart;
use raft::eraftpb::{ConfState, Entry, HardState};

use super::bugs::{Bug, Forgetful};
use super::dice::Dice;

/// The index at which every founder's log is cut.
const CUT: u64 = 1;

/// One state of the file.
#[derive(Clone, Default)]
pub struct Image {
    pub boot: u64,
    pub hard_state: HardState,
    /// From index 2 on.
    pub log: Vec<Entry>,
    pub applied: u64,
}

/// Sees each command applied: its entry's index, the item, its effect, the tables right after it.
pub type Seen<'a> = dyn FnMut(LogIndex, &Item, &Effect, &mut Model) + 'a;

/// One transaction.
#[derive(Clone)]
enum Txn {
    Boot(u64),
    Append(Rc<Append>),
    Apply(Rc<Vec<Committed>>),
}

pub struct Disk {
    pub id: RaftId,
    pub voters: Vec<u64>,
    pub written: Image,
    synced: Image,
    unsynced: VecDeque<Txn>,
    /// The tables as written.
    pub model: Model,
    /// The tables some way back, and the transactions that lead from there to what is synced.
    old_model: Model,
    since_old_model: VecDeque<Rc<Vec<Committed>>>,
    pub bug: Option<Bug>,
}

impl Disk {
    pub fn founded(id: RaftId, voters: Vec<u64>, bug: Option<Bug>) -> Self {
        let hard_state = HardState { term: 1, commit: CUT, ..HardState::default() };
        let image = Image { hard_state, applied: CUT, ..Image::default() };
        Self {
            id,
            voters,
            written: image.clone(),
            synced: image,
            unsynced: VecDeque::new(),
            model: Model::default(),
            old_model: Model::default(),
            since_old_model: VecDeque::new(),
            bug,
        }
    }

    /// Opens the file: the boot before everything else.
    pub fn boot(&mut self) -> Boot {
        let boot = self.written.boot + 1;
        if self.bug == Some(Bug::StartWithoutBootCommit) {
            // Counted elsewhere, so that this file is not synced by it.
            (self.written.boot, self.synced.boot) = (boot, boot);
        } else {
            self.write(Txn::Boot(boot));
            self.sync();
        }
        Boot(boot)
    }

    pub fn write_append(&mut self, mut append: Append) {
        if self.bug == Some(Bug::VoteNotPersisted) && append.entries.is_empty() {
            append.hard_state.vote = self.written.hard_state.vote;
            append.hard_state.term = self.written.hard_state.term;
        }
        self.write(Txn::Append(Rc::new(append)));
    }

    /// Applies committed entries to the tables; tells what each command brought about.
    pub fn write_apply(&mut self, entries: Vec<Committed>, seen: &mut Seen<'_>) {
        let txn = Rc::new(entries);
        self.apply(&txn, seen);
        self.write(Txn::Apply(txn));
    }

    /// An fsync of the write-ahead log: all that was written is safe.
    pub fn sync(&mut self) {
        while let Some(txn) = self.unsynced.pop_front() {
            self.make_safe(txn);
        }
    }

    /// The power goes: any prefix of what was not synced survives.
    pub fn power_cut(&mut self, dice: &mut Dice) {
        let count = self.unsynced.len();
        let survives = match dice.below(3) {
            0 => 0,
            1 => dice.below(count as u64 + 1) as usize,
            _ => count.saturating_sub(1),
        };
        for txn in self.unsynced.drain(..survives).collect::<Vec<_>>() {
            self.make_safe(txn);
        }
        let lost: Vec<_> = self.unsynced.drain(..).collect();
        self.written = self.synced.clone();
        self.model = std::mem::take(&mut self.old_model);
        for txn in std::mem::take(&mut self.since_old_model) {
            self.apply(&txn, &mut |_, _, _, _| {});
        }
        self.old_model = self.model.clone();
        if self.bug == Some(Bug::AppliedApartFromRows) {
            // The position has its own place and its own sync; the rows did not make it.
            let apart = lost.iter().rev().find_map(|txn| match txn {
                Txn::Apply(entries) => entries.last().map(|entry| entry.index.0),
                _ => None,
            });
            let last = CUT + self.synced.log.len() as u64;
            if let Some(applied) = apart.filter(|&applied| applied <= last) {
                self.synced.applied = applied;
                self.written.applied = applied;
            }
        }
    }

    /// What a starting node reads.
    pub fn log_start(&self, keep_in_memory: u64) -> LogStart {
        let image = &self.written;
        let last = CUT + image.log.len() as u64;
        let mut hard_state = image.hard_state.clone();
        hard_state.commit = hard_state.commit.max(image.applied);
        let mut term_runs: Vec<(u64, u64)> = Vec::new();
        for entry in &image.log {
            if term_runs.last().is_none_or(|&(_, term)| term != entry.term) {
                term_runs.push((entry.index, entry.term));
            }
        }
        let from = image.applied.saturating_sub(keep_in_memory).max(CUT) + 1;
        LogStart {
            hard_state,
            conf_state: ConfState { voters: self.voters.clone(), ..ConfState::default() },
            applied: image.applied,
            cut: (CUT, 1),
            term_runs,
            tail: image.log[(from - CUT - 1) as usize..].to_vec(),
            last,
        }
    }

    pub fn entries(&self, from: u64, to: u64) -> Option<Vec<Entry>> {
        let (from, to) = ((from - CUT - 1) as usize, (to - CUT - 1) as usize);
        self.written.log.get(from..to.min(self.written.log.len())).map(<[Entry]>::to_vec)
    }

    pub fn last_index(&self) -> u64 {
        CUT + self.written.log.len() as u64
    }

    fn apply(&mut self, entries: &[Committed], seen: &mut Seen<'_>) {
        for entry in entries {
            let Payload::Batch(data) = &entry.what else { continue };
            let mut data = data.clone();
            if self.bug == Some(Bug::ApplyInAnotherOrder) && self.id.0 == 1 {
                data = turned_round(&data);
            }
            let forgetful = self.bug == Some(Bug::OutcomesForgotten);
            // Whose they are is looked at by whoever sees the effects.
            let nobody = Here { node: RaftId(0), boot: Boot(0) };
            let mut gathered = Gathered::default();
            apply_batch_with(
                &mut self.model,
                &data,
                nobody,
                &mut gathered,
                |model, time_ms, item, command| {
                    let Ok(effect) = match forgetful {
                        false => apply_item(model, time_ms, item, command),
                        true => apply_item(&mut Forgetful(model), time_ms, item, command),
                    };
                    seen(entry.index, item, &effect, model);
                    Ok::<Effect, Infallible>(Effect::only(effect.outcome))
                },
            )
            .expect("what a leader encoded can be read");
        }
    }

    fn write(&mut self, txn: Txn) {
        self.written.take(&txn);
        self.unsynced.push_back(txn);
    }

    fn make_safe(&mut self, txn: Txn) {
        self.synced.take(&txn);
        if let Txn::Apply(entries) = txn {
            self.since_old_model.push_back(entries);
        }
    }
}

impl Image {
    fn take(&mut self, txn: &Txn) {
        match txn {
            Txn::Boot(boot) => self.boot = *boot,
            Txn::Append(append) => {
                if let Some(first) = append.entries.first() {
                    self.log.truncate((first.index - CUT - 1) as usize);
                    assert_eq!(
                        first.index,
                        CUT + 1 + self.log.len() as u64,
                        "the log on the disk has no hole"
                    );
                    self.log.extend(append.entries.iter().cloned());
                }
                self.hard_state = append.hard_state.clone();
            }
            Txn::Apply(entries) => {
                if let Some(last) = entries.last() {
                    self.applied = last.index.0;
                }
            }
        }
    }
}

fn turned_round(data: &[u8]) -> bytes::Bytes {
    let mut batch = Batch::decode(data).expect("what a leader encoded can be read");
    batch.items.reverse();
    batch.encode().expect("what was decoded can be encoded").into()
}
