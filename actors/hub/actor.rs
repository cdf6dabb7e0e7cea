//! `Hub`: one a node.
//!
//! Owns who is online on any node, and the list of shards. Is told `Changed` (what was applied
//! here), `Role` and `LinkState`, `Heard` from peers' Hubs, and by shards who came and went. Tells
//! every shard what to hand to its sessions, each event encoded once, and peers who is here. Never
//! waits for a shard: one that is slow finds a gap marked in its news, and its sessions read the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};
use bytestring::ByteString;
use tokio::sync::{oneshot, watch};

use super::encode;
use super::people::{People, Turn};
use crate::bus::{Envelope, Meter, NotSent, Port, Seat};
use crate::ids::{At, RaftId};
use crate::membership::Directory;
use crate::messages::disk::Changed;
use crate::messages::hub::{Drain, Farewell, LeaveAll, Local, Passing, Published, ShardHere, Whom};
use crate::messages::links::{Gossip, Heard, LinkState, Word};
use crate::messages::news::Role;
use crate::messages::people::{Cluster, Online, Peers, Replaced, Surroundings, Typing, View};
use crate::metrics::Metrics;

/// Who is here goes to the peers at most so often when it changes …
const GOSSIP_PAUSE: Duration = Duration::from_millis(100);
/// … and in full this often when it does not.
const GOSSIP_ROUND: Duration = Duration::from_secs(5);
/// How often a change of members is looked for, to tell people.
const CLUSTER_ROUND: Duration = Duration::from_secs(1);
const MAILBOX: usize = 16 * 1024;

pub struct Hub {
    at: At,
    directory: watch::Receiver<Arc<Directory>>,
    shards: BTreeMap<u64, Shard>,
    people: People,
    role: Option<Role>,
    links: BTreeMap<RaftId, LinkState>,
    peers: BTreeMap<RaftId, Port<Gossip>>,
    /// What people were last told of the cluster.
    told: Cluster,
    /// Who is here changed, and the peers hear of it soon.
    gossip_due: bool,
    /// Set once the node goes: a shard that opens after that is told so at once.
    leaving: Option<Farewell>,
    /// What it tells by the clock, measured.
    round: Meter,
}

struct Shard {
    published: Port<Published>,
    passing: Port<Passing>,
    leave: Port<LeaveAll>,
    /// Its mailbox was full: it missed something.
    gap: bool,
}

/// Every port of the Hub.
#[derive(Clone)]
pub struct HubPorts {
    pub changed: Port<Changed>,
    pub replaced: Port<Replaced>,
    pub role: Port<Role>,
    pub link_state: Port<LinkState>,
    pub heard: Port<Heard>,
    pub peers: Port<Peers>,
    pub typing: Port<Typing>,
    pub online: Port<Online>,
    pub surroundings: Port<Surroundings>,
    pub shard_here: Port<ShardHere>,
    pub local: Port<Local>,
    pub drain: Port<Drain>,
}

impl Hub {
    /// Starts it; `at` is the last one applied when the node started.
    pub fn open(at: At, directory: watch::Receiver<Arc<Directory>>, metrics: &Metrics) -> HubPorts {
        let seat = Self::seat(metrics);
        let addr = Self::new(at, directory, &seat).start();
        HubPorts {
            changed: seat.port_to(&addr),
            replaced: seat.port_to(&addr),
            role: seat.port_to(&addr),
            link_state: seat.port_to(&addr),
            heard: seat.port_to(&addr),
            peers: seat.port_to(&addr),
            typing: seat.port_to(&addr),
            online: seat.port_to(&addr),
            surroundings: seat.port_to(&addr),
            shard_here: seat.port_to(&addr),
            local: seat.port_to(&addr),
            drain: seat.port_to(&addr),
        }
    }

    /// Without it the node would deliver nothing.
    fn seat(metrics: &Metrics) -> Seat {
        Seat::new(metrics, "hub", MAILBOX).essential()
    }

    fn new(at: At, directory: watch::Receiver<Arc<Directory>>, seat: &Seat) -> Self {
        Self {
            at,
            directory,
            shards: BTreeMap::new(),
            people: People::default(),
            role: None,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            told: Cluster::default(),
            gossip_due: false,
            leaving: None,
            round: seat.meter("round"),
        }
    }

    fn view(&self) -> View {
        View { at: self.at, role: self.role, links: self.links.clone() }
    }

    fn publish(&mut self, news: &Published) {
        let mut gone = Vec::new();
        for (number, shard) in &mut self.shards {
            let news = Published { gap: news.gap || shard.gap, ..news.clone() };
            match shard.published.offer(news) {
                Ok(()) => shard.gap = false,
                Err(NotSent::Full(_)) => shard.gap = true,
                Err(NotSent::Closed(_)) => gone.push(*number),
            }
        }
        for number in gone {
            self.shards.remove(&number);
            let turns = self.people.lost_shard(number);
            self.tell_turns(turns);
        }
    }

    fn pass_on(&self, whom: &Whom, frame: &ByteString) {
        for shard in self.shards.values() {
            // Passing news: a shard that is full misses it.
            let _full = shard.passing.offer(Passing { whom: whom.clone(), frame: frame.clone() });
        }
    }

    fn tell_turns(&mut self, turns: Vec<Turn>) {
        for turn in turns {
            self.pass_on(&Whom::Everybody, &encode::presence(&turn.user, turn.online));
        }
    }

    /// Tells people how the cluster looks, when that changed.
    fn tell_cluster(&mut self) {
        let cluster = Cluster::new(&self.directory.borrow(), &self.view());
        if cluster != self.told {
            self.pass_on(&Whom::Everybody, &encode::cluster(&cluster));
            self.told = cluster;
        }
    }

    fn gossip(&self, word: &Word) {
        for port in self.peers.values() {
            // Lost when the link is full: the full set is said again soon.
            let _full = port.offer(Gossip { word: word.clone() });
        }
    }

    fn gossip_here(&mut self) {
        self.gossip_due = false;
        self.gossip(&Word::Here { users: self.people.here() });
    }

    fn gossip_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.gossip_due {
            self.gossip_due = true;
            ctx.run_later(GOSSIP_PAUSE, |hub, _| hub.gossip_by_the_clock());
        }
    }

    fn gossip_by_the_clock(&mut self) {
        let _handling = self.round.begin();
        self.gossip_here();
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(GOSSIP_ROUND, |hub, _| hub.gossip_by_the_clock());
        ctx.run_interval(CLUSTER_ROUND, |hub, _| {
            let _handling = hub.round.begin();
            hub.tell_cluster();
        });
    }
}

impl Handler<Envelope<Changed>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Changed>, _: &mut Self::Context) {
        let (changed, _handling) = envelope.open();
        self.at = self.at.max(changed.at);
        let events: Arc<[_]> = changed.notices.iter().filter_map(encode::notice).collect();
        self.publish(&Published { at: changed.at, events, ended: changed.ended, gap: false });
    }
}

impl Handler<Envelope<Replaced>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Replaced>, _: &mut Self::Context) {
        let (Replaced { at }, _handling) = envelope.open();
        self.at = self.at.max(at);
        self.publish(&Published { at, events: Arc::new([]), ended: Arc::default(), gap: true });
    }
}

impl Handler<Envelope<ShardHere>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ShardHere>, _: &mut Self::Context) {
        let (ShardHere { shard, published, passing, leave }, _handling) = envelope.open();
        let entry = Shard { published, passing, leave, gap: false };
        // From here on its news has no hole; what was before is in the tables that sessions read.
        entry.published.tell(Published {
            at: self.at,
            events: Arc::new([]),
            ended: Arc::default(),
            gap: true,
        });
        if let Some(farewell) = self.leaving.clone() {
            // Nobody waits for these: whoever drains gave its bound already.
            let (reply, _) = oneshot::channel();
            entry.leave.tell(LeaveAll { farewell, reply });
        }
        self.shards.insert(shard, entry);
    }
}

impl Handler<Envelope<Local>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Local>, ctx: &mut Self::Context) {
        let (Local { shard, user, online }, _handling) = envelope.open();
        let turn = self.people.local(shard, &user, online);
        self.tell_turns(turn.into_iter().collect());
        self.gossip_soon(ctx);
    }
}

impl Handler<Envelope<Heard>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Heard>, _: &mut Self::Context) {
        let (Heard { from, word }, _handling) = envelope.open();
        match word {
            Word::Typing { room, user } => {
                let frame = encode::typing(room, &user);
                self.pass_on(&Whom::Room { room, except: user }, &frame);
            }
            Word::Here { users } => {
                let turns = self.people.heard(from, users);
                self.tell_turns(turns);
            }
            // Not about people.
            Word::Rows { .. } | Word::Disk(_) => {}
        }
    }
}

impl Handler<Envelope<Typing>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Typing>, _: &mut Self::Context) {
        let (Typing { room, user }, _handling) = envelope.open();
        let frame = encode::typing(room, &user);
        self.pass_on(&Whom::Room { room, except: user.clone() }, &frame);
        self.gossip(&Word::Typing { room, user });
    }
}

impl Handler<Envelope<Online>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Online>, _: &mut Self::Context) {
        let (Online { names, reply }, _handling) = envelope.open();
        let _gone = reply.send(names.iter().map(|name| self.people.is_online(name)).collect());
    }
}

impl Handler<Envelope<Role>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Role>, _: &mut Self::Context) {
        let (role, _handling) = envelope.open();
        self.role = Some(role);
        self.tell_cluster();
    }
}

impl Handler<Envelope<LinkState>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LinkState>, _: &mut Self::Context) {
        let (link, _handling) = envelope.open();
        let (peer, up) = (link.peer, link.up);
        let was_up = self.links.insert(peer, link).is_some_and(|before| before.up);
        if !up {
            let turns = self.people.lost_peer(peer);
            self.tell_turns(turns);
        } else if !was_up && let Some(port) = self.peers.get(&peer) {
            // Lost when the link is full: it is said again soon.
            let _full = port.offer(Gossip { word: Word::Here { users: self.people.here() } });
        }
        self.tell_cluster();
    }
}

impl Handler<Envelope<Peers>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Peers>, _: &mut Self::Context) {
        let (Peers { links }, _handling) = envelope.open();
        let gone: BTreeSet<RaftId> =
            self.peers.keys().filter(|id| !links.contains_key(id)).copied().collect();
        self.peers = links;
        for peer in gone {
            self.links.remove(&peer);
            let turns = self.people.lost_peer(peer);
            self.tell_turns(turns);
        }
        self.gossip_here();
        self.tell_cluster();
    }
}

impl Handler<Envelope<Surroundings>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Surroundings>, _: &mut Self::Context) {
        let (Surroundings { reply }, _handling) = envelope.open();
        let _gone = reply.send(self.view());
    }
}

impl Handler<Envelope<Drain>> for Hub {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Drain>, _: &mut Self::Context) {
        let (Drain { reason, close_code, reply }, _handling) = envelope.open();
        let nodes = {
            let directory = self.directory.borrow();
            let others = directory.nodes.iter().filter(|listed| listed.node.name != directory.node);
            others.map(|listed| listed.node.public.clone()).collect::<Vec<_>>()
        };
        let farewell = Farewell { frame: encode::bye(&reason, &nodes), close_code, reason };
        self.leaving = Some(farewell.clone());
        let mut left = Vec::new();
        for shard in self.shards.values() {
            let (done, gone) = oneshot::channel();
            shard.leave.tell(LeaveAll { farewell: farewell.clone(), reply: done });
            left.push(gone);
        }
        actix::spawn(async move {
            for gone in left {
                // A shard that ends has no session left either.
                let _ended = gone.await;
            }
            let _gave_up = reply.send(());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::essential::testing::{Bang, assert_aborts};

    impl Handler<Envelope<Bang>> for Hub {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<Bang>, _: &mut Self::Context) {
            let (Bang, _handling) = envelope.open();
            panic!("bang");
        }
    }

    #[test]
    fn no_node_goes_on_without_it() {
        assert_aborts("hub::actor::tests::no_node_goes_on_without_it", async |metrics| {
            let (_, directory) = watch::channel(Arc::new(Directory::default()));
            let seat = Hub::seat(metrics);
            seat.port_to::<_, Bang>(&Hub::new(At(0), directory, &seat).start()).tell(Bang);
        });
    }
}
