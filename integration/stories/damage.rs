//! A node whose rows are no longer what they were finds out, and takes itself out.

use rusqlite::Connection;

use crate::cluster::{Client, Cluster};

/// Does harm to a stopped node's file, as a disk does it: nothing notices at once.
fn harm(cluster: &Cluster, place: usize, sql: &str) {
    let connection = Connection::open(cluster.nodes[place].data_dir().join("chat.db")).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

#[actix::test]
async fn a_replica_that_differs_from_the_majority_takes_itself_out() {
    let mut cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "as it was").await;

    cluster.nodes[2].kill();
    harm(&cluster, 2, "UPDATE raft_state SET rows_sum = zeroblob(16)");
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
    // Replicas compare every 256 entries; one after the other, each is an entry of its own.
    for number in 0..300 {
        ann.send(room, &number.to_string()).await;
    }
    gets_the_chat_anew(&mut cluster, 2, "differ from those of the majority").await;
}

/// The node leaves its file aside and is filled by the others, all by itself.
async fn gets_the_chat_anew(cluster: &mut Cluster, place: usize, why: &str) {
    let aside = cluster.nodes[place].data_dir().join("set-aside-1");
    cluster
        .wait_for("the damaged file to be set aside", async || aside.join("chat.db").exists().then_some(()))
        .await;
    let log = cluster.nodes[place].log();
    assert!(log.contains(why) && log.contains("joins anew"), "{log}");
    // Its old id goes, the new one learns and then votes.
    cluster.wait_for_voters((place + 1) % 3, 3).await;
    cluster.wait_until_ready().await;
    cluster.equal_tables().await;
}

/// Three nodes, of which node1 holds another text than was written; ann, and her room.
async fn with_a_bad_row() -> (Cluster, Client, u64) {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "as it was").await;
    cluster.wait_until_equal().await;
    cluster.nodes[0].kill();
    harm(&cluster, 0, "UPDATE messages SET text = 'as it never was' WHERE seq = 1");
    cluster.nodes[0].start();
    (cluster, ann, room)
}

#[actix::test]
async fn a_row_that_went_bad_is_found_by_counting() {
    let (mut cluster, mut ann, room) = with_a_bad_row().await;
    gets_the_chat_anew(&mut cluster, 0, "its rows come to").await;
    ann.send(room, "the others went on").await;
}

#[actix::test]
async fn a_row_that_went_bad_does_not_spread() {
    let (mut cluster, _ann, _room) = with_a_bad_row().await;
    cluster.wait_until_ready().await;
    let handed_over = cluster.command(1, &["transfer-leader", "node1"]).await;
    assert_eq!(handed_over.code, Some(0), "{}", handed_over.stderr);

    // The one that leads is whom an empty node asks first.
    cluster.nodes[2].kill();
    cluster.nodes[2].wipe();
    cluster.nodes[2].start();
    gets_the_chat_anew(&mut cluster, 0, "its rows come to").await;
    let log = cluster.nodes[2].log();
    assert!(log.contains("behind every log"), "{log}");
    assert!(!log.contains("chat.db is damaged"), "{log}");
}
