//! The rules that concern more than one key, and the step from raw to typed values.

use std::fs;
use std::path::Path;

use chat_actors::chat::tables::Registration;
use config::ValueKind;

use super::address::{BindAddress, HttpUrl};
use super::error::SettingsError;
use super::keys;
use super::layers::{Layer, Layers};
use super::raw::{DEVELOPMENT_SECRET, RawCluster, RawHttp, RawPeer, RawSettings};
use super::typed::{
    AccountSettings, ClusterSettings, DiskSettings, HookSettings, HttpSettings, LimitSettings, LogFormat,
    LogLevel, LogSettings, Member, NodeSettings, PeerSettings, RaftSettings, Secret, Settings,
};

/// Makes settings of what the layers say, or tells what is wrong with it.
pub fn check(layers: &Layers, raw: RawSettings) -> Result<Settings, SettingsError> {
    for layer in layers.iter() {
        check_layer(layer)?;
    }
    check_order(
        layers,
        "raft.election_ticks",
        raw.raft.election_ticks,
        "raft.heartbeat_ticks",
        raw.raft.heartbeat_ticks,
        Order::More,
    )?;
    check_order(
        layers,
        "limits.frame_bytes",
        raw.limits.frame_bytes,
        "limits.message_bytes",
        raw.limits.message_bytes,
        Order::AtLeast,
    )?;

    let node = NodeSettings {
        name: required(layers, "node.name", raw.node.name)?,
        data_dir: required(layers, "node.data_dir", raw.node.data_dir)?.into(),
    };
    let secret = secret(layers, &raw.peer)?;
    let http = http(layers, &raw.http)?;
    let peer = peer(layers, &raw.peer, secret)?;
    if http.bind.collides_with(&peer.bind) {
        let complaint =
            format!("is {:?}, must be another address than http.bind (\"{}\")", raw.peer.bind, http.bind);
        let (place, _) = layers.origin(&["peer.bind", "http.bind"]);
        return Err(SettingsError::of_key(place, "peer.bind", complaint));
    }
    let cluster = cluster(layers, &raw.cluster)?;
    check_own_entry(layers, &node, &http, &peer, &cluster)?;
    Ok(Settings {
        node,
        http,
        peer,
        cluster,
        raft: RaftSettings {
            tick_ms: raw.raft.tick_ms,
            election_ticks: raw.raft.election_ticks,
            heartbeat_ticks: raw.raft.heartbeat_ticks,
            log_keep_entries: raw.raft.log_keep_entries,
        },
        accounts: AccountSettings {
            registration: match raw.accounts.registration.as_str() {
                "closed" => Registration::Closed,
                _ => Registration::Open,
            },
        },
        limits: LimitSettings {
            message_bytes: raw.limits.message_bytes,
            frame_bytes: raw.limits.frame_bytes,
            file_bytes: raw.limits.file_bytes,
            files_total_mb: raw.limits.files_total_mb,
            files_unsent_s: raw.limits.files_unsent_s,
            messages_per_second: raw.limits.messages_per_second,
            logins_per_minute: raw.limits.logins_per_minute,
        },
        disk: DiskSettings { reserve_mb: raw.disk.reserve_mb },
        hooks: HookSettings { allow_private: raw.hooks.allow_private },
        log: LogSettings { format: log_format(&raw.log.format), level: log_level(&raw.log.level) },
        origins: layers.origins(),
    })
}

/// What one layer must keep by itself, so that a mistake in `default.toml` does not hide behind a node's own file.
fn check_layer(layer: &Layer) -> Result<(), SettingsError> {
    let number = |path| match layer.get(path).map(|value| &value.kind) {
        Some(ValueKind::I64(number)) => usize::try_from(*number).ok(),
        _ => None,
    };
    for (greater, smaller, order) in [
        ("raft.election_ticks", "raft.heartbeat_ticks", Order::More),
        ("limits.frame_bytes", "limits.message_bytes", Order::AtLeast),
    ] {
        if let (Some(of_greater), Some(of_smaller)) = (number(greater), number(smaller))
            && !order.holds(of_greater, of_smaller)
        {
            let complaint = format!("is {of_greater}, must be {} {smaller} ({of_smaller})", order.words());
            return Err(SettingsError::of_key(layer.place(greater), greater, complaint));
        }
    }
    let has_entries = |path| {
        layer.get(path).is_some_and(|value| matches!(&value.kind, ValueKind::Array(list) if !list.is_empty()))
    };
    if has_entries("cluster.members") && has_entries("cluster.join") {
        return Err(members_beside_join(layer.place("cluster.join"), "cluster.join"));
    }
    if layer.get("peer.secret").is_some() && layer.get("peer.secret_file").is_some() {
        return Err(secret_beside_file(layer.place("peer.secret_file")));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Order {
    More,
    AtLeast,
}

impl Order {
    fn holds(self, greater: usize, smaller: usize) -> bool {
        match self {
            Self::More => greater > smaller,
            Self::AtLeast => greater >= smaller,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::More => "more than",
            Self::AtLeast => "at least",
        }
    }
}

/// Blames whichever of the two was said last, since the other was right before that.
fn check_order(
    layers: &Layers,
    greater: &'static str,
    of_greater: usize,
    smaller: &'static str,
    of_smaller: usize,
    order: Order,
) -> Result<(), SettingsError> {
    if order.holds(of_greater, of_smaller) {
        return Ok(());
    }
    let (place, path) = layers.origin(&[greater, smaller]);
    let complaint = if path == greater {
        format!("is {of_greater}, must be {} {smaller} ({of_smaller})", order.words())
    } else {
        let words = match order {
            Order::More => "less than",
            Order::AtLeast => "at most",
        };
        format!("is {of_smaller}, must be {words} {greater} ({of_greater})")
    };
    Err(SettingsError::of_key(place, path, complaint))
}

fn required(layers: &Layers, path: &'static str, value: Option<String>) -> Result<String, SettingsError> {
    value.ok_or_else(|| {
        let rule = keys::key(path).expect("required keys are in the table").rule;
        let complaint = format!("is missing, must be {}", rule.wanted());
        SettingsError::of_key(layers.settings_file(), path, complaint)
    })
}

fn http(layers: &Layers, raw: &RawHttp) -> Result<HttpSettings, SettingsError> {
    let bind = listener(&raw.bind);
    let public_url = match &raw.public_url {
        Some(url) => url_of(url),
        None => own_url(layers, &bind, "http.bind", "http.public_url")?,
    };
    Ok(HttpSettings { bind, public_url })
}

fn peer(layers: &Layers, raw: &RawPeer, secret: Secret) -> Result<PeerSettings, SettingsError> {
    let bind = listener(&raw.bind);
    let url = match &raw.url {
        Some(url) => url_of(url),
        None => own_url(layers, &bind, "peer.bind", "peer.url")?,
    };
    if secret.reveal() == DEVELOPMENT_SECRET && !bind.is_loopback() {
        let (place, _) = layers.origin(&["peer.bind", "peer.secret", "peer.secret_file"]);
        let complaint = format!(
            "is {DEVELOPMENT_SECRET:?}, must be a secret of your own (peer.secret or peer.secret_file) \
             while peer.bind (\"{bind}\") is not loopback"
        );
        return Err(SettingsError::of_key(place, "peer.secret", complaint));
    }
    Ok(PeerSettings { bind, url, secret })
}

/// The URL that follows from where a node listens.
fn own_url(
    layers: &Layers,
    bind: &BindAddress,
    bind_path: &'static str,
    url_path: &'static str,
) -> Result<HttpUrl, SettingsError> {
    if bind.is_wildcard() {
        let complaint = format!(
            "is missing, must be given when {bind_path} is a wildcard (\"{bind}\"), such as \"http://10.0.0.7:{}\"",
            bind.port()
        );
        return Err(SettingsError::of_key(layers.origin(&[bind_path]).0, url_path, complaint));
    }
    Ok(bind.url())
}

/// The secret, from wherever it was said.
fn secret(layers: &Layers, raw: &RawPeer) -> Result<Secret, SettingsError> {
    let Some(file) = &raw.secret_file else {
        return Ok(Secret::new(raw.secret.clone()));
    };
    // The built-in default repeated in default.toml is nobody's choice, so a file may replace it.
    let was_chosen = layers.iter().any(|layer| {
        layer.get("peer.secret").is_some_and(|value| {
            !(layer.is_default() && value.clone().into_string().is_ok_and(|text| text == DEVELOPMENT_SECRET))
        })
    });
    let (place, path) = layers.origin(&["peer.secret_file"]);
    if was_chosen {
        return Err(secret_beside_file(place));
    }
    let complaint = |what: String| SettingsError::of_key(&place, path, what);
    let text = fs::read_to_string(Path::new(file)).map_err(|error| {
        complaint(format!(
            "is {file:?}, which cannot be read ({error}), must be a file with the cluster's secret"
        ))
    })?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if !keys::is_secret(text) {
        let wanted = keys::Rule::Secret.wanted();
        return Err(complaint(format!("is {file:?}, and what it holds is no secret, must be {wanted}")));
    }
    Ok(Secret::new(text.to_owned()))
}

fn cluster(layers: &Layers, raw: &RawCluster) -> Result<ClusterSettings, SettingsError> {
    let members: Vec<Member> = raw
        .members
        .iter()
        .map(|member| Member {
            name: member.name.clone(),
            peer: url_of(&member.peer),
            public: url_of(&member.public),
        })
        .collect();
    let join: Vec<HttpUrl> = raw.join.iter().map(|url| url_of(url)).collect();
    match (members.is_empty(), join.is_empty()) {
        (false, false) => {
            let (place, path) = layers.origin(&["cluster.join", "cluster.members"]);
            Err(members_beside_join(place, path))
        }
        (true, true) => {
            let wanted = keys::Rule::Members.wanted();
            let complaint =
                format!("is missing, and so is cluster.join; one of them must be given: {wanted}");
            Err(SettingsError::of_key(layers.settings_file(), "cluster.members", complaint))
        }
        _ => Ok(ClusterSettings { members, join }),
    }
}

/// A founder is listed under the very addresses that it gives itself.
fn check_own_entry(
    layers: &Layers,
    node: &NodeSettings,
    http: &HttpSettings,
    peer: &PeerSettings,
    cluster: &ClusterSettings,
) -> Result<(), SettingsError> {
    if cluster.members.is_empty() {
        return Ok(());
    }
    let Some(number) = cluster.members.iter().position(|member| member.name == node.name) else {
        let names: Vec<&str> = cluster.members.iter().map(|member| member.name.as_str()).collect();
        let complaint =
            format!("is {}, must name this node too (node.name is {:?})", names.join(", "), node.name);
        let (place, _) = layers.origin(&["cluster.members", "node.name"]);
        return Err(SettingsError::of_key(place, "cluster.members", complaint));
    };
    let own = &cluster.members[number];
    let pairs: [(&str, &HttpUrl, &str, &HttpUrl, &[&'static str]); 2] = [
        ("peer", &own.peer, "peer.url", &peer.url, &["cluster.members", "peer.url", "peer.bind"]),
        (
            "public",
            &own.public,
            "http.public_url",
            &http.public_url,
            &["cluster.members", "http.public_url", "http.bind"],
        ),
    ];
    for (field, listed, path, own, paths) in pairs {
        if listed != own {
            let complaint = format!("is \"{listed}\", must be this node's {path} (\"{own}\")");
            let key = format!("cluster.members[{number}].{field}");
            return Err(SettingsError::of_key(layers.origin(paths).0, key, complaint));
        }
    }
    Ok(())
}

fn members_beside_join(place: String, path: &str) -> SettingsError {
    let other = if path == "cluster.join" { "cluster.members" } else { "cluster.join" };
    let complaint = format!(
        "is given beside {other}, must be the only one of the two: a node founds a cluster or joins one"
    );
    SettingsError::of_key(place, path, complaint)
}

fn secret_beside_file(place: String) -> SettingsError {
    SettingsError::of_key(
        place,
        "peer.secret_file",
        "is given beside peer.secret, must be the only one of the two",
    )
}

fn listener(text: &str) -> BindAddress {
    BindAddress::parse(text).expect("each layer's addresses were checked when it was read")
}

fn url_of(text: &str) -> HttpUrl {
    HttpUrl::parse(text).expect("each layer's URLs were checked when it was read")
}

fn log_format(text: &str) -> LogFormat {
    match text {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

fn log_level(text: &str) -> LogLevel {
    match text {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

#[cfg(test)]
mod tests;
