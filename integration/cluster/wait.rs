//! Waiting: look again and again, up to a deadline.

use std::time::{Duration, Instant};

/// Long enough for anything that ought to happen at all, on a machine with other work to do.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// For what takes the nodes themselves ten seconds without a disturbance, or is tried again and again.
pub const LONG_PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Looks until there is something to see; `None` when the time is up.
pub async fn poll<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = look().await;
        if seen.is_some() || Instant::now() >= deadline {
            return seen;
        }
        actix::clock::sleep(LOOK_PERIOD).await;
    }
}

/// As [`poll`], and a story that does not get to see it fails.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match poll(PATIENCE, look).await {
        Some(seen) => seen,
        None => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}
