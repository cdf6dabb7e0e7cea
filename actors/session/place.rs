//! Where a connection stands in the stream of events, and its way into it: the same for a WebSocket and for
//! a stream over HTTP.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::accounts::{Admitted, Onward, resume_of};
use super::caller::Caller;
use super::executor::{Executor, within};
use super::reply::{Problem, Welcome};
use super::request::Op;
use crate::ids::{At, RoomId};
use crate::messages::hub::{CaughtUp, Enter, Pass, SessionKey, ShardDoor};
use crate::messages::reading::PullPage;

/// A connection's place in the stream.
pub(super) struct Place {
    pub key: SessionKey,
    pub pass: Pass,
    /// The client has seen every event up to here.
    pub cursor: At,
    /// The last event with an `at` that the connection itself sent: what it read from the tables, or where a
    /// stream over HTTP begins.
    told: At,
}

impl Place {
    /// The place of a new connection.
    pub fn new() -> Self {
        static KEYS: AtomicU64 = AtomicU64::new(1);
        let key = SessionKey(KEYS.fetch_add(1, Ordering::Relaxed));
        Self { key, pass: Pass::default(), cursor: At(0), told: At(0) }
    }

    /// Somebody was let in, and goes on from here.
    pub fn entered(&mut self, pass: Pass, cursor: At) {
        *self = Self { key: self.key, pass, cursor, told: At(0) };
    }

    /// Where the client stands goes out as an event: no beat is to tell the same again.
    pub fn greeted(&mut self) {
        self.told = self.cursor;
    }

    /// What the shard delivered goes out.
    pub fn delivered(&mut self, up_to: At) {
        self.cursor = self.cursor.max(up_to);
    }

    /// A page of the tables goes out.
    pub fn read(&mut self, page: &PullPage) {
        if let Some(last) = page.events.last() {
            self.told = last.at();
        }
        // A node that is behind the client's cursor has read less far than the client.
        self.cursor = self.cursor.max(page.up_to);
    }

    /// All that the tables hold has gone out: what the shard kept meanwhile may follow.
    pub fn caught_up(&self, rooms: Vec<RoomId>, rooms_at: At) -> CaughtUp {
        let Self { key, pass, cursor, told } = *self;
        CaughtUp { key, pass, up_to: cursor, rooms, rooms_at, told }
    }
}

/// Lets somebody in by `hello`, `register` or `login`. Events are kept from before the tables are read, so
/// that nothing is missed between what they say and what comes live; `told_shard`: it keeps them.
pub(super) fn let_in(
    executor: Arc<Executor>,
    door: ShardDoor,
    (key, pass): (SessionKey, Pass),
    id: String,
    op: Op,
    caller: Caller,
    told_shard: Rc<Cell<bool>>,
) -> impl Future<Output = Result<(Admitted, Welcome, Onward), Problem>> + 'static {
    within(async move {
        let resume = resume_of(&op);
        let admitted = executor.admit(&id, op, &caller).await?;
        let (reply, kept) = oneshot::channel();
        let (user, token_hash) = (admitted.user.name.clone(), admitted.token_hash);
        told_shard.set(true);
        door.enter.tell(Enter { key, pass, user, token_hash, reply });
        // The shard lives on this thread: it answers, or the node is stopping.
        let _stopping = kept.await;
        // From here on the shard hears when the token ends; it may have ended before.
        let admitted = executor.still_good(admitted).await?;
        let (welcome, onward) = executor.welcome(&admitted, &resume, Some(&door.reached)).await?;
        Ok((admitted, welcome, onward))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::outcome::Code;
    use crate::messages::reading::{SessionOf, SessionUser};
    use crate::session::request::Resume;
    use crate::session::testing::{asked, door, executor, ports, user};

    #[test]
    fn who_was_greeted_with_its_cursor_has_been_told_it() {
        let mut place = Place::new();
        place.entered(Pass(1), At(7));
        assert_eq!(place.caught_up(Vec::new(), At(7)).told, At(0));
        place.greeted();
        assert_eq!(place.caught_up(Vec::new(), At(7)).told, At(7));
    }

    /// The token ends after it was looked at and before the shard hears of ends; or it does not.
    #[actix::test]
    async fn who_is_let_in_has_a_good_token_once_the_shard_knows_them() {
        for (ends, code) in [(true, Code::Unauthorized), (false, Code::Unavailable)] {
            let good = Rc::new(Cell::new(true));
            let mut ports = ports();
            let known = Rc::clone(&good);
            ports.session_of = asked(move |SessionOf { reply, .. }| {
                let found = known.get().then(|| SessionUser { user: user("ann"), rights: None });
                reply.send(Ok(found)).ok();
            });
            let mut door = door();
            door.enter = asked(move |Enter { reply, .. }| {
                good.set(good.get() && !ends);
                reply.send(()).ok();
            });
            let (key, hello) = (SessionKey(1), Op::Hello { token: "t".into(), resume: Resume::default() });
            let told = Rc::new(Cell::new(false));
            let executor = executor(ports);
            let entering = let_in(
                executor,
                door,
                (key, Pass(1)),
                "1".into(),
                hello,
                Caller::default(),
                Rc::clone(&told),
            );
            // With a good one it goes on to the tables, which are not there.
            assert_eq!(entering.await.err().map(|problem| problem.code), Some(code));
            assert!(told.get());
        }
    }
}
