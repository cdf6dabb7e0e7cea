//! When to stop: a signal, or the end of the parent process.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{self, SignalKind};

/// The signals by which a person, a terminal or a supervisor asks a process to stop.
pub struct StopSignals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl StopSignals {
    /// Starts listening; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// What a node without a parent gets, and how long until the next: a drain, cut short, then the end.
const ORPHAN_SIGNALS: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_secs(2)),
    (Signal::SIGTERM, Duration::from_secs(2)),
    (Signal::SIGKILL, Duration::ZERO),
];

/// Stops this process once standard input ends. A parent holds the other end of that pipe, so
/// the kernel tells us of its death, also of one by SIGKILL.
pub fn stop_with_stdin() {
    let watch = || {
        let mut buffer = [0; 64];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        for (signal, pause) in ORPHAN_SIGNALS {
            let _ = kill(Pid::this(), signal);
            thread::sleep(pause);
        }
    };
    // Without that thread a lost parent would go unnoticed, which only a person could mend anyway.
    let _ = thread::Builder::new().name("parent-watch".into()).spawn(watch);
}
