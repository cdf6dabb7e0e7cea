//! Who is in the cluster: operators who change that, disks that are lost, and empty ones that ask to be let in.
//!
//! A disk is lost only while the others can do without it: never more than a minority of the voters at a time, and
//! not while a change of members is under way, which may need that very vote.

use std::sync::Arc;

use chat_actors::chat::command::LEVEL;
use chat_actors::ids::{Boot, RaftId};
use chat_actors::membership::{Node, Roll};
use chat_actors::messages::members::{Settled, Wish};
use chat_actors::raft::members::CAUGHT_UP_LAG;
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeType, ConfChangeV2, EntryType, Message};

use super::Failure;
use super::disk::Disk;
use super::host::Run;
use super::world::{Checked, Event, TICK_US, World};

/// How long what was sent to others may be on its way.
const ON_ITS_WAY_US: u64 = 1_000_000;
/// Ticks by which a leader may count too many, when it repays what it missed.
const REPAID_TICKS: u64 = 3;
/// Between two tries to be let in.
const ASKS_AGAIN_US: (u64, u64) = (100_000, 400_000);
/// How often, in a thousand ticks, a node hears from another one whether it was removed.
const HEARS_PER_MILLE: u64 = 200;

fn name(host: usize) -> String {
    format!("node{}", host + 1)
}

fn addresses(host: usize) -> (String, String) {
    (format!("http://{}:1", name(host)), format!("http://{}:2", name(host)))
}

impl World {
    /// The machine on whose disk that replica lives.
    pub fn place_of(&self, id: RaftId) -> Option<usize> {
        self.hosts.iter().position(|host| host.id == id && host.joining.is_none())
    }

    pub fn deliver(&mut self, host: usize, (by, heard): (Run, Option<String>), message: Message) {
        if RaftId(message.to) != self.hosts[host].id || !self.lets_in(host, by, heard.as_deref()) {
            return;
        }
        let Some(process) = &self.hosts[host].process else { return };
        if self.bug.is_none() && !process.seen.keeps_word(by.id, by.boot.0, std::slice::from_ref(&message)) {
            return self.accuse(host, by);
        }
        self.input(host, |node| node.step(message));
    }

    /// Whether the sender is part of the cluster, as this node knows, on a disk that did not go back; else it is told.
    pub fn lets_in(&mut self, host: usize, by: Run, heard: Option<&str>) -> bool {
        let from = by.id;
        // What bugs bring about is for the checkers to find.
        let looks = self.bug.is_none();
        let at = &self.hosts[host];
        if looks && at.own_run().zip(heard).is_some_and(|(own, heard)| own.is_behind(heard)) {
            let life = at.life;
            self.soon((1, 10), Event::WentBack { host, life });
            return false;
        }
        let Some(process) = &mut self.hosts[host].process else { return false };
        if !process.node.roll().was_removed(from) {
            let goes_on = !looks || process.seen.goes_on(from, by.boot.0, &by.life.to_string());
            if goes_on {
                process.heard.insert(from, by.boot);
            } else {
                self.accuse(host, by);
            }
            return goes_on;
        }
        if let Some(place) = self.place_of(from)
            && !self.network.is_cut(host, place)
        {
            self.soon((500, 20_000), Event::Dismissed { host: place, id: from });
        }
        false
    }

    /// The run of another past than the one that was heard is told so. An earlier run is over by then.
    fn accuse(&mut self, host: usize, by: Run) {
        self.trace(|world| {
            let heard = world.hosts[host].process.as_ref().and_then(|process| process.heard.get(&by.id));
            format!("{} takes {by:?} for one of another past than {heard:?}", host + 1)
        });
        if let Some(place) = self.place_of(by.id)
            && !self.network.is_cut(host, place)
        {
            self.soon((500, 20_000), Event::WentBack { host: place, life: by.life });
        }
    }

    /// A node hears that its disk went back in time: it begins with an empty one.
    pub fn went_back(&mut self, host: usize) -> Checked {
        if !self.hosts[host].set_back {
            let what = format!("{} was told that its disk did", host + 1);
            return Err(Failure { checker: "no disk goes back", what });
        }
        self.trace(|_| format!("{} was found out", host + 1));
        self.found_out += 1;
        self.lose_disk(host);
        Ok(())
    }

    /// Somebody copies a disk, or puts the copy of an earlier run back: when all others live and have heard the present
    /// run, which is how they know.
    pub fn set_back(&mut self, host: usize) {
        let at = &self.hosts[host];
        let (id, boot) = (at.id, Boot(at.disk.written.boot));
        let is_earlier = at.copy.as_ref().is_some_and(|copy| copy.written.boot < boot.0);
        let all_know = self.hosts.iter().enumerate().all(|(place, other)| {
            let process = other.process.as_ref();
            place == host || process.is_some_and(|process| process.heard.get(&id) == Some(&boot))
        });
        if at.joining.is_some() {
            return;
        }
        if at.copy.is_none() {
            let at = &mut self.hosts[host];
            at.copy = Some(at.disk.clone());
        }
        if !is_earlier {
            return self.kill(host, true);
        }
        if !all_know || !self.may_go(host) {
            return;
        }
        self.power_cut(host);
        let at = &mut self.hosts[host];
        if let Some(copy) = at.copy.take() {
            at.disk = copy;
            at.set_back = true;
        }
    }

    /// Each node keeps a connection to each other one, and is told there.
    pub fn hears_of_removal(&mut self, host: usize) {
        if self.knobs.loses_disks() && self.dice.per_mille(HEARS_PER_MILLE) {
            let other = self.dice.index(self.hosts.len());
            if other != host
                && !self.network.is_cut(host, other)
                && let Some(by) = self.hosts[host].run()
            {
                let heard = self.hosts[host].heard_of(self.hosts[other].id);
                self.lets_in(other, by, heard.as_deref());
            }
        }
    }

    /// A node hears that it was removed. Its operator empties the disk, and it may join anew.
    pub fn dismissed(&mut self, host: usize, id: RaftId) {
        if self.hosts[host].id != id || self.hosts[host].joining.is_some() {
            return;
        }
        self.trace(|_| format!("{} was removed", host + 1));
        self.empty(host);
    }

    /// Rows of members were written, or came with the state of another replica.
    pub fn members_changed(&mut self, host: usize) {
        let roll = Arc::new(self.hosts[host].disk.roll());
        self.input(host, |node| node.members(roll));
    }

    /// A change of members is on its way to others.
    pub fn notice_change(&mut self, message: &Message) -> Checked {
        for entry in message.entries.iter().filter(|entry| entry.get_entry_type() != EntryType::EntryNormal) {
            self.wipes_from = self.now + ON_ITS_WAY_US;
            let change = ConfChangeV2::parse_from_bytes(&entry.data).expect("a leader wrote it");
            for single in &change.changes {
                if single.get_change_type() == ConfChangeType::AddNode {
                    self.check_promotion(single.node_id, entry.index)?;
                }
            }
        }
        Ok(())
    }

    /// A learner becomes a voter by the entry at `index`: when nobody asked for it, it was one for long enough, and
    /// its disk holds nearly all that is before.
    fn check_promotion(&mut self, id: u64, index: u64) -> Checked {
        let Some(since) = self.learners.remove(&id) else { return Ok(()) };
        let Some(place) = self.place_of(RaftId(id)).filter(|place| !self.by_hand.contains(place)) else {
            return Ok(());
        };
        // The leader's clock may be a little fast, and repays ticks.
        let stable_us = (self.knobs.patience.promote_ticks - REPAID_TICKS) * TICK_US * 97 / 100;
        let (was, last) = (self.now - since, self.hosts[place].disk.last_index());
        if was >= stable_us && last > 0 && last + CAUGHT_UP_LAG >= index - 1 {
            return Ok(());
        }
        let what =
            format!("{id} becomes a voter by {index}: it ends at {last} and was let in {was} us before");
        Err(Failure { checker: "promoted when stable", what })
    }

    /// Somebody wants other members, or a disk is lost.
    pub fn members_act(&mut self) {
        if self.calm {
            return;
        }
        let every = self.knobs.members_every_us;
        self.soon((0, 2 * every), Event::Members);
        if self.is_any_set_back() {
            return;
        }
        let host = self.dice.index(self.hosts.len());
        if self.dice.per_mille(400) {
            if self.hosts[host].joining.is_none() && self.may_go(host) {
                self.trace(|_| format!("{} loses its disk", host + 1));
                self.lose_disk(host);
            }
            return;
        }
        let name = name(host);
        let (peer, public) = addresses(host);
        let wish = match self.dice.below(6) {
            0..3 => Wish::Remove { name },
            3 => Wish::Lead { name },
            4 => Wish::Promote { name },
            _ => Wish::Add { name, peer, public, learner: self.dice.per_mille(500) },
        };
        if matches!(wish, Wish::Promote { .. }) {
            self.by_hand.insert(host);
        }
        // Whoever removes a node just after another one lost its disk takes two at once: nobody knows yet.
        let complete = self.hosts.iter().all(|host| host.joining.is_none());
        if (complete || !matches!(wish, Wish::Remove { .. }))
            && let Some(leader) = self.leader_for(None)
        {
            self.wish(leader, &wish, None);
        }
    }

    pub fn ask_to_join(&mut self, host: usize) {
        let Some(disk) = self.hosts[host].joining.clone() else { return };
        self.soon(ASKS_AGAIN_US, Event::AskToJoin { host });
        let Some(leader) = self.leader_for(Some(host)) else { return };
        let Some(process) = &self.hosts[leader].process else { return };
        let gone = process.node.roll().id_of(&name(host));
        let (peer, public) = addresses(host);
        let wish = Wish::Join { name: name(host), peer, public, disk: disk.clone(), gone, level: LEVEL };
        self.wish(leader, &wish, Some((host, disk)));
    }

    /// Some node that takes itself for the leader, and is reached from there.
    fn leader_for(&mut self, host: Option<usize>) -> Option<usize> {
        let mut leaders: Vec<usize> = (0..self.hosts.len()).collect();
        leaders.retain(|&place| {
            let at = &self.hosts[place];
            let leads = at.process.as_ref().is_some_and(|process| process.node.core().leadership().leads);
            let hears = |host| !self.network.is_cut(host, place) && !self.network.is_cut(place, host);
            leads && at.stalled_until <= self.now && host.is_none_or(hears)
        });
        (!leaders.is_empty()).then(|| self.dice.pick(&leaders))
    }

    fn wish(&mut self, leader: usize, wish: &Wish, asker: Option<(usize, String)>) {
        let mut asked = None;
        self.input(leader, |node| asked = Some(node.wish(wish)));
        self.trace(|_| format!("{} is asked for {wish:?}: {asked:?}", leader + 1));
        match (asked, &mut self.hosts[leader].process) {
            (Some(Ok(number)), Some(process)) => {
                process.wishes.insert(number, asker);
                // The leader looks who answers before it takes votes away: who is lost meanwhile would be one more.
                self.wipes_from = self.wipes_from.max(self.now + ON_ITS_WAY_US);
            }
            (Some(Err(settled)), _) => self.answered(settled, asker),
            _ => {}
        }
    }

    /// A wish has come to something.
    pub fn settled(&mut self, leader: usize, number: u64, settled: Settled) {
        let Some(process) = &mut self.hosts[leader].process else { return };
        if let Some(asker) = process.wishes.remove(&number) {
            self.trace(|_| format!("{}: {settled:?}", leader + 1));
            self.members_changed += usize::from(matches!(settled, Settled::Done(_) | Settled::Joined { .. }));
            self.answered(settled, asker);
        }
    }

    fn answered(&mut self, settled: Settled, asker: Option<(usize, String)>) {
        let (Settled::Joined { raft_id, roll }, Some((host, disk))) = (settled, asker) else { return };
        // The answer may be lost: it asks again then.
        let lost = !self.calm && self.dice.per_mille(200);
        if !lost && self.hosts[host].joining.as_ref() == Some(&disk) {
            self.admit(host, raft_id, roll.here());
        }
    }

    fn admit(&mut self, host: usize, id: RaftId, among: Vec<Node>) {
        self.trace(|_| format!("{} is let in as {id}", host + 1));
        assert!(self.hosts.iter().all(|other| other.id != id), "an id has one life of one disk");
        let at = &mut self.hosts[host];
        at.joining = None;
        at.id = id;
        self.learners.insert(id.0, self.now);
        let at = &mut self.hosts[host];
        at.disk = Disk::admitted(id, among, self.bug);
        self.restart_soon(host);
    }

    /// What was on the disk is gone, or never believed again.
    pub fn lose_disk(&mut self, host: usize) {
        self.wiped += 1;
        self.empty(host);
    }

    /// The machine begins with an empty disk.
    fn empty(&mut self, host: usize) {
        self.kill(host, false);
        let at = &mut self.hosts[host];
        at.life += 1;
        (at.copy, at.set_back) = (None, false);
        at.disk = Disk::admitted(at.id, Vec::new(), self.bug);
        self.draw_disk(host);
    }

    /// An empty disk names itself, and the machine asks to be let in.
    pub fn draw_disk(&mut self, host: usize) {
        self.hosts[host].joining = Some(format!("{:016x}", self.dice.next()));
        self.soon((1_000, 1_000_000), Event::AskToJoin { host });
    }

    /// Everybody, as of the last entry that any disk has applied.
    pub fn latest(&self) -> Roll {
        let disks = self.hosts.iter().filter(|host| host.joining.is_none()).map(|host| &host.disk);
        disks.max_by_key(|disk| disk.written.applied).map(Disk::roll).unwrap_or_default()
    }

    /// Whether a disk is not what others have heard of it. Until that is found out no process ends: what they heard is
    /// in their memory only.
    pub fn is_any_set_back(&self) -> bool {
        self.hosts.iter().any(|host| host.set_back)
    }

    /// Whether the others can do without that machine.
    pub fn may_go(&mut self, host: usize) -> bool {
        if !self.knobs.loses_disks() {
            return true;
        }
        let roll = self.latest();
        let changes = self.now < self.wipes_from || roll.is_joint() || self.hosts.iter().any(is_changing);
        if changes || self.is_any_set_back() {
            return false;
        }
        let goes =
            |place: Option<usize>| place.is_none_or(|place| place == host || self.away.contains(&place));
        // A learner may become a voter before anybody knows that it is gone.
        let own = self.hosts[host].id.0;
        let votes = roll
            .conf
            .voters
            .iter()
            .copied()
            .chain(roll.conf.learners.iter().copied().filter(|&id| id == own));
        let votes: Vec<u64> = votes.collect();
        let gone = votes.iter().filter(|&&id| goes(self.place_of(RaftId(id)))).count();
        gone * 2 < votes.len()
    }
}

/// It leads a change of members, or its log holds one that it has not applied.
fn is_changing(host: &super::host::Host) -> bool {
    let leads = host.process.as_ref().is_some_and(|process| {
        let core = process.node.core();
        core.leadership().leads && core.is_changing()
    });
    let image = &host.disk.written;
    let ahead = image.log.iter().filter(|entry| entry.index > image.applied);
    leads || ahead.into_iter().any(|entry| entry.get_entry_type() != EntryType::EntryNormal)
}
