//! Who may ask how often: a bucket a key, filled at a steady rate. Pure: the clock is the caller's.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Full buckets say nothing: they are swept when so many keys are held.
const SWEEP_AT: usize = 4096;

pub struct Buckets<K> {
    /// Tokens that come back in a second.
    rate: f64,
    burst: f64,
    held: HashMap<K, Bucket>,
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// `rate` tokens a second and `burst` at once; a rate of 0 is no limit.
    pub fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst: burst.max(1.0), held: HashMap::new(), sweep_at: SWEEP_AT }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        self.wait(&key, now)?;
        self.spend(key, now);
        Ok(())
    }

    /// Whether there is a token, without taking it.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn wait(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some(bucket) = self.held.get(key).filter(|_| self.rate > 0.0) else { return Ok(()) };
        let missing = 1.0 - self.tokens(bucket, now);
        if missing <= 0.0 { Ok(()) } else { Err(Duration::from_secs_f64(missing / self.rate)) }
    }

    /// Takes one token, if there is one.
    pub fn spend(&mut self, key: K, now: Instant) {
        if self.rate <= 0.0 {
            return;
        }
        if self.held.len() >= self.sweep_at {
            self.sweep(now);
        }
        let tokens = self.held.get(&key).map_or(self.burst, |bucket| self.tokens(bucket, now));
        self.held.insert(key, Bucket { tokens: (tokens - 1.0).max(0.0), at: now });
    }

    /// How many tokens there are, when there is a limit.
    fn left(&self, key: &K, now: Instant) -> Option<f64> {
        let tokens = || self.held.get(key).map_or(self.burst, |bucket| self.tokens(bucket, now));
        (self.rate > 0.0).then(tokens)
    }

    fn tokens(&self, bucket: &Bucket, now: Instant) -> f64 {
        let back = now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate;
        (bucket.tokens + back).min(self.burst)
    }

    fn sweep(&mut self, now: Instant) {
        let (rate, burst) = (self.rate, self.burst);
        self.held.retain(|_, bucket| {
            bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * rate < burst
        });
        // Keys that are all in use are kept, and looked through again when they are twice as many.
        self.sweep_at = SWEEP_AT.max(self.held.len() * 2);
    }
}

/// Failures that are limited, where it takes a while to know that something failed: what is under way
/// counts as if it failed, and who comes meanwhile waits instead of being refused.
pub struct Attempts<K> {
    failed: Buckets<K>,
    under_way: HashMap<K, u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// To be ended with [`Attempts::end`].
    Begun,
    /// One that is under way must end first.
    Wait,
    /// For so long.
    Refused(Duration),
}

impl<K: Hash + Eq + Copy> Attempts<K> {
    /// As many failures as [`Buckets::new`] has tokens.
    pub fn new(rate: f64, burst: f64) -> Self {
        Self { failed: Buckets::new(rate, burst), under_way: HashMap::new() }
    }

    /// # Errors
    /// How long nobody with this key may begin.
    pub fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.failed.wait(key, now)
    }

    pub fn begin(&mut self, key: K, now: Instant) -> Admission {
        if let Err(wait) = self.check(&key, now) {
            return Admission::Refused(wait);
        }
        let under_way = self.under_way.get(&key).copied().unwrap_or(0);
        if self.failed.left(&key, now).is_some_and(|left| f64::from(under_way) + 1.0 > left) {
            return Admission::Wait;
        }
        self.under_way.insert(key, under_way + 1);
        Admission::Begun
    }

    pub fn end(&mut self, key: K, failed: bool, now: Instant) {
        if failed {
            self.failed.spend(key, now);
        }
        match self.under_way.get_mut(&key) {
            Some(under_way) if *under_way > 1 => *under_way -= 1,
            _ => {
                self.under_way.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_may_fail_as_well() {
        let now = Instant::now();
        let mut attempts = Attempts::new(0.1, 3.0);
        for _ in 0..3 {
            assert_eq!(attempts.begin("ann", now), Admission::Begun);
        }
        assert_eq!(attempts.begin("ann", now), Admission::Wait);
        assert_eq!(attempts.begin("bob", now), Admission::Begun);
        attempts.end("ann", false, now);
        assert_eq!(attempts.begin("ann", now), Admission::Begun);
        for _ in 0..2 {
            attempts.end("ann", true, now);
        }
        assert_eq!(attempts.begin("ann", now), Admission::Wait, "one is left, and under way");
        attempts.end("ann", true, now);
        assert_eq!(attempts.begin("ann", now), Admission::Refused(Duration::from_secs(10)));
        assert_eq!(attempts.begin("ann", now + Duration::from_secs(10)), Admission::Begun);
        attempts.end("ann", false, now);
        attempts.end("bob", false, now);
        assert!(attempts.under_way.is_empty());
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut attempts = Attempts::new(0.0, 0.0);
        assert!((0..1000).all(|_| attempts.begin(1, Instant::now()) == Admission::Begun));
    }

    #[test]
    fn a_burst_and_then_a_steady_rate() {
        let start = Instant::now();
        let mut buckets = Buckets::new(20.0, 200.0);
        for _ in 0..200 {
            assert_eq!(buckets.take("ann", start), Ok(()));
        }
        assert_eq!(buckets.take("ann", start), Err(Duration::from_millis(50)));
        assert_eq!(buckets.take("bob", start), Ok(()));
        let later = start + Duration::from_millis(50);
        assert_eq!(buckets.take("ann", later), Ok(()));
        assert!(buckets.take("ann", later).is_err());
        let much_later = start + Duration::from_secs(3600);
        let taken = (0..300).filter(|_| buckets.take("ann", much_later).is_ok()).count();
        assert_eq!(taken, 200);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut buckets = Buckets::new(0.0, 0.0);
        let now = Instant::now();
        assert!((0..1000).all(|_| buckets.take(1, now).is_ok()));
        assert!(buckets.held.is_empty());
    }

    #[test]
    fn full_buckets_are_swept() {
        let start = Instant::now();
        let mut buckets = Buckets::new(1.0, 2.0);
        for key in 0..SWEEP_AT {
            buckets.spend(key, start);
        }
        buckets.spend(SWEEP_AT, start + Duration::from_secs(10));
        assert_eq!(buckets.held.len(), 1);
    }
}
