//! Nodes as child processes: started, watched, stopped, and never left behind.
//!
//! A child holds the reading end of a pipe from us and stops when that ends, so it goes even when this
//! process is killed. It has a process group of its own, so Ctrl-C reaches us alone and we decide.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// A drain takes at most ten seconds; whatever is still there after this is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// How often to look whether the children are gone, beside the signals that say so.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How many bytes of a log's end are read to find its last words.
const LAST_WORDS_BYTES: usize = 4096;

/// What a child node is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub settings_file: PathBuf,
    pub log_file: PathBuf,
}

/// Child nodes. Dropping them kills those that still run.
#[derive(Debug, Default)]
pub struct Children {
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    plan: Plan,
    process: process::Child,
    ended: Option<ExitStatus>,
}

/// A child that ended by itself, or by somebody else's hand.
#[derive(Debug)]
pub struct Ended {
    pub plan: Plan,
    pub status: ExitStatus,
}

/// Whether the children see the `CHAT__…` variables of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variables {
    Inherited,
    Hidden,
}

impl Children {
    /// Starts a node for each plan.
    ///
    /// # Errors
    /// When one cannot be started; those before it are killed.
    pub fn start(plans: &[Plan], variables: Variables) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut children = Self::default();
        for plan in plans {
            let log = File::options().create(true).append(true).open(&plan.log_file)?;
            let mut command = Command::new(&program);
            command.arg("serve").arg("--stop-with-stdin").arg("--").arg(&plan.settings_file);
            command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
            if variables == Variables::Hidden {
                for (name, _) in std::env::vars_os() {
                    if name.as_encoded_bytes().starts_with(b"CHAT__") {
                        command.env_remove(name);
                    }
                }
            }
            // The pipe to its standard input stays open as long as `process` is kept.
            let process = command.spawn()?;
            children.children.push(Child { plan: plan.clone(), process, ended: None });
        }
        Ok(children)
    }

    /// How many still run, as far as is known.
    pub fn running(&self) -> usize {
        self.children.iter().filter(|child| child.ended.is_none()).count()
    }

    /// Those that ended since the last look.
    pub fn newly_ended(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        for child in self.children.iter_mut().filter(|child| child.ended.is_none()) {
            if let Ok(Some(status)) = child.process.try_wait() {
                child.ended = Some(status);
                ended.push(Ended { plan: child.plan.clone(), status });
            }
        }
        ended
    }

    /// Waits until at least one ends.
    ///
    /// # Errors
    /// When the system does not tell us of ended children.
    pub async fn next_ended(&mut self) -> io::Result<Vec<Ended>> {
        let mut child_signals = signal(SignalKind::child())?;
        loop {
            let ended = self.newly_ended();
            if !ended.is_empty() {
                return Ok(ended);
            }
            child_signals.recv().await;
        }
    }

    /// Asks all to stop, waits, and kills those that take too long, whose names it returns.
    pub async fn stop(&mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.running() > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK_PERIOD).await;
            self.newly_ended();
        }
        let late = self.children.iter().filter(|child| child.ended.is_none());
        let late = late.map(|child| child.plan.name.clone()).collect();
        self.kill();
        late
    }

    /// Ends all at once.
    pub fn kill(&mut self) {
        for child in self.children.iter_mut().filter(|child| child.ended.is_none()) {
            // An error means that it is gone already.
            let _ = child.process.kill();
            child.ended = child.process.wait().ok();
        }
    }

    fn signal(&self, signal: Signal) {
        for child in self.children.iter().filter(|child| child.ended.is_none()) {
            // Not waited for yet, so the id is still this child's.
            if let Ok(id) = i32::try_from(child.process.id()) {
                let _ = kill(Pid::from_raw(id), signal);
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ended {
    /// How it ended, such as `signal 9` or `status 1`.
    pub fn how(&self) -> String {
        match (self.status.signal(), self.status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("status {code}"),
            (None, None) => self.status.to_string(),
        }
    }

    /// The last line of its log.
    pub fn last_words(&self) -> String {
        last_line(&self.plan.log_file).unwrap_or_else(|| "it said nothing".into())
    }
}

fn last_line(file: &Path) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    let end = &bytes[bytes.len().saturating_sub(LAST_WORDS_BYTES)..];
    let text = String::from_utf8_lossy(end);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended() {
        let plan = Plan { name: "node3".into(), settings_file: "a".into(), log_file: "/no/such/log".into() };
        for (raw, how) in [(9, "signal 9"), (0x100, "status 1"), (0, "status 0")] {
            let ended = Ended { plan: plan.clone(), status: ExitStatus::from_raw(raw) };
            assert_eq!(ended.how(), how);
            assert_eq!(ended.last_words(), "it said nothing");
        }
    }
}
