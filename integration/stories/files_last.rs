//! Files and what happens to nodes and messages: none that was acknowledged is lost, none that is gone stays
//! (`FILES=200` makes the one with dying nodes a long one).

use std::fs;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::json;

use super::chaos::from_environment;
use crate::cluster::client::new_id;
use crate::cluster::files::{
    assert_refused, bytes_of, fetch, fetched, path_of, try_upload, until_found, upload,
};
use crate::cluster::http::exchange;
use crate::cluster::program::run;
use crate::cluster::replies::refused;
use crate::cluster::wait::until;
use crate::cluster::{Client, Cluster, field, number, text};

const FILES_DEFAULT: u64 = 40;
const FREE: &str = "[limits]\nmessages_per_second = 0";

#[actix::test]
async fn an_upload_dies_with_its_node_and_a_sent_file_does_not() {
    let mut cluster = Cluster::start(3).await;
    let (ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let bytes = bytes_of(6, 500_000);
    let file = text(&upload(&urls[0], &ann.token, "a.bin", &bytes).await, "file");
    cluster.nodes[0].kill();
    let mut elsewhere = cluster.client(1).await;
    elsewhere.hello_as(&ann).await;
    let (id, fields) =
        (new_id(), json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]}));
    let refusal = elsewhere.until_settled(&id, "send", &fields).await;
    let error = refused("send", &refusal, "not_found");
    assert!(text(&error, "message").contains("upload it again"), "{error}");
    upload(&urls[1], &ann.token, "a.bin", &bytes).await;
    let sent = elsewhere.until_settled(&id, "send", &fields).await;
    assert_eq!(sent["ok"], true, "{sent}");
    bob.event(json!({"ev": "message", "at": sent["at"]})).await;

    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    cluster.nodes[1].kill();
    for place in [0, 2] {
        assert_eq!(fetched(&urls[place], &bob.token, &file, "a.bin").await.body, bytes);
    }
    // What was done is told again wherever it is asked for, with its files gone as well.
    let mut elsewhere = cluster.client(2).await;
    elsewhere.hello_as(&ann).await;
    elsewhere.until_done("delete", json!({"room": room, "seqs": [sent["seq"]]})).await;
    let again = elsewhere.until_settled(&id, "send", &fields).await;
    assert_eq!((&again["at"], &again["duplicate"]), (&sent["at"], &json!(true)), "{again}");

    // Without a majority nothing is sent, and what is here can be fetched.
    let kept = text(&upload(&urls[2], &ann.token, "b.bin", b"here").await, "file");
    cluster.nodes[0].kill();
    let fields = json!({"room": room, "text": "", "files": [{"file": kept, "name": "b.bin"}]});
    elsewhere.refused("send", fields, "unavailable").await;
    assert_eq!(fetch(&urls[2], &ann.token, &kept, "b.bin", &[]).await.body, &b"here"[..]);
}

#[actix::test]
async fn a_deleted_message_takes_its_files_along() {
    let cluster = Cluster::start_with(3, "[limits]\nfiles_unsent_s = 10").await;
    let (mut ann, mut bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let mut send = async |bytes: &[u8]| {
        let file = text(&upload(&urls[0], &ann.token, "a.txt", bytes).await, "file");
        let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.txt"}]});
        (file, number(&until_found(&mut ann, "send", fields).await, "seq"))
    };
    let (deleted, seq) = send(b"to be deleted").await;
    let (kept, other_seq) = send(b"to be passed on").await;
    let other = bob.create_room("other", "private").await;
    let passed_on = json!({"room": other, "text": "", "files": [{"file": kept, "name": "a"}]});
    until_found(&mut bob, "send", passed_on).await;
    let unsent = text(&upload(&urls[0], &ann.token, "a.txt", b"never sent").await, "file");
    let on_disk =
        |file: &str| cluster.nodes.iter().map(|node| path_of(&node.data_dir(), file)).collect::<Vec<_>>();
    for file in [&deleted, &kept] {
        cluster
            .wait_for("it to be everywhere", async || {
                on_disk(file).iter().all(|path| path.exists()).then_some(())
            })
            .await;
    }
    ann.ok("delete", json!({"room": room, "seqs": [seq, other_seq]})).await;
    // At once to nobody, also not to who uploaded it.
    assert_refused(&fetch(&urls[0], &ann.token, &deleted, "a", &[]).await, 404, "not_found");
    assert_refused(&fetch(&urls[0], &ann.token, &kept, "a", &[]).await, 404, "not_found");
    for file in [&deleted, &unsent] {
        let gone = async || on_disk(file).iter().all(|path| !path.exists()).then_some(());
        cluster.wait_for("its bytes to go", gone).await;
    }
    assert!(on_disk(&kept).iter().all(|path| path.exists()), "another message holds it");
    for url in &urls {
        assert_eq!(fetched(url, &bob.token, &kept, "a").await.body, &b"to be passed on"[..]);
    }
}

#[actix::test]
async fn lost_and_damaged_bytes_come_back() {
    let mut cluster = Cluster::start(3).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let mut files = Vec::new();
    for number in 0..12 {
        let bytes = bytes_of(100 + number, 40_000);
        let file = text(&upload(&urls[0], &ann.token, "a.bin", &bytes).await, "file");
        let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]});
        until_found(&mut ann, "send", fields).await;
        files.push((file, bytes));
    }
    cluster.nodes[2].terminate().await;
    cluster.nodes[2].wipe();
    cluster.nodes[2].start();
    let data_dir = cluster.nodes[2].data_dir();
    for (file, bytes) in &files {
        let path = path_of(&data_dir, file);
        let back = async || (fs::read(&path).ok()? == *bytes).then_some(());
        cluster.wait_for("the bytes to be on the new disk", back).await;
    }
    cluster.wait_until_ready().await;

    let (damaged, bytes) = &files[5];
    let path = path_of(&data_dir, damaged);
    let mut wrong = bytes.clone();
    wrong[777] ^= 1;
    fs::write(&path, &wrong).unwrap();
    // Whoever fetches it gets the right ones, or none.
    let url = format!("{}/api/v1/files/{damaged}/a.bin", urls[2]);
    let bearer = format!("Bearer {}", ann.token);
    let got = until("the right bytes", async || {
        let answer = exchange(Method::GET, &url, &[("authorization", &bearer)], vec![]).await.ok()?;
        assert!(answer.status != 200 || answer.body == *bytes, "wrong bytes");
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!(got, *bytes);
    let healed = async || (fs::read(&path).ok()? == *bytes).then_some(());
    cluster.wait_for("the bytes to be whole again", healed).await;
    let (cut, bytes) = &files[6];
    fs::write(path_of(&data_dir, cut), &bytes[..9]).unwrap();
    let (gone, _) = &files[7];
    fs::remove_file(path_of(&data_dir, gone)).unwrap();
    for (file, bytes) in &files {
        assert_eq!(fetched(&urls[2], &ann.token, file, "a").await.body, *bytes);
    }
}

/// Uploads and sends while one node after the other is killed: what was acknowledged can be fetched from every
/// node when all is over.
#[actix::test]
async fn acknowledged_files_outlive_their_nodes() {
    let mut cluster = Cluster::start_with(3, FREE).await;
    let (ann, bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let count = from_environment("FILES", FILES_DEFAULT);
    let mut sent: Vec<(String, u64)> = Vec::new();
    for number in 0..count {
        let bytes = bytes_of(1000 + number, 1_000_000);
        // Each on another node, and one of them dies now and then in the middle.
        if number % 5 == 2 {
            let victim = usize::try_from(number).unwrap() / 5 % 3;
            cluster.nodes[victim].kill();
            cluster.nodes[victim].start();
        }
        let id = new_id();
        let file = until("a file to be sent", async || {
            let place = usize::try_from(number).unwrap() % 3;
            for turn in 0..3 {
                let url = &urls[(place + turn) % 3];
                let answer = try_upload(url, &ann.token, "a.bin", &bytes).await;
                let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else { continue };
                let file = text(&answer.json(), "file");
                let body = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]});
                let bearer = format!("Bearer {}", ann.token);
                let headers = [("authorization", bearer.as_str()), ("idempotency-key", id.as_str())];
                // Sent through another node than it was uploaded to.
                let url = &urls[(place + turn + 1) % 3];
                let path = format!("{url}/api/v1/send");
                let answer = exchange(Method::POST, &path, &headers, body.to_string()).await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return Some(file);
                }
            }
            None
        })
        .await;
        sent.push((file, number));
    }
    cluster.wait_until_ready().await;
    cluster.wait_until_equal().await;
    for (file, number) in &sent {
        let bytes = bytes_of(1000 + number, 1_000_000);
        for url in &urls {
            let answer = fetched(url, &bob.token, file, "a.bin").await;
            assert!(answer.body == bytes, "file {number} on {url}");
        }
    }
    let mut anybody = Client::open(&urls[0]).await;
    anybody.hello_as(&bob).await;
    let mut seen = Vec::new();
    let mut before = json!(null);
    loop {
        let page = anybody.ok("history", json!({"room": room, "limit": 200, "before": before})).await;
        let messages = field(&page, "messages").as_array().unwrap();
        seen.extend(messages.iter().map(|message| text(&message["files"][0], "file")));
        if page["more"] == false {
            break;
        }
        before = messages[0]["seq"].clone();
    }
    seen.sort();
    let mut expected: Vec<_> = sent.into_iter().map(|(file, _)| file).collect();
    expected.sort();
    assert_eq!(seen, expected, "each once");
}

/// Who hears enough from the others does not wait for a node that is silent, wherever a file was uploaded
/// (how long it took at most is told on standard error).
#[actix::test]
async fn files_are_sent_while_a_node_is_silent() {
    let mut cluster = Cluster::start_with(3, FREE).await;
    let leader = cluster.leader().await;
    let (here, elsewhere, silent) = (leader, (leader + 1) % 3, (leader + 2) % 3);
    let (mut ann, mut bob, room) = cluster.ann_and_bob([here, elsewhere]).await;
    let urls = cluster.urls();
    cluster.nodes[silent].pause();
    let mut longest = Duration::ZERO;
    let mut files = Vec::new();
    for number in 0..10 {
        let bytes = bytes_of(2000 + number, 200_000);
        let uploaded_to = [here, elsewhere][usize::try_from(number % 2).unwrap()];
        let file = text(&upload(&urls[uploaded_to], &ann.token, "a.bin", &bytes).await, "file");
        let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]});
        // Ann's own upload; then bob passes on what he has seen.
        for client in [&mut ann, &mut bob] {
            let began = Instant::now();
            until_found(client, "send", fields.clone()).await;
            longest = longest.max(began.elapsed());
        }
        files.push((file, bytes));
    }
    eprintln!("the longest send with a file beside a silent node: {longest:?}");
    cluster.nodes[silent].resume();
    for (file, bytes) in &files {
        let path = path_of(&cluster.nodes[silent].data_dir(), file);
        let there = async || (fs::read(&path).ok()? == *bytes).then_some(());
        cluster.wait_for("the bytes to be on the node that was silent", there).await;
    }
}

#[actix::test]
async fn copies_hold_the_files() {
    let mut cluster = Cluster::start(2).await;
    let (mut ann, _bob, room) = cluster.ann_and_bob([0, 1]).await;
    let urls = cluster.urls();
    let mut files = Vec::new();
    for (number, length) in [(1, 0), (2, 1 << 20), (3, 2_500_000)] {
        let bytes = bytes_of(number, length);
        let file = text(&upload(&urls[0], &ann.token, "a.bin", &bytes).await, "file");
        let fields = json!({"room": room, "text": "", "files": [{"file": file, "name": "a.bin"}]});
        until_found(&mut ann, "send", fields).await;
        files.push((file, bytes));
    }
    // One that no message holds any more is not copied, nor one that was not sent.
    let gone = text(&upload(&urls[0], &ann.token, "a.bin", b"gone").await, "file");
    let sent = json!({"room": room, "text": "", "files": [{"file": gone, "name": "a.bin"}]});
    let seq = until_found(&mut ann, "send", sent).await["seq"].clone();
    ann.ok("delete", json!({"room": room, "seqs": [seq]})).await;
    upload(&urls[0], &ann.token, "a.bin", b"unsent").await;

    let settings = |place: usize| cluster.nodes[place].settings_file().display().to_string();
    let folder = cluster.folder.path().to_owned();
    let command = async |arguments: &[&str]| run(&folder, arguments, &[]).await;
    let copy = folder.join("a.copy").display().to_string();
    let backup = command(&["backup", &settings(1), &copy]).await;
    assert_eq!(backup.code, Some(0), "{}", backup.stderr);
    let said = &backup.stdout;
    assert!(said.contains(", 3 files, digest ") && !said.contains("no majority"), "{said}{}", backup.stderr);
    let (first, second) = (settings(0), settings(1));
    for node in &mut cluster.nodes {
        node.terminate().await;
        node.wipe();
    }
    let command = async |arguments: &[&str]| run(&folder, arguments, &[]).await;
    let restored = command(&["restore", &first, &copy]).await;
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    let checked = command(&["check", &first]).await;
    assert!(checked.stdout.contains(", 3 files, members "), "{}{}", checked.stdout, checked.stderr);
    let chat = fs::metadata(cluster.nodes[0].data_dir().join("chat.db")).unwrap().len();
    assert!(chat < 1 << 20, "the bytes of files lie beside it: {chat}");
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_until_ready().await;
    let mut ann = cluster.client(1).await;
    ann.login("ann").await;
    for (file, bytes) in &files {
        for url in &urls {
            assert_eq!(fetched(url, &ann.token, file, "a.bin").await.body, *bytes);
        }
    }
    cluster.nodes[1].terminate().await;
    let path = path_of(&cluster.nodes[1].data_dir(), &files[1].0);
    fs::write(&path, "other bytes").unwrap();
    let checked = command(&["check", &second]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    assert!(checked.stderr.contains("are damaged, such as") && checked.stderr.contains(&files[1].0));
}
