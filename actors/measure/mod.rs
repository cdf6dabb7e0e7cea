//! What a large room costs. A few messages when all tests are run; measured by hand:
//! `SEARCH_MESSAGES=1000000 cargo test --release -p chat-actors --lib measure_a -- --nocapture`
//!
//! - `search`: finding and reading its messages.
//! - `unread`: writing them, and counting those that somebody has not read.

mod search;
mod unread;

use std::time::{Duration, Instant};

const MESSAGES_DEFAULT: u64 = 3_000;
const ROUNDS: usize = 200;

fn messages() -> u64 {
    let asked = std::env::var("SEARCH_MESSAGES").ok();
    asked.map_or(MESSAGES_DEFAULT, |asked| asked.parse().unwrap())
}

fn times(mut ask: impl FnMut()) -> String {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            ask();
            began.elapsed()
        })
        .collect();
    times.sort();
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    format!(
        "p50 {} ms, p99 {} ms, max {} ms",
        ms(times[ROUNDS / 2]),
        ms(times[ROUNDS * 99 / 100]),
        ms(times[ROUNDS - 1])
    )
}
