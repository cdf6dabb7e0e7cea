//! Files of earlier and later versions, and nodes that are replaced one after the other under load
//! (`ROLLING_CLIENTS=64` makes it a large one). `POWER_SEED=7` cuts the power in the same moments again.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use chat_actors::storage::schema::{self, FORMAT};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, params};
use serde_json::json;

use super::chaos::{begin_to_chat, end_and_check, from_environment, wait_for_progress};
use crate::cluster::chatter::Chatter;
use crate::cluster::program::run;
use crate::cluster::{Cluster, tables};
use crate::disk::Keep;
use crate::disk::cluster::OnDisks;

const CLIENTS_DEFAULT: u64 = 5;
/// Of a start, until the file has the newest format, and a few more.
const SYNCS: u64 = 11;

/// A `chat.db` of a released format, as the program wrote it then: ann, bob, three rooms, six messages.
struct Fixture {
    format: i64,
    sql: &'static str,
    at: u64,
    epoch: &'static str,
    /// Ann's session in it.
    token: &'static str,
    password_of_bob: &'static str,
    /// When the fifth message of the first room was sent; what was edited and deleted came after that.
    fifth_at: u64,
}

/// One for each format, the present one too. What was released is never changed; a new format brings a new file.
const FIXTURES: [Fixture; 4] = [
    Fixture {
        format: 1,
        sql: include_str!("../fixtures/format1.sql"),
        at: 23,
        epoch: "2360946c74fbb463",
        token: "3109dbda2855b1751ea2c65173d9774c98493b8eff901e91bb581cdad02a8979",
        password_of_bob: "the password of bob",
        fifth_at: 15,
    },
    Fixture {
        format: 2,
        sql: include_str!("../fixtures/format2.sql"),
        at: 34,
        epoch: "5f841ce5f76e9e15",
        token: "af1b7b5c26b1fcbfa532d8a5342ad5929b6abfd87bcd61e04e1cf3db28c917b7",
        password_of_bob: "password-bob",
        fifth_at: 19,
    },
    Fixture {
        format: 3,
        sql: include_str!("../fixtures/format3.sql"),
        at: 48,
        epoch: "d856fb805d0a9031",
        token: "d5ce822a397af12defd8496696f9e0e18284cff3a5608b2cca8a03015ca3d759",
        password_of_bob: "password-bob",
        fifth_at: 19,
    },
    Fixture {
        format: 4,
        sql: include_str!("../fixtures/format4.sql"),
        at: 48,
        epoch: "ee36f2bdcac9a73e",
        token: "6144c32f4fe64544506dbb2f78136aadb63dfea7542342bd734e0d98a797bc93",
        password_of_bob: "password-bob",
        fifth_at: 19,
    },
];

/// A node that has never run, with this file in its place.
fn with_file(sql: &str) -> (Cluster, Connection) {
    let cluster = Cluster::prepare(1, "");
    let file = put(sql, &cluster.nodes[0].data_dir());
    (cluster, file)
}

fn put(sql: &str, data_dir: &Path) -> Connection {
    fs::create_dir(data_dir).unwrap();
    let file = Connection::open(data_dir.join("chat.db")).unwrap();
    file.execute_batch(sql).unwrap();
    file
}

async fn checked(cluster: &Cluster) -> String {
    let settings = cluster.nodes[0].settings_file();
    let run = run(cluster.folder.path(), &["check", settings.to_str().unwrap()], &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.trim_end().to_owned()
}

fn digest(said: &str) -> &str {
    said.rsplit(' ').next().unwrap()
}

fn format_of(data_dir: &Path) -> i64 {
    tables::open(data_dir).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// The format that the present program writes.
fn newest() -> i64 {
    i64::from(FORMAT)
}

#[actix::test]
async fn a_file_of_every_format_goes_on() {
    for old in &FIXTURES {
        let (mut cluster, file) = with_file(old.sql);
        drop(file);
        let before = checked(&cluster).await;
        let (format, at) = (format!("format {},", old.format), format!("at {},", old.at));
        assert!(before.contains(&format) && before.contains(&at), "{before}");
        assert_eq!(format_of(&cluster.nodes[0].data_dir()), old.format, "looking changes nothing");

        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
        assert_eq!(format_of(&cluster.nodes[0].data_dir()), newest());
        let mut ann = cluster.client(0).await;
        let cursor = json!({"cursor": old.fifth_at - 1, "epoch": old.epoch});
        let welcome = ann.hello(old.token, cursor).await;
        let told = (&welcome["resumed"], &welcome["user"]["role"]);
        assert_eq!(told, (&json!(true), &json!("admin")), "{welcome}");
        assert_eq!(ann.event(json!({"ev": "message", "seq": 2})).await["text"], "message 2, edited");
        // What makes repeats repeats was kept as well.
        let again = ann.ask_as("send-5", "send", json!({"room": 1, "text": "message 5"})).await;
        let first = (&again["seq"], &again["at"], &again["duplicate"]);
        assert_eq!(first, (&json!(5), &json!(old.fifth_at), &json!(true)));
        ann.refused("create_room", json!({"name": "general", "kind": "public"}), "conflict").await;
        let mut bob = cluster.client(0).await;
        bob.login_with("bob", old.password_of_bob).await;
        cluster.nodes[0].terminate().await;
        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
        let mut bob = cluster.client(0).await;
        bob.login_with("bob", old.password_of_bob).await;
        assert_eq!(bob.send(1, "a later version").await, 6);
        cluster.nodes[0].terminate().await;
        let after = checked(&cluster).await;
        assert!(after.contains(&format!("format {},", newest())), "{after}");
    }
}

/// The log of a format, applied anew from its first entry, gives the rows that it gave then.
#[actix::test]
async fn a_log_of_every_format_still_means_the_same() {
    for old in &FIXTURES {
        let (mut cluster, file) = with_file(old.sql);
        let before = checked(&cluster).await;
        for table in schema::replicated(&file).unwrap().iter().filter(|table| *table != "nodes") {
            file.execute(&format!("DELETE FROM {table}"), []).unwrap();
        }
        file.execute("DELETE FROM nodes WHERE at > 1", []).unwrap();
        file.execute("UPDATE raft_state SET applied_index = 1, applied_at = 1", []).unwrap();
        if old.format > 1 {
            file.execute("UPDATE raft_state SET rows_sum = NULL", []).unwrap();
        }
        drop(file);
        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
        cluster.nodes[0].terminate().await;
        assert_eq!(digest(&checked(&cluster).await), digest(&before), "format {}", old.format);
        let found = tables::open(&cluster.nodes[0].data_dir());
        let nodes: i64 = found.query_row("SELECT max(at) FROM nodes", [], |row| row.get(0)).unwrap();
        assert_eq!(nodes, if old.format > 1 { i64::try_from(old.at).unwrap() } else { 1 });
    }
}

/// In that sync of its start, the power of a node fails that holds a file of an earlier format. The disk then has what was
/// synced before and some of the rest: always a whole chat of one format or another, which goes on.
async fn is_migrated_in_spite_of_a_power_cut(old: &Fixture, sync: u64, keep: Keep) -> Option<()> {
    let mut cluster = OnDisks::give(Cluster::prepare(1, ""), "");
    let data_dir = cluster.nodes[0].data_dir();
    drop(put(old.sql, &data_dir));
    for synced in [&data_dir.join("chat.db"), &data_dir, cluster.disks.first()?.path()] {
        File::open(synced).unwrap().sync_all().unwrap();
    }
    let before = checked(&cluster).await;
    let dark_at = cluster.disks[0].fsyncs() + sync;
    cluster.disks[0].go_dark_in_sync(sync);
    cluster.nodes[0].start();
    let is_dark = async || (cluster.disks[0].fsyncs() >= dark_at).then_some(());
    cluster.wait_for("the power to fail", is_dark).await;
    cluster.power_cut_of(0, keep);
    let left = checked(&cluster).await;
    let case = format!("format {}, sync {sync}, {keep:?}, then {left}", old.format);
    assert_eq!(digest(&left), digest(&before), "{case}");

    cluster.nodes[0].start();
    cluster.wait_until_ready().await;
    cluster.nodes[0].terminate().await;
    let after = checked(&cluster).await;
    assert!(after.contains(&format!("format {},", newest())), "{case}, then {after}");
    assert_eq!(digest(&after), digest(&before), "{case}");
    Some(())
}

#[actix::test]
async fn a_migration_goes_on_after_a_power_cut() {
    let seed = from_environment("POWER_SEED", rand::random_range(0..1_000_000));
    eprintln!("the power cuts of POWER_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    for old in FIXTURES.iter().filter(|old| old.format < newest()) {
        for keep in [Keep::Nothing, Keep::Some { seed }] {
            let sync = dice.random_range(1..=SYNCS);
            if is_migrated_in_spite_of_a_power_cut(old, sync, keep).await.is_none() {
                return;
            }
        }
    }
}

/// Every format has a file here, the present one too: what changes it from now on needs a new one.
#[test]
fn every_format_is_kept() {
    let kept: Vec<i64> = FIXTURES.iter().map(|old| old.format).collect();
    assert_eq!(kept, (1..=newest()).collect::<Vec<_>>());
    for old in &FIXTURES {
        assert!(old.sql.contains(&format!("PRAGMA user_version = {};", old.format)));
    }
}

#[actix::test]
async fn what_a_newer_program_wrote_is_refused_in_a_sentence() {
    for (sql, words) in [
        ("PRAGMA user_version = 99", "has format 99"),
        ("UPDATE raft_state SET level = 99", "holds changes of level 99"),
    ] {
        let (mut cluster, file) = with_file(FIXTURES[0].sql);
        drop(file);
        cluster.nodes[0].start();
        cluster.wait_until_ready().await;
        cluster.nodes[0].terminate().await;
        let file = Connection::open(cluster.nodes[0].data_dir().join("chat.db")).unwrap();
        file.execute_batch(sql).unwrap();
        drop(file);
        cluster.nodes[0].start();
        assert_eq!(cluster.nodes[0].ended().await.code, Some(1));
        let log = cluster.nodes[0].log();
        let last = log.lines().last().unwrap();
        assert!(last.contains(words) && last.contains("run a newer replicated-chat"), "{last}");
    }
}

/// An entry of the log that this program cannot read: of a later level, or just not a command.
#[actix::test]
async fn what_cannot_be_read_is_never_skipped() {
    let later = [0x93_u8, 9, 1, 0x90];
    let unknown = [0x93_u8, 1, 1, 0x91, 0x92, 0x93, 1, 1, 1, 0xc4, 1, 0xc1];
    for (data, words) in [(&later[..], "format level 9"), (&unknown, "cannot decode")] {
        let (mut cluster, file) = with_file(FIXTURES[0].sql);
        let last: i64 = file.query_row("SELECT max(log_index) FROM raft_log", [], |row| row.get(0)).unwrap();
        let insert = "INSERT INTO raft_log (log_index, term, kind, data) VALUES (?1, 2, 0, ?2)";
        file.execute(insert, params![last + 1, data]).unwrap();
        file.execute("UPDATE raft_state SET commit_index = ?1", [last + 1]).unwrap();
        drop(file);
        for _ in 0..2 {
            cluster.nodes[0].start();
            assert_eq!(cluster.nodes[0].ended().await.code, Some(1), "{}", cluster.nodes[0].log_tail());
        }
        let log = cluster.nodes[0].log();
        let last = log.lines().last().unwrap();
        assert!(last.contains(words) && last.contains("it is not skipped"), "{last}");
        let applied: i64 = tables::open(&cluster.nodes[0].data_dir())
            .query_row("SELECT applied_at FROM raft_state", [], |row| row.get(0))
            .unwrap();
        assert_eq!(applied, 23);
    }
}

/// One node after the other, as `docs/operations.md` says: nobody's message is refused or lost.
#[actix::test]
async fn five_nodes_are_replaced_one_after_the_other() {
    let mut cluster = Cluster::start_with(5, "[limits]\nmessages_per_second = 0").await;
    let people = from_environment("ROLLING_CLIENTS", CLIENTS_DEFAULT);
    let chatters = begin_to_chat(&mut cluster, people, Duration::from_millis(5)).await;
    wait_for_progress(&cluster, &chatters).await;
    chatters.iter().for_each(Chatter::forget_gap);
    for place in 0..5 {
        let ended = cluster.nodes[place].terminate().await;
        assert_eq!(ended.code, Some(0), "{}", cluster.nodes[place].log_tail());
        wait_for_progress(&cluster, &chatters).await;
        cluster.nodes[place].start();
        cluster.wait_until_ready().await;
        wait_for_progress(&cluster, &chatters).await;
    }
    let records = end_and_check(&mut cluster, chatters).await;
    for record in &records {
        assert_eq!((record.refusals, record.refused_for_good.len()), (0, 0));
    }
    let acked: usize = records.iter().map(|record| record.acked.len()).sum();
    let longest = records.iter().map(|record| record.longest_gap).max().unwrap_or_default();
    eprintln!(
        "five nodes replaced under {people} clients: {acked} messages, none refused or lost; the longest pause of one client {longest:?}"
    );
}
