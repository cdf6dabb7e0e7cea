//! The process that serves a disk: this test binary, started once more for one test, with a socket for its
//! standard input. On that come orders, a line of JSON each, and each is answered by a line. It ends with
//! the socket, so with whoever ordered it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption};
use serde::{Deserialize, Serialize};

use super::fuse::{Faults, Served, Shared};
use super::image::Keep;
use super::mounts;

/// The name of the test below.
pub const TEST: &str = "disk::server::serves_a_disk_when_it_is_told_where";
/// Names in the environment where to mount.
pub const MOUNTPOINT: &str = "CHAT_TEST_DISK";
/// Two, so that what waits for one request does not hold up the next.
const THREADS: usize = 2;

#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Mount it, for the first time or anew.
    PlugIn,
    Be(Faults),
    Cut(Keep),
    Fill(Option<u64>),
    Flip(String, usize),
    CountFsyncs,
}

/// A number, when one was asked for; or what is wrong.
pub type Answer = Result<u64, String>;

#[test]
fn serves_a_disk_when_it_is_told_where() {
    if let Some(mountpoint) = std::env::var_os(MOUNTPOINT) {
        serve(&PathBuf::from(mountpoint));
    }
}

fn serve(mountpoint: &Path) -> ! {
    // A request that is never answered holds up somebody for ever. When the process ends, it is.
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        say(info);
        process::abort();
    }));
    let orders = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut answers = orders.try_clone().unwrap();
    let shared = Arc::new(Shared::new());
    let mut session = None;
    for line in BufReader::new(orders).lines() {
        let Ok(line) = line else { break };
        let order = serde_json::from_str(&line).unwrap();
        let answer = follow(order, mountpoint, &shared, &mut session);
        let answer = serde_json::to_string(&answer).unwrap();
        if writeln!(answers, "{answer}").is_err() {
            break;
        }
    }
    mounts::unmount(mountpoint);
    process::exit(0);
}

fn follow(
    order: Order,
    mountpoint: &Path,
    shared: &Arc<Shared>,
    session: &mut Option<BackgroundSession>,
) -> Answer {
    match order {
        Order::PlugIn => {
            // Its threads end by themselves.
            drop(session.take());
            *session = Some(mount(mountpoint, Arc::clone(shared))?);
        }
        Order::Be(faults) => shared.lock().faults = faults,
        Order::Cut(keep) => {
            let mut state = shared.lock();
            state.image.power_cut(keep);
            state.cuts += 1;
            state.faults = Faults::default();
        }
        Order::Fill(bytes_left) => shared.lock().fill(bytes_left),
        Order::Flip(file, offset) => {
            shared.lock().image.flip(&file, offset).map_err(|error| format!("{error:?}"))?;
        }
        Order::CountFsyncs => return Ok(shared.lock().fsyncs),
    }
    shared.ring();
    Ok(0)
}

fn mount(at: &Path, shared: Arc<Shared>) -> Result<BackgroundSession, String> {
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName(mounts::own_name()), MountOption::DefaultPermissions, MountOption::NoAtime];
    config.n_threads = Some(THREADS);
    fuser::spawn_mount(Served::new(shared), at, &config).map_err(|why| format!("cannot mount: {why}"))
}
