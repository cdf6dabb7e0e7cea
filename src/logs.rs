//! The log of this process: lines of text or of JSON on standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::settings::{LogFormat, LogLevel, LogSettings};

/// Our own crates, and raft, whose log we pass on: these follow `log.level` all the way down.
const OURS: [&str; 3] = ["replicated_chat", "chat_actors", "raft"];

/// Starts the log. Called once, before anything has something to say.
pub fn start(settings: &LogSettings) {
    let level = level_filter(settings.level);
    // What libraries say below `warn` is for those who work on them.
    let theirs = level.min(LevelFilter::WARN);
    let filter = Targets::new().with_default(theirs).with_targets(OURS.map(|target| (target, level)));
    let lines = match settings.format {
        LogFormat::Text => fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => fmt::layer().with_writer(io::stderr).json().flatten_event(true).boxed(),
    };
    registry().with(lines.with_filter(filter)).init();
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
