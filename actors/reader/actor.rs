//! The threads that answer questions.
//!
//! **Owns** a pool of read-only connections. **Is told** the questions of `messages::reading`, each
//! with its reply. **Tells** whoever subscribed that the file is damaged, when it shows. **Never** writes, never holds a read transaction beyond one
//! answer, never waits for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use actix::{Actor, Addr, Handler, SyncArbiter, SyncContext};

use super::pool::ReadPool;
use super::view::View;
use crate::bus::{Envelope, News};
use crate::messages::audit::Damaged;
use crate::messages::reading::{
    Account, Answer, AttachmentsAfter, Bots, DoneBefore, ExportPage, FilesSeen, History, Home, InMessages,
    Invites, LinkOf, LogEntries, Members, OneMessage, Pull, ReadFailed, RegistrationSet, Rooms, SentSince,
    SessionOf, Sessions, StatePage, Subscriptions, TablesAt, Users, Versions,
};

/// One of the threads that answer; they share a mailbox.
pub struct Reader {
    pool: ReadPool,
    damaged: News<Damaged>,
}

impl Reader {
    /// Starts `threads` of them on a file that a store has opened before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn start(file: &Path, threads: u32, damaged: News<Damaged>) -> Result<Addr<Self>, ReadFailed> {
        let pool = ReadPool::open(file, threads)?;
        let named = || thread::Builder::new().name("reader".to_owned());
        let make = move || Self { pool: pool.clone(), damaged: damaged.clone() };
        Ok(SyncArbiter::start_with_thread_builder(threads as usize, named, make))
    }

    fn answer<T>(&self, reply: Answer<T>, read: impl FnOnce(&View<'_>) -> rusqlite::Result<T>) {
        if reply.is_closed() {
            return;
        }
        // A panic would take the thread along: it costs this answer only.
        let answer = catch_unwind(AssertUnwindSafe(|| self.pool.read(read)));
        let answer = answer.unwrap_or_else(|_| Err(ReadFailed::of("a bug, see the log")));
        if let Err(error) = &answer {
            tracing::error!(%error, "a question stays without an answer");
            if error.damage {
                self.damaged.publish(&Damaged { why: error.to_string() });
            }
        }
        let _nobody_waits = reply.send(answer);
    }
}

impl Actor for Reader {
    type Context = SyncContext<Self>;
}

/// Which function of the [`View`] answers which question.
macro_rules! answers {
    ($($question:ident: |$view:ident, $ask:ident| $read:expr;)+) => {$(
        impl Handler<Envelope<$question>> for Reader {
            type Result = ();

            fn handle(&mut self, letter: Envelope<$question>, _: &mut Self::Context) {
                let ($ask, _handling) = letter.open();
                self.answer($ask.reply, |$view| $read);
            }
        }
    )+};
}

answers! {
    SessionOf: |view, ask| view.session_of(&ask.token_hash);
    Account: |view, ask| view.account(&ask.name);
    Home: |view, ask| view.home(&ask.user);
    Pull: |view, ask| view.pull(&ask.user, ask.after, ask.limit);
    History: |view, ask| view.history(&ask.user, ask.room, ask.page, ask.limit);
    Users: |view, ask| view.users(ask.pattern.as_deref(), ask.after.as_deref(), ask.limit);
    Rooms: |view, ask| view.rooms(&ask.user, ask.pattern.as_deref(), ask.all);
    Sessions: |view, ask| view.sessions(&ask.user);
    Bots: |view, ask| view.bots(&ask.user, ask.room);
    Subscriptions: |view, ask| view.subscriptions(&ask.user, ask.room);
    Invites: |view, ask| view.invites(&ask.user);
    LinkOf: |view, ask| view.link_of(&ask.token_hash);
    RegistrationSet: |view, _ask| view.registration();
    Members: |view, ask| view.members(&ask.user, ask.room);
    Versions: |view, ask| view.versions(&ask.user, ask.room, ask.seq);
    OneMessage: |view, ask| view.message(&ask.user, ask.room, ask.seq);
    LogEntries: |view, ask| view.log_entries(ask.from, ask.to, ask.bytes_max);
    StatePage: |view, ask| view.state_page(ask.after, ask.horizon, ask.bytes_max);
    TablesAt: |view, _ask| view.position();
    FilesSeen: |view, ask| view.files_seen(&ask.user, &ask.files);
    SentSince: |view, ask| view.sent_since(&ask.user, ask.file, ask.at);
    DoneBefore: |view, ask| view.done_before(&ask.user, &ask.id);
    AttachmentsAfter: |view, ask| view.attachments_after(ask.after, ask.limit);
    ExportPage: |view, ask| view.export_page(ask.user.as_deref(), &ask.after, ask.up_to, ask.bytes_max);
    InMessages: |view, ask| view.in_messages(&ask.files);
}

#[cfg(test)]
mod tests {
    use actix::System;
    use tokio::sync::oneshot;

    use super::*;
    use crate::bus::Seat;
    use crate::metrics::Metrics;
    use crate::storage::testing::{TestDir, batch, committed, setup, started};

    #[test]
    fn questions_are_answered() {
        System::new().block_on(async {
            let dir = TestDir::new();
            let (mut store, _) = started(&dir);
            store.apply(&[committed(2, batch(1, &setup(&["ann"], 1)))], || false).unwrap();
            let reader = Reader::start(store.path(), 2, News::default()).unwrap();
            let port = Seat::new(&Metrics::new(), "reader", 9).port(reader.recipient());
            let (reply, answer) = oneshot::channel();
            port.tell(Home { user: "ann".into(), reply });
            let home = answer.await.unwrap().unwrap();
            assert_eq!(home.rooms.len(), 1);
        });
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let dir = TestDir::new();
        assert!(ReadPool::open(&dir.path().join("none.db"), 1).is_err());
    }
}
