//! Stories on real processes.

mod accounts;
mod first_message;
mod people;
mod rooms;
