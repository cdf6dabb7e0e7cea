//! Stories on real processes.

mod accounts;
mod chaos;
mod edges;
mod first_message;
mod http;
mod majority;
mod messages;
mod metrics;
mod outage;
mod people;
mod power;
mod resume;
mod rooms;
