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

use super::accounts::{Admitted, Onward};
use super::actor::{Ctx, Session, TOKEN_ENDED};
use super::place::let_in;
use super::reply::Answer;
use super::request::Op;
use crate::chat::outcome::Code;
use crate::messages::hub::Pass;
use crate::messages::reading::PullPage;

/// Come back, at another node: this one cannot read its tables.
const CANNOT_READ: u16 = 4000;

impl Session {
    /// `hello`, `register` or `login`: lets somebody in. Who is here already stays until that has worked.
    pub(super) fn enter(&mut self, id: String, op: Op, ctx: &mut Ctx) {
        self.alone = true;
        self.tried = Some(Instant::now());
        let (key, pass) = (self.place.key, Pass(self.place.pass.0 + 1));
        let by_token = matches!(op, Op::Hello { .. });
        let told_shard = Rc::new(Cell::new(false));
        let (executor, door) = (Arc::clone(&self.config.executor), self.config.door.clone());
        let told = Rc::clone(&told_shard);
        let entering = let_in(executor, door, (key, pass), id.clone(), op, self.opened.caller.clone(), told);
        ctx.spawn(entering.into_actor(self).map(move |entered, session: &mut Self, ctx| {
            let _handling = session.work.answered.begin();
            match entered {
                Ok(_) if session.closing => {}
                Ok((admitted, welcome, onward)) => {
                    Self::reply(ctx, &id, &Ok(Answer::Welcome(Box::new(welcome))));
                    session.entered(pass, &admitted, onward, ctx);
                    if admitted.ended {
                        session.token_ended(admitted.token_hash, ctx);
                    }
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

    fn entered(&mut self, pass: Pass, admitted: &Admitted, onward: Onward, ctx: &mut Ctx) {
        self.who = Some(admitted.who());
        self.place.entered(pass, onward.cursor);
        if onward.pull {
            self.pull(ctx);
        } else {
            self.config.door.caught_up.tell(self.place.caught_up(onward.rooms, onward.rooms_at));
        }
    }

    /// Goes on from the tables. What was missed may have ended this very session.
    pub(super) fn read_again(&mut self, ctx: &mut Ctx) {
        let Some(who) = &self.who else { return };
        let (pass, token_hash) = (self.place.pass, who.token_hash);
        let answer = self.config.executor.ask_session(token_hash);
        ctx.spawn(answer.into_actor(self).map(move |answer, session, ctx| {
            let _handling = session.work.answered.begin();
            if session.place.pass != pass || session.closing {
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
        let pass = self.place.pass;
        let page = self.config.executor.ask_page(who, self.place.cursor);
        ctx.spawn(page.into_actor(self).map(move |page, session, ctx| {
            let _handling = session.work.answered.begin();
            if session.place.pass != pass || session.closing {
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

    fn pulled(&mut self, page: PullPage, ctx: &mut Ctx) {
        self.config.metrics.events_delivered.inc_by(page.events.len() as u64);
        for event in &page.events {
            match serde_json::to_string(event) {
                Ok(text) => ctx.text(text),
                Err(error) => tracing::error!(%error, at = %event.at(), "an event cannot be encoded"),
            }
        }
        self.place.read(&page);
        if page.end {
            self.config.door.caught_up.tell(self.place.caught_up(page.rooms, page.up_to));
        } else {
            self.pull(ctx);
        }
    }
}
