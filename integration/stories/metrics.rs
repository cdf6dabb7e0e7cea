//! `GET /metrics`: every family from the start, in the format that Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Cluster;

const FAMILIES: [(&str, &str); 33] = [
    ("chat_actor_mailbox_messages", "gauge"),
    ("chat_actor_messages_total", "counter"),
    ("chat_actor_handle_seconds", "histogram"),
    ("chat_actor_restarts_total", "counter"),
    ("chat_raft_term", "gauge"),
    ("chat_raft_is_leader", "gauge"),
    ("chat_raft_commit_index", "gauge"),
    ("chat_raft_applied_index", "gauge"),
    ("chat_raft_leader_changes_total", "counter"),
    ("chat_raft_elections_won_total", "counter"),
    ("chat_raft_peer_lag_entries", "gauge"),
    ("chat_storage_commit_seconds", "histogram"),
    ("chat_storage_batch_entries", "histogram"),
    ("chat_state_received_bytes_total", "counter"),
    ("chat_rows_sound", "gauge"),
    ("chat_files", "gauge"),
    ("chat_files_bytes", "gauge"),
    ("chat_files_lacking", "gauge"),
    ("chat_files_fetched_total", "counter"),
    ("chat_files_fetched_bytes_total", "counter"),
    ("chat_sessions", "gauge"),
    ("chat_events_delivered_total", "counter"),
    ("chat_proposal_seconds", "histogram"),
    ("chat_http_request_seconds", "histogram"),
    ("chat_courier_posts_total", "counter"),
    ("chat_courier_behind_messages", "gauge"),
    ("chat_courier_post_seconds", "histogram"),
    ("chat_search_lag_changes", "gauge"),
    ("chat_search_indexed_messages_total", "counter"),
    ("chat_search_seconds", "histogram"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_cpu_seconds_total", "counter"),
];

/// One family of the page.
#[derive(Default)]
struct Family {
    kind: String,
    has_help: bool,
    samples: Vec<(String, f64)>,
}

/// Reads the page as strictly as its format is.
fn families(page: &str) -> BTreeMap<String, Family> {
    assert!(page.ends_with('\n'));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut series = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(!help.is_empty(), "{line}");
            families.entry(name.to_owned()).or_default().has_help = true;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else {
            let (key, value) = line.rsplit_once(' ').expect(line);
            assert!(series.insert(key.to_owned()), "twice: {line}");
            let sample = key.split('{').next().unwrap();
            let ends = ["_bucket", "_sum", "_count"];
            let histogram = ends.iter().find_map(|end| sample.strip_suffix(end));
            let histogram = histogram.filter(|name| families.contains_key(*name));
            let family = families.get_mut(histogram.unwrap_or(sample)).expect(line);
            assert!(sample.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'), "{line}");
            family.samples.push((key.to_owned(), value.parse().expect(line)));
        }
    }
    for (name, family) in &families {
        assert!(family.has_help && !family.kind.is_empty(), "{name} has no HELP or no TYPE");
        assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name} is a {}", family.kind);
        if family.kind == "histogram" && !family.samples.is_empty() {
            assert!(family.samples.iter().any(|(key, _)| key.contains("le=\"+Inf\"")), "{name}");
        }
    }
    families
}

#[actix::test]
async fn every_family_is_there_from_the_start() {
    for count in [3, 1] {
        let cluster = Cluster::start(count).await;
        for node in &cluster.nodes {
            let families = families(&node.metrics().await);
            let missing: Vec<&str> =
                FAMILIES.iter().map(|family| family.0).filter(|name| !families.contains_key(*name)).collect();
            assert!(missing.is_empty(), "{} has no {missing:?}", node.name);
            for (name, kind) in FAMILIES {
                assert_eq!(families[name].kind, kind, "{name}");
            }
            let alone = usize::from(count == 1);
            let empty = families.iter().filter(|(_, family)| family.samples.is_empty());
            let empty: Vec<_> = empty.map(|(name, _)| name.as_str()).collect();
            assert_eq!(empty, ["chat_raft_peer_lag_entries"][..alone], "{}", node.name);
        }
    }
}

#[actix::test]
async fn they_count_what_happens() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let value = |page: &str, name: &str| -> f64 {
        let families = families(page);
        let family = name.strip_suffix("_count").unwrap_or(name);
        let samples = families[family].samples.iter();
        samples.filter(|(key, _)| key.split('{').next() == Some(name)).map(|(_, value)| value).sum()
    };
    let before = cluster.nodes[leader].metrics().await;
    assert!((value(&before, "chat_raft_is_leader") - 1.0).abs() < 0.1);
    assert!(value(&before, "chat_raft_leader_changes_total") >= 1.0);

    let mut ann = cluster.register(leader, "ann").await;
    let room = ann.create_room("general", "public").await;
    for _ in 0..10 {
        ann.send(room, "x").await;
    }
    ann.event(serde_json::json!({"ev": "message", "seq": 10})).await;
    // Gauges of Raft move with its ticks.
    let node = &cluster.nodes[leader];
    let after = cluster
        .wait_for("the applied index to move", async || {
            let after = node.metrics().await;
            let applied = |page: &str| value(page, "chat_raft_applied_index");
            (applied(&after) >= applied(&before) + 12.0).then_some(after)
        })
        .await;
    let more = |name: &str| value(&after, name) - value(&before, name);
    // What does the work is not only what a port brings.
    let handled = &families(&after)["chat_actor_handle_seconds"].samples;
    for (actor, work) in [
        ("storage", "append"),
        ("storage", "go_on"),
        ("raft_node", "drive"),
        ("peer_link", "flush"),
        ("peer_link", "answered"),
        ("session", "frame"),
        ("session", "answered"),
    ] {
        for end in ["count", "sum"] {
            let series = format!("chat_actor_handle_seconds_{end}{{actor=\"{actor}\",message=\"{work}\"}}");
            let found = handled.iter().find(|(key, _)| *key == series).map(|(_, value)| *value);
            assert!(found.is_some_and(|value| value > 0.0), "{series} is {found:?}");
        }
    }
    assert!((value(&after, "chat_sessions") - 1.0).abs() < 0.1);
    assert!(more("chat_events_delivered_total") >= 11.0);
    assert!(more("chat_proposal_seconds_count") >= 12.0);
    assert!(more("chat_storage_commit_seconds_count") >= 1.0);
    assert!(more("chat_actor_messages_total") >= 12.0);
    assert!(value(&after, "process_resident_memory_bytes") > 1e6);
    let one_leads = async || {
        let mut leaders = 0.0;
        for node in &cluster.nodes {
            leaders += value(&node.metrics().await, "chat_raft_is_leader");
        }
        ((leaders - 1.0_f64).abs() < 0.1).then_some(())
    };
    cluster.wait_for("one of them to lead", one_leads).await;
    // Nobody holds back what was said to them, on the nodes that do not lead either.
    for node in &cluster.nodes {
        let waiting = async || {
            let waiting = families(&node.metrics().await).remove("chat_actor_mailbox_messages")?.samples;
            waiting.iter().all(|(_, value)| value.abs() < 0.1).then_some(())
        };
        cluster.wait_for("a moment in which nothing waits", waiting).await;
    }
}
