//! `Roster`: who is in the cluster, as this node has applied it, and the links to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, Context, Handler};
use tokio::sync::watch;
use tracing::{error, info};

use super::actor::{PeerLink, PeerLinkConfig, PeerLinkPorts, Stop};
use crate::bus::{Envelope, News, Port, Seat};
use crate::ids::RaftId;
use crate::membership::{Directory, Roll};
use crate::messages::disk::Members;
use crate::messages::links::{Gossip, PeerPorts};
use crate::messages::members::{Links, Stranger};
use crate::messages::people::Peers;
use crate::messages::transfer::Sources;
use crate::metrics::Metrics;

const LINK_MAILBOX: usize = 1_024;

/// What all links of a node have in common; `peer` and `url` are each link's own.
pub struct RosterConfig {
    pub link: PeerLinkConfig,
    /// Without nodes.
    pub directory: Directory,
    pub metrics: Metrics,
}

/// Whom it tells.
pub struct RosterPorts {
    pub link: PeerLinkPorts,
    /// `RaftNode`.
    pub links: Port<Links>,
    /// `StateFetch`.
    pub sources: Port<Sources>,
    pub peers: News<Peers>,
    pub directory: watch::Sender<Arc<Directory>>,
    pub roll: watch::Sender<Arc<Roll>>,
}

/// Owns the `PeerLink`s. Is told `Members` by Storage and `Stranger` by the peer port. Tells `RaftNode` and
/// `Hub` the ports of the links, `StateFetch` whom to ask, and the HTTP edges who is there.
/// Lives on `RaftNode`'s thread; never waits.
pub struct Roster {
    config: RosterConfig,
    ports: RosterPorts,
    links: BTreeMap<RaftId, Link>,
    /// Peers of which this node has not applied yet that they exist.
    strangers: BTreeMap<RaftId, String>,
}

struct Link {
    name: String,
    url: String,
    stop: Port<Stop>,
    ports: PeerPorts,
    gossip: Port<Gossip>,
}

impl Roster {
    /// To be made on the thread of the links.
    pub fn new(config: RosterConfig, ports: RosterPorts) -> Self {
        Self { config, ports, links: BTreeMap::new(), strangers: BTreeMap::new() }
    }

    fn own(&self) -> RaftId {
        self.config.link.own
    }

    /// Everybody that Raft may send to, with name and address. A replica that is being replaced has lost its
    /// row already and keeps its link until it is gone.
    fn wanted(&self, roll: &Roll) -> BTreeMap<RaftId, (String, String)> {
        let mut wanted = BTreeMap::new();
        for row in &roll.rows {
            if let Some(id) = row.raft_id.filter(|&id| roll.is_here(id)) {
                wanted.insert(id, (row.name.clone(), row.peer.clone()));
            }
        }
        for (&id, link) in self.links.iter().filter(|&(&id, _)| roll.is_here(id)) {
            wanted.entry(id).or_insert_with(|| (link.name.clone(), link.url.clone()));
        }
        for (&id, url) in &self.strangers {
            wanted.entry(id).or_insert_with(|| (format!("raft id {id}"), url.clone()));
        }
        wanted.remove(&self.own());
        wanted
    }

    fn follow(&mut self) {
        let roll = Arc::clone(&self.ports.roll.borrow());
        self.strangers.retain(|&id, _| id > roll.highest());
        let wanted = self.wanted(&roll);
        let fits = |id: &RaftId, link: &Link| {
            wanted.get(id).is_some_and(|(name, url)| *name == link.name && *url == link.url)
        };
        let (kept, gone) = std::mem::take(&mut self.links).into_iter().partition(|(id, link)| fits(id, link));
        self.links = kept;
        for link in BTreeMap::into_values(gone) {
            link.stop.tell(Stop);
        }
        for (id, (name, url)) in wanted {
            if !self.links.contains_key(&id) {
                self.open(id, name, url);
            }
        }
        let peers = self.links.iter().map(|(&id, link)| (id, link.ports.clone())).collect();
        self.ports.links.tell(Links { peers });
        let urls = self.links.iter().map(|(&id, link)| (id, link.url.clone())).collect();
        self.ports.sources.tell(Sources { urls });
        let links = self.links.iter().map(|(&id, link)| (id, link.gossip.clone())).collect();
        self.ports.peers.publish(&Peers { links });
    }

    fn open(&mut self, peer: RaftId, name: String, url: String) {
        let config = PeerLinkConfig { peer, url: url.clone(), ..self.config.link.clone() };
        let seat = Seat::new(&self.config.metrics, "peer_link", LINK_MAILBOX);
        let link = match PeerLink::new(config, self.ports.link.clone(), &seat) {
            Ok(link) => link,
            Err(error) => return error!(peer = name, %error, "this peer cannot be reached"),
        };
        info!(peer = name, %url, id = %peer, "a peer");
        let addr = link.start();
        let ports = PeerPorts { name: name.clone(), send: seat.port_to(&addr), forward: seat.port_to(&addr) };
        let (stop, gossip) = (seat.port_to(&addr), seat.port_to(&addr));
        self.links.insert(peer, Link { name, url, stop, ports, gossip });
    }

    fn tell_directory(&self) {
        let nodes = self.ports.roll.borrow().listed();
        let directory = Directory { nodes, ..self.config.directory.clone() };
        self.ports.directory.send_replace(Arc::new(directory));
    }
}

impl Actor for Roster {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.follow();
    }
}

impl Handler<Envelope<Members>> for Roster {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Members>, _: &mut Self::Context) {
        let (Members { roll }, _handling) = envelope.open();
        // Whether this node was removed, the others say: they have that on their disks then, and never need it again.
        self.ports.roll.send_replace(roll);
        self.tell_directory();
        self.follow();
    }
}

impl Handler<Envelope<Stranger>> for Roster {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Stranger>, _: &mut Self::Context) {
        let (Stranger { id, url }, _handling) = envelope.open();
        if self.strangers.insert(id, url.clone()).as_ref() != Some(&url) {
            self.follow();
        }
    }
}
