//! Disks are lost, and nodes come back as new replicas by themselves.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, folder, text};

/// By the settings files alone: a wiped disk, then another, then a node more.
#[actix::test]
async fn wiped_disks_and_a_fourth_node() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    assert_eq!(ann.send(room, "before").await, 1);
    let id = text(&cluster.nodes[1].status().await.unwrap(), "cluster");
    for place in [0, 2] {
        cluster.nodes[place].comes_back_empty();
        // What the others say of its old life is over when all know that it is there anew.
        cluster.wait_until_ready().await;
        cluster.wait_until_equal().await;
        cluster.wait_for_voters(1, 3).await;
        cluster.equal_tables().await;
    }
    let place = cluster.prepare_another(&[0, 2], "");
    cluster.nodes[place].start();
    cluster.wait_for_voters(1, 4).await;
    cluster.wait_until_ready().await;
    for node in &cluster.nodes {
        assert_eq!(text(&node.status().await.unwrap(), "cluster"), id);
    }
    let mut reader = cluster.client(place).await;
    reader.hello_as(&ann).await;
    let history = reader.ok("history", json!({"room": room})).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    cluster.equal_tables().await;

    // They are who they are now: a restart changes nothing.
    for node in &mut cluster.nodes {
        node.kill();
        node.start();
    }
    cluster.wait_until_ready().await;
    assert_eq!(text(&cluster.nodes[place].status().await.unwrap(), "cluster"), id);
}

#[actix::test]
async fn a_wiped_majority_waits_and_says_recover() {
    let mut cluster = Cluster::start(3).await;
    cluster.register(2, "ann").await;
    cluster.wait_until_equal().await;
    for place in [0, 1] {
        cluster.nodes[place].comes_back_empty();
    }
    for place in [0, 1] {
        let node = &cluster.nodes[place];
        let what = format!("{} to say recover", node.name);
        cluster.wait_for(&what, async || node.log().contains("recover").then_some(())).await;
        assert!(!node.is_ready().await);
    }
    assert_eq!(cluster.nodes[2].status().await.unwrap()["quorum"], false);
}

/// The others of the settings, wiped, make a cluster of three of the one that was recovered.
#[actix::test]
async fn wiped_nodes_join_a_recovered_cluster() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    assert_eq!(ann.send(room, "before").await, 1);
    cluster.wait_until_equal().await;
    for place in 0..3 {
        cluster.nodes[place].kill();
        if place != 1 {
            cluster.nodes[place].wipe();
        }
    }
    let run = cluster.command(1, &["recover", "--yes"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for place in [0, 2, 1] {
        cluster.nodes[place].start();
    }
    cluster.wait_for_voters(1, 3).await;
    cluster.wait_until_ready().await;
    let mut again = cluster.client(2).await;
    again.hello_as(&ann).await;
    assert_eq!(again.send(room, "after").await, 2);
    cluster.equal_tables().await;
}

/// It has founded the chat alone, so its settings name nobody else.
#[actix::test]
async fn who_founded_alone_and_left_its_file_aside_finds_those_that_came() {
    let mut cluster = Cluster::start(1).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    for _ in 0..2 {
        cluster.prepare_another(&[0], "");
    }
    for place in [1, 2] {
        cluster.nodes[place].start();
    }
    cluster.wait_for_voters(0, 3).await;
    assert_eq!(ann.send(room, "before").await, 1);
    cluster.wait_until_equal().await;
    cluster.nodes[0].kill();
    let id = text(&cluster.nodes[1].status().await.unwrap(), "cluster");
    fs::write(cluster.nodes[0].data_dir().join("suspect"), "the disk said no\n").unwrap();
    cluster.nodes[0].start();
    cluster.wait_for_voters(1, 3).await;
    cluster.wait_until_ready().await;
    assert_eq!(text(&cluster.nodes[0].status().await.unwrap(), "cluster"), id);
    cluster.equal_tables().await;
}

/// Whatever starts first beside a living cluster, there is only that one.
#[actix::test]
async fn nothing_founds_a_second_chat() {
    let mut cluster = Cluster::start(3).await;
    cluster.register(0, "ann").await;
    let id = text(&cluster.nodes[0].status().await.unwrap(), "cluster");
    cluster.wait_until_equal().await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    // The founder and another come up empty while the one that has the chat is down.
    for place in [0, 1] {
        cluster.nodes[place].wipe();
        cluster.nodes[place].start();
    }
    actix::clock::sleep(Duration::from_secs(1)).await;
    for place in [0, 1] {
        assert!(!cluster.nodes[place].is_ready().await);
        assert!(cluster.nodes[place].status().await.is_none());
    }
    cluster.nodes[2].start();
    let node = &cluster.nodes[2];
    let status = cluster.wait_for("node3", async || node.status().await).await;
    assert_eq!(text(&status, "cluster"), id);
    for place in [0, 1] {
        assert!(cluster.nodes[place].status().await.is_none());
    }
}

#[actix::test]
async fn an_operator_founds_without_a_member() {
    let mut cluster = Cluster::prepare(3, "");
    cluster.nodes[1].start();
    cluster.nodes[2].start();
    let node = &cluster.nodes[1];
    cluster.wait_for("a word", async || node.log().contains("waiting for node1").then_some(())).await;
    let run = cluster.command(2, &["members", "found", "--without", "node1"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    cluster.wait_until_ready().await;
    let id = text(&cluster.nodes[1].status().await.unwrap(), "cluster");
    let run = cluster.command(2, &["members", "found", "--without", "node1"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "the chat is founded without node1\n"));
    let run = cluster.command(2, &["members", "found", "--without", "node2"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("use members remove"), "{}", run.stderr);

    // The one that was given up comes after all.
    cluster.nodes[0].start();
    cluster.wait_for_voters(1, 3).await;
    assert_eq!(text(&cluster.nodes[0].status().await.unwrap(), "cluster"), id);
}

/// One after the other, and what is said is so.
#[actix::test]
async fn an_operator_gives_up_two_members() {
    let mut cluster = Cluster::prepare(3, "");
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    cluster.wait_for("a word", async || node.log().contains("waiting for node2").then_some(())).await;
    let run = cluster.command(0, &["members", "found", "--without", "node2"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("not founded yet") && run.stdout.contains("node3"), "{}", run.stdout);
    let run = cluster.command(0, &["members", "found", "--without", "node3"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "the chat is founded without node3\n"));
    let node = &cluster.nodes[0];
    cluster.wait_for("the chat", async || node.is_ready().await.then_some(())).await;
}

/// A copy of another node's settings, under a new name and with other ports to listen on.
#[actix::test]
async fn nobody_joins_at_the_address_of_another() {
    let mut cluster = Cluster::start(1).await;
    let place = cluster.prepare_another(&[0], "");
    let (twin, first) = (&cluster.nodes[place], &cluster.nodes[0]);
    let text = std::fs::read_to_string(twin.settings_file()).unwrap();
    let copied = text.replace("[peer]\n", &format!("[peer]\nurl = {:?}\n", first.peer_url()));
    std::fs::write(twin.settings_file(), copied).unwrap();
    cluster.nodes[place].start();
    let node = &cluster.nodes[place];
    cluster.wait_for("a word", async || node.log().contains("node1 has that address").then_some(())).await;
    assert!(!node.is_ready().await);
    let status = cluster.nodes[0].status().await.unwrap();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 1, "{status}");
    // With an address of its own it is welcome.
    cluster.nodes[place].terminate().await;
    std::fs::write(cluster.nodes[place].settings_file(), text).unwrap();
    cluster.nodes[place].start();
    let node = &cluster.nodes[place];
    cluster.wait_for("it to join", async || node.is_ready().await.then_some(())).await;
}

/// A machine is restored from an older copy of its disk.
#[actix::test]
async fn a_disk_that_went_back_in_time() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "before the copy").await;
    cluster.wait_until_equal().await;
    cluster.nodes[2].terminate().await;
    let data = cluster.nodes[2].data_dir();
    let copy = data.with_extension("copy");
    folder::copy(&data, &copy);
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
    for _ in 0..20 {
        ann.send(room, "after the copy").await;
    }
    cluster.wait_until_equal().await;
    cluster.nodes[2].terminate().await;
    std::fs::remove_dir_all(&data).unwrap();
    folder::copy(&copy, &data);
    cluster.nodes[2].start();
    cluster.wait_for_voters(0, 3).await;
    cluster
        .wait_for("the old file to be set aside", async || {
            data.join("set-aside-1").join("chat.db").exists().then_some(())
        })
        .await;
    cluster.wait_for_voters(0, 3).await;
    cluster.wait_until_ready().await;
    assert_eq!(ann.send(room, "all is well").await, 22);
    cluster.equal_tables().await;
}
