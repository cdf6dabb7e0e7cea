//! All nodes lose their power at once.

use std::time::Duration;

use crate::cluster::Cluster;

use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};

#[actix::test]
async fn what_was_acknowledged_is_there_after_all_were_killed_at_once() {
    let mut cluster = Cluster::start_with(3, "[limits]\nmessages_per_second = 0").await;
    let chatters = begin_to_chat(&mut cluster, 4, Duration::from_millis(5)).await;
    for _ in 0..3 {
        wait_for_progress(&cluster, &chatters).await;
        for node in &mut cluster.nodes {
            node.kill();
        }
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_until_ready().await;
    }
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}
