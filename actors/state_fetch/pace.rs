//! How fast state travels, so that the log keeps its share of the way between two nodes.
//!
//! Who fetches waits between two pages; and who sends waits before one, so that several that lag at once do not take
//! several times as much of what a source has.

use std::time::Duration;

/// Bytes a second that a transfer takes, and that all take together of one source.
const BYTES_PER_SECOND_MAX: u64 = 32 << 20;

/// How long to wait before the next page is asked for, when one of so many bytes took so long.
pub fn pause_after(bytes: usize, took: Duration) -> Duration {
    time_of(bytes).saturating_sub(took)
}

/// The pages that a source sends, to whomever.
#[derive(Debug, Default)]
pub struct Pace {
    /// When all that was let go has had its time.
    free_at: Duration,
}

impl Pace {
    /// How long a page of so many bytes waits that is ready at `now`, a time since any moment.
    pub fn wait(&mut self, now: Duration, bytes: usize) -> Duration {
        let begins = self.free_at.max(now);
        self.free_at = begins + time_of(bytes);
        begins - now
    }
}

fn time_of(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND_MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn who_fetches_waits_for_what_is_left_of_the_page_s_time() {
        for (bytes, took, pause) in [
            (0, 0, 0),
            (32 * MIB, 0, 1_000),
            (16 * MIB, 0, 500),
            (16 * MIB, 200, 300),
            (16 * MIB, 500, 0),
            (16 * MIB, 9_000, 0),
        ] {
            assert_eq!(pause_after(bytes, ms(took)), ms(pause), "{bytes} bytes in {took} ms");
        }
    }

    #[test]
    fn a_source_sends_all_that_lag_no_more_than_one_of_them() {
        let mut pace = Pace::default();
        // Three ask at once; each page has its time, one after the other.
        assert_eq!([0, 0, 0].map(|now| pace.wait(ms(now), 16 * MIB)), [ms(0), ms(500), ms(1_000)]);
        assert_eq!(pace.wait(ms(1_200), 16 * MIB), ms(300));
        // Who comes when the way is free does not wait, and no time is saved up.
        assert_eq!(pace.wait(ms(9_000), 16 * MIB), ms(0));
        assert_eq!(pace.wait(ms(9_100), 0), ms(400));
        assert_eq!(pace.wait(ms(9_500), MIB), ms(0));
    }
}
