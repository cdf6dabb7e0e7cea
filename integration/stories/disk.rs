//! What happens when the disk is the trouble. Each story needs disks with faults, and is left out with a line where
//! they cannot be mounted.
//!
//! `POWER_ROUNDS=100` cuts the power so often.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::cluster::folder::Folder;
use crate::disk::{Disk, Keep};

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
