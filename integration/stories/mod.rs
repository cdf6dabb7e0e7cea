//! Stories on real processes.

mod first_message;
