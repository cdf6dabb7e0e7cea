//! The lines that `export` writes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use chat_actors::chat::portable::{FORMAT, Header, Imported, ImportedMessage, Line, VERSION};
use chat_actors::ids::RoomId;

use super::{Brought, Lines, Local, TextLine, fitting, id_of};

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
        brought.item.check(message_bytes).map_err(|refusal| line.wrong(refusal.message))?;
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
        let (mut files, mut cut) = (Vec::new(), false);
        let item = match line {
            Line::User(user) => Imported::User(user),
            Line::Room(room) => {
                Imported::Room { key: id_of(&[&self.header.epoch, &room.room.to_string()]), room }
            }
            Line::Member { room, user } => Imported::Member { room, user },
            Line::Message(mut message) => {
                (message.text, cut) = fitting(&message.text, self.message_bytes);
                for version in &mut message.versions {
                    version.text = fitting(&version.text, self.message_bytes).0;
                }
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
        Some(Brought { item, files, cut })
    }
}
