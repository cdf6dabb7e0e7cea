//! What keys do to the desk.

use serde_json::json;

use super::{Act, Desk, Mode, Then};
use crate::chat::commands::{self, Command};
use crate::chat::frames::Message;
use crate::chat::input::Input;
use crate::chat::keep::Item;
use crate::chat::keys::Key;
use crate::chat::talk;

impl Desk {
    pub fn key(&mut self, key: Key) -> Vec<Act> {
        let mut acts = Vec::new();
        match key {
            Key::Quit => acts.push(Act::Quit),
            Key::Redraw => acts.push(Act::Redraw),
            Key::NextRoom => self.next_room(1, &mut acts),
            Key::PreviousRoom => self.next_room(-1, &mut acts),
            Key::Choose | Key::Search => {
                self.filter.set("");
                self.mode = if key == Key::Choose { Mode::Choosing } else { Mode::Searching };
            }
            Key::Help => self.mode = Mode::Help,
            Key::Pick => {
                if let Some(last) = self.foot.or_else(|| self.newest()) {
                    self.mode = Mode::Picking(last);
                }
            }
            key => match &mut self.mode {
                Mode::Writing => self.writing(key, &mut acts),
                Mode::Picking(seq) => {
                    let seq = *seq;
                    self.picking(seq, &key);
                }
                Mode::Deleting(seq) => {
                    let seq = *seq;
                    if key == Key::Character('y')
                        && let Some(room) = self.current
                    {
                        let fields = json!({"room": room, "seqs": [seq]});
                        acts.push(Act::Ask { op: "delete", fields, then: Then::Nothing });
                    }
                    self.mode = Mode::Writing;
                }
                Mode::Choosing | Mode::Searching | Mode::Reacting(_) => self.filtering(key, &mut acts),
                Mode::Results { found, place } => match key {
                    Key::Up => *place = place.saturating_sub(1),
                    Key::Down => *place = (*place + 1).min(found.len() - 1),
                    Key::Enter => {
                        let message = found[*place].clone();
                        self.mode = Mode::Writing;
                        self.go_to(&message, &mut acts);
                    }
                    Key::Escape => self.mode = Mode::Writing,
                    _ => {}
                },
                Mode::Help => self.mode = Mode::Writing,
            },
        }
        acts
    }

    fn writing(&mut self, key: Key, acts: &mut Vec<Act>) {
        match key {
            Key::Enter => self.enter(acts),
            Key::Escape => {
                match self.draft.editing {
                    Some(_) => self.draft.finish(),
                    None => self.draft.reply_to = None,
                }
                self.foot = None;
                self.notice = None;
            }
            Key::Up if self.draft.input.is_empty() => match self.own_last() {
                Some(seq) => self.edit(seq),
                None => self.notice = Some("nothing of yours to edit here".into()),
            },
            Key::PageUp => {
                if let Some((first, last)) = self.shown {
                    self.foot = Some(first.min(last.saturating_sub(1)).max(1));
                }
            }
            Key::PageDown => {
                if let (Some(foot), Some((first, last)), Some(newest)) =
                    (self.foot, self.shown, self.newest())
                {
                    let next = foot + (last - first).max(1);
                    self.foot = (next < newest).then_some(next);
                }
            }
            key => edit_line(&mut self.draft.input, key),
        }
    }

    fn picking(&mut self, seq: u64, key: &Key) {
        let Some(seen) = self.current.and_then(|room| self.state.rooms.get(&room)) else { return };
        let own =
            seen.messages.get(&seq).is_some_and(|message| message.from == self.state.me && !message.deleted);
        match key {
            Key::Up | Key::PageUp => {
                if let Some((seq, _)) = seen.messages.range(..seq).next_back() {
                    self.mode = Mode::Picking(*seq);
                    if self.shown.is_some_and(|(first, _)| *seq < first) {
                        self.foot = Some(*seq);
                    }
                }
            }
            Key::Down | Key::PageDown => match seen.messages.range(seq + 1..).next() {
                Some((seq, _)) => {
                    self.mode = Mode::Picking(*seq);
                    if self.foot.is_some_and(|foot| *seq > foot) {
                        self.foot = Some(*seq);
                    }
                }
                None => {
                    self.mode = Mode::Writing;
                    self.foot = None;
                }
            },
            Key::Character('r') | Key::Enter => {
                self.draft.reply_to = Some(seq);
                self.mode = Mode::Writing;
            }
            Key::Character('e') if own => {
                self.mode = Mode::Writing;
                self.edit(seq);
            }
            Key::Character('+') => {
                self.filter.set("");
                self.mode = Mode::Reacting(seq);
            }
            Key::Character('d') if own => self.mode = Mode::Deleting(seq),
            Key::Character('e' | 'd') => {
                self.notice = Some("only your own messages can be changed".into());
            }
            Key::Escape => self.mode = Mode::Writing,
            _ => {}
        }
    }

    fn filtering(&mut self, key: Key, acts: &mut Vec<Act>) {
        match key {
            Key::Escape => self.mode = Mode::Writing,
            Key::Enter if self.mode == Mode::Choosing => {
                if let Some((room, _)) = self.choices().first().cloned() {
                    self.mode = Mode::Writing;
                    self.open(room, acts);
                }
            }
            Key::Enter => {
                let text = self.filter.take();
                match std::mem::take(&mut self.mode) {
                    _ if text.trim().is_empty() => {}
                    Mode::Reacting(seq) => self.react(seq, text.trim(), acts),
                    _ => self.search(&text, acts),
                }
            }
            Key::BreakLine => {}
            key => edit_line(&mut self.filter, key),
        }
    }

    /// Does what was written.
    fn enter(&mut self, acts: &mut Vec<Act>) {
        let text = self.draft.input.text();
        if text.trim().is_empty() {
            return;
        }
        self.notice = None;
        if let (Some(seq), Some(room)) = (self.draft.editing, self.current) {
            let fields = json!({"seq": seq, "text": text});
            acts.push(Act::Write { op: "edit", room, fields });
            self.draft.finish();
            return;
        }
        match commands::read(&text) {
            Ok(command) => self.command(command, acts),
            Err(why) => self.notice = Some(why),
        }
    }

    fn command(&mut self, command: Command, acts: &mut Vec<Act>) {
        let ask = |op, fields, then| Act::Ask { op, fields, then };
        let open = |text: String| Then::Open { text };
        let Some(room) = self.current.or(match &command {
            Command::Say(_) | Command::Invite(_) | Command::Members | Command::React(_) | Command::Leave => {
                None
            }
            _ => Some(0),
        }) else {
            self.notice = Some("no room is open: /join or /create one first".into());
            return;
        };
        self.draft.input.set("");
        match command {
            Command::Say(text) => {
                let fields = talk::message(&text, self.draft.reply_to);
                self.draft.finish();
                self.foot = None;
                acts.push(Act::Write { op: "send", room, fields });
            }
            Command::Join(name) => acts.push(ask("list_rooms", json!({}), Then::Entering(name))),
            Command::Create { name, is_private } => {
                let kind = if is_private { "private" } else { "public" };
                acts.push(ask("create_room", json!({"name": name, "kind": kind}), open(String::new())));
            }
            Command::Direct { name, text } => {
                acts.push(ask("open_direct", json!({"users": [name]}), open(text)));
            }
            Command::Invite(user) => {
                acts.push(ask("invite", json!({"room": room, "user": user}), Then::Nothing));
            }
            Command::Members => acts.push(ask("members", json!({"room": room}), Then::Members)),
            Command::React(emoji) => match self.draft.reply_to.or_else(|| self.newest()) {
                Some(seq) => self.react(seq, &emoji, acts),
                None => self.notice = Some("there is no message here to react to".into()),
            },
            Command::Leave => acts.push(ask("leave", json!({"room": room}), Then::Nothing)),
            Command::Search(text) => self.search(&text, acts),
            Command::Again | Command::Drop => {
                let again = command == Command::Again;
                let refused = self.outbox.iter().filter(|item| item.refused.is_some());
                let discard = |item: &Item| Act::Discard { item: Box::new(item.clone()), again };
                acts.extend(refused.map(discard));
            }
            Command::Help => self.mode = Mode::Help,
            Command::Quit => acts.push(Act::Quit),
        }
    }

    fn search(&mut self, text: &str, acts: &mut Vec<Act>) {
        self.notice = Some(format!("looking for {text}"));
        acts.push(Act::Ask { op: "search", fields: json!({"text": text, "limit": 50}), then: Then::Found });
    }

    /// Reacts to a message of the current room, or takes back that one did.
    fn react(&mut self, seq: u64, emoji: &str, acts: &mut Vec<Act>) {
        let Some(room) = self.current else { return };
        let message = self.state.rooms.get(&room).and_then(|seen| seen.messages.get(&seq));
        let users = message.and_then(|message| message.reactions.get(emoji));
        let on = !users.is_some_and(|users| users.contains(&self.state.me));
        let fields = json!({"room": room, "seq": seq, "emoji": emoji, "on": on});
        acts.push(Act::Ask { op: "react", fields, then: Then::Nothing });
    }

    fn go_to(&mut self, message: &Message, acts: &mut Vec<Act>) {
        self.notice = None;
        if self.state.rooms.contains_key(&message.room) {
            self.open(message.room, acts);
            self.foot = Some(message.seq);
            let is_held = self.state.rooms[&message.room].messages.contains_key(&message.seq);
            if is_held {
                self.mode = Mode::Picking(message.seq);
            } else {
                self.foot = None;
                self.notice = Some("that message is further back: PgUp leads there".into());
            }
        }
    }

    fn edit(&mut self, seq: u64) {
        let message = self.current.and_then(|room| self.state.rooms.get(&room)?.messages.get(&seq));
        if let Some(message) = message {
            self.draft.edit(seq, &message.text);
        }
    }

    fn own_last(&self) -> Option<u64> {
        let seen = self.state.rooms.get(&self.current?)?;
        let is_own = |message: &&Message| message.from == self.state.me && !message.deleted;
        seen.messages.values().rev().find(is_own).map(|message| message.seq)
    }

    fn newest(&self) -> Option<u64> {
        self.state.rooms.get(&self.current?)?.messages.keys().next_back().copied()
    }
}

fn edit_line(input: &mut Input, key: Key) {
    match key {
        Key::Character(character) => input.insert(character.encode_utf8(&mut [0; 4])),
        Key::BreakLine => input.insert("\n"),
        Key::Backspace => input.backspace(),
        Key::Delete => input.delete(),
        Key::DeleteWord => input.delete_word(),
        Key::DeleteAll => input.set(""),
        Key::Left => input.left(),
        Key::Right => input.right(),
        Key::Home => input.home(),
        Key::End => input.end(),
        _ => {}
    }
}
