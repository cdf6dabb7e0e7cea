//! What finding and reading messages costs in a large room.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{messages, times};
use crate::chat::script::Dice;
use crate::chat_db::read_only;
use crate::ids::{RoomId, Seq};
use crate::indexer::index::{FILE, Index, Standing};
use crate::messages::reading::PageOf;
use crate::messages::search::{FoundPage, Search, Searched};
use crate::metrics::Metrics;
use crate::reader::ReadPool;
use crate::storage::Store;
use crate::storage::testing::{TestDir, batch, command, committed, send, setup, started};
use crate::words::Query;

const ENTRY: u64 = 100;
const WORDS: u64 = 20_000;
/// Every so many messages hold the rare word.
const RARE: u64 = 1_000;

/// The word of that rank: the lower, the more common.
fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ka", "to", "mi", "re", "so", "lu", "na", "pe", "di", "vo", "gu", "fa", "bri", "ster", "tion", "che",
    ];
    let mut rest = rank + 16;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
    word
}

/// About ten words, of which the common ones are as common as in a language.
fn text(number: u64, dice: &mut Dice) -> String {
    let mut words = Vec::new();
    for _ in 0..6 + dice.below(9) {
        let even = dice.below(1 << 20) as f64 / f64::from(1 << 20);
        words.push(word((WORDS as f64).powf(even) as u64 - 1));
    }
    if number % RARE == 7 {
        words.push("needle".to_owned());
    }
    words.join(" ")
}

fn fill(store: &mut Store, messages: u64) {
    let mut people = setup(&["ann", "bob", "cleo"], 2);
    people.push(command("bob", "leave", crate::chat::command::Change::Leave { room: RoomId(1) }));
    people.push(send("bob", 2, "small", &word(0)));
    store.apply(&[committed(2, batch(1, &people))], || false).unwrap();
    let mut dice = Dice::new(1);
    for (entry, first) in (3..).zip((0..messages).step_by(ENTRY as usize)) {
        let numbers = first..(first + ENTRY).min(messages);
        let sends: Vec<_> = numbers
            .map(|number| send("ann", 1, &format!("{number:016x}"), &text(number, &mut dice)))
            .collect();
        store.apply(&[committed(entry, batch(entry, &sends))], || false).unwrap();
        if store.wal_is_long().unwrap() {
            store.write_back().unwrap();
        }
    }
    store.cut_wal().unwrap();
}

fn ask(index: &Index, chat: &Connection, user: &str, text: &str, before: Option<u64>) -> FoundPage {
    let (reply, _) = oneshot::channel();
    let query = Query::read(text);
    let before = before.map(crate::ids::At);
    let search = Search {
        user: user.into(),
        query,
        room: None,
        from: None,
        before,
        before_time: None,
        limit: 20,
        reply,
    };
    let moment = chat.unchecked_transaction().unwrap();
    match index.search(&moment, &search, false).unwrap() {
        Searched::Found(page) => page,
        other => panic!("{other:?}"),
    }
}

#[test]
fn measure_a_large_room() {
    let messages = messages();
    let dir = TestDir::new();
    let (mut store, _) = started(&dir);
    let began = Instant::now();
    fill(&mut store, messages);
    eprintln!("{messages} messages applied in {:.1} s", began.elapsed().as_secs_f64());

    let chat = read_only::open(store.path(), 4 * 1024).unwrap();
    let (mut index, _) = Index::open(&dir.data(), &Standing::of(&chat).unwrap(), None).unwrap();
    let counted = Metrics::new().search_indexed;
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        let piece = Instant::now();
        let whole = index.follow(&chat, 4_000, &counted).unwrap();
        longest = longest.max(piece.elapsed());
        if whole {
            break;
        }
    }
    let size = |name: &str| std::fs::metadata(dir.data().join(name)).unwrap().len() as f64 / 1e6;
    eprintln!(
        "index made in {:.1} s, the longest piece {:.0} ms; {:.0} MB beside {:.0} MB of chat.db",
        began.elapsed().as_secs_f64(),
        longest.as_secs_f64() * 1e3,
        size(FILE),
        size("chat.db"),
    );

    let (common, other) = (word(0), word(1));
    let middle = index.at().0 / 2;
    for (what, user, text, before) in [
        ("a rare word", "ann", "needle".to_owned(), None),
        ("a common word", "ann", common.clone(), None),
        ("a common word, from the middle on", "ann", common.clone(), Some(middle)),
        ("a common word of another room", "bob", common.clone(), None),
        ("two common words", "ann", format!("{common} {other}"), None),
        ("a rare and a common word", "ann", format!("needle {common}"), None),
        ("a phrase of common words", "ann", format!("\"{common} {other}\""), None),
        (
            "a phrase that nobody wrote",
            "ann",
            format!("\"{}\"", [common.as_str(), &other].repeat(4).join(" ")),
            None,
        ),
        ("a prefix of one letter", "ann", format!("{}*", &common[..1]), None),
        ("a prefix of three letters", "ann", format!("{}*", &common[..3]), None),
        ("a prefix of four letters", "ann", format!("{}*", &common[..4]), None),
        ("a long prefix", "ann", format!("{}*", &word(250)[..5]), None),
        ("no word of any message", "ann", "nowhere".to_owned(), None),
    ] {
        let found = ask(&index, &chat, user, &text, before);
        let told = times(|| {
            ask(&index, &chat, user, &text, before);
        });
        eprintln!("{what}: {} found, more: {}; {told}", found.messages.len(), found.more);
        let none = matches!(what, "a phrase that nobody wrote" | "no word of any message");
        assert_eq!(found.messages.is_empty(), none, "{what}");
    }

    let pool = ReadPool::open(store.path(), 1).unwrap();
    for (what, page) in [
        ("newest", PageOf::Newest),
        ("in the middle", PageOf::Before(Seq(messages / 2))),
        ("oldest", PageOf::After(Seq(0))),
    ] {
        let told = times(|| {
            let page = pool.read(|view| view.history("ann", RoomId(1), page, 50)).unwrap().unwrap();
            assert_eq!(page.messages.len(), 50);
        });
        eprintln!("history, 50 messages, {what}: {told}");
    }
}
