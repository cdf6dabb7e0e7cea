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
use chat_actors::chat::tables::Row;
use chat_actors::chat_db::pages::{Header, Position};
use chat_actors::ids::{At, Boot, LogIndex, RaftId, Term};
use chat_actors::membership::{Founding, Node, NodeRow, Roll};
use chat_actors::messages::disk::{Append, Committed, Install, Payload};
use chat_actors::raft::log_view::LogStart;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState};
use serde_bytes::ByteBuf;

use super::bugs::{Bug, Forgetful};
use super::dice::Dice;

/// Index and term at which every founder's log is cut.
const CUT: (u64, u64) = (1, 1);

/// One state of the file.
#[derive(Clone, Default)]
pub struct Image {
    pub boot: u64,
    pub hard_state: HardState,
    /// The entry before the first: index and term.
    pub cut: (u64, u64),
    pub log: Vec<Entry>,
    pub applied: u64,
    /// Who is in the cluster, as of `applied`.
    pub conf: ConfState,
    /// By name.
    pub nodes: Vec<NodeRow>,
}

/// A page of state under way or come in: the head that a real one has, and its rows.
#[derive(Clone, Debug)]
pub struct StatePage {
    pub header: Header,
    pub rows: Vec<Row>,
    pub nodes: Vec<NodeRow>,
}

/// Sees each command applied: its entry's index, the item, its effect, the tables right after it.
pub type Seen<'a> = dyn FnMut(LogIndex, &Item, &Effect, &mut Model) + 'a;

/// One transaction.
#[derive(Clone)]
enum Txn {
    Boot(u64),
    /// With the rows of the snapshot in it.
    Append(Rc<Append>, Option<Change>),
    Change(Change),
    Compact(u64),
}

/// What a transaction does to the tables.
#[derive(Clone)]
enum Change {
    Apply(Rc<Vec<Committed>>),
    /// The rows of pages that were fetched, and the `at` that they bring the tables to.
    Rows(At, Rc<Vec<Row>>, Rc<Vec<NodeRow>>),
}

#[derive(Clone)]
pub struct Disk {
    pub id: RaftId,
    /// Everybody, as whoever let this disk in has said.
    admitted_among: Vec<Node>,
    pub written: Image,
    synced: Image,
    unsynced: VecDeque<Txn>,
    /// The tables as written.
    pub model: Model,
    /// The tables some way back, and the transactions that lead from there to what is synced.
    old_model: Model,
    since_old_model: VecDeque<Change>,
    /// Pages that came in; never synced.
    pub incoming: Vec<StatePage>,
    /// A sync has failed: whatever a later one says, nothing more becomes safe.
    broken: bool,
    pub bug: Option<Bug>,
}

impl Disk {
    pub fn founded(id: RaftId, voters: Vec<u64>, bug: Option<Bug>) -> Self {
        let hard_state = HardState { term: CUT.1, commit: CUT.0, ..HardState::default() };
        let nodes = voters.iter().map(|&id| founder(id)).collect();
        let conf = ConfState { voters, ..ConfState::default() };
        let image = Image { hard_state, applied: CUT.0, cut: CUT, conf, nodes, ..Image::default() };
        Self::of(id, Vec::new(), image, bug)
    }

    /// An empty one that was let into a living cluster.
    pub fn admitted(id: RaftId, among: Vec<Node>, bug: Option<Bug>) -> Self {
        Self::of(id, among, Image::default(), bug)
    }

    fn of(id: RaftId, admitted_among: Vec<Node>, image: Image, bug: Option<Bug>) -> Self {
        Self {
            id,
            admitted_among,
            written: image.clone(),
            synced: image,
            unsynced: VecDeque::new(),
            model: Model::default(),
            old_model: Model::default(),
            since_old_model: VecDeque::new(),
            incoming: Vec::new(),
            broken: false,
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
        let rows = append.snapshot.as_ref().map(|install| self.installed(install));
        if let Some(rows) = &rows {
            self.play(rows, &mut |_, _, _, _| {});
        }
        if self.bug == Some(Bug::PositionWithoutRows) {
            self.write(Txn::Append(Rc::new(append), None));
            self.unsynced.extend(rows.map(Txn::Change));
        } else {
            self.write(Txn::Append(Rc::new(append), rows));
        }
    }

    /// What the pages that came in make of the tables.
    fn installed(&self, install: &Install) -> Change {
        let pages = self.incoming.iter().take(install.pages as usize);
        let nodes = pages.clone().next_back().map(|page| page.nodes.clone()).unwrap_or_default();
        let rows = pages.flat_map(|page| page.rows.iter().cloned()).collect();
        Change::Rows(install.position.at, Rc::new(rows), Rc::new(nodes))
    }

    /// Forgets a few log entries, the oldest first.
    pub fn write_compact(&mut self, to: u64) {
        self.write(Txn::Compact(to));
    }

    /// Applies committed entries to the tables; tells what each command brought about.
    pub fn write_apply(&mut self, entries: Vec<Committed>, seen: &mut Seen<'_>) {
        let change = Change::Apply(Rc::new(entries));
        self.play(&change, seen);
        self.write(Txn::Change(change));
    }

    /// An fsync of the write-ahead log: all that was written is safe.
    pub fn sync(&mut self) {
        if self.broken {
            return;
        }
        while let Some(txn) = self.unsynced.pop_front() {
            self.make_safe(txn);
        }
    }

    /// A sync fails. What it was to make safe is gone from the write-ahead log, and all behind it with it.
    pub fn fail(&mut self) {
        self.broken = true;
    }

    /// The power goes: any prefix of what was not synced survives.
    pub fn power_cut(&mut self, dice: &mut Dice) {
        let count = self.unsynced.len();
        let survives = match dice.below(3) {
            _ if std::mem::take(&mut self.broken) => 0,
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
        for change in std::mem::take(&mut self.since_old_model) {
            self.play(&change, &mut |_, _, _, _| {});
        }
        self.old_model = self.model.clone();
        // Files that nobody synced: any of the last ones may be gone.
        self.incoming.truncate(dice.index(self.incoming.len() + 1));
        if self.bug == Some(Bug::AppliedApartFromRows) {
            // The position has its own place and its own sync; the rows did not make it.
            let apart = lost.iter().rev().find_map(|txn| match txn {
                Txn::Change(Change::Apply(entries)) => entries.last().map(|entry| entry.index.0),
                _ => None,
            });
            let last = self.last_index();
            if let Some(applied) = apart.filter(|&applied| applied <= last) {
                self.synced.applied = applied;
                self.written.applied = applied;
            }
        }
    }

    /// What a starting node reads.
    pub fn log_start(&self, keep_in_memory: u64) -> LogStart {
        let image = &self.written;
        let last = self.last_index();
        let mut hard_state = image.hard_state.clone();
        hard_state.commit = hard_state.commit.max(image.applied);
        let mut term_runs: Vec<(u64, u64)> = Vec::new();
        for entry in &image.log {
            if term_runs.last().is_none_or(|&(_, term)| term != entry.term) {
                term_runs.push((entry.index, entry.term));
            }
        }
        let cut = image.cut.0;
        let from = image.applied.saturating_sub(keep_in_memory).max(cut) + 1;
        LogStart {
            hard_state,
            conf_state: image.conf.clone(),
            applied: image.applied,
            cut: image.cut,
            term_runs,
            tail: image.log[(from - cut - 1) as usize..].to_vec(),
            last,
        }
    }

    pub fn entries(&self, from: u64, to: u64) -> Option<Vec<Entry>> {
        let place = |index: u64| index.checked_sub(self.written.cut.0 + 1).map(|place| place as usize);
        let (from, to) = (place(from)?, place(to)?);
        self.written.log.get(from..to.min(self.written.log.len())).map(<[Entry]>::to_vec)
    }

    /// Everybody as of the applied entry.
    pub fn roll(&self) -> Roll {
        let image = &self.written;
        if image.nodes.is_empty() {
            let nodes = self.admitted_among.clone();
            return Roll::provisional(
                &Founding { cluster: String::new(), epoch: String::new(), nodes },
                self.id,
            );
        }
        Roll { rows: image.nodes.clone(), conf: image.conf.clone() }
    }

    pub fn last_index(&self) -> u64 {
        self.written.last()
    }

    /// Where the tables stand, as whoever asks for state is told.
    pub fn position(&self) -> Position {
        let image = &self.written;
        Position {
            index: LogIndex(image.applied),
            term: Term(image.term_of(image.applied)),
            at: self.model.present(),
            known_term: Term(image.hard_state.term),
            conf_state: ByteBuf::from(image.conf.write_to_bytes().expect("it can always be encoded")),
            ..Position::default()
        }
    }

    /// So many rows behind `after`, or a few more: those that share an `at` stay together.
    pub fn state_page(&self, after: At, rows_max: usize) -> StatePage {
        let mut rows = self.model.rows();
        rows.retain(|row| row.at() > after);
        rows.sort_by_key(Row::at);
        let cut = rows.get(rows_max).map(|row| row.at());
        let whole = cut.map_or(rows.len(), |at| {
            let fits = rows.partition_point(|row| row.at() < at);
            if fits > 0 { fits } else { rows.partition_point(|row| row.at() <= at) }
        });
        let end = whole == rows.len();
        rows.truncate(whole);
        let position = self.position();
        let up_to = if end { position.at } else { rows.last().map_or(after, Row::at) };
        let header = Header {
            layout: 1,
            format: 1,
            from: after,
            up_to,
            end,
            position,
            rows: rows.len() as u64,
            compression: String::new(),
            bytes: 0,
        };
        StatePage { header, rows, nodes: self.written.nodes.clone() }
    }

    fn play(&mut self, change: &Change, seen: &mut Seen<'_>) {
        match change {
            Change::Apply(entries) => self.apply(entries, seen),
            Change::Rows(at, rows, _) => self.model.install(*at, rows),
        }
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
            apply_batch_with(&mut self.model, &data, nobody, &mut gathered, |model, stamp, item, command| {
                let Ok(effect) = match forgetful {
                    false => apply_item(model, stamp, item, command),
                    true => apply_item(&mut Forgetful(model), stamp, item, command),
                };
                seen(entry.index, item, &effect, model);
                Ok::<Effect, Infallible>(Effect::only(effect.outcome))
            })
            .expect("what a leader encoded can be read");
        }
    }

    fn write(&mut self, txn: Txn) {
        self.written.take(&txn);
        self.unsynced.push_back(txn);
    }

    fn make_safe(&mut self, txn: Txn) {
        self.synced.take(&txn);
        if let Txn::Change(change) | Txn::Append(_, Some(change)) = txn {
            self.since_old_model.push_back(change);
        }
    }
}

impl Image {
    fn take(&mut self, txn: &Txn) {
        match txn {
            Txn::Boot(boot) => self.boot = *boot,
            Txn::Append(append, rows) => {
                if let Some(Change::Rows(_, _, nodes)) = rows {
                    self.nodes = nodes.to_vec();
                }
                if let Some(Install { position, .. }) = &append.snapshot {
                    self.conf = ConfState::parse_from_bytes(&position.conf_state).expect("a source wrote it");
                    self.log.clear();
                    self.cut = (position.index.0, position.term.0);
                    self.applied = position.index.0;
                }
                if let Some(first) = append.entries.first() {
                    self.log.truncate((first.index - self.cut.0 - 1) as usize);
                    assert_eq!(first.index, self.last() + 1, "the log on the disk has no hole");
                    self.log.extend(append.entries.iter().cloned());
                }
                self.hard_state = append.hard_state.clone();
            }
            Txn::Change(Change::Apply(entries)) => {
                entries.iter().for_each(|entry| self.change_members(&entry.what));
                if let Some(last) = entries.last() {
                    self.applied = last.index.0;
                }
            }
            Txn::Change(Change::Rows(_, _, nodes)) => self.nodes = nodes.to_vec(),
            Txn::Compact(to) => {
                let term = self.term_of(*to);
                self.log.drain(..(to - self.cut.0) as usize);
                self.cut = (*to, term);
            }
        }
    }

    fn change_members(&mut self, what: &Payload) {
        let row = match what {
            Payload::Conf(conf, row) => {
                self.conf = conf.clone();
                row
            }
            Payload::Node(row) => row,
            Payload::Empty | Payload::Batch(_) => return,
        };
        if row.is_empty() {
            return;
        }
        let row = NodeRow::decode(row).expect("what a leader encoded can be read");
        self.nodes.retain(|other| other.name != row.name);
        self.nodes.push(row);
        self.nodes.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn last(&self) -> u64 {
        self.cut.0 + self.log.len() as u64
    }

    fn term_of(&self, index: u64) -> u64 {
        match index.checked_sub(self.cut.0 + 1) {
            None => self.cut.1,
            Some(place) => self.log[place as usize].term,
        }
    }
}

/// The row of one who founded the cluster.
fn founder(id: u64) -> NodeRow {
    NodeRow {
        name: format!("node{id}"),
        raft_id: Some(RaftId(id)),
        disk: None,
        peer: format!("http://node{id}:1"),
        public: format!("http://node{id}:2"),
        learner: false,
        removed: false,
    }
}

fn turned_round(data: &[u8]) -> bytes::Bytes {
    let mut batch = Batch::decode(data).expect("what a leader encoded can be read");
    batch.items.reverse();
    batch.encode().expect("what was decoded can be encoded").into()
}
