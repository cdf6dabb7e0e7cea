//! Random but meaningful commands from a seed: people register, talk, edit, come and go, repeat
//! themselves, and ask for what they may not. For tests and the simulation.

use super::apply::apply;
use super::command::{Attached, Change, Command, LoginOp, Report, TokenHash, shown};
use super::model::Model;
use super::objects::{File, Role, RoomKind, User, Version};
use super::portable::{
    Imported, ImportedMessage, PortableBot, PortableMessage, PortableRoom, PortableSubscription,
};
use super::rules::NUMBER_MAX;
use super::tables::{LinkKind, LinkRow, Registration, Row, Tables};
use crate::ids::{FileId, RoomId, Seq, SubscriptionId};

const NAMES: [&str; 10] = ["ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "joe"];
const ROOMS: [&str; 6] = ["general", "random", "Straße", "ops", "日本", "a"];
const TEXTS: [&str; 9] = [
    "hello",
    "Grüße aus Köln",
    "日本語のメッセージ",
    "ok",
    "👍🏽",
    "two\nlines",
    "a'; --",
    "@ann, @Bob.",
    "cleo@bob.x @gus-",
];
const EMOJI: [&str; 4] = ["👍", "❤️", "🎉", "+1"];
/// Where numbers end: those of people's clients, of SQLite, of 64 bits.
const ENDS: [u64; 7] = [0, u32::MAX as u64, NUMBER_MAX, 1 << 53, i64::MAX as u64, 1 << 63, u64::MAX];
/// How many commands back a repeat may reach.
const MEMORY: usize = 64;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'s, E>(&mut self, from: &'s [E]) -> &'s E {
        let place = self.below(from.len() as u64) as usize;
        &from[place]
    }
}

/// One command and the time at which its leader proposed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub time_ms: u64,
    pub command: Command,
}

/// An endless script. It plays along on a model of its own, so that most of what it asks for exists.
#[derive(Clone, Debug)]
pub struct Script {
    dice: Dice,
    guide: Model,
    time_ms: u64,
    number: u64,
    past: Vec<Command>,
}

impl Script {
    pub fn new(seed: u64) -> Self {
        let (guide, past) = (Model::default(), Vec::new());
        Self { dice: Dice::new(seed), guide, time_ms: 1_700_000_000_000, number: 0, past }
    }

    fn command(&mut self) -> Command {
        if !self.past.is_empty() && self.dice.percent(12) {
            return self.again();
        }
        if self.dice.percent(2) {
            return self.delivered();
        }
        let user = (*self.dice.pick(&NAMES)).to_owned();
        self.number += 1;
        let id = format!("{:016x}-{}", self.dice.next_u64(), self.number);
        let change = self.change(&user);
        Command { user, id, change }
    }

    /// A command of the past once more, or another under its id.
    fn again(&mut self) -> Command {
        let mut command = self.dice.pick(&self.past).clone();
        if command.user.is_empty() {
            return command;
        }
        if self.dice.percent(20) {
            command.change = self.change(&command.user.clone());
            return command;
        }
        // The very same command twice, or the request made anew: then its session draws a new token.
        if self.dice.percent(60) {
            let token = self.token();
            let hash = self.hash_of(&command.user);
            match &mut command.change {
                Change::Register { .. } if self.dice.percent(50) => {
                    let op = LoginOp::Register;
                    command.change =
                        Change::Login { token_hash: token, password_hash: hash, op, agent: None };
                }
                Change::Register { token_hash, .. } => *token_hash = token,
                Change::Login { token_hash, password_hash, .. } => {
                    (*token_hash, *password_hash) = (token, hash);
                }
                Change::CreateInvite { link, .. }
                | Change::ResetPassword { link, .. }
                | Change::Appoint { link } => *link = token,
                Change::CreateBot { token_hash, .. }
                | Change::CreateHook { token_hash, .. }
                | Change::RenewBotToken { token_hash, .. } => {
                    *token_hash = token;
                }
                _ => {}
            }
        }
        command
    }

    fn change(&mut self, user: &str) -> Change {
        let Ok(account) = self.guide.user(user);
        let chance = match account {
            None => 80,
            Some(row) if row.deleted => 20,
            Some(_) => 1,
        };
        if self.dice.percent(chance) {
            return Change::Register {
                display: user.to_uppercase(),
                password_hash: format!("hash-{}", self.dice.next_u64()),
                token_hash: self.token(),
                first_is_admin: true,
                link: self.dice.percent(30).then(|| self.link_token(user, LinkKind::Invite)),
                closed: self.dice.percent(20),
                agent: self.agent(),
            };
        }
        if self.dice.percent(12) {
            return self.about_people(user);
        }
        let room = self.room(user);
        let seq = self.seq(room);
        let other = (*self.dice.pick(&NAMES)).to_owned();
        let text = format!("{} {}", self.dice.pick(&TEXTS), self.dice.below(3));
        match self.dice.below(100) {
            0..5 => {
                let files = (0..=self.dice.below(2)).map(|_| self.file()).collect();
                Change::SendFiles { room, text, reply_to: None, files }
            }
            5..30 => {
                let reply_to = self.dice.percent(20).then_some(seq);
                Change::Send { room, text, reply_to }
            }
            30..40 => {
                let seq = self.own_seq(room, user).unwrap_or(seq);
                let version = self.dice.percent(50).then(|| {
                    let version = 1 + self.dice.below(3);
                    self.or_an_end(version)
                });
                Change::Edit { room, seq, text, version, keep: self.dice.percent(80) }
            }
            40..45 => {
                let seq = |script: &mut Self| script.own_seq(room, user).unwrap_or(seq);
                let seqs = (0..=self.dice.below(3)).map(|_| seq(self)).collect();
                Change::Delete { room, seqs }
            }
            45..57 => {
                let emoji = (*self.dice.pick(&EMOJI)).to_owned();
                Change::React { room, seq, emoji, on: self.dice.percent(65) }
            }
            57..61 => Change::MarkRead { room, seq },
            61..63 => Change::Mute { room, on: self.dice.percent(60) },
            63..70 => Change::Join { room },
            70..74 => Change::Leave { room },
            74..80 => Change::Invite { room, user: other },
            80..83 => {
                let Ok(members) = self.guide.members(room);
                let member = (!members.is_empty()).then(|| self.dice.pick(&members).clone());
                Change::Remove { room, user: member.unwrap_or(other) }
            }
            83..88 => Change::CreateRoom {
                name: format!("{} {}", self.dice.pick(&ROOMS), self.dice.below(5)),
                kind: if self.dice.percent(50) { RoomKind::Public } else { RoomKind::Private },
                topic: text,
            },
            88..91 => Change::OpenDirect { users: self.people(user) },
            91..95 => Change::Login {
                token_hash: self.token(),
                password_hash: self.hash_of(user),
                op: LoginOp::Login,
                agent: self.agent(),
            },
            95..97 => Change::Logout { token_hash: self.token_of(user) },
            97..99 => {
                let new_hash = format!("hash-{}", self.dice.next_u64());
                let mut request = [0; 16];
                request[..8].copy_from_slice(&self.dice.next_u64().to_be_bytes());
                let (old_hash, token_hash) = (self.hash_of(user), self.token_of(user));
                Change::ChangePassword { old_hash, new_hash, token_hash, request }
            }
            // Rarely: a name is never given again, and there are not many.
            _ if self.dice.percent(20) => Change::DeleteAccount { password_hash: self.hash_of(user) },
            _ => Change::Send { room, text, reply_to: None },
        }
    }

    /// What admins do, mostly asked by one.
    fn about_people(&mut self, user: &str) -> Change {
        let other = (*self.dice.pick(&NAMES)).to_owned();
        let room = self.room(user);
        let topic = format!("topic {}", self.dice.below(3));
        match self.dice.below(100) {
            0..6 => self.about_bots(room),
            6..10 => self.about_subscriptions(room),
            10..15 => Change::SetProfile { display: self.dice.pick(&["", "Somebody", "Jemand"]).to_string() },
            15..25 => Change::EndSession { session: shown(&self.token_of(user)) },
            25..35 => {
                let role = if self.dice.percent(60) { Role::Admin } else { Role::Member };
                Change::SetRole { user: other, role }
            }
            // More often let in again than shut out: those who are can do nothing.
            35..50 => Change::SetDisabled { user: other, disabled: self.dice.percent(15) },
            50..58 => {
                let mode = if self.dice.percent(70) { Registration::Open } else { Registration::Closed };
                Change::SetRegistration { mode }
            }
            58..68 => {
                let name = format!("{} {}", self.dice.pick(&ROOMS), self.dice.below(9));
                let name = self.dice.percent(60).then_some(name);
                Change::SetRoom { room, name, topic: self.dice.percent(60).then_some(topic) }
            }
            68..78 => {
                let (uses, hours) = (1 + self.dice.below(2), self.dice.below(3));
                Change::CreateInvite { uses, hours, link: self.token() }
            }
            78..82 => Change::RevokeInvite { invite: shown(&self.link_token(user, LinkKind::Invite)) },
            82..88 => Change::ResetPassword { user: other, link: self.token() },
            88..91 => self.import(&other, room),
            91..95 => {
                let new_hash = format!("hash-{}", self.dice.next_u64());
                let link = self.link_token(user, LinkKind::Reset);
                Change::SetPassword { link, new_hash, request: [self.dice.below(3) as u8; 16] }
            }
            _ => Change::Appoint { link: self.token() },
        }
    }

    /// Some of it may be here already; a message may name nobody who is.
    fn import(&mut self, other: &str, room: RoomId) -> Change {
        let user = User {
            name: other.to_owned(),
            display: other.to_uppercase(),
            role: Role::Member,
            deleted: false,
            disabled: false,
            bot: self.dice.percent(10),
        };
        let (key, name) = (self.dice.below(3).to_string(), (*self.dice.pick(&ROOMS)).to_owned());
        let (kind, topic) = (RoomKind::Public, String::new());
        let brought = PortableRoom { room, name, kind, topic, users: Vec::new(), creator: None };
        let number = self.dice.below(20);
        let text = format!("brought {number}");
        let time = self.time_ms - self.dice.below(1_000);
        let versions = (0..self.dice.below(3))
            .map(|_| Version { version: self.or_an_end(1), text: text.clone(), time: self.or_an_end(time) })
            .collect();
        let Attached { file, name, bytes, kind, .. } = self.file();
        let file = File { file, name, bytes: self.or_an_end(bytes), kind };
        let message = PortableMessage {
            room,
            seq: Seq(1),
            id: format!("import {number}"),
            from: other.to_owned(),
            text,
            time: self.or_an_end(time),
            version: self.or_an_end(1),
            edited: false,
            deleted: self.dice.percent(10),
            reply_to: self.dice.percent(30).then(|| self.seq(room)),
            reactions: [("+1".to_owned(), vec![other.to_owned()])].into(),
            files: if self.dice.percent(20) { vec![file] } else { Vec::new() },
            versions,
        };
        let (other_id, answers) = (format!("other {number}"), self.dice.percent(20).then_some(0));
        let items = vec![
            Imported::User(user),
            Imported::Room { key, room: brought },
            Imported::Member { room, user: other.to_owned() },
            Imported::Message(Box::new(ImportedMessage { message, other_id, answers })),
            Imported::Mute { room, user: other.to_owned() },
            Imported::Bot(PortableBot {
                name: other.to_owned(),
                owner: (*self.dice.pick(&NAMES)).to_owned(),
                rights: vec!["read".to_owned()],
                hook: None,
            }),
            Imported::Subscription {
                key: number.to_string(),
                subscription: PortableSubscription {
                    id: SubscriptionId(number),
                    room,
                    url: format!("https://elsewhere/{number}"),
                    by: other.to_owned(),
                },
            },
        ];
        Change::Import { items, into_existing: self.dice.percent(30) }
    }

    /// There are few names, and each is given once.
    fn about_bots(&mut self, room: RoomId) -> Change {
        let name = format!("bot-{}", self.dice.below(4));
        match self.dice.below(100) {
            0..25 => Change::CreateHook { room, name, display: "Hook".to_owned(), token_hash: self.token() },
            25..50 => Change::CreateBot {
                name,
                display: "Robot".to_owned(),
                rights: vec!["read".to_owned(), "write".to_owned()],
                token_hash: self.token(),
            },
            50..80 => Change::RenewBotToken { bot: name, token_hash: self.token() },
            80..92 => Change::SetDisabled { user: name, disabled: self.dice.percent(50) },
            92..96 => Change::DeleteHook { hook: name },
            _ => Change::DeleteBot { bot: name },
        }
    }

    fn about_subscriptions(&mut self, room: RoomId) -> Change {
        if self.dice.percent(70) {
            let url = format!("http://example.org/{}", self.dice.below(3));
            return Change::CreateSubscription {
                room,
                url,
                secret: format!("secret {}", self.dice.below(9)),
            };
        }
        let Ok(last) = self.guide.last_subscription();
        Change::DeleteSubscription { subscription: SubscriptionId(1 + self.dice.below(last.0 + 1)) }
    }

    /// How far those are that are posted, as nobody's command.
    fn delivered(&mut self) -> Command {
        self.number += 1;
        let Ok(last) = self.guide.last_subscription();
        let mut reports = Vec::new();
        for number in 1..=last.0 {
            if self.dice.percent(50) {
                let failing = self.dice.percent(30);
                reports.push(Report {
                    subscription: SubscriptionId(number),
                    delivered: Seq(self.dice.below(20)),
                    failing_since: if failing { self.time_ms } else { 0 },
                    error: if failing { "no answer".to_owned() } else { String::new() },
                    off: self.dice.percent(5),
                });
            }
        }
        let id = format!("courier-{}", self.number);
        Command { user: String::new(), id, change: Change::Delivered { reports } }
    }

    /// Mostly of a link of this kind, or one that creates this account; for a reset, mostly the user's own.
    fn link_token(&mut self, user: &str, kind: LinkKind) -> TokenHash {
        let links = self.guide.rows().into_iter().filter_map(|row| match row {
            Row::Link(link) => Some(link),
            _ => None,
        });
        let links: Vec<LinkRow> = links.collect();
        let fits = |link: &&LinkRow| match link.kind {
            LinkKind::Invite => kind == LinkKind::Invite,
            LinkKind::Create => kind == LinkKind::Invite && link.name == user,
            LinkKind::Reset => kind == LinkKind::Reset && link.name == user,
        };
        let own: Vec<_> = links.iter().filter(fits).collect();
        match (own.is_empty(), links.is_empty()) {
            (false, _) if self.dice.percent(90) => self.dice.pick(&own).token_hash,
            (_, false) if self.dice.percent(80) => self.dice.pick(&links).token_hash,
            _ => self.token(),
        }
    }

    /// As most nodes say it; some cannot yet.
    fn agent(&mut self) -> Option<String> {
        self.dice.percent(80).then(|| format!("agent {}", self.dice.below(3)))
    }

    /// One of a few, so that they meet again.
    fn file(&mut self) -> Attached {
        let number = self.dice.below(8);
        let name = format!("file {}.txt", self.dice.below(3));
        let (bytes, kind) = (1000 + number, "text/plain".to_owned());
        Attached { file: FileId([number as u8; 32]), name, bytes, kind, uploaded: self.dice.percent(50) }
    }

    /// Seldom one that hardly fits, or does not: what is brought from elsewhere may hold any.
    fn or_an_end(&mut self, number: u64) -> u64 {
        if self.dice.percent(6) { *self.dice.pick(&ENDS) } else { number }
    }

    fn token(&mut self) -> [u8; 32] {
        let mut token = [0; 32];
        for part in token.chunks_exact_mut(8) {
            part.copy_from_slice(&self.dice.next_u64().to_be_bytes());
        }
        token
    }

    fn token_of(&mut self, user: &str) -> [u8; 32] {
        let Ok(sessions) = self.guide.sessions(user);
        if sessions.is_empty() || self.dice.percent(10) {
            return self.token();
        }
        self.dice.pick(&sessions).token_hash
    }

    /// Mostly what is stored.
    fn hash_of(&mut self, user: &str) -> String {
        let Ok(account) = self.guide.user(user);
        match account {
            Some(row) if self.dice.percent(90) => row.password_hash,
            _ => "another".to_owned(),
        }
    }

    /// Mostly one that the user is in.
    fn room(&mut self, user: &str) -> RoomId {
        let Ok(mine) = self.guide.rooms_of(user);
        if !mine.is_empty() && self.dice.percent(80) {
            return *self.dice.pick(&mine);
        }
        let Ok(last) = self.guide.last_room();
        RoomId(1 + self.dice.below(last.0 + 1))
    }

    /// Mostly one that exists.
    fn seq(&mut self, room: RoomId) -> Seq {
        let Ok((end, _)) = self.guide.end(room);
        let beyond = u64::from(self.dice.percent(10));
        let seq = 1 + self.dice.below(end.0 + beyond);
        Seq(if beyond > 0 { self.or_an_end(seq) } else { seq })
    }

    /// Mostly one that the user wrote.
    fn own_seq(&mut self, room: RoomId, user: &str) -> Option<Seq> {
        let own = self.guide.messages(room).filter(|row| row.message.from == user);
        let own: Vec<_> = own.map(|row| row.message.seq).collect();
        (!own.is_empty() && self.dice.percent(80)).then(|| *self.dice.pick(&own))
    }

    fn people(&mut self, user: &str) -> Vec<String> {
        let mut people = vec![user.to_owned()];
        for _ in 0..=self.dice.below(2) {
            people.push((*self.dice.pick(&NAMES)).to_owned());
        }
        people.sort();
        people.dedup();
        people
    }
}

impl Iterator for Script {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let command = self.command();
        // Another leader's clock may be behind.
        self.time_ms += self.dice.below(50);
        let behind = if self.dice.percent(10) { self.dice.below(500) } else { 0 };
        let time_ms = self.time_ms - behind;
        let Ok(_effect) = apply(&mut self.guide, time_ms, &command);
        if self.past.len() == MEMORY {
            self.past.remove(0);
        }
        self.past.push(command.clone());
        Some(Step { time_ms, command })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_script() {
        let play = |seed| Script::new(seed).take(100).collect::<Vec<_>>();
        assert_eq!(play(5), play(5));
        assert_ne!(play(5), play(6));
    }

    #[test]
    fn dice_are_splitmix64() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next_u64(), 3_203_168_211_198_807_973);
    }

    /// A script that only asks for what is refused would prove nothing.
    #[test]
    fn every_op_is_done_refused_and_repeated() {
        let mut seen: BTreeMap<(String, &str), u32> = BTreeMap::new();
        for seed in 0..80 {
            let mut model = Model::default();
            for step in Script::new(seed).take(2500) {
                let Ok(effect) = apply(&mut model, step.time_ms, &step.command);
                let what = format!("{:?}", step.command.change);
                let op = what.split(' ').next().unwrap().to_owned();
                let became = match &effect.outcome {
                    Ok(outcome) if outcome.duplicate => "repeated",
                    Ok(_) => "done",
                    Err(_) => "refused",
                };
                *seen.entry((op, became)).or_default() += 1;
            }
        }
        for op in "Register Login Logout ChangePassword DeleteAccount CreateRoom Join Leave Invite Remove \
                   OpenDirect Send SendFiles Edit Delete React MarkRead SetProfile EndSession SetRole SetDisabled SetRegistration \
                   SetRoom CreateSubscription DeleteSubscription CreateInvite RevokeInvite ResetPassword SetPassword Appoint Mute"
            .split_whitespace()
        {
            let count = |became| seen.get(&(op.to_owned(), became)).copied().unwrap_or(0);
            assert!(count("done") > 0, "{op} is never done: {seen:?}");
            assert!(count("refused") > 0, "{op} is never refused: {seen:?}");
            let remembered = op != "DeleteAccount";
            assert!(!remembered || count("repeated") > 0, "{op} is never repeated: {seen:?}");
        }
    }
}
