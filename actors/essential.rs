//! Threads without which a node is none.
//!
//! An actor that panics just disappears, and the node would go on without its log or its disk. The
//! panic hook ends the process instead when the thread is essential; elsewhere a panic costs what the
//! thread was doing, is counted, and is a bug.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::process;

use crate::metrics::Metrics;

thread_local! {
    static ESSENTIAL: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Marks the current thread: a panic on it ends the process. `actor` is who lives on it.
pub fn mark(actor: &'static str) {
    ESSENTIAL.set(Some(actor));
}

/// Sets the panic hook of the process. Once, before any actor is started.
pub fn watch(metrics: &Metrics) {
    let restarts = metrics.actor_restarts.clone();
    panic::set_hook(Box::new(move |info| {
        let (place, message) = (place(info), message(info));
        if let Some(actor) = ESSENTIAL.get() {
            tracing::error!(actor, place, message, "a bug: this thread is essential, ending the process");
            process::abort();
        }
        let thread = std::thread::current();
        let actor = thread.name().unwrap_or("unnamed");
        tracing::error!(actor, place, message, "a bug: an actor panicked");
        restarts.with_label_values(&[actor]).inc();
    }));
}

/// Ends the process at once, with a sentence for the operator: the node cannot keep its word any more.
/// Nothing is flushed or handed over: whoever calls this trusts nothing that this node still holds.
pub fn end_process(why: &dyn std::fmt::Display) -> ! {
    tracing::error!("{why}");
    process::exit(1)
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(ToString::to_string).unwrap_or_default()
}

fn message<'i>(info: &'i PanicHookInfo<'_>) -> &'i str {
    info.payload_as_str().unwrap_or("no message")
}
