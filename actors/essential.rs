//! Threads and actors without which a node is none, and what a panic costs elsewhere.
//!
//! An actor that panics just disappears, and the node would go on without its log, its disk or its news. The
//! panic hook ends the process instead when the thread is essential, or the actor that is at work on it;
//! elsewhere a panic costs what the thread was doing, is counted under the actor's name, and is a bug.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{self, PanicHookInfo};
use std::process;
use std::rc::Rc;

use crate::metrics::Metrics;

/// An actor, as the panic hook knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    pub actor: &'static str,
    /// A node is none without it.
    pub is_essential: bool,
}

thread_local! {
    static ESSENTIAL: Cell<Option<&'static str>> = const { Cell::new(None) };
    static AT_WORK: Cell<Option<Worker>> = const { Cell::new(None) };
}

/// Marks the current thread: a panic on it ends the process. `actor` is who lives on it.
pub fn mark(actor: &'static str) {
    ESSENTIAL.set(Some(actor));
}

/// Says for the panic hook who is at work on this thread, until it is dropped: there.
pub struct AtWork {
    before: Option<Worker>,
    _on_this_thread: PhantomData<Rc<()>>,
}

impl AtWork {
    pub fn begin(worker: Worker) -> Self {
        Self { before: AT_WORK.replace(Some(worker)), _on_this_thread: PhantomData }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.set(self.before);
    }
}

/// Sets the panic hook of the process. Once, before any actor is started.
pub fn watch(metrics: &Metrics) {
    let metrics = metrics.clone();
    panic::set_hook(Box::new(move |info| {
        let (place, message) = (place(info), message(info));
        let (thread, worker) = (ESSENTIAL.get(), AT_WORK.get());
        if let Some(actor) = thread.or(worker.filter(|it| it.is_essential).map(|it| it.actor)) {
            tracing::error!(actor, place, message, "a bug: a node is none without this, ending the process");
            process::abort();
        }
        let actor = worker.map(|it| it.actor);
        let thread = std::thread::current();
        tracing::error!(actor, thread = thread.name(), place, message, "a bug: a panic");
        metrics.panicked(actor);
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

#[cfg(test)]
pub mod testing {
    //! What panics cost, in processes of their own: the hook is the whole process's.

    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Output};
    use std::{env, future};

    use actix::{Actor, Context, Handler, System};

    use crate::bus::Envelope;
    use crate::metrics::Metrics;
    use crate::post;

    const CHILD: &str = "CHILD_OF_A_TEST";
    const SIGABRT: i32 = 6;

    /// What no actor survives.
    pub struct Bang;

    post! { Bang => "bang" }

    /// Runs that test once more, alone in a process of its own, where this gives `None`.
    pub fn in_a_child(test: &str) -> Option<Output> {
        if env::var_os(CHILD).is_some() {
            return None;
        }
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.args([test, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("running 1 test"), "there is no {test}: {said}");
        Some(output)
    }

    /// In a child: starts an actor and lets it panic. The child of `test` is to abort.
    pub fn assert_aborts(test: &str, bang: impl AsyncFnOnce(&Metrics)) {
        if let Some(output) = in_a_child(test) {
            return assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
        }
        System::new().block_on(async {
            let metrics = Metrics::new();
            super::watch(&metrics);
            bang(&metrics).await;
            // Whoever goes on from here fails the test.
            let _ended =
                tokio::time::timeout(std::time::Duration::from_secs(20), future::pending::<()>()).await;
        });
    }

    /// Some actor.
    pub struct Anybody;

    impl Actor for Anybody {
        type Context = Context<Self>;
    }

    impl Handler<Envelope<Bang>> for Anybody {
        type Result = ();

        fn handle(&mut self, envelope: Envelope<Bang>, _: &mut Self::Context) {
            let (Bang, _handling) = envelope.open();
            panic!("bang");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use actix::{Actor as _, System};

    use super::testing::{Anybody, Bang, assert_aborts, in_a_child};
    use super::*;
    use crate::bus::{NotSent, Port, Seat};

    #[test]
    fn a_panic_is_counted_once_and_under_the_actor() {
        const THIS: &str = "essential::tests::a_panic_is_counted_once_and_under_the_actor";
        if let Some(output) = in_a_child(THIS) {
            return assert!(output.status.success(), "{output:?}");
        }
        let metrics = Metrics::new();
        watch(&metrics);
        let counted = |actor: &str| {
            let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
            let series = format!("chat_actor_restarts_total{{actor=\"{actor}\"}} ");
            page.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok())
        };
        assert_eq!((counted("anybody"), counted("other")), (None, Some(0)));
        let seat = Seat::new(&metrics, "anybody", 1);
        System::new().block_on(async {
            let port: Port<Bang> = seat.port_to(&Anybody.start());
            assert_eq!(counted("anybody"), Some(0));
            port.tell(Bang);
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            assert!(matches!(port.offer(Bang), Err(NotSent::Closed(_))));
        });
        assert_eq!(counted("anybody"), Some(1));
        // A panic that its work survives is one all the same.
        let meter = seat.meter("work");
        let _survived = catch_unwind(AssertUnwindSafe(|| {
            let _handling = meter.begin();
            panic!("bang");
        }));
        assert_eq!((counted("anybody"), counted("other")), (Some(2), Some(0)));
        let _ended = thread::spawn(|| panic!("bang")).join();
        assert_eq!((counted("anybody"), counted("other")), (Some(2), Some(1)));
    }

    #[test]
    fn a_panic_of_an_essential_actor_ends_the_process() {
        assert_aborts("essential::tests::a_panic_of_an_essential_actor_ends_the_process", async |metrics| {
            let seat = Seat::new(metrics, "vital", 1).essential();
            seat.port_to::<_, Bang>(&Anybody.start()).tell(Bang);
        });
    }

    #[test]
    fn a_panic_on_an_essential_thread_ends_the_process() {
        assert_aborts("essential::tests::a_panic_on_an_essential_thread_ends_the_process", async |metrics| {
            mark("vital");
            Seat::new(metrics, "anybody", 1).port_to::<_, Bang>(&Anybody.start()).tell(Bang);
        });
    }
}
