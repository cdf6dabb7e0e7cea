//! Much state on its way to another replica: how much moves, and what it costs those who go on. A small chat when all
//! tests are run; measured by hand, on a machine that does nothing else:
//! `LARGE_MESSAGES=1000000 cargo test --release --test integration large_state -- --nocapture`

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::client::new_id;
use crate::cluster::{Client, Cluster};

use super::chaos::from_environment;

const MESSAGES_DEFAULT: u64 = 4_000;
/// Few, so that a node that missed a tenth of the chat is sent state and not the log.
const SETTINGS: &str = "[raft]\nlog_keep_entries = 40\n[limits]\nmessages_per_second = 0";
/// On their way at once while the chat is filled, and while somebody misses it: those are to be many entries.
const AT_ONCE: u64 = 100;
const AT_ONCE_MISSED: u64 = 4;
const TEXT_BYTES: usize = 128;
/// What a transfer may take of the memory of whoever sends or receives it, however large the chat is.
const MEMORY_MB_MAX: u64 = 100;
/// How long the leader's writes are timed when nothing else is going on.
const BEFORE: Duration = Duration::from_secs(2);

/// Random letters: little to compress.
async fn fill(client: &mut Client, room: u64, messages: u64, at_once: u64) {
    let mut left = messages;
    while left > 0 {
        let ids: Vec<String> = (0..left.min(at_once)).map(|_| new_id()).collect();
        for id in &ids {
            let text: String = (0..TEXT_BYTES).map(|_| rand::random_range('a'..='z')).collect();
            client.post(id, "send", json!({"room": room, "text": text})).await;
        }
        for id in &ids {
            assert_eq!(client.reply(id).await["ok"], true);
        }
        client.take_events();
        left -= ids.len() as u64;
    }
}

/// Of one node's process and of the state it was sent, since it was started.
async fn metric(cluster: &Cluster, place: usize, name: &str) -> u64 {
    cluster.nodes[place].metric(name).await.unwrap_or_else(|| panic!("no {name}")) as u64
}

async fn resident_mb(cluster: &Cluster, place: usize) -> u64 {
    metric(cluster, place, "process_resident_memory_bytes").await >> 20
}

/// One write after the other, until `ends`; how long each took, by rising time.
async fn timed_writes(client: &mut Client, room: u64, mut ends: impl AsyncFnMut() -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        for _ in 0..20 {
            let begun = Instant::now();
            client.send(room, "while the others are busy").await;
            times.push(begun.elapsed());
        }
        client.take_events();
        if ends().await {
            times.sort();
            return times;
        }
    }
}

fn shown(times: &[Duration]) -> String {
    let of = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f32() * 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms of {}", of(50), of(99), of(100), times.len())
}

#[actix::test]
async fn a_part_and_the_whole_of_a_large_chat_are_sent_while_people_write() {
    let messages = from_environment("LARGE_MESSAGES", MESSAGES_DEFAULT);
    let missed = messages / 10;
    let mut cluster = Cluster::start_with(3, SETTINGS).await;
    let leader = cluster.leader().await;
    let goes = (leader + 1) % 3;
    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    fill(&mut ann, room, messages - missed, AT_ONCE).await;
    let begun = Instant::now();
    let quiet = timed_writes(&mut ann, room, async || begun.elapsed() > BEFORE).await;
    eprintln!("large: writes with {messages} messages in the chat: {}", shown(&quiet));
    cluster.wait_until_equal().await;
    cluster.nodes[goes].kill();
    fill(&mut ann, room, missed, AT_ONCE_MISSED).await;

    let mut moved = Vec::new();
    for (what, begins_empty) in [("a tenth", false), ("the whole", true)] {
        if begins_empty {
            cluster.nodes[goes].kill();
            cluster.nodes[goes].wipe();
        }
        // Comparing large tables takes longer than a connection lives that answers no ping.
        let mut writer = cluster.client(leader).await;
        writer.hello_as(&ann).await;
        let before = resident_mb(&cluster, leader).await;
        let mut most = before;
        cluster.nodes[goes].start();
        let idle = resident_mb(&cluster, (goes + 1) % 3).await.min(before);
        let begun = Instant::now();
        let busy = timed_writes(&mut writer, room, async || {
            most = resident_mb(&cluster, leader).await.max(most);
            cluster.nodes[goes].is_ready().await
        })
        .await;
        let took = begun.elapsed();
        let bytes = metric(&cluster, goes, "chat_state_received_bytes_total").await;
        assert!(bytes > 0, "no state was sent: {}", cluster.nodes[goes].log_tail());
        let peak = peak_mb(&cluster, goes);
        eprintln!(
            "large: {what} of it was sent in {:.1} s: {} kB of state; meanwhile writes: {}; resident: the leader from \
             {before} to at most {most} MB, the receiver at most {peak} MB",
            took.as_secs_f32(),
            bytes / 1000,
            shown(&busy),
        );
        assert!(most < before + MEMORY_MB_MAX, "the leader took {before} and then {most} MB");
        assert!(peak < idle + MEMORY_MB_MAX, "the receiver took {peak} MB, and another node {idle}");
        moved.push(bytes);
        cluster.equal_tables().await;
    }
    // In proportion to what was missed, and not to what there is.
    assert!(moved[0] < moved[1] / 5, "{moved:?} bytes for a tenth and for all");
}

/// What the system says a node's process has held at most.
fn peak_mb(cluster: &Cluster, place: usize) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.nodes[place].id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the system tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}
