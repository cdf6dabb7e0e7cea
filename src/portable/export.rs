//! `export`: what is in the chat, or what one user may see, as lines of JSON with the files beside them.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use awc::Client;
use awc::error::PayloadError;
use bytes::{Bytes, BytesMut};
use chat_actors::chat::portable::{End, Header, Line};
use chat_actors::chat::rules;
use chat_actors::ids::FileId;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest, Sha256};

use crate::copies;
use crate::edge::export::PATH;
use crate::edge::peer_files::COPY_FILES_PATH;
use crate::failure::WrongUsage;
use crate::node_client::{self, Answer};
use crate::settings::Settings;
use crate::signals::StopSignals;
use crate::status;
use crate::terminal;
use crate::web_socket;

/// How long the node may take until the lines begin, and each piece of them to come.
const BEGIN_MAX: Duration = Duration::from_secs(8);
const PIECE_MAX: Duration = Duration::from_secs(15);
/// How long it may take to have a file, which it may have to fetch.
const FILE_MAX: Duration = Duration::from_secs(70);
/// A line can be no longer: far more than a message with all its versions.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Between two words about how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The settings of the running node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// The file to make; it must not be there yet. The bytes of files go into FILE.files
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only what this user may see: the rooms that they are in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Writes what a node gives to whoever holds the cluster's secret.
///
/// # Errors
/// When the settings are wrong, FILE or FILE.files is there or cannot be written, or the node does not answer;
/// then nothing was made.
pub fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let user = arguments.user.as_deref().map(|name| {
        let wrong = |_| WrongUsage(format!("--user is {name:?}, must be 1 to 32 of a-z 0-9 . _ -"));
        rules::name(name).map_err(wrong)
    });
    let user = user.transpose()?;
    actix::System::new().block_on(async {
        // Whether the node is there at all must be known soon.
        status::ask(&settings).await?;
        save(&Source::of_operator(settings, user.as_deref()), &arguments.file).await
    })
}

/// Writes the lines, and the files that messages hold, under names that are taken only when all is there; then says
/// what that was.
///
/// # Errors
/// When FILE or FILE.files is there or cannot be written, or the node does not answer; then nothing was made.
pub async fn save(source: &Source, file: &Path) -> anyhow::Result<()> {
    let places = Places::beside(file)?;
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let done = tokio::select! {
        made = make(source, &places) => made,
        () = signals.next() => Err(anyhow!("stopped before everything was written: nothing was made")),
    };
    let done = done.and_then(|made| places.publish().map(|()| made));
    if done.is_err() {
        places.clear()?;
    }
    let Made { header, end, files, lacking } = done?;
    let whose = header.user.map_or_else(|| "everything".to_owned(), |user| format!("what {user} may see"));
    let unsure = match header.majority {
        true => String::new(),
        false => format!(" (no majority: this is what {} has)", source.name),
    };
    let lacking = if lacking == 0 { String::new() } else { format!(", {lacking} files not to be had") };
    terminal::say(&format!(
        "{}: {whose} as of at {}{unsure}: {} users, {} rooms, {} messages, {files} files{lacking}",
        file.display(),
        header.at,
        end.users,
        end.rooms,
        end.messages,
    ));
    Ok(())
}

struct Made {
    header: Header,
    end: End,
    files: u64,
    lacking: u64,
}

/// The names that are to be, and those until then.
struct Places {
    file: PathBuf,
    folder: PathBuf,
    file_beside: PathBuf,
    folder_beside: PathBuf,
}

impl Places {
    fn beside(file: &Path) -> anyhow::Result<Self> {
        let Some(name) = file.file_name() else { bail!("{} is not the name of a file", file.display()) };
        let named = |more: &str| {
            let mut name = name.to_owned();
            name.push(more);
            file.with_file_name(name)
        };
        let unfinished = format!(".unfinished-{}", std::process::id());
        let places = Self {
            file: file.to_owned(),
            folder: named(".files"),
            file_beside: named(&unfinished),
            folder_beside: named(&format!(".files{unfinished}")),
        };
        for taken in [&places.file, &places.folder] {
            ensure!(
                taken.symlink_metadata().is_err(),
                "{} is there already: choose another name",
                taken.display()
            );
        }
        Ok(places)
    }

    /// The folder first: a file without its folder would look whole.
    fn publish(&self) -> anyhow::Result<()> {
        if self.folder_beside.exists() {
            fs::rename(&self.folder_beside, &self.folder)
                .with_context(|| format!("cannot write {}", self.folder.display()))?;
        }
        copies::publish(&self.file_beside, &self.file).inspect_err(|_| {
            // Taken back, to be cleared like the rest.
            let _stays = fs::rename(&self.folder, &self.folder_beside);
        })
    }

    fn clear(&self) -> anyhow::Result<()> {
        let cannot = |place: &Path| format!("cannot remove {}", place.display());
        if self.file_beside.exists() {
            fs::remove_file(&self.file_beside).with_context(|| cannot(&self.file_beside))?;
        }
        if self.folder_beside.exists() {
            fs::remove_dir_all(&self.folder_beside).with_context(|| cannot(&self.folder_beside))?;
        }
        Ok(())
    }
}

async fn make(source: &Source, places: &Places) -> anyhow::Result<Made> {
    let mut answer = source.lines().await?;
    let (header, end, found) = write_lines(&mut answer, &places.file_beside).await?;
    if !header.majority {
        terminal::complain(&format!("no majority: this is what {} has", source.name));
    }
    if !found.is_empty() {
        let made = DirBuilder::new().mode(0o700).create(&places.folder_beside);
        made.with_context(|| format!("cannot make {}", places.folder_beside.display()))?;
    }
    let (mut files, mut lacking) = (0, 0);
    let mut told = Instant::now();
    for file in &found {
        match source.bring(*file, &places.folder_beside).await {
            Ok(()) => files += 1,
            Err(why) => {
                lacking += 1;
                terminal::complain(&format!("file {file} is left out: {why:#}"));
            }
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            terminal::complain(&format!("{files} of {} files", found.len()));
        }
    }
    if !found.is_empty() {
        File::open(&places.folder_beside)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("cannot sync {}", places.folder_beside.display()))?;
    }
    Ok(Made { header, end, files, lacking })
}

/// Writes what comes, and says which files its messages hold.
async fn write_lines(
    answer: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    place: &Path,
) -> anyhow::Result<(Header, End, BTreeSet<FileId>)> {
    let cannot = || format!("cannot write {}", place.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place);
    let mut file = BufWriter::new(file.with_context(cannot)?);
    let (mut header, mut end, mut messages) = (None, None, 0_u64);
    let mut files = BTreeSet::new();
    let mut rest = BytesMut::new();
    let mut told = Instant::now();
    let cut = "the node's answer was cut off";
    while let Some(piece) = tokio::time::timeout(PIECE_MAX, answer.next()).await.context(cut)? {
        rest.extend_from_slice(&piece.map_err(|error| anyhow!("{cut}: {error}"))?);
        while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(length + 1);
            file.write_all(&line).with_context(cannot)?;
            match serde_json::from_slice(&line).context("the node's answer cannot be read")? {
                Line::Header(found) => header = Some(found),
                Line::End(found) => end = Some(found),
                Line::Message(message) => {
                    messages += 1;
                    files.extend(message.files.iter().map(|file| file.file));
                }
                Line::User(_) | Line::Room(_) | Line::Member { .. } | Line::Read { .. } => {}
                Line::Mute { .. } | Line::Bot(_) | Line::Subscription(_) | Line::Unknown => {}
            }
        }
        ensure!(rest.len() <= LINE_BYTES_MAX, "the node's answer cannot be read: a line without an end");
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            terminal::complain(&format!("{messages} messages"));
        }
    }
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
    file.sync_all().with_context(|| format!("cannot sync {}", place.display()))?;
    match (header, end) {
        (Some(header), Some(end)) if rest.is_empty() => Ok((header, end, files)),
        _ => bail!("{cut}: its last line is missing"),
    }
}

/// The node that is asked, and how.
pub struct Source {
    name: String,
    client: Client,
    bearer: String,
    lines: String,
    /// Where the bytes of files are: before and behind a file's hash.
    files: (String, &'static str),
    /// What an answer that is none says.
    refusal: Box<dyn Fn(&Answer) -> String>,
}

impl Source {
    /// Gives everything, or what that user may see.
    fn of_operator(settings: Settings, user: Option<&str>) -> Self {
        let url = settings.peer.url.to_string();
        let whose = user.map_or_else(String::new, |user| format!("?user={user}"));
        Self {
            name: settings.node.name.clone(),
            client: node_client::client(),
            bearer: settings.peer.secret.reveal().to_owned(),
            lines: format!("{url}{PATH}{whose}"),
            files: (format!("{url}{COPY_FILES_PATH}/"), ""),
            refusal: Box::new(move |answer| status::refusal(&settings, answer)),
        }
    }

    /// Gives what the person whose token that is may see.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn of_person(public_url: &str, token: &str) -> anyhow::Result<Self> {
        let url = public_url.to_owned();
        Ok(Self {
            name: url.clone(),
            client: web_socket::client()?,
            bearer: token.to_owned(),
            lines: format!("{url}/api/v1/export"),
            // Any name will do: it is the hash that names it.
            files: (format!("{url}/api/v1/files/"), "/file"),
            refusal: Box::new(move |answer| {
                let (said, status) = (status::said(answer), answer.status);
                said.unwrap_or_else(|| {
                    format!("{url} answers with status {status}: is that a node's public URL?")
                })
            }),
        })
    }

    /// The lines as they come.
    async fn lines(&self) -> anyhow::Result<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin> {
        let name = &self.name;
        let request = self.client.get(&self.lines).bearer_auth(&self.bearer);
        let answer = tokio::time::timeout(BEGIN_MAX, request.send()).await;
        let answer = answer.with_context(|| format!("{name} does not answer in time"))?;
        let mut answer = answer.map_err(|error| anyhow!("{name} does not answer: {error}"))?;
        let status = answer.status().as_u16();
        if status != 200 {
            let body = answer.body().limit(REFUSAL_BYTES_MAX).await.unwrap_or_default();
            bail!((self.refusal)(&Answer { status, body }));
        }
        Ok(answer)
    }

    /// Writes the bytes of a file under its hash.
    async fn bring(&self, file: FileId, folder: &Path) -> anyhow::Result<()> {
        let (before, behind) = &self.files;
        let request = self.client.get(format!("{before}{file}{behind}")).bearer_auth(&self.bearer);
        let answer = tokio::time::timeout(FILE_MAX, request.send()).await;
        let mut answer = answer.context("no answer in time")?.map_err(|error| anyhow!("{error}"))?;
        ensure!(answer.status().as_u16() == 200, "no node that can be reached has its bytes");
        let place = folder.join(file.to_string());
        let brought = write_file(&mut answer, &place, file).await;
        if brought.is_err() && place.exists() {
            fs::remove_file(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        brought
    }
}

async fn write_file(
    answer: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    place: &Path,
    file: FileId,
) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", place.display());
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(place).with_context(cannot)?;
    let mut hash = Sha256::new();
    while let Some(piece) =
        tokio::time::timeout(PIECE_MAX, answer.next()).await.context("its bytes stand still")?
    {
        let piece = piece.map_err(|error| anyhow!("{error}"))?;
        hash.update(&piece);
        written.write_all(&piece).with_context(cannot)?;
    }
    ensure!(FileId(hash.finalize().into()) == file, "its bytes did not come whole");
    written.sync_all().with_context(cannot)
}
