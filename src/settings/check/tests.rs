use std::fs;
use std::path::{Path, PathBuf};

use super::super::{BindAddress, HttpUrl, SettingsError};
use super::*;

/// A folder with settings files that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chat-settings-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(file: &Path, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Settings::load_with(file, variables.collect::<Vec<_>>())
}

const GOOD: &str = r#"
[node]
name = "node1"
data_dir = "data/node1"
[http]
bind = "127.0.0.1:8101"
[peer]
bind = "127.0.0.1:8201"
[cluster]
members = [ { name = "node1", peer = "http://127.0.0.1:8201", public = "http://127.0.0.1:8101" } ]
"#;

/// What is wrong with a file's text, without the folder's name.
fn complaint(name: &str, default: Option<&str>, text: &str, variables: &[(&str, &str)]) -> String {
    let folder = Folder::new(name);
    if let Some(default) = default {
        folder.write("default.toml", default);
    }
    let file = folder.write("own.toml", text);
    match load(&file, variables) {
        Ok(_) => "fine".into(),
        Err(error) => error.to_string().replace(&format!("{}/", folder.0.display()), ""),
    }
}

#[test]
fn the_least_that_must_be_said() {
    let folder = Folder::new("least");
    let settings = load(&folder.write("own.toml", GOOD), &[]).unwrap();
    assert_eq!(settings.node.name, "node1");
    assert_eq!(settings.http.bind, BindAddress::parse("127.0.0.1:8101").unwrap());
    assert_eq!(settings.http.public_url.as_str(), "http://127.0.0.1:8101");
    assert_eq!(settings.peer.url.as_str(), "http://127.0.0.1:8201");
    assert_eq!(settings.peer.secret.reveal(), DEVELOPMENT_SECRET);
    assert_eq!(settings.cluster.members.len(), 1);
    assert_eq!(settings.raft.election_ticks, 10);
    assert_eq!(settings.limits.file_bytes, 26_214_400);
    assert_eq!(settings.disk.reserve_mb, 64);
    assert!(!settings.hooks.allow_private);
    assert_eq!(settings.accounts.registration, Registration::Open);
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Text, LogLevel::Info));
    assert!(settings.is_loopback_only());
    assert!(!format!("{settings:?}").contains(DEVELOPMENT_SECRET));
}

#[test]
fn later_layers_win() {
    let folder = Folder::new("later");
    folder.write("default.toml", "[raft]\ntick_ms = 7\nelection_ticks = 30\nheartbeat_ticks = 3\n");
    let file = folder
        .write("own.toml", &format!("\u{feff}{GOOD}\n[raft]\nelection_ticks = 40\nheartbeat_ticks = 4\n"));
    let variables = [
        ("CHAT__RAFT__HEARTBEAT_TICKS", "5"),
        ("CHAT__PEER__SECRET", "12345"),
        ("CHAT__HOOKS__ALLOW_PRIVATE", "true"),
        ("CHATTER", "is not ours"),
    ];
    let settings = load(&file, &variables).unwrap();
    assert_eq!(settings.raft.tick_ms, 7);
    assert_eq!(settings.raft.election_ticks, 40);
    assert_eq!(settings.raft.heartbeat_ticks, 5);
    assert_eq!(settings.peer.secret.reveal(), "12345");
    assert!(settings.hooks.allow_private);
}

#[test]
fn a_node_that_joins() {
    let folder = Folder::new("joins");
    let text = GOOD.replace("[cluster]", "[cluster]\njoin = [\"http://127.0.0.1:8203/\"]\n#");
    let text = text.split("members").next().unwrap();
    let file = folder.write("own.toml", text);
    let join = |settings: Settings| settings.cluster.join;
    assert_eq!(join(load(&file, &[]).unwrap()), [HttpUrl::parse("http://127.0.0.1:8203").unwrap()]);
    let variables = [("CHAT__CLUSTER__JOIN", r#"["http://127.0.0.1:9", "http://127.0.0.1:10"]"#)];
    assert_eq!(join(load(&file, &variables).unwrap()).len(), 2);
}

#[test]
fn mistakes_in_one_file() {
    let in_section = |section: &str, line: &str| {
        let header = format!("[{section}]");
        if GOOD.contains(&header) {
            GOOD.replace(&header, &format!("{header}\n{line}"))
        } else {
            format!("{GOOD}\n{header}\n{line}\n")
        }
    };
    let replaced = |from: &str, to: &str| GOOD.replace(from, to);
    let second =
        r#"}, { name = "node2", peer = "http://127.0.0.1:8202", public = "http://127.0.0.1:8102" } ]"#;
    let with_second = |from: &str, to: &str| replaced("} ]", &second.replace(from, to));
    let table = [
        (
            in_section("raft", "tick = 5"),
            "own.toml: raft.tick: is an unknown key, must be one of tick_ms, election_ticks, heartbeat_ticks, log_keep_entries",
        ),
        (
            in_section("rafts", "tick_ms = 5"),
            "own.toml: rafts: is an unknown key, must be one of node, http, peer, cluster, raft, accounts, limits, disk, hooks, log",
        ),
        (in_section("raft", "Tick_ms = 5"), "own.toml: raft.Tick_ms: is an unknown key"),
        (format!("\"raft.tick_ms\" = 5\n{GOOD}"), "own.toml: raft.tick_ms: is an unknown key"),
        (format!("raft = 5\n{GOOD}"), "own.toml: raft: is 5, must be a table"),
        (
            in_section("raft", "tick_ms = 0"),
            "own.toml: raft.tick_ms: is 0, must be a whole number from 1 to 10000",
        ),
        (in_section("raft", "tick_ms = \"50\""), "own.toml: raft.tick_ms: is \"50\", must be a whole number"),
        (in_section("raft", "tick_ms = 50.0"), "own.toml: raft.tick_ms: is 50.0, must be a whole number"),
        (in_section("raft", "tick_ms = true"), "own.toml: raft.tick_ms: is true, must be a whole number"),
        (in_section("raft", "tick_ms = -3"), "own.toml: raft.tick_ms: is -3, must be a whole number"),
        (
            in_section("raft", "log_keep_entries = 99999999999999"),
            "own.toml: raft.log_keep_entries: is 99999999999999, must be",
        ),
        (
            in_section("raft", "tick_ms = 99999999999999999999"),
            "own.toml: raft.tick_ms: is 99999999999999999999, must be a whole number from 1 to 10000",
        ),
        (
            in_section("raft", &format!("tick_ms = -{}", "9".repeat(60))),
            "own.toml: raft.tick_ms: is -1e60, must be a whole number from 1 to 10000",
        ),
        (
            in_section("raft", "tick_ms = 0xffff_ffff_ffff_ffff"),
            "own.toml: raft.tick_ms: is 18446744073709551615, must be",
        ),
        (in_section("raft", "tick_ms = 1e999"), "own.toml: raft.tick_ms: is inf, must be a whole number"),
        (replaced("\"data/node1\"", "1979-05-27"), "own.toml: node.data_dir: holds a date, must be a path"),
        (
            with_second("\"node2\"", "1979-05-27"),
            "own.toml: cluster.members: holds a date, must be a list such as",
        ),
        (format!("raft = 1979-05-27\n{GOOD}"), "own.toml: raft: is a date, must be a table"),
        (in_section("raft", "tick_ms = {}"), "own.toml: raft.tick_ms: is a table, must be a whole number"),
        (
            in_section("raft", "election_ticks = 2"),
            "own.toml: raft.election_ticks: is 2, must be more than raft.heartbeat_ticks (2)",
        ),
        (
            in_section("raft", "heartbeat_ticks = 10"),
            "own.toml: raft.heartbeat_ticks: is 10, must be less than raft.election_ticks (10)",
        ),
        (
            in_section("raft", "election_ticks = 5\nheartbeat_ticks = 5"),
            "own.toml: raft.election_ticks: is 5, must be more than raft.heartbeat_ticks (5)",
        ),
        (in_section("limits", "message_bytes = 0"), "own.toml: limits.message_bytes: is 0, must be"),
        (
            in_section("limits", "frame_bytes = 8191"),
            "own.toml: limits.frame_bytes: is 8191, must be at least limits.message_bytes (8192)",
        ),
        (
            in_section("limits", "message_bytes = 65537"),
            "own.toml: limits.message_bytes: is 65537, must be at most limits.frame_bytes (65536)",
        ),
        (
            in_section("limits", "messages_per_second = -1"),
            "own.toml: limits.messages_per_second: is -1, must be a whole number from 0",
        ),
        (
            in_section("hooks", "allow_private = 1"),
            "own.toml: hooks.allow_private: is 1, must be true or false",
        ),
        (
            in_section("disk", "reserve_mb = -1"),
            "own.toml: disk.reserve_mb: is -1, must be a whole number from 0 to 1000000000",
        ),
        (
            in_section("log", "level = \"loud\""),
            "own.toml: log.level: is \"loud\", must be one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ),
        (in_section("log", "format = 5"), "own.toml: log.format: is 5, must be one of \"text\", \"json\""),
        (
            in_section("accounts", "registration = \"Open\""),
            "own.toml: accounts.registration: is \"Open\", must be one of",
        ),
        (
            replaced("name = \"node1\"\ndata", "data"),
            "own.toml: node.name: is missing, must be 1 to 32 of a-z 0-9 . _ -",
        ),
        (replaced("data_dir = \"data/node1\"", ""), "own.toml: node.data_dir: is missing, must be a path"),
        (replaced("\"data/node1\"", "\"\""), "own.toml: node.data_dir: is \"\", must be a path"),
        (
            replaced("\"node1\"\ndata", "\"Node 1\"\ndata"),
            "own.toml: node.name: is \"Node 1\", must be 1 to 32 of",
        ),
        (
            replaced("\"node1\"\ndata", "\"node9\"\ndata"),
            "own.toml: cluster.members: is node1, must name this node too (node.name is \"node9\")",
        ),
        (
            replaced("bind = \"127.0.0.1:8101\"", "bind = \"127.0.0.1\""),
            "own.toml: http.bind: is \"127.0.0.1\", must be an address and a port",
        ),
        (
            replaced("bind = \"127.0.0.1:8101\"", "bind = \"0.0.0.0:8101\""),
            "own.toml: http.public_url: is missing, must be given when http.bind is a wildcard",
        ),
        (
            replaced("bind = \"127.0.0.1:8201\"", "bind = \"[::]:8201\"\nsecret = \"x\""),
            "own.toml: peer.url: is missing, must be given when peer.bind is a wildcard",
        ),
        (
            replaced("bind = \"127.0.0.1:8101\"", "bind = \"127.0.0.1:8201\""),
            "own.toml: peer.bind: is \"127.0.0.1:8201\", must be another address than http.bind",
        ),
        (
            replaced("bind = \"127.0.0.1:8201\"", "bind = \"127.0.0.1:8299\""),
            "own.toml: cluster.members[0].peer: is \"http://127.0.0.1:8201\", must be this node's peer.url (\"http://127.0.0.1:8299\")",
        ),
        (
            in_section("http", "public_url = \"https://a.example\""),
            "own.toml: cluster.members[0].public: is \"http://127.0.0.1:8101\", must be this node's http.public_url (\"https://a.example\")",
        ),
        (
            in_section("http", "public_url = \"https://a.example/chat\""),
            "own.toml: http.public_url: is \"https://a.example/chat\", must be http:// or https://",
        ),
        (
            in_section("http", "public_url = \"a.example\""),
            "own.toml: http.public_url: is \"a.example\", must be",
        ),
        (
            in_section("http", "public_url = \"http://0.0.0.0:8101\""),
            "own.toml: http.public_url: is \"http://0.0.0.0:8101\", must be",
        ),
        (
            in_section("peer", "url = \"https://a.example\""),
            "own.toml: peer.url: is \"https://a.example\", must be http://",
        ),
        (
            in_section("peer", "secret = \"\""),
            "own.toml: peer.secret: is what is given, must be 1 to 256 printable",
        ),
        (
            in_section("peer", "secret = \"x\"\nsecret_file = \"y\""),
            "own.toml: peer.secret_file: is given beside peer.secret",
        ),
        (
            in_section("peer", "secret_file = \"/no/such/file\""),
            "own.toml: peer.secret_file: is \"/no/such/file\", which cannot be read (No such file or directory",
        ),
        (
            replaced("bind = \"127.0.0.1:8201\"", "bind = \"10.0.0.7:8201\""),
            "own.toml: peer.secret: is \"development-only\", must be a secret of your own",
        ),
        (
            in_section("cluster", "join = [\"http://127.0.0.1:8209\"]"),
            "own.toml: cluster.join: is given beside cluster.members",
        ),
        (
            in_section("cluster", "join = \"http://127.0.0.1:8209\""),
            "own.toml: cluster.join: is \"http://127.0.0.1:8209\", must be a list",
        ),
        (
            replaced("members = [", "members = [] #"),
            "own.toml: cluster.members: is missing, and so is cluster.join",
        ),
        (
            GOOD.split("[cluster]").next().unwrap().into(),
            "own.toml: cluster.members: is missing, and so is cluster.join",
        ),
        (
            with_second("node2", "node1"),
            "own.toml: cluster.members[1].name: is \"node1\", must be unique; cluster.members[0].name is the same",
        ),
        (
            with_second("8202", "8201"),
            "own.toml: cluster.members[1].peer: is \"http://127.0.0.1:8201\", must be unique; cluster.members[0].peer",
        ),
        (
            with_second("8102", "8101"),
            "own.toml: cluster.members[1].public: is \"http://127.0.0.1:8101\", must be unique",
        ),
        (with_second("node2", "No 2"), "own.toml: cluster.members[1].name: is \"No 2\", must be 1 to 32"),
        (
            with_second("public", "site"),
            "own.toml: cluster.members[1].site: is an unknown key, must be name, peer or public",
        ),
        (replaced("public =", "#"), "own.toml: is not TOML: line"),
        (replaced("members = [", "members = [ 5, "), "own.toml: cluster.members[0]: is 5, must be a table"),
        ("[node".into(), "own.toml: is not TOML: line 1, column 6"),
        (in_section("raft", "tick_ms = 5\ntick_ms = 6"), "own.toml: is not TOML: line"),
    ];
    for (number, (text, expected)) in table.iter().enumerate() {
        let said = complaint(&format!("one-{number}"), None, text, &[]);
        assert!(said.starts_with(expected), "expected: {expected}\n    said: {said}\n{text}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn mistakes_in_default_toml_bear_its_name() {
    for (number, (default, expected)) in [
        ("[raft]\ntick_ms = 0", "default.toml: raft.tick_ms: is 0"),
        ("[raft]\ntick = 1", "default.toml: raft.tick: is an unknown key"),
        ("[raft]\nelection_ticks = 3\nheartbeat_ticks = 3", "default.toml: raft.election_ticks: is 3"),
        ("[raft]\nelection_ticks = 2", "default.toml: raft.election_ticks: is 2"),
        ("[limits]\nmessage_bytes = 70000", "default.toml: limits.message_bytes: is 70000"),
        ("[peer]\nsecret = \"a\"\nsecret_file = \"b\"", "default.toml: peer.secret_file: is given beside"),
        ("[cluster]\njoin = [\"http://a:1\"]", "own.toml: cluster.members: is given beside cluster.join"),
        ("x", "default.toml: is not TOML: line 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let said = complaint(&format!("default-{number}"), Some(default), GOOD, &[]);
        assert!(said.starts_with(expected), "expected: {expected}\n    said: {said}");
    }
    // Also when the node's own file says better.
    let own = format!("{GOOD}\n[raft]\ntick_ms = 50\n");
    let said = complaint("default-hidden", Some("[raft]\ntick_ms = 0"), &own, &[]);
    assert!(said.starts_with("default.toml: raft.tick_ms: is 0"), "{said}");
}

#[test]
fn mistakes_in_the_environment_bear_the_variable() {
    for (number, (name, value, expected)) in [
        (
            "CHAT__RAFT__TICK_MS",
            "fast",
            "CHAT__RAFT__TICK_MS: raft.tick_ms: is \"fast\", must be a whole number",
        ),
        ("CHAT__RAFT__TICK_MS", "", "CHAT__RAFT__TICK_MS: raft.tick_ms: is \"\""),
        (
            "CHAT__HOOKS__ALLOW_PRIVATE",
            "yes",
            "CHAT__HOOKS__ALLOW_PRIVATE: hooks.allow_private: is \"yes\", must be true or false",
        ),
        ("CHAT__RAFT__TICKS", "5", "CHAT__RAFT__TICKS: is an unknown variable"),
        ("CHAT__raft__tick_ms", "5", "CHAT__raft__tick_ms: is an unknown variable"),
        ("CHAT__", "5", "CHAT__: is an unknown variable"),
        ("CHAT__RAFT", "5", "CHAT__RAFT: is an unknown variable"),
        (
            "CHAT__CLUSTER__MEMBERS",
            "[]",
            "CHAT__CLUSTER__MEMBERS: cluster.members: cannot be set in the environment",
        ),
        (
            "CHAT__CLUSTER__JOIN",
            "http://a:1",
            "CHAT__CLUSTER__JOIN: cluster.join: is \"http://a:1\", must be a list",
        ),
        (
            "CHAT__CLUSTER__JOIN",
            "[]\nx = 1",
            "CHAT__CLUSTER__JOIN: cluster.join: is \"[]\\nx = 1\", must be a list",
        ),
        ("CHAT__CLUSTER__JOIN", "[\"http://a:1\"]", "CHAT__CLUSTER__JOIN: cluster.join: is given beside"),
        (
            "CHAT__RAFT__HEARTBEAT_TICKS",
            "10",
            "CHAT__RAFT__HEARTBEAT_TICKS: raft.heartbeat_ticks: is 10, must be less",
        ),
        ("CHAT__HTTP__BIND", "127.0.0.1:9", "CHAT__HTTP__BIND: cluster.members[0].public: is"),
        ("CHAT__HTTP__BIND", "0.0.0.0:9", "CHAT__HTTP__BIND: http.public_url: is missing"),
        ("CHAT__NODE__NAME", "other", "CHAT__NODE__NAME: cluster.members: is node1, must name this node too"),
        (
            "CHAT__PEER__SECRET_FILE",
            "/no/such",
            "CHAT__PEER__SECRET_FILE: peer.secret_file: is \"/no/such\", which",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let said = complaint(&format!("environment-{number}"), None, GOOD, &[(name, value)]);
        assert!(said.starts_with(expected), "expected: {expected}\n    said: {said}");
    }
}

#[test]
fn a_secret_in_a_file() {
    let folder = Folder::new("secret");
    let secret = folder.write("secret", "hush hush\n");
    let text = GOOD.replace("[peer]", &format!("[peer]\nsecret_file = {:?}", secret.display().to_string()));
    let file = folder.write("own.toml", &text);
    assert_eq!(load(&file, &[]).unwrap().peer.secret.reveal(), "hush hush");
    // The default repeated in default.toml is no choice; another one is.
    folder.write("default.toml", "[peer]\nsecret = \"development-only\"\n");
    assert_eq!(load(&file, &[]).unwrap().peer.secret.reveal(), "hush hush");
    assert!(
        load(&file, &[("CHAT__PEER__SECRET", "x")]).unwrap_err().to_string().contains("beside peer.secret")
    );
    folder.write("default.toml", "[peer]\nsecret = \"another\"\n");
    assert!(load(&file, &[]).unwrap_err().to_string().contains("beside peer.secret"));
    folder.write("default.toml", "");
    for (content, expected) in [
        (&b"one line\r\n"[..], Ok("one line")),
        (b"two\n\n", Err("is no secret")),
        (b"", Err("is no secret")),
        (b"\n", Err("is no secret")),
        (b"\xff\xfe", Err("cannot be read")),
    ] {
        fs::write(&secret, content).unwrap();
        match (load(&file, &[]), expected) {
            (Ok(settings), Ok(expected)) => assert_eq!(settings.peer.secret.reveal(), expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (other, _) => panic!("{other:?} for {content:?}"),
        }
    }
    // Off loopback, the well-known secret is no better for being in a file.
    fs::write(&secret, "development-only\n").unwrap();
    let open =
        text.replace("bind = \"127.0.0.1:8201\"", "bind = \"0.0.0.0:8201\"\nurl = \"http://127.0.0.1:8201\"");
    let error = load(&folder.write("own.toml", &open), &[]).unwrap_err();
    assert!(error.to_string().contains("peer.secret: is \"development-only\""), "{error}");
}

#[test]
fn files_that_are_not_there_or_not_text() {
    let folder = Folder::new("absent");
    let missing = folder.0.join("none.toml");
    assert!(
        load(&missing, &[])
            .unwrap_err()
            .to_string()
            .ends_with("none.toml: does not exist, must be a settings file in TOML")
    );
    assert!(load(&folder.0, &[]).unwrap_err().to_string().contains("cannot be read"));
    let binary = folder.0.join("binary.toml");
    fs::write(&binary, b"\xff").unwrap();
    assert!(load(&binary, &[]).unwrap_err().to_string().contains("binary.toml: is not UTF-8"));
}

#[test]
fn default_toml_says_the_built_in_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("settings/default.toml")).unwrap();
    let source = config::File::from_str(&text, config::FileFormat::Toml);
    let said: RawSettings =
        config::Config::builder().add_source(source).build().unwrap().try_deserialize().unwrap();
    assert_eq!(said, RawSettings::default());
    for key in keys::KEYS {
        let (_, field) = key.path.split_once('.').unwrap();
        assert!(
            text.contains(&format!("\n{field} = ")) || text.contains(&format!("\n# {field} = ")),
            "{}",
            key.path
        );
    }
}

#[test]
fn who_said_a_key_is_known() {
    let folder = Folder::new("said");
    folder.write("default.toml", "[http]\nbind = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n");
    let file = folder.write("own.toml", GOOD);
    let settings = load(&file, &[("CHAT__NODE__DATA_DIR", "elsewhere")]).unwrap();
    for (key, expected) in [
        ("http.bind", "own.toml: http.bind"),
        ("log.level", "default.toml: log.level"),
        ("node.data_dir", "CHAT__NODE__DATA_DIR: node.data_dir"),
        ("raft.tick_ms", "own.toml: raft.tick_ms"),
    ] {
        let said = settings.said(key).replace(&format!("{}/", folder.0.display()), "");
        assert_eq!(said, expected);
    }
}

#[test]
fn every_shipped_file_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("settings");
    for (folder, count) in [(".", 5), ("three", 3)] {
        for number in 1..=count {
            let settings = load(&root.join(folder).join(format!("node{number}.toml")), &[]).unwrap();
            assert_eq!(settings.node.name, format!("node{number}"));
            assert_eq!(settings.cluster.members.len(), count);
            assert!(settings.is_loopback_only());
        }
    }
    let folder = Folder::new("shipped");
    let secret = folder.write("secret", "a secret of our own\n");
    for number in 1..=3 {
        let file = root.join(format!("several-machines/node{number}.toml"));
        let settings = load(&file, &[("CHAT__PEER__SECRET_FILE", secret.to_str().unwrap())]).unwrap();
        assert!(!settings.is_loopback_only());
    }
}
