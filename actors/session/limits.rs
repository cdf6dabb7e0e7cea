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

#[cfg(test)]
mod tests {
    use super::*;

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
