//! Every key there is, and the rule that its value alone must keep.

use std::collections::HashMap;

use config::{Value, ValueKind};

use super::address::{BindAddress, HttpUrl};

/// One key of the settings.
#[derive(Debug)]
pub struct Key {
    pub path: &'static str,
    pub rule: Rule,
}

/// What a value must be, judged without looking at any other.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Of a node: 1 to 32 of a–z 0–9 . _ -
    Name,
    /// A file or folder.
    Path,
    /// An address to listen on.
    Bind,
    /// How browsers reach a node.
    PublicUrl,
    /// How the other nodes reach a node.
    PeerUrl,
    /// Shown to nobody.
    Secret,
    /// A whole number, both ends included.
    Number(i64, i64),
    /// True or false.
    Switch,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// The cluster's nodes.
    Members,
    /// Peer URLs, none of them twice.
    PeerUrls,
}

/// Something wrong with a value: which key (perhaps one inside a list), and why.
#[derive(Debug, PartialEq)]
pub struct Complaint {
    pub key: String,
    pub says: String,
}

pub const LOG_LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

pub static KEYS: &[Key] = &[
    Key { path: "node.name", rule: Rule::Name },
    Key { path: "node.data_dir", rule: Rule::Path },
    Key { path: "http.bind", rule: Rule::Bind },
    Key { path: "http.public_url", rule: Rule::PublicUrl },
    Key { path: "peer.bind", rule: Rule::Bind },
    Key { path: "peer.url", rule: Rule::PeerUrl },
    Key { path: "peer.secret", rule: Rule::Secret },
    Key { path: "peer.secret_file", rule: Rule::Path },
    Key { path: "cluster.members", rule: Rule::Members },
    Key { path: "cluster.join", rule: Rule::PeerUrls },
    // Slower than ten seconds a tick, a dead leader would be missed for minutes.
    Key { path: "raft.tick_ms", rule: Rule::Number(1, 10_000) },
    Key { path: "raft.election_ticks", rule: Rule::Number(2, 1000) },
    Key { path: "raft.heartbeat_ticks", rule: Rule::Number(1, 999) },
    Key { path: "raft.log_keep_entries", rule: Rule::Number(1, 10_000_000) },
    Key { path: "accounts.registration", rule: Rule::Word(&["open", "closed"]) },
    // A message travels whole through the log, so it must stay far below what one entry may be.
    Key { path: "limits.message_bytes", rule: Rule::Number(1, 1 << 20) },
    Key { path: "limits.frame_bytes", rule: Rule::Number(1, 16 << 20) },
    Key { path: "limits.file_bytes", rule: Rule::Number(0, 10 << 30) },
    Key { path: "limits.files_total_mb", rule: Rule::Number(0, 1_000_000_000) },
    // Less would not last from an upload to its message.
    Key { path: "limits.files_unsent_s", rule: Rule::Number(10, 31_536_000) },
    Key { path: "limits.messages_per_second", rule: Rule::Number(0, 1_000_000) },
    Key { path: "limits.logins_per_minute", rule: Rule::Number(0, 1_000_000) },
    Key { path: "disk.reserve_mb", rule: Rule::Number(0, 1_000_000_000) },
    Key { path: "hooks.allow_private", rule: Rule::Switch },
    Key { path: "log.format", rule: Rule::Word(&["text", "json"]) },
    Key { path: "log.level", rule: Rule::Word(LOG_LEVELS) },
];

/// The key at a path, such as `http.bind`.
pub fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether a name is good for a node.
pub fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// Whether a secret can be sent in a header as it is.
pub fn is_secret(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

impl Rule {
    /// What a value should be, in words that follow *must be*.
    pub fn wanted(self) -> String {
        match self {
            Self::Name => "1 to 32 of a-z 0-9 . _ -".into(),
            Self::Path => "a path".into(),
            Self::Bind => "an address and a port to listen on, such as \"127.0.0.1:8101\"".into(),
            Self::PublicUrl => {
                "http:// or https://, a host and perhaps a port, and no path, such as \"http://127.0.0.1:8101\"".into()
            }
            Self::PeerUrl => {
                "http://, a host and perhaps a port, and no path, such as \"http://127.0.0.1:8201\"".into()
            }
            Self::Secret => "1 to 256 printable ASCII characters with no space at either end".into(),
            Self::Number(low, high) => format!("a whole number from {low} to {high}"),
            Self::Switch => "true or false".into(),
            Self::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Members => {
                "a list such as [ { name = \"node1\", peer = \"http://127.0.0.1:8201\", public = \"http://127.0.0.1:8101\" } ]"
                    .into()
            }
            Self::PeerUrls => "a list of peer URLs such as [\"http://127.0.0.1:8201\"]".into(),
        }
    }

    /// Judges the value of the key at `path`.
    pub fn check(self, path: &str, value: &Value) -> Result<(), Complaint> {
        match (self, &value.kind) {
            (Self::Members, ValueKind::Array(members)) => check_members(path, members),
            (Self::PeerUrls, ValueKind::Array(urls)) => check_urls(path, urls),
            (Self::Number(low, high), ValueKind::I64(number)) if (low..=high).contains(number) => Ok(()),
            (Self::Switch, ValueKind::Boolean(_)) => Ok(()),
            (rule, ValueKind::String(text)) if rule.accepts(text) => Ok(()),
            _ => Err(self.complaint(path, value)),
        }
    }

    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Name => is_name(text),
            Self::Path => !text.trim().is_empty() && !text.contains('\0'),
            Self::Bind => BindAddress::parse(text).is_some(),
            Self::PublicUrl => HttpUrl::parse(text).is_some_and(|url| !url.is_wildcard()),
            Self::PeerUrl => HttpUrl::parse(text).is_some_and(|url| !url.is_wildcard() && !url.is_secure()),
            Self::Secret => is_secret(text),
            Self::Word(words) => words.contains(&text),
            Self::Number(..) | Self::Switch | Self::Members | Self::PeerUrls => false,
        }
    }

    fn complaint(self, path: &str, value: &Value) -> Complaint {
        let is = match self {
            Self::Secret => "what is given".to_string(),
            _ => shown(value),
        };
        Complaint { key: path.into(), says: format!("is {is}, must be {}", self.wanted()) }
    }
}

/// A value in a few words, on one line.
pub fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "nothing".into(),
        ValueKind::Boolean(value) => value.to_string(),
        ValueKind::I64(value) => value.to_string(),
        ValueKind::I128(value) => value.to_string(),
        ValueKind::U64(value) => value.to_string(),
        ValueKind::U128(value) => value.to_string(),
        ValueKind::Float(value) => format!("{value:?}"),
        ValueKind::String(text) if text.chars().count() > 80 => {
            format!("{:?}…", text.chars().take(80).collect::<String>())
        }
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "a table".into(),
        ValueKind::Array(_) => "a list".into(),
    }
}

const MEMBER_FIELDS: [(&str, Rule); 3] =
    [("name", Rule::Name), ("peer", Rule::PeerUrl), ("public", Rule::PublicUrl)];

fn check_members(path: &str, members: &[Value]) -> Result<(), Complaint> {
    let mut seen = HashMap::new();
    for (number, member) in members.iter().enumerate() {
        let path = format!("{path}[{number}]");
        let ValueKind::Table(fields) = &member.kind else {
            let says = format!("is {}, must be a table with name, peer and public", shown(member));
            return Err(Complaint { key: path, says });
        };
        let mut names: Vec<&String> = fields.keys().collect();
        names.sort();
        for name in names {
            if !MEMBER_FIELDS.iter().any(|(known, _)| known == name) {
                let says = "is an unknown key, must be name, peer or public".into();
                return Err(Complaint { key: format!("{path}.{name}"), says });
            }
        }
        for (name, rule) in MEMBER_FIELDS {
            let path = format!("{path}.{name}");
            let Some(value) = fields.get(name) else {
                return Err(Complaint { key: path, says: format!("is missing, must be {}", rule.wanted()) });
            };
            rule.check(&path, value)?;
            let text = value.to_string();
            // Names are one space, addresses another: `peer` and `public` are different listeners.
            let identity = HttpUrl::parse(&text).map_or_else(|| text.clone(), |url| url.to_string());
            if let Some(earlier) = seen.insert(identity, path.clone()) {
                let says = format!("is {text:?}, must be unique; {earlier} is the same");
                return Err(Complaint { key: path, says });
            }
        }
    }
    Ok(())
}

fn check_urls(path: &str, urls: &[Value]) -> Result<(), Complaint> {
    let mut seen = HashMap::new();
    for (number, url) in urls.iter().enumerate() {
        let path = format!("{path}[{number}]");
        Rule::PeerUrl.check(&path, url)?;
        let identity = HttpUrl::parse(&url.to_string()).map(|url| url.to_string());
        if let Some(earlier) = seen.insert(identity, path.clone()) {
            let says = format!("is {}, must be unique; {earlier} is the same", shown(url));
            return Err(Complaint { key: path, says });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, good) in [
            ("node1", true),
            ("a.b_c-9", true),
            (&"a".repeat(32), true),
            (&"a".repeat(33), false),
            ("", false),
            ("Node1", false),
            ("nöde", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }

    #[test]
    fn numbers_have_both_ends() {
        let rule = Rule::Number(1, 10);
        for (value, good) in [(0, false), (1, true), (10, true), (11, false), (-1, false)] {
            assert_eq!(rule.check("raft.tick_ms", &Value::from(value)).is_ok(), good, "{value}");
        }
        let complaint = rule.check("raft.tick_ms", &Value::from("fast")).unwrap_err();
        assert_eq!(complaint.says, "is \"fast\", must be a whole number from 1 to 10");
        let complaint = rule.check("raft.tick_ms", &Value::from(2.5)).unwrap_err();
        assert_eq!(complaint.says, "is 2.5, must be a whole number from 1 to 10");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let complaint = Rule::Secret.check("peer.secret", &Value::from("hush\n")).unwrap_err();
        assert!(!complaint.says.contains("hush"));
    }
}
