//! How a running node hears that it is part of its chat no more.
//!
//! **Owns** nothing but the way to whoever runs the node. **Is told** [`Role`], and [`Dismissed`] by the
//! links, as often as they hear it. **Tells** whoever runs the node, once. **Never** ends anything itself.

use actix::{Actor, Context, Handler};
use chat_actors::bus::{Envelope, Port, Seat};
use chat_actors::messages::links::Dismissed;
use chat_actors::messages::news::Role;
use chat_actors::metrics::Metrics;
use tokio::sync::oneshot;

/// Each link says it once a second at most.
const MAILBOX: usize = 64;

/// See the module.
pub struct Departure {
    to: Option<oneshot::Sender<Parting>>,
    /// A leader was known in this run.
    led: bool,
}

/// What whoever runs the node is told.
pub struct Parting {
    pub news: Dismissed,
    /// It came when the node was part of its chat; else it started on data that was none any more.
    pub in_office: bool,
}

impl Departure {
    /// Starts it; gives the way in and the way out.
    pub fn begin(metrics: &Metrics) -> (Port<Dismissed>, Port<Role>, oneshot::Receiver<Parting>) {
        let (to, parting) = oneshot::channel();
        let departure = Self { to: Some(to), led: false }.start();
        let seat = Seat::new(metrics, "departure", MAILBOX);
        (seat.port(departure.clone().recipient()), seat.port(departure.recipient()), parting)
    }
}

impl Actor for Departure {
    type Context = Context<Self>;
}

impl Handler<Envelope<Dismissed>> for Departure {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Dismissed>, _: &mut Self::Context) {
        let (news, _handling) = letter.open();
        if let Some(to) = self.to.take() {
            // Nobody waits any more: the node is stopping already.
            let _stopping = to.send(Parting { news, in_office: self.led });
        }
    }
}

impl Handler<Envelope<Role>> for Departure {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Role>, _: &mut Self::Context) {
        let (role, _handling) = letter.open();
        self.led |= role.leader.is_some();
    }
}
