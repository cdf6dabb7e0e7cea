//! `FileCarrier`: sees that files are where they should be.
//!
//! - **Owns** the connections to the other nodes that carry files.
//! - **Is told** Find, Secure, Fetch.
//! - **Tells** `FileShelf` what came and what is not needed; asks `Reader` which files messages hold.
//! - **Never** has more of a file in memory than a piece, never carries more than a few at a time to one node.
//!
//! Besides what it is asked for it looks, about once a second, for files that messages hold and this disk does
//! not, and fetches them ([`super::upkeep`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler};
use futures_util::future::{LocalBoxFuture, Shared};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, watch};

use super::nodes::{Asking, OtherNodes};
use super::receive::{seal, shared, take_in};
use super::securing::{Securing, Step};
use super::upkeep;
use super::wire::{AskHeld, Held};
use crate::bus::{Envelope, Port, ask_anyway};
use crate::ids::{At, FileId, RaftId};
use crate::membership::Roll;
use crate::messages::consensus::ReadBarrier;
use crate::messages::files::{
    BeginCopy, Discard, Discredit, Fetch, Find, Finish, Hold, Idle, Lacking, NextFile, NotSecured, OpenFile,
    Secure,
};
use crate::messages::reading::{AttachmentsAfter, InMessages};
use crate::metrics::Metrics;
use crate::peer_link::client::Failure;

/// Whoever sends a message with files waits so long for the other nodes; the sending goes on behind that.
const SECURE_WITHIN: Duration = Duration::from_millis(2_800);
/// A file may stand still on its way for so long.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Files that are carried to and from one node at the same time: one that hangs holds up no other.
const CARRIED_MAX: usize = 4;

/// Who it is, and how often it looks.
#[derive(Clone, Debug)]
pub struct FileCarrierConfig {
    pub asking: Asking,
    /// How long an upload stays that no message holds.
    pub unsent: Duration,
}

/// Whom it asks and tells.
#[derive(Clone)]
pub struct FileCarrierPorts {
    pub hold: Port<Hold>,
    pub begin_copy: Port<BeginCopy>,
    pub finish: Port<Finish>,
    pub open_file: Port<OpenFile>,
    pub discredit: Port<Discredit>,
    pub lacking: Port<Lacking>,
    pub idle: Port<Idle>,
    pub discard: Port<Discard>,
    pub next_file: Port<NextFile>,
    pub attachments_after: Port<AttachmentsAfter>,
    pub in_messages: Port<InMessages>,
    pub barrier: Port<ReadBarrier>,
    pub roll: watch::Receiver<Arc<Roll>>,
    pub metrics: Metrics,
}

/// See the module.
pub struct FileCarrier {
    work: Rc<Work>,
}

impl FileCarrier {
    pub fn start_on_own_thread(config: FileCarrierConfig, ports: FileCarrierPorts) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| Self { work: Rc::new(Work::new(config, ports)) })
    }
}

impl Actor for FileCarrier {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        actix::spawn(upkeep::fetch_for_ever(Rc::clone(&self.work)));
        actix::spawn(upkeep::collect_for_ever(Rc::clone(&self.work)));
    }
}

impl Handler<Envelope<Find>> for FileCarrier {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Find>, _: &mut Self::Context) {
        let (Find { user, files, seen, hold, everywhere, reply }, _handling) = envelope.open();
        let work = Rc::clone(&self.work);
        actix::spawn(async move {
            let ask = AskHeld { user, files, hold };
            let _nobody_waits = reply.send(work.find(ask, &seen, everywhere).await);
        });
    }
}

impl Handler<Envelope<Secure>> for FileCarrier {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Secure>, _: &mut Self::Context) {
        let (Secure { files, reply }, _handling) = envelope.open();
        let work = Rc::clone(&self.work);
        actix::spawn(async move {
            let secured = tokio::time::timeout(SECURE_WITHIN, work.secure(files)).await;
            let _nobody_waits = reply.send(secured.unwrap_or(Err(NotSecured::NotYet)));
        });
    }
}

impl Handler<Envelope<Fetch>> for FileCarrier {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Fetch>, _: &mut Self::Context) {
        let (Fetch { file, reply }, _handling) = envelope.open();
        let fetching = self.work.fetch(file);
        actix::spawn(async move {
            let _nobody_waits = reply.send(fetching.await.is_ok());
        });
    }
}

/// A file on its way, for all who wait for it. Goes on when none of them does any more.
type Carrying = Shared<LocalBoxFuture<'static, Result<(), String>>>;

/// What the actor and all that it has begun share.
pub(super) struct Work {
    pub(super) config: FileCarrierConfig,
    pub(super) ports: FileCarrierPorts,
    pub(super) nodes: OtherNodes,
    pushing: RefCell<HashMap<(RaftId, FileId), Carrying>>,
    fetching: RefCell<HashMap<FileId, Carrying>>,
    turns: RefCell<HashMap<RaftId, Rc<Semaphore>>>,
}

impl Work {
    fn new(config: FileCarrierConfig, ports: FileCarrierPorts) -> Self {
        let nodes = OtherNodes::new(config.asking.clone(), ports.roll.clone());
        let (pushing, fetching, turns) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { config, ports, nodes, pushing, fetching, turns }
    }

    /// What is known of files anywhere. Others are asked, and waited for, only while not enough is known, unless
    /// `everywhere`.
    async fn find(&self, ask: AskHeld, seen: &[bool], everywhere: bool) -> Vec<Held> {
        let enough = |found: &[Held]| {
            let of_one =
                |(held, seen): (&Held, &bool)| held.bytes.is_some() && (held.uploaded.is_some() || *seen);
            !everywhere && found.iter().zip(seen).all(of_one)
        };
        let mut found = self.here(&ask).await;
        if enough(&found) {
            return found;
        }
        let mut answers = self.nodes.ask_each(&ask);
        while let Some((_, theirs)) = answers.recv().await {
            for (known, theirs) in found.iter_mut().zip(theirs) {
                known.join(theirs);
            }
            if enough(&found) {
                break;
            }
        }
        found
    }

    async fn here(&self, ask: &AskHeld) -> Vec<Held> {
        let AskHeld { user, files, hold } = ask.clone();
        let count = files.len();
        let held = ask_anyway(&self.ports.hold, |reply| Hold { user, files, hold, reply }).await;
        held.unwrap_or_else(|_| vec![Held::default(); count])
    }

    /// See [`Secure`].
    async fn secure(self: Rc<Self>, files: Vec<FileId>) -> Result<(), NotSecured> {
        let ask = AskHeld { user: String::new(), files, hold: true };
        let mut answers = self.nodes.ask_each(&ask);
        let mut securing = Securing::new(self.nodes.own(), self.nodes.roll().conf.clone(), &ask.files);
        securing.heard(self.nodes.own(), &self.here(&ask).await);
        let (mut all_heard, mut carried) = (false, FuturesUnordered::new());
        loop {
            for step in securing.steps() {
                let carrying = match step {
                    Step::Fetch { file } => self.fetch(file),
                    Step::Push { file, to } => self.push(to, file),
                };
                carried.push(async move { (step, carrying.await) });
            }
            if let Some(done) = securing.outcome(all_heard) {
                return done;
            }
            tokio::select! {
                answer = answers.recv(), if !all_heard => match answer {
                    Some((node, held)) => securing.heard(node, &held),
                    None => all_heard = true,
                },
                Some((step, done)) = carried.next() => securing.carried(step, done),
            }
        }
    }

    fn push(self: &Rc<Self>, peer: RaftId, file: FileId) -> Carrying {
        let work = Rc::clone(self);
        carry(self, |work| &work.pushing, (peer, file), async move {
            let turns = work.turns_at(peer);
            let _turn = turns.acquire().await;
            let opened = ask_anyway(&work.ports.open_file, |reply| OpenFile { file, reply }).await;
            let Ok(Some(opened)) = opened else {
                return Err("the file is gone".to_owned());
            };
            let pushed = work.nodes.push(peer, file, opened, work.ports.discredit.clone()).await;
            pushed.map_err(|failure| failure.to_string())
        })
    }

    /// Brings a file here, unless it is here.
    pub(super) fn fetch(self: &Rc<Self>, file: FileId) -> Carrying {
        let work = Rc::clone(self);
        carry(self, |work| &work.fetching, file, async move {
            let ask = AskHeld { user: String::new(), files: vec![file], hold: true };
            if work.here(&ask).await[0].bytes.is_some() {
                return Ok(());
            }
            let mut why = "no node that answers has it".to_owned();
            let mut answers = work.nodes.ask_each(&ask);
            while let Some((peer, held)) = answers.recv().await {
                if held[0].bytes.is_none() {
                    continue;
                }
                match work.fetch_from(peer, file).await {
                    Ok(()) => return Ok(()),
                    Err(reason) => why = reason,
                }
            }
            tracing::debug!(%file, why, "a file cannot be fetched");
            Err(why)
        })
    }

    fn turns_at(&self, peer: RaftId) -> Rc<Semaphore> {
        let mut turns = self.turns.borrow_mut();
        Rc::clone(turns.entry(peer).or_insert_with(|| Rc::new(Semaphore::new(CARRIED_MAX))))
    }

    async fn fetch_from(&self, peer: RaftId, file: FileId) -> Result<(), String> {
        let turns = self.turns_at(peer);
        let _turn = turns.acquire().await;
        let got = self.nodes.get(peer, file).await;
        let (body, bytes) = got.map_err(|failure: Failure| failure.to_string())?;
        let began = ask_anyway(&self.ports.begin_copy, |reply| BeginCopy { file, bytes, reply }).await;
        let partial = began.map_err(|gone| gone.to_string())?.map_err(|error| error.to_string())?;
        let partial = shared(partial);
        take_in(&partial, 0, body, PAUSE_MAX).await.map_err(|cut| cut.to_string())?;
        seal(&partial).await.map_err(|error| error.to_string())?;
        let partial = Arc::into_inner(partial).and_then(|partial| partial.into_inner().ok());
        let partial = partial.ok_or("its bytes are still being written")?;
        let finished = ask_anyway(&self.ports.finish, |reply| Finish { partial, at: At(0), reply }).await;
        finished.map_err(|gone| gone.to_string())?.map_err(|error| error.to_string())?;
        self.ports.metrics.files_fetched.inc();
        self.ports.metrics.files_fetched_bytes.inc_by(bytes);
        Ok(())
    }
}

/// Begins to carry something, unless it is on its way already.
fn carry<K: Copy + Eq + Hash + 'static>(
    work: &Rc<Work>,
    on_the_way: fn(&Work) -> &RefCell<HashMap<K, Carrying>>,
    what: K,
    carrying: impl Future<Output = Result<(), String>> + 'static,
) -> Carrying {
    if let Some(begun) = on_the_way(work).borrow().get(&what) {
        return begun.clone();
    }
    let begun = carrying.boxed_local().shared();
    on_the_way(work).borrow_mut().insert(what, begun.clone());
    let (work, ending) = (Rc::clone(work), begun.clone());
    actix::spawn(async move {
        let _told = ending.await;
        on_the_way(&work).borrow_mut().remove(&what);
    });
    begun
}
