//! Copies of a chat and new chats out of them: `check`, `backup`, `restore`, `recover`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use actix_web::http::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::cluster::client::{new_id, password_of};
use crate::cluster::files::{bytes_of, upload};
use crate::cluster::http::exchange;
use crate::cluster::program::{self, Process, Run, run};
use crate::cluster::{Client, Cluster, text};

/// Runs a command on the settings of the node at `place`.
async fn command(cluster: &Cluster, command: &str, place: usize, more: &[&str]) -> Run {
    let settings = cluster.nodes[place].settings_file();
    let arguments = [&[command, settings.to_str().unwrap()], more].concat();
    run(cluster.folder.path(), &arguments, &[]).await
}

#[track_caller]
fn assert_done(run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stdout.contains(word), "no {word} in: {}{}", run.stdout, run.stderr);
    }
}

#[track_caller]
fn assert_failed(run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "no {word} in: {}", run.stderr);
    }
}

/// What `check` says after the name.
async fn checked(cluster: &Cluster, place: usize) -> String {
    let run = command(cluster, "check", place, &[]).await;
    assert_done(&run, &["is whole", "digest "]);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    run.stdout.split_once(" is whole: ").unwrap().1.to_owned()
}

/// Ann with a room and a few messages in it.
async fn chatting(cluster: &Cluster, place: usize) -> (Client, u64) {
    let mut ann = cluster.register(place, "ann").await;
    let room = ann.create_room("general", "public").await;
    for number in 1..=5 {
        assert_eq!(ann.send(room, &format!("message {number}")).await, number);
    }
    (ann, room)
}

fn enough(room: u64) -> Value {
    json!({"room": room, "text": "two of three are enough again"})
}

async fn messages(client: &mut Client, room: u64) -> Vec<Value> {
    client.ok("history", json!({"room": room})).await["messages"].as_array().unwrap().clone()
}

#[actix::test]
async fn check_tells_whole_files_from_damaged_ones() {
    let mut cluster = Cluster::start(3).await;
    let nothing = Cluster::prepare(1, "");
    let said = "node1.toml: node.data_dir: ";
    assert_failed(&command(&nothing, "check", 0, &[]).await, &[said, "there is no chat at"]);
    assert!(!nothing.nodes[0].data_dir().exists());

    let (_ann, _) = chatting(&cluster, 1).await;
    assert_failed(&command(&cluster, "check", 0, &[]).await, &[said, "in use by another process"]);
    cluster.wait_until_equal().await;
    for node in &mut cluster.nodes {
        node.terminate().await;
    }
    let mut said = Vec::new();
    for place in 0..3 {
        said.push(checked(&cluster, place).await);
    }
    let digest = |said: &String| said.rsplit(' ').next().unwrap().to_owned();
    assert!(said.iter().all(|one| digest(one) == digest(&said[0])), "{said:?}");
    assert_eq!(checked(&cluster, 0).await, said[0], "looking changes nothing");

    // A message that vanished, a page that is not what it was, and no chat at all.
    let file = |place: usize| cluster.nodes[place].data_dir().join("chat.db");
    let changed = Connection::open(file(1)).unwrap();
    changed.execute("DELETE FROM messages WHERE seq = 2", []).unwrap();
    drop(changed);
    assert_failed(&command(&cluster, "check", 1, &[]).await, &["chat.db is damaged", "holds 4 messages"]);
    let written_back = Connection::open(file(0)).unwrap();
    written_back.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(written_back);
    let mut bytes = fs::read(file(0)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(file(0), bytes).unwrap();
    assert_failed(&command(&cluster, "check", 0, &[]).await, &["chat.db is damaged"]);
    fs::write(file(0), "Dear diary, ".repeat(1000)).unwrap();
    assert_failed(&command(&cluster, "check", 0, &[]).await, &["is not a chat"]);
}

#[actix::test]
async fn recover_goes_on_with_the_one_survivor() {
    let mut cluster = Cluster::start(3).await;
    let (ann, room) = chatting(&cluster, 0).await;
    let epoch = ann.welcome["epoch"].clone();
    cluster.wait_until_equal().await;
    let old = text(&cluster.nodes[0].status().await.unwrap(), "cluster");
    for node in &mut cluster.nodes {
        node.kill();
    }
    let before = checked(&cluster, 0).await;

    let told = command(&cluster, "recover", 0, &[]).await;
    assert_done(&told, &["node1 would become", &old, "node2", "node3", "may be lost", "add --yes"]);
    assert_eq!(checked(&cluster, 0).await, before, "telling changes nothing");
    let done = command(&cluster, "recover", 0, &["--yes"]).await;
    assert_done(&done, &["node1 is a cluster of its own now"]);
    for more in [&[][..], &["--yes"]] {
        assert_done(&command(&cluster, "recover", 0, more).await, &["there is nothing to do"]);
    }
    checked(&cluster, 0).await;

    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let status = cluster.nodes[0].status().await.unwrap();
    assert_ne!(text(&status, "cluster"), old);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 1, "{status}");
    let mut again = cluster.client(0).await;
    let position = json!({"cursor": ann.cursor(), "epoch": epoch});
    let welcome = again.hello(&ann.token, position).await;
    assert_eq!(welcome["resumed"], false, "{welcome}");
    assert_ne!(welcome["epoch"], epoch);
    assert_eq!(messages(&mut again, room).await.len(), 5);
    assert_eq!(again.send(room, "and on it goes").await, 6);

    // The others come back, to find that they are no members any more: together they were a majority.
    cluster.are_turned_away(&[1, 2]).await;
    for node in &cluster.nodes[1..] {
        assert!(node.log().contains("serves nobody") && node.log().contains(&old), "{}", node.log_tail());
    }
    // They remember it when nobody is there to ask.
    cluster.nodes[0].terminate().await;
    cluster.nodes[1].start();
    assert_eq!(cluster.nodes[1].ended().await.code, Some(1));
    assert_failed(&command(&cluster, "recover", 1, &["--yes"]).await, &["came in the place"]);
    assert_done(&command(&cluster, "check", 1, &[]).await, &["superseded"]);

    // Wiped, they join anew.
    cluster.nodes[0].start();
    the_others_join(&mut cluster, 0).await;
    let mut again = cluster.client(2).await;
    again.hello(&ann.token, json!({})).await;
    cluster.nodes[1].kill();
    assert_eq!(again.until_done("send", enough(room)).await["seq"], 7);
}

/// The last disk with the chat is not set aside by the command that is to save it.
#[actix::test]
async fn recover_leaves_a_suspect_file_where_it_is() {
    let mut cluster = Cluster::start(2).await;
    let (_ann, room) = chatting(&cluster, 0).await;
    cluster.wait_until_equal().await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    let dir = cluster.nodes[0].data_dir();
    fs::write(dir.join("suspect"), "a disk said no\n").unwrap();
    for more in [&[][..], &["--yes"]] {
        let refused = command(&cluster, "recover", 0, more).await;
        assert_failed(&refused, &["a disk said no", "nothing was changed", "suspect"]);
    }
    assert!(dir.join("chat.db").is_file() && !dir.join("set-aside-1").exists());
    let told = command(&cluster, "check", 0, &[]).await;
    assert_done(&told, &["node1 is whole"]);
    assert!(told.stderr.contains("a disk said no"), "{}", told.stderr);

    fs::remove_file(dir.join("suspect")).unwrap();
    assert_done(&command(&cluster, "recover", 0, &["--yes"]).await, &["of its own now"]);
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    cluster.wait_for("the survivor", async || node.is_ready().await.then_some(())).await;
    let mut ann = cluster.client(0).await;
    ann.login("ann").await;
    assert_eq!(messages(&mut ann, room).await.len(), 5);
}

#[actix::test]
async fn recover_is_refused_beside_a_living_majority() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, room) = chatting(&cluster, 1).await;
    let in_use = "node1.toml: node.data_dir: ";
    assert_failed(&command(&cluster, "recover", 0, &["--yes"]).await, &[in_use, "in use by another process"]);
    cluster.nodes[0].terminate().await;
    for more in [&[][..], &["--yes"]] {
        wait_until_quick(&cluster, &[1, 2]).await;
        let refused = command(&cluster, "recover", 0, more).await;
        assert_failed(&refused, &["a majority of the old members answers", "node2", "node3"]);
    }
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    assert_eq!(ann.send(room, "still one chat").await, 6);
    cluster.equal_tables().await;
}

/// It has no majority, but its people can still read; then the new cluster answers its links.
#[actix::test]
async fn a_running_member_of_a_superseded_cluster_stops() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, _) = chatting(&cluster, 1).await;
    cluster.wait_until_equal().await;
    cluster.nodes[2].kill();
    cluster.nodes[0].kill();
    let told = async || {
        let told = command(&cluster, "recover", 0, &[]).await;
        assert_done(&told, &["nothing was changed"]);
        told.stdout.contains("still there").then_some(told)
    };
    let told = cluster.wait_for("node2 to answer in time", told).await;
    assert_done(&told, &["node2", "these are a majority"]);
    assert_done(&command(&cluster, "recover", 0, &["--yes"]).await, &["of its own now"]);
    cluster.nodes[0].start();
    let ended = cluster.nodes[1].ended().await;
    let node = &cluster.nodes[1];
    assert_eq!(ended.code, Some(1), "{}", node.log_tail());
    assert!(node.log().lines().last().unwrap().contains("serves nobody"), "{}", node.log_tail());
    ann.event(json!({"ev": "bye"})).await;
    assert_eq!(ann.closed().await.code, Some(1001));
    cluster.nodes[1].start();
    assert_eq!(cluster.nodes[1].ended().await.code, Some(1));
}

/// Waits until these nodes answer well within the second after which one that is asked by a command counts as silent.
async fn wait_until_quick(cluster: &Cluster, places: &[usize]) {
    let bearer = format!("Bearer {}", cluster.secret());
    let headers = [("Authorization", bearer.as_str())];
    for place in places {
        let url = format!("{}/peer/founding", cluster.nodes[*place].peer_url());
        let is_quick = async || {
            let asked = exchange(Method::GET, &url, &headers, "");
            let answer = actix::clock::timeout(Duration::from_millis(100), asked).await;
            matches!(answer, Ok(Ok(answer)) if answer.status == 200).then_some(())
        };
        cluster.wait_for("a quick answer", is_quick).await;
    }
}

/// Loses all disks and restores the copy on the node at `place`, which then runs.
async fn restore_after_fire(cluster: &mut Cluster, place: usize, copy: &str) {
    for node in &mut cluster.nodes {
        if node.is_up() {
            node.kill();
        }
        if node.data_dir().exists() {
            node.wipe();
        }
    }
    let restored = command(cluster, "restore", place, &[copy]).await;
    assert_done(&restored, &["holds the chat of cluster", "start it with"]);
    checked(cluster, place).await;
    cluster.nodes[place].start();
    let node = &cluster.nodes[place];
    cluster.wait_for("the restored node", async || node.is_ready().await.then_some(())).await;
}

/// Starts the other nodes of three, with empty disks, and waits until they vote.
async fn the_others_join(cluster: &mut Cluster, place: usize) {
    for other in (0..3).filter(|other| *other != place) {
        if cluster.nodes[other].data_dir().exists() {
            cluster.nodes[other].wipe();
        }
        cluster.nodes[other].start();
    }
    cluster.wait_for_voters(place, 3).await;
    cluster.wait_until_ready().await;
    cluster.equal_tables().await;
}

#[actix::test]
async fn a_backup_becomes_a_new_chat() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, room) = chatting(&cluster, 0).await;
    let mut bob = cluster.register(2, "bob").await;
    bob.ok("join", json!({"room": room})).await;
    let id = new_id();
    let sent = json!({"room": room, "text": "said once"});
    assert_eq!(ann.ask_as(&id, "send", sent.clone()).await["seq"], 6);
    // Also what has just been acknowledged elsewhere is in it.
    let made = command(&cluster, "backup", 2, &["chat.copy"]).await;
    assert_done(&made, &["chat.copy: cluster ", "digest "]);
    assert_eq!(made.stdout.lines().count(), 1);
    let file = cluster.folder.path().join("chat.copy");
    let before = fs::read(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ann.send(room, "too late for the copy").await, 7);
    let again = command(&cluster, "backup", 2, &["chat.copy"]).await;
    assert_failed(&again, &["chat.copy is there already"]);
    let copies: Vec<_> =
        fs::read_dir(cluster.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!copies.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{copies:?}");
    assert_eq!(fs::read(&file).unwrap(), before);

    let elsewhere = command(&cluster, "restore", 0, &["chat.copy"]).await;
    assert_failed(&elsewhere, &["node1.toml: node.data_dir: ", "in use by another process"]);
    cluster.nodes[0].terminate().await;
    assert_failed(&command(&cluster, "restore", 0, &["chat.copy"]).await, &["holds a chat already"]);
    cluster.nodes[0].wipe();
    wait_until_quick(&cluster, &[1, 2]).await;
    let beside = command(&cluster, "restore", 0, &["chat.copy"]).await;
    assert_failed(&beside, &["belongs to the living cluster"]);
    assert!(!cluster.nodes[0].data_dir().exists());

    let (token, position) = (ann.token.clone(), ann.position());
    restore_after_fire(&mut cluster, 1, "chat.copy").await;
    let mut again = cluster.client(1).await;
    again.refused("hello", json!({"token": token}), "unauthorized").await;
    let mut again = cluster.client(1).await;
    let fields = json!({"name": "ann", "password": password_of("ann"), "cursor": position["cursor"], "epoch": position["epoch"]});
    let welcome = again.ok("login", fields).await;
    assert_eq!(welcome["resumed"], false, "{welcome}");
    assert_ne!(welcome["epoch"], position["epoch"]);
    let texts: Vec<Value> =
        messages(&mut again, room).await.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["message 1", "message 2", "message 3", "message 4", "message 5", "said once"]);
    // What makes repeats repeats is in the copy as well.
    let repeated = again.ask_as(&id, "send", sent).await;
    assert_eq!((&repeated["seq"], &repeated["duplicate"]), (&json!(6), &json!(true)), "{repeated}");
    assert_eq!(again.send(room, "after the fire").await, 7);
    the_others_join(&mut cluster, 1).await;
    cluster.nodes[0].kill();
    assert_eq!(again.until_done("send", enough(room)).await["seq"], 8);
}

/// What a backup says of its progress whose node stands still for longer than it stays silent.
async fn said_by_a_slow_backup(cluster: &mut Cluster, file: &str) -> String {
    let folder = cluster.folder.path();
    let (said, settings) = (folder.join(format!("{file}.said")), cluster.nodes[0].settings_file());
    let mut backup = program::command();
    backup.arg("backup").arg(settings).arg(file).current_dir(folder);
    backup.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
    cluster.nodes[0].pause();
    let mut backup = Process(backup.spawn().unwrap());
    let unfinished = cluster.folder.path().join(format!("{file}.unfinished-{}", backup.0.id()));
    cluster.wait_for("the copy to be begun", async || unfinished.exists().then_some(())).await;
    // Longer than a backup stays silent.
    actix::clock::sleep(Duration::from_millis(1_100)).await;
    cluster.nodes[0].resume();
    let status = backup.ended(Duration::from_secs(30)).await;
    let said = fs::read_to_string(said).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{said}");
    said
}

#[actix::test]
async fn a_backup_that_takes_long_says_how_far_it_is() {
    let mut cluster = Cluster::start_with(1, "[limits]\nmessages_per_second = 0").await;
    let (mut ann, room) = chatting(&cluster, 0).await;
    let file = upload(&cluster.nodes[0].url(), &ann.token, "a.bin", &bytes_of(1, 300_000)).await;
    let files = json!([{"file": file["file"], "name": "a.bin"}]);
    ann.ok("send", json!({"room": room, "text": "a file", "files": files})).await;
    // All rows are in the first page, so that the file is what there is to tell of.
    let said = said_by_a_slow_backup(&mut cluster, "small.copy").await;
    assert!(said.starts_with("copying file 1 of 1, 0.3 MB of files so far\n"), "{said}");

    for number in 0..200_u64 {
        ann.send(room, &hex::encode(bytes_of(number, 4_000))).await;
    }
    let said = said_by_a_slow_backup(&mut cluster, "large.copy").await;
    let (at, of) =
        said.lines().next().unwrap().strip_prefix("copied up to at ").unwrap().split_once(" of ").unwrap();
    let (at, of): (u64, u64) = (at.parse().unwrap(), of.parse().unwrap());
    assert!(0 < at && at < of, "{said}");
}

#[actix::test]
async fn a_damaged_copy_makes_nothing() {
    let mut cluster = Cluster::start(1).await;
    let (_ann, _) = chatting(&cluster, 0).await;
    assert_done(&command(&cluster, "backup", 0, &["good.copy"]).await, &["good.copy"]);
    cluster.nodes[0].terminate().await;
    cluster.nodes[0].wipe();
    let good = fs::read(cluster.folder.path().join("good.copy")).unwrap();
    let mut flipped = good.clone();
    let middle = good.len() / 2;
    flipped[middle] ^= 1;
    let cut = good[..middle].to_vec();
    for (bytes, word) in [(flipped, "damaged"), (cut, "bad.copy"), (b"Dear diary".to_vec(), "is not a copy")]
    {
        fs::write(cluster.folder.path().join("bad.copy"), bytes).unwrap();
        assert_failed(&command(&cluster, "restore", 0, &["bad.copy"]).await, &["bad.copy", word]);
        assert!(!cluster.nodes[0].data_dir().exists());
    }
    assert_failed(&command(&cluster, "restore", 0, &["missing.copy"]).await, &["cannot read missing.copy"]);
    assert_done(&command(&cluster, "restore", 0, &["good.copy"]).await, &["holds the chat"]);
    assert_failed(&command(&cluster, "restore", 0, &["good.copy"]).await, &["holds a chat already"]);
}

/// It does not become the only good copy that somebody has.
#[actix::test]
async fn rows_that_went_bad_are_not_copied() {
    let mut cluster = Cluster::start(1).await;
    let (_ann, _) = chatting(&cluster, 0).await;
    cluster.nodes[0].kill();
    let forged = Connection::open(cluster.nodes[0].data_dir().join("chat.db")).unwrap();
    forged.execute("UPDATE messages SET text = 'as it never was' WHERE seq = 1", []).unwrap();
    drop(forged);
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    let refused = command(&cluster, "backup", 0, &["bad.copy"]).await;
    assert_failed(&refused, &["the rows of node1 are damaged", "copy from another node"]);
    assert!(!cluster.folder.path().join("bad.copy").exists());
}

#[actix::test]
async fn a_backup_without_a_majority_or_without_a_node() {
    let mut cluster = Cluster::start(3).await;
    let (_ann, room) = chatting(&cluster, 0).await;
    cluster.wait_until_equal().await;
    for place in [1, 2] {
        cluster.nodes[place].kill();
    }
    let made = command(&cluster, "backup", 0, &["alone.copy"]).await;
    assert_done(&made, &["alone.copy", "no majority: this is what node1 has"]);
    assert!(made.stderr.contains("no majority"), "{}", made.stderr);
    cluster.nodes[0].kill();
    let nobody = command(&cluster, "backup", 0, &["none.copy"]).await;
    assert_failed(&nobody, &["node1 does not answer at", "start it"]);
    assert!(nobody.took < Duration::from_secs(5), "{:?}", nobody.took);
    assert!(!cluster.folder.path().join("none.copy").exists());
    restore_after_fire(&mut cluster, 0, "alone.copy").await;
    let mut ann = cluster.client(0).await;
    ann.login("ann").await;
    assert_eq!(messages(&mut ann, room).await.len(), 5);
}
