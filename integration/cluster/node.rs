//! One node: its settings file, its folder and, while it runs, its process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::http;
use super::ports;
use super::program::{self, Process};
use super::wait::PATIENCE;

const LOG_TAIL_LINES: usize = 15;

pub struct Node {
    pub name: String,
    pub http_port: u16,
    pub peer_port: u16,
    folder: PathBuf,
    data_dir: PathBuf,
    process: Option<Process>,
    is_paused: bool,
    host: String,
    /// The network namespace that it runs in, if not the tests' own.
    namespace: Option<String>,
    /// More for its environment.
    variables: Vec<(String, String)>,
}

/// How a process ended that was asked to.
pub struct Ended {
    pub code: Option<i32>,
    pub took: Duration,
}

impl Node {
    pub fn new(folder: &Path, name: &str) -> Self {
        let name = name.to_owned();
        let (http_port, peer_port) = (ports::free(), ports::free());
        let host = "127.0.0.1".to_owned();
        let (process, namespace, variables) = (None, None, Vec::new());
        let (folder, data_dir) = (folder.to_owned(), folder.join(&name));
        let is_paused = false;
        Self { name, http_port, peer_port, folder, data_dir, process, is_paused, host, namespace, variables }
    }

    /// It is to live at this address, in this network namespace.
    pub fn on(self, host: &str, namespace: &str) -> Self {
        Self { host: host.to_owned(), namespace: Some(namespace.to_owned()), ..self }
    }

    /// Gives its data another place than its folder; its settings are to be written anew.
    pub fn keep_data_in(&mut self, dir: PathBuf) {
        self.data_dir = dir;
    }

    /// From its next start on it finds this in its environment.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Its place in a list of `cluster.members`.
    pub fn member(&self) -> String {
        format!(r#"{{ name = "{}", peer = "{}", public = "{}" }}"#, self.name, self.peer_url(), self.url())
    }

    /// Writes its settings file: `members` as given, the rest as by default, and `more`.
    pub fn write_settings(&self, members: &[String], secret: &str, more: &str) {
        let mut text = String::new();
        let (data_dir, host) = (self.data_dir(), &self.host);
        let _ = writeln!(text, "[node]\nname = \"{}\"\ndata_dir = {data_dir:?}", self.name);
        let _ = writeln!(text, "[http]\nbind = \"{host}:{}\"", self.http_port);
        let _ = writeln!(text, "[peer]\nbind = \"{host}:{}\"\nsecret = {secret:?}", self.peer_port);
        let _ = writeln!(text, "[cluster]\nmembers = [ {} ]\n{more}", members.join(", "));
        fs::write(self.settings_file(), text).unwrap();
    }

    /// The same for a node that joins the running cluster of these.
    pub fn write_join_settings(&self, others: &[&Node], secret: &str, more: &str) {
        self.write_settings(&[], secret, more);
        let text = fs::read_to_string(self.settings_file()).unwrap();
        let urls: Vec<String> = others.iter().map(|node| format!("{:?}", node.peer_url())).collect();
        let text = text.replace("members = [  ]", &format!("join = [ {} ]", urls.join(", ")));
        fs::write(self.settings_file(), text).unwrap();
    }

    pub fn start(&mut self) {
        let runs = self.process.as_mut().is_some_and(Process::is_running);
        assert!(!runs, "{} runs already", self.name);
        let file = |name| File::options().create(true).append(true).open(name).unwrap();
        let mut command = program::command_in(self.namespace.as_deref());
        command
            .envs(self.variables.iter().cloned())
            .arg("serve")
            .arg(self.settings_file())
            .current_dir(&self.folder);
        command.stdout(file(self.output_file())).stderr(file(self.log_file()));
        self.process = Some(Process(command.spawn().unwrap()));
    }

    /// SIGKILL, also of a paused one.
    pub fn kill(&mut self) {
        self.process = None;
        self.is_paused = false;
    }

    /// SIGTERM, and waits for its end.
    pub async fn terminate(&mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Ended {
        let begun = Instant::now();
        let mut process = self.process.take().expect("it runs");
        match process.ended(PATIENCE).await {
            Some(status) => Ended { code: status.code(), took: begun.elapsed() },
            None => panic!("{} does not end\n{}", self.name, self.log_tail()),
        }
    }

    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    pub fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
        self.is_paused = true;
    }

    pub fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
        self.is_paused = false;
    }

    /// Whether its process is there and not paused.
    pub fn is_up(&mut self) -> bool {
        !self.is_paused && self.process.as_mut().is_some_and(Process::is_running)
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Loses its disk.
    pub fn wipe(&self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        fs::remove_dir_all(self.data_dir()).unwrap();
    }

    /// It is killed, and starts again on a disk that holds nothing.
    pub fn comes_back_empty(&mut self) {
        self.kill();
        self.wipe();
        self.start();
    }

    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.http_port)
    }

    pub fn peer_url(&self) -> String {
        format!("http://{}:{}", self.host, self.peer_port)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    pub fn settings_file(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    /// What it said on standard output, over all its lives.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_file()).unwrap_or_default()
    }

    /// What it said on standard error, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        format!("--- {}\n{tail}\n", self.name)
    }

    /// `GET /api/v1/cluster`, if it answers.
    pub async fn status(&self) -> Option<Value> {
        let answer = http::get(&format!("{}/api/v1/cluster", self.url())).await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Whether `GET /health/ready` says so.
    pub async fn is_ready(&self) -> bool {
        let answer = http::get(&format!("{}/health/ready", self.url())).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    pub async fn metrics(&self) -> String {
        let answer = http::get(&format!("{}/metrics", self.url())).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// A value of `GET /metrics` that has no labels, if the node answers.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = http::get(&format!("{}/metrics", self.url())).await.ok()?.text();
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    fn output_file(&self) -> PathBuf {
        self.folder.join(format!("{}.out", self.name))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}
