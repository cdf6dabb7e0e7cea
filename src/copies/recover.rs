//! `recover`: the one survivor of a majority that is lost for good becomes a cluster of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chat_actors::peer_link::Secret;
use chat_actors::storage::{NewCluster, Outlook, Store, suspicion};

use crate::founding::digits;
use crate::settings::Settings;
use crate::succession::{self, Standing, Stands};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct RecoverArguments {
    /// The settings of the stopped node that is to go on alone
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// Do it; without this the command only tells what it would do
    #[arg(long)]
    yes: bool,
}

/// Tells what recovering would do and what may be lost; with `--yes` does it.
///
/// # Errors
/// When the settings are wrong, the node runs, its file is no member's, or a majority of the old
/// members answers.
pub fn run(arguments: &RecoverArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let (name, data_dir) = (&settings.node.name, &settings.node.data_dir);
    let said = || settings.said("node.data_dir");
    let outlook = Store::open_to_look(data_dir, name).with_context(said)?.outlook()?;
    if let Some(why) = suspicion(data_dir).context("cannot read the note suspect")? {
        bail!(
            "the chat in {dir} is suspect: {why}: nothing was changed; if no other disk has it, keep a copy of {dir}, look \
             at it with `replicated-chat check`, and remove {dir}/suspect to go on with it as it is",
            dir = data_dir.display()
        );
    }
    if outlook.is_alone() {
        terminal::say(&format!(
            "{name} is a cluster of its own already, {}: there is nothing to do",
            outlook.cluster
        ));
        return Ok(());
    }
    let secret = Secret::new(settings.peer.secret.reveal());
    let members = succession::others(&settings, &outlook.others);
    let standing = actix::System::new().block_on(succession::who_answers(&members, &secret));
    let living = living(&outlook, &standing);
    let majority = outlook.voters.len() / 2 + 1;
    if living.len() >= majority {
        bail!(
            "a majority of the old members answers ({}): start {name} with `replicated-chat serve`, and nothing is \
             lost; only a majority that is lost for good calls for recover",
            names(&living)
        );
    }
    if !arguments.yes {
        for line in plan(name, &outlook, &living) {
            terminal::say(&line);
        }
        return Ok(());
    }
    let new = NewCluster {
        cluster: digits::<16>()?,
        epoch: digits::<8>()?,
        peer: settings.peer.url.to_string(),
        public: settings.http.public_url.to_string(),
    };
    let at = Store::open(data_dir, name).with_context(said)?.recover(&new)?;
    terminal::say(&format!(
        "{name} is a cluster of its own now: cluster {}, epoch {}, at {at}; start it with `replicated-chat serve {}`",
        new.cluster,
        new.epoch,
        arguments.settings.display()
    ));
    Ok(())
}

/// The old members, by name, that still answer as such. Whoever is there and will not say counts too.
fn living(outlook: &Outlook, standing: &[Standing]) -> BTreeSet<String> {
    let votes = |name: &str| {
        outlook.others.iter().any(|node| node.name == name && outlook.voters.contains(&node.raft_id))
    };
    let lives = |of: &&Standing| match &of.stands {
        Stands::In { cluster, .. } => *cluster == outlook.cluster,
        Stands::Nowhere => false,
        Stands::Unclear(_) => true,
    };
    standing.iter().filter(|of| votes(&of.name)).filter(lives).map(|of| of.name.clone()).collect()
}

fn plan(name: &str, outlook: &Outlook, living: &BTreeSet<String>) -> Vec<String> {
    let others = outlook.others.iter().map(|node| format!("{} at {}", node.name, node.peer));
    let mut lines = vec![
        format!(
            "{name} would become a cluster of its own, with another cluster id and epoch in place of cluster {}: \
             all up to entry {} of its log, at {} and what follows that",
            outlook.cluster, outlook.last, outlook.at
        ),
        format!(
            "no members any more: {}; empty their data_dir, and they join anew",
            others.collect::<Vec<_>>().join(", ")
        ),
        format!(
            "may be lost: whatever the others acknowledged that did not reach {name} before it stopped; if more than \
             one node survived, compare them with `replicated-chat check` and recover the one whose log goes furthest"
        ),
    ];
    if outlook.uncommitted > 0 {
        lines.push(format!(
            "kept, though nobody here knows whether they were acknowledged: the last {} entries of its log",
            outlook.uncommitted
        ));
    }
    if !living.is_empty() {
        lines.push(format!("still there, and to be stopped by this: {}", names(living)));
        if (living.len() + 1) * 2 > outlook.voters.len() {
            lines
                .push(format!("with {name} these are a majority: start {name} instead, and nothing is lost"));
        }
    }
    lines.push("nothing was changed: add --yes to do it".to_owned());
    lines
}

fn names(of: &BTreeSet<String>) -> String {
    of.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
