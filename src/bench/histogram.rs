//! Many durations in little room: exact below a quarter of a millisecond, within one percent above.

/// Values below this have a bucket each; every doubling above has half as many.
const EXACT: u64 = 256;
const HALF: usize = 128;
const EXACT_BITS: u32 = EXACT.trailing_zeros();

/// Durations in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    pub fn record(&mut self, us: u64) {
        let bucket = bucket_of(us);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The value that this share of all values does not exceed; 0 if there are none.
    pub fn quantile_us(&self, share: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest_of(bucket).min(self.max_us);
            }
        }
        self.max_us
    }
}

fn bucket_of(us: u64) -> usize {
    if us < EXACT {
        return us as usize;
    }
    let doublings = us.ilog2() - (EXACT_BITS - 1);
    // The leading bit is known, so each doubling needs buckets for the bits after it only.
    let within = (us >> doublings) as usize - HALF;
    EXACT as usize + (doublings as usize - 1) * HALF + within
}

/// The highest value that falls into a bucket.
fn highest_of(bucket: usize) -> u64 {
    if bucket < EXACT as usize {
        return bucket as u64;
    }
    let above = bucket - EXACT as usize;
    let doublings = (above / HALF + 1) as u32;
    let within = (above % HALF + HALF) as u64;
    ((within + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other() {
        let mut last = 0;
        for us in 0..100_000 {
            let bucket = bucket_of(us);
            assert!(bucket == last || bucket == last + 1, "{us}");
            assert!(highest_of(bucket) >= us, "{us}");
            assert!(bucket == 0 || highest_of(bucket - 1) < us, "{us}");
            last = bucket;
        }
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(us);
        }
        assert_eq!((histogram.count(), histogram.max_us()), (100_000, 100_000));
        for (share, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0), (0.001, 100.0)] {
            let found = histogram.quantile_us(share) as f64;
            assert!((found - exact).abs() <= exact / 100.0, "{share}: {found}");
        }
    }

    #[test]
    fn few_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.5), 0);
        histogram.record(3_600_000_000);
        assert_eq!(histogram.quantile_us(0.5), 3_600_000_000);
        histogram.record(7);
        assert_eq!(histogram.quantile_us(0.5), 7);
        assert_eq!(histogram.quantile_us(0.99), 3_600_000_000);
    }
}
