//! A disk that does what real ones do on bad days, for one node of a story: a file system in memory,
//! mounted through `/dev/fuse` by a process of its own.
//!
//! - [`image`]: what it holds, what of that was synced, and what a power cut leaves.
//! - [`fuse`]: the kernel's questions, and the faults on the way to the image.
//! - [`server`]: the process that serves it.
//! - [`mounts`]: what the kernel has mounted, and what earlier runs left.
//! - [`cluster`]: nodes on such disks.
//!
//! Whoever waits for a disk cannot be killed, so nobody may wait for himself: the process that serves a
//! disk never looks at the mount. When it ends, everybody's questions to the disk end with an error.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "all of this is test code, which the lints see only where `#[test]` stands"
)]

pub mod cluster;
mod fuse;
mod image;
mod mounts;
mod server;

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fuse::Faults;
pub use image::Keep;
use server::{Answer, Order};

/// For an answer of the process that serves a disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A mounted disk, and the hand on its faults. Dropping it unmounts it.
pub struct Disk {
    mountpoint: PathBuf,
    server: Child,
    line: RefCell<BufReader<UnixStream>>,
    faults: RefCell<Faults>,
}

impl Disk {
    /// A new, empty disk, mounted at a folder that is made. `None`, said on standard output: this machine
    /// does not let us.
    pub fn mount(at: &Path) -> Option<Self> {
        Self::try_mount(at)
            .inspect_err(|why| {
                // Not by a macro that the test's own output is caught from: a story left out is to be seen.
                let _ = writeln!(std::io::stdout(), "skipped, no disks with faults here: {why}");
            })
            .ok()
    }

    fn try_mount(at: &Path) -> Result<Self, String> {
        fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .map_err(|why| format!("/dev/fuse: {why}"))?;
        mounts::sweep();
        fs::create_dir_all(at).map_err(|why| format!("{}: {why}", at.display()))?;
        let (ours, theirs) = UnixStream::pair().map_err(|why| why.to_string())?;
        ours.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(|why| why.to_string())?;
        let server = Command::new(std::env::current_exe().map_err(|why| why.to_string())?)
            .args(["--exact", server::TEST, "--nocapture"])
            .env(server::MOUNTPOINT, at)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| why.to_string())?;
        let line = RefCell::new(BufReader::new(ours));
        let disk = Self { mountpoint: at.to_owned(), server, line, faults: RefCell::default() };
        disk.order(&Order::PlugIn)?;
        Ok(disk)
    }

    pub fn path(&self) -> &Path {
        &self.mountpoint
    }

    /// From this moment on it answers nothing. Several disks go dark as good as at once, and then their
    /// nodes can be killed one by one.
    pub fn go_dark(&self) {
        self.change(|faults| faults.is_dark = true);
    }

    /// It goes dark in that sync from now on, which is not done.
    pub fn go_dark_in_sync(&self, number: u64) {
        self.change(|faults| faults.dark_at_sync = Some(number));
        // The disk counts down by itself; the next order is not to begin anew.
        self.faults.borrow_mut().dark_at_sync = None;
    }

    /// Forgets what was not synced, but for what `keep` says. All faults are over, and so is the mount:
    /// who still uses it gets errors, and may be killed now.
    pub fn cut_power(&self, keep: Keep) {
        *self.faults.borrow_mut() = Faults::default();
        self.must(&Order::Cut(keep));
    }

    /// The power comes back, after [`Disk::cut_power`] and when nobody uses the disk any more.
    pub fn plug_in(&self) {
        mounts::unmount(&self.mountpoint);
        self.must(&Order::PlugIn);
    }

    /// Each sync takes so long.
    pub fn delay_fsync(&self, delay: Duration) {
        self.change(|faults| faults.fsync_delay = delay);
    }

    /// Whether writes fail with EIO.
    pub fn fail_writes(&self, fail: bool) {
        self.change(|faults| faults.fail_writes = fail);
    }

    /// Whether syncs fail with EIO. What they should have synced, no later one does.
    pub fn fail_fsync(&self, fail: bool) {
        self.change(|faults| faults.fsyncs_to_fail = if fail { u64::MAX } else { 0 });
    }

    /// As [`Disk::fail_fsync`], the next one only.
    pub fn fail_next_fsync(&self) {
        self.change(|faults| faults.fsyncs_to_fail = 1);
        // The disk counts down by itself; the next order is not to begin anew.
        self.faults.borrow_mut().fsyncs_to_fail = 0;
    }

    /// Whether reads fail with EIO.
    pub fn fail_reads(&self, fail: bool) {
        self.change(|faults| faults.fail_reads = fail);
    }

    /// A disk that says that it has synced and has not.
    pub fn lying_fsync(&self, is_lying: bool) {
        self.change(|faults| faults.is_lying = is_lying);
    }

    /// Leaves room for so many more bytes; `None`: for as many as a new disk has.
    pub fn fill(&self, bytes_left: Option<u64>) {
        self.must(&Order::Fill(bytes_left));
    }

    /// Inverts one byte of a file.
    pub fn flip(&self, file: &str, offset: usize) {
        self.must(&Order::Flip(file.to_owned(), offset));
    }

    /// Syncs that were asked for so far.
    pub fn fsyncs(&self) -> u64 {
        self.must(&Order::CountFsyncs)
    }

    /// Ends the process that serves it: all that wait for the disk get errors.
    pub fn destroy(&mut self) {
        // An error says that it is dead already.
        let _ = self.server.kill();
        let _ = self.server.wait();
        mounts::unmount(&self.mountpoint);
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.borrow_mut());
        self.must(&Order::Be(self.faults.borrow().clone()));
    }

    fn must(&self, order: &Order) -> u64 {
        self.order(order).unwrap_or_else(|why| panic!("{}: {order:?}: {why}", self.mountpoint.display()))
    }

    fn order(&self, order: &Order) -> Answer {
        let mut line = self.line.borrow_mut();
        let mut text = serde_json::to_string(order).map_err(|why| why.to_string())?;
        text.push('\n');
        line.get_mut().write_all(text.as_bytes()).map_err(|why| why.to_string())?;
        let mut answer = String::new();
        line.read_line(&mut answer).map_err(|why| format!("no answer from who serves it: {why}"))?;
        serde_json::from_str::<Answer>(&answer).map_err(|why| format!("it answered {answer:?}: {why}"))?
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.destroy();
    }
}
