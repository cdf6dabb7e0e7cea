//! Threads whose panic must end the process.
//!
//! In actix an actor that panics just disappears. A node without `RaftNode` or `Storage` would go on
//! answering heartbeats or clients with half of itself, so their threads are essential: the panic hook
//! logs and aborts. Elsewhere a panic costs one session, is counted, and is a bug.

use std::cell::Cell;
use std::panic;

use crate::metrics::Metrics;

thread_local! {
    static ESSENTIAL: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Marks the present thread as one without which the process must not go on.
pub fn mark_thread(name: &'static str) {
    ESSENTIAL.set(Some(name));
}

/// Installs the panic hook; once, before any actor starts.
pub fn set_panic_hook(metrics: Metrics) {
    panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let what = info.payload_as_str().unwrap_or("no message");
        match ESSENTIAL.get() {
            Some(name) => {
                tracing::error!(actor = name, place, what, "panic in an essential actor: this node stops");
                std::process::abort();
            }
            None => {
                metrics.actor_restarts.with_label_values(&[thread.name().unwrap_or("session")]).inc();
                tracing::error!(place, what, "panic: a bug; one request or session is lost");
            }
        }
    }));
}
