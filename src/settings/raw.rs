//! The layers laid over each other, and the built-in defaults. Nothing here is checked against anything else.

use serde::Deserialize;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawSettings {
    pub node: RawNode,
    pub http: RawHttp,
    pub peer: RawPeer,
    pub cluster: RawCluster,
    pub raft: RawRaft,
    pub accounts: RawAccounts,
    pub limits: RawLimits,
    pub disk: RawDisk,
    pub hooks: RawHooks,
    pub log: RawLog,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawNode {
    pub name: Option<String>,
    pub data_dir: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHttp {
    pub bind: String,
    pub public_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPeer {
    pub bind: String,
    pub url: Option<String>,
    pub secret: String,
    pub secret_file: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawCluster {
    pub members: Vec<RawMember>,
    pub join: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMember {
    pub name: String,
    pub peer: String,
    pub public: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRaft {
    pub tick_ms: u64,
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    pub log_keep_entries: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAccounts {
    pub registration: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    pub message_bytes: usize,
    pub frame_bytes: usize,
    pub file_bytes: u64,
    pub files_total_mb: u64,
    pub files_unsent_s: u64,
    pub messages_per_second: u32,
    pub logins_per_minute: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDisk {
    pub reserve_mb: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHooks {
    pub allow_private: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    pub format: String,
    pub level: String,
}

/// Known to everybody, so it is only good where nobody else can connect.
pub const DEVELOPMENT_SECRET: &str = "development-only";

impl Default for RawHttp {
    fn default() -> Self {
        Self { bind: "127.0.0.1:8101".into(), public_url: None }
    }
}

impl Default for RawPeer {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8201".into(),
            url: None,
            secret: DEVELOPMENT_SECRET.into(),
            secret_file: None,
        }
    }
}

impl Default for RawRaft {
    fn default() -> Self {
        Self { tick_ms: 50, election_ticks: 10, heartbeat_ticks: 2, log_keep_entries: 20_000 }
    }
}

impl Default for RawAccounts {
    fn default() -> Self {
        Self { registration: "open".into() }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            message_bytes: 8192,
            frame_bytes: 65_536,
            file_bytes: 26_214_400,
            files_total_mb: 0,
            files_unsent_s: 86_400,
            messages_per_second: 20,
            logins_per_minute: 10,
        }
    }
}

impl Default for RawDisk {
    fn default() -> Self {
        Self { reserve_mb: 64 }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: "text".into(), level: "info".into() }
    }
}
