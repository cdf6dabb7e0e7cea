//! `check`: is the file of a stopped node whole?

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chat_actors::files::look::look;
use chat_actors::storage::{Store, suspicion};

use crate::settings::Settings;
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// The settings of the stopped node
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
}

/// Looks through the node's file, and the files that messages hold, and prints where it stands, in one line. Changes nothing.
///
/// # Errors
/// When the settings are wrong, the node runs, or something is wrong with its file.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let name = &settings.node.name;
    let data_dir = &settings.node.data_dir;
    let store = Store::open_to_look(data_dir, name).with_context(|| settings.said("node.data_dir"))?;
    let whole = store.check()?;
    let stand =
        look(data_dir, &whole.files).with_context(|| format!("cannot read {}/files", data_dir.display()))?;
    if let Some(first) = stand.damaged.first() {
        bail!(
            "{} of the files of {name} are damaged, such as {}: remove them, and it fetches them from other nodes",
            stand.damaged.len(),
            first.display()
        );
    }
    if let Some(why) = suspicion(data_dir).context("cannot read the note suspect")? {
        terminal::complain(&format!(
            "{name} is suspect: {why}: its next start sets the file aside; if no other disk has the chat, remove {}/suspect",
            data_dir.display()
        ));
    }
    let files = match (stand.whole, stand.lacking) {
        (0, 0) => String::new(),
        (whole, 0) => format!(", {whole} files"),
        (whole, lacking) => format!(", {whole} files and {lacking} not here"),
    };
    let standing = match whole.foundation.as_str() {
        "founded" => String::new(),
        other => format!(", {other}"),
    };
    terminal::say(&format!(
        "{name} is whole{standing}: entry {}, at {}, log up to {}, format {}{files}, members {}, digest {}",
        whole.applied,
        whole.at,
        whole.last,
        whole.format,
        hex::encode(whole.members),
        hex::encode(whole.digest)
    ));
    Ok(())
}
