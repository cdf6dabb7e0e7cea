//! What goes wrong.

use super::dice::Dice;
use super::host::Host;
use super::knobs::Fault;
use super::world::{Event, World};

impl Host {
    pub fn stop_faults(&mut self, now: u64) {
        self.stalled_until = self.stalled_until.min(now);
        self.slow_until = 0;
        self.full_until = 0;
        self.low_until = 0;
        self.fails = false;
    }

    pub fn describe(&self) -> String {
        let image = &self.disk.written;
        let on_disk = format!(
            "term {} vote {} commit {} last {} applied {} voters {:?}",
            image.hard_state.term,
            image.hard_state.vote,
            image.hard_state.commit,
            self.disk.last_index(),
            image.applied,
            self.disk.roll().conf.voters,
        );
        let lives =
            self.process.as_ref().map_or("down".to_owned(), |process| format!("{:?}", process.node.view()));
        format!("node {}: {on_disk}; {lives}", self.id)
    }
}

impl World {
    /// One fault of this seed's, and the next one later.
    pub fn fault(&mut self) {
        if self.calm {
            return;
        }
        let every = self.knobs.fault_every_us;
        self.soon((0, 2 * every), Event::Fault);
        if self.knobs.faults.is_empty() {
            return;
        }
        let fault = self.dice.pick(&self.knobs.faults);
        let host = self.dice.index(self.hosts.len());
        self.trace(|_| format!("{fault:?} {}", host + 1));
        self.strike(fault, host);
    }

    fn strike(&mut self, fault: Fault, host: usize) {
        let now = self.now;
        let ends = matches!(
            fault,
            Fault::Kill
                | Fault::PowerCut
                | Fault::KillAll
                | Fault::PowerCutAll
                | Fault::StepDown
                | Fault::SetBack
        );
        if ends && self.is_any_set_back() {
            return;
        }
        match fault {
            Fault::Kill => self.kill(host, true),
            Fault::PowerCut => self.power_cut(host),
            Fault::KillAll => (0..self.hosts.len()).for_each(|host| self.kill(host, true)),
            Fault::PowerCutAll => (0..self.hosts.len()).for_each(|host| self.power_cut(host)),
            Fault::Isolate => self.cut_off(host),
            Fault::OneWay => {
                let hears = self.dice.per_mille(500);
                for other in (0..self.hosts.len()).filter(|&other| other != host) {
                    let (from, to) = if hears { (host, other) } else { (other, host) };
                    self.cut(from, to);
                }
            }
            Fault::Split => {
                let side: Vec<_> = (0..self.hosts.len()).map(|_| self.dice.per_mille(500)).collect();
                for from in 0..side.len() {
                    for to in (0..side.len()).filter(|&to| side[from] != side[to]) {
                        self.cut(from, to);
                    }
                }
            }
            Fault::CutLink => {
                let to = self.dice.index(self.hosts.len());
                self.cut(host, to);
            }
            Fault::Heal => self.heal(),
            Fault::SlowDisk => self.hosts[host].slow_until = now + self.dice.between((50_000, 1_500_000)),
            Fault::FullDisk => self.hosts[host].full_until = now + self.dice.between((50_000, 1_500_000)),
            Fault::LowDisks => {
                let until = now + self.dice.between((500_000, 4_000_000));
                self.hosts.iter_mut().for_each(|host| host.low_until = until);
            }
            Fault::FailedDisk => self.hosts[host].fails = true,
            Fault::SetBack => self.set_back(host),
            Fault::Stall => self.hosts[host].stalled_until = now + self.dice.between((20_000, 2_000_000)),
            Fault::ClockJump => {
                const YEARS_MS: u64 = 10 * 365 * 86_400_000;
                let most = self.dice.pick(&[5_000, YEARS_MS]);
                let at = &mut self.hosts[host];
                at.clock_ms = self.dice.between((0, 2 * most)).cast_signed() - most.cast_signed();
                at.clock_stands_at_ms = None;
            }
            Fault::ClockStop => {
                let at = &mut self.hosts[host];
                at.clock_stands_at_ms = Some(at.time_ms(now));
            }
            Fault::StepDown => {
                self.input(host, |node| {
                    node.step_down();
                });
                let life = self.hosts[host].life;
                self.soon((10_000, 600_000), Event::Ended { host, life });
            }
            Fault::FalseDeath => {
                let peer = self.dice.index(self.hosts.len());
                let peer = self.hosts[peer].id;
                self.after(1, Event::Died { host, peer });
            }
            Fault::Move => {
                for person in 0..self.people.len() {
                    if self.dice.per_mille(500) {
                        self.move_person(person);
                    }
                }
            }
        }
        let cuts = matches!(fault, Fault::Isolate | Fault::OneWay | Fault::Split | Fault::CutLink);
        if cuts {
            self.soon((100_000, 3_000_000), Event::Heal);
        }
    }

    /// A bad moment: something has just been written, or synced, or applied.
    pub fn snipe(&mut self, host: usize) {
        if self.calm || self.is_any_set_back() || !self.dice.per_mille(self.knobs.snipe_per_mille) {
            return;
        }
        let what = self.dice.below(10);
        self.trace(|_| format!("sniped {} with {what}", host + 1));
        match what {
            0 => (0..self.hosts.len()).for_each(|host| self.power_cut(host)),
            1..4 => self.power_cut(host),
            4..8 => self.kill(host, true),
            _ => {
                // It comes back at once and believes what it finds; then that is taken away.
                self.kill(host, false);
                self.hosts[host].restarting = true;
                self.soon((500, 3_000), Event::Start { host });
                self.soon((3_000, 250_000), Event::SecondStrike { host });
                // Meanwhile others may be slow to have what it had.
                let other = self.dice.index(self.hosts.len());
                self.hosts[other].full_until = self.now + self.dice.between((50_000, 400_000));
            }
        }
    }

    /// The power goes soon after a process was killed and came back; perhaps its leader is cut off too.
    pub fn second_strike(&mut self, host: usize) {
        if self.calm || self.is_any_set_back() {
            return;
        }
        let view = self.hosts[host].process.as_ref().map(|process| process.node.view());
        self.power_cut(host);
        let leader = view.and_then(|view| view.leader).filter(|_| self.dice.per_mille(500));
        if let Some(leader) = leader {
            if let Some(place) = self.place_of(leader) {
                self.cut_off(place);
            }
            self.soon((100_000, 3_000_000), Event::Heal);
        }
    }

    /// `kill -9`: what was written stays. The others see the connections end.
    pub fn kill(&mut self, host: usize, comes_back: bool) {
        if self.hosts[host].process.is_some() {
            for other in (0..self.hosts.len()).filter(|&other| other != host) {
                let id = self.hosts[host].id;
                if !self.network.is_cut(host, other) {
                    self.soon((500, 20_000), Event::Died { host: other, peer: id });
                }
            }
        }
        self.end(host);
        if comes_back {
            self.comes_back_later(host);
        }
    }

    /// Nobody is told, and what was not synced may be gone.
    pub fn power_cut(&mut self, host: usize) {
        self.end(host);
        let mut dice: Dice = self.dice.fork();
        self.hosts[host].disk.power_cut(&mut dice);
        self.comes_back_later(host);
    }

    fn end(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        at.stalled_until = 0;
        at.restarting = false;
        let Some(process) = at.process.take() else { return };
        at.life += 1;
        self.forsaken(host);
        if process.reads.values().any(|read| read.probe) {
            self.after(1, Event::Read { probe: Some(host) });
        }
    }

    fn comes_back_later(&mut self, host: usize) {
        self.hosts[host].restarting = true;
        let down_us = if self.calm { (1_000, 100_000) } else { self.knobs.down_us };
        self.soon(down_us, Event::Start { host });
    }

    pub fn restart_soon(&mut self, host: usize) {
        if self.hosts[host].process.is_none() {
            self.hosts[host].restarting = true;
            self.soon((1_000, 100_000), Event::Start { host });
        }
    }

    pub fn cut_off(&mut self, host: usize) {
        for other in (0..self.hosts.len()).filter(|&other| other != host) {
            self.cut(host, other);
            self.cut(other, host);
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from != to {
            self.network.cut(from, to, true);
        }
    }

    /// All links work again, but those to nodes that stay away.
    pub fn heal(&mut self) {
        self.network.heal();
        for host in self.away.clone() {
            self.cut_off(host);
        }
    }
}
