//! The page in a real browser, on real nodes: the stories of `browser/stories` are told by Node.js, and
//! this holds the nodes for them.
//!
//! A story that wants a node killed or started runs a small script, which leaves a note in a folder and
//! waits until it is gone; the nodes stay children of this process.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::cluster::Cluster;
use crate::cluster::client::password_of;
use crate::cluster::folder::Folder;

const TOLD_MAX: Duration = Duration::from_secs(900);
/// Whose password the stories are told, for what only an admin may do.
const ADMIN: &str = "root";
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the page may hold of a room: messages, and JavaScript's own memory.
const SHOWN_MAX: u64 = 600;
const HEAP_MB_MAX: f64 = 100.0;

const ASK: &str = r#"#!/bin/sh
# ask kill|start NODE: leaves a note, and waits until it was heeded.
note="$(dirname "$0")/notes/$1 $2 $$"
: > "$note"
while [ -e "$note" ]; do sleep 0.02; done
"#;

/// On three nodes, which are killed one after the other; all other stories are told on five.
const WHOLE_DAY: &str = "day.test.mjs";
/// These two take as long as all the others.
const EVERYBODY: &str = "everybody.test.mjs";

#[actix::test]
async fn the_page_for_everybody_and_a_whole_day() {
    listen(Cluster::start(5), &stories(|story| story == EVERYBODY)).await;
    listen(Cluster::start(3), &stories(|story| story == WHOLE_DAY)).await;
}

#[actix::test]
async fn the_page_in_a_real_browser() {
    listen(Cluster::start(5), &stories(|story| ![WHOLE_DAY, EVERYBODY].contains(&story))).await;
}

/// `CHAT_PICTURES` names the folder for them; those that are kept show lines of some length.
#[actix::test]
async fn pictures() {
    let folder = Folder::new();
    let (into, points) = match env::var_os("CHAT_PICTURES") {
        Some(kept) => (PathBuf::from(kept), "10"),
        None => (folder.path().to_owned(), "2"),
    };
    listen_with(Cluster::start(5), &["pictures.mjs", points].map(str::to_owned), &[("CHAT_PICTURES", &into)])
        .await;
    for name in ["light", "dark", "narrow", "search", "no-majority", "cluster"] {
        let picture = fs::read(into.join(format!("page-{name}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
    }
}

/// However much was written in a room, the page holds little of it. With `--nocapture` it says all that it found.
#[actix::test]
async fn its_weight() {
    let cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0");
    let said = listen(cluster, &["--experimental-websocket", "weight.mjs"].map(str::to_owned)).await;
    eprintln!("{said}");
    let found = said.lines().find(|line| line.starts_with('{')).expect("what was found");
    let found: Value = serde_json::from_str(found).unwrap();
    assert!(found["articles_most"].as_u64().unwrap() <= SHOWN_MAX, "{found}");
    assert!(found["heap_peak_mb"].as_f64().unwrap() < HEAP_MB_MAX, "{found}");
}

/// More at a time, with their nodes, would wait for one another. Tests begin by their names, and the short ones of
/// these go first: nobody waits for the long ones.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// Has Node.js tell something on these nodes; what it said.
async fn listen(cluster: impl Future<Output = Cluster>, arguments: &[String]) -> String {
    listen_with(cluster, arguments, &[]).await
}

/// The same, with something more in its environment.
async fn listen_with(
    cluster: impl Future<Output = Cluster>,
    arguments: &[String],
    more: &[(&str, &Path)],
) -> String {
    let _turn = BROWSERS.acquire().await.unwrap();
    let mut cluster = cluster.await;
    let folder = cluster.folder.path().to_owned();
    let (notes, ask) = (folder.join("notes"), folder.join("ask"));
    fs::create_dir(&notes).unwrap();
    fs::write(&ask, ASK).unwrap();
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).unwrap();

    // The first account of a cluster on loopback is its admin.
    drop(cluster.register(0, ADMIN).await);

    let said = folder.join("stories.log");
    let mut stories = tell(&cluster, arguments, &ask, more, &said);
    let deadline = Instant::now() + TOLD_MAX;
    let status = loop {
        if let Some(status) = stories.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            stories.kill().unwrap();
            stories.wait().unwrap();
            break None;
        }
        heed(&mut cluster, &notes);
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let text = fs::read_to_string(&said).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{text}\n{}", cluster.log_tails());
    text
}

/// The wanted stories, one after the other.
fn stories(wanted: fn(&str) -> bool) -> Vec<String> {
    let files = fs::read_dir(here().join("stories")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut stories: Vec<_> = names.filter(|name| name.ends_with(".test.mjs") && wanted(name)).collect();
    stories.sort();
    assert!(!stories.is_empty(), "there are stories to tell");
    let how = ["--test", "--test-concurrency=1"].map(str::to_owned).into_iter();
    how.chain(stories.iter().map(|name| format!("stories/{name}"))).collect()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/browser")
}

/// Starts Node.js with these arguments. It needs what `integration/run` installs.
fn tell(cluster: &Cluster, arguments: &[String], ask: &Path, more: &[(&str, &Path)], said: &Path) -> Child {
    let here = here();
    assert!(
        here.join("node_modules/playwright-core").exists(),
        "the browser's driver is missing: run ./integration/run once, which installs it"
    );
    let log = File::create(said).unwrap();
    Command::new("node")
        .args(arguments)
        .current_dir(&here)
        .env("CHAT_URLS", cluster.urls().join(","))
        .env("CHAT_ADMIN", format!("{ADMIN}:{}", password_of(ADMIN)))
        .envs(more.iter().copied())
        .env("CHAT_KILL_COMMAND", format!("'{}' kill", ask.display()))
        .env("CHAT_START_COMMAND", format!("'{}' start", ask.display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Does what the notes say, and takes them away.
fn heed(cluster: &mut Cluster, notes: &Path) {
    for note in fs::read_dir(notes).unwrap() {
        let note = note.unwrap().path();
        let name = note.file_name().unwrap().to_string_lossy().into_owned();
        let mut words = name.split(' ');
        let (what, whom) = (words.next().unwrap(), words.next().unwrap());
        let node = cluster.nodes.iter_mut().find(|node| node.name == whom).unwrap();
        match what {
            "kill" => node.kill(),
            "start" if !node.is_up() => node.start(),
            "start" => {}
            other => panic!("a story asks to {other} a node"),
        }
        fs::remove_file(note).unwrap();
    }
}
