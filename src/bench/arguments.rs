//! What was asked for.

use std::time::Duration;

use clap::value_parser;

use crate::settings::HttpUrl;

#[derive(Debug, Clone, clap::Args)]
pub struct BenchArguments {
    /// How many nodes of our own to start
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=50), conflicts_with = "server")]
    pub nodes: u16,
    /// How many clients send, each its next message when the last is acknowledged
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=100_000))]
    pub clients: u32,
    /// How many rooms the clients are spread over
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=100_000))]
    pub rooms: u32,
    /// How many more connections only receive
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u32).range(0..=100_000))]
    pub listeners: u32,
    /// How long a message's text is
    #[arg(long, default_value_t = 128, value_parser = value_parser!(u32).range(1..=1_048_576))]
    pub bytes: u32,
    /// How long to measure
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long to run before measuring, in seconds
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(0..=3600))]
    pub warmup: u32,
    /// Measure a running cluster, reached through this node, instead of one of our own
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub server: Option<HttpUrl>,
    /// Print the results as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl BenchArguments {
    /// An empty room measures nothing, so there are no more of them than clients.
    pub fn rooms(&self) -> u32 {
        self.rooms.min(self.clients)
    }

    pub fn warmup(&self) -> Duration {
        Duration::from_secs(self.warmup.into())
    }

    pub fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

fn server_url(text: &str) -> Result<HttpUrl, String> {
    match HttpUrl::parse(text) {
        Some(url) if !url.is_secure() => Ok(url),
        _ => Err("must be http://, a host and perhaps a port, such as http://127.0.0.1:8101".into()),
    }
}
