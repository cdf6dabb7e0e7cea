//! The kernel's questions to a disk, and its faults.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use serde::{Deserialize, Serialize};

use super::image::{Answer, Image};

/// Only this kernel changes the disk, so what it knows stays true.
const TRUE_FOR: Duration = Duration::from_secs(60);
const BLOCK: u32 = 4096;
/// What a new disk has room for.
const CAPACITY: u64 = 1 << 30;
/// Nobody waits longer for a disk without power: who waits for it cannot even be killed.
const HOLD_MAX: Duration = Duration::from_secs(20);
/// Between two looks at the time of whoever waits.
const LOOK_PERIOD: Duration = Duration::from_millis(5);
/// Marks an answer that needs no file handle.
const NO_HANDLE: FileHandle = FileHandle(0);

/// What is wrong with a disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Faults {
    /// It has no power: it answers nothing.
    pub is_dark: bool,
    pub fsync_delay: Duration,
    pub fail_reads: bool,
    pub fail_writes: bool,
    /// So many of the next syncs fail.
    pub fsyncs_to_fail: u64,
    /// It says that it has synced and has not.
    pub is_lying: bool,
    /// It goes dark as this sync from now on is asked for.
    pub dark_at_sync: Option<u64>,
}

/// A disk.
pub struct State {
    pub image: Image,
    pub faults: Faults,
    /// How often the power was cut. A mount from before is of no use.
    pub cuts: u64,
    /// Syncs that were asked for.
    pub fsyncs: u64,
    capacity: u64,
    /// User and group of this process.
    owner: (u32, u32),
}

impl State {
    fn new() -> Self {
        let process = std::fs::metadata("/proc/self").unwrap();
        let owner = (process.uid(), process.gid());
        let (image, faults) = (Image::new(), Faults::default());
        Self { image, faults, cuts: 0, fsyncs: 0, capacity: CAPACITY, owner }
    }

    /// Leaves room for so many more bytes; `None`: for as many as a new disk has.
    pub fn fill(&mut self, bytes_left: Option<u64>) {
        self.capacity = bytes_left.map_or(CAPACITY, |left| self.image.used() + left);
    }

    /// Whether the file may become so long.
    fn grow(&self, inode: u64, size: u64) -> Answer<()> {
        let (_, now) = self.image.kind(inode)?;
        if size > now && self.image.used() + (size - now) > self.capacity {
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    fn write(&mut self, inode: u64, offset: u64, data: &[u8]) -> Answer<()> {
        if self.faults.fail_writes {
            return Err(Errno::EIO);
        }
        self.grow(inode, offset + data.len() as u64)?;
        self.image.write(inode, offset, data)
    }

    fn resize(&mut self, inode: u64, size: u64) -> Answer<()> {
        if self.faults.fail_writes {
            return Err(Errno::EIO);
        }
        self.grow(inode, size)?;
        self.image.resize(inode, size)
    }

    fn is_asked_to_sync(&mut self) {
        self.fsyncs += 1;
        if let Some(left) = &mut self.faults.dark_at_sync {
            *left = left.saturating_sub(1);
            self.faults.is_dark |= *left == 0;
        }
    }

    fn sync(&mut self, inode: u64, is_directory: bool) -> Answer<()> {
        let fails = self.faults.fsyncs_to_fail > 0;
        self.faults.fsyncs_to_fail = self.faults.fsyncs_to_fail.saturating_sub(1);
        match (fails, self.faults.is_lying, is_directory) {
            (true, _, true) => Err(Errno::EIO),
            (true, _, false) => self.image.forget_unsynced(inode).and(Err(Errno::EIO)),
            (false, true, _) => Ok(()),
            (false, false, true) => self.image.sync_directory(inode),
            (false, false, false) => self.image.sync_file(inode),
        }
    }

    fn how_to_open(&self, inode: u64) -> FopenFlags {
        // Without a cache every read asks the disk, and finds what became of it.
        if self.image.is_shared(inode) { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::FOPEN_DIRECT_IO }
    }

    fn attributes(&self, inode: u64) -> Answer<FileAttr> {
        let (kind, size) = self.image.kind(inode)?;
        let time = SystemTime::UNIX_EPOCH;
        Ok(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: if kind == FileType::Directory { 0o755 } else { 0o644 },
            nlink: 1,
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }
}

/// A disk, and a bell for whoever waits for it.
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub fn new() -> Self {
        Self { state: Mutex::new(State::new()), changed: Condvar::new() }
    }

    /// The disk itself, whatever is wrong with it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// To be called when something changed that somebody may wait for.
    pub fn ring(&self) {
        self.changed.notify_all();
    }
}

/// A disk, as `fuser` serves it for one mount.
#[derive(Clone)]
pub struct Served {
    shared: Arc<Shared>,
    /// Of the disk when it was mounted.
    cuts: u64,
}

impl Served {
    pub fn new(shared: Arc<Shared>) -> Self {
        let cuts = shared.lock().cuts;
        Self { shared, cuts }
    }

    /// The disk, when it has power. After a power cut it is not this mount's any more.
    fn state(&self) -> Answer<MutexGuard<'_, State>> {
        self.wait(HOLD_MAX, |state, _| !state.faults.is_dark)
    }

    /// Waits until there is reason to go on, or the power was cut, or it takes too long.
    fn wait(
        &self,
        limit: Duration,
        may_go_on: impl Fn(&State, Duration) -> bool,
    ) -> Answer<MutexGuard<'_, State>> {
        let begun = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let waited = begun.elapsed();
            if state.cuts != self.cuts || waited > limit {
                return Err(Errno::EIO);
            }
            if may_go_on(&state, waited) {
                return Ok(state);
            }
            state = self.shared.changed.wait_timeout(state, LOOK_PERIOD).unwrap().0;
        }
    }

    fn make(&self, parent: INodeNo, name: &OsStr, kind: FileType) -> Answer<FileAttr> {
        let mut state = self.state()?;
        let inode = state.image.create(parent.0, name, kind)?;
        state.attributes(inode)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Answer<()> {
        self.state()?.image.remove(parent.0, name)
    }

    fn sync(&self, inode: INodeNo, is_directory: bool, reply: ReplyEmpty) {
        let sync = move |served: &Self| {
            let mut state = served.wait(HOLD_MAX, |state, waited| {
                !state.faults.is_dark && waited >= state.faults.fsync_delay
            })?;
            state.sync(inode.0, is_directory)
        };
        let is_slow = self.state().is_ok_and(|mut state| {
            state.is_asked_to_sync();
            !state.faults.fsync_delay.is_zero()
        });
        if !is_slow {
            return done(reply, sync(self));
        }
        // Others are served meanwhile.
        let served = self.clone();
        thread::spawn(move || done(reply, sync(&served)));
    }
}

fn done(reply: ReplyEmpty, answer: Answer<()>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(reply: ReplyEntry, answer: Answer<FileAttr>) {
    match answer {
        Ok(attributes) => reply.entry(&TRUE_FOR, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attr(reply: ReplyAttr, answer: Answer<FileAttr>) {
    match answer {
        Ok(attributes) => reply.attr(&TRUE_FOR, &attributes),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.state().and_then(|state| state.attributes(state.image.lookup(parent.0, name)?));
        entry(reply, found);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attr(reply, self.state().and_then(|state| state.attributes(ino.0)));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.state().and_then(|mut state| {
            size.map_or(Ok(()), |size| state.resize(ino.0, size))?;
            state.attributes(ino.0)
        });
        attr(reply, set);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        entry(reply, self.make(parent, name, FileType::Directory));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed =
            self.state().and_then(|mut state| state.image.rename((parent.0, name), (newparent.0, newname)));
        done(reply, renamed);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.make(parent, name, FileType::RegularFile);
        let made = made.and_then(|made| Ok((made, self.state()?.how_to_open(made.ino.0))));
        match made {
            Ok((made, flags)) => reply.created(&TRUE_FOR, &made, Generation(0), NO_HANDLE, flags),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.state() {
            Ok(state) => reply.opened(NO_HANDLE, state.how_to_open(ino.0)),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = match self.state() {
            Ok(state) if !state.faults.fail_reads => state,
            _ => return reply.error(Errno::EIO),
        };
        match state.image.read(ino.0, offset, size) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.state().and_then(|mut state| state.write(ino.0, offset, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("a write is short")),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, false, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.sync(ino, true, reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = self.state().and_then(|state| state.image.list(ino.0));
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return reply.error(error),
        };
        let own = [".", ".."].map(|name| (ino.0, FileType::Directory, name.into()));
        for (place, (inode, kind, name)) in (1..).zip(own.into_iter().chain(entries)) {
            if place > offset && reply.add(INodeNo(inode), place, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let state = match self.state() {
            Ok(state) => state,
            Err(error) => return reply.error(error),
        };
        let blocks = state.capacity / u64::from(BLOCK);
        let free = state.capacity.saturating_sub(state.image.used()) / u64::from(BLOCK);
        reply.statfs(blocks, free, free, 1 << 20, 1 << 19, BLOCK, 255, BLOCK);
    }
}
