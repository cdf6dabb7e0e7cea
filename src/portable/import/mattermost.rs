//! Mattermost's bulk export: one object a line, with its `type` and, under that name, what it holds.
//!
//! Users, channels and who is in them are few and stay in memory; of messages only where each stands, so that
//! they can be brought in the order of their times, replies among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use chat_actors::chat::objects::{Role, RoomKind, User};
use chat_actors::chat::portable::{Imported, ImportedMessage, PortableMessage, PortableRoom};
use chat_actors::chat::rules;
use chat_actors::files::names;
use chat_actors::ids::{RoomId, Seq};
use serde::Deserialize;

use super::fitted::{ROOM_CHARS, TOPIC_CHARS, emoji, one_line, person_name, shown};
use super::{Brought, Lines, Local, TextLine, check, fitting, id_of};

const VERSION: u64 = 1;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    version: Option<u64>,
    team: Option<Team>,
    channel: Option<Channel>,
    user: Option<Person>,
    bot: Option<Robot>,
    post: Option<Post>,
    direct_channel: Option<DirectChannel>,
    direct_post: Option<Post>,
}

#[derive(Deserialize)]
struct Team {
    name: String,
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize)]
struct Channel {
    team: String,
    name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    header: String,
    #[serde(default)]
    purpose: String,
}

#[derive(Deserialize)]
struct Person {
    username: String,
    #[serde(default)]
    nickname: String,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default)]
    roles: String,
    delete_at: Option<u64>,
    teams: Option<Vec<Membership>>,
}

#[derive(Deserialize)]
struct Membership {
    name: String,
    channels: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Robot {
    username: String,
    #[serde(default)]
    display_name: String,
    delete_at: Option<u64>,
}

#[derive(Deserialize)]
struct DirectChannel {
    members: Option<Vec<String>>,
    participants: Option<Vec<Participant>>,
}

#[derive(Deserialize)]
struct Participant {
    username: String,
}

#[derive(Deserialize)]
struct Post {
    #[serde(default)]
    team: String,
    #[serde(default)]
    channel: String,
    channel_members: Option<Vec<String>>,
    #[serde(flatten)]
    said: Said,
    replies: Option<Vec<Said>>,
}

#[derive(Clone, Deserialize)]
struct Said {
    user: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
    create_at: u64,
    edit_at: Option<u64>,
    reactions: Option<Vec<Reaction>>,
    attachments: Option<Vec<Attachment>>,
}

#[derive(Clone, Deserialize)]
struct Reaction {
    user: String,
    emoji_name: String,
}

#[derive(Clone, Deserialize)]
struct Attachment {
    path: String,
}

/// One message: where its line begins, and which reply of it; 0 is the post itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    room: RoomId,
    time: u64,
    offset: u64,
    part: usize,
}

/// What the file holds.
pub struct Plan {
    file: PathBuf,
    message_bytes: usize,
    users: BTreeMap<String, User>,
    rooms: Vec<(String, PortableRoom)>,
    by_key: HashMap<String, RoomId>,
    members: BTreeSet<(RoomId, String)>,
    messages: Vec<Standing>,
    left_out: BTreeMap<String, u64>,
}

/// Reads the file whole.
///
/// # Errors
/// The number of a bad line and what is wrong with it.
pub fn plan(file: &Path, message_bytes: usize) -> anyhow::Result<Plan> {
    let mut plan = Plan {
        file: file.to_owned(),
        message_bytes,
        users: BTreeMap::new(),
        rooms: Vec::new(),
        by_key: HashMap::new(),
        members: BTreeSet::new(),
        messages: Vec::new(),
        left_out: BTreeMap::new(),
    };
    let (mut teams, mut begun, mut belongs) = (HashMap::new(), false, Vec::new());
    for line in Lines::open(file)? {
        let line = line?;
        let parsed: Line = serde_json::from_slice(&line.text).map_err(|error| line.wrong(error))?;
        if !begun {
            match parsed.version {
                Some(VERSION) if parsed.kind == "version" => begun = true,
                Some(version) => bail!(line.wrong(format!("version {version} is not known here"))),
                None => bail!(line.wrong("this is not the version line of a bulk export")),
            }
            continue;
        }
        plan.take(parsed, &line, &mut teams, &mut belongs)?;
    }
    // Users come before some of the channels that they are in.
    for (key, user) in belongs {
        match plan.by_key.get(&key) {
            Some(room) => drop(plan.members.insert((*room, user))),
            None => plan.leave_out(format!("memberships of {key}, which is not in the file")),
        }
    }
    plan.messages.sort_unstable();
    plan.name_rooms(&teams);
    plan.check()?;
    Ok(plan)
}

impl Plan {
    /// What is not brought, and how much of it.
    pub fn left_out(&self) -> Vec<(String, u64)> {
        self.left_out.iter().map(|(why, count)| (why.clone(), *count)).collect()
    }

    fn leave_out(&mut self, why: String) {
        *self.left_out.entry(why).or_default() += 1;
    }

    fn take(
        &mut self,
        parsed: Line,
        line: &TextLine,
        teams: &mut HashMap<String, String>,
        belongs: &mut Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let missing = || line.wrong(format!("there is no {} in a line of this type", parsed.kind));
        match parsed.kind.as_str() {
            "team" => {
                let team = parsed.team.ok_or_else(missing)?;
                teams.insert(team.name, team.display_name);
            }
            "channel" => self.take_channel(parsed.channel.ok_or_else(missing)?),
            "user" => {
                let person = parsed.user.ok_or_else(missing)?;
                let name = person_name(&person.username).map_err(|why| line.wrong(why))?;
                for team in person.teams.iter().flatten() {
                    for channel in team.channels.iter().flatten() {
                        belongs.push((channel_key(&team.name, &channel.name), name.clone()));
                    }
                }
                self.users.insert(name.clone(), user_of(name, &person));
            }
            "bot" => {
                let robot = parsed.bot.ok_or_else(missing)?;
                let name = person_name(&robot.username).map_err(|why| line.wrong(why))?;
                let (display, role) = (shown(&robot.display_name, &name), Role::Member);
                let disabled = robot.delete_at.is_some_and(|at| at > 0);
                let user = User { name: name.clone(), display, role, deleted: false, disabled, bot: true };
                self.users.insert(name, user);
            }
            "direct_channel" => {
                let direct = parsed.direct_channel.ok_or_else(missing)?;
                let people = direct.participants.into_iter().flatten().map(|person| person.username);
                let people: Vec<String> = direct.members.into_iter().flatten().chain(people).collect();
                self.direct(&people, line)?;
            }
            "post" => {
                let post = parsed.post.ok_or_else(missing)?;
                match self.by_key.get(&channel_key(&post.team, &post.channel)).copied() {
                    Some(room) => self.take_post(room, &post, line)?,
                    None => bail!(line.wrong(format!("no channel {} came before", post.channel))),
                }
            }
            "direct_post" => {
                let post = parsed.direct_post.ok_or_else(missing)?;
                let people = post.channel_members.clone().unwrap_or_default();
                if let Some(room) = self.direct(&people, line)? {
                    self.take_post(room, &post, line)?;
                }
            }
            other => self.leave_out(format!("lines of type {other}: there is nothing like it here")),
        }
        Ok(())
    }

    fn take_channel(&mut self, channel: Channel) {
        let key = channel_key(&channel.team, &channel.name);
        let room = RoomId(self.rooms.len() as u64 + 1);
        let kind = if channel.kind == "P" { RoomKind::Private } else { RoomKind::Public };
        let name = if channel.display_name.trim().is_empty() { channel.name } else { channel.display_name };
        let topic = if channel.header.trim().is_empty() { channel.purpose } else { channel.header };
        let (name, topic) = (one_line(&name, ROOM_CHARS), one_line(&topic, TOPIC_CHARS));
        let creator = Some(String::new());
        if self.by_key.insert(key.clone(), room).is_none() {
            self.rooms.push((key, PortableRoom { room, name, kind, topic, users: Vec::new(), creator }));
        }
    }

    /// The conversation of these people; none when there can be none here.
    fn direct(&mut self, people: &[String], line: &TextLine) -> anyhow::Result<Option<RoomId>> {
        let users: BTreeSet<String> = people
            .iter()
            .map(|name| person_name(name))
            .collect::<Result<_, _>>()
            .map_err(|why| line.wrong(why))?;
        if !rules::DIRECT_USERS.contains(&users.len()) {
            self.leave_out(format!("direct conversations of {} people: here are 2 to 9 in one", users.len()));
            return Ok(None);
        }
        let users: Vec<String> = users.into_iter().collect();
        let key = format!("direct {}", users.join(","));
        if let Some(room) = self.by_key.get(&key) {
            return Ok(Some(*room));
        }
        let room = RoomId(self.rooms.len() as u64 + 1);
        let (name, topic, creator) = (String::new(), String::new(), Some(String::new()));
        self.by_key.insert(key.clone(), room);
        self.rooms.push((key, PortableRoom { room, name, kind: RoomKind::Direct, topic, users, creator }));
        Ok(Some(room))
    }

    fn take_post(&mut self, room: RoomId, post: &Post, line: &TextLine) -> anyhow::Result<()> {
        for (part, said) in std::iter::once(&post.said).chain(post.replies.iter().flatten()).enumerate() {
            let name = person_name(&said.user).map_err(|why| line.wrong(why))?;
            if !self.users.contains_key(&name) {
                bail!(line.wrong(format!("no user {name} came before")));
            }
            let has_files = said.attachments.iter().flatten().next().is_some();
            if said.kind.starts_with("system_") {
                self.leave_out("messages of the system".to_owned());
            } else if said.message.trim().is_empty() && !has_files {
                self.leave_out("messages without any text".to_owned());
            } else {
                let time = said.create_at;
                self.messages.push(Standing { room, time, offset: line.offset, part });
            }
        }
        Ok(())
    }

    /// Channels of several teams may have the same name: then all of these carry their team's.
    fn name_rooms(&mut self, teams: &HashMap<String, String>) {
        let mut count: HashMap<String, u32> = HashMap::new();
        for (_, room) in self.rooms.iter().filter(|(_, room)| room.kind != RoomKind::Direct) {
            *count.entry(room.name.clone()).or_default() += 1;
        }
        let mut taken = BTreeSet::new();
        for (key, room) in self.rooms.iter_mut().filter(|(_, room)| room.kind != RoomKind::Direct) {
            let (team, channel) = key.split_once('/').unwrap_or(("", key));
            if count.get(&room.name).is_some_and(|count| *count > 1) {
                let team = teams.get(team).filter(|shown| !shown.is_empty()).map_or(team, String::as_str);
                room.name = one_line(&format!("{team}: {}", room.name), ROOM_CHARS);
            }
            if !taken.insert(room.name.clone()) {
                room.name = one_line(&format!("{channel} {}", &id_of(&[key])[..8]), ROOM_CHARS);
            }
        }
    }

    /// Whether each item has the form that the chat takes.
    fn check(&self) -> anyhow::Result<()> {
        for brought in self.begin().chain(self.messages()?) {
            let mut brought = brought?;
            // With its files, or with their names when they are not there.
            if let Imported::Message(item) = &mut brought.item
                && item.message.text.is_empty()
                && !brought.files.is_empty()
            {
                item.message.text = "files".to_owned();
            }
            let wrong = |why| anyhow::anyhow!("{}: {why}: {:?}", self.file.display(), brought.item);
            check(&brought.item, self.message_bytes).map_err(wrong)?;
        }
        Ok(())
    }

    /// Everything, in its order. What was said counts as read by who was there.
    pub fn items(self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Brought>>> {
        let mut ends: HashMap<RoomId, u64> = HashMap::new();
        for message in &self.messages {
            *ends.entry(message.room).or_default() += 1;
        }
        let direct = self.rooms.iter().flat_map(|(_, room)| {
            room.users.iter().map(|user| (room.room, user.clone())).collect::<Vec<_>>()
        });
        let readers: BTreeSet<(RoomId, String)> = self.members.iter().cloned().chain(direct).collect();
        let reads = readers.into_iter().filter_map(move |(room, user)| {
            let seq = Seq(*ends.get(&room)?);
            Some(Ok(plain(Imported::Read { room, user, seq })))
        });
        let begin: Vec<_> = self.begin().collect();
        Ok(begin.into_iter().chain(self.messages()?).chain(reads))
    }

    fn begin(&self) -> impl Iterator<Item = anyhow::Result<Brought>> {
        let users = self.users.values().cloned().map(Imported::User);
        let rooms = self
            .rooms
            .iter()
            .map(|(key, room)| Imported::Room { key: id_of(&["mattermost", key]), room: room.clone() });
        let members =
            self.members.iter().map(|(room, user)| Imported::Member { room: *room, user: user.clone() });
        users.chain(rooms).chain(members).map(|item| Ok(plain(item)))
    }

    fn messages(&self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Brought>> + use<>> {
        let opened =
            File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let mut reading = Reading {
            folder: self.file.parent().unwrap_or(Path::new("")).to_owned(),
            keys: self.rooms.iter().map(|(key, room)| (room.room, key.clone())).collect(),
            reader: BufReader::new(opened),
            message_bytes: self.message_bytes,
            line: None,
            roots: HashMap::new(),
            last: (RoomId(0), Seq(0)),
        };
        let messages = self.messages.clone();
        Ok(messages.into_iter().map(move |standing| reading.message(standing)))
    }
}

/// What it takes to read messages where they stand.
struct Reading {
    folder: PathBuf,
    keys: HashMap<RoomId, String>,
    reader: BufReader<File>,
    message_bytes: usize,
    /// The line that was read last.
    line: Option<(u64, Post)>,
    /// The place that posts with replies were given, by where they stand.
    roots: HashMap<u64, Seq>,
    last: (RoomId, Seq),
}

impl Reading {
    fn message(&mut self, standing: Standing) -> anyhow::Result<Brought> {
        let Standing { room, time, offset, part } = standing;
        let post = match self.line.take() {
            Some((at, post)) if at == offset => post,
            _ => self.read(offset)?,
        };
        let changed = "the file was changed while it was read";
        let said = match part.checked_sub(1) {
            None => Some(&post.said),
            Some(reply) => post.replies.iter().flatten().nth(reply),
        };
        let said = said.context(changed)?.clone();
        let seq = if self.last.0 == room { self.last.1.next() } else { Seq(1) };
        self.last = (room, seq);
        if part == 0 && post.replies.iter().flatten().next().is_some() {
            self.roots.insert(offset, seq);
        }
        let reply_to = if part == 0 { None } else { self.roots.get(&offset).copied() };
        self.line = Some((offset, post));

        let key = self.keys.get(&room).context(changed)?;
        let (text, cut) = fitting(&said.message, self.message_bytes);
        let from = person_name(&said.user).map_err(anyhow::Error::msg)?;
        let id = |more: &str| id_of(&["mattermost", key, &from, &time.to_string(), &said.message, more]);
        let (id, other_id) = (id(""), id("again"));
        let mut reactions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for reaction in said.reactions.iter().flatten() {
            let Ok(user) = person_name(&reaction.user) else { continue };
            reactions.entry(emoji(&reaction.emoji_name)).or_default().push(user);
        }
        let files: Vec<Local> =
            said.attachments.iter().flatten().take(rules::FILES_MAX).map(|it| self.local(it)).collect();
        let text = if text.trim().is_empty() { String::new() } else { text };
        let edited = said.edit_at.is_some_and(|at| at > 0);
        let message = PortableMessage {
            room,
            seq,
            id,
            from,
            text,
            time,
            version: 1 + u64::from(edited),
            edited,
            deleted: false,
            reply_to,
            reactions,
            files: Vec::new(),
            versions: Vec::new(),
        };
        let item = Imported::Message(Box::new(ImportedMessage { message, other_id, answers: None }));
        Ok(Brought { item, files, cut, versions_cut: 0 })
    }

    fn read(&mut self, offset: u64) -> anyhow::Result<Post> {
        let mut text = Vec::new();
        self.reader.seek(SeekFrom::Start(offset)).context("cannot read the file again")?;
        self.reader.read_until(b'\n', &mut text).context("cannot read the file again")?;
        let line: Line = serde_json::from_slice(&text).context("the file was changed while it was read")?;
        line.post.or(line.direct_post).context("the file was changed while it was read")
    }

    /// A file beside the export; one that would lie elsewhere is not there.
    fn local(&self, attachment: &Attachment) -> Local {
        let path = Path::new(&attachment.path);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let (data, plain) = (self.folder.join("data").join(path), self.folder.join(path));
        let path = match inside {
            true if data.exists() => data,
            true => plain,
            false => PathBuf::new(),
        };
        Local { name: names::clean(&attachment.path), path, file: None }
    }
}

fn plain(item: Imported) -> Brought {
    Brought { item, files: Vec::new(), cut: false, versions_cut: 0 }
}

fn channel_key(team: &str, channel: &str) -> String {
    format!("{team}/{channel}")
}

fn user_of(name: String, person: &Person) -> User {
    let whole = format!("{} {}", person.first_name, person.last_name);
    let display = if person.nickname.trim().is_empty() { whole } else { person.nickname.clone() };
    let admin = person.roles.split_whitespace().any(|role| role == "system_admin");
    User {
        display: shown(&display, &name),
        name,
        role: if admin { Role::Admin } else { Role::Member },
        deleted: false,
        disabled: person.delete_at.is_some_and(|at| at > 0),
        bot: false,
    }
}
