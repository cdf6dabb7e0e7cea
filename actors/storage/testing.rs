//! What the tests of storage and reader share: directories that go away, and stores that are founded.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use raft::eraftpb::{Entry, HardState};
use serde_bytes::ByteBuf;

use super::{Opened, Store};
use crate::chat::command::{Batch, Change, Command, Item, LEVEL};
use crate::chat::objects::RoomKind;
use crate::chat::script::Dice;
use crate::chat_db::rows::Stored;
use crate::ids::{At, Boot, LogIndex, Origin, RaftId, RoomId, Seq, Term};
use crate::membership::{Founding, Node};
use crate::messages::disk::{Append, Committed, Payload};

/// A directory of its own for each test.
pub struct TestDir(PathBuf);

impl TestDir {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("chat-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the node keeps its data; not there yet.
    pub fn data(&self) -> PathBuf {
        self.0.join("node1")
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub fn founding() -> Founding {
    let node = |id: u64| Node {
        name: format!("node{id}"),
        raft_id: RaftId(id),
        peer: format!("http://127.0.0.1:{}", 8200 + id),
        public: format!("http://127.0.0.1:{}", 8100 + id),
    };
    Founding { cluster: "c".repeat(32), epoch: "e".repeat(16), nodes: (1..=3).map(node).collect() }
}

/// A store of node1 in a founded chat, not started.
pub fn founded(dir: &TestDir) -> Store {
    let mut store = Store::open(&dir.data(), "node1").unwrap();
    store.propose_founding(&founding()).unwrap();
    store.confirm_founding().unwrap();
    store
}

pub fn started(dir: &TestDir) -> (Store, Opened) {
    let mut store = founded(dir);
    let opened = store.start().unwrap();
    (store, opened)
}

/// A store that joins that chat: with its raft id, and nothing else.
pub fn joining(dir: &TestDir) -> (Store, Opened) {
    let mut store = Store::open(&dir.data(), "node4").unwrap();
    let Founding { cluster, epoch, .. } = founding();
    let sql = "UPDATE raft_state SET foundation = 'founded', cluster = ?1, epoch = ?2, raft_id = 4";
    store.conn().execute(sql, [cluster, epoch]).unwrap();
    let opened = store.start().unwrap();
    (store, opened)
}

pub fn entry(index: u64, term: u64, data: &[u8]) -> Entry {
    Entry { index, term, data: Bytes::copy_from_slice(data), ..Entry::default() }
}

pub fn append(entries: Vec<Entry>, state: Option<(u64, u64, u64)>) -> Append {
    let (term, vote, commit) = state.unwrap_or((1, 0, 1));
    let hard_state = HardState { term, vote, commit, ..HardState::default() };
    Append { number: 1, snapshot: None, entries, hard_state }
}

/// A batch of commands, asked for by node 1 in its first run.
pub fn batch(time_ms: u64, commands: &[Command]) -> Vec<u8> {
    let item = |(number, command): (u64, &Command)| Item {
        origin: Origin { node: RaftId(1), boot: Boot(1), number },
        command: ByteBuf::from(command.encode().unwrap()),
    };
    Batch { level: LEVEL, time_ms, items: (0..).zip(commands).map(item).collect() }.encode().unwrap()
}

pub fn committed(index: u64, data: Vec<u8>) -> Committed {
    Committed { index: LogIndex(index), term: Term(1), what: Payload::Batch(data.into()) }
}

/// People, and public rooms made by the first of them in which all are.
pub fn setup(people: &[&str], rooms: u64) -> Vec<Command> {
    let mut commands = Vec::new();
    for (number, user) in (0..).zip(people) {
        let change = Change::Register {
            display: user.to_uppercase(),
            password_hash: "hash".into(),
            token_hash: [number; 32],
            first_is_admin: true,
            link: None,
            closed: false,
            agent: None,
        };
        commands.push(command(user, "register", change));
    }
    for room in 1..=rooms {
        let change =
            Change::CreateRoom { name: format!("room{room}"), kind: RoomKind::Public, topic: String::new() };
        commands.push(command(people[0], &format!("create {room}"), change));
        for user in &people[1..] {
            commands.push(command(user, &format!("join {room}"), Change::Join { room: RoomId(room) }));
        }
    }
    commands
}

pub fn command(user: &str, id: &str, change: Change) -> Command {
    Command { user: user.into(), id: id.into(), change }
}

pub fn send(user: &str, room: u64, id: &str, text: &str) -> Command {
    command(user, id, Change::Send { room: RoomId(room), text: text.into(), reply_to: None })
}

/// Who is in the rooms of [`Lively`].
pub const LIVELY: [&str; 3] = ["ann", "bob", "cleo"];

/// What people do in two rooms where much is said, and called, and some of it changed and deleted.
pub struct Lively {
    dice: Dice,
    number: u64,
    authors: [Vec<&'static str>; 2],
}

impl Lively {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), number: 0, authors: [Vec::new(), Vec::new()] }
    }

    /// The next so many commands. All of them can be done.
    pub fn commands(&mut self, count: usize) -> Vec<Command> {
        (0..count).map(|_| self.command()).collect()
    }

    fn command(&mut self) -> Command {
        const TEXTS: [&str; 6] = ["hello", "@bob", "@bob.", "@ann and @cleo", "see @ann-", "no"];
        self.number += 1;
        let id = format!("lively {}", self.number);
        let text = *self.dice.pick(&TEXTS);
        let room = u64::from(self.dice.percent(15));
        let authors = &mut self.authors[room as usize];
        if authors.is_empty() || self.dice.percent(80) {
            let user = *self.dice.pick(&LIVELY);
            authors.push(user);
            return send(user, room + 1, &id, text);
        }
        let (room, place) = (RoomId(room + 1), self.dice.below(authors.len() as u64) as usize);
        let seq = Seq(place as u64 + 1);
        // The first of them may delete everybody's; what is deleted is nobody's any more.
        if authors[place].is_empty() || self.dice.percent(50) {
            authors[place] = "";
            return command(LIVELY[0], &id, Change::Delete { room, seqs: vec![seq] });
        }
        let change = Change::Edit { room, seq, text: text.into(), version: None, keep: true };
        command(authors[place], &id, change)
    }
}

impl Store {
    /// Changes a row behind the store's back, at the next `at`.
    pub fn change_for_test(&mut self, sql: &str, at: At) -> rusqlite::Result<()> {
        self.conn().execute(sql, [Stored(at.0)])?;
        self.conn().execute("UPDATE raft_state SET applied_at = ?1", [Stored(at.0)]).map(|_| ())
    }
}
