//! Makes somebody an admin, through a running node.

use std::path::PathBuf;
use std::time::Duration;

use chat_actors::chat::rules;

use crate::edge::admin::{Asked, Done, PATH};
use crate::failure::WrongUsage;
use crate::members;
use crate::settings::Settings;
use crate::status;
use crate::terminal::say;

/// How long a node has that is known to be there.
const DONE_MAX: Duration = Duration::from_millis(6_000);

#[derive(Debug, clap::Args)]
pub struct AdminArguments {
    /// The settings of the node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// The account's name; one that does not exist gets a link that creates it
    #[arg(value_name = "NAME")]
    name: String,
}

/// Asks the node, and prints that it is done or the link.
///
/// # Errors
/// When the settings or the name are wrong, the node does not answer, or it cannot be done.
pub fn run(arguments: &AdminArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let wrong = |_| WrongUsage(format!("NAME is {:?}, must be 1 to 32 of a-z 0-9 . _ -", arguments.name));
    let name = rules::name(&arguments.name).map_err(wrong)?;
    let done: Done = actix::System::new().block_on(async {
        // Whether it is there at all must be known sooner than what became of this.
        status::ask(&settings).await?;
        members::post(&settings, PATH, &Asked { name: name.clone() }, DONE_MAX).await
    })?;
    match done.link {
        None => say(&format!("{name} is an admin now")),
        Some(link) => {
            say(&format!(
                "there is no account {name} yet: who opens this within 24 hours creates it, an admin"
            ));
            say(&link);
        }
    }
    Ok(())
}
