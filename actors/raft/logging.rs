//! raft-rs logs through `slog`; its lines go on into `tracing`, one level quieter: elections are our
//! news, not its. What it says when it is debugged goes nowhere: those lines hold whole messages, and with them what
//! people write.

use std::fmt::Write;

use slog::{Drain, KV, Level, Never, OwnedKVList, Record, Serializer};

/// The logger to give to `RawNode`.
pub fn logger() -> slog::Logger {
    slog::Logger::root(IntoTracing, slog::o!())
}

struct IntoTracing;

impl Drain for IntoTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _context: &OwnedKVList) -> Result<(), Never> {
        let wanted = match record.level() {
            Level::Critical | Level::Error => tracing::enabled!(target: "raft", tracing::Level::ERROR),
            Level::Warning | Level::Info => tracing::enabled!(target: "raft", tracing::Level::DEBUG),
            Level::Debug | Level::Trace => false,
        };
        if !wanted {
            return Ok(());
        }
        let mut values = Values(String::new());
        let _always_ok = record.kv().serialize(record, &mut values);
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{}{}", record.msg(), values.0),
            _ => tracing::debug!(target: "raft", "{}{}", record.msg(), values.0),
        }
        Ok(())
    }
}

struct Values(String);

impl Serializer for Values {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(slog::Error::from)
    }
}
