//! How long writes stop when the leader is killed. Measured by hand:
//! `OUTAGE_ROUNDS=10 cargo test --release --test integration outage -- --nocapture`

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::cluster::chatter::Chatter;

use super::chaos::{begin_to_chat, end_and_check, wait_for_progress};

#[actix::test]
async fn outage_when_the_leader_is_killed() {
    let Ok(rounds) = std::env::var("OUTAGE_ROUNDS") else { return };
    let rounds: usize = rounds.parse().expect("a number");
    let mut cluster = Cluster::start_with(5, "[limits]\nmessages_per_second = 0").await;
    let chatters = begin_to_chat(&mut cluster, 5, Duration::ZERO).await;
    wait_for_progress(&cluster, &chatters).await;
    let mut gaps = Vec::new();
    for _ in 0..rounds {
        wait_for_progress(&cluster, &chatters).await;
        let leader = cluster.leader().await;
        // Only who is on a node that stays measures the cluster, and not its own coming back.
        let url = cluster.nodes[leader].url();
        let watched: Vec<&Chatter> = chatters.iter().filter(|chatter| chatter.node() != url).collect();
        for chatter in &watched {
            chatter.forget_gap();
        }
        cluster.nodes[leader].kill();
        let begun = Instant::now();
        wait_for_progress(&cluster, &chatters).await;
        let gap = watched.iter().map(|chatter| chatter.record().longest_gap).max();
        let gap = gap.unwrap_or_else(|| begun.elapsed());
        eprintln!("{}: {:.3} s", cluster.nodes[leader].name, gap.as_secs_f32());
        gaps.push(gap);
        cluster.nodes[leader].start();
        cluster.wait_until_ready().await;
    }
    end_and_check(&mut cluster, chatters).await;
    gaps.sort();
    let (median, worst) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    eprintln!(
        "outage: {rounds} leaders killed, median {:.3} s, worst {:.3} s between two acknowledged writes",
        median.as_secs_f32(),
        worst.as_secs_f32()
    );
}
