//! A session's way into the stream of events, and back into it when it did not keep up: page by page from
//! the tables, then live.
//!
//! The shard keeps what happens meanwhile and hands it over once the session says that it has caught
//! up; so there is no gap, and each page leaves before the next one is read.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, WrapFuture};
use tokio::sync::oneshot;

use super::accounts::{Admitted, Onward, resume_of};
use super::actor::{Ctx, Session, TOKEN_ENDED};
use super::executor::within;
use super::reply::{Answer, Problem, Welcome};
use super::request::Op;
use crate::chat::outcome::Code;
use crate::ids::{At, RoomId};
use crate::messages::hub::{CaughtUp, Enter, Pass};
use crate::messages::reading::{Pull, PullPage, SessionOf};

/// Events read at a time.
const PAGE: usize = 256;
/// Come back, at another node: this one cannot read its tables.
const CANNOT_READ: u16 = 4000;

impl Session {
    /// `hello`, `register` or `login`: lets somebody in. Who is here already stays until that has worked.
    pub(super) fn enter(&mut self, id: String, op: Op, ctx: &mut Ctx) {
        self.alone = true;
        self.tried = Some(Instant::now());
        let pass = Pass(self.pass.0 + 1);
        let by_token = matches!(op, Op::Hello { .. });
        let told_shard = Rc::new(Cell::new(false));
        let entering = self.admit(id.clone(), op, pass, Rc::clone(&told_shard));
        ctx.spawn(entering.into_actor(self).map(move |entered, session: &mut Self, ctx| {
            match entered {
                Ok(_) if session.closing => {}
                Ok((admitted, welcome, onward)) => {
                    Self::reply(ctx, &id, &Ok(Answer::Welcome(Box::new(welcome))));
                    session.entered(pass, &admitted, onward, ctx);
                }
                Err(problem) => {
                    let refused = by_token && problem.code == Code::Unauthorized;
                    Self::reply(ctx, &id, &Err(problem));
                    if refused {
                        session.close(ctx, TOKEN_ENDED, "the session has ended");
                    } else if told_shard.get() {
                        session.close(ctx, CANNOT_READ, "this node cannot go on: try another");
                    }
                }
            }
            session.go_on(ctx);
            session.leave_when_answered(ctx);
        }));
    }

    /// Events are kept from before the tables are read, so that nothing is missed between what they say
    /// and what comes live.
    fn admit(
        &self,
        id: String,
        op: Op,
        pass: Pass,
        told_shard: Rc<Cell<bool>>,
    ) -> impl Future<Output = Result<(Admitted, Welcome, Onward), Problem>> + 'static {
        let (executor, door) = (Arc::clone(&self.config.executor), self.config.door.clone());
        let (key, from) = (self.key, self.opened.caller.clone());
        within(async move {
            let resume = resume_of(&op);
            let admitted = executor.admit(&id, op, &from).await?;
            let (reply, kept) = oneshot::channel();
            let (user, token_hash) = (admitted.user.name.clone(), admitted.token_hash);
            told_shard.set(true);
            door.enter.tell(Enter { key, pass, user, token_hash, reply });
            // The shard lives on this thread: it answers, or the node is stopping.
            let _stopping = kept.await;
            let (welcome, onward) = executor.welcome(&admitted, &resume, Some(&door.reached)).await?;
            Ok((admitted, welcome, onward))
        })
    }

    fn entered(&mut self, pass: Pass, admitted: &Admitted, onward: Onward, ctx: &mut Ctx) {
        self.pass = pass;
        self.who = Some(admitted.who());
        self.cursor = onward.cursor;
        self.told = At(0);
        if onward.pull {
            self.pull(ctx);
        } else {
            self.caught_up(onward.cursor, onward.rooms, onward.rooms_at);
        }
    }

    /// Goes on from the tables. What was missed may have ended this very session.
    pub(super) fn read_again(&mut self, ctx: &mut Ctx) {
        let Some(who) = &self.who else { return };
        let (reply, answer) = oneshot::channel();
        let (pass, token_hash) = (self.pass, who.token_hash);
        self.config.executor.session_port().tell(SessionOf { token_hash, reply });
        ctx.spawn(answer.into_actor(self).map(move |answer, session, ctx| {
            if session.pass != pass || session.closing {
                return;
            }
            match answer {
                Ok(Ok(Some(_))) => session.pull(ctx),
                Ok(Ok(None)) => session.token_ended(token_hash, ctx),
                Ok(Err(_)) | Err(_) => {
                    session.close(ctx, CANNOT_READ, "this node cannot read on: try another");
                }
            }
        }));
    }

    /// Sends what the tables hold above the cursor, a page at a time.
    pub(super) fn pull(&mut self, ctx: &mut Ctx) {
        let Some(who) = &self.who else { return };
        let (reply, page) = oneshot::channel();
        let (pass, after) = (self.pass, self.cursor);
        let question = Pull { user: who.user.clone(), after, limit: PAGE, reply };
        // Bounded by the number of sessions: each has one page asked for at most.
        self.config.executor.pull_port().tell(question);
        ctx.spawn(page.into_actor(self).map(move |page, session, ctx| {
            if session.pass != pass || session.closing {
                return;
            }
            match page {
                Ok(Ok(page)) => session.pulled(page, ctx),
                Ok(Err(_)) | Err(_) => {
                    session.close(ctx, CANNOT_READ, "this node cannot read on: try another");
                }
            }
        }));
    }

    fn caught_up(&self, up_to: At, rooms: Vec<RoomId>, rooms_at: At) {
        let (key, pass, told) = (self.key, self.pass, self.told);
        self.config.door.caught_up.tell(CaughtUp { key, pass, up_to, rooms, rooms_at, told });
    }

    fn pulled(&mut self, page: PullPage, ctx: &mut Ctx) {
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
