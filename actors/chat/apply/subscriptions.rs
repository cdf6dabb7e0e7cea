//! Where the messages of a room are posted, and how far that has come.
//!
//! Whoever asks for a subscription is told what is said in the room, so they must be in it, and it is served only
//! as long as they are: whoever posts looks at that each time.

use super::super::command::{LEVEL_KEEPS_LESS, Report};
use super::super::outcome::{Code, Done, Outcome};
use super::super::tables::{Serving, SubscriptionRow, Tables};
use super::{Step, Stop, Work, refuse};
use crate::ids::{RoomId, Seq, SubscriptionId};

/// The most subscriptions in all, and those of one room.
pub const SUBSCRIPTIONS_MAX: usize = 100;
pub const SUBSCRIPTIONS_OF_ROOM_MAX: usize = 10;

impl<T: Tables> Work<'_, T> {
    /// From the room's next message on.
    pub(super) fn create_subscription(&mut self, room: RoomId, url: &str, secret: &str) -> Step<Outcome, T> {
        let me = match self.asker() {
            Err(Stop::Repeated(first)) => return Err(self.subscribed_before(first)?),
            asked => asked?,
        };
        self.room_in_charge_of(room, &me)?;
        if !self.is_member(room, &me.name)? {
            let why = "only who is in a room may have its messages posted: join it first";
            return Err(refuse(Code::Forbidden, why));
        }
        let others = self.tables.subscriptions()?;
        if others.len() >= SUBSCRIPTIONS_MAX {
            return Err(full(SUBSCRIPTIONS_MAX, "in all"));
        }
        if others.iter().filter(|row| row.room == room).count() >= SUBSCRIPTIONS_OF_ROOM_MAX {
            return Err(full(SUBSCRIPTIONS_OF_ROOM_MAX, "of a room"));
        }
        let subscription = self.tables.last_subscription()?.next();
        let (last_seq, _) = self.tables.end(room)?;

        let row = SubscriptionRow {
            at: self.take_at()?,
            subscription,
            room,
            url: url.to_owned(),
            secret: secret.to_owned(),
            by: me.name,
            state: Serving::On,
            delivered: last_seq,
            failing_since: 0,
            error: String::new(),
            time: self.time_ms,
        };
        self.tables.put_subscription(&row)?;
        let secret = secret.to_owned();
        let kept = if self.level >= LEVEL_KEEPS_LESS { String::new() } else { secret.clone() };
        let outcome = self.done(Done::Subscribed { subscription, secret: kept })?;
        Ok(Outcome { done: Done::Subscribed { subscription, secret }, ..outcome })
    }

    /// What a repeat is told: the secret as the row has it, which is gone when the subscription is.
    fn subscribed_before(&mut self, first: Outcome) -> Step<Stop<T::Error>, T> {
        let Done::Subscribed { subscription, .. } = first.done else { return Ok(Stop::Repeated(first)) };
        let row = self.tables.subscription(subscription)?.filter(|row| row.state != Serving::Gone);
        let Some(SubscriptionRow { secret, .. }) = row else {
            return Err(refuse(Code::NotFound, format!("subscription {subscription} was deleted")));
        };
        Ok(Stop::Repeated(Outcome { done: Done::Subscribed { subscription, secret }, ..first }))
    }

    pub(super) fn delete_subscription(&mut self, subscription: SubscriptionId) -> Step<Outcome, T> {
        let me = self.asker()?;
        let row = self.tables.subscription(subscription)?.filter(|row| row.state != Serving::Gone);
        let Some(row) = row else {
            return Err(refuse(Code::NotFound, format!("no such subscription: {subscription}")));
        };
        if row.by != me.name {
            self.room_in_charge_of(row.room, &me)?;
        }

        let row = SubscriptionRow {
            at: self.take_at()?,
            url: String::new(),
            secret: String::new(),
            state: Serving::Gone,
            error: String::new(),
            time: self.time_ms,
            ..row
        };
        self.tables.put_subscription(&row)?;
        self.done(Done::Plain)
    }

    /// By the node that posts. A report that comes late takes nothing back of what was delivered.
    pub(super) fn delivered(&mut self, reports: &[Report]) -> Step<Outcome, T> {
        if !self.command.user.is_empty() {
            return Err(refuse(Code::Forbidden, "only the node that posts messages says how far it is"));
        }
        for report in reports {
            let found = self.tables.subscription(report.subscription)?;
            let Some(row) = found.filter(|row| row.state == Serving::On) else { continue };
            let new = standing(&row, report, self.tables.end(row.room)?.0);
            if new != row {
                let row = SubscriptionRow { at: self.take_at()?, time: self.time_ms, ..new };
                self.tables.put_subscription(&row)?;
            }
        }
        self.unremembered(Done::Plain)
    }
}

/// What a report makes of a subscription to a room that ends there.
fn standing(row: &SubscriptionRow, report: &Report, end: Seq) -> SubscriptionRow {
    SubscriptionRow {
        state: if report.off { Serving::Off } else { Serving::On },
        delivered: row.delivered.max(report.delivered.min(end)),
        failing_since: report.failing_since,
        error: report.error.clone(),
        ..row.clone()
    }
}

fn full<E>(most: usize, of_what: &str) -> Stop<E> {
    let why = format!("there are {most} subscriptions {of_what} already: delete one first");
    refuse(Code::Conflict, why)
}

#[cfg(test)]
mod tests {
    use super::super::super::command::{Change, Command, LEVEL_KEEPS_LESS};
    use super::super::story::Story;
    use super::super::{Stamp, apply_as};
    use super::*;

    fn create(room: RoomId, url: &str) -> Change {
        Change::CreateSubscription { room, url: url.into(), secret: "secret".into() }
    }

    fn report(subscription: u64, delivered: u64) -> Report {
        Report {
            subscription: SubscriptionId(subscription),
            delivered: Seq(delivered),
            failing_since: 0,
            error: String::new(),
            off: false,
        }
    }

    fn row(story: &mut Story, subscription: u64) -> SubscriptionRow {
        story.model.subscription(SubscriptionId(subscription)).unwrap().unwrap()
    }

    #[test]
    fn who_is_in_charge_of_a_room_and_in_it_has_its_messages_posted() {
        let mut story = Story::new(&["ann", "bob", "cleo"]);
        let room = story.room("bob", "private");
        story.send("bob", room, "before");
        assert_eq!(story.code("cleo", create(room, "a")), Code::NotFound);
        // An admin may change the room, but may not read it.
        assert_eq!(story.code("ann", create(room, "a")), Code::Forbidden);
        let direct = story.direct(&["ann", "bob"]);
        assert_eq!(story.code("ann", create(direct, "a")), Code::Forbidden);

        let first = story.ask_as("bob", "make", create(room, "a")).outcome.unwrap();
        let secret = "secret".to_owned();
        assert_eq!(first.done, Done::Subscribed { subscription: SubscriptionId(1), secret });
        // A repeat drew another secret: the first one counts, and is told.
        let other = Change::CreateSubscription { room, url: "a".into(), secret: "other".into() };
        let again = story.ask_as("bob", "make", other).outcome.unwrap();
        assert!(again.duplicate && again.done == first.done && again.at == first.at);
        assert_eq!(row(&mut story, 1).delivered, Seq(1));

        story.ok("bob", Change::Invite { room, user: "cleo".into() });
        let delete = Change::DeleteSubscription { subscription: SubscriptionId(1) };
        assert_eq!(story.code("cleo", delete.clone()), Code::Forbidden);
        story.ok("ann", delete.clone());
        assert_eq!(story.code("bob", delete), Code::NotFound);
        let gone = row(&mut story, 1);
        assert!(gone.state == Serving::Gone && gone.url.is_empty() && gone.secret.is_empty());
        assert!(story.model.subscriptions().unwrap().is_empty());
        // Nothing of it is left in any row, so a repeat has nothing to tell.
        assert!(story.model.rows().iter().all(|row| !format!("{row:?}").contains("\"secret\"")));
        let again = story.ask_as("bob", "make", create(room, "a")).outcome.unwrap_err();
        assert_eq!(again.code, Code::NotFound, "{again:?}");
    }

    #[test]
    fn a_batch_of_an_earlier_level_keeps_what_it_kept() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        let command = Command { user: "ann".into(), id: "make".into(), change: create(room, "a") };
        let stamp = Stamp { level: LEVEL_KEEPS_LESS - 1, time_ms: 1 };
        let told = apply_as(&mut story.model, stamp, &command).unwrap().outcome.unwrap();
        assert_eq!(story.model.outcome("ann", "make").unwrap().unwrap().outcome, told);
        // A repeat is told by the rules of its own time.
        story.ok("ann", Change::DeleteSubscription { subscription: SubscriptionId(1) });
        let again = story.ask_as("ann", "make", create(room, "a")).outcome.unwrap_err();
        assert_eq!(again.code, Code::NotFound);
    }

    #[test]
    fn there_are_never_many() {
        let mut story = Story::new(&["ann"]);
        for number in 0..SUBSCRIPTIONS_MAX / SUBSCRIPTIONS_OF_ROOM_MAX {
            let room = story.room("ann", "public");
            for _ in 0..SUBSCRIPTIONS_OF_ROOM_MAX {
                story.ok("ann", create(room, "a"));
            }
            let refused = story.refused("ann", create(room, "a"));
            assert_eq!(refused.code, Code::Conflict, "{number}");
        }
        let room = story.room("ann", "public");
        assert!(story.refused("ann", create(room, "a")).message.contains("100 subscriptions in all"));
        story.ok("ann", Change::DeleteSubscription { subscription: SubscriptionId(1) });
        story.ok("ann", create(room, "a"));
    }

    #[test]
    fn reports_move_a_subscription_forward_only_until_it_is_off() {
        let mut story = Story::new(&["ann"]);
        let room = story.room("ann", "public");
        story.ok("ann", create(room, "a"));
        for _ in 0..3 {
            story.send("ann", room, "hi");
        }
        let reports = vec![report(1, 2), report(7, 1)];
        assert_eq!(story.code("ann", Change::Delivered { reports: reports.clone() }), Code::Forbidden);
        let at = story.model.present();
        story.ok("", Change::Delivered { reports: reports.clone() });
        assert_eq!((row(&mut story, 1).delivered, story.model.present()), (Seq(2), at.next()));
        // Nothing new is no change.
        story.ok("", Change::Delivered { reports });
        story.ok("", Change::Delivered { reports: vec![report(1, 1)] });
        assert_eq!((row(&mut story, 1).delivered, story.model.present()), (Seq(2), at.next()));
        story.ok("", Change::Delivered { reports: vec![report(1, 9)] });
        assert_eq!(row(&mut story, 1).delivered, Seq(3), "past the end is the end");

        let off = Report { failing_since: 5, error: "no answer".into(), off: true, ..report(1, 3) };
        story.ok("", Change::Delivered { reports: vec![off] });
        story.ok("", Change::Delivered { reports: vec![report(1, 3)] });
        let row = row(&mut story, 1);
        assert_eq!((row.state, row.failing_since, row.error.as_str()), (Serving::Off, 5, "no answer"));
    }
}
