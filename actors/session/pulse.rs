//! When a client is pinged, and when it has been silent for too long. Pure: the clock is the caller's.

use std::time::{Duration, Instant};

/// A client that answered no ping for so long is gone.
pub const PONG_WITHIN: Duration = Duration::from_secs(60);

pub struct Pulse {
    every: Duration,
    /// The last pong.
    heard: Instant,
    next_ping: Instant,
}

/// What is to be done now, and when to look again.
#[derive(Debug, PartialEq, Eq)]
pub enum Beat {
    Ping { again_in: Duration },
    Wait { again_in: Duration },
    Dead,
}

impl Pulse {
    /// `every`: between two pings. `turn` spreads the first ones: sessions that came at the same moment,
    /// after a node died, do not ping at the same moment.
    pub fn new(every: Duration, turn: u64, now: Instant) -> Self {
        let first = every.mul_f64((turn % 16) as f64 / 32.0 + 0.5);
        Self { every, heard: now, next_ping: now + first }
    }

    pub fn pong(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Looked at late, it pings once for all the beats that it missed.
    pub fn beat(&mut self, now: Instant) -> Beat {
        let dead_at = self.heard + PONG_WITHIN;
        if now >= dead_at {
            return Beat::Dead;
        }
        let due = now >= self.next_ping;
        if due {
            self.next_ping = now + self.every;
        }
        let again_in = self.next_ping.min(dead_at).saturating_duration_since(now);
        if due { Beat::Ping { again_in } } else { Beat::Wait { again_in } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(20);

    /// Follows the beats; the seconds at which it pinged, and when it gave up.
    fn life(turn: u64, answers_until: u64) -> (Vec<u64>, Option<u64>) {
        let start = Instant::now();
        let mut pulse = Pulse::new(EVERY, turn, start);
        let (mut now, mut pings) = (start, Vec::new());
        while now < start + Duration::from_secs(300) {
            let second = now.duration_since(start).as_secs();
            let again_in = match pulse.beat(now) {
                Beat::Dead => return (pings, Some(second)),
                Beat::Ping { again_in } => {
                    pings.push(second);
                    if second <= answers_until {
                        pulse.pong(now);
                    }
                    again_in
                }
                Beat::Wait { again_in } => again_in,
            };
            assert!(!again_in.is_zero() && again_in <= EVERY);
            now += again_in;
        }
        (pings, None)
    }

    #[test]
    fn who_never_answers_is_given_up_after_a_minute() {
        assert_eq!(life(0, 0), (vec![10, 30, 50], Some(60)));
        assert_eq!(life(15, 0).1, Some(60));
    }

    #[test]
    fn the_minute_counts_from_the_last_pong() {
        assert_eq!(life(0, 30), (vec![10, 30, 50, 70], Some(90)));
    }

    #[test]
    fn who_answers_stays() {
        let (pings, dead) = life(0, u64::MAX);
        assert_eq!((pings.len(), dead), (15, None));
    }

    #[test]
    fn a_late_look_pings_once() {
        let start = Instant::now();
        let mut pulse = Pulse::new(EVERY, 0, start);
        let late = start + Duration::from_secs(55);
        assert_eq!(pulse.beat(late), Beat::Ping { again_in: Duration::from_secs(5) });
        pulse.pong(late);
        assert_eq!(pulse.beat(late), Beat::Wait { again_in: EVERY });
    }
}
