//! The rules of founding, one by one.

use super::*;

pub(super) fn listed(nodes: usize) -> Vec<Listed> {
    let member = |number| Listed {
        name: format!("node{number}"),
        peer: format!("http://10.0.0.{number}:1"),
        public: format!("http://10.0.0.{number}:2"),
    };
    (1..=nodes).map(member).collect()
}

pub(super) fn drawn(life: u8) -> Drawn {
    Drawn { cluster: format!("c{life}"), epoch: format!("e{life}") }
}

pub(super) fn record(nodes: usize, life: u8) -> Founding {
    draw(&listed(nodes), &drawn(life))
}

fn says(number: usize, members: Vec<Listed>, foundation: Foundation) -> (String, Heard) {
    let name = format!("node{number}");
    (
        name.clone(),
        Heard::Answer(Answer {
            name,
            run: "0".to_owned(),
            members,
            foundation,
            supersedes: Vec::new(),
            disk: String::new(),
        }),
    )
}

fn request(ask: Ask) -> Request {
    Request { run: "0".to_owned(), ask, without: Vec::new() }
}

fn silent(number: usize) -> (String, Heard) {
    (format!("node{number}"), Heard::Silent)
}

fn sentence(step: Step) -> String {
    match step {
        Step::Wait(sentence) | Step::TakeNoPart(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_member_is_waited_for_by_name() {
    let two_is_there = says(2, listed(3), Foundation::Empty);
    let step = next("node1", &listed(3), &Foundation::Empty, &[two_is_there, silent(3)], &drawn(1));
    assert_eq!(step, Step::Wait("waiting for node3 at http://10.0.0.3:1".to_owned()));
    let step = next("node1", &listed(3), &Foundation::Empty, &[], &drawn(1));
    assert_eq!(sentence(step), "waiting for node2 at http://10.0.0.2:1, node3 at http://10.0.0.3:1");
}

#[test]
fn only_the_first_listed_member_founds() {
    let empty = |number| says(number, listed(2), Foundation::Empty);
    assert_eq!(
        next("node1", &listed(2), &Foundation::Empty, &[empty(2)], &drawn(1)),
        Step::Store(record(2, 1))
    );
    assert_eq!(
        next("node2", &listed(2), &Foundation::Empty, &[empty(1)], &drawn(1)),
        Step::Wait("waiting for node1 to found the chat".to_owned())
    );
    assert_eq!(next("node1", &listed(1), &Foundation::Empty, &[], &drawn(1)), Step::Store(record(1, 1)));
}

#[test]
fn an_empty_node_beside_a_living_chat_joins_it() {
    let living = says(3, listed(3), Foundation::Founded(record(3, 1)));
    for own in ["node1", "node2"] {
        let step = next(own, &listed(3), &Foundation::Empty, std::slice::from_ref(&living), &drawn(2));
        assert_eq!(step, Step::Join { cluster: "c1".to_owned(), via: vec!["node3".to_owned()] });
    }
    let held = Foundation::Proposed(record(3, 1));
    assert_eq!(
        next("node2", &listed(3), &held, std::slice::from_ref(&living), &drawn(2)),
        Step::Confirm { tell: Vec::new() }
    );
    let other = Foundation::Proposed(record(3, 2));
    assert!(matches!(next("node1", &listed(3), &other, &[living], &drawn(2)), Step::TakeNoPart(_)));
}

#[test]
fn settings_that_differ_are_named() {
    let mut moved = listed(2);
    moved[1].peer = "http://10.0.0.9:1".to_owned();
    let mut turned = listed(2);
    turned.reverse();
    for (theirs, expected) in [
        (
            moved,
            "the settings of node1 and node2 differ: node2 has peer http://10.0.0.2:1 in one and http://10.0.0.9:1 in the other",
        ),
        (
            listed(3),
            "the settings of node1 and node2 differ: node1 lists node1, node2; node2 lists node1, node2, node3",
        ),
        (
            turned,
            "the settings of node1 and node2 differ: node1 lists node1, node2; node2 lists node2, node1",
        ),
    ] {
        for own in [Foundation::Empty, Foundation::Proposed(record(2, 1))] {
            let heard = [says(2, theirs.clone(), Foundation::Empty)];
            assert_eq!(next("node1", &listed(2), &own, &heard, &drawn(1)), Step::Wait(expected.to_owned()));
        }
        let refused = obey("node2", "0", &theirs, &Foundation::Empty, &request(Ask::Store(record(2, 1))));
        assert!(refused.is_err());
    }
    let (_, wrong_node) = says(3, listed(2), Foundation::Empty);
    let step = next("node1", &listed(2), &Foundation::Empty, &[("node2".to_owned(), wrong_node)], &drawn(1));
    assert!(sentence(step).contains("answers as node3"));
}

#[test]
fn a_record_of_other_settings_is_dropped_by_its_founder_alone() {
    let held = Foundation::Proposed(record(3, 1));
    let heard = [says(2, listed(2), held.clone())];
    assert_eq!(next("node1", &listed(2), &held, &heard, &drawn(2)), Step::Drop);
    assert_eq!(
        next("node1", &listed(2), &Foundation::Empty, &heard, &drawn(2)),
        Step::Ask(vec![("node2".to_owned(), request(Ask::Drop { cluster: "c1".to_owned() }))])
    );
}

#[test]
fn a_founded_record_is_for_good() {
    let founded = Foundation::Founded(record(2, 1));
    assert_eq!(next("node2", &listed(2), &founded, &[], &drawn(2)), Step::Start(record(2, 1)));
    assert!(matches!(next("node9", &listed(2), &founded, &[], &drawn(2)), Step::TakeNoPart(_)));
    for ask in [Ask::Store(record(2, 2)), Ask::Drop { cluster: "c1".to_owned() }] {
        assert!(obey("node2", "0", &listed(2), &founded, &request(ask)).is_err());
    }
    assert_eq!(
        obey("node2", "0", &listed(2), &founded, &request(Ask::Store(record(2, 1)))),
        Ok(Deed::Nothing)
    );
}

#[test]
fn what_was_asked_of_an_earlier_run_is_refused() {
    let asked = request(Ask::Store(record(2, 1)));
    assert!(obey("node2", "0", &listed(2), &Foundation::Empty, &asked).is_ok());
    assert!(obey("node2", "1", &listed(2), &Foundation::Empty, &asked).is_err());
}

#[test]
fn two_living_chats_are_told_apart() {
    let (one, two) =
        (says(1, listed(3), Foundation::Founded(record(3, 1))), Foundation::Founded(record(3, 2)));
    let heard = [one.clone(), says(2, listed(3), two.clone())];
    let step = next("node3", &listed(3), &Foundation::Empty, &heard, &drawn(3));
    assert!(sentence(step).contains("list only nodes of one"));
    let (name, Heard::Answer(answer)) = says(2, listed(3), two) else { panic!("an answer") };
    let newer = (name, Heard::Answer(Answer { supersedes: vec!["c1".to_owned()], ..answer }));
    let step = next("node3", &listed(3), &Foundation::Empty, &[one, newer], &drawn(3));
    assert_eq!(step, Step::Join { cluster: "c2".to_owned(), via: vec!["node2".to_owned()] });
}

#[test]
fn a_node_that_is_to_join_founds_nothing() {
    let empty = says(1, listed(3), Foundation::Empty);
    let step = join("node4", &Foundation::Empty, &[empty, silent(2)]);
    assert_eq!(
        sentence(step),
        "waiting for a running cluster to join; node1: node1 is not part of a chat yet, node2 does not answer"
    );
    let living = says(3, listed(3), Foundation::Founded(record(3, 1)));
    let step = join("node4", &Foundation::Empty, &[silent(2), living]);
    assert_eq!(step, Step::Join { cluster: "c1".to_owned(), via: vec!["node3".to_owned()] });
    let here = Foundation::Founded(record(3, 1));
    assert_eq!(join("node1", &here, &[]), Step::Start(record(3, 1)));
}

#[test]
fn a_chat_is_founded_without_whom_the_operator_gave_up() {
    let without = ["node1".to_owned()];
    let next = |own: &str, heard: &[(String, Heard)], held: &Foundation| {
        next_without(own, &listed(3), &without, held, heard, &drawn(1))
    };
    let three = says(3, listed(3), Foundation::Empty);
    let Step::Store(record) = next("node2", std::slice::from_ref(&three), &Foundation::Empty) else {
        panic!("node2 is the first that is left");
    };
    assert_eq!(record.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["node2", "node3"]);
    let Step::Ask(asks) = next("node2", &[three], &Foundation::Proposed(record)) else { panic!("it asks") };
    assert_eq!(asks[0].1.without, without);
    assert!(matches!(obey("node3", "0", &listed(3), &Foundation::Empty, &asks[0].1), Ok(Deed::Store(_))));
    let unasked = Request { without: Vec::new(), ..asks[0].1.clone() };
    assert!(obey("node3", "0", &listed(3), &Foundation::Empty, &unasked).is_err());
}
