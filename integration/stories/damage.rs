//! A node whose rows are no longer what they were finds out, and takes itself out.

use rusqlite::Connection;

use crate::cluster::Cluster;

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
    let ended = cluster.nodes[2].ended().await;
    assert_eq!(ended.code, Some(1));
    let log = cluster.nodes[2].log();
    assert!(log.contains("differ from those of the majority"), "{log}");
    assert!(log.contains("is damaged"), "{log}");
    for place in [0, 1] {
        assert!(cluster.nodes[place].is_up());
    }
    ann.send(room, "the others go on").await;
}

#[actix::test]
async fn a_row_that_went_bad_is_found_by_counting() {
    let mut cluster = Cluster::start(3).await;
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    ann.send(room, "as it was").await;
    cluster.wait_until_equal().await;

    cluster.nodes[2].kill();
    harm(&cluster, 2, "UPDATE messages SET text = 'as it never was' WHERE seq = 1");
    cluster.nodes[2].start();
    let ended = cluster.nodes[2].ended().await;
    assert_eq!(ended.code, Some(1));
    let log = cluster.nodes[2].log();
    assert!(log.contains("its rows come to"), "{log}");
    ann.send(room, "the others go on").await;
}
