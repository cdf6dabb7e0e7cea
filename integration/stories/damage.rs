//! A node on whose disk something went bad finds out, and takes itself out.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rusqlite::Connection;

use crate::cluster::wait::LONG_PATIENCE;
use crate::cluster::{Client, Cluster};

fn database(cluster: &Cluster, place: usize) -> Connection {
    Connection::open(cluster.nodes[place].data_dir().join("chat.db")).unwrap()
}

/// Does harm to a stopped node's file, as a disk does it: nothing notices at once.
fn harm(cluster: &Cluster, place: usize, sql: &str) {
    assert_eq!(database(cluster, place).execute(sql, []).unwrap(), 1, "{sql}");
}

/// Three nodes that hold a message, of which node1 is down; ann, and her room.
async fn with_a_message() -> (Cluster, Client, u64) {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(1, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "as it was").await;
    cluster.wait_until_equal().await;
    cluster.nodes[0].kill();
    (cluster, ann, room)
}

/// The node leaves its file aside and is filled by the others, all by itself.
async fn gets_the_chat_anew(cluster: &mut Cluster, place: usize, why: &str) {
    let aside = cluster.nodes[place].data_dir().join("set-aside-1/chat.db");
    // It waits until the others can do without it, maybe for one of them to become a voter.
    let is_aside = async || aside.is_file().then_some(());
    cluster.wait_at_most(LONG_PATIENCE, "the damaged file to be set aside", is_aside).await;
    let log = cluster.nodes[place].log();
    assert!(log.contains(why), "{why} in {log}");
    // Its old id goes, the new one learns and then votes.
    cluster.wait_for_voters((place + 1) % 3, 3).await;
    cluster.wait_until_ready().await;
    cluster.equal_tables().await;
}

/// Node1 comes back, is rebuilt, and nobody was held up by it.
async fn is_found(mut cluster: Cluster, (ann, room): (Client, u64), why: &str) {
    cluster.nodes[0].start();
    gets_the_chat_anew(&mut cluster, 0, why).await;
    // Who was not read for so long may have been sent away.
    let mut again = cluster.client(1).await;
    again.hello_as(&ann).await;
    again.send(room, "the others went on").await;
}

const OTHER_TEXT: &str = "UPDATE messages SET text = 'as it never was' WHERE seq = 1";

#[actix::test]
async fn a_replica_that_differs_from_the_majority_takes_itself_out() {
    let mut cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "as it was").await;
    // A node that has applied nothing yet has a sum of zeros.
    cluster.wait_until_equal().await;

    cluster.nodes[2].kill();
    harm(&cluster, 2, "UPDATE raft_state SET rows_sum = zeroblob(16) WHERE rows_sum != zeroblob(16)");
    cluster.nodes[2].start();
    cluster.wait_until_ready().await;
    // Replicas compare every 256 entries; one after the other, each is an entry of its own.
    for number in 0..300 {
        ann.send(room, &number.to_string()).await;
    }
    gets_the_chat_anew(&mut cluster, 2, "differ from those of the majority").await;
}

#[actix::test]
async fn a_row_that_went_bad_is_found_by_counting() {
    let (cluster, ann, room) = with_a_message().await;
    harm(&cluster, 0, OTHER_TEXT);
    is_found(cluster, (ann, room), "its rows come to").await;
}

#[actix::test]
async fn an_entry_of_the_log_that_went_bad_is_found() {
    let (cluster, ann, room) = with_a_message().await;
    let flip = "UPDATE raft_log SET data = zeroblob(length(data))
                WHERE log_index = (SELECT max(log_index) FROM raft_log WHERE length(data) > 0)";
    harm(&cluster, 0, flip);
    is_found(cluster, (ann, room), "is not what was written there: its checksum is wrong").await;
}

#[actix::test]
async fn a_file_with_pages_that_went_bad_is_found() {
    let (cluster, ann, room) = with_a_message().await;
    let connection = database(&cluster, 0);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'messages_by_place'";
    let page: i64 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    drop(connection);
    let file = File::options().write(true).open(cluster.nodes[0].data_dir().join("chat.db")).unwrap();
    file.write_all_at(&[0xa5; 4096], (page.cast_unsigned() - 1) * 4096).unwrap();
    is_found(cluster, (ann, room), "is damaged").await;
}

#[actix::test]
async fn a_row_that_went_bad_does_not_spread() {
    let (mut cluster, _ann, _room) = with_a_message().await;
    harm(&cluster, 0, OTHER_TEXT);
    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    cluster.until_done(1, &["transfer-leader", "node1"]).await;

    // The one that leads is whom an empty node asks first.
    cluster.nodes[2].comes_back_empty();
    gets_the_chat_anew(&mut cluster, 0, "its rows come to").await;
    let log = cluster.nodes[2].log();
    assert!(log.contains("behind every log"), "{log}");
    assert!(!log.contains("chat.db is damaged"), "{log}");
}
