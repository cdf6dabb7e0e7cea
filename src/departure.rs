//! How a running node hears that it is part of its chat no more.
//!
//! **Owns** nothing but the way to whoever runs the node. **Is told** [`Dismissed`] by the links, as
//! often as they hear it. **Tells** whoever runs the node, once. **Never** ends anything itself.

use actix::{Actor, Context, Handler};
use chat_actors::bus::{Envelope, Port, Seat};
use chat_actors::messages::links::Dismissed;
use chat_actors::metrics::Metrics;
use tokio::sync::oneshot;

/// Each link says it once a second at most.
const MAILBOX: usize = 64;

/// See the module.
pub struct Departure {
    to: Option<oneshot::Sender<Dismissed>>,
}

impl Departure {
    /// Starts it; gives the way in and the way out.
    pub fn begin(metrics: &Metrics) -> (Port<Dismissed>, oneshot::Receiver<Dismissed>) {
        let (to, dismissed) = oneshot::channel();
        let departure = Self { to: Some(to) }.start();
        (Seat::new(metrics, "departure", MAILBOX).port(departure.recipient()), dismissed)
    }
}

impl Actor for Departure {
    type Context = Context<Self>;
}

impl Handler<Envelope<Dismissed>> for Departure {
    type Result = ();

    fn handle(&mut self, letter: Envelope<Dismissed>, _: &mut Self::Context) {
        let (dismissed, _handling) = letter.open();
        if let Some(to) = self.to.take() {
            // Nobody waits any more: the node is stopping already.
            let _stopping = to.send(dismissed);
        }
    }
}
