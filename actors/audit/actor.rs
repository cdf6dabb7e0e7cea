//! The actor that finds damage before people do.
//!
//! **Owns** what the replicas last said of their rows, and the thread that counts the file anew. **Is
//! told** `Counted` and `Replaced` by `Storage`, `Damaged` by readers, `PeerCounted`, `Members`, `Peers` and `LinkState`. **Is
//! asked** to `Vouch` for the rows before any of them go to another node: damage must not spread. **Tells**
//! the peers what the rows here came to, and the program, once, that this node cannot go on as the replica
//! that it is. **Never** mends anything: a node that is damaged leaves its file aside and gets the chat
//! anew from the others.
//!
//! Only ever a minority does that. Who differs from a majority is one. Who finds by itself that its file is
//! damaged cannot know how the others are: it goes on until all of them are there and vote, and they go one
//! after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use rusqlite::{Connection, OpenFlags};
use tracing::{debug, error, warn};

use super::comparing::{Comparison, Verdict};
use crate::bus::{Envelope, News, Port};
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
    comparison: Comparison,
    roll: Arc<Roll>,
    peers: BTreeMap<RaftId, Port<Gossip>>,
    up: BTreeSet<RaftId>,
    dismissed: News<Dismissed>,
    metrics: Metrics,
    counting: bool,
    /// What is being counted was replaced meanwhile.
    anew: bool,
    /// The rows were what they are to be, since this process began or they were replaced.
    sound: bool,
    /// Why the file is damaged, and since when nothing stands against leaving it.
    damaged: Option<(String, Option<Instant>)>,
    said: bool,
}

/// The file was counted anew.
struct CountedAnew(Result<Found, String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Sound,
    /// It could not be read, for a reason that is no damage.
    Nothing,
}

impl Message for CountedAnew {
    type Result = ();
}

impl Auditor {
    /// `file` is the node's `chat.db`, opened by a store before.
    pub fn new(
        file: &Path,
        own: RaftId,
        roll: Arc<Roll>,
        dismissed: News<Dismissed>,
        metrics: &Metrics,
    ) -> Self {
        let mut auditor = Self {
            file: file.to_owned(),
            own,
            comparison: Comparison::new(own),
            roll: Arc::default(),
            peers: BTreeMap::new(),
            up: BTreeSet::new(),
            dismissed,
            metrics: metrics.clone(),
            counting: false,
            anew: false,
            sound: false,
            damaged: None,
            said: false,
        };
        auditor.set_sound(false);
        auditor.follow(roll);
        auditor
    }

    fn follow(&mut self, roll: Arc<Roll>) {
        self.comparison.set_voters(voters(&roll).collect());
        self.roll = roll;
    }

    fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Differs { who, index } => {
                warn!(peer = %who, %index, "another node's rows differ from those of the majority");
            }
            Verdict::WeDiffer { index } => {
                self.leave(format!("the rows here differ from those of the majority as of entry {index}"));
            }
        }
    }

    fn set_sound(&mut self, sound: bool) {
        self.sound = sound;
        self.metrics.rows_sound.set(sound.into());
    }

    fn leave(&mut self, word: String) {
        if !std::mem::replace(&mut self.said, true) {
            self.set_sound(false);
            self.dismissed.publish(&Dismissed { by: self.own, why: Dismissal::Damaged, word });
        }
    }

    fn found(&mut self, why: String) {
        if self.damaged.is_none() {
            error!("chat.db is damaged: {why}");
            self.set_sound(false);
            self.damaged = Some((why, None));
        }
    }

    /// Leaves a file that was found damaged by itself, when every voter is there and it is this one's turn.
    fn look(&mut self) {
        let others = || voters(&self.roll).filter(|&voter| voter != self.own);
        // Who lost its file before this one has to vote again first: else few are left to decide.
        let all_vote = self.roll.rows.iter().filter(|row| !row.removed && !row.learner);
        let all_vote = all_vote.filter_map(|row| row.raft_id).all(|id| self.roll.conf.voters.contains(&id.0));
        let complete = all_vote && others().count() > 1 && others().all(|voter| self.up.contains(&voter));
        let place = others().filter(|&voter| voter < self.own).count();
        let Some((word, since)) = &mut self.damaged else { return };
        if !complete {
            *since = None;
            return;
        }
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        if waited >= PLACE_WAITS.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)) {
            let word = word.clone();
            self.leave(word);
        }
    }

    /// Where the rows stand, for whoever would take them.
    fn vouch(&self) -> Result<(), Unsound> {
        match (&self.damaged, self.sound) {
            (Some(_), _) => Err(Unsound::Damaged),
            (None, true) => Ok(()),
            (None, false) => Err(Unsound::NotCounted),
        }
    }

    fn count_anew(&mut self, to: Addr<Self>) {
        if self.counting {
            return;
        }
        let file = self.file.clone();
        let count = move || to.do_send(CountedAnew(check(&file)));
        match thread::Builder::new().name("audit".to_owned()).spawn(count) {
            Ok(_runs_alone) => self.counting = true,
            Err(error) => warn!(%error, "no thread to count the rows anew: later"),
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
        let verdict = self.comparison.report(self.own, index, sum);
        self.judge(verdict);
    }
}

impl Handler<Envelope<PeerCounted>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<PeerCounted>, _: &mut Self::Context) {
        let (PeerCounted { from, index, sum }, _handling) = envelope.open();
        let verdict = self.comparison.report(from, index, sum);
        self.judge(verdict);
    }
}

impl Handler<Envelope<Members>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Members>, _: &mut Self::Context) {
        let (Members { roll }, _handling) = envelope.open();
        self.follow(roll);
    }
}

impl Handler<Envelope<LinkState>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LinkState>, _: &mut Self::Context) {
        let (link, _handling) = envelope.open();
        if link.up {
            self.up.insert(link.peer);
        } else {
            self.up.remove(&link.peer);
        }
    }
}

impl Handler<Envelope<Replaced>> for Auditor {
    type Result = ();

    /// The state of another replica came in: is it what was promised?
    fn handle(&mut self, envelope: Envelope<Replaced>, ctx: &mut Self::Context) {
        let (_replaced, _handling) = envelope.open();
        self.set_sound(false);
        self.anew = self.counting;
        self.count_anew(ctx.address());
    }
}

impl Handler<Envelope<Vouch>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Vouch>, ctx: &mut Self::Context) {
        let (Vouch { reply }, _handling) = envelope.open();
        let word = self.vouch();
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
        self.counting = false;
        if std::mem::take(&mut self.anew) {
            // Of rows that are gone.
            return self.count_anew(ctx.address());
        }
        match found {
            Ok(Found::Sound) => {
                debug!("the rows were counted anew: all is well");
                self.set_sound(self.damaged.is_none());
            }
            Ok(Found::Nothing) => {}
            Err(why) => self.found(why),
        }
    }
}

fn voters(roll: &Roll) -> impl Iterator<Item = RaftId> {
    roll.conf.voters.iter().map(|&id| RaftId(id))
}

/// Reads the whole file, as of one moment.
///
/// # Errors
/// A sentence that says in what it is damaged.
fn check(file: &Path) -> Result<Found, String> {
    let read = || -> rusqlite::Result<Result<(), String>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        let transaction = conn.unchecked_transaction()?;
        let said: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Ok(Err(said));
        }
        entries::check(&transaction)?;
        Ok(walk::difference(&transaction)?.map_or(Ok(()), Err))
    };
    match read() {
        Ok(found) => found.map(|()| Found::Sound),
        // What is no error of SQLite's own is a value that no row of ours holds.
        Err(error) if is_damage(&error) || error.sqlite_error().is_none() => {
            Err(match wrong_checksum(&error) {
                Some(wrong) => wrong.to_string(),
                None => format!("it cannot be read: {error}"),
            })
        }
        Err(error) => {
            warn!(%error, "the rows could not be counted anew: later");
            Ok(Found::Nothing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::NodeRow;
    use crate::storage::testing::{TestDir, batch, committed, send, setup, started};

    fn auditor(file: &Path, roll: Roll) -> Auditor {
        Auditor::new(file, RaftId(1), Arc::new(roll), News::default(), &Metrics::new())
    }

    #[test]
    fn nobody_vouches_for_what_was_not_counted_or_is_damaged() {
        let mut auditor = auditor(Path::new("chat.db"), Roll::default());
        assert_eq!(auditor.vouch(), Err(Unsound::NotCounted));
        auditor.sound = true;
        assert_eq!(auditor.vouch(), Ok(()));
        auditor.found("a row went bad".to_owned());
        assert_eq!(auditor.vouch(), Err(Unsound::Damaged));
    }

    #[test]
    fn a_damaged_file_is_left_only_when_all_members_vote() {
        let row = |id| NodeRow {
            name: format!("node{id}"),
            raft_id: Some(RaftId(id)),
            disk: None,
            peer: String::new(),
            public: String::new(),
            learner: false,
            removed: false,
        };
        let mut roll = Roll { rows: vec![row(1), row(2), row(3), row(4)], ..Roll::default() };
        roll.conf.voters = vec![1, 2, 3];
        let mut auditor = auditor(Path::new("chat.db"), roll.clone());
        auditor.up.extend([2, 3, 4].map(RaftId));
        auditor.found("a row went bad".to_owned());
        auditor.look();
        assert!(!auditor.said, "node4 came back with an empty disk, and learns");
        roll.conf.voters.push(4);
        auditor.follow(Arc::new(roll));
        auditor.look();
        assert!(auditor.said);
    }

    #[test]
    fn a_row_that_went_bad_is_found() {
        let dir = TestDir::new();
        let (mut store, _) = started(&dir);
        let mut commands = setup(&["ann"], 1);
        commands.extend((0..50).map(|number| send("ann", 1, &number.to_string(), "what was said")));
        store.apply(&[committed(2, batch(1, &commands))], || false).unwrap();
        assert_eq!(check(store.path()), Ok(Found::Sound));

        let other = Connection::open(store.path()).unwrap();
        other.execute("UPDATE messages SET text = 'what was sajd' WHERE seq = 17", []).unwrap();
        let why = check(store.path()).unwrap_err();
        assert!(why.contains("its rows come to"), "{why}");
        other.execute("UPDATE messages SET text = CAST(x'7768ff74' AS TEXT) WHERE seq = 17", []).unwrap();
        assert!(check(store.path()).is_err(), "no UTF-8");
        other.execute("UPDATE messages SET text = 'what was said' WHERE seq = 17", []).unwrap();
        assert_eq!(check(store.path()), Ok(Found::Sound));
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
        assert!(check(&file).is_err());
        assert_eq!(check(&dir.path().join("gone.db")), Ok(Found::Nothing));
    }
}
