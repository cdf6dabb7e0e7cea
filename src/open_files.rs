//! How many files this process may have open: every client is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// More than this nobody needs, and some systems call "unlimited" what they then refuse.
const OPEN_FILES_MAX: u64 = 1 << 20;

/// Raises the limit of open files as far as the system lets us without asking anybody.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(OPEN_FILES_MAX);
        if wanted > soft { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays as it was");
    }
}

/// How many files may be open now, if the system tells.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}
