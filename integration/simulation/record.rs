//! What the clients of the simulation did and saw, for the judge, with simulated time.

use std::collections::{BTreeMap, BTreeSet};

use chat_actors::chat::command::{Change, Command};
use chat_actors::chat::model::Model;
use chat_actors::chat::outcome::{Done, Outcome};
use chat_actors::chat::portable::Imported;
use chat_actors::chat::tables::{MessageRow, Tables as _};
use chat_actors::ids::RoomId;
use chat_actors::messages::consensus::NotDone;

use super::Failure;
use super::host::Host;
use super::truth::Truth;
use super::world::Checked;
use crate::judge::{Call, End, History, Op, Shown};

/// How many of the newest messages a read shows.
const SHOWN: usize = 8;

#[derive(Default)]
pub struct Record {
    /// By user and id: mostly one, rarely others under the same id.
    writes: BTreeMap<(String, String), Vec<Write>>,
    /// Messages that imports brought, by author and either id.
    brought: BTreeMap<(String, String), Brought>,
    reads: Vec<Call>,
}

struct Brought {
    /// The earliest that it can have been there.
    called: u64,
    text: String,
    /// It came as its first version each time. Else nobody is told with which it began.
    is_first: bool,
}

/// All tries of one request.
struct Write {
    called: u64,
    change: Change,
    /// Tries that a node took, and of which nobody was told that they never take effect.
    open: u64,
    done: Option<(u64, Outcome)>,
    /// An edit that expected another version than this.
    missed: Option<(u64, u64)>,
}

impl Record {
    /// A node took this.
    pub fn asked(&mut self, command: &Command, now: u64) {
        if let Change::Import { items, .. } = &command.change {
            for item in items {
                let Imported::Message(one) = item else { continue };
                for id in [&one.message.id, &one.other_id] {
                    let key = (one.message.from.clone(), id.clone());
                    let (text, is_first) = (one.message.text.clone(), one.message.version == 1);
                    let brought = self.brought.entry(key);
                    let brought = brought.or_insert(Brought { called: now, text, is_first });
                    brought.is_first &= is_first;
                }
            }
        }
        if !matches!(command.change, Change::Send { .. } | Change::SendFiles { .. } | Change::Edit { .. }) {
            return;
        }
        let writes = self.writes.entry((command.user.clone(), command.id.clone())).or_default();
        if let Some(write) = writes.iter_mut().find(|write| write.change == command.change) {
            write.open += 1;
        } else {
            let change = command.change.clone();
            writes.push(Write { called: now, change, open: 1, done: None, missed: None });
        }
    }

    /// Somebody was told. `changed`: it is the one try that changed anything.
    pub fn told(&mut self, command: &Command, answer: &Result<Outcome, NotDone>, changed: bool, now: u64) {
        let writes = self.writes.get_mut(&(command.user.clone(), command.id.clone()));
        let mut writes = writes.into_iter().flatten();
        let Some(write) = writes.find(|write| write.change == command.change) else { return };
        match answer {
            Ok(outcome) if changed && write.done.is_none() => write.done = Some((now, outcome.clone())),
            Ok(_) | Err(NotDone::Unknown) => {}
            Err(why) => {
                write.open -= 1;
                if let NotDone::Refused(refusal) = why
                    && let Some(current) = refusal.current.as_deref().filter(|current| !current.deleted)
                {
                    write.missed = Some((now, current.version));
                }
            }
        }
    }

    /// A node answers a read with what it has, of one room or another.
    pub fn read(&mut self, host: &mut Host, number: u64, called: u64, now: u64, local: bool) {
        let connection = host.id.0 << 32 | host.life;
        let model = &mut host.disk.model;
        let at = model.present().0;
        let Ok(last) = model.last_room();
        if last == RoomId(0) {
            return;
        }
        let room = 1 + number % last.0;
        let mut shown: Vec<Shown> = model.messages(RoomId(room)).map(shown).collect();
        shown.drain(..shown.len().saturating_sub(SHOWN));
        let op = Op::Read { at, local, shown };
        self.reads.push(Call { connection, room, called, answered: Some(now), op });
    }

    /// The verdict, with all rooms as they are in the end.
    pub fn check(&mut self, truth: &Truth, end: &mut Model) -> Checked {
        let Ok(last) = end.last_room();
        let mut history = History { calls: std::mem::take(&mut self.reads), ..History::default() };
        let mut left_out = BTreeSet::new();
        for room in 1..=last.0 {
            history.rooms.insert(room, end.messages(RoomId(room)).map(shown).collect());
            let deleted = end.messages(RoomId(room)).filter(|row| row.message.deleted);
            left_out.extend(deleted.map(|row| (room, row.message.seq.0)));
            // An import chooses the room when it takes effect, and tells nobody for each message.
            for row in end.messages(RoomId(room)) {
                let key = (row.message.from.clone(), row.message.id.clone());
                let Some(Brought { called, text, is_first }) = self.brought.get(&key) else { continue };
                if !is_first {
                    left_out.insert((room, row.message.seq.0));
                }
                let id = format!("{}/{}", key.0, key.1);
                let op = Op::Send { id, text: text.clone(), end: End::Unknown };
                history.calls.push(Call { connection: 0, room, called: *called, answered: None, op });
            }
        }
        history.left_out = left_out;
        for (key, writes) in std::mem::take(&mut self.writes) {
            for write in writes.into_iter().filter(|write| !truth.is_forestalled(&key, &write.change)) {
                history.calls.extend(write.call(&key).filter(|call| history.rooms.contains_key(&call.room)));
            }
        }
        match history.verdict().into_iter().next() {
            None => Ok(()),
            Some(what) => Err(Failure { checker: "linearizable history", what }),
        }
    }
}

impl Write {
    fn call(self, (user, id): &(String, String)) -> Option<Call> {
        let not_done = || if self.open == 0 { End::Refused } else { End::Unknown };
        let mut answered = self.done.as_ref().map(|(when, _)| *when);
        let at = self.done.as_ref().map_or(0, |(_, outcome)| outcome.at.0);
        let done = self.done.as_ref().map(|(_, outcome)| &outcome.done);
        let (room, op) = match self.change {
            Change::Send { room, text, .. } | Change::SendFiles { room, text, .. } => {
                let end = match done {
                    Some(Done::Sent { seq, .. }) => End::Done((seq.0, at)),
                    _ => not_done(),
                };
                (room, Op::Send { id: format!("{user}/{id}"), text, end })
            }
            Change::Edit { room, seq, text, version, .. } => {
                let op = match (done, self.missed, version) {
                    (Some(Done::Edited { version: new }), ..) => {
                        Op::Edit { seq: seq.0, expects: version, text, end: End::Done((*new, at)) }
                    }
                    (_, Some((when, current)), Some(expects)) if self.open == 0 => {
                        answered = Some(when);
                        Op::Missed { seq: seq.0, expects, current }
                    }
                    _ => Op::Edit { seq: seq.0, expects: version, text, end: not_done() },
                };
                (room, op)
            }
            _ => return None,
        };
        Some(Call { connection: 0, room: room.0, called: self.called, answered, op })
    }
}

fn shown(row: &MessageRow) -> Shown {
    let message = &row.message;
    Shown {
        seq: message.seq.0,
        id: format!("{}/{}", message.from, message.id),
        version: message.version,
        text: message.text.clone(),
    }
}
