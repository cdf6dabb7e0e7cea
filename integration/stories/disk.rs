//! What happens when the disk is the trouble. Each story needs disks with faults, and is left out with a line where
//! they cannot be mounted.
//!
//! `POWER_ROUNDS=100` cuts the power so often, `POWER_SEED=7` draws the same cuts again.

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::Connection;
use serde_json::json;

use crate::cluster::client::new_id;
use crate::cluster::folder::Folder;
use crate::cluster::node::Node;
use crate::cluster::number;
use crate::cluster::replies::{done, each, refused};
use crate::disk::cluster::OnDisks;
use crate::disk::{Disk, Keep};

use super::chaos::{begin_to_chat, end_and_check, from_environment, wait_for_progress, whole_history};
use super::disk_trouble::{assert_full, wait_until_low};

const NO_LIMIT: &str = "[limits]\nmessages_per_second = 0";
const ROUNDS_DEFAULT: u64 = 4;
/// How long people write between two power cuts, and how long a sync takes then.
const UNDER_LOAD_MS: Range<u64> = 0..500;
const FSYNC_MS: Range<u64> = 0..30;

fn mounted(folder: &Folder) -> Option<Disk> {
    Disk::mount(&folder.path().join("disk"))
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    let folder = Folder::new();
    let Some(disk) = mounted(&folder) else { return };
    let dir = disk.path().to_owned();
    fs::write(dir.join("never synced"), "text").unwrap();
    let mut file = File::create(dir.join("synced")).unwrap();
    file.write_all(b"kept").unwrap();
    file.sync_all().unwrap();
    sync(&dir).unwrap();
    file.write_all(b" and lost").unwrap();
    fs::write(dir.join("no name"), "text").unwrap();
    sync(&dir.join("no name")).unwrap();
    drop(file);
    disk.cut_power(Keep::Nothing);
    assert_eq!(fs::read(dir.join("synced")).unwrap_err().raw_os_error(), Some(5), "without power");
    disk.plug_in();
    assert_eq!(fs::read(dir.join("synced")).unwrap(), b"kept");
    assert_eq!(fs::read(dir.join("never synced")).unwrap(), b"", "its name was synced, its text was not");
    assert!(!dir.join("no name").exists());
}

/// Some of the sectors that were not synced are there, and some are not: by the seed.
#[test]
fn a_power_cut_tears_writes() {
    let folder = Folder::new();
    let Some(disk) = mounted(&folder) else { return };
    let path = disk.path().join("file");
    fs::write(&path, [1; 64 * 512]).unwrap();
    sync(&path).unwrap();
    sync(disk.path()).unwrap();
    let torn = |seed| {
        fs::write(&path, [1; 64 * 512]).unwrap();
        sync(&path).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(&[2; 64 * 512]).unwrap();
        drop(file);
        disk.cut_power(Keep::Some { seed });
        disk.plug_in();
        let sectors = fs::read(&path).unwrap();
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(sectors.chunks(512).all(whole), "a sector is written as a whole");
        sectors.chunks(512).map(|sector| sector[0]).collect::<Vec<_>>()
    };
    let (first, other, again) = (torn(1), torn(2), torn(1));
    assert!(first.contains(&1) && first.contains(&2), "{first:?}");
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn a_disk_fills_up_refuses_lies_is_slow_and_goes_bad() {
    let folder = Folder::new();
    let Some(disk) = mounted(&folder) else { return };
    let path = disk.path().join("file");
    let code = |result: std::io::Result<()>| result.unwrap_err().raw_os_error();

    disk.fill(Some(8192));
    assert_eq!(code(fs::write(&path, [0; 8193])), Some(28));
    disk.fill(None);
    fs::write(&path, [0; 8193]).unwrap();

    disk.fail_writes(true);
    assert_eq!(code(fs::write(&path, "text")), Some(5));
    disk.fail_writes(false);
    fs::write(&path, "text").unwrap();
    sync(&path).unwrap();
    sync(disk.path()).unwrap();

    disk.flip("file", 1);
    assert_eq!(fs::read(&path).unwrap(), b"t\x9axt");
    disk.fail_reads(true);
    assert_eq!(code(fs::read(&path).map(|_| ())), Some(5));
    disk.fail_reads(false);

    let (begun, delay) = (Instant::now(), Duration::from_millis(300));
    disk.delay_fsync(delay);
    sync(&path).unwrap();
    assert!(begun.elapsed() >= delay);
    disk.delay_fsync(Duration::ZERO);

    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b", of which nothing more is synced").unwrap();
    disk.fail_fsync(true);
    assert_eq!(code(file.sync_all()), Some(5));
    disk.fail_fsync(false);
    file.sync_all().unwrap();
    disk.lying_fsync(true);
    file.write_all(b" at all").unwrap();
    let before = disk.fsyncs();
    file.sync_all().unwrap();
    assert_eq!(disk.fsyncs(), before + 1);
    drop(file);
    disk.cut_power(Keep::Nothing);
    disk.plug_in();
    assert_eq!(fs::read(&path).unwrap(), b"t\x9axt");
}

#[test]
fn sqlite_works_on_it_in_wal_mode_and_keeps_what_it_committed() {
    let folder = Folder::new();
    let Some(disk) = mounted(&folder) else { return };
    let open = || {
        let conn = Connection::open(disk.path().join("test.db")).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
        conn
    };
    let count = |conn: &Connection| {
        conn.query_row("SELECT count(*) FROM numbers", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    open().execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY, filler BLOB)").unwrap();
    for seed in 0..10_i64 {
        let (writer, reader) = (open(), open());
        for number in 1..=20 {
            let row = (seed * 20 + number, vec![7; 3000]);
            writer.execute("INSERT INTO numbers VALUES (?1, ?2)", row).unwrap();
        }
        assert_eq!(count(&reader), (seed + 1) * 20);
        disk.cut_power(Keep::Some { seed: seed.unsigned_abs() });
        drop((writer, reader));
        disk.plug_in();
        assert_eq!(count(&open()), (seed + 1) * 20, "after the cut of seed {seed}");
    }
}

#[actix::test]
async fn what_was_acknowledged_is_there_after_the_power_failed_everywhere_at_once() {
    let rounds = from_environment("POWER_ROUNDS", ROUNDS_DEFAULT);
    let seed = from_environment("POWER_SEED", rand::random_range(0..1_000_000));
    eprintln!("power: the cuts of POWER_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    for round in 0..rounds {
        wait_for_progress(&cluster, &chatters).await;
        for disk in &cluster.disks {
            // The slower a disk, the more of what it holds is not synced yet.
            disk.delay_fsync(Duration::from_millis(dice.random_range(FSYNC_MS)));
        }
        actix::clock::sleep(Duration::from_millis(dice.random_range(UNDER_LOAD_MS))).await;
        cluster.power_cut(if round % 2 == 0 { Keep::Nothing } else { Keep::Some { seed: dice.random() } });
        cluster.start_all().await;
    }
    wait_for_progress(&cluster, &chatters).await;
    let records = end_and_check(&mut cluster, chatters).await;
    let acked: usize = records.iter().map(|record| record.acked.len()).sum();
    let unknown: u32 = records.iter().map(|record| record.unknown).sum();
    eprintln!(
        "power: {rounds} cuts of all three nodes, {acked} acknowledged, lost 0, twice 0, {unknown} unknown"
    );
}

/// What the story before this one finds when there is something to find.
#[actix::test]
async fn disks_that_lie_about_syncing_are_found_out_by_a_power_cut() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 3, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    for disk in &cluster.disks {
        disk.lying_fsync(true);
    }
    wait_for_progress(&cluster, &chatters).await;
    cluster.power_cut(Keep::Nothing);
    let acked: Vec<_> = chatters.iter().map(|chatter| chatter.record().acked.clone()).collect();
    cluster.start_all().await;
    let mut lost = 0;
    for (chatter, acked) in chatters.iter().zip(&acked) {
        let mut client = cluster.client(0).await;
        client.hello(&chatter.plan.token, json!({})).await;
        let ids = whole_history(&mut client, chatter.plan.room).await;
        lost += acked.iter().filter(|acked| !ids.contains(&acked.id)).count();
    }
    assert!(lost > 0, "the power cut takes what no disk had synced");
    for chatter in chatters {
        chatter.leave().await;
    }
}

/// A sync of the leader takes twenty seconds.
#[actix::test]
async fn a_leader_whose_disk_is_slow_is_replaced_before_one_sync_is_done() {
    const DELAY: Duration = Duration::from_secs(20);
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let slow = cluster.leader().await;
    for chatter in &chatters {
        chatter.forget_gap();
    }
    let begun = Instant::now();
    cluster.disks[slow].delay_fsync(DELAY);
    let name = cluster.nodes[slow].name.clone();
    let other = &cluster.nodes[(slow + 1) % 3];
    let another = cluster
        .wait_at_most(DELAY, "another leader", async || {
            let status = other.status().await?;
            status["leader"].as_str().filter(|leads| *leads != name).map(str::to_owned)
        })
        .await;
    let took = begun.elapsed().as_secs_f32();
    wait_for_progress(&cluster, &chatters).await;
    let on = begun.elapsed().as_secs_f32();
    eprintln!("slow disk: {another} leads after {took:.2} s, everybody's writes went on after {on:.2} s");
    cluster.disks[slow].delay_fsync(Duration::ZERO);
    wait_for_progress(&cluster, &chatters).await;
    let records = end_and_check(&mut cluster, chatters).await;
    let gap = records.iter().map(|record| record.longest_gap).max().unwrap_or_default();
    eprintln!("slow disk: longest gap between two acknowledgements of one client {:.2} s", gap.as_secs_f32());
}

#[actix::test]
async fn a_node_ends_when_a_sync_fails_and_nothing_is_lost() {
    ends_and_comes_back(Disk::fail_fsync).await;
}

#[actix::test]
async fn a_node_ends_when_a_write_fails_and_nothing_is_lost() {
    ends_and_comes_back(Disk::fail_writes).await;
}

/// First the leader's disk fails and then another's; each is replaced by one that works and holds the same.
async fn ends_and_comes_back(fail: impl Fn(&Disk, bool)) {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    for leads in [true, false] {
        wait_for_progress(&cluster, &chatters).await;
        let place = if leads { cluster.leader().await } else { cluster.follower().await };
        fail(&cluster.disks[place], true);
        let ended = cluster.nodes[place].ended().await;
        assert_eq!(ended.code, Some(1), "{}", cluster.nodes[place].log_tail());
        let log = cluster.nodes[place].log();
        assert!(log.contains("chat.db cannot be trusted any more: disk I/O error"), "{log}");
        wait_for_progress(&cluster, &chatters).await;
        cluster.replug(place, Keep::Nothing);
        cluster.nodes[place].start();
        cluster.wait_until_ready().await;
    }
    end_and_check(&mut cluster, chatters).await;
}

#[actix::test]
async fn a_full_disk_of_one_node_stops_nobody_else() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let place = cluster.follower().await;
    fill_up(&cluster, &[place]).await;
    wait_for_progress(&cluster, &chatters).await;
    cluster.disks[place].fill(None);
    end_and_check(&mut cluster, chatters).await;
}

#[actix::test]
async fn full_disks_everywhere_stop_writes_until_there_is_room() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    fill_up(&cluster, &[0, 1, 2]).await;
    let acked = || chatters.iter().map(|chatter| chatter.record().acked.len()).sum::<usize>();
    let before = acked();
    actix::clock::sleep(Duration::from_secs(1)).await;
    assert!(acked() <= before + chatters.len(), "nothing new is acknowledged without room");
    for place in 0..3 {
        assert!(cluster.nodes[place].is_up(), "{}", cluster.nodes[place].log_tail());
        cluster.disks[place].fill(None);
    }
    wait_for_progress(&cluster, &chatters).await;
    // A node that was cut off in it knows what it has to know.
    for disk in &cluster.disks {
        disk.fill(Some(0));
    }
    cluster.power_cut(Keep::Nothing);
    for disk in &cluster.disks {
        disk.fill(None);
    }
    cluster.start_all().await;
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}

/// Two of three have less room than `disk.reserve_mb`, and later enough again: nobody is started anew.
#[actix::test]
async fn nearly_full_disks_stop_what_takes_room_until_there_is_room() {
    const LEFT: u64 = 16_000_000;
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let mut ann = cluster.register(0, "ann").await;
    let room = ann.create_room("general", "public").await;
    for seq in 1..=3 {
        assert_eq!(ann.send(room, "there before").await, seq);
    }
    let processes = |cluster: &OnDisks| cluster.nodes.iter().map(Node::id).collect::<Vec<_>>();
    let begun = processes(&cluster);
    for place in [1, 2] {
        cluster.disks[place].fill(Some(LEFT));
    }
    wait_until_low(&cluster, 0, 1, true).await;
    wait_until_low(&cluster, 0, 2, true).await;

    let (id, fields) = (new_id(), json!({"room": room, "text": "when there is room"}));
    let error = refused("send", &ann.ask_as(&id, "send", fields.clone()).await, "unavailable");
    assert!(error.to_string().contains("the disk of node2 is nearly full"), "{error}");
    assert_full(&mut ann, "edit", json!({"room": room, "seq": 3, "text": "longer"})).await;
    ann.ok("delete", json!({"room": room, "seqs": [1, 2]})).await;
    let history = ann.ok("history", json!({"room": room})).await;
    assert_eq!(each(&history["messages"], "deleted"), [true, true, false]);

    // One with room is enough.
    cluster.disks[1].fill(None);
    wait_until_low(&cluster, 0, 1, false).await;
    let reply = ann.ask_as(&id, "send", fields).await;
    done("send", &reply);
    assert_eq!(number(&reply, "seq"), 4);
    assert_eq!(ann.send(room, "and so it goes on").await, 5);
    cluster.disks[2].fill(None);
    wait_until_low(&cluster, 0, 2, false).await;
    cluster.wait_until_equal().await;
    assert_eq!(processes(&cluster), begun);
}

/// Its disk takes nothing, not even that it was removed.
#[actix::test]
async fn a_removed_node_ends_though_its_disk_is_full() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 4, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let place = cluster.follower().await;
    let mut ann = cluster.register(place, "ann").await;
    fill_up(&cluster, &[place]).await;
    let (name, by) = (cluster.nodes[place].name.clone(), (place + 1) % 3);
    cluster.until_done(by, &["members", "remove", &name]).await;
    ann.event(json!({"ev": "bye"})).await;
    assert_eq!(ann.closed().await.code, Some(4001));
    let ended = cluster.nodes[place].ended().await;
    assert_eq!(ended.code, Some(0), "{}", cluster.nodes[place].log_tail());
    cluster.disks[place].fill(None);
    cluster.nodes[place].start();
    assert_eq!(cluster.nodes[place].ended().await.code, Some(1), "{}", cluster.nodes[place].log_tail());
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}

/// Leaves no room on these disks, and waits until their nodes say so.
async fn fill_up(cluster: &OnDisks, places: &[usize]) {
    for place in places {
        cluster.disks[*place].fill(Some(0));
    }
    for place in places {
        let node = &cluster.nodes[*place];
        let says = async || node.log().contains("the disk is full").then_some(());
        cluster.wait_for(&format!("{} to find its disk full", node.name), says).await;
    }
}

/// SQLite takes a damaged frame of the WAL for the end of it, so the node has forgotten what it had synced. Either the
/// leader tells it that again, or it finds out that it knows less than it said, and joins anew.
#[actix::test]
async fn a_wal_that_went_bad_at_one_node_costs_nobody_a_message() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let place = cluster.follower().await;
    cluster.nodes[place].kill();
    let wal = fs::metadata(cluster.nodes[place].data_dir().join("chat.db-wal")).unwrap().len();
    cluster.disks[place].flip("data/chat.db-wal", usize::try_from(wal / 2).unwrap());
    cluster.nodes[place].start();
    wait_for_progress(&cluster, &chatters).await;
    cluster.wait_until_ready().await;
    cluster.wait_for_voters((place + 1) % 3, 3).await;
    end_and_check(&mut cluster, chatters).await;
}

/// A disk that failed is not believed when it works again.
#[actix::test]
async fn a_node_whose_disk_failed_once_sets_its_file_aside() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let place = cluster.leader().await;
    cluster.disks[place].fail_next_fsync();
    let ended = cluster.nodes[place].ended().await;
    assert_eq!(ended.code, Some(1), "{}", cluster.nodes[place].log_tail());
    let dir = cluster.nodes[place].data_dir();
    assert!(dir.join("suspect").exists(), "{}", cluster.nodes[place].log_tail());
    wait_for_progress(&cluster, &chatters).await;
    cluster.nodes[place].start();
    let aside = async || (dir.join("set-aside-1").exists() && !dir.join("suspect").exists()).then_some(());
    cluster.wait_for("the file to be set aside", aside).await;
    cluster.wait_until_ready().await;
    cluster.wait_for_voters((place + 1) % 3, 3).await;
    end_and_check(&mut cluster, chatters).await;
}

#[actix::test]
async fn a_node_that_cannot_read_its_disk_does_not_start() {
    let Some(mut cluster) = OnDisks::start(3, NO_LIMIT).await else { return };
    let chatters = begin_to_chat(&mut cluster, 6, Duration::from_millis(2)).await;
    wait_for_progress(&cluster, &chatters).await;
    let place = cluster.follower().await;
    cluster.nodes[place].kill();
    cluster.disks[place].fail_reads(true);
    cluster.nodes[place].start();
    let ended = cluster.nodes[place].ended().await;
    assert_eq!(ended.code, Some(1), "{}", cluster.nodes[place].log_tail());
    let log = cluster.nodes[place].log();
    assert!(log.contains("chat.db is damaged: disk I/O error"), "{log}");
    cluster.disks[place].fail_reads(false);
    wait_for_progress(&cluster, &chatters).await;
    end_and_check(&mut cluster, chatters).await;
}
