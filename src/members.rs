//! Who is in the cluster, and who leads it: asked of one node, which carries it to the leader.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chat_actors::messages::members::Wish;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::edge::members::{Asked, Done, FOUND_PATH, GivenUp, PATH, addresses};
use crate::failure::WrongUsage;
use crate::node_client::{self, Answer};
use crate::settings::Settings;
use crate::status;
use crate::terminal::say;

/// How long a node has to show that it is there; whoever asks must know within five seconds.
const THERE_MAX: Duration = Duration::from_millis(4_000);
/// How long it has for a change; whoever asks must know within ten.
const CHANGED_MAX: Duration = Duration::from_millis(9_500);

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub struct MembersArguments {
    /// The settings of the node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the members
    List {
        /// Print them as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Write a name down before its node starts
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        /// Where the other nodes reach it, such as http://10.0.0.4:8201
        #[arg(value_name = "PEER")]
        peer: String,
        /// Where browsers reach it, such as https://chat4.example
        #[arg(value_name = "PUBLIC")]
        public: String,
        /// It stays a learner, which has no vote, until it is promoted
        #[arg(long)]
        learner: bool,
    },
    /// Remove a node, running or dead
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make a voter of a learner
    Promote {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Found the chat although a listed member is missing
    Found {
        /// The member that is missing
        #[arg(long, value_name = "NAME", required = true)]
        without: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct TransferArguments {
    /// The settings of the node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// The name of the node that is to lead
    #[arg(value_name = "NODE")]
    node: String,
}

/// Does what is asked of `members`.
///
/// # Errors
/// When the settings or the names are wrong, the node does not answer, or the change is refused.
pub fn run(arguments: &MembersArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let wish = match &arguments.what {
        What::List { json } => return list(&settings, *json),
        What::Found { without } => {
            let given_up = GivenUp { without: without.clone(), passed_on: false };
            return tell(actix::System::new().block_on(post(&settings, FOUND_PATH, &given_up, THERE_MAX))?);
        }
        What::Add { name, peer, public, learner } => {
            let (peer, public) = check(name, peer, public)?;
            Wish::Add { name: name.clone(), peer, public, learner: *learner }
        }
        What::Remove { name } => Wish::Remove { name: name.clone() },
        What::Promote { name } => Wish::Promote { name: name.clone() },
    };
    change(&settings, wish)
}

/// Moves leadership.
///
/// # Errors
/// When the settings are wrong, the node does not answer, or leadership stays where it is.
pub fn transfer(arguments: &TransferArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    change(&settings, Wish::Lead { name: arguments.node.clone() })
}

/// The two addresses, in the one spelling that the node will give itself.
fn check(name: &str, peer: &str, public: &str) -> Result<(String, String), WrongUsage> {
    addresses(name, peer, public)
        .map_err(|wrong| WrongUsage(format!("{} {}", wrong.field.to_uppercase(), wrong.says)))
}

fn list(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let seen = actix::System::new().block_on(status::ask(settings))?;
    if json {
        say(&seen.json["nodes"].to_string());
    } else {
        for line in status::member_lines(&seen.view) {
            say(&line);
        }
    }
    Ok(())
}

fn change(settings: &Settings, wish: Wish) -> anyhow::Result<()> {
    let begun = Instant::now();
    tell(actix::System::new().block_on(async {
        // Whether it is there at all must be known sooner than what became of the change.
        status::ask(settings).await?;
        let left = CHANGED_MAX.saturating_sub(begun.elapsed());
        post(settings, PATH, &Asked { wish, passed_on: false }, left).await
    })?)
}

fn tell(done: Done) -> anyhow::Result<()> {
    say(&done.says);
    Ok(())
}

/// Posts to the peer port of the node that these settings are of, and reads what it says when it is done.
///
/// # Errors
/// The sentence of a refusal; that the node does not answer; or, when it may have done it all the same, that this is not
/// known.
pub async fn post<T: Serialize, D: DeserializeOwned>(
    settings: &Settings,
    path: &str,
    asked: &T,
    left: Duration,
) -> anyhow::Result<D> {
    let (name, url) = (&settings.node.name, &settings.peer.url);
    let body = serde_json::to_vec(asked).context("the question cannot be written as JSON")?;
    let secret = settings.peer.secret.reveal();
    let answer = node_client::post(&node_client::client(), &format!("{url}{path}"), secret, body, left).await;
    match answer {
        Ok(Answer { status: 200, body }) => match serde_json::from_slice(&body) {
            Ok(done) => Ok(done),
            Err(error) => bail!(status::not_a_node(settings, &error)),
        },
        Ok(answer) => bail!(status::refusal(settings, &answer)),
        Err(silence) if silence.was_asked => bail!(
            "{name} at {url} has been asked and does not answer ({silence}): it is not known whether this was done: look, \
             and repeat it"
        ),
        Err(silence) => bail!("{name} does not answer at {url} ({silence}): start it, or ask another node"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_names_and_addresses_are_wrong_usage() {
        let (peer, public) = ("http://10.0.0.4:8201", "https://chat4.example");
        assert_eq!(
            check("node4", "http://NODE4:80/", "HTTPS://chat4.example:443").unwrap(),
            ("http://node4".to_owned(), "https://chat4.example".to_owned())
        );
        for (name, peer, public, word) in [
            ("Node4", peer, public, "NAME"),
            ("node4", "10.0.0.4:8201", public, "PEER"),
            ("node4", "http://0.0.0.0:8201", public, "PEER"),
            ("node4", "https://10.0.0.4:8201", public, "PEER"),
            ("node4", peer, "ftp://x", "PUBLIC"),
            ("node4", peer, peer, "PUBLIC"),
        ] {
            let said = check(name, peer, public).unwrap_err().to_string();
            assert!(said.starts_with(word), "{said}");
        }
    }
}
