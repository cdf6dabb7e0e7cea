//! Whole screens, as text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::chat::frames;
use crate::chat::keep::Item;
use crate::chat::keys::Key;
use crate::chat::screen::desk::tests::desk;

fn screen(desk: &mut Desk, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, desk, Look { has_colour: false })).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn shows(screen: &[String], what: &str) -> bool {
    screen.iter().any(|line| line.contains(what))
}

fn event(frame: &serde_json::Value) -> frames::Event {
    match frames::read(frame.to_string().as_bytes()) {
        Some(frames::Frame::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn say(desk: &mut Desk, seq: u64, text: &str) {
    let message = json!({"ev": "message", "room": 1, "seq": seq, "at": seq + 100, "from": "bob", "text": text,
        "reply_to": 1, "reactions": {"👍": ["ann"]}, "files": [{"name": "plan.txt", "bytes": 2048}], "edited": true});
    desk.event(&event(&message));
}

#[test]
fn a_busy_room() {
    let mut desk = desk();
    for seq in 4..60 {
        say(&mut desk, seq, &format!("message {seq} \u{1b}[31m with a line\nand another"));
    }
    desk.writers = vec!["bob".into(), "cy".into()];
    let lines = screen(&mut desk, 90, 24);
    for what in [
        "ann",
        "> general",
        "@bob",
        "message 59 \\u{1b}[31m with a line",
        "and another (edited)",
        "↳ ann: one",
        "[file: plan.txt, 2 kB]",
        "👍",
        "Connected to node2 · bob and cy are writing",
        "F1 help",
    ] {
        assert!(shows(&lines, what), "{what}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
    let (first, last) = desk.shown.unwrap();
    assert!(first > 40 && last == 59, "{first} {last}");
    // Further back: what is looked at stays when more comes.
    desk.key(Key::PageUp);
    let before = screen(&mut desk, 90, 24);
    say(&mut desk, 60, "new");
    let after = screen(&mut desk, 90, 24);
    // Only the count beside the room is another.
    let conversation = |lines: &[String]| -> Vec<String> {
        lines[..20].iter().map(|line| line.chars().skip(24).collect()).collect()
    };
    assert_eq!(conversation(&before), conversation(&after));
    assert!(shows(&after, "Further back"));
    desk.key(Key::Escape);
    assert!(shows(&screen(&mut desk, 90, 24), "new (edited)"));
}

#[test]
fn where_new_messages_begin() {
    let mut desk = desk();
    let lines = screen(&mut desk, 80, 20);
    let place = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
    assert!(place("two") < place("── New ──") && place("── New ──") < place("three"), "{lines:#?}");
}

#[test]
fn narrow_and_small() {
    let mut desk = desk();
    let long = "averyveryverylongwordwithoutanyspaceinit and some more";
    desk.draft.input.insert(long);
    for (width, height) in [(30, 10), (20, 6), (12, 4), (11, 3), (1, 1), (200, 5)] {
        let lines = screen(&mut desk, width, height);
        assert_eq!(lines.len(), usize::from(height));
    }
    let lines = screen(&mut desk, 30, 12);
    assert!(shows(&lines, "three") && shows(&lines, "and some more"), "{lines:#?}");
    assert!(!shows(&lines, "plans"), "rooms have no place: {lines:#?}");
    desk.key(Key::Choose);
    assert!(shows(&screen(&mut desk, 30, 12), "plans"));
    desk.key(Key::Help);
    assert!(shows(&screen(&mut desk, 30, 12), "Help"));
}

#[test]
fn without_a_majority() {
    let mut desk = desk();
    desk.event(&event(&json!({"ev": "cluster", "quorum": false, "nodes": []})));
    let item = |id: &str, text: &str, refused: Option<&str>| Item {
        id: id.into(),
        room: 1,
        op: "send".into(),
        fields: json!({"text": text}),
        written: 0,
        refused: refused.map(str::to_owned),
    };
    desk.outbox = vec![item("1", "later", None), item("2", "not so", Some("too large"))];
    let lines = screen(&mut desk, 80, 20);
    for what in [
        "No majority: reading only; 1 message waiting",
        "ann  sending",
        "  later",
        "not sent: too large",
        "  not so",
    ] {
        assert!(shows(&lines, what), "{what}: {lines:#?}");
    }
    desk.lost();
    assert!(shows(&screen(&mut desk, 80, 20), "Reconnecting… 1 message waiting"));
}

#[test]
fn lists_over_the_conversation() {
    let mut desk = desk();
    desk.key(Key::Search);
    assert!(shows(&screen(&mut desk, 80, 20), "Search:"));
    desk.key(Key::Escape);
    desk.key(Key::Choose);
    desk.key(Key::Character('g'));
    let lines = screen(&mut desk, 80, 20);
    assert!(shows(&lines, "Room: g") && shows(&lines, "> general"), "{lines:#?}");
}
