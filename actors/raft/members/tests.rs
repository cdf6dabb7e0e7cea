//! The rules, one by one.

use raft::eraftpb::ConfState;

use super::*;

/// What a leader sees: itself, who is up, who lags.
struct Seen {
    up: Vec<u64>,
    lagging: Vec<u64>,
}

impl Sight for Seen {
    fn own(&self) -> RaftId {
        RaftId(1)
    }

    fn is_up(&self, id: RaftId) -> bool {
        id.0 == 1 || self.up.contains(&id.0)
    }

    fn lag(&self, id: RaftId) -> u64 {
        if self.lagging.contains(&id.0) { 1_000 } else { 0 }
    }
}

fn row(name: &str, raft_id: Option<u64>) -> NodeRow {
    NodeRow {
        name: name.into(),
        raft_id: raft_id.map(RaftId),
        disk: raft_id.map(|id| format!("disk{id}")),
        peer: format!("http://{name}:1"),
        public: format!("http://{name}:2"),
        learner: false,
        removed: false,
    }
}

/// Voters node1 … and learners after them.
fn roll(voters: u64, learners: u64) -> Roll {
    let rows = (1..=voters + learners).map(|id| row(&format!("node{id}"), Some(id))).collect();
    let conf = ConfState {
        voters: (1..=voters).collect(),
        learners: (voters + 1..=voters + learners).collect(),
        ..ConfState::default()
    };
    Roll { rows, conf }
}

fn all_up() -> Seen {
    Seen { up: (1..10).collect(), lagging: Vec::new() }
}

fn sentence(verdict: Verdict) -> String {
    match verdict {
        Verdict::Settled(Settled::Done(said)) => format!("done: {said}"),
        Verdict::Settled(Settled::Refused(said)) => format!("refused: {said}"),
        Verdict::Settled(Settled::Later(said)) => format!("later: {said}"),
        Verdict::Settled(other) => format!("{other:?}"),
        Verdict::Change { turns, goal } => format!("{turns:?}: {}", goal.says),
        Verdict::Move { to } => format!("move to {to}"),
    }
}

fn named(wish: fn(String) -> Wish, name: &str) -> Wish {
    wish(name.to_owned())
}

fn remove(name: &str) -> Wish {
    named(|name| Wish::Remove { name }, name)
}

#[test]
fn removing() {
    let three = roll(3, 1);
    let seen = |up: &[u64]| Seen { up: up.to_vec(), lagging: vec![2] };
    for (wish, up, expected) in [
        ("node3", &[2][..], "[Gone(RaftId(3))]: node3 is removed"),
        ("node4", &[2, 3], "[Gone(RaftId(4))]: node4 is removed"),
        ("node1", &[2, 3], "move to 3"),
        (
            "node2",
            &[],
            "refused: node2 cannot be removed: of those left (node1, node3) no majority would be up: node3 is down",
        ),
        ("node9", &[2, 3], "refused: no node is called node9: there are node1, node2, node3, node4"),
    ] {
        assert_eq!(sentence(judge(&remove(wish), &three, &seen(up))), expected, "{wish} {up:?}");
    }
    let said = sentence(judge(&remove("node1"), &roll(1, 0), &all_up()));
    assert_eq!(said, "refused: node1 cannot be removed: it is the last voter");
    let mut gone = roll(3, 0);
    gone.rows[2].removed = true;
    gone.conf.voters.pop();
    assert_eq!(sentence(judge(&remove("node3"), &gone, &all_up())), "done: node3 is removed already");
    assert!(gone.was_removed(RaftId(3)) && !gone.was_removed(RaftId(4)));
}

#[test]
fn adding() {
    let add = |name: &str, peer: &str, learner| Wish::Add {
        name: name.into(),
        peer: peer.into(),
        public: peer.replace(":1", ":2"),
        learner,
    };
    let mut cluster = roll(2, 1);
    cluster.rows.push(row("node4", None));
    for (wish, expected) in [
        (add("node5", "http://node5:1", false), "[]: node5 is written down: start it, and it joins"),
        (add("node4", "http://node4:1", false), "done: node4 is written down already: start it"),
        (add("node4", "http://other:1", false), "[]: node4 is written down: start it, and it joins"),
        (
            add("node5", "http://node2:1", false),
            "refused: node2 has that address: give node5 one of its own, or remove node2 first",
        ),
        (add("node2", "http://node2:1", false), "done: node2 is part of the chat already"),
        (
            add("node2", "http://node2:1", true),
            "refused: node2 is a voter: remove it first to make it a learner",
        ),
    ] {
        assert_eq!(sentence(judge(&wish, &cluster, &all_up())), expected, "{wish:?}");
    }
    // A name that was removed keeps its highest id, so that none is given twice.
    cluster.rows[2].removed = true;
    cluster.conf.learners.clear();
    let Verdict::Change { goal, .. } = judge(&add("node3", "http://node3:1", true), &cluster, &all_up())
    else {
        panic!("it may come back");
    };
    assert_eq!(goal.row, Some(NodeRow { learner: true, disk: None, ..row("node3", Some(3)) }));
}

#[test]
fn promoting_and_leading() {
    let mut cluster = roll(3, 2);
    cluster.rows[4].learner = true;
    let seen = Seen { up: vec![2, 4, 5], lagging: vec![4] };
    let promote = |name: &str| named(|name| Wish::Promote { name }, name);
    let lead = |name: &str| named(|name| Wish::Lead { name }, name);
    for (wish, expected) in [
        (promote("node2"), "done: node2 is a voter already"),
        (promote("node4"), "refused: node4 is not caught up, it lacks 1000 entries: try again later"),
        (promote("node5"), "[Voter(RaftId(5))]: node5 is a voter"),
        (lead("node1"), "done: node1 leads already"),
        (lead("node2"), "move to 2"),
        (lead("node3"), "refused: node3 is down: start it first"),
        (lead("node5"), "refused: node5 is a learner: promote it first"),
    ] {
        assert_eq!(sentence(judge(&wish, &cluster, &seen)), expected, "{wish:?}");
    }
    let Verdict::Change { goal, .. } = judge(&promote("node5"), &cluster, &seen) else { panic!("a change") };
    assert_eq!(goal.row.map(|row| row.learner), Some(false));
}

#[test]
fn joining() {
    let join = |name: &str, disk: &str, gone: Option<u64>| Wish::Join {
        name: name.into(),
        peer: format!("http://{name}:1"),
        public: format!("http://{name}:2"),
        disk: disk.into(),
        gone: gone.map(RaftId),
        level: 1,
    };
    let cluster = roll(3, 0);
    let without_3 = Seen { up: vec![2], lagging: Vec::new() };
    let alone = Seen { up: Vec::new(), lagging: Vec::new() };
    for (wish, seen, expected) in [
        (join("node4", "new", None), &without_3, "[Learner(RaftId(4))]: "),
        (join("node3", "new", Some(3)), &without_3, "[Gone(RaftId(3)), Learner(RaftId(4))]: "),
        (join("node2", "new", Some(2)), &without_3, "later: node2 is part of the chat, and answers"),
        (join("node3", "new", None), &without_3, "AskOld { raft_id: RaftId(3), peer: \"http://node3:1\" }"),
        (
            join("node3", "new", Some(3)),
            &alone,
            "later: node3 cannot be replaced now: of those left (node1, node2) no majority would be up: node2 is down",
        ),
    ] {
        assert_eq!(sentence(judge(&wish, &cluster, seen)), expected, "{wish:?}");
    }
    // A copy of another's settings under a new name: both would get what is meant for one.
    let twin = Wish::Join {
        name: "node4".into(),
        peer: "http://node2:1".into(),
        public: "http://node4:2".into(),
        disk: "new".into(),
        gone: None,
        level: 1,
    };
    assert_eq!(
        sentence(judge(&twin, &cluster, &all_up())),
        "refused: node2 has that address: give node4 one of its own, or remove node2 first"
    );
    let cluster = roll(2, 1);
    let again = judge(&join("node3", "disk3", None), &cluster, &all_up());
    assert!(matches!(again, Verdict::Settled(Settled::Joined { raft_id: RaftId(3), .. })), "{again:?}");
}

/// A disk that went back to before it was let in asks once more under the very same drawing. It has voted and
/// acknowledged entries as that replica, and knows nothing of it.
#[test]
fn an_empty_disk_is_never_a_voter_again() {
    let cluster = roll(3, 0);
    let ask = Wish::Join {
        name: "node3".into(),
        peer: "http://node3:1".into(),
        public: "http://node3:2".into(),
        disk: "disk3".into(),
        gone: None,
        level: 1,
    };
    let said = |up: &[u64]| {
        let seen = Seen { up: up.to_vec(), lagging: Vec::new() };
        sentence(judge(&ask, &cluster, &seen))
    };
    assert_eq!(said(&[2, 3]), "later: node3 is part of the chat, and answers");
    assert_eq!(said(&[2]), "[Gone(RaftId(3)), Learner(RaftId(4))]: ");
}
