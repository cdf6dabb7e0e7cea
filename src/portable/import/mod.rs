//! `import`: a chat that was written as lines of JSON, ours or Mattermost's, into a running cluster.
//!
//! The file is read twice: whole, so that what is wrong in it is told before anything is brought; then item by
//! item. What is there already is found again, so that a run may be repeated and one that was killed goes on.
//!
//! - [`native`]: the lines that `export` writes.
//! - [`mattermost`]: those of Mattermost's bulk export.
//! - [`fitted`]: names of elsewhere, made to fit.
//! - [`feeder`]: brings items to the node and keeps count.

mod feeder;
mod fitted;
mod mattermost;
mod native;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use chat_actors::chat::portable::Imported;
use chat_actors::ids::FileId;
use clap::ValueEnum;
use serde::Serialize;
use uuid::Builder;

use self::feeder::Feeder;
use crate::edge;
use crate::settings::Settings;
use crate::signals::StopSignals;
use crate::status;

/// A line can be no longer.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// As JSON: one item and what stands around it is no more than a node takes at once.
const ITEM_BYTES_MAX: usize = edge::import::BYTES_MAX - (64 << 10);

#[derive(Debug, clap::Args)]
pub struct ImportArguments {
    /// The settings of the running node to ask
    #[arg(value_name = "SETTINGS.toml")]
    settings: PathBuf,
    /// The file to read; the bytes of files lie beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What FILE is; without it the first line tells
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Also add to rooms that are there and that no import made
    #[arg(long)]
    into_existing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Mattermost,
}

/// What is to be brought: an item as its file names rooms and messages, and the files of a message.
#[derive(Clone, Debug)]
struct Brought {
    item: Imported,
    files: Vec<Local>,
    /// Its text was too long.
    cut: bool,
    /// Its oldest versions that are left out: no more are kept, or can be brought at once.
    versions_cut: usize,
}

/// A file of a message, beside the file that is read.
#[derive(Clone, Debug)]
struct Local {
    name: String,
    path: PathBuf,
    /// What it must be.
    file: Option<FileId>,
}

type Items = Box<dyn Iterator<Item = anyhow::Result<Brought>>>;

/// Reads the file and brings what is in it.
///
/// # Errors
/// When the settings or a line are wrong, before anything is brought; when the node does not answer.
pub fn run(arguments: &ImportArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let file = &arguments.file;
    let format = match arguments.format {
        Some(format) => format,
        None => format_of(file)?,
    };
    actix::System::new().block_on(async {
        status::ask(&settings).await?;
        let message_bytes = settings.limits.message_bytes;
        let (items, left_out): (Items, _) = match format {
            Format::Jsonl => (Box::new(native::read(file, message_bytes)?), Vec::new()),
            Format::Mattermost => {
                let plan = mattermost::plan(file, message_bytes)?;
                let left_out = plan.left_out();
                (Box::new(plan.items()?), left_out)
            }
        };
        let mut feeder = Feeder::new(&settings, arguments.into_existing);
        for (why, count) in left_out {
            feeder.leave_out(why, count);
        }
        let mut signals = StopSignals::new().context("cannot listen for signals")?;
        tokio::select! {
            fed = feed(&mut feeder, items) => fed?,
            () = signals.next() => bail!("stopped: what was brought stays, and the same command goes on"),
        }
        feeder.tell();
        Ok(())
    })
}

async fn feed(feeder: &mut Feeder<'_>, items: Items) -> anyhow::Result<()> {
    for brought in items {
        feeder.feed(brought?).await?;
    }
    feeder.flush().await
}

/// What the first line says.
fn format_of(file: &Path) -> anyhow::Result<Format> {
    let first = Lines::open(file)?.next().transpose()?;
    let line = first.with_context(|| format!("{} is empty", file.display()))?;
    let value: serde_json::Value = serde_json::from_slice(&line.text).map_err(|error| line.wrong(error))?;
    match value["type"].as_str() {
        Some("header") => Ok(Format::Jsonl),
        Some("version") => Ok(Format::Mattermost),
        _ => bail!("{} begins like no format that is known: say which with --format", file.display()),
    }
}

/// The lines of a file, each with its number and where it begins.
struct Lines {
    file: PathBuf,
    reader: BufReader<File>,
    number: u64,
    offset: u64,
}

struct TextLine {
    file: PathBuf,
    number: u64,
    offset: u64,
    text: Vec<u8>,
}

impl TextLine {
    fn wrong(&self, why: impl std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{} line {}: {why}", self.file.display(), self.number)
    }
}

impl Lines {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { file: file.to_owned(), reader: BufReader::new(opened), number: 0, offset: 0 })
    }

    fn read(&mut self) -> anyhow::Result<Option<TextLine>> {
        let mut text = Vec::new();
        let length = self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        let length = length.with_context(|| format!("cannot read {}", self.file.display()))? as u64;
        if length == 0 {
            return Ok(None);
        }
        let (offset, file) = (self.offset, self.file.clone());
        self.number += 1;
        self.offset += length;
        let line = TextLine { file, number: self.number, offset, text };
        ensure!(length < LINE_BYTES_MAX, line.wrong("longer than 64 MiB"));
        Ok(Some(line))
    }
}

impl Iterator for Lines {
    type Item = anyhow::Result<TextLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read().transpose()? {
                Ok(line) if line.text.iter().all(u8::is_ascii_whitespace) => {}
                line => return Some(line),
            }
        }
    }
}

/// Whether the chat takes an item of this form, and a node one of this size.
fn check(item: &Imported, message_bytes: usize) -> Result<(), String> {
    item.check(message_bytes).map_err(|refusal| refusal.message)?;
    match json_bytes(item) {
        bytes if bytes > ITEM_BYTES_MAX => {
            Err(format!("{bytes} bytes as JSON, at most {ITEM_BYTES_MAX} are brought at once"))
        }
        _ => Ok(()),
    }
}

/// How long something is as it travels. What cannot be written fits nowhere.
fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |text| text.len())
}

/// An id that is the same for the same parts, and for no others.
fn id_of(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_custom_bytes(half).into_uuid().to_string()
}

/// As much of a text as a message holds, and whether that is less. What no message may hold is left out.
fn fitting(text: &str, bytes_max: usize) -> (String, bool) {
    let text = text.replace('\0', "");
    if text.len() <= bytes_max {
        return (text, false);
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    (text[..end].to_owned(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_their_parts() {
        assert_eq!(id_of(&["a", "b"]), id_of(&["a", "b"]));
        assert_ne!(id_of(&["a", "b"]), id_of(&["ab", ""]));
        assert_eq!(id_of(&[]).len(), 36);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(fitting("añb\0", 9), ("añb".to_owned(), false));
        assert_eq!(fitting("añb", 2), ("a".to_owned(), true));
        assert_eq!(fitting("añb", 3), ("añ".to_owned(), true));
    }
}
