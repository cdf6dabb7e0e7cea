//! `backup`: a copy of the chat from a running node.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use awc::Client;
use bytes::{Bytes, BytesMut};
use chat_actors::ids::FileId;
use chat_actors::peer_link::wire::Refused;
use chat_actors::storage::copy::{Copied, CopyInTheMaking, PART_BYTES};
use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};

use crate::edge::copies::{self, Barrier};
use crate::edge::peer_files::COPY_FILES_PATH;
use crate::node_client;
use crate::settings::Settings;
use crate::signals::StopSignals;
use crate::terminal;

/// How long the node has for each answer; whoever asks must know within five seconds that there is none.
const ANSWER_MAX: Duration = Duration::from_millis(4_500);
/// How long the node may take to have a file, which it may have to fetch, and each piece of it to come.
const FILE_MAX: Duration = Duration::from_secs(70);
const PIECE_MAX: Duration = Duration::from_secs(10);
/// Between two words about how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The settings of the running node to copy from
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// The file to make; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copies everything replicated into one file, as of one moment not before now.
///
/// # Errors
/// When the settings are wrong, FILE is there or cannot be written, or the node does not answer; then
/// nothing was made.
pub fn run(arguments: &BackupArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let file = &arguments.file;
    if file.symlink_metadata().is_ok() {
        bail!("{} is there already: choose another name for the copy", file.display());
    }
    let Some(name) = file.file_name() else { bail!("{} is not the name of a file", file.display()) };
    let mut beside = name.to_owned();
    beside.push(format!(".unfinished-{}", std::process::id()));
    let beside = file.with_file_name(beside);
    let done = make(&settings, &beside).and_then(|made| {
        publish(&beside, file)?;
        Ok(made)
    });
    if done.is_err() && beside.exists() {
        fs::remove_file(&beside).with_context(|| format!("cannot remove {}", beside.display()))?;
    }
    let (copied, majority) = done?;
    let unsure = match majority {
        true => String::new(),
        false => format!(" (no majority: this is what {} has)", settings.node.name),
    };
    let files = match (copied.files, copied.files_lacking) {
        (0, 0) => String::new(),
        (files, 0) => format!(", {files} files"),
        (files, lacking) => format!(", {files} files and {lacking} not to be had"),
    };
    terminal::say(&format!(
        "{}: cluster {} as of at {}{unsure}, format {}{files}, digest {}",
        file.display(),
        copied.cluster,
        copied.at,
        copied.format,
        hex::encode(copied.digest)
    ));
    Ok(())
}

fn make(settings: &Settings, beside: &Path) -> anyhow::Result<(Copied, bool)> {
    actix::System::new().block_on(async {
        let mut signals = StopSignals::new().context("cannot listen for signals")?;
        tokio::select! {
            made = copy(settings, beside) => made,
            () = signals.next() => bail!("stopped before the copy was whole: nothing was made"),
        }
    })
}

async fn copy(settings: &Settings, beside: &Path) -> anyhow::Result<(Copied, bool)> {
    let made_by = concat!("replicated-chat ", env!("CARGO_PKG_VERSION"));
    let mut progress = Progress { told: Instant::now() };
    let source = Source { settings, client: node_client::client() };
    let mut copy = CopyInTheMaking::begin(beside)?;
    let barrier: Barrier = serde_json::from_slice(&source.ask(copies::BARRIER_PATH).await?)
        .context("the node's answer cannot be read")?;
    if !barrier.majority {
        terminal::complain(&format!("no majority: copying what {} has", settings.node.name));
    }
    loop {
        let (after, horizon) = (copy.up_to(), barrier.at);
        let page = source.ask(&format!("{}?after={after}&horizon={horizon}", copies::PAGE_PATH)).await?;
        let page = copy.add(&page)?;
        if page.end {
            break;
        }
        progress.tell(|| format!("copied up to at {} of {}", page.up_to, page.position.at));
    }
    let files = copy.files()?;
    let mut bytes = 0;
    for (number, &file) in (1..).zip(&files) {
        let on_part = |part: usize| {
            bytes += part;
            let (all, mb) = (files.len(), bytes as f64 / 1e6);
            progress.tell(|| format!("copying file {number} of {all}, {mb:.1} MB of files so far"));
        };
        if let Err(why) = source.bring(file, &mut copy, on_part).await {
            copy.without(file)?;
            terminal::complain(&format!("file {file} is not in the copy: {why:#}"));
        }
    }
    Ok((copy.finish(&settings.node.name, made_by)?, barrier.majority))
}

/// Says on standard error how far it is, now and then: a short copy says nothing.
struct Progress {
    told: Instant,
}

impl Progress {
    fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            terminal::complain(&line());
        }
    }
}

/// Gives a file its name, which nobody may have taken meanwhile, for good.
///
/// # Errors
/// When the name is taken, or the disk refuses.
pub fn publish(beside: &Path, file: &Path) -> anyhow::Result<()> {
    match fs::hard_link(beside, file) {
        Ok(()) => fs::remove_file(beside).with_context(|| format!("cannot remove {}", beside.display()))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: choose another name", file.display())
        }
        // Not every file system has links.
        Err(_) => fs::rename(beside, file).with_context(|| format!("cannot write {}", file.display()))?,
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot sync {}", folder.display()))
}

/// The node that is copied from.
struct Source<'s> {
    settings: &'s Settings,
    client: Client,
}

impl Source<'_> {
    /// Brings the bytes of a file into the copy, a part at a time, and says how long each was.
    async fn bring(
        &self,
        file: FileId,
        copy: &mut CopyInTheMaking,
        mut on_part: impl FnMut(usize),
    ) -> anyhow::Result<()> {
        let url = format!("{}{COPY_FILES_PATH}/{file}", self.settings.peer.url);
        let request = self.client.get(url).bearer_auth(self.settings.peer.secret.reveal());
        let answer = tokio::time::timeout(FILE_MAX, request.send()).await;
        let mut answer = answer.context("no answer in time")?.map_err(|error| anyhow!("{error}"))?;
        ensure!(answer.status().as_u16() == 200, "no node that can be reached has its bytes");
        let (mut hash, mut part, mut number) = (Sha256::new(), BytesMut::new(), 0);
        loop {
            let piece =
                tokio::time::timeout(PIECE_MAX, answer.next()).await.context("its bytes stand still")?;
            let ended = piece.is_none();
            if let Some(piece) = piece {
                part.extend_from_slice(&piece.map_err(|error| anyhow!("{error}"))?);
            }
            while part.len() >= PART_BYTES || (ended && (number == 0 || !part.is_empty())) {
                let bytes = part.split_to(PART_BYTES.min(part.len()));
                hash.update(&bytes);
                copy.add_part(file, number, &bytes)?;
                number += 1;
                on_part(bytes.len());
            }
            if ended {
                break;
            }
        }
        ensure!(FileId(hash.finalize().into()) == file, "its bytes did not come whole");
        Ok(())
    }

    /// What the node answers, when it is a good answer.
    async fn ask(&self, path: &str) -> anyhow::Result<Bytes> {
        let (name, url) = (&self.settings.node.name, &self.settings.peer.url);
        let secret = Some(self.settings.peer.secret.reveal());
        match node_client::get(&self.client, &format!("{url}{path}"), secret, ANSWER_MAX).await {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Ok(answer) if answer.status == 401 => {
                bail!(
                    "{name} at {url} refuses our secret: peer.secret must be the one that it was started with"
                )
            }
            Ok(answer) => match serde_json::from_slice::<Refused>(&answer.body) {
                Ok(refused) => bail!("{name} at {url} gives no copy: {}", refused.error.message),
                Err(_) => {
                    bail!("{name} at {url} answers with status {}: is that a node's peer.url?", answer.status)
                }
            },
            Err(reason) => {
                bail!("{name} does not answer at {url} ({reason}): start it, or copy from another node")
            }
        }
    }
}
