//! The lines that `export` writes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use chat_actors::chat::apply::VERSIONS_MAX;
use chat_actors::chat::portable::{
    FORMAT, Header, Imported, ImportedMessage, Line, PortableMessage, VERSION,
};
use chat_actors::chat::rules;
use chat_actors::files::names;
use chat_actors::ids::RoomId;

use super::fitted::{ROOM_CHARS, TOPIC_CHARS, one_line};
use super::{Brought, ITEM_BYTES_MAX, Lines, Local, TextLine, check, fitting, id_of, json_bytes};

/// What is around a message and its versions as JSON, at most.
const AROUND_BYTES: usize = 256;

/// Reads the file whole, and gives its items if nothing in it is wrong.
///
/// # Errors
/// The number of a bad line and what is wrong with it.
pub fn read(
    file: &Path,
    message_bytes: usize,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Brought>> + use<>> {
    let mut lines = Lines::open(file)?;
    let Some(first) = lines.next().transpose()? else { bail!("{} is empty", file.display()) };
    let header = match parse(&first)? {
        Line::Header(header) if header.format == FORMAT && header.version <= VERSION => header,
        Line::Header(header) if header.format == FORMAT => {
            bail!(first.wrong(format!("version {}: run a newer replicated-chat", header.version)))
        }
        _ => bail!(first.wrong("this is not the header of an export")),
    };
    let mut folder = OsString::from(file);
    folder.push(".files");
    let reading = Reading { header, folder: folder.into(), message_bytes };
    let (mut rooms, mut ended): (HashSet<RoomId>, _) = (HashSet::new(), false);
    for line in lines {
        let line = line?;
        ensure!(!ended, line.wrong("a line behind the end"));
        let parsed = parse(&line)?;
        ended = matches!(parsed, Line::End(_));
        let Some(brought) = reading.item(parsed) else { continue };
        match &brought.item {
            Imported::Room { room, .. } => {
                ensure!(rooms.insert(room.room), line.wrong("a second room of this number"));
            }
            Imported::Member { room, .. } | Imported::Read { room, .. } | Imported::Mute { room, .. } => {
                known(&rooms, *room, &line)?;
            }
            Imported::Message(item) => known(&rooms, item.message.room, &line)?,
            Imported::Subscription { subscription, .. } => known(&rooms, subscription.room, &line)?,
            Imported::Bot(bot) => bot.hook.map_or(Ok(()), |room| known(&rooms, room, &line))?,
            Imported::User(_) => {}
        }
        check(&brought.item, message_bytes).map_err(|why| line.wrong(why))?;
    }
    ensure!(ended, "{} is not whole: its last line is missing, export it again", file.display());
    let items = Lines::open(file)?.map(move |line| Ok(reading.item(parse(&line?)?)));
    Ok(items.filter_map(Result::transpose))
}

fn parse(line: &TextLine) -> anyhow::Result<Line> {
    serde_json::from_slice(&line.text).map_err(|error| line.wrong(error))
}

fn known(rooms: &HashSet<RoomId>, room: RoomId, line: &TextLine) -> anyhow::Result<()> {
    ensure!(rooms.contains(&room), line.wrong(format!("no room {room} came before")));
    Ok(())
}

struct Reading {
    header: Header,
    /// Where the bytes of files lie.
    folder: PathBuf,
    message_bytes: usize,
}

impl Reading {
    fn item(&self, line: Line) -> Option<Brought> {
        let (mut files, mut cut, mut versions_cut) = (Vec::new(), false, 0);
        let item = match line {
            Line::User(mut user) => {
                straighten(&mut user.display, ROOM_CHARS);
                Imported::User(user)
            }
            Line::Room(mut room) => {
                straighten(&mut room.name, ROOM_CHARS);
                straighten(&mut room.topic, TOPIC_CHARS);
                Imported::Room { key: id_of(&[&self.header.epoch, &room.room.to_string()]), room }
            }
            Line::Member { room, user } => Imported::Member { room, user },
            Line::Message(mut message) => {
                (message.text, cut) = fitting(&message.text, self.message_bytes);
                for version in &mut message.versions {
                    version.text = fitting(&version.text, self.message_bytes).0;
                }
                for file in &mut message.files {
                    file.name = names::clean(&file.name);
                }
                versions_cut = keep_newest_versions(&mut message);
                let local = |file: &chat_actors::chat::objects::File| Local {
                    name: file.name.clone(),
                    path: self.folder.join(file.file.to_string()),
                    file: Some(file.file),
                };
                files = message.files.iter().map(local).collect();
                let (room, seq) = (message.room.to_string(), message.seq.to_string());
                let other_id = id_of(&[&self.header.epoch, &room, &seq, &message.from, &message.id]);
                Imported::Message(Box::new(ImportedMessage { message: *message, other_id, answers: None }))
            }
            Line::Read { room, user, seq } => Imported::Read { room, user, seq },
            Line::Mute { room, user } => Imported::Mute { room, user },
            Line::Bot(bot) => Imported::Bot(bot),
            Line::Subscription(subscription) => Imported::Subscription {
                key: id_of(&[&self.header.epoch, "subscription", &subscription.id.to_string()]),
                subscription,
            },
            Line::Header(_) | Line::End(_) | Line::Unknown => return None,
        };
        Some(Brought { item, files, cut, versions_cut })
    }
}

/// An earlier program took some characters that mislead: they are left out, and nothing else is changed.
fn straighten(text: &mut String, chars_max: usize) {
    if text.contains(rules::misleads) {
        *text = one_line(text, chars_max);
    }
}

/// Leaves out the oldest versions: more than the chat keeps, or than can be brought with their message. Gives
/// how many these were.
fn keep_newest_versions(message: &mut PortableMessage) -> usize {
    let versions = std::mem::take(&mut message.versions);
    let room = ITEM_BYTES_MAX.saturating_sub(AROUND_BYTES).saturating_sub(json_bytes(message));
    let mut bytes = 0;
    let kept = versions.iter().rev().take(VERSIONS_MAX as usize).take_while(|version| {
        bytes += json_bytes(version) + 1;
        bytes <= room
    });
    let cut = versions.len() - kept.count();
    message.versions = versions.into_iter().skip(cut).collect();
    cut
}

#[cfg(test)]
mod tests {
    use chat_actors::chat::objects::Version;

    use super::*;

    fn message(versions: u64, bytes: usize) -> PortableMessage {
        let said = r#"{"room":1,"seq":1,"id":"1","from":"ann","text":"now","time":9}"#;
        let mut message: PortableMessage = serde_json::from_str(said).unwrap();
        let version = |version| Version { version, text: "\"".repeat(bytes), time: version };
        message.versions = (1..=versions).map(version).collect();
        message
    }

    #[test]
    fn the_newest_versions_are_brought_as_far_as_they_fit() {
        for (versions, bytes, cut) in [(0, 0, 0), (100, 8192, 0), (1200, 8192, 1100), (100, 65_536, 37)] {
            let mut message = message(versions, bytes);
            assert_eq!(keep_newest_versions(&mut message), cut, "{versions} of {bytes}");
            assert_eq!(message.versions.last().map_or(0, |last| last.version), versions);
            assert_eq!(message.versions.len(), versions as usize - cut);
            let other_id = "0".repeat(36);
            let item =
                Imported::Message(Box::new(ImportedMessage { message, other_id, answers: Some(usize::MAX) }));
            assert_eq!(check(&item, bytes.max(8)), Ok(()), "{versions} of {bytes}");
        }
    }

    #[test]
    fn what_is_too_large_to_be_brought_is_wrong_in_the_file() {
        let mut large = message(0, 0);
        large.text = "\"".repeat(ITEM_BYTES_MAX / 2);
        let (other_id, bytes) = ("2".to_owned(), large.text.len());
        let item = Imported::Message(Box::new(ImportedMessage { message: large, other_id, answers: None }));
        let refused = check(&item, bytes).unwrap_err();
        assert!(refused.contains("are brought at once"), "{refused}");
    }
}
