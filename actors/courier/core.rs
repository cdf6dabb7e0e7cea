//! Which message is posted when, what becomes of it, and when a subscription is given up. No clock, socket or dice.
//!
//! Each subscription has one message on its way at a time, in the order of its room, so one that is slow holds up
//! no other, and no message is in memory but the one that is being posted. What was not taken is tried again after
//! a pause that doubles; what the receiver will not have is skipped.
//!
//! How far a subscription is lies in the tables, and is reported there at most once a second. Whoever leads next goes
//! on from there: what was posted since the last report is posted again, under the same name.

use std::collections::BTreeMap;

use super::tables::Listed;
use crate::chat::command::Report;
use crate::ids::{RoomId, Seq, SubscriptionId};

/// The first pause after a post that failed; each further one is twice as long …
pub const PAUSE_MS: u64 = 1_000;
/// … up to this.
pub const PAUSE_MS_MAX: u64 = 5 * 60 * 1_000;
/// A receiver may ask for a longer one, up to this.
pub const ASKED_MS_MAX: u64 = 60 * 60 * 1_000;
/// Nothing was taken for so long: the subscription is given up.
pub const GIVEN_UP_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;
/// Between two reports.
pub const REPORT_EVERY_MS: u64 = 1_000;
/// Of what went wrong no more is kept.
const ERROR_CHARS_MAX: usize = 200;

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since some moment; never runs backwards.
    pub ms: u64,
    /// Unix milliseconds, by this node's clock.
    pub unix_ms: u64,
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// The receiver will not have it, however often it is asked.
    Refused(String),
    Failed {
        why: String,
        /// The receiver asks for so long a pause.
        after_ms: Option<u64>,
    },
}

impl Answer {
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), after_ms: None }
    }

    /// What an HTTP status means, with the pause that came with it.
    pub fn of_status(status: u16, after_ms: Option<u64>) -> Self {
        let why = || format!("answered with status {status}");
        match status {
            200..=299 => Self::Taken,
            300..=399 => Self::Refused(format!("{}: redirects are not followed", why())),
            408 | 425 | 429 | 500.. => Self::Failed { why: why(), after_ms },
            _ => Self::Refused(why()),
        }
    }
}

/// A message that is to be posted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub subscription: SubscriptionId,
    pub room: RoomId,
    pub seq: Seq,
    pub url: String,
    pub secret: String,
}

/// All subscriptions that are on.
#[derive(Debug, Default)]
pub struct Rounds {
    routes: BTreeMap<SubscriptionId, Route>,
    reported_ms: Option<u64>,
}

/// One of them.
#[derive(Debug)]
struct Route {
    /// As it is in the tables.
    listed: Listed,
    /// What should be there.
    standing: Report,
    doing: Doing,
    /// How often in a row the same message was not taken.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Resting,
    Posting,
    WaitingUntil(u64),
}

impl Rounds {
    /// Takes in what the tables hold.
    pub fn see(&mut self, listed: Vec<Listed>) {
        let mut before = std::mem::take(&mut self.routes);
        for listed in listed {
            let id = listed.row.subscription;
            let mut route = match before.remove(&id) {
                Some(route) => Route { listed, ..route },
                None => Route { standing: in_tables(&listed), doing: Doing::Resting, failures: 0, listed },
            };
            let standing = &mut route.standing;
            standing.delivered = standing.delivered.max(route.listed.row.delivered);
            self.routes.insert(id, route);
        }
    }

    /// What is to be posted now.
    pub fn due(&self, now: Now) -> Vec<Due> {
        let mut due = Vec::new();
        for (&subscription, route) in &self.routes {
            let ready = match route.doing {
                Doing::Resting => true,
                Doing::Posting => false,
                Doing::WaitingUntil(ms) => ms <= now.ms,
            };
            if ready && route.has_work() {
                let row = &route.listed.row;
                let (url, secret) = (row.url.clone(), row.secret.clone());
                let seq = route.standing.delivered.next();
                due.push(Due { subscription, room: row.room, seq, url, secret });
            }
        }
        due
    }

    /// What was due is on its way; nothing more is, until it is answered.
    pub fn begun(&mut self, subscription: SubscriptionId) {
        if let Some(route) = self.routes.get_mut(&subscription) {
            route.doing = Doing::Posting;
        }
    }

    /// A post of that message came to an end.
    pub fn answered(&mut self, subscription: SubscriptionId, seq: Seq, answer: Answer, now: Now) {
        // Deleted, or given up elsewhere, in the meantime.
        let Some(route) = self.routes.get_mut(&subscription) else { return };
        route.doing = Doing::Resting;
        let (failures, standing) = (route.failures, &mut route.standing);
        route.failures = 0;
        match answer {
            Answer::Taken => {
                standing.delivered = standing.delivered.max(seq);
                (standing.failing_since, standing.error) = (0, String::new());
            }
            Answer::Refused(why) => {
                standing.delivered = standing.delivered.max(seq);
                failed(standing, &why, now);
            }
            Answer::Failed { why, after_ms } => {
                failed(standing, &why, now);
                route.failures = failures.saturating_add(1);
                let asked = after_ms.unwrap_or_default().min(ASKED_MS_MAX);
                route.doing = Doing::WaitingUntil(now.ms + pause_ms(route.failures).max(asked));
            }
        }
    }

    /// What the tables do not say yet; nothing within a second of the last report, unless it is the last one.
    pub fn reports(&mut self, now: Now, last: bool) -> Vec<Report> {
        if !last && self.next_report_ms().is_some_and(|ms| now.ms < ms) {
            return Vec::new();
        }
        let news = self.routes.values().filter(|route| route.has_news());
        let news: Vec<Report> = news.map(|route| route.standing.clone()).collect();
        if !news.is_empty() {
            self.reported_ms = Some(now.ms);
        }
        news
    }

    /// When something is to be done though nothing happens.
    pub fn wake_ms(&self, now: Now) -> Option<u64> {
        let waiting = self.routes.values().filter_map(|route| match route.doing {
            Doing::WaitingUntil(ms) if route.has_work() => Some(ms),
            _ => None,
        });
        let news = self.routes.values().any(Route::has_news);
        let report = news.then(|| self.next_report_ms().unwrap_or(now.ms));
        waiting.chain(report).min()
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// How many messages are still to be posted.
    pub fn behind(&self) -> u64 {
        let of_one = |route: &Route| route.listed.last_seq.0.saturating_sub(route.standing.delivered.0);
        self.routes.values().map(of_one).sum()
    }

    fn next_report_ms(&self) -> Option<u64> {
        self.reported_ms.map(|ms| ms + REPORT_EVERY_MS)
    }
}

impl Route {
    fn has_work(&self) -> bool {
        self.listed.allowed && !self.standing.off && self.standing.delivered < self.listed.last_seq
    }

    fn has_news(&self) -> bool {
        self.standing != in_tables(&self.listed)
    }
}

fn in_tables(listed: &Listed) -> Report {
    let row = &listed.row;
    Report {
        subscription: row.subscription,
        delivered: row.delivered,
        failing_since: row.failing_since,
        error: row.error.clone(),
        off: false,
    }
}

fn failed(standing: &mut Report, why: &str, now: Now) {
    if standing.failing_since == 0 {
        standing.failing_since = now.unix_ms;
    }
    standing.error = why.chars().take(ERROR_CHARS_MAX).collect();
    standing.off = now.unix_ms.saturating_sub(standing.failing_since) >= GIVEN_UP_AFTER_MS;
}

/// After so many failures in a row, from 1 on.
fn pause_ms(failures: u32) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    PAUSE_MS.saturating_mul(doubled).min(PAUSE_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::tables::{Serving, SubscriptionRow};
    use crate::ids::At;

    /// The tables that hear the reports, receivers that answer as they are told, and a clock of their own.
    struct Stage {
        rounds: Rounds,
        tables: Vec<Listed>,
        ms: u64,
    }

    impl Stage {
        fn new(ends: &[u64]) -> Self {
            let listed = |(subscription, &end): (u64, &u64)| Listed {
                row: SubscriptionRow {
                    at: At(1),
                    subscription: SubscriptionId(subscription),
                    room: RoomId(subscription),
                    url: "u".into(),
                    secret: "s".into(),
                    by: "ann".into(),
                    state: Serving::On,
                    delivered: Seq(0),
                    failing_since: 0,
                    error: String::new(),
                    time: 0,
                },
                last_seq: Seq(end),
                allowed: true,
            };
            let tables: Vec<Listed> = (1..).zip(ends).map(listed).collect();
            let mut rounds = Rounds::default();
            rounds.see(tables.clone());
            Self { rounds, tables, ms: 5_000 }
        }

        fn now(&self) -> Now {
            Now { ms: self.ms, unix_ms: 1_700_000_000_000 + self.ms }
        }

        fn begin(&mut self) -> Vec<(u64, u64)> {
            let due = self.rounds.due(self.now());
            due.iter().for_each(|due| self.rounds.begun(due.subscription));
            due.iter().map(|due| (due.subscription.0, due.seq.0)).collect()
        }

        fn answer(&mut self, subscription: u64, seq: u64, answer: Answer) {
            let now = self.now();
            self.rounds.answered(SubscriptionId(subscription), Seq(seq), answer, now);
        }

        /// Reports, and the tables then say the same.
        fn report(&mut self) -> Vec<Report> {
            let reports = self.rounds.reports(self.now(), false);
            for report in &reports {
                let listed = self.tables.iter_mut().find(|one| one.row.subscription == report.subscription);
                let row = &mut listed.unwrap().row;
                (row.delivered, row.failing_since) = (report.delivered, report.failing_since);
                row.error.clone_from(&report.error);
            }
            self.tables
                .retain(|one| !reports.iter().any(|r| r.off && r.subscription == one.row.subscription));
            self.rounds.see(self.tables.clone());
            reports
        }
    }

    fn no_answer() -> Answer {
        Answer::failed("no answer")
    }

    #[test]
    fn messages_go_one_after_the_other_and_none_holds_up_another_subscription() {
        let mut stage = Stage::new(&[3, 1, 0]);
        assert_eq!(stage.begin(), [(1, 1), (2, 1)]);
        assert_eq!(stage.begin(), []);
        stage.answer(1, 1, Answer::Taken);
        assert_eq!(stage.begin(), [(1, 2)]);
        assert_eq!(stage.rounds.behind(), 2 + 1);
        stage.answer(1, 2, Answer::Taken);
        assert_eq!(stage.begin(), [(1, 3)]);
        stage.answer(1, 3, Answer::Taken);
        stage.answer(2, 1, Answer::Taken);
        assert_eq!((stage.begin(), stage.rounds.behind()), (vec![], 0));
    }

    #[test]
    fn a_failed_one_is_tried_again_after_pauses_that_double() {
        let mut stage = Stage::new(&[2]);
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]
        {
            assert_eq!(stage.begin(), [(1, 1)]);
            stage.answer(1, 1, no_answer());
            stage.report();
            assert_eq!(stage.rounds.wake_ms(stage.now()), Some(stage.ms + pause));
            stage.ms += pause - 1;
            assert_eq!(stage.begin(), []);
            stage.ms += 1;
        }
        assert_eq!(stage.begin(), [(1, 1)]);
        stage.answer(1, 1, Answer::Taken);
        assert_eq!(stage.begin(), [(1, 2)]);
        // The next one begins with a short pause again.
        stage.answer(1, 2, no_answer());
        stage.ms += 1_000;
        assert_eq!(stage.begin(), [(1, 2)]);
        assert_eq!(pause_ms(u32::MAX), PAUSE_MS_MAX);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_up_to_an_hour() {
        for (asked, pause) in [(30_000, 30_000), (10, 1_000), (u64::MAX, ASKED_MS_MAX)] {
            let mut stage = Stage::new(&[1]);
            stage.begin();
            stage.answer(1, 1, Answer::of_status(503, Some(asked)));
            stage.ms += pause - 1;
            assert_eq!(stage.begin(), []);
            stage.ms += 1;
            assert_eq!(stage.begin(), [(1, 1)]);
        }
    }

    #[test]
    fn what_a_receiver_will_not_have_is_skipped() {
        for (status, answer) in
            [(204, "taken"), (301, "refused"), (404, "refused"), (408, "failed"), (425, "failed")]
                .into_iter()
                .chain([(429, "failed"), (500, "failed"), (503, "failed"), (100, "refused")])
        {
            let found = match Answer::of_status(status, None) {
                Answer::Taken => "taken",
                Answer::Refused(_) => "refused",
                Answer::Failed { .. } => "failed",
            };
            assert_eq!(found, answer, "{status}");
        }
        let mut stage = Stage::new(&[2]);
        stage.begin();
        stage.answer(1, 1, Answer::of_status(404, None));
        assert_eq!(stage.begin(), [(1, 2)]);
        let reports = stage.report();
        assert_eq!((reports[0].delivered, reports[0].error.as_str()), (Seq(1), "answered with status 404"));
        assert_eq!(reports[0].failing_since, stage.now().unix_ms);
        stage.answer(1, 2, Answer::Taken);
        stage.ms += 1_000;
        let reports = stage.report();
        assert_eq!((reports[0].failing_since, reports[0].error.as_str()), (0, ""));
    }

    #[test]
    fn after_a_day_of_nothing_but_failures_it_is_given_up() {
        let mut stage = Stage::new(&[1]);
        let began = stage.ms;
        loop {
            assert_eq!(stage.begin(), [(1, 1)]);
            stage.answer(1, 1, no_answer());
            if stage.report().iter().any(|report| report.off) {
                break;
            }
            assert!(stage.ms - began < GIVEN_UP_AFTER_MS);
            stage.ms = stage.rounds.wake_ms(stage.now()).unwrap();
        }
        assert!((GIVEN_UP_AFTER_MS..GIVEN_UP_AFTER_MS + PAUSE_MS_MAX).contains(&(stage.ms - began)));
        assert_eq!((stage.begin(), stage.rounds.wake_ms(stage.now())), (vec![], None));
    }

    /// The time of the first failure is in the tables, so another leader does not begin to count anew.
    #[test]
    fn the_day_goes_on_under_another_leader() {
        let mut stage = Stage::new(&[1]);
        stage.begin();
        stage.answer(1, 1, no_answer());
        stage.report();
        stage.rounds = Rounds::default();
        stage.rounds.see(stage.tables.clone());
        stage.ms += GIVEN_UP_AFTER_MS;
        assert_eq!(stage.begin(), [(1, 1)]);
        stage.answer(1, 1, no_answer());
        assert!(stage.report()[0].off);
    }

    #[test]
    fn reports_come_once_a_second_and_until_the_tables_say_so() {
        let mut stage = Stage::new(&[9]);
        assert_eq!(stage.rounds.reports(stage.now(), false), []);
        stage.begin();
        stage.answer(1, 1, Answer::Taken);
        assert_eq!(stage.rounds.wake_ms(stage.now()), Some(stage.ms));
        assert_eq!(stage.rounds.reports(stage.now(), false).len(), 1);
        stage.begin();
        stage.answer(1, 2, Answer::Taken);
        assert_eq!(stage.rounds.reports(stage.now(), false), []);
        assert_eq!(stage.rounds.wake_ms(stage.now()), Some(stage.ms + REPORT_EVERY_MS));
        // Who leads no more says at once how far it is.
        assert_eq!(stage.rounds.reports(stage.now(), true)[0].delivered, Seq(2));
        stage.ms += REPORT_EVERY_MS;
        assert_eq!(stage.report()[0].delivered, Seq(2));
        stage.ms += REPORT_EVERY_MS;
        assert_eq!((stage.report(), stage.rounds.wake_ms(stage.now())), (vec![], None));
    }

    #[test]
    fn what_is_deleted_or_not_allowed_is_posted_no_more() {
        let mut stage = Stage::new(&[2, 2]);
        stage.begin();
        stage.tables[1].allowed = false;
        stage.tables.remove(0);
        stage.rounds.see(stage.tables.clone());
        stage.answer(1, 1, Answer::Taken);
        stage.answer(2, 1, Answer::Taken);
        assert_eq!(stage.begin(), []);
        // What was missed meanwhile comes once it is allowed again.
        stage.tables[0].allowed = true;
        stage.rounds.see(stage.tables.clone());
        assert_eq!(stage.begin(), [(2, 2)]);
    }
}
