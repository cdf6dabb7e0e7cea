//! The actor that finds damage before people do.
//!
//! **Owns** what the replicas last said of their rows, and the thread that counts the file anew. **Is
//! told** `Counted` and `Replaced` by `Storage`, `Damaged` by readers, `PeerCounted`, `Electorate` and `Peers`. **Tells** the peers what the
//! rows here came to, and the program, once, that this node cannot be trusted. **Never** mends anything:
//! a node that is damaged leaves its file aside and gets the chat anew from the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use super::comparing::{Comparison, Verdict};
use crate::bus::{Envelope, Port};
use crate::chat::digest::RowsSum;
use crate::chat_db::{entries, walk};
use crate::ids::RaftId;
use crate::messages::audit::{Counted, Damaged, Electorate, PeerCounted};
use crate::messages::links::{Gossip, Word};
use crate::messages::people::{Peers, Replaced};

/// The file is counted anew so long after the start …
const FIRST_COUNT: Duration = Duration::from_secs(10);
/// … and then as often as this: a row that went bad on the disk is found within the hour.
const COUNT_EVERY: Duration = Duration::from_secs(3600);

/// See the module.
pub struct Auditor {
    file: PathBuf,
    comparison: Comparison,
    peers: BTreeMap<RaftId, Port<Gossip>>,
    own: RaftId,
    /// Until it was said.
    damaged: Option<oneshot::Sender<String>>,
    counting: bool,
}

/// The file was counted anew.
struct CountedAnew(Result<(), String>);

impl Message for CountedAnew {
    type Result = ();
}

impl Auditor {
    /// `file` is the node's `chat.db`, opened by a store before; `damaged` is told why it cannot be trusted.
    pub fn new(file: &Path, own: RaftId, damaged: oneshot::Sender<String>) -> Self {
        Self {
            file: file.to_owned(),
            comparison: Comparison::new(own),
            peers: BTreeMap::new(),
            own,
            damaged: Some(damaged),
            counting: false,
        }
    }

    fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Differs { who, index } => {
                warn!(peer = %who, %index, "another node's rows differ from those of the majority");
            }
            Verdict::WeDiffer { index } => {
                self.give_up(&format!("the rows here differ from those of the majority as of entry {index}"));
            }
        }
    }

    fn give_up(&mut self, why: &str) {
        if let Some(damaged) = self.damaged.take() {
            error!("this node's chat.db is damaged: {why}");
            let _stopping = damaged.send(why.to_owned());
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

impl Handler<Envelope<Electorate>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Electorate>, _: &mut Self::Context) {
        let (Electorate { voters }, _handling) = envelope.open();
        self.comparison.set_voters(voters);
    }
}

impl Handler<Envelope<Replaced>> for Auditor {
    type Result = ();

    /// The state of another replica came in: is it what was promised?
    fn handle(&mut self, envelope: Envelope<Replaced>, ctx: &mut Self::Context) {
        let (_replaced, _handling) = envelope.open();
        self.count_anew(ctx.address());
    }
}

impl Handler<Envelope<Damaged>> for Auditor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Damaged>, _: &mut Self::Context) {
        let (Damaged { why }, _handling) = envelope.open();
        self.give_up(&why);
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

    fn handle(&mut self, CountedAnew(found): CountedAnew, _: &mut Self::Context) {
        self.counting = false;
        match found {
            Ok(()) => debug!("the rows were counted anew: all is well"),
            Err(why) => self.give_up(&why),
        }
    }
}

/// Reads the whole file, as of one moment.
///
/// # Errors
/// A sentence that says in what it is damaged.
fn check(file: &Path) -> Result<(), String> {
    let read = || -> rusqlite::Result<Result<(), String>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        let transaction = conn.unchecked_transaction()?;
        let said: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Ok(Err(said));
        }
        entries::check(&transaction)?;
        let kept: Option<[u8; 16]> =
            transaction.query_row("SELECT rows_sum FROM raft_state", [], |row| row.get(0))?;
        let Some(kept) = kept.map(RowsSum::from_bytes) else { return Ok(Ok(())) };
        let found = walk::sum(&transaction)?;
        Ok(if found == kept {
            Ok(())
        } else {
            Err(format!("its rows come to {found}, and {kept} was written down with them"))
        })
    };
    read().unwrap_or_else(|error| Err(format!("it cannot be read: {error}")))
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
        assert_eq!(check(store.path()), Ok(()));

        let other = Connection::open(store.path()).unwrap();
        other.execute("UPDATE messages SET text = 'what was sajd' WHERE seq = 17", []).unwrap();
        let why = check(store.path()).unwrap_err();
        assert!(why.contains("its rows come to"), "{why}");
        other.execute("UPDATE messages SET text = 'what was said' WHERE seq = 17", []).unwrap();
        assert_eq!(check(store.path()), Ok(()));
    }

    #[test]
    fn a_file_that_is_no_file_any_more_is_found() {
        let dir = TestDir::new();
        assert!(check(&dir.path().join("gone.db")).is_err());
    }
}
