//! The actor that looks how much room there is.
//!
//! **Owns** the last look at the file system of `data_dir`. **Is told** `Peers` and `Fetched`. **Tells** `RaftNode` and every
//! peer, once a second, how much room this node has and how far state is that is on its way to it. **Never** writes anything, and never waits for another
//! actor. It has a thread of its own: on a disk that hangs, a look may hang with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler};
use nix::sys::statvfs::statvfs;
use tracing::{info, warn};

use crate::bus::{Envelope, Meter, Port, Seat};
use crate::ids::RaftId;
use crate::messages::links::{Gossip, Word};
use crate::messages::news::{DiskReport, DiskRoom};
use crate::messages::people::Peers;
use crate::messages::transfer::{Fetched, Transfer};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const MB: u128 = 1_000_000;

/// Whose disk it is, and when it is nearly full.
#[derive(Clone, Debug)]
pub struct DiskWatchConfig {
    pub own: RaftId,
    pub node: String,
    pub data_dir: PathBuf,
    /// With less room than this the disk is nearly full; 0: never.
    pub reserve_mb: u64,
}

/// See the module.
pub struct DiskWatch {
    config: DiskWatchConfig,
    reports: Port<DiskReport>,
    looking: Meter,
    peers: BTreeMap<RaftId, Port<Gossip>>,
    transfer: Option<Transfer>,
    /// As of the last look.
    low: bool,
    /// A look failed, and that was said.
    blind: bool,
}

impl DiskWatch {
    /// `seat` is its own.
    pub fn new(config: DiskWatchConfig, reports: Port<DiskReport>, seat: &Seat) -> Self {
        let looking = seat.meter("look");
        Self { config, reports, looking, peers: BTreeMap::new(), transfer: None, low: false, blind: false }
    }

    pub fn start_on_own_thread(self) -> Addr<Self> {
        Self::start_in_arbiter(&Arbiter::new().handle(), |_| self)
    }

    fn look(&mut self) {
        let _handling = self.looking.begin();
        let DiskWatchConfig { own, node, data_dir, reserve_mb } = &self.config;
        let free_mb = match statvfs(data_dir) {
            Ok(found) => free_mb(u128::from(found.blocks_available()), u128::from(found.fragment_size())),
            Err(error) => {
                if !self.blind {
                    let data_dir = data_dir.display();
                    warn!(%data_dir, %error, "cannot see how much room the disk has");
                }
                self.blind = true;
                return;
            }
        };
        let low = free_mb < *reserve_mb;
        match (self.low, low) {
            (false, true) => warn!(free_mb, reserve_mb, "the disk is nearly full (disk.reserve_mb)"),
            (true, false) => info!(free_mb, reserve_mb, "there is room on the disk again"),
            _ => {}
        }
        let room = DiskRoom { node: node.clone(), free_mb, low, transfer: self.transfer };
        self.reports.tell(DiskReport { of: *own, room: room.clone() });
        for peer in self.peers.values() {
            // Lost when the link is full: it is said again in a second.
            let _full = peer.offer(Gossip { word: Word::Disk(room.clone()) });
        }
        (self.low, self.blind) = (low, false);
    }
}

impl Actor for DiskWatch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look();
        ctx.run_interval(LOOK_EVERY, |watch, _| watch.look());
    }
}

impl Handler<Envelope<Peers>> for DiskWatch {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Peers>, _: &mut Self::Context) {
        let (Peers { links }, _handling) = envelope.open();
        self.peers = links;
    }
}

impl Handler<Envelope<Fetched>> for DiskWatch {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Fetched>, _: &mut Self::Context) {
        let (Fetched { transfer }, _handling) = envelope.open();
        let is_news = self.transfer.is_some() != transfer.is_some();
        self.transfer = transfer;
        if is_news {
            self.look();
        }
    }
}

fn free_mb(blocks: u128, block_bytes: u128) -> u64 {
    u64::try_from(blocks * block_bytes / MB).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::bus::Seat;
    use crate::ids::At;
    use crate::metrics::Metrics;

    /// A peer and this node's own `RaftNode`, as far as they are told of a transfer.
    struct Told(mpsc::UnboundedSender<Option<Transfer>>);

    impl Actor for Told {
        type Context = Context<Self>;
    }

    impl Handler<Envelope<Gossip>> for Told {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<Gossip>, _: &mut Self::Context) {
            if let Word::Disk(room) = envelope.open().0.word {
                self.0.send(room.transfer).unwrap();
            }
        }
    }

    impl Handler<Envelope<DiskReport>> for Told {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<DiskReport>, _: &mut Self::Context) {
            self.0.send(envelope.open().0.room.transfer).unwrap();
        }
    }

    #[actix::test]
    async fn everybody_is_told_at_once_that_a_transfer_begins_and_ends() {
        let (own_told, mut own) = mpsc::unbounded_channel();
        let (peer_told, mut peer) = mpsc::unbounded_channel();
        let seat = Seat::new(&Metrics::new(), "told", 100);
        let data_dir = std::env::temp_dir();
        let config = DiskWatchConfig { own: RaftId(1), node: "node1".to_owned(), data_dir, reserve_mb: 0 };
        let watch = DiskWatch::new(config, seat.port(Told(own_told).start().recipient()), &seat).start();
        let gossip = seat.port(Told(peer_told).start().recipient());
        seat.port(watch.clone().recipient()).tell(Peers { links: [(RaftId(2), gossip)].into() });
        let fetched = seat.port::<Fetched>(watch.recipient());
        let begins = Some(Transfer { at: At(300), of: At(812) });
        for transfer in [begins, None] {
            fetched.tell(Fetched { transfer });
            for told in [&mut own, &mut peer] {
                // What was true before may have been told meanwhile.
                while told.recv().await.unwrap() != transfer {}
            }
        }
    }

    #[test]
    fn room_is_counted_in_whole_megabytes() {
        for (blocks, bytes, expected) in [
            (0, 4096, 0),
            (244, 4096, 0),
            (245, 4096, 1),
            (u128::from(u64::MAX), 1 << 20, u64::MAX),
            (1_000_000, 4096, 4096),
        ] {
            assert_eq!(free_mb(blocks, bytes), expected, "{blocks} × {bytes}");
        }
    }
}
