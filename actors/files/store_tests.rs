//! Uploads, copies, limits and what goes in time, on a disk.

use super::*;
use crate::files::kept::{KeptUploads, locked};
use crate::messages::files::Standing;
use crate::storage::testing::TestDir;

const LIMITS: FileLimits = FileLimits { file_bytes: 1000, total_mb: 0, reserve_mb: 0, unsent_ms: 86_400_000 };
const HOUR_MS: u64 = 3_600_000;

fn open(dir: &TestDir, limits: FileLimits, now_ms: u64) -> (FileStore, KeptUploads) {
    let store = FileStore::open(dir.path(), limits, now_ms).unwrap();
    let kept = KeptUploads::open(&store).unwrap();
    (store, kept)
}

fn upload(store: &mut FileStore, user: &str, bytes: &[u8], now_ms: u64) -> FileId {
    let mut partial = store.begin_upload(user.into(), "dir/a.png", None, &format!("u{now_ms}")).unwrap();
    partial.write_at(0, bytes).unwrap();
    partial.seal().unwrap();
    let uploaded = store.finish(&mut partial, At(7), now_ms).unwrap();
    assert_eq!((uploaded.name.as_str(), uploaded.kind), ("a.png", "image/png"));
    assert_eq!(uploaded.bytes, bytes.len() as u64);
    uploaded.file
}

fn files_in(dir: &TestDir) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&dir.path().join(FOLDER))
}

#[test]
fn an_upload_is_found_by_its_hash_and_its_record_survives() {
    let dir = TestDir::new();
    let (mut store, _) = open(&dir, LIMITS, 1000);
    let file = upload(&mut store, "ann", b"hello", 1000);
    assert_eq!(file.to_string(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    let empty = upload(&mut store, "ann", b"", 1001);
    for _ in 0..2 {
        let held = Held { bytes: Some(5), uploaded: Some(At(7)) };
        assert_eq!(store.hold("ann", file, 1002), held);
        assert_eq!(store.hold("bob", file, 1002).uploaded, None, "a hash is no permission");
        let (mut opened, bytes) = store.open_file(file).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut opened, &mut text).unwrap();
        assert_eq!((text.as_str(), bytes, store.size()), ("hello", 5, (2, 5)));
        assert_eq!(store.open_file(empty).unwrap().1, 0);
        drop(store);
        store = open(&dir, LIMITS, 1003).0;
    }
    assert_eq!(store.hold("ann", FileId([0; 32]), 1), Held::default());
}

#[test]
fn nothing_is_kept_of_what_is_too_large_or_never_finished() {
    let dir = TestDir::new();
    let (store, _) = open(&dir, LIMITS, 0);
    let mut partial = store.begin_upload("ann".into(), "a", None, "one").unwrap();
    partial.write_at(0, &[1; 1000]).unwrap();
    assert!(matches!(partial.write_at(1000, b"x"), Err(NotTaken::TooLarge { max: 1000 })));
    assert!(matches!(partial.write_at(999, b"x"), Err(NotTaken::WrongOffset { at: 1000 })));
    drop(partial);
    let large = store.begin_upload("ann".into(), "a", Some(1001), "two");
    assert!(matches!(large, Err(NotTaken::TooLarge { .. })));
    // As a crash leaves it.
    fs::write(dir.path().join(FOLDER).join(PARTIAL).join("three"), "half").unwrap();
    assert_eq!(files_in(&dir), 1);
    open(&dir, LIMITS, 0);
    assert_eq!(files_in(&dir), 0);
}

#[test]
fn a_copy_is_taken_only_when_it_is_what_it_should_be() {
    let dir = TestDir::new();
    let (mut store, _) = open(&dir, LIMITS, 0);
    let file = upload(&mut store, "ann", b"hello", 0);
    store.discredit(file);
    assert!(store.lacks(file) && store.open_file(file).is_none());
    let begin = |store: &FileStore, drawn: &str| store.begin_copy(file, 5, drawn).unwrap();
    let mut other = begin(&store, "one");
    other.write_at(0, b"hullo").unwrap();
    assert!(matches!(other.seal(), Err(NotTaken::OtherBytes { .. })));
    let mut short = begin(&store, "two");
    short.write_at(0, b"hell").unwrap();
    assert!(matches!(short.seal(), Err(NotTaken::Short(4, 5))));
    drop((other, short));
    let mut good = begin(&store, "three");
    good.write_at(0, b"hello").unwrap();
    good.seal().unwrap();
    store.finish(&mut good, At(0), 0).unwrap();
    assert_eq!(store.hold("", file, 0), Held { bytes: Some(5), uploaded: None });
}

#[test]
fn bytes_that_were_cut_or_taken_away_are_not_here() {
    let dir = TestDir::new();
    let (mut store, _) = open(&dir, LIMITS, 0);
    let (cut, gone) = (upload(&mut store, "ann", b"one", 0), upload(&mut store, "ann", b"two", 1));
    fs::write(store.path_of(cut), "o").unwrap();
    fs::remove_file(store.path_of(gone)).unwrap();
    assert_eq!(store.hold("ann", cut, 0), Held::default());
    assert!(store.open_file(gone).is_none() && store.lacks(gone));
    assert_eq!(store.size(), (0, 0));
}

#[test]
fn limits_of_all_files_and_of_the_disk() {
    let dir = TestDir::new();
    let (mut store, mut kept) = open(&dir, FileLimits { file_bytes: 2_000_000, total_mb: 1, ..LIMITS }, 0);
    upload(&mut store, "ann", &[0; 600_000], 0);
    assert!(store.begin_upload("ann".into(), "a", Some(400_000), "one").is_ok());
    let mut underway = store.begin_upload("ann".into(), "a", None, "two").unwrap();
    underway.write_at(0, &[1; 1000]).unwrap();
    let refused = store.begin_upload("ann".into(), "a", Some(400_000), "three").unwrap_err();
    assert!(refused.to_string().contains("limits.files_total_mb"), "{refused}");
    assert!(kept.begin(&store, ("ann", "a", 400_000), "four", 0).is_err());
    drop(underway);
    assert!(store.begin_copy(FileId([1; 32]), 400_001, "five").is_ok(), "messages hold it already");

    // Any number may begin; what comes of all of them together stays within the limit.
    let begin = |drawn: &str, bytes| store.begin_upload("ann".into(), "a", bytes, drawn).unwrap();
    let mut begun = [begin("b", Some(400_000)), begin("c", Some(400_000)), begin("d", None)];
    begun[0].write_at(0, &[1; 300_000]).unwrap();
    begun[2].write_at(0, &[1; 50_000]).unwrap();
    for (upload, at) in begun.iter_mut().zip([300_000, 0, 50_000]) {
        let refused = upload.write_at(at, &[1; 60_000]).unwrap_err();
        assert!(refused.to_string().contains("limits.files_total_mb"), "{refused}");
        assert_eq!(upload.bytes(), at, "nothing of it stays");
    }
    let [one, mut other, _] = begun;
    drop(one);
    other.write_at(0, &[1; 300_000]).unwrap();
    drop((other, store));

    let (store, _) = open(&dir, FileLimits { reserve_mb: 1_000_000_000, ..LIMITS }, 0);
    // One that began when there was room still.
    let copy = Purpose::Copy { file: FileId([1; 32]) };
    let mut begun = Partial::create(dir.path().join("begun"), copy, 1, false, &store.room).unwrap();
    for refused in [
        store.begin_upload("ann".into(), "a", Some(1), "six").unwrap_err(),
        store.begin_copy(FileId([1; 32]), 1, "seven").unwrap_err(),
        begun.write_at(0, b"x").unwrap_err(),
    ] {
        assert!(refused.to_string().contains("disk.reserve_mb"), "{refused}");
    }
}

#[test]
fn what_nothing_holds_goes_in_time() {
    let dir = TestDir::new();
    let (mut store, _) = open(&dir, LIMITS, 0);
    let file = upload(&mut store, "ann", b"one", 0);
    let other = upload(&mut store, "bob", b"two", 10);
    assert!(store.idle(None, 9, 23 * HOUR_MS).is_empty(), "an upload stays for a day");
    store.expire(23 * HOUR_MS);
    assert!(store.hold("ann", file, 23 * HOUR_MS).uploaded.is_some());
    store.expire(24 * HOUR_MS + 10);
    assert!(store.hold("ann", file, 24 * HOUR_MS + 10).uploaded.is_none());
    assert_eq!(store.idle(None, 9, 24 * HOUR_MS + 10), [other], "somebody asked for the other");
    assert!(!store.discard(file, 24 * HOUR_MS + 10), "nor is it taken from whoever asked meanwhile");

    // That somebody asked for it is on the disk as well.
    let (mut store, _) = open(&dir, LIMITS, 24 * HOUR_MS + 11);
    assert_eq!(store.idle(None, 9, 24 * HOUR_MS + 11), [other]);
    let later = 25 * HOUR_MS;
    let mut both = [file, other];
    both.sort();
    assert_eq!(store.idle(None, 9, later), both);
    assert_eq!(
        (store.idle(None, 1, later), store.idle(Some(both[0]), 9, later)),
        (vec![both[0]], vec![both[1]])
    );
    assert!(store.discard(file, later) && store.discard(other, later));
    assert_eq!((files_in(&dir), store.size()), (0, (0, 0)));
}

#[test]
fn an_upload_goes_on_where_it_was_cut_off() {
    let dir = TestDir::new();
    let (store, mut kept) = open(&dir, LIMITS, 0);
    kept.begin(&store, ("ann", "a.png", 11), "one", 0).unwrap();
    let partial = |kept: &KeptUploads| match kept.begun("ann", "one") {
        Some(Standing::Open(partial)) => partial,
        _ => panic!("it is under way"),
    };
    assert!(kept.begun("bob", "one").is_none() && kept.begun("ann", "two").is_none());
    locked(&partial(&kept)).write_at(0, b"hello").unwrap();
    kept.keep(&store, "one").unwrap();
    locked(&partial(&kept)).write_at(5, b" never synced").unwrap_err();
    locked(&partial(&kept)).write_at(5, b" lost").unwrap();
    drop((store, kept));

    let (mut store, mut kept) = open(&dir, LIMITS, 1);
    assert_eq!(locked(&partial(&kept)).bytes(), 5, "what was not synced may be anything");
    assert!(matches!(locked(&partial(&kept)).write_at(0, b"h"), Err(NotTaken::WrongOffset { at: 5 })));
    assert!(matches!(kept.finish(&mut store, "one", At(7), 2), Err(NotTaken::Over)), "it is not whole");
    locked(&partial(&kept)).write_at(5, b" world").unwrap();
    locked(&partial(&kept)).seal().unwrap();
    let uploaded = kept.finish(&mut store, "one", At(7), 2).unwrap();
    let expected = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!((uploaded.file.to_string().as_str(), uploaded.kind), (expected, "image/png"));
    assert_eq!(store.hold("ann", uploaded.file, 3), Held { bytes: Some(11), uploaded: Some(At(7)) });
    assert_eq!(kept.finish(&mut store, "one", At(9), 4).unwrap(), uploaded, "its answer may have been lost");
    assert!(matches!(kept.begun("ann", "one"), Some(Standing::Done(_))));
}

#[test]
fn uploads_that_are_never_finished_go() {
    let dir = TestDir::new();
    let (store, mut kept) = open(&dir, LIMITS, 0);
    for number in 0..20 {
        kept.begin(&store, ("ann", "a", 9), &format!("a{number}"), number).unwrap();
    }
    kept.begin(&store, ("bob", "a", 9), "b", 30).unwrap();
    assert!(kept.begun("ann", "a3").is_none() && kept.begun("ann", "a4").is_some(), "the oldest make room");
    assert_eq!(files_in(&dir), 2 * 17);
    kept.expire(&store, 24 * HOUR_MS + 19);
    assert!(kept.begun("bob", "b").is_some());
    assert_eq!(files_in(&dir), 2);
    fs::write(store.dir.join(PARTIAL).join("b"), "").unwrap();
    fs::write(store.dir.join(PARTIAL).join("b.json"), "{").unwrap();
    drop((store, kept));
    open(&dir, LIMITS, 0);
    assert_eq!(files_in(&dir), 0);
}
