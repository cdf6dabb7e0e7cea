//! News and keys in, acts out.

use serde_json::json;

use super::*;
use crate::chat::frames::Problem;
use crate::chat::keys::Key;

pub fn desk() -> Desk {
    let welcome = json!({
        "user": {"name": "ann"}, "node": "node2", "cursor": 0, "epoch": "e", "resumed": false,
        "cluster": {"quorum": true}, "rooms": [
            {"room": 1, "name": "general", "kind": "public", "last_seq": 3, "read_seq": 2, "unread": 1},
            {"room": 2, "name": "plans", "kind": "private"},
            {"room": 3, "kind": "direct", "users": ["ann", "bob"]},
        ],
    });
    let mut desk = Desk::new(None);
    let acts = desk.welcome(&serde_json::from_value(welcome).unwrap());
    let then = Then::Newest { room: 1, is_local: false };
    assert!(matches!(&acts[..], [Act::Ask { op: "history", then: asked, .. }] if *asked == then));
    let message = |seq: u64, from: &str, text: &str| json!({"room": 1, "seq": seq, "at": seq, "from": from, "text": text});
    let messages = [message(1, "ann", "one"), message(2, "bob", "two"), message(3, "bob", "three")];
    desk.answered(then, Ok(json!({"messages": messages, "more": true})));
    desk
}

fn press(desk: &mut Desk, keys: &[Key]) -> Vec<Act> {
    keys.iter().flat_map(|key| desk.key(key.clone())).collect()
}

fn write(desk: &mut Desk, text: &str) -> Vec<Act> {
    text.chars().for_each(|character| drop(desk.key(Key::Character(character))));
    desk.key(Key::Enter)
}

#[test]
fn writing_replying_and_editing() {
    let mut desk = desk();
    assert_eq!(write(&mut desk, "hi"), [Act::Write { op: "send", room: 1, fields: json!({"text": "hi"}) }]);
    assert!(desk.draft.input.is_empty());
    assert_eq!(write(&mut desk, "  "), []);
    desk.key(Key::DeleteAll);
    press(&mut desk, &[Key::Pick, Key::Up, Key::Character('r')]);
    let reply = Act::Write { op: "send", room: 1, fields: json!({"text": "yes", "reply_to": 2}) };
    assert_eq!(write(&mut desk, "yes"), [reply]);
    assert_eq!(desk.draft.reply_to, None);
    // ↑ edits one's own last, Esc leaves it.
    press(&mut desk, &[Key::Up]);
    assert_eq!((desk.draft.input.text().as_str(), desk.draft.editing), ("one", Some(1)));
    let edit = Act::Write { op: "edit", room: 1, fields: json!({"seq": 1, "text": "one!"}) };
    assert_eq!(write(&mut desk, "!"), [edit]);
    press(&mut desk, &[Key::Up, Key::Escape]);
    assert!(desk.draft.input.is_empty() && desk.draft.editing.is_none());
}

#[test]
fn only_ones_own_messages_are_deleted_and_only_when_meant() {
    let mut desk = desk();
    press(&mut desk, &[Key::Pick, Key::Character('d')]);
    assert_eq!(desk.mode, Mode::Picking(3));
    press(&mut desk, &[Key::Up, Key::Up, Key::Character('d')]);
    assert_eq!(desk.mode, Mode::Deleting(1));
    assert_eq!(press(&mut desk, &[Key::Character('n')]), []);
    press(&mut desk, &[Key::Pick, Key::Up, Key::Up, Key::Character('d')]);
    let acts = press(&mut desk, &[Key::Character('y')]);
    assert!(matches!(&acts[..], [Act::Ask { op: "delete", fields, .. }] if fields["seqs"] == json!([1])));
}

#[test]
fn one_reacts_to_a_message_and_takes_it_back() {
    let mut desk = desk();
    let react = |seq: u64, on: bool| {
        let fields = json!({"room": 1, "seq": seq, "emoji": "👍", "on": on});
        [Act::Ask { op: "react", fields, then: Then::Nothing }]
    };
    press(&mut desk, &[Key::Pick, Key::Up, Key::Character('+')]);
    assert_eq!(write(&mut desk, "👍"), react(2, true));
    assert_eq!(desk.mode, Mode::Writing);
    let seen = desk.state.rooms.get_mut(&1).unwrap();
    seen.messages.get_mut(&3).unwrap().reactions.insert("👍".into(), vec!["ann".into(), "bob".into()]);
    assert_eq!(write(&mut desk, "/react 👍"), react(3, false));
    // Nothing written is no reaction, and what is being written stays.
    desk.key(Key::Character('h'));
    press(&mut desk, &[Key::Pick, Key::Character('+'), Key::Enter]);
    assert_eq!((desk.mode == Mode::Writing, desk.draft.input.text().as_str()), (true, "h"));
}

#[test]
fn each_room_keeps_what_was_begun_in_it() {
    let mut desk = desk();
    press(&mut desk, &[Key::Character('a')]);
    press(&mut desk, &[Key::NextRoom]);
    assert_eq!((desk.current, desk.draft.input.text().as_str()), (Some(2), ""));
    press(&mut desk, &[Key::PreviousRoom]);
    assert_eq!((desk.current, desk.draft.input.text().as_str()), (Some(1), "a"));
    press(&mut desk, &[Key::Choose, Key::Character('B'), Key::Enter]);
    assert_eq!((desk.current, &desk.mode), (Some(3), &Mode::Writing));
}

/// What is written, and what of: text, edited message, answered message.
fn draft(desk: &Desk) -> (String, Option<u64>, Option<u64>) {
    (desk.draft.input.text(), desk.draft.editing, desk.draft.reply_to)
}

#[test]
fn what_was_begun_comes_back_after_an_edit_and_an_edit_when_one_comes_back() {
    let mut desk = desk();
    press(&mut desk, &[Key::Pick, Key::Character('r'), Key::Character('a')]);
    let edit = [Key::Pick, Key::Up, Key::Up, Key::Character('e')];
    press(&mut desk, &edit);
    assert_eq!(draft(&desk), ("one".into(), Some(1), None));
    press(&mut desk, &[Key::Character('!'), Key::NextRoom]);
    assert_eq!(draft(&desk), (String::new(), None, None));
    press(&mut desk, &[Key::PreviousRoom]);
    assert_eq!(draft(&desk), ("one!".into(), Some(1), None));
    press(&mut desk, &edit);
    let acts = desk.key(Key::Enter);
    let written = Act::Write { op: "edit", room: 1, fields: json!({"seq": 1, "text": "one"}) };
    assert_eq!(acts, [written]);
    assert_eq!(draft(&desk), ("a".into(), None, Some(3)));
    // No room on the disk: it is written there still, and what it covers comes behind it.
    desk.not_kept("edit", &json!({"seq": 1, "text": "one!"}));
    assert_eq!(draft(&desk), ("one!".into(), Some(1), None));
    press(&mut desk, &[Key::Escape]);
    assert_eq!(draft(&desk), ("a".into(), None, Some(3)));
}

#[test]
fn who_is_removed_from_a_room_finds_what_was_begun_when_let_in_again() {
    let mut desk = desk();
    press(&mut desk, &[Key::Character('a')]);
    let room = |member: bool| {
        let told =
            json!({"ev": "room", "at": 9, "room": 1, "name": "general", "kind": "public", "member": member});
        let Some(frames::Frame::Event(event)) = frames::read(told.to_string().as_bytes()) else { panic!() };
        event
    };
    desk.event(&room(false));
    assert_eq!((desk.current, draft(&desk).0.as_str()), (Some(2), ""));
    desk.event(&room(true));
    press(&mut desk, &[Key::PreviousRoom]);
    assert_eq!((desk.current, draft(&desk).0.as_str()), (Some(1), "a"));
}

#[test]
fn older_messages_are_asked_for_once_and_as_the_majority_allows() {
    let mut desk = desk();
    assert_eq!(desk.older(), None);
    desk.shown = Some((1, 3));
    let Some(Act::Ask { fields, then, .. }) = desk.older() else { panic!("not asked") };
    assert_eq!((&fields["before"], &fields["read"]), (&json!(1), &json!("linearizable")));
    assert_eq!(desk.older(), None);
    desk.answered(then.clone(), Err(Problem::own("timeout", "late")));
    desk.state.quorum = false;
    let Some(Act::Ask { fields, .. }) = desk.older() else { panic!("not asked") };
    assert_eq!(fields["read"], "local");
    desk.answered(then, Ok(json!({"messages": [], "more": false})));
    assert_eq!(desk.older(), None);
}

#[test]
fn without_a_majority_a_room_is_read_as_the_node_has_it() {
    let mut desk = desk();
    let then = Then::Newest { room: 2, is_local: false };
    let acts =
        desk.answered(then, Err(Problem { retry: true, ..Problem::own("unavailable", "no majority") }));
    assert!(matches!(&acts[..], [Act::Ask { fields, .. }] if fields["read"] == "local"));
}

#[test]
fn what_is_seen_is_read_and_what_is_further_down_is_not() {
    let mut desk = desk();
    desk.foot = Some(1);
    assert_eq!(desk.read_up_to(), None);
    desk.foot = None;
    assert_eq!(desk.read_up_to(), Some((1, 3)));
    assert_eq!(desk.read_up_to(), None);
    assert_eq!(desk.state.rooms[&1].room.unread, 0);
}

#[test]
fn commands_lead_to_rooms_and_people() {
    let mut desk = desk();
    let acts = write(&mut desk, "/msg cy hello");
    let [Act::Ask { op: "open_direct", fields, then }] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(fields["users"], json!(["cy"]));
    let room = json!({"room": {"room": 9, "kind": "direct", "users": ["ann", "cy"], "member": true}});
    let acts = desk.answered(then.clone(), Ok(room));
    assert_eq!(desk.current, Some(9));
    assert!(matches!(acts.last(), Some(Act::Write { room: 9, .. })), "{acts:?}");
    write(&mut desk, "/fly");
    assert!(desk.notice.as_ref().is_some_and(|notice| notice.contains("/help")));
    assert_eq!(desk.draft.input.text(), "/fly");
}

#[test]
fn search_leads_to_a_message_or_says_that_there_is_none() {
    let mut desk = desk();
    let acts = press(&mut desk, &[Key::Search, Key::Character('t'), Key::Enter]);
    assert!(matches!(&acts[..], [Act::Ask { op: "search", then: Then::Found, .. }]));
    desk.answered(
        Then::Found,
        Ok(json!({"messages": [{"room": 1, "seq": 2, "at": 2, "from": "bob", "text": "two"}]})),
    );
    press(&mut desk, &[Key::Enter]);
    assert_eq!((desk.current, &desk.mode), (Some(1), &Mode::Picking(2)));
    desk.answered(Then::Found, Err(Problem::own("bad_request", "unknown op")));
    assert!(desk.notice.as_ref().is_some_and(|notice| notice.contains("cannot be searched")));
}
