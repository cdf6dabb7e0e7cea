//! The simulation: a whole cluster on one thread, from one seed.
//!
//! Three or five of the very nodes that the program runs (`raft::node::Node`, `chat::apply`) live on a
//! network that loses, delays, repeats and reorders, on disks that forget what was not synced, under
//! clocks that stall and jump, with clients that repeat what they do not know. Checkers look after each
//! step. Then the faults stop, first for a majority: it must go on; then for all: they must agree.
//!
//! - `SIM_SEEDS=N` and `SIM_FROM=N`: how many seeds [`many_seeds`] plays, from which on.
//! - `SIM_SEED=N`: what [`one_seed`] plays; with `SIM_TRACE=1` it tells what happens.
//!
//! The rooms: [`world`] (what happens, in order), [`driving`] (nodes and their disks), [`disk`],
//! [`network`], [`state`] (what is fetched by who lags), [`people`] (clients), [`stream`] and [`sessions`]
//! (their events), [`faults`], [`truth`] (what every node is held against), [`record`] (what clients saw,
//! for the judge), [`knobs`] (what a seed draws), [`bugs`] (planted, to prove the checkers).

#![allow(clippy::print_stdout, reason = "a test tells what it found")]

mod bugs;
mod dice;
mod disk;
mod driving;
mod faults;
mod host;
mod knobs;
mod members;
mod network;
mod people;
mod planted;
mod record;
mod sessions;
mod state;
mod stream;
mod truth;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bugs::Bug;
use world::{Summary, World};

/// What a checker found.
#[derive(Debug)]
pub struct Failure {
    pub checker: &'static str,
    pub what: String,
}

thread_local! {
    /// What a panic on this thread said, while it plays.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static PLAYING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Plays one seed. A panic of the code under test is a failure like any other.
fn play(seed: u64, bug: Option<Bug>, trace: bool) -> Result<Summary, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if PLAYING.get() {
                PANIC.set(Some(panic.to_string()));
            } else {
                usual(panic);
            }
        }));
    });
    PLAYING.set(true);
    let played = catch_unwind(AssertUnwindSafe(|| World::new(seed, bug, trace).play()));
    PLAYING.set(false);
    played.unwrap_or_else(|_| {
        let what = PANIC.take().unwrap_or_default();
        Err(Failure { checker: "no panic", what })
    })
}

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text}")),
        Err(_) => otherwise,
    }
}

fn describe(seed: u64, failure: &Failure) -> String {
    format!(
        "seed {seed}, checker \"{}\": {}\nagain with: SIM_SEED={seed} SIM_TRACE=1 cargo test --release --test integration \
         simulation::one_seed -- --nocapture",
        failure.checker, failure.what
    )
}

#[test]
fn one_seed() {
    let seed = number("SIM_SEED", 1);
    match play(seed, None, number("SIM_TRACE", 0) > 0) {
        Ok(summary) => println!("seed {seed}: {summary:?}"),
        Err(failure) => panic!("{}", describe(seed, &failure)),
    }
}

#[test]
fn many_seeds() {
    let (from, count) =
        (number("SIM_FROM", 1), number("SIM_SEEDS", if cfg!(debug_assertions) { 20 } else { 500 }));
    let next = AtomicU64::new(from);
    let began = Instant::now();
    let work = || {
        let (mut failures, mut sum) = (Vec::new(), Summary::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count || failures.len() >= 3 {
                return (failures, sum);
            }
            match play(seed, None, false) {
                Ok(summary) => sum = sum.and(summary),
                Err(failure) => failures.push(describe(seed, &failure)),
            }
        }
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join().unwrap())
    });
    let sum = one.1.and(other.1);
    let seconds = began.elapsed().as_secs_f64();
    println!("{count} seeds from {from}, {:.0} a second on two threads: {sum:?}", count as f64 / seconds);
    let failures: Vec<_> = one.0.into_iter().chain(other.0).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(
        sum.acknowledged as u64 > count * 10,
        "a simulation in which little is acknowledged proves little"
    );
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 1..4 {
        let [one, other] = [(); 2].map(|()| format!("{:?}", play(seed, None, false)));
        assert_eq!(one, other);
    }
}
