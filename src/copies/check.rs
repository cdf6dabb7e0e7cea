//! `check`: is the file of a stopped node whole?

use std::path::PathBuf;

use chat_actors::storage::Store;

use crate::settings::Settings;
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// The settings of the stopped node
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
}

/// Looks through the node's file and prints where it stands, in one line. Changes nothing.
///
/// # Errors
/// When the settings are wrong, the node runs, or something is wrong with its file.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let name = &settings.node.name;
    let whole = Store::open_to_look(&settings.node.data_dir, name)?.check()?;
    let standing = match whole.foundation.as_str() {
        "founded" => String::new(),
        other => format!(", {other}"),
    };
    terminal::say(&format!(
        "{name} is whole{standing}: entry {}, at {}, log up to {}, format {}, digest {}",
        whole.applied,
        whole.at,
        whole.last,
        whole.format,
        hex::encode(whole.digest)
    ));
    Ok(())
}
