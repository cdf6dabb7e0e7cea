//! For scripts, without a screen: one message sent, or events followed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use chrono::{DateTime, Local};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::client::Ending;
use super::feed::{Feed, Step};
use super::frames::{Cluster, EventKind, Message, Outcome, Problem, Room};
use super::places::{Next, Place, Search};
use super::talk::{self, Heard, Talk};
use super::{LoggedOut, clean};
use crate::portable::{self, Source};
use crate::signals::StopSignals;
use crate::terminal;

/// More than any message may hold.
const INPUT_BYTES_MAX: u64 = 16 << 20;
/// Between two tries to find a room.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
/// How long a question may go without an answer before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a node gives at most at once.
const PAGE: u64 = 200;

/// What hinders a message.
const NO_ANSWER: &str = "no node answered";
const NO_MAJORITY: &str = "no majority of the servers answers";

/// Which room, and whether to enter it.
#[derive(Debug, Clone)]
pub struct Where {
    pub room: Place,
    pub joins: bool,
}

/// The text to send: as given, or standard input for `-`, without its last line break.
///
/// # Errors
/// When standard input is no text.
pub fn text(given: &str) -> anyhow::Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    io::stdin()
        .take(INPUT_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| anyhow!("cannot read a message from standard input: {error}"))?;
    let end = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(end.unwrap_or(&text).to_owned())
}

/// Sends one message and prints its place in the room once it is acknowledged.
///
/// # Errors
/// When it is refused, or not acknowledged in time: then it waits in the outbox.
pub async fn send(talk: &mut Talk, place: &Where, text: &str, timeout: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    let mut why = NO_ANSWER.to_owned();
    let room = tokio::select! {
        found = find(talk, place, &mut why) => found?.0.room,
        () = sleep_until(deadline) => {
            let seconds = timeout.as_secs();
            let Some(room) = remembered(talk, &place.room)? else {
                bail!("not sent and not kept: in {seconds} s {why}; try again when a node answers");
            };
            talk.write("send", room, talk::message(text, None))?;
            bail!("not acknowledged within {seconds} s ({why}): the message waits in the outbox, and the next chat command sends it");
        }
    };
    let id = talk.write("send", room, talk::message(text, None))?;
    let sent = tokio::select! {
        sent = acknowledged(talk, &id, &mut why) => sent?,
        () = sleep_until(deadline) => bail!(
            "not acknowledged within {} s ({why}): the message waits in the outbox, and the next chat command sends it",
            timeout.as_secs()
        ),
    };
    terminal::say(&sent.to_string());
    Ok(())
}

/// Writes all that one may see into a file, with the bytes of files beside it.
///
/// # Errors
/// When no node answers, the file is there or cannot be written; then nothing was made.
pub async fn export(talk: &mut Talk, file: &Path) -> anyhow::Result<()> {
    let mut why = NO_ANSWER.to_owned();
    let source = tokio::select! {
        source = served(talk, &mut why) => source?,
        () = sleep(PATIENCE) => bail!("{why}: nothing was made"),
    };
    portable::save(&source, file).await
}

/// The node that serves us, once there is one.
async fn served(talk: &mut Talk, why: &mut String) -> anyhow::Result<Source> {
    loop {
        if let Some((url, token)) = talk.served() {
            return Source::of_person(url, token);
        }
        match talk.next().await? {
            Heard::Lost { why: lost } => *why = lost,
            Heard::Ended(ending) => return Err(ended(ending)),
            _ => {}
        }
    }
}

/// Prints what happens until a signal comes or nobody reads it any more.
///
/// # Errors
/// When the chat lets us in no more.
pub async fn follow(
    talk: &mut Talk,
    place: Option<&Where>,
    after: Option<u64>,
    json: bool,
) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    tokio::select! {
        ended = follow_on(talk, place, after, json) => ended,
        () = signals.next() => Ok(()),
    }
}

async fn follow_on(
    talk: &mut Talk,
    place: Option<&Where>,
    after: Option<u64>,
    json: bool,
) -> anyhow::Result<()> {
    let mut why = String::new();
    let mut feed = match place {
        Some(place) => {
            let (room, seen) = find(talk, place, &mut why).await?;
            let last = after.map_or(room.last_seq, |after| after.min(room.last_seq));
            Feed::of_room(room.room, last, seen)
        }
        None => Feed::default(),
    };
    let mut printer = Printer { json, names: place.is_none().then(Names::default) };
    // What came while the room was looked for is asked for, too.
    let mut steps = feed.begin();
    let mut asked: Vec<(String, u64)> = Vec::new();
    loop {
        for step in steps {
            match step {
                Step::Ask { room, after } => {
                    let fields = json!({"room": room, "after": after, "limit": PAGE});
                    asked.push((talk.ask("history", fields, PATIENCE), room));
                }
                Step::Print(frame) => {
                    if printer.print(&frame).is_err() {
                        // Nobody reads any more.
                        return Ok(());
                    }
                }
            }
        }
        steps = match talk.next().await? {
            Heard::Welcome(welcome) => {
                if let Some(names) = &mut printer.names {
                    names.me.clone_from(&welcome.user.name);
                    welcome.rooms.iter().for_each(|room| names.learn(room));
                }
                feed.welcome(&welcome)
            }
            Heard::Event(event) => {
                if let (Some(names), EventKind::Room(room)) = (&mut printer.names, &event.kind) {
                    names.learn(room);
                }
                feed.event(*event)
            }
            Heard::Reply { id, outcome } => match asked.iter().position(|(asked, _)| *asked == id) {
                Some(place) => {
                    let (_, room) = asked.swap_remove(place);
                    page(&mut feed, room, outcome).await
                }
                None => Vec::new(),
            },
            Heard::Ended(ending) => return Err(ended(ending)),
            Heard::Lost { .. } | Heard::Sent { .. } | Heard::Refused { .. } | Heard::Outbox => Vec::new(),
        };
    }
}

/// A page of history, or why there is none: then it is asked for again, unless one is no longer in that room.
async fn page(feed: &mut Feed, room: u64, outcome: Outcome) -> Vec<Step> {
    match outcome {
        Ok(reply) => feed.page(room, &reply),
        Err(problem) if is_passing(&problem) => {
            sleep(RETRY_PAUSE).await;
            feed.unanswered(room).into_iter().collect()
        }
        Err(problem) => {
            terminal::complain(&format!("the history of room {room} is refused: {problem}"));
            feed.forget(room);
            Vec::new()
        }
    }
}

/// Looks for a room until it is found, and says up to which `at` events went by meanwhile; `why` is kept true about what
/// hinders that.
async fn find(talk: &mut Talk, place: &Where, why: &mut String) -> anyhow::Result<(Room, u64)> {
    let search = Search::new(place.room.clone(), place.joins);
    let mut asked: Option<(String, &'static str, Value)> = None;
    let mut seen = 0;
    loop {
        let next = match talk.next().await? {
            Heard::Welcome(welcome) => {
                if !welcome.resumed {
                    seen = welcome.cursor;
                }
                let hindrance = if welcome.cluster.quorum { NO_ANSWER } else { NO_MAJORITY };
                hindrance.clone_into(why);
                if asked.is_some() {
                    continue;
                }
                search.begin(&welcome.rooms, &welcome.user.name)
            }
            Heard::Event(event) => {
                seen = event.at.map_or(seen, |at| at.max(seen));
                continue;
            }
            Heard::Reply { id, outcome } => {
                let Some((_, op, fields)) = asked.take_if(|(asked, ..)| *asked == id) else { continue };
                match outcome {
                    Ok(reply) => search.answered(&reply),
                    Err(problem) if is_passing(&problem) => {
                        *why = problem.message;
                        sleep(RETRY_PAUSE).await;
                        Next::Ask { op, fields }
                    }
                    Err(problem) => search.refused(&problem),
                }
            }
            Heard::Lost { why: lost } => {
                *why = lost;
                continue;
            }
            Heard::Ended(ending) => return Err(ended(ending)),
            _ => continue,
        };
        match next {
            Next::Found(room) => return Ok((*room, seen)),
            Next::Ask { op, fields } => {
                asked = Some((talk.ask(op, fields.clone(), PATIENCE), op, fields));
            }
            Next::Failed(why) => bail!(why),
        }
    }
}

/// Waits until what was written is a message, and says which.
async fn acknowledged(talk: &mut Talk, id: &str, why: &mut String) -> anyhow::Result<u64> {
    loop {
        match talk.next().await? {
            Heard::Sent { id: sent, seq: Some(seq) } if sent == id => return Ok(seq),
            Heard::Refused { id: refused, problem } if refused == id => {
                talk.discard(id)?;
                bail!("not sent: {problem}");
            }
            Heard::Lost { why: lost } => *why = lost,
            Heard::Ended(ending) => return Err(ended(ending)),
            Heard::Event(event) => {
                if let EventKind::Cluster(Cluster { quorum: false, .. }) = &event.kind {
                    NO_MAJORITY.clone_into(why);
                }
            }
            _ => {}
        }
    }
}

fn remembered(talk: &Talk, place: &Place) -> anyhow::Result<Option<u64>> {
    match place {
        Place::Named(name) => talk.remembered_room(name),
        Place::Direct(_) => Ok(None),
    }
}

/// Whether the same question may be answered a moment later.
fn is_passing(problem: &Problem) -> bool {
    problem.retry || problem.code == "timeout"
}

/// The end of the conversation as an error.
pub fn ended(ending: Ending) -> anyhow::Error {
    match ending {
        Ending::LoggedOut(problem) => LoggedOut(problem.message).into(),
        Ending::Stopped(problem) => anyhow!(problem.message),
    }
}

struct Printer {
    json: bool,
    /// When more than one room is followed, each line says which.
    names: Option<Names>,
}

/// What rooms are called.
#[derive(Default)]
struct Names {
    me: String,
    rooms: HashMap<u64, String>,
}

impl Names {
    fn learn(&mut self, room: &Room) {
        self.rooms.insert(room.room, room.title(&self.me));
    }
}

impl Printer {
    fn print(&self, frame: &Value) -> io::Result<()> {
        if self.json {
            return terminal::print(&clean::json(&frame.to_string()));
        }
        match Message::deserialize(frame) {
            Ok(message) if frame["ev"] == "message" => {
                let room = self.names.as_ref().and_then(|names| names.rooms.get(&message.room));
                terminal::print(&line(&message, room.map(String::as_str)))
            }
            _ => Ok(()),
        }
    }
}

/// `HH:MM name: text`, in the reader's own time.
fn line(message: &Message, room: Option<&str>) -> String {
    let time = clock(message.time);
    let (room, from) = (room.map(|room| format!("{room} ")).unwrap_or_default(), &message.from);
    let text = if message.deleted { "(deleted)" } else { &message.text };
    let edited = if message.edited && !message.deleted { " (edited)" } else { "" };
    let files: String = message.files.iter().map(|file| format!(" [{}]", file.name)).collect();
    clean::line(&format!("{time} {room}{from}{edited}: {text}{files}"))
}

/// The time of day of Unix milliseconds, in the reader's own time zone.
pub fn clock(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| "--:--".into(), |time| time.with_timezone(&Local).format("%H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_harm() {
        let text = "a\nb \u{1b}[2J".to_owned();
        let message = Message { from: "ann".into(), text, time: 1_700_000_000_000, ..Message::default() };
        let shown = line(&message, Some("general"));
        assert_eq!(&shown[5..], r" general ann: a\nb \u{1b}[2J");
        let deleted = Message { deleted: true, edited: true, from: "ann".into(), ..Message::default() };
        assert!(line(&deleted, None).ends_with(" ann: (deleted)"));
    }

    #[test]
    fn text_is_taken_as_it_is() {
        assert_eq!(text("  hi\n").unwrap(), "  hi\n");
    }
}
