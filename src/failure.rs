//! How a command fails: its exit status, and its one line.

use crate::settings::SettingsError;

/// The exit status when the command line or the settings are wrong.
pub const WRONG_USAGE: u8 = 2;

/// The exit status when anything else went wrong.
const FAILED: u8 = 1;

/// Something on the command line that only shows when it is looked at together with what is on the disk.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

/// The exit status that an error calls for.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    if error.is::<SettingsError>() || error.is::<WrongUsage>() { WRONG_USAGE } else { FAILED }
}

/// The error and what caused it, each thing said once: many an error names its cause in its own words.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            said = if said.is_empty() { cause } else { format!("{said}: {cause}") };
        }
    }
    said
}

/// The message of the argument parser without its usage text, on one line.
pub fn usage_in_one_line(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().map(str::trim);
    let said: Vec<&str> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    let said: Vec<&str> =
        said.into_iter().filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    format!("{}; see replicated-chat --help", said.join(" "))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn settings_and_usage_are_two_and_the_rest_is_one() {
        let settings = SettingsError::of_key("node1.toml", "raft.tick_ms", "is 0");
        assert_eq!(exit_status(&settings.into()), 2);
        let usage = Err::<(), _>(WrongUsage("no".into())).context("while trying").unwrap_err();
        assert_eq!(exit_status(&usage), 2);
        assert_eq!(exit_status(&anyhow::anyhow!("disk full")), 1);
    }

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write x: {source}: choose another folder")]
        struct Unwritable {
            source: std::io::Error,
        }
        let error = anyhow::Error::new(Unwritable { source: std::io::Error::other("no room") });
        assert_eq!(sentence(&error), "cannot write x: no room: choose another folder");
        assert_eq!(
            sentence(&error.context("cannot start")),
            "cannot start: cannot write x: no room: choose another folder"
        );
    }
}
