//! What the kernel has mounted, and taking it away.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// In the kernel's list a disk is named so, with the number of the process that serves it.
const PREFIX: &str = "chat-disk-";
const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_PERIOD: Duration = Duration::from_millis(2);

/// The name of a disk that this process serves.
pub fn own_name() -> String {
    format!("{PREFIX}{}", std::process::id())
}

/// Takes the disk at a path away, also from who uses it. By a process of its own, which may hang.
pub fn unmount(at: &Path) {
    let is_mounted = || list().iter().any(|(_, path)| Path::new(path) == at);
    if !is_mounted() {
        return;
    }
    let mut command = Command::new("umount");
    command.args(["--lazy", "--internal-only", "--no-canonicalize"]).arg(at);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return eprintln!("umount: {error}"),
    };
    let begun = Instant::now();
    while begun.elapsed() < UNMOUNT_TIMEOUT {
        match child.try_wait() {
            Ok(None) => thread::sleep(LOOK_PERIOD),
            // Somebody who sweeps may have been faster.
            Ok(Some(status)) if status.success() || !is_mounted() => return,
            other => return eprintln!("{} is not unmounted: {other:?}", at.display()),
        }
    }
    eprintln!("{} is not unmounted: umount hangs", at.display());
}

/// Takes away what runs left behind that were killed.
pub fn sweep() {
    for (name, path) in list() {
        let server = name.strip_prefix(PREFIX);
        if server.is_some_and(|server| !Path::new("/proc").join(server).exists()) {
            unmount(Path::new(&path));
        }
    }
}

/// Names and paths of the mounts. None of them is touched for it.
fn list() -> Vec<(String, String)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = |line: &str| {
        let mut fields = line.split(' ').map(str::to_owned);
        fields.next().zip(fields.next())
    };
    mounts.lines().filter_map(fields).collect()
}
