//! Stories on real processes.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "all of this is test code, which the lints see only where `#[test]` stands"
)]

mod accounts;
mod admins;
mod away;
mod bench;
mod bots;
mod catching_up;
mod changing;
mod chaos;
mod clocks;
mod copies;
mod damage;
mod demo;
mod disk;
mod disk_trouble;
mod edges;
mod export;
mod files;
mod files_last;
mod first_message;
mod founding;
mod http;
mod import;
mod joining;
mod large_state;
mod listening;
mod majority;
mod members;
mod messages;
mod metrics;
mod openapi;
mod outage;
mod partitions;
mod people;
mod power;
mod reading;
mod resume;
mod rooms;
mod search;
mod starting;
mod status;
mod stopping;
mod subscriptions;
mod terminal;
mod upgrades;
