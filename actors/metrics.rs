//! Every metric family of `/metrics`, there from the start.

use std::io::Write as _;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::essential::Worker;
use crate::raft::core::elections::Cause;

/// Seconds, from 10 µs to 10 s.
const SECONDS: &[f64] = &[
    0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 1.0, 3.0,
    10.0,
];
/// Who panicked that is no actor.
const OTHER: &str = "other";
const ENTRIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// What the bus records of one actor and one kind of message.
pub struct ActorMeter {
    pub worker: Worker,
    pub mailbox: IntGauge,
    pub handled: IntCounter,
    pub seconds: Histogram,
}

/// The node's metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    mailbox: IntGaugeVec,
    handled: IntCounterVec,
    handle_seconds: HistogramVec,
    actor_restarts: IntCounterVec,
    pub raft_term: IntGauge,
    pub raft_is_leader: IntGauge,
    pub raft_commit_index: IntGauge,
    pub raft_applied_index: IntGauge,
    pub raft_leader_changes: IntCounter,
    pub raft_elections_won: IntCounterVec,
    pub raft_peer_lag: IntGaugeVec,
    pub storage_commit_seconds: Histogram,
    pub storage_batch_entries: Histogram,
    pub state_received_bytes: IntCounter,
    pub rows_sound: IntGauge,
    pub files: IntGauge,
    pub files_bytes: IntGauge,
    pub files_lacking: IntGauge,
    pub files_fetched: IntCounter,
    pub files_fetched_bytes: IntCounter,
    pub sessions: IntGauge,
    pub events_delivered: IntCounter,
    pub proposal_seconds: Histogram,
    pub http_request_seconds: HistogramVec,
    pub courier_posts: IntCounterVec,
    pub courier_behind: IntGauge,
    pub courier_post_seconds: Histogram,
    pub search_lag: IntGauge,
    pub search_indexed: IntCounter,
    pub search_seconds: Histogram,
}

impl Metrics {
    /// Makes and registers every family.
    ///
    /// # Panics
    /// Never in practice: the names are constants, each registered once in a registry of its own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let made = Self {
            mailbox: gauges(
                "chat_actor_mailbox_messages",
                "Messages that wait for an actor, and what it has taken and not done yet.",
                &["actor"],
            ),
            handled: counters("chat_actor_messages_total", "Messages handled.", &["actor", "message"]),
            handle_seconds: histograms(
                "chat_actor_handle_seconds",
                "Time to handle a message.",
                &["actor", "message"],
            ),
            actor_restarts: counters(
                "chat_actor_restarts_total",
                "Panics at an actor's work; of `other`: at anything else.",
                &["actor"],
            ),
            raft_term: gauge("chat_raft_term", "The Raft term."),
            raft_is_leader: gauge("chat_raft_is_leader", "1 while this node leads."),
            raft_commit_index: gauge("chat_raft_commit_index", "The last log entry known to be committed."),
            raft_applied_index: gauge("chat_raft_applied_index", "The last log entry applied to the tables."),
            raft_leader_changes: counter("chat_raft_leader_changes_total", "Changes of leader seen."),
            raft_elections_won: counters(
                "chat_raft_elections_won_total",
                "Elections that this node won: the leader died, handed over or was silent, or the chat was just founded.",
                &["because"],
            ),
            raft_peer_lag: gauges(
                "chat_raft_peer_lag_entries",
                "Log entries that a peer lacks, as the leader knows.",
                &["peer"],
            ),
            storage_commit_seconds: histogram(
                "chat_storage_commit_seconds",
                "A storage transaction with its fsync.",
                SECONDS,
            ),
            storage_batch_entries: histogram(
                "chat_storage_batch_entries",
                "Log entries in one append.",
                ENTRIES,
            ),
            state_received_bytes: counter(
                "chat_state_received_bytes_total",
                "Bytes of state fetched from other nodes, for want of a log that goes back far enough.",
            ),
            rows_sound: gauge(
                "chat_rows_sound",
                "1 once the rows of this file were counted anew, since the start or since they were replaced, and came to what they should.",
            ),
            files: gauge("chat_files", "Files whose bytes are on this disk."),
            files_bytes: gauge("chat_files_bytes", "Bytes of the files on this disk."),
            files_lacking: gauge(
                "chat_files_lacking",
                "Files that a message holds and whose bytes are not on this disk yet.",
            ),
            files_fetched: counter("chat_files_fetched_total", "Files fetched from other nodes."),
            files_fetched_bytes: counter(
                "chat_files_fetched_bytes_total",
                "Bytes of files fetched from other nodes.",
            ),
            sessions: gauge("chat_sessions", "Clients connected by WebSocket."),
            events_delivered: counter("chat_events_delivered_total", "Events handed to clients."),
            proposal_seconds: histogram(
                "chat_proposal_seconds",
                "From a change asked for to applied here.",
                SECONDS,
            ),
            http_request_seconds: histograms(
                "chat_http_request_seconds",
                "HTTP requests.",
                &["path", "status"],
            ),
            courier_posts: counters(
                "chat_courier_posts_total",
                "Messages posted to subscribed URLs: taken, refused (and skipped), or failed (and tried again).",
                &["became"],
            ),
            courier_behind: gauge(
                "chat_courier_behind_messages",
                "Messages that are to be posted to subscribed URLs yet; on the node that leads.",
            ),
            courier_post_seconds: histogram(
                "chat_courier_post_seconds",
                "From a message posted to answered.",
                SECONDS,
            ),
            search_lag: gauge(
                "chat_search_lag_changes",
                "Changes of the chat (`at`) that the index for search lacks.",
            ),
            search_indexed: counter("chat_search_indexed_messages_total", "Messages put into the index."),
            search_seconds: histogram("chat_search_seconds", "From a search asked for to answered.", SECONDS),
            registry,
        };
        made.has_not_panicked(OTHER);
        for became in ["taken", "refused", "failed"] {
            let _none_yet = made.courier_posts.with_label_values(&[became]);
        }
        for cause in Cause::ALL {
            let _none_yet = made.raft_elections_won.with_label_values(&[cause.name()]);
        }
        made.register_all();
        made
    }

    /// The meter of one actor and one kind of message.
    pub fn actor(&self, worker: Worker, message: &str) -> Arc<ActorMeter> {
        let actor = worker.actor;
        self.has_not_panicked(actor);
        Arc::new(ActorMeter {
            worker,
            mailbox: self.mailbox(actor),
            handled: self.handled.with_label_values(&[actor, message]),
            seconds: self.handle_seconds.with_label_values(&[actor, message]),
        })
    }

    /// What waits for an actor.
    pub fn mailbox(&self, actor: &str) -> IntGauge {
        self.mailbox.with_label_values(&[actor])
    }

    /// An actor that never panicked is worth a zero.
    pub fn has_not_panicked(&self, actor: &str) {
        let _none_yet = self.actor_restarts.with_label_values(&[actor]);
    }

    /// There was a panic at that actor's work, or at anything else.
    pub fn panicked(&self, actor: Option<&str>) {
        self.actor_restarts.with_label_values(&[actor.unwrap_or(OTHER)]).inc();
    }

    /// The Prometheus text format.
    ///
    /// # Errors
    /// When a family cannot be encoded: a bug.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let gathered = self.registry.gather();
        let mut text = Vec::with_capacity(32 * 1024);
        TextEncoder::new().encode(&gathered, &mut text)?;
        // What is counted by label and has no series yet, the encoder leaves out.
        for (desc, kind) in self.labelled() {
            if !gathered.iter().any(|family| family.name() == desc.fq_name) {
                let Desc { fq_name, help, .. } = desc;
                writeln!(text, "# HELP {fq_name} {help}\n# TYPE {fq_name} {kind}")?;
            }
        }
        Ok(text)
    }

    fn labelled(&self) -> impl Iterator<Item = (&Desc, &'static str)> {
        let families: [(Vec<&Desc>, _); 6] = [
            (self.mailbox.desc(), "gauge"),
            (self.handled.desc(), "counter"),
            (self.handle_seconds.desc(), "histogram"),
            (self.actor_restarts.desc(), "counter"),
            (self.raft_peer_lag.desc(), "gauge"),
            (self.http_request_seconds.desc(), "histogram"),
        ];
        families.into_iter().flat_map(|(descs, kind)| descs.into_iter().map(move |desc| (desc, kind)))
    }

    fn register_all(&self) {
        let families: Vec<Box<dyn Collector>> = vec![
            Box::new(self.mailbox.clone()),
            Box::new(self.handled.clone()),
            Box::new(self.handle_seconds.clone()),
            Box::new(self.actor_restarts.clone()),
            Box::new(self.raft_term.clone()),
            Box::new(self.raft_is_leader.clone()),
            Box::new(self.raft_commit_index.clone()),
            Box::new(self.raft_applied_index.clone()),
            Box::new(self.raft_leader_changes.clone()),
            Box::new(self.raft_elections_won.clone()),
            Box::new(self.raft_peer_lag.clone()),
            Box::new(self.storage_commit_seconds.clone()),
            Box::new(self.storage_batch_entries.clone()),
            Box::new(self.state_received_bytes.clone()),
            Box::new(self.rows_sound.clone()),
            Box::new(self.files.clone()),
            Box::new(self.files_bytes.clone()),
            Box::new(self.files_lacking.clone()),
            Box::new(self.files_fetched.clone()),
            Box::new(self.files_fetched_bytes.clone()),
            Box::new(self.sessions.clone()),
            Box::new(self.events_delivered.clone()),
            Box::new(self.proposal_seconds.clone()),
            Box::new(self.http_request_seconds.clone()),
            Box::new(self.courier_posts.clone()),
            Box::new(self.courier_behind.clone()),
            Box::new(self.courier_post_seconds.clone()),
            Box::new(self.search_lag.clone()),
            Box::new(self.search_indexed.clone()),
            Box::new(self.search_seconds.clone()),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        for family in families {
            self.registry.register(family).expect("each family is registered once");
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

const VALID: &str = "metric names and labels are constants that Prometheus accepts";

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect(VALID)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID)
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(VALID)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect(VALID)
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect(VALID)
}

fn histograms(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels).expect(VALID)
}
