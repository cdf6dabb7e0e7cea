//! What goes to and fro between a node's Hub and the sessions of its clients.

use std::sync::Arc;

use chat_actors::chat::outcome::Notice;
use chat_actors::hub::encode;
use chat_actors::hub::shelf::Out;
use chat_actors::messages::hub::{Published, SessionKey};

use super::world::{Checked, Event, World};

impl World {
    /// The Hub is told what one transaction changed. Now and then a shard misses that, and knows it.
    pub fn publish(&mut self, host: usize, notices: &[Notice]) {
        let misses = !self.calm && self.dice.per_mille(self.knobs.gap_per_mille);
        let at = self.hosts[host].disk.model.present();
        let Some(process) = &mut self.hosts[host].process else { return };
        if misses {
            process.gap = true;
            return;
        }
        let events: Arc<[_]> = notices.iter().filter_map(encode::notice).collect();
        let gap = std::mem::take(&mut process.gap);
        let mut said = Vec::new();
        process.shelf.publish(&Published { at, events, ended: Arc::default(), gap }, &mut said);
        self.pass_on(said);
    }

    /// Carries what a Hub said to its sessions, to each in order.
    pub fn pass_on(&mut self, mut said: Vec<Out>) {
        // The Hub's maps have no order that a seed could repeat; one session's own is what counts.
        said.retain(|out| session_of(out).is_some());
        said.sort_by_key(session_of);
        for out in said {
            let Some(person) = self.people.iter().position(|person| person.stream.key() == session_of(&out))
            else {
                continue;
            };
            let delay = self.dice.between((0, self.knobs.hand_us));
            let at = &mut self.people[person];
            at.stream.expects();
            at.heard_until = at.heard_until.max(self.now + delay);
            let (when, visit) = (at.heard_until, at.visit);
            self.at(when, Event::Hear { person, visit, said: Box::new(out) });
        }
    }

    pub fn read_page(&mut self, person: usize, visit: u64) {
        let at = &mut self.people[person];
        if at.visit != visit || at.stream.key().is_none() {
            return;
        }
        let line = self.trace.then(|| format!("{} reads at {}", at.user, at.host + 1));
        at.stream.read_page(&self.truth.changes, &mut self.hosts[at.host].disk.model, self.knobs.page);
        self.trace(|world| line.unwrap_or_default() + &world.people[person].stream.describe_page());
        self.soon((10, 5_000), Event::TellPage { person, visit });
    }

    pub fn tell_page(&mut self, person: usize, visit: u64) -> Checked {
        let at = &mut self.people[person];
        let host = &mut self.hosts[at.host];
        let Some(process) = host.process.as_mut().filter(|_| at.visit == visit) else { return Ok(()) };
        let mut said = Vec::new();
        if at.stream.tell_page(&mut host.disk.model, &mut process.shelf, &mut said)? {
            self.soon((1, 1_000), Event::ReadPage { person, visit });
        }
        self.pass_on(said);
        Ok(())
    }

    pub fn hear(&mut self, person: usize, visit: u64, out: Out) -> Checked {
        let at = &mut self.people[person];
        let host = &mut self.hosts[at.host];
        let Some(process) = host.process.as_mut().filter(|_| at.visit == visit) else { return Ok(()) };
        let line = self.trace.then(|| format!("{} hears {out:?}", at.user));
        let mut said = Vec::new();
        if at.stream.hear(out, &mut host.disk.model, &mut process.shelf, &mut said)? {
            self.soon((1, 1_000), Event::ReadPage { person, visit });
        }
        self.trace(|_| line.unwrap_or_default());
        self.pass_on(said);
        Ok(())
    }
}

fn session_of(out: &Out) -> Option<SessionKey> {
    match out {
        Out::Deliver { key, .. } | Out::FellBehind { key, .. } | Out::Ended { key, .. } => Some(*key),
        Out::Online { .. } | Out::Offline { .. } => None,
    }
}
