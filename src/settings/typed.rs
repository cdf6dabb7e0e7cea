//! The settings as the program uses them: every value checked, with its unit in its name.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use chat_actors::chat::tables::Registration;

use super::address::{BindAddress, HttpUrl};
use super::check;
use super::error::SettingsError;
use super::layers::{Layers, Origins};

/// Everything that one node is told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub node: NodeSettings,
    pub http: HttpSettings,
    pub peer: PeerSettings,
    pub cluster: ClusterSettings,
    pub raft: RaftSettings,
    pub accounts: AccountSettings,
    pub limits: LimitSettings,
    pub disk: DiskSettings,
    pub hooks: HookSettings,
    pub log: LogSettings,
    pub(super) origins: Origins,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its name in the cluster, for good.
    pub name: String,
    /// Where `chat.db` lives; relative to the working directory.
    pub data_dir: PathBuf,
}

/// For people: page, WebSocket, API and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    pub bind: BindAddress,
    pub public_url: HttpUrl,
}

/// For the other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    pub bind: BindAddress,
    pub url: HttpUrl,
    pub secret: Secret,
}

/// Exactly one of the two lists has entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The founders, this node among them; the first one founds.
    pub members: Vec<Member>,
    /// Peer URLs of a running cluster to join.
    pub join: Vec<HttpUrl>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub peer: HttpUrl,
    pub public: HttpUrl,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftSettings {
    pub tick_ms: u64,
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    pub log_keep_entries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    pub registration: Registration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    pub message_bytes: usize,
    pub frame_bytes: usize,
    pub file_bytes: u64,
    /// Of all files on one node; 0 is no limit.
    pub files_total_mb: u64,
    /// How long an upload stays that no message holds.
    pub files_unsent_s: u64,
    /// 0 is no limit.
    pub messages_per_second: u32,
    /// 0 is no limit.
    pub logins_per_minute: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSettings {
    /// With less room than this on the file system of `data_dir` the disk is nearly full; 0 is never.
    pub reserve_mb: u64,
}

/// What is posted to other programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// Also to addresses that are not public.
    pub allow_private: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The secret that the nodes of a cluster share; no log or error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Settings {
    /// Reads the settings of a node: `default.toml` beside the file, the file, the environment.
    ///
    /// # Errors
    /// The first mistake found, when anything at all is wrong; nothing else was touched then.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        Self::load_with(file, std::env::vars_os())
    }

    /// As [`Settings::load`], with the environment given.
    ///
    /// # Errors
    /// As there.
    pub fn load_with(
        file: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let layers = Layers::read(file, environment)?;
        let merged = layers.merged()?;
        check::check(&layers, merged)
    }

    /// Where a key was said, for an error about it: `node1.toml: http.bind`.
    pub fn said(&self, key: &str) -> String {
        self.origins.of(key)
    }

    /// Whether nobody outside this machine can reach any node that these settings name.
    pub fn is_loopback_only(&self) -> bool {
        let members = self.cluster.members.iter().flat_map(|member| [&member.peer, &member.public]);
        self.http.bind.is_loopback()
            && self.peer.bind.is_loopback()
            && [&self.http.public_url, &self.peer.url]
                .into_iter()
                .chain(members)
                .chain(&self.cluster.join)
                .all(HttpUrl::is_loopback)
    }
}

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
