//! Clients: they ask, hear one of three things (done, refused, unknown), repeat, move to other nodes,
//! and follow their events.

use chat_actors::chat::command::{Change, Command};
use chat_actors::chat::outcome::Outcome;
use chat_actors::ids::Origin;
use chat_actors::messages::consensus::NotDone;
use chat_actors::messages::hub::SessionKey;

use super::Failure;
use super::bugs::Bug;
use super::host::Read;
use super::stream::Stream;
use super::world::{Checked, Event, World};

/// Nobody asks for more while so many requests are open.
const OPEN_MAX: usize = 200;
pub struct Person {
    pub user: String,
    /// Where this client is connected, or tries to be.
    pub host: usize,
    /// Counts the connections.
    pub visit: u64,
    /// When it has heard all that its node's Hub said.
    pub heard_until: u64,
    pub stream: Stream,
    pub open: Vec<Request>,
    /// Stays at its node, whatever happens.
    probe: bool,
}

pub struct Request {
    number: u64,
    command: Command,
    /// Set while a node has it.
    asked: Option<Origin>,
    retry_at: u64,
    /// Asked again though its outcome is known.
    again: bool,
}

impl Person {
    fn new(user: &str, host: usize, probe: bool, bug: Option<Bug>) -> Self {
        Self {
            user: user.to_owned(),
            host,
            visit: 0,
            heard_until: 0,
            stream: Stream::new(user, bug),
            open: Vec::new(),
            probe,
        }
    }

    pub fn is_probe(&self) -> bool {
        self.probe
    }

    pub fn describe(&self) -> String {
        let open: Vec<_> = self
            .open
            .iter()
            .map(|request| format!("{:?} asked {:?}", request.command, request.asked))
            .collect();
        format!("{} at {} waits for {}", self.user, self.host + 1, open.join("; "))
    }
}

impl World {
    /// Somebody new, at some node.
    fn add_person(&mut self, user: &str) -> usize {
        let host = self.dice.index(self.hosts.len());
        self.people.push(Person::new(user, host, false, self.bug));
        let person = self.people.len() - 1;
        self.soon((1, 100_000), Event::Person { person });
        person
    }

    /// Somebody who must get an answer from this very node.
    pub fn add_probe(&mut self, host: usize) {
        let user = format!("probe-{}", host + 1);
        let change = Change::Register {
            display: user.clone(),
            password_hash: String::new(),
            token_hash: [host as u8 + 1; 32],
            first_is_admin: false,
            link: None,
            closed: false,
            agent: None,
        };
        self.people.push(Person::new(&user, host, true, self.bug));
        let person = self.people.len() - 1;
        self.open(person, Command { user, id: "probe".to_owned(), change }, false);
        self.after(1, Event::Person { person });
    }

    /// The next command of the script goes to whose it is, if that client has not too much open.
    pub fn somebody_asks(&mut self) {
        if self.quiet || self.drawn >= self.knobs.commands {
            return;
        }
        let every = self.knobs.ask_every_us;
        self.soon((0, 2 * every), Event::Ask);
        let open: usize = self.people.iter().map(|person| person.open.len()).sum();
        if open > OPEN_MAX {
            return;
        }
        let Some(step) = self.script.next() else { return };
        self.drawn += 1;
        let user = &step.command.user;
        let person = self.people.iter().position(|person| person.user == *user);
        let person = person.unwrap_or_else(|| self.add_person(user));
        self.open(person, step.command, false);
        self.try_open(person);
    }

    fn open(&mut self, person: usize, command: Command, again: bool) {
        self.requests += 1;
        let retry_at = self.now;
        let request = Request { number: self.requests, command, asked: None, retry_at, again };
        self.people[person].open.push(request);
    }

    /// What a client does by itself every now and then.
    pub fn person_acts(&mut self, person: usize) -> Checked {
        self.soon((30_000, 80_000), Event::Person { person });
        let is_gone = self.hosts[self.people[person].host].process.is_none();
        if is_gone && !self.people[person].probe {
            self.move_person(person);
        }
        self.follow(person);
        self.try_open(person);
        Ok(())
    }

    /// Comes in at its node, or has been there: each ping moves a quiet client's cursor along.
    fn follow(&mut self, person: usize) {
        let at = &mut self.people[person];
        let Some(process) = self.hosts[at.host].process.as_mut().filter(|_| !at.probe) else { return };
        let mut said = Vec::new();
        if let Some(key) = at.stream.key() {
            if !self.quiet {
                process.shelf.beat(key, &mut said);
            }
        } else {
            at.visit += 1;
            let visit = at.visit;
            let key = SessionKey((person as u64) << 32 | visit);
            at.stream.connect(key, &mut process.shelf, &mut said);
            self.soon((1, 10_000), Event::ReadPage { person, visit });
        }
        self.pass_on(said);
    }

    /// To another node; whatever waits is asked for again there.
    pub fn move_person(&mut self, person: usize) {
        let to = self.dice.index(self.hosts.len());
        let now = self.now;
        let wait = self.dice.below(50_000);
        let at = &mut self.people[person];
        if let Some(key) = at.stream.disconnect()
            && let Some(process) = &mut self.hosts[at.host].process
        {
            process.shelf.depart(key, &mut Vec::new());
        }
        at.host = to;
        for request in at.open.iter_mut().filter(|request| request.asked.is_some()) {
            request.asked = None;
            request.retry_at = now + wait;
        }
    }

    /// A process ended: those who waited there know nothing.
    pub fn forsaken(&mut self, host: usize) {
        let now = self.now;
        for person in &mut self.people {
            if person.host != host {
                continue;
            }
            person.stream.disconnect();
            for request in person.open.iter_mut().filter(|request| request.asked.is_some()) {
                request.asked = None;
                request.retry_at = now + self.dice.below(200_000);
            }
        }
    }

    /// Asks for all that is due, in order, as many at a time as the window holds.
    fn try_open(&mut self, person: usize) {
        let now = self.now;
        let host = self.people[person].host;
        if self.hosts[host].stalled_until > now {
            return;
        }
        let mut given_up = Vec::new();
        let mut open = std::mem::take(&mut self.people[person].open);
        for request in open.iter_mut().take(self.knobs.window) {
            if request.asked.is_some() || request.retry_at > now {
                continue;
            }
            let mut taken = None;
            self.input(host, |node| taken = Some(node.propose(&request.command)));
            match taken {
                None => {}
                Some(Ok(number)) => {
                    self.record.asked(&request.command, now);
                    request.asked = self.hosts[host].origin(number);
                    if let Some(process) = &mut self.hosts[host].process {
                        process.waiting.insert(number, (person, request.number));
                    }
                }
                Some(Err(_)) => {
                    request.retry_at = now + self.dice.between((50_000, 300_000));
                    if !self.calm && self.dice.per_mille(200) {
                        given_up.push(request.number);
                    }
                }
            }
        }
        open.retain(|request| !given_up.contains(&request.number));
        self.people[person].open = open;
    }

    /// A node says what became of a try.
    pub fn answer(&mut self, host: usize, number: u64, mut answer: Result<Outcome, NotDone>) -> Checked {
        let Some(origin) = self.hosts[host].origin(number) else { return Ok(()) };
        let waited = self.hosts[host].process.as_mut().and_then(|process| process.waiting.remove(&number));
        let Some((person, number)) = waited else { return Ok(()) };
        let now = self.now;
        let open = &self.people[person].open;
        // Whoever moved on is not told.
        let Some(place) =
            open.iter().position(|request| request.number == number && request.asked == Some(origin))
        else {
            return Ok(());
        };
        if self.bug == Some(Bug::DeadlineAsRefused) && answer == Err(NotDone::Unknown) {
            answer = Err(NotDone::Unavailable);
        }
        let told = self.truth.told(origin, &open[place].command, &answer);
        self.trace(|world| {
            format!("{origin:?} for {:?}: {answer:?}", world.people[person].open[place].command)
        });
        told?;
        let command = &open[place].command;
        let changed = answer.as_ref().is_ok_and(|outcome| self.truth.is_change(command, outcome));
        self.record.told(command, &answer, changed, now);
        match answer {
            Ok(outcome) => {
                let request = self.people[person].open.remove(place);
                let present = self.hosts[host].disk.model.present();
                if present < outcome.at {
                    let what = format!("{outcome:?} told by node {} at {present}", host + 1);
                    return Err(Failure { checker: "acknowledged is readable", what });
                }
                self.try_open(person);
                if !request.again && !self.quiet && self.dice.per_mille(100) {
                    self.open(person, request.command, true);
                }
            }
            Err(NotDone::Refused(_)) => {
                self.people[person].open.remove(place);
            }
            Err(NotDone::Unavailable | NotDone::Busy) if !self.calm && self.dice.per_mille(300) => {
                self.people[person].open.remove(place);
            }
            Err(_) => {
                let wait = self.dice.between((1_000, 200_000));
                let request = &mut self.people[person].open[place];
                request.asked = None;
                request.retry_at = now + wait;
                if !self.people[person].probe && self.dice.per_mille(400) {
                    self.move_person(person);
                }
            }
        }
        Ok(())
    }

    /// A linearizable read at some node; it must see all that anybody applied before it began.
    pub fn somebody_reads(&mut self, probe: Option<usize>) -> Checked {
        if probe.is_none() && !self.quiet {
            let every = self.knobs.ask_every_us;
            self.soon((0, 8 * every), Event::Read { probe: None });
        }
        let host = probe.unwrap_or_else(|| self.dice.index(self.hosts.len()));
        let floor = self.truth.at;
        let stale = matches!(self.bug, Some(Bug::StaleRead | Bug::StaleReadForTheJudge));
        let mut taken = None;
        if self.hosts[host].stalled_until <= self.now {
            self.input(host, |node| taken = Some(node.read()));
        }
        let read = Read { floor, probe: probe.is_some(), called: self.now };
        match (taken, &mut self.hosts[host].process) {
            (Some(Ok(number)), Some(process)) => {
                process.reads.insert(number, read);
                // Beside it, one that asks nobody.
                self.record.read(&mut self.hosts[host], number, self.now, self.now, true);
                let Some(process) = &self.hosts[host].process else { return Ok(()) };
                if stale && process.node.view().leader.is_some() {
                    return self.read_answered(host, number, Ok(()));
                }
            }
            _ if read.probe => self.soon((50_000, 200_000), Event::Read { probe }),
            _ => {}
        }
        Ok(())
    }

    pub fn read_answered(&mut self, host: usize, number: u64, answer: Result<(), NotDone>) -> Checked {
        let read = self.hosts[host].process.as_mut().and_then(|process| process.reads.remove(&number));
        let Some(read) = read else { return Ok(()) };
        match answer {
            Ok(()) => {
                let present = self.hosts[host].disk.model.present();
                self.record.read(&mut self.hosts[host], number, read.called, self.now, false);
                if present < read.floor && self.bug != Some(Bug::StaleReadForTheJudge) {
                    let what =
                        format!("node {} reads as of {present}, {} was there before", host + 1, read.floor);
                    return Err(Failure { checker: "linearizable reads", what });
                }
                self.probes_read += usize::from(read.probe);
            }
            Err(_) if read.probe => self.soon((50_000, 200_000), Event::Read { probe: Some(host) }),
            Err(_) => {}
        }
        Ok(())
    }
}
