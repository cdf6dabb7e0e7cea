//! Brings items to the node, some at a time and in their order, and keeps count of what became of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::mem::discriminant;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use awc::Client;
use chat_actors::chat::objects::File;
use chat_actors::chat::portable::{Imported, ImportedMessage, Landed, PortableBot, PortableSubscription};
use chat_actors::files::names;
use chat_actors::ids::{FileId, RoomId, Seq};
use sha2::{Digest, Sha256};

use super::{Brought, Local, json_bytes};
use crate::edge::import::{Asked, Done, FILES_PATH, PATH};
use crate::node_client;
use crate::settings::Settings;
use crate::{status, terminal};

/// What is brought at once is applied at once: little, so that others need not wait. Bytes as JSON; a larger item
/// goes alone.
const ITEMS_MAX: usize = 64;
const BYTES_MAX: usize = 128 << 10;
/// How long the node may take for one of these, and for a file.
const ANSWER_MAX: Duration = Duration::from_secs(8);
const FILE_MAX: Duration = Duration::from_secs(60);
/// For so long it is tried again while there is no majority, or no answer.
const TRY_FOR: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// The most reasons that are told apart.
const REASONS_MAX: usize = 1_000;

const KINDS: [&str; 8] =
    ["users", "rooms", "members", "messages", "read marks", "muted rooms", "bots", "subscriptions"];

pub struct Feeder<'s> {
    settings: &'s Settings,
    client: Client,
    into_existing: bool,
    /// Each room of the file, by its number there: where it is here, unless it was skipped.
    rooms: HashMap<RoomId, Option<RoomId>>,
    /// Where the messages of each room are here.
    runs: HashMap<RoomId, Runs>,
    batch: Vec<Imported>,
    /// The room and place that each item of the batch has in the file.
    places: Vec<(RoomId, Seq)>,
    bytes: usize,
    new: [u64; KINDS.len()],
    there: [u64; KINDS.len()],
    cut: u64,
    files: u64,
    skipped: BTreeMap<String, u64>,
    told: Instant,
}

/// Which place of the file is which place here, in stretches.
#[derive(Debug, Default)]
struct Runs(Vec<(Seq, Seq, u64)>);

impl Runs {
    fn add(&mut self, there: Seq, here: Seq) {
        match self.0.last_mut() {
            Some((first, first_here, length))
                if first.0 + *length == there.0 && first_here.0 + *length == here.0 =>
            {
                *length += 1;
            }
            _ => self.0.push((there, here, 1)),
        }
    }

    /// The place here of the last message that is not behind this one.
    fn up_to(&self, there: Seq) -> Option<Seq> {
        let after = self.0.partition_point(|(first, ..)| *first <= there);
        let (first, here, length) = self.0[..after].last()?;
        Some(Seq(here.0 + (there.0 - first.0).min(length - 1)))
    }

    fn exactly(&self, there: Seq) -> Option<Seq> {
        let after = self.0.partition_point(|(first, ..)| *first <= there);
        let (first, here, length) = self.0[..after].last()?;
        (there.0 - first.0 < *length).then(|| Seq(here.0 + there.0 - first.0))
    }
}

impl<'s> Feeder<'s> {
    pub fn new(settings: &'s Settings, into_existing: bool) -> Self {
        Self {
            settings,
            client: node_client::client(),
            into_existing,
            rooms: HashMap::new(),
            runs: HashMap::new(),
            batch: Vec::new(),
            places: Vec::new(),
            bytes: 0,
            new: [0; KINDS.len()],
            there: [0; KINDS.len()],
            cut: 0,
            files: 0,
            skipped: BTreeMap::new(),
            told: Instant::now(),
        }
    }

    pub fn leave_out(&mut self, why: String, count: u64) {
        let why = match self.skipped.contains_key(&why) || self.skipped.len() < REASONS_MAX {
            true => why,
            false => "for other reasons".to_owned(),
        };
        *self.skipped.entry(why).or_default() += count;
    }

    /// Takes an item on; brings those that wait when they are enough, or of another kind.
    pub async fn feed(&mut self, brought: Brought) -> anyhow::Result<()> {
        let Brought { mut item, files, cut, versions_cut } = brought;
        let other_kind = self.batch.last().is_some_and(|last| discriminant(last) != discriminant(&item));
        let bytes = json_bytes(&item);
        if other_kind || self.batch.len() >= ITEMS_MAX || self.bytes + bytes > BYTES_MAX {
            self.flush().await?;
        }
        let mut place = (RoomId(0), Seq(0));
        match &mut item {
            Imported::User(_) | Imported::Bot(PortableBot { hook: None, .. }) => {}
            Imported::Room { room, .. } => place.0 = room.room,
            Imported::Member { room, .. }
            | Imported::Mute { room, .. }
            | Imported::Bot(PortableBot { hook: Some(room), .. })
            | Imported::Subscription { subscription: PortableSubscription { room, .. }, .. } => {
                let Some(here) = self.room(*room) else { return Ok(()) };
                *room = here;
            }
            Imported::Read { room, seq, .. } => {
                let Some(here) = self.room(*room) else { return Ok(()) };
                let Some(up_to) = self.runs.get(room).and_then(|runs| runs.up_to(*seq)) else {
                    return Ok(());
                };
                (*room, *seq) = (here, up_to);
            }
            Imported::Message(item) => {
                let there = item.message.room;
                let Some(here) = self.room(there) else { return Ok(()) };
                place = (there, item.message.seq);
                self.find_answered(item);
                item.message.room = here;
                if !item.message.deleted {
                    self.bring_files(item, files).await?;
                }
                self.cut += u64::from(cut);
                if versions_cut > 0 {
                    let why = "of the oldest versions of edited messages: no more are kept, or fit";
                    self.leave_out(why.to_owned(), versions_cut as u64);
                }
            }
        }
        self.bytes += bytes;
        self.batch.push(item);
        self.places.push(place);
        Ok(())
    }

    /// Where a room is here; counts what is left out with it.
    fn room(&mut self, there: RoomId) -> Option<RoomId> {
        let here = self.rooms.get(&there).copied().flatten();
        if here.is_none() {
            self.leave_out("of rooms that were skipped".to_owned(), 1);
        }
        here
    }

    /// What a message replies to may be on its way in the same batch.
    fn find_answered(&self, item: &mut ImportedMessage) {
        let Some(answered) = item.message.reply_to.take() else { return };
        let there = item.message.room;
        item.answers = self.places.iter().position(|place| *place == (there, answered));
        if item.answers.is_none() {
            item.message.reply_to = self.runs.get(&there).and_then(|runs| runs.exactly(answered));
        }
    }

    /// Brings the bytes of a message's files. Those that are not there are left out.
    async fn bring_files(&mut self, item: &mut ImportedMessage, files: Vec<Local>) -> anyhow::Result<()> {
        let mut brought = Vec::new();
        for local in files {
            let name = local.name.clone();
            match self.read_file(&local) {
                Ok((file, bytes)) => {
                    let length = bytes.len() as u64;
                    self.bring_file(file, bytes).await?;
                    let kind = names::kind_of(&name).to_owned();
                    brought.push(File { file, name, bytes: length, kind });
                }
                Err(why) => {
                    self.leave_out(format!("file {name}: {why}"), 1);
                    if item.message.text.is_empty() {
                        item.message.text = format!("({name})");
                    }
                }
            }
        }
        item.message.files = brought;
        Ok(())
    }

    fn read_file(&self, local: &Local) -> Result<(FileId, Vec<u8>), String> {
        let length = fs::metadata(&local.path).map_err(|error| in_words(&local.path, &error))?.len();
        if length > self.settings.limits.file_bytes {
            return Err(format!("{length} bytes are more than limits.file_bytes"));
        }
        let bytes = fs::read(&local.path).map_err(|error| in_words(&local.path, &error))?;
        let file = FileId(Sha256::digest(&bytes).into());
        match local.file {
            Some(expected) if expected != file => Err("its bytes are others".to_owned()),
            _ => Ok((file, bytes)),
        }
    }

    async fn bring_file(&mut self, file: FileId, bytes: Vec<u8>) -> anyhow::Result<()> {
        let url = format!("{}{FILES_PATH}/{file}", self.settings.peer.url);
        let secret = self.settings.peer.secret.reveal();
        let bytes = bytes::Bytes::from(bytes);
        let until = Instant::now() + TRY_FOR;
        loop {
            let asked = node_client::get(&self.client, &url, Some(secret), ANSWER_MAX).await;
            if asked.is_ok_and(|answer| answer.status == 204) {
                return Ok(());
            }
            let put = self.client.put(&url).bearer_auth(secret).send_body(bytes.clone());
            let why = match tokio::time::timeout(FILE_MAX, put).await {
                Ok(Ok(answer)) if answer.status().is_success() => {
                    self.files += 1;
                    return Ok(());
                }
                Ok(Ok(answer)) => format!("status {}", answer.status().as_u16()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "nothing in time".to_owned(),
            };
            if Instant::now() >= until {
                bail!("{} does not take file {file}: {why}", self.settings.node.name);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Brings what waits.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let items = std::mem::take(&mut self.batch);
        let places = std::mem::take(&mut self.places);
        self.bytes = 0;
        let kind = kind_of(&items[0]);
        let asked = Asked { items, into_existing: self.into_existing };
        let landed = self.post(&asked).await?;
        if landed.len() != places.len() {
            bail!("{} answered for {} items of {}", self.settings.node.name, landed.len(), places.len());
        }
        for (landed, (room, seq)) in landed.into_iter().zip(places) {
            let here = match landed {
                Landed::New(here) => {
                    self.new[kind] += 1;
                    Some(here)
                }
                Landed::There(here) => {
                    self.there[kind] += 1;
                    Some(here)
                }
                Landed::Skipped(why) => {
                    self.leave_out(why, 1);
                    None
                }
            };
            match (asked.items.first(), here) {
                (Some(Imported::Room { .. }), here) => drop(self.rooms.insert(room, here.map(RoomId))),
                (Some(Imported::Message(_)), Some(here)) => {
                    self.runs.entry(room).or_default().add(seq, Seq(here));
                }
                _ => {}
            }
        }
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            terminal::complain(&format!("{} messages", self.new[3] + self.there[3]));
        }
        Ok(())
    }

    /// All of it may be repeated: what was done is found again.
    async fn post(&self, asked: &Asked) -> anyhow::Result<Vec<Landed>> {
        let body = serde_json::to_vec(asked).context("items cannot be written as JSON")?;
        let url = format!("{}{PATH}", self.settings.peer.url);
        let secret = self.settings.peer.secret.reveal();
        let until = Instant::now() + TRY_FOR;
        loop {
            let why = match node_client::post(&self.client, &url, secret, body.clone(), ANSWER_MAX).await {
                Ok(answer) if answer.status == 200 => {
                    let done: Done = serde_json::from_slice(&answer.body)
                        .map_err(|error| anyhow!("the node's answer cannot be read: {error}"))?;
                    return Ok(done.landed);
                }
                Ok(answer) if answer.status >= 500 => status::refusal(self.settings, &answer),
                Ok(answer) => bail!(status::refusal(self.settings, &answer)),
                Err(reason) => format!("{} does not answer: {reason}", self.settings.node.name),
            };
            if Instant::now() >= until {
                bail!("{why}: what was brought stays, and the same command goes on");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The summary.
    pub fn tell(&self) {
        for (place, kind) in KINDS.iter().enumerate() {
            let (new, there) = (self.new[place], self.there[place]);
            terminal::say(&format!("{kind}: {new} new, {there} there already"));
        }
        terminal::say(&format!("files: {} new", self.files));
        if self.cut > 0 {
            let bytes = self.settings.limits.message_bytes;
            terminal::say(&format!("cut: {} messages longer than {bytes} bytes", self.cut));
        }
        for (why, count) in &self.skipped {
            terminal::say(&format!("skipped {count}: {why}"));
        }
        if self.new[6] + self.new[7] > 0 {
            terminal::say(
                "bots have no token until an admin renews it, hooks no address; subscriptions that came are off: \
                 their secret stayed where it was, subscribe anew",
            );
        }
        if self.new[0] > 0 {
            terminal::say(
                "the new users have no password: an admin's reset link lets each in; \
                 `replicated-chat admin NAME` with a new name makes the first admin",
            );
        }
    }
}

fn kind_of(item: &Imported) -> usize {
    match item {
        Imported::User(_) => 0,
        Imported::Room { .. } => 1,
        Imported::Member { .. } => 2,
        Imported::Message(_) => 3,
        Imported::Read { .. } => 4,
        Imported::Mute { .. } => 5,
        Imported::Bot(_) => 6,
        Imported::Subscription { .. } => 7,
    }
}

fn in_words(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_in_stretches() {
        let mut runs = Runs::default();
        for (there, here) in [(1, 4), (2, 5), (4, 6), (5, 9)] {
            runs.add(Seq(there), Seq(here));
        }
        assert_eq!(runs.0.len(), 3);
        let exactly = |there| runs.exactly(Seq(there)).map(|seq| seq.0);
        assert_eq!([1, 2, 3, 4, 5, 6].map(exactly), [Some(4), Some(5), None, Some(6), Some(9), None]);
        let up_to = |there| runs.up_to(Seq(there)).map(|seq| seq.0);
        assert_eq!([0, 1, 3, 9].map(up_to), [None, Some(4), Some(5), Some(9)]);
    }
}
