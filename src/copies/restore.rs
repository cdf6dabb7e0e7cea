//! `restore`: a new chat from a copy.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chat_actors::files::partial::Partial;
use chat_actors::files::store::{FileLimits, FileStore};
use chat_actors::ids::{At, FileId};
use chat_actors::peer_link::Secret;
use chat_actors::storage::restore::RestoreError;
use chat_actors::storage::{NewCluster, copy, restore};

use crate::founding::digits;
use crate::settings::Settings;
use crate::succession::{self, Stands};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// The settings of the stopped node, whose data_dir is empty
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// A copy that `backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes the copy the file of this node, a cluster of its own that the others join.
///
/// # Errors
/// When the settings are wrong, the node runs or has data, a listed member belongs to a living chat, or
/// the copy is damaged; then nothing was made.
pub fn run(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let (name, data_dir, file) = (&settings.node.name, &settings.node.data_dir, &arguments.file);
    let said = || settings.said("node.data_dir");
    restore::is_empty(data_dir, name).with_context(said)?;
    let copied = copy::verify(file)?;
    let secret = Secret::new(settings.peer.secret.reveal());
    let others = succession::others(&settings, &[]);
    for standing in actix::System::new().block_on(succession::who_answers(&others, &secret)) {
        if let Stands::In { cluster, .. } = standing.stands {
            bail!(
                "{} at {} belongs to the living cluster {cluster}: stop it and empty its data_dir first; beside a \
                 living chat an empty {name} needs no copy",
                standing.name,
                standing.peer
            );
        }
    }
    let new = NewCluster {
        cluster: digits::<16>()?,
        epoch: digits::<8>()?,
        peer: settings.peer.url.to_string(),
        public: settings.http.public_url.to_string(),
    };
    let disk = digits::<8>()?;
    let made = restore::restore(file, data_dir, name, &disk, &new, |folder| bring_files(file, folder));
    let at = made.map_err(|error: anyhow::Error| match error.downcast_ref() {
        None | Some(RestoreError::Copy(_)) => error,
        Some(_) => error.context(said()),
    })?;
    if copied.files_lacking > 0 {
        terminal::complain(&format!(
            "{} files are not in the copy: their messages stay",
            copied.files_lacking
        ));
    }
    terminal::say(&format!(
        "{name} holds the chat of cluster {} as of at {}: cluster {} now, epoch {}, at {at}; start it with \
         `replicated-chat serve {}`, then the others with empty data_dirs",
        copied.cluster,
        copied.at,
        new.cluster,
        new.epoch,
        arguments.settings.display()
    ));
    Ok(())
}

/// Puts the files of the copy where a node with that directory would look for them; each is compared with its hash.
fn bring_files(copy: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let limits = FileLimits { file_bytes: u64::MAX, total_mb: 0, reserve_mb: 0, unsent_ms: u64::MAX };
    let mut store = FileStore::open(data_dir, limits, 0).context("cannot write the files")?;
    let mut underway: Option<(FileId, Partial)> = None;
    copy::each_part(copy, |file, part, bytes| {
        if part == 0 {
            finish(&mut store, underway.take())?;
            underway = Some((file, store.begin_copy(file, u64::MAX, &file.to_string())?));
        }
        let Some((_, partial)) = underway.as_mut() else { bail!("file {file} has no beginning in the copy") };
        Ok(partial.write_at(partial.bytes(), bytes)?)
    })?;
    finish(&mut store, underway.take())
}

fn finish(store: &mut FileStore, whole: Option<(FileId, Partial)>) -> anyhow::Result<()> {
    let Some((file, mut partial)) = whole else { return Ok(()) };
    partial.seal_whole().with_context(|| format!("cannot write file {file}"))?;
    store.finish(&mut partial, At(0), 0).with_context(|| format!("cannot write file {file}"))?;
    Ok(())
}
