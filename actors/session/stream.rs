//! A session's way back into the stream of events: page by page from the tables, then live.
//!
//! The shard keeps what happens meanwhile and hands it over once the session says that it has caught
//! up; so there is no gap, and each page leaves before the next one is read.

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, WrapFuture};
use actix_web_actors::ws::WebsocketContext;
use tokio::sync::oneshot;

use super::actor::Session;
use crate::ids::{At, RoomId};
use crate::messages::hub::CaughtUp;
use crate::messages::reading::{Pull, PullPage};

/// Events read at a time.
const PAGE: usize = 256;
/// Come back, at another node: this one cannot read its tables.
const CANNOT_READ: u16 = 4000;

impl Session {
    /// Sends what the tables hold above the cursor, a page at a time.
    pub(super) fn pull(&mut self, ctx: &mut WebsocketContext<Self>) {
        let Some(who) = &self.who else { return };
        let (reply, page) = oneshot::channel();
        let (pass, after) = (self.pass, self.cursor);
        let question = Pull { user: who.user.clone(), after, limit: PAGE, reply };
        // Bounded by the number of sessions: each has one page asked for at most.
        self.config.executor.pull_port().tell(question);
        ctx.spawn(page.into_actor(self).map(move |page, session, ctx| {
            if session.pass != pass {
                return;
            }
            match page {
                Ok(Ok(page)) => session.pulled(page, ctx),
                Ok(Err(_)) | Err(_) => {
                    session.close(ctx, CANNOT_READ, "this node cannot read on: try another")
                }
            }
        }));
    }

    pub(super) fn caught_up(&self, up_to: At, rooms: Vec<RoomId>, rooms_at: At) {
        let (key, pass, told) = (self.key, self.pass, self.told);
        self.config.door.caught_up.tell(CaughtUp { key, pass, up_to, rooms, rooms_at, told });
    }

    fn pulled(&mut self, page: PullPage, ctx: &mut WebsocketContext<Self>) {
        self.config.metrics.events_delivered.inc_by(page.events.len() as u64);
        for event in &page.events {
            match serde_json::to_string(event) {
                Ok(text) => ctx.text(text),
                Err(error) => tracing::error!(%error, at = %event.at(), "an event cannot be encoded"),
            }
        }
        if let Some(last) = page.events.last() {
            self.told = last.at();
        }
        // A node that is behind the client's cursor has read less far than the client.
        self.cursor = self.cursor.max(page.up_to);
        if page.end {
            self.caught_up(self.cursor, page.rooms, page.up_to);
        } else {
            self.pull(ctx);
        }
    }
}
