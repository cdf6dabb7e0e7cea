//! The actor that finds damage before people do.
//!
//! **Owns** what the replicas last said of their rows, and the thread that counts the file anew. **Is
//! told** `Counted` and `Replaced` by `Storage`, `Damaged` by readers, `PeerCounted`, `Members`, `Peers` and `LinkState`. **Is
//! asked** to `Vouch` for the rows before any of them go to another node: damage must not spread. **Tells**
//! the peers what the rows here came to, and the program, once, that this node cannot go on as the replica
//! that it is. **Never** mends anything: a node that is damaged leaves its file aside and gets the chat
//! anew from the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use rusqlite::{Connection, OpenFlags};
use tracing::{debug, error, warn};

use super::core::{Audit, Finding, Found};
use crate::bus::{Envelope, Meter, News, Port, Seat};
use crate::chat_db::damage::{is_damage, wrong_checksum};
use crate::chat_db::{entries, walk};
use crate::ids::RaftId;
use crate::membership::Roll;
use crate::messages::audit::{Counted, Damaged, PeerCounted, Unsound, Vouch};
use crate::messages::disk::Members;
use crate::messages::links::{Dismissal, Dismissed, Gossip, LinkState, Word};
use crate::messages::people::{Peers, Replaced};
use crate::metrics::Metrics;

/// The file is counted anew so long after the start …
const FIRST_COUNT: Duration = Duration::from_secs(10);
/// … and then as often as this: a row that went bad on the disk is found within the hour.
const COUNT_EVERY: Duration = Duration::from_secs(3600);
/// How often a damaged node looks whether it may leave its file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long each further voter waits before it does: longer than joining anew takes when little is to be
/// fetched, and then the voters are not complete.
const PLACE_WAITS: Duration = Duration::from_secs(20);

/// See the module.
pub struct Auditor {
    file: PathBuf,
    own: RaftId,
    core: Audit,
    began: Instant,
    peers: BTreeMap<RaftId, Port<Gossip>>,
    dismissed: News<Dismissed>,
    metrics: Metrics,
    work: Work,
}

/// What it does by itself, measured. Counting is done by a thread.
struct Work {
    count: Meter,
    counted_anew: Meter,
    look: Meter,
}

/// The file was counted anew.
struct CountedAnew(Found);

impl Message for CountedAnew {
    type Result = ();
}

impl Auditor {
    /// `file` is the node's `chat.db`, opened by a store before; `seat` is its own.
    pub fn new(
        file: &Path,
        own: RaftId,
        roll: Arc<Roll>,
        dismissed: News<Dismissed>,
        seat: &Seat,
        metrics: &Metrics,
    ) -> Self {
        let auditor = Self {
            file: file.to_owned(),
            own,
            core: Audit::new(own, roll, PLACE_WAITS),
            began: Instant::now(),
            peers: BTreeMap::new(),
            dismissed,
            metrics: metrics.clone(),
            work: Work {
                count: seat.meter("count"),
                counted_anew: seat.meter("counted_anew"),
                look: seat.meter("look"),
            },
        };
        auditor.show();
        auditor
    }

    /// Whether the rows are sound, on `/metrics`.
    fn show(&self) {
        self.metrics.rows_sound.set(self.core.vouch().is_ok().into());
    }

    fn judge(&self, finding: Finding) {
        match finding {
            Finding::Nothing => {}
            Finding::Differs { who, index } => {
                warn!(peer = %who, %index, "another node's rows differ from those of the majority");
            }
            Finding::Leave(word) => self.leave(word),
        }
    }

    fn leave(&self, word: String) {
        self.show();
        self.dismissed.publish(&Dismissed { by: self.own, why: Dismissal::Damaged, word });
    }

    fn found(&mut self, why: String) {
        if self.core.found(why.clone()) {
            error!("chat.db is damaged: {why}");
            self.show();
        }
    }

    fn look(&mut self) {
        let _handling = self.work.look.begin();
        if let Some(word) = self.core.look(self.began.elapsed()) {
            self.leave(word);
        }
    }

    fn count_anew(&mut self, to: Addr<Self>) {
        if self.core.begin_count() {
            self.count(to);
        }
    }

    fn count(&mut self, to: Addr<Self>) {
        let (file, meter) = (self.file.clone(), self.work.count.clone());
        let count = move || {
            let _handling = meter.begin();
            to.do_send(CountedAnew(check(&file)));
        };
        if let Err(error) = thread::Builder::new().name("audit".to_owned()).spawn(count) {
            warn!(%error, "no thread to count the rows anew: later");
            self.core.not_begun();
        }
    }
}

impl Actor for Auditor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_later(FIRST_COUNT, |auditor, ctx| auditor.count_anew(ctx.address()));
        ctx.run_interval(COUNT_EVERY, |auditor, ctx| auditor.count_anew(ctx.address()));
        ctx.run_interval(LOOK_EVERY, |auditor, _| auditor.look());
    }
}

impl Handler<Envelope<Counted>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Counted>, _: &mut Self::Context) {
        let (Counted { index, sum }, _handling) = envelope.open();
        for port in self.peers.values() {
            // Lost when the link is full: the next comparison is soon.
            let _full = port.offer(Gossip { word: Word::Rows { index, sum } });
        }
        let finding = self.core.report(self.own, index, sum);
        self.judge(finding);
    }
}

impl Handler<Envelope<PeerCounted>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<PeerCounted>, _: &mut Self::Context) {
        let (PeerCounted { from, index, sum }, _handling) = envelope.open();
        let finding = self.core.report(from, index, sum);
        self.judge(finding);
    }
}

impl Handler<Envelope<Members>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Members>, _: &mut Self::Context) {
        let (Members { roll }, _handling) = envelope.open();
        self.core.follow(roll);
    }
}

impl Handler<Envelope<LinkState>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LinkState>, _: &mut Self::Context) {
        let (link, _handling) = envelope.open();
        self.core.link(link.peer, link.up);
    }
}

impl Handler<Envelope<Replaced>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Replaced>, ctx: &mut Self::Context) {
        let (_replaced, _handling) = envelope.open();
        if self.core.replaced() {
            self.count(ctx.address());
        }
        self.show();
    }
}

impl Handler<Envelope<Vouch>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Vouch>, ctx: &mut Self::Context) {
        let (Vouch { reply }, _handling) = envelope.open();
        let word = self.core.vouch();
        if word == Err(Unsound::NotCounted) {
            self.count_anew(ctx.address());
        }
        let _nobody_waits = reply.send(word);
    }
}

impl Handler<Envelope<Damaged>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Damaged>, _: &mut Self::Context) {
        let (Damaged { why }, _handling) = envelope.open();
        self.found(why);
    }
}

impl Handler<Envelope<Peers>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Peers>, _: &mut Self::Context) {
        let (Peers { links }, _handling) = envelope.open();
        self.peers = links;
    }
}

impl Handler<CountedAnew> for Auditor {
    type Result = ();

    fn handle(&mut self, CountedAnew(found): CountedAnew, ctx: &mut Self::Context) {
        let _handling = self.work.counted_anew.begin();
        if self.core.counted(&found) {
            return self.count(ctx.address());
        }
        self.show();
        match found {
            Found::Sound => debug!("the rows were counted anew: all is well"),
            Found::Nothing => {}
            Found::Damaged(why) => self.found(why),
        }
    }
}

/// Reads the whole file. Only the rows and their sum have to be of one moment: the WAL cannot begin anew while a read
/// transaction lasts, so each look is one of its own.
fn check(file: &Path) -> Found {
    let read = || -> rusqlite::Result<Found> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        if let Some(why) = wrong_structure(&conn)? {
            return Ok(Found::Damaged(why));
        }
        entries::check(&conn)?;
        let moment = conn.unchecked_transaction()?;
        Ok(walk::difference(&moment)?.map_or(Found::Sound, Found::Damaged))
    };
    match read() {
        Ok(found) => found,
        // What is no error of SQLite's own is a value that no row of ours holds.
        Err(error) if is_damage(&error) || error.sqlite_error().is_none() => {
            Found::Damaged(match wrong_checksum(&error) {
                Some(wrong) => wrong.to_string(),
                None => format!("it cannot be read: {error}"),
            })
        }
        Err(error) => {
            warn!(%error, "the rows could not be counted anew: later");
            Found::Nothing
        }
    }
}

/// The first thing that SQLite finds wrong: with the pages of the file, then with a table and its indexes. A key that went
/// bad in an index alone leaves all rows as they were, and leads to the wrong ones.
fn wrong_structure(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let of_table = |table: &String| format!("PRAGMA integrity_check(\"{}\")", table.replace('"', "\"\""));
    let looks = std::iter::once("PRAGMA quick_check(1)".to_owned()).chain(tables.iter().map(of_table));
    for look in looks {
        let said: String = conn.query_row(&look, [], |row| row.get(0))?;
        if said != "ok" {
            return Ok(Some(said));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::{TestDir, batch, committed, send, setup, started};

    #[test]
    fn a_row_that_went_bad_is_found() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann"], 1);
        commands.extend((0..50).map(|number| send("ann", 1, &number.to_string(), "what was said")));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        assert_eq!(check(store.path()), Found::Sound);

        let other = Connection::open(store.path()).unwrap();
        other.execute("UPDATE messages SET text = 'what was sajd' WHERE seq = 17", []).unwrap();
        let Found::Damaged(why) = check(store.path()) else { panic!("it was not found") };
        assert!(why.contains("its rows come to"), "{why}");
        other.execute("UPDATE messages SET text = CAST(x'7768ff74' AS TEXT) WHERE seq = 17", []).unwrap();
        assert!(matches!(check(store.path()), Found::Damaged(_)), "no UTF-8");
        other.execute("UPDATE messages SET text = 'what was said' WHERE seq = 17", []).unwrap();
        assert_eq!(check(store.path()), Found::Sound);
    }

    /// It still holds as many keys in the same order, so neither the pages nor the rows tell.
    #[test]
    fn a_key_that_went_bad_in_an_index_is_found() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann"], 1);
        commands.extend(["first", "second", "third"].map(|id| send("ann", 1, id, "what was said")));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        let file = store.path().to_owned();
        store.write_back().unwrap();
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'messages_by_id'";
        let number: i64 = Connection::open(&file).unwrap().query_row(root, [], |row| row.get(0)).unwrap();
        drop(store);
        std::fs::remove_file(file.with_extension("db-wal")).unwrap();
        assert_eq!(check(&file), Found::Sound);

        let mut bytes = std::fs::read(&file).unwrap();
        let begin = (usize::try_from(number).unwrap() - 1) * 4096;
        let page = &mut bytes[begin..begin + 4096];
        let key = page.windows(6).position(|key| key == b"second").unwrap();
        page[key..key + 6].copy_from_slice(b"sekond");
        std::fs::write(&file, bytes).unwrap();
        let conn = Connection::open(&file).unwrap();
        let said: String = conn.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!((said.as_str(), walk::difference(&conn)), ("ok", Ok(None)));
        let Found::Damaged(why) = check(&file) else { panic!("it was not found") };
        assert!(why.contains("index messages_by_id"), "{why}");
    }

    #[test]
    fn a_page_that_went_bad_is_found_and_a_file_that_cannot_be_opened_is_no_damage() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        store.apply(&[committed(2, batch(1, &setup(&["ann"], 1)))], || false).unwrap();
        let file = store.path().to_owned();
        store.write_back().unwrap();
        drop(store);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[4096..].fill(0xee);
        std::fs::write(&file, bytes).unwrap();
        std::fs::remove_file(file.with_extension("db-wal")).unwrap();
        assert!(matches!(check(&file), Found::Damaged(_)));
        assert_eq!(check(&dir.path().join("gone.db")), Found::Nothing);
    }
}
