//! What one seed's world is like. Each seed has only some of the faults, so that rare mixtures occur too.

use chat_actors::hub::shelf::Bounds;
use chat_actors::raft::proposals::Patience;

use super::bugs::Bug;
use super::dice::Dice;
use super::network::Weather;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One process ends; what it has written stays.
    Kill,
    /// One machine loses its power.
    PowerCut,
    KillAll,
    PowerCutAll,
    /// One node hears and reaches nobody.
    Isolate,
    /// Everybody hears one node, and it hears nobody; or the other way round.
    OneWay,
    /// Two parts that do not hear each other.
    Split,
    CutLink,
    Heal,
    SlowDisk,
    FullDisk,
    /// All disks are nearly full: they hold the same.
    LowDisks,
    /// A write or a sync fails: the process ends, and the file is never believed again.
    FailedDisk,
    /// A disk is copied, and later set back to that copy: of an earlier run, so that who heard the later one knows.
    SetBack,
    /// A process stands still.
    Stall,
    /// A wall clock is set, seconds or years off.
    ClockJump,
    /// A wall clock stands still, until it is set.
    ClockStop,
    /// A leader hands over and ends.
    StepDown,
    /// A node is told that another died which did not.
    FalseDeath,
    /// Clients come back at other nodes.
    Move,
}

const FAULTS: [Fault; 18] = [
    Fault::Kill,
    Fault::PowerCut,
    Fault::KillAll,
    Fault::PowerCutAll,
    Fault::Isolate,
    Fault::OneWay,
    Fault::Split,
    Fault::CutLink,
    Fault::Heal,
    Fault::SlowDisk,
    Fault::FullDisk,
    Fault::FailedDisk,
    Fault::Stall,
    Fault::ClockJump,
    Fault::ClockStop,
    Fault::StepDown,
    Fault::FalseDeath,
    Fault::Move,
];

#[derive(Clone, Debug)]
pub struct Knobs {
    pub nodes: usize,
    /// The first so many have founded the chat; the others join it.
    pub founders: usize,
    /// How long the faults last.
    pub first_act_us: u64,
    pub weather: Weather,
    /// From the write of a transaction to its being written, and on to its being synced.
    pub write_us: (u64, u64),
    pub sync_us: (u64, u64),
    pub fault_every_us: u64,
    pub faults: Vec<Fault>,
    /// How likely a node dies at the worst moment: between a write, its sync and the word of it.
    pub snipe_per_mille: u64,
    pub down_us: (u64, u64),
    pub ask_every_us: u64,
    pub window: usize,
    pub commands: u64,
    pub patience: Patience,
    pub page: usize,
    /// How much may wait for one session.
    pub bounds: Bounds,
    /// How often a shard of the Hub misses what was applied.
    pub gap_per_mille: u64,
    /// From the Hub to a session at most.
    pub hand_us: u64,
    /// Applied entries that a start keeps in memory.
    pub keep_in_memory: u64,
    pub log_keep_entries: u64,
    /// Rows in a page of state.
    pub state_page: usize,
    /// How often somebody wants other members, or loses a disk; 0: never.
    pub members_every_us: u64,
}

impl Knobs {
    pub fn draw(dice: &mut Dice, bug: Option<Bug>) -> Self {
        let low = dice.between((50, 2_000));
        let weather = Weather {
            delay_us: (low, low + dice.pick(&[100, 1_000, 10_000, 50_000])),
            lose_per_mille: dice.pick(&[0, 0, 5, 50, 150]),
            repeat_per_mille: dice.pick(&[0, 0, 10, 100]),
            reorder_per_mille: dice.pick(&[0, 0, 10, 100]),
            break_per_mille: dice.pick(&[0, 10, 100]),
        };
        let faults = FAULTS.into_iter().filter(|_| dice.per_mille(450)).collect();
        let sync = dice.pick(&[300, 3_000, 20_000]);
        let mut knobs = Self {
            nodes: dice.pick(&[3, 3, 5]),
            founders: 0,
            first_act_us: dice.between((4_000_000, 10_000_000)),
            weather,
            write_us: (20, dice.pick(&[100, 1_000])),
            sync_us: (100, sync),
            fault_every_us: dice.pick(&[200_000, 600_000, 1_500_000]),
            faults,
            snipe_per_mille: dice.pick(&[0, 2, 10, 40]),
            down_us: dice.pick(&[(1_000, 50_000), (1_000, 1_500_000), (500_000, 4_000_000)]),
            ask_every_us: dice.pick(&[5_000, 20_000, 60_000]),
            window: dice.pick(&[1, 4, 16]),
            commands: dice.between((50, 400)),
            patience: Patience {
                deadline_ticks: dice.between((8, 90)),
                repeat_ticks: dice.between((3, 25)),
                no_quorum_ticks: dice.between((15, 40)),
                promote_ticks: 20,
            },
            page: dice.pick(&[1, 7, 50]),
            bounds: dice.pick(&[
                Bounds::default(),
                Bounds { frames: 4, bytes: 2_000, buffered_events: 4 },
                Bounds { frames: 1_000, bytes: 400, buffered_events: 1_000 },
            ]),
            gap_per_mille: dice.pick(&[0, 0, 20, 200]),
            hand_us: dice.pick(&[10, 2_000, 100_000]),
            keep_in_memory: dice.pick(&[0, 3, 100_000]),
            log_keep_entries: dice.pick(&[1, 3, 10, 30, 1_000_000]),
            state_page: dice.pick(&[1, 5, 20, 1_000]),
            members_every_us: 0,
        };
        if let Some(bug) = bug {
            knobs.favour(bug);
        }
        knobs.founders = if bug == Some(Bug::PromotedAtOnce) { 1 } else { knobs.nodes };
        knobs
    }

    /// What comes on top of that, by dice of its own.
    pub fn add(&mut self, dice: &mut Dice) {
        self.members_every_us = dice.pick(&[0, 0, 400_000, 1_000_000]);
        if dice.per_mille(200) {
            self.faults.push(Fault::LowDisks);
        }
        if dice.per_mille(250) {
            // It takes several strikes until one is set back.
            self.faults.extend([Fault::SetBack; 3]);
        }
        if self.members_every_us > 0 && dice.per_mille(300) {
            self.founders = 1;
            self.patience.promote_ticks = dice.pick(&[20, 100]);
        }
    }

    /// Whether disks are lost, and replicas come anew under other ids.
    pub fn loses_disks(&self) -> bool {
        let loses = |fault: &Fault| matches!(fault, Fault::FailedDisk | Fault::SetBack);
        self.members_every_us > 0 || self.faults.iter().any(loses)
    }

    /// Some bugs need a mixture that is rare among seeds.
    fn favour(&mut self, bug: Bug) {
        match bug {
            Bug::PersistedBeforeSync | Bug::VoteNotPersisted => {
                self.snipe_per_mille = 40;
                self.down_us = (1_000, 20_000);
            }
            Bug::StartWithoutBootCommit => {
                self.snipe_per_mille = 150;
                self.down_us = (1_000, 20_000);
                self.nodes = 3;
                self.faults = vec![Fault::SlowDisk, Fault::FullDisk, Fault::CutLink, Fault::Heal];
                self.fault_every_us = 200_000;
                self.sync_us = (1_000, 20_000);
                self.weather.delay_us = (50, 1_000);
                self.ask_every_us = 100_000;
            }
            Bug::ForwardsOfAnyTerm => {
                self.weather.break_per_mille = 300;
                self.faults = vec![Fault::StepDown, Fault::FalseDeath, Fault::CutLink, Fault::Heal];
                self.fault_every_us = 200_000;
            }
            Bug::ForwardsOvertake => {
                self.weather.break_per_mille = 300;
                self.ask_every_us = 5_000;
                self.window = 16;
            }
            Bug::PositionWithoutRows => {
                self.log_keep_entries = 3;
                self.snipe_per_mille = 40;
                self.faults = vec![Fault::PowerCut, Fault::Isolate, Fault::Heal];
            }
            Bug::SourceBehindHorizon => {
                self.log_keep_entries = 3;
                self.state_page = 1;
                self.nodes = 5;
                self.faults = vec![Fault::Isolate, Fault::Heal, Fault::SlowDisk];
                self.ask_every_us = 5_000;
            }
            Bug::FailedSyncRepeated => {
                self.faults = vec![Fault::FailedDisk, Fault::PowerCut, Fault::PowerCutAll];
                self.fault_every_us = 200_000;
                self.down_us = (1_000, 50_000);
            }
            Bug::PromotedAtOnce => self.members_every_us = 400_000,
            _ => {}
        }
    }
}
