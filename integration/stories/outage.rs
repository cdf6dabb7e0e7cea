//! How long writes stop when the leader goes, in each of the ways in which it can. Few rounds when all tests are
//! run; measured by hand, on a machine that does nothing else:
//! `OUTAGE_ROUNDS=20 cargo test --release --test integration outage -- --nocapture`

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cluster::chatter::Chatter;
use crate::cluster::{Cluster, Network};

use super::chaos::{begin_to_chat, end_and_check, from_environment, wait_for_progress};

const ROUNDS_DEFAULT: u64 = 1;
const WRITERS: u64 = 8;

/// What becomes of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// kill -9.
    Killed,
    /// SIGTERM.
    Told,
    /// `replicated-chat transfer-leader`.
    Transferred,
    /// SIGSTOP: its connections stay, and it says nothing.
    Paused,
    /// The network drops all that it sends to the other nodes, and they to it.
    Isolated,
}

const ENDS: [End; 5] = [End::Killed, End::Told, End::Transferred, End::Paused, End::Isolated];

impl End {
    /// Why another one is elected. Times differ from machine to machine; whether an election was an early one does not.
    fn cause(self) -> &'static str {
        match self {
            Self::Killed => "leader_died",
            Self::Told | Self::Transferred => "handed_over",
            Self::Paused | Self::Isolated => "silence",
        }
    }
}

/// Elections that these nodes have won for this reason since they were started.
async fn won(cluster: &Cluster, places: &[usize], because: &str) -> f64 {
    let name = format!("chat_raft_elections_won_total{{because=\"{because}\"}}");
    let mut won = 0.0;
    for place in places {
        won += cluster.nodes[*place].metric(&name).await.expect("it is up and counts them");
    }
    won
}

async fn end(cluster: &mut Cluster, network: Option<&mut Network>, leader: usize, end: End) {
    let next = cluster.nodes[(leader + 1) % cluster.nodes.len()].name.clone();
    let node = &mut cluster.nodes[leader];
    match end {
        End::Transferred => {
            let run = cluster.command(leader, &["transfer-leader", &next]).await;
            assert_eq!(run.code, Some(0), "{}", run.stderr);
        }
        End::Killed => node.kill(),
        End::Told => node.signal(Signal::SIGTERM),
        End::Paused => node.pause(),
        End::Isolated => network.expect("only where there is one").isolate(leader),
    }
}

async fn undo(cluster: &mut Cluster, network: Option<&mut Network>, leader: usize, end: End) {
    let node = &mut cluster.nodes[leader];
    match end {
        End::Killed => node.start(),
        End::Told => {
            let ended = node.ended().await;
            assert_eq!(ended.code, Some(0), "{}", node.log_tail());
            node.start();
        }
        End::Transferred => {}
        End::Paused => node.resume(),
        End::Isolated => network.expect("only where there is one").heal(),
    }
    cluster.wait_until_ready().await;
}

/// How often any of these was refused, left without an answer, or had to go elsewhere.
fn trouble(chatters: &[&Chatter]) -> u32 {
    let of = |chatter: &&Chatter| {
        let record = chatter.record();
        record.refusals + record.unknown + record.reconnects
    };
    chatters.iter().map(of).sum()
}

#[actix::test]
async fn outages() {
    let rounds = from_environment("OUTAGE_ROUNDS", ROUNDS_DEFAULT);
    let more = "[limits]\nmessages_per_second = 0";
    let (mut network, mut cluster) = match Network::start(5, more).await {
        Some((network, cluster)) => (Some(network), cluster),
        None => (None, Cluster::start_with(5, more).await),
    };
    let chatters = begin_to_chat(&mut cluster, WRITERS, Duration::ZERO).await;
    for how in ENDS {
        if how == End::Isolated && network.is_none() {
            continue;
        }
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
            let others: Vec<usize> = (0..cluster.nodes.len()).filter(|place| *place != leader).collect();
            let won_before = won(&cluster, &others, how.cause()).await;
            let before = trouble(&watched);
            end(&mut cluster, network.as_mut(), leader, how).await;
            wait_for_progress(&cluster, &chatters).await;
            if matches!(how, End::Killed | End::Told | End::Transferred) {
                assert_eq!(trouble(&watched), before, "{how:?}: a write was not carried along");
            }
            let won = won(&cluster, &others, how.cause()).await - won_before;
            assert!(won >= 1.0, "{how:?}: nobody was elected for {}\n{}", how.cause(), cluster.log_tails());
            // Rarely all were on the node that went: then there is nothing to see.
            gaps.extend(watched.iter().map(|chatter| chatter.record().longest_gap).max());
            undo(&mut cluster, network.as_mut(), leader, how).await;
        }
        gaps.sort();
        let (Some(worst), Some(median)) = (gaps.last(), gaps.get(gaps.len() / 2)) else { continue };
        eprintln!(
            "outage: {} leaders {how:?}: median {:.3} s, worst {:.3} s between two acknowledged writes; all {:?}",
            gaps.len(),
            median.as_secs_f32(),
            worst.as_secs_f32(),
            gaps.iter().map(Duration::as_millis).collect::<Vec<_>>(),
        );
    }
    end_and_check(&mut cluster, chatters).await;
}
