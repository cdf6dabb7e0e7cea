//! The program, run to its end.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::{PATIENCE, poll};

/// The binary under test, with no setting from the environment of the tests.
pub fn command() -> Command {
    command_in(None)
}

/// The same, in a network namespace.
pub fn command_in(namespace: Option<&str>) -> Command {
    match namespace {
        Some(namespace) => command_by(&["ip", "netns", "exec", namespace]),
        None => command_by(&[]),
    }
}

/// The same, by another program that becomes it: the process is the same, and so are the signals it gets.
pub fn command_by(other: &[&str]) -> Command {
    const BINARY: &str = env!("CARGO_BIN_EXE_replicated-chat");
    let words = [other, &[BINARY]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CHAT__") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a run came to.
pub struct Run {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    /// Checks that a change of the cluster is done, or that one line says why not.
    #[track_caller]
    pub fn assert_answered(&self) {
        let lines = [&self.stdout, &self.stderr].map(|said| said.lines().count());
        let is_answer = matches!((self.code, lines), (Some(0), [1, 0]) | (Some(1), [0, 1]));
        assert!(is_answer, "{:?} {}{}", self.code, self.stdout, self.stderr);
    }
}

/// Runs the program in a folder until it ends.
pub async fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let begun = Instant::now();
    let output = |name: &str| folder.join(format!("{name}-{:?}", std::thread::current().id()));
    let (stdout, stderr) = (output("stdout"), output("stderr"));
    let mut command = command();
    command.args(arguments).envs(variables.iter().copied()).current_dir(folder);
    command.stdout(std::fs::File::create(&stdout).unwrap());
    command.stderr(std::fs::File::create(&stderr).unwrap());
    let mut process = Process(command.spawn().unwrap());
    let status = process.ended(PATIENCE).await;
    let read = |file| std::fs::read_to_string(file).unwrap();
    let run = Run { code: None, stdout: read(stdout), stderr: read(stderr), took: begun.elapsed() };
    match status {
        Some(status) => Run { code: status.code(), ..run },
        None => panic!("{arguments:?} does not end\n{}{}", run.stdout, run.stderr),
    }
}

/// A process of ours. Dropping it kills it.
pub struct Process(pub Child);

impl Process {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits until it ends; `None` when it does not.
    pub async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, async || self.0.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
