//! Reads the `use` lines of the sources and holds them to the rules of `docs/architecture.md`.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of each actor: none may name another's.
const ACTORS: &[&str] = &[
    "raft",
    "storage",
    "reader",
    "peer_link",
    "hub",
    "session",
    "state_fetch",
    "indexer",
    "files",
    "courier",
    "audit",
    "passwords",
    "disk_watch",
];
/// What actors share: HTTP between nodes, which addresses are public, and what is pure about files.
const SHARED: &[&str] = &[
    "crate::peer_link::client",
    "crate::peer_link::secret",
    "crate::peer_link::wire",
    "crate::courier::addresses",
    "crate::files::links",
    "crate::files::names",
];
/// Pure cores: no actor framework, no runtime, no clock, no dice, no sockets.
const CORES: &[&str] = &[
    "actors/audit/comparing.rs",
    "actors/audit/core.rs",
    "actors/chat/",
    "actors/chat_db/",
    "actors/courier/core.rs",
    "actors/files/links.rs",
    "actors/files/majorities.rs",
    "actors/files/names.rs",
    "actors/files/securing.rs",
    "actors/founding.rs",
    "actors/hub/encode.rs",
    "actors/hub/people.rs",
    "actors/hub/shelf.rs",
    "actors/membership.rs",
    "actors/peer_link/lane.rs",
    "actors/peer_link/seen.rs",
    "actors/raft/candidacy.rs",
    "actors/raft/core",
    "actors/raft/disks.rs",
    "actors/raft/levels.rs",
    "actors/raft/log_view.rs",
    "actors/raft/members",
    "actors/raft/node.rs",
    "actors/raft/proposals.rs",
    "actors/raft/reads.rs",
    "actors/raft/snapshots.rs",
    "actors/indexer/index.rs",
    "actors/indexer/searching.rs",
    "actors/reader/view.rs",
    "actors/session/limits.rs",
    "actors/session/pulse.rs",
    "actors/session/request",
    "actors/state_fetch/collected.rs",
    "actors/storage/",
    "actors/state_fetch/pace.rs",
    "actors/words/",
    "src/chat/client.rs",
    "src/chat/commands.rs",
    "src/chat/feed.rs",
    "src/chat/input.rs",
    "src/chat/pauses.rs",
    "src/chat/places.rs",
    "src/chat/queue.rs",
    "src/chat/screen/desk",
    "src/chat/screen/writers.rs",
    "src/chat/state.rs",
];
/// What stands beside them in their folders and gives them threads.
const SHELLS: &[&str] = &["actors/storage/actor.rs", "actors/storage/write_back.rs"];
const NOT_IN_CORES: &[&str] = &[
    "actix",
    "tokio",
    "std::net",
    "std::thread",
    "thread::",
    "SystemTime",
    "Instant::now",
    "getrandom",
    "rand::",
];
/// A timer brings the same work, which is measured there.
const MEASURED_INSIDE: &str = "Handler<Drive>";
/// A file that nobody would want to read.
const LINES_MAX: usize = 600;

#[test]
fn cores_are_pure() {
    let mut offences = Vec::new();
    for (path, text) in sources() {
        let is_core = CORES.iter().any(|core| path.starts_with(core));
        if is_test(&path) || !is_core || SHELLS.contains(&path.as_str()) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in NOT_IN_CORES.iter().filter(|word| line.contains(**word)) {
                offences.push(format!("{path}:{number}: a core uses {word}"));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

#[test]
fn no_actor_imports_another() {
    let mut offences = Vec::new();
    for (path, text) in sources() {
        // What tests name is not looked at, wherever they stand.
        let Some(owner) = actor_of(&path).filter(|_| !is_test(&path)) else { continue };
        for (number, line) in code_lines(&text) {
            if SHARED.iter().any(|shared| line.contains(shared)) {
                continue;
            }
            for other in ACTORS.iter().filter(|other| **other != owner) {
                if line.contains(&format!("crate::{other}::")) {
                    offences.push(format!("{path}:{number}: {owner} names {other}"));
                }
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

#[test]
fn the_library_does_not_know_the_program() {
    let known: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| path.starts_with("actors/") && text.contains("replicated_chat::"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(known, Vec::<String>::new());
}

/// `docs/protocol.md` names every change that goes on while disks are nearly full, as `Change::takes_room` has it.
#[test]
fn what_goes_on_without_room_is_told() {
    let sources = sources();
    let (_, text) = sources.iter().find(|(path, _)| path == "actors/chat/command.rs").unwrap();
    let (_, body) = text.split_once("pub fn takes_room").unwrap();
    let (going_on, _) = body.split_once("=> false").unwrap();
    let changes = going_on.split("Self::").skip(1).map(|rest| rest.split(' ').next().unwrap());
    let protocol =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap();
    let (_, told) = protocol.split_once("every change but ").unwrap();
    let (told, _) = told.split_once("unavailable").unwrap();
    let mut found = 0;
    // What nodes say among themselves is nobody's op.
    for change in changes.filter(|change| *change != "Delivered") {
        let mut op = String::new();
        for letter in change.chars() {
            if letter.is_uppercase() && !op.is_empty() {
                op.push('_');
            }
            op.extend(letter.to_lowercase());
        }
        assert!(told.contains(&format!("`{op}`")), "{op} is not in: {told}");
        found += 1;
    }
    assert!(found > 10, "{found}");
}

/// `docs/architecture.md` names every message that an actor is told, and no other.
#[test]
fn what_actors_are_told_is_in_the_table() {
    let sources = sources();
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, table) = document.split_once("| actor | runs on | owns | is told | tells |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let mut told = BTreeMap::new();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('|').collect();
        let mut messages = capitalized(cells[4]);
        if let Some((_, file)) = cells[4].split_once("`messages::") {
            let path = format!("actors/messages/{}.rs", file.split('`').next().unwrap());
            let (_, text) = sources.iter().find(|(found, _)| *found == path).expect(&path);
            messages
                .extend(text.lines().filter_map(|line| Some(line.split_once(" => \"")?.0.trim().to_owned())));
        }
        // A row may name somebody's ear beside him.
        for actor in cells[1].split('`').skip(1).step_by(2) {
            told.insert(actor.to_owned(), messages.clone());
        }
    }
    let handled = handled(&sources);
    assert!(handled.len() > 15, "{handled:?}");
    for (actor, messages) in &handled {
        let said = told.get(actor).unwrap_or_else(|| panic!("{actor} is not in the table"));
        assert_eq!(said, messages, "what {actor} is told: the table and the code");
    }
    let idle: Vec<_> = told.keys().filter(|actor| !handled.contains_key(*actor)).collect();
    assert_eq!(idle, ["Listener"], "an ear hears for it");
}

/// What comes to an actor by no port is measured all the same.
#[test]
fn what_actors_are_told_is_measured() {
    let mut offences = Vec::new();
    let mut found = 0;
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let lines: Vec<_> = code_lines(&text).collect();
        for (place, (number, line)) in lines.iter().enumerate() {
            let is_handler = line.contains("Handler<") && line.contains("impl ");
            if !is_handler || line.contains("Handler<Envelope<") || line.contains(MEASURED_INSIDE) {
                continue;
            }
            found += 1;
            let body = lines[place..].iter().find(|(_, line)| line.contains(".begin()") || *line == "}");
            if !body.is_some_and(|(_, line)| line.contains(".begin()")) {
                offences.push(format!("{path}:{number}: nobody sees how long this takes: {line}"));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
    assert!(found > 5, "{found}");
}

#[test]
fn files_can_be_read_at_once() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert_eq!(long, Vec::<(usize, String)>::new());
}

fn actor_of(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("actors/")?;
    ACTORS.iter().copied().find(|actor| {
        inside.strip_prefix(actor).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(".rs"))
    })
}

fn is_test(path: &str) -> bool {
    ["/tests.rs", "_tests.rs", "/testing.rs"].iter().any(|end| path.ends_with(end))
}

/// Which messages of the bus each actor handles.
fn handled(sources: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut handled: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources.iter().filter(|(path, _)| !is_test(path)) {
        let is_source = path.starts_with("actors/") || path.starts_with("src/");
        let lines = code_lines(text).map(|(_, line)| line).filter(|_| is_source);
        let mut by_macro = None;
        for line in lines {
            if let Some((_, rest)) = line.split_once("impl Handler<Envelope<") {
                let (message, actor) = rest.split_once(">> for ").expect(line);
                let actor = actor.trim_end_matches(" {").to_owned();
                match message.starts_with('$') {
                    true => by_macro = Some(actor),
                    false => drop(handled.entry(actor).or_default().insert(message.to_owned())),
                }
            } else if let Some(actor) = &by_macro
                && let Some((message, _)) = line.split_once(": |")
                && message.trim().chars().all(char::is_alphanumeric)
            {
                handled.entry(actor.clone()).or_default().insert(message.trim().to_owned());
            }
        }
    }
    handled
}

/// The words that begin like a type.
fn capitalized(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect()
}

/// The lines of the code proper: without comments, and without the tests at the foot.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// Every Rust file of the workspace, by its path from the top.
fn sources() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["src", "actors", "web-client", "integration"].iter().map(|name| top.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(top).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 20, "the sources are where they are looked for");
    found.sort();
    found
}
