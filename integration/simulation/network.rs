//! The network: for each direction between two machines, known by their places, a way that delays, loses, repeats, reorders or
//! is cut; and beside the Raft messages one ordered stream of forwarded commands that can break.

use super::dice::Dice;

/// How the network treats what it carries; drawn once a seed.
#[derive(Clone, Debug)]
pub struct Weather {
    pub delay_us: (u64, u64),
    pub lose_per_mille: u64,
    pub repeat_per_mille: u64,
    pub reorder_per_mille: u64,
    /// A forwarded parcel of which the sender hears that it was lost, though it may have arrived.
    pub break_per_mille: u64,
}

/// What becomes of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// When it arrives, once or twice or never.
    pub arrives: Vec<u64>,
    /// When the sender hears that it did not, or may not have.
    pub unreachable: Option<u64>,
}

#[derive(Clone, Default)]
struct Way {
    cut: bool,
    /// Nothing on this way overtakes.
    raft_until: u64,
    forwards_until: u64,
}

pub struct Network {
    ways: Vec<Way>,
    nodes: usize,
    dice: Dice,
    weather: Weather,
    calm: bool,
}

impl Network {
    pub fn new(nodes: usize, weather: Weather, dice: Dice) -> Self {
        Self { ways: vec![Way::default(); nodes * nodes], nodes, dice, weather, calm: false }
    }

    /// From now on nothing is lost, repeated or reordered by chance.
    pub fn calm(&mut self) {
        self.calm = true;
    }

    pub fn cut(&mut self, from: usize, to: usize, cut: bool) {
        self.way(from, to).cut = cut;
    }

    pub fn is_cut(&mut self, from: usize, to: usize) -> bool {
        self.way(from, to).cut
    }

    pub fn heal(&mut self) {
        for way in &mut self.ways {
            way.cut = false;
        }
    }

    pub fn raft_message(&mut self, now: u64, from: usize, to: usize) -> Fate {
        if self.is_cut(from, to) || self.strikes(self.weather.lose_per_mille) {
            let heard = self.dice.per_mille(500).then(|| now + self.dice.between((500, 60_000)));
            return Fate { arrives: Vec::new(), unreachable: heard };
        }
        let mut at = now + self.dice.between(self.weather.delay_us);
        if self.strikes(self.weather.reorder_per_mille) {
            at += self.dice.between((1_000, 300_000));
        } else {
            let way = self.way(from, to);
            at = at.max(way.raft_until);
            way.raft_until = at;
        }
        let mut arrives = vec![at];
        if self.strikes(self.weather.repeat_per_mille) {
            arrives.push(at + self.dice.between((1, 200_000)));
        }
        Fate { arrives, unreachable: None }
    }

    pub fn forwards(&mut self, now: u64, from: usize, to: usize) -> Fate {
        let heard = now + self.dice.between((500, 60_000));
        if self.is_cut(from, to) {
            return Fate { arrives: Vec::new(), unreachable: Some(heard) };
        }
        let broken = self.strikes(self.weather.break_per_mille);
        if broken && self.dice.per_mille(500) {
            return Fate { arrives: Vec::new(), unreachable: Some(heard) };
        }
        let mut delay = self.dice.between(self.weather.delay_us);
        if broken {
            // It lies about somewhere, while the sender goes on without it.
            delay += self.dice.between((0, 1_000_000));
        }
        let way = self.way(from, to);
        let at = (now + delay).max(way.forwards_until);
        if broken {
            return Fate { arrives: vec![at], unreachable: Some(heard) };
        }
        way.forwards_until = at;
        Fate { arrives: vec![at], unreachable: None }
    }

    fn strikes(&mut self, per_mille: u64) -> bool {
        !self.calm && self.dice.per_mille(per_mille)
    }

    fn way(&mut self, from: usize, to: usize) -> &mut Way {
        &mut self.ways[from * self.nodes + to]
    }
}
