//! Histories made by hand: what must pass, and what must not. In each, one thing is as the title says and all else
//! is well, so that a judge who lets it pass does not look at that thing.

#![cfg(test)]

use super::{Call, End, History, Op, Shown};

const ROOM: u64 = 7;

/// A history in the making.
#[derive(Default)]
struct Story(History);

fn shown(seq: u64, version: u64, text: &str) -> Shown {
    Shown { seq, id: format!("id{seq}"), version, text: text.to_owned() }
}

impl Story {
    /// By connection 1, called and answered at these times.
    fn call(mut self, (called, answered): (u64, u64), op: Op) -> Self {
        let answered = (answered > 0).then_some(answered);
        self.0.calls.push(Call { connection: 1, room: ROOM, called, answered, op });
        self
    }

    /// As another connection.
    fn by(mut self, connection: u64) -> Self {
        self.0.calls.last_mut().unwrap().connection = connection;
        self
    }

    /// Message `seq`, its text "one", sent as of `at`.
    fn sent(self, times: (u64, u64), seq: u64, at: u64) -> Self {
        self.call(
            times,
            Op::Send { id: format!("id{seq}"), text: "one".to_owned(), end: End::Done((seq, at)) },
        )
    }

    fn unsent(self, times: (u64, u64), seq: u64, end: End<(u64, u64)>) -> Self {
        self.call(times, Op::Send { id: format!("id{seq}"), text: "one".to_owned(), end })
    }

    /// Message 1 gets this text.
    fn edit(self, times: (u64, u64), expects: Option<u64>, text: &str, end: End<(u64, u64)>) -> Self {
        self.call(times, Op::Edit { seq: 1, expects, text: text.to_owned(), end })
    }

    fn read(self, times: (u64, u64), at: u64, shown: &[Shown]) -> Self {
        self.call(times, Op::Read { at, local: false, shown: shown.to_vec() })
    }

    fn local(self, times: (u64, u64), at: u64, shown: &[Shown]) -> Self {
        self.call(times, Op::Read { at, local: true, shown: shown.to_vec() })
    }

    fn end(mut self, shown: &[Shown]) -> History {
        self.0.rooms.insert(ROOM, shown.to_vec());
        self.0
    }
}

fn story() -> Story {
    Story::default()
}

/// Message 1, sent well before all that matters.
fn begun() -> Story {
    story().sent((1, 2), 1, 10)
}

fn one(version: u64, text: &str) -> Shown {
    shown(1, version, text)
}

#[track_caller]
fn passes(history: &History) {
    assert_eq!(history.verdict(), Vec::<String>::new());
}

#[track_caller]
fn fails(history: &History, with: &str) {
    let verdict = history.verdict();
    assert!(verdict.iter().any(|line| line.contains(with)), "not {with:?}, but {verdict:?}");
}

#[test]
fn what_must_pass() {
    passes(&History::default());
    passes(&begun().read((3, 4), 10, &[one(1, "one")]).end(&[one(1, "one")]));
    // Sends that overlap may stand in either order, and a read beside them sees none, one or both.
    let both = [shown(1, 1, "one"), shown(2, 1, "one")];
    passes(&story().sent((1, 9), 2, 20).sent((2, 8), 1, 10).read((3, 4), 10, &both[..1]).by(2).end(&both));
    // Without an answer: it is there, at some time, or never.
    passes(&begun().unsent((3, 0), 2, End::Unknown).read((5, 6), 10, &both[..1]).end(&both));
    passes(&begun().unsent((3, 4), 2, End::Unknown).read((5, 6), 10, &both[..1]).end(&both[..1]));
    passes(&begun().unsent((3, 4), 2, End::Refused).end(&both[..1]));
    // Edits count versions; one without an answer may explain a jump.
    let edits = || begun().edit((3, 4), Some(1), "two", End::Done((2, 20)));
    passes(&edits().read((5, 6), 20, &[one(2, "two")]).end(&[one(2, "two")]));
    let jump =
        edits().edit((5, 0), None, "three", End::Unknown).edit((7, 8), None, "four", End::Done((4, 40)));
    passes(&jump.end(&[one(4, "four")]));
    // Of two that expect the same version one is done, the other told which version it met.
    let race = begun().edit((3, 9), Some(1), "two", End::Done((2, 20)));
    let race = race.call((4, 8), Op::Missed { seq: 1, expects: 1, current: 2 }).by(2);
    passes(&race.end(&[one(2, "two")]));
    // A local read may be late, as long as it is of one moment.
    passes(&edits().local((5, 6), 10, &[one(1, "one")]).by(2).end(&[one(2, "two")]));
}

#[test]
fn a_stale_read() {
    let both = [shown(1, 1, "one"), shown(2, 1, "one")];
    let late = begun().sent((3, 4), 2, 20).by(2).read((5, 6), 10, &both[..1]).by(3);
    fails(&late.end(&both), "the order of messages");
    let edited = begun().edit((3, 4), None, "two", End::Done((2, 20))).by(2);
    fails(&edited.read((5, 6), 10, &[one(1, "one")]).by(3).end(&[one(2, "two")]), "the edits of message 1");
    // Seen by one and then not by another, though the send was still under way.
    let unseen = begun().sent((3, 9), 2, 20).by(2).read((4, 5), 20, &both).by(3);
    fails(&unseen.read((6, 7), 10, &both[..1]).by(4).end(&both), "the order of messages");
}

#[test]
fn a_lost_update() {
    // Both were told that they replaced version 1.
    let both = begun().edit((3, 9), Some(1), "two", End::Done((2, 20)));
    let both = both.edit((4, 8), Some(1), "three", End::Done((2, 21))).by(2);
    fails(&both.end(&[one(2, "three")]), "the edits of message 1");
    // Done, and gone in the end.
    let gone = begun().edit((3, 4), None, "two", End::Done((2, 20)));
    fails(&gone.end(&[one(1, "one")]), "the edits of message 1");
    fails(&begun().sent((3, 4), 2, 20).end(&[one(1, "one")]), "was done as");
    // It expected a version that was there no more.
    let late = begun().edit((3, 4), None, "two", End::Done((2, 20)));
    fails(
        &late.edit((5, 6), Some(1), "three", End::Done((3, 30))).end(&[one(3, "three")]),
        "the edits of message 1",
    );
}

#[test]
fn a_double_effect() {
    let twice = [shown(1, 1, "one"), Shown { seq: 2, ..shown(1, 1, "one") }];
    fails(&begun().end(&twice), "stands there twice");
    // One edit, two versions.
    let again = begun().edit((3, 4), None, "two", End::Done((2, 20)));
    fails(&again.end(&[one(3, "two")]), "the edits of message 1");
    let unknown =
        begun().edit((3, 4), None, "two", End::Unknown).edit((5, 6), None, "three", End::Done((3, 30)));
    let unknown = unknown.read((7, 8), 40, &[one(4, "two")]);
    fails(&unknown.end(&[one(4, "two")]), "the edits of message 1");
}

#[test]
fn a_reordering() {
    let (first, second) = (shown(1, 1, "one"), shown(2, 1, "one"));
    fails(
        &story().sent((1, 2), 2, 20).sent((3, 4), 1, 10).end(&[first.clone(), second]),
        "the order of messages",
    );
    // An order that was read, and is another in the end.
    let other = Shown { id: "id1".to_owned(), ..shown(2, 1, "one") };
    let swapped = story().sent((1, 9), 1, 10).read((3, 4), 20, &[other]);
    fails(&swapped.end(&[first]), "stands elsewhere in the end");
    let hole = begun().sent((3, 4), 3, 20).end(&[one(1, "one"), shown(3, 1, "one")]);
    fails(&hole, "a hole");
}

#[test]
fn what_was_refused_is_there() {
    fails(&story().unsent((1, 2), 1, End::Refused).end(&[one(1, "one")]), "was refused and is there");
    let edit = begun().edit((3, 4), None, "two", End::Refused).read((5, 6), 20, &[one(2, "two")]);
    fails(&edit.end(&[one(1, "one")]), "was refused and is there");
    fails(&begun().read((3, 4), 10, &[one(1, "nobody's")]).end(&[one(1, "one")]), "was never written");
}

#[test]
fn a_read_of_no_moment() {
    let (both, edited) = ([shown(1, 1, "one"), shown(2, 1, "one")], [shown(1, 2, "two"), shown(2, 1, "one")]);
    let two = || begun().sent((3, 4), 2, 20);
    fails(&two().local((5, 6), 20, &both[..1]).by(2).end(&both), "is not shown");
    fails(&two().local((5, 6), 10, &both).by(2).end(&both), "is shown, which was sent at 20");
    let three = || two().edit((5, 6), None, "two", End::Done((2, 30)));
    // The edit without the send before it, the send without the edit that it names.
    fails(&three().local((7, 8), 30, &both).by(2).end(&edited), "wrongly there or missing");
    fails(&three().local((7, 8), 20, &edited).by(2).end(&edited), "wrongly there or missing");
}

#[test]
fn a_connection_that_goes_back() {
    let both = [shown(1, 1, "one"), shown(2, 1, "one")];
    let reads = begun().sent((3, 4), 2, 20).local((5, 6), 20, &both).by(2);
    fails(&reads.local((7, 8), 10, &both[..1]).by(2).end(&both), "a connection knew of 20");
    // Not even what it did itself.
    let own = begun().sent((3, 4), 2, 20).local((5, 6), 10, &both[..1]);
    fails(&own.end(&both), "a connection knew of 20");
}
