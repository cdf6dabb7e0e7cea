//! Stories on real processes.

mod accounts;
mod chaos;
mod demo;
mod edges;
mod first_message;
mod founding;
mod http;
mod majority;
mod messages;
mod metrics;
mod outage;
mod people;
mod power;
mod resume;
mod rooms;
mod starting;
mod status;
mod stopping;
