//! Keys, news and the terminal itself.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, anyhow};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream};
use crossterm::execute;
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::desk::{Act, Desk, Mode, Then};
use super::draw::{self, Look};
use super::writers::Writers;
use crate::chat::keys::{self, Key};
use crate::chat::places::Place;
use crate::chat::script;
use crate::chat::talk::{Heard, Talk};
use crate::failure::WrongUsage;
use crate::signals::StopSignals;

/// How long a question may go without an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Shorter losses of the connection are not worth a word.
const QUIET: Duration = Duration::from_millis(400);
/// Read marks are told about once a second.
const MARK_PERIOD: Duration = Duration::from_secs(1);
/// Whoever writes says so so often.
const TYPING_PERIOD: Duration = Duration::from_secs(3);

/// Refuses what is no terminal.
///
/// # Errors
/// When standard input or output is a file or a pipe.
pub fn check() -> Result<(), WrongUsage> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(WrongUsage("the full screen needs a terminal; for scripts there are --send and --follow".into()))
}

/// Shows the chat until one leaves it.
///
/// # Errors
/// When the terminal fails, or the chat lets us in no more.
pub async fn run(talk: &mut Talk, room: Option<Place>) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    // From here on the terminal is put back also when the program panics.
    let terminal = ratatui::try_init().context("this terminal has no full screen")?;
    let mut screen = Screen {
        terminal,
        look: Look { has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
        desk: Desk::new(room),
        asked: HashMap::new(),
        lost: None,
        mark: None,
        writers: Writers::default(),
        typed: None,
        begun: Instant::now(),
    };
    let ended = match execute!(io::stdout(), EnableBracketedPaste) {
        Ok(()) => screen.stay(talk, &mut signals).await,
        Err(error) => Err(error.into()),
    };
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    ratatui::restore();
    ended
}

struct Screen {
    terminal: DefaultTerminal,
    look: Look,
    desk: Desk,
    /// Questions without an answer.
    asked: HashMap<String, Then>,
    /// When a lost connection is to be shown.
    lost: Option<Instant>,
    /// When the next read mark may be told.
    mark: Option<Instant>,
    writers: Writers,
    /// In which room it was said last that one writes, and when.
    typed: Option<(u64, Instant)>,
    begun: Instant,
}

impl Screen {
    async fn stay(&mut self, talk: &mut Talk, signals: &mut StopSignals) -> anyhow::Result<()> {
        let mut events = EventStream::new();
        loop {
            self.show(talk)?;
            let silent = self.writers.wake_at().map(|at| self.begun + Duration::from_millis(at));
            let soon = [self.lost, self.mark, silent].into_iter().flatten().min();
            let wake = soon.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            let acts = tokio::select! {
                heard = talk.next() => self.hear(heard?)?,
                event = events.next() => match event {
                    Some(event) => self.event(event?, talk),
                    None => vec![Act::Quit],
                },
                () = sleep_until(wake) => {
                    self.passed(talk);
                    Vec::new()
                }
                () = signals.next() => vec![Act::Quit],
            };
            for act in acts {
                match act {
                    Act::Quit => return Ok(()),
                    Act::Redraw => self.terminal.clear()?,
                    act => self.act(talk, act),
                }
            }
        }
    }

    fn show(&mut self, talk: &mut Talk) -> anyhow::Result<()> {
        self.desk.outbox = talk.outbox().cloned().collect();
        let now = self.now();
        // Asked also while no room is open, whose number is none: whoever was silent for long is forgotten by that.
        self.desk.writers = self.writers.in_room(self.desk.current.unwrap_or_default(), now);
        let (desk, look) = (&mut self.desk, self.look);
        self.terminal.draw(|frame| draw::draw(frame, desk, look))?;
        if let Some(act) = self.desk.older() {
            self.act(talk, act);
        }
        if self.mark.is_none()
            && let Some((room, seq)) = self.desk.read_up_to()
        {
            talk.mention("mark_read", json!({"room": room, "seq": seq}));
            self.mark = Some(Instant::now() + MARK_PERIOD);
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) -> anyhow::Result<Vec<Act>> {
        let acts = match heard {
            Heard::Welcome(welcome) => {
                self.lost = None;
                self.desk.welcome(&welcome)
            }
            Heard::Event(event) => {
                self.writers.hear(&event, self.now());
                self.desk.event(&event)
            }
            Heard::Reply { id, outcome } => match self.asked.remove(&id) {
                Some(then) => self.desk.answered(then, outcome),
                None => Vec::new(),
            },
            Heard::Refused { problem, .. } => {
                self.desk.refused(&problem.message);
                Vec::new()
            }
            Heard::Lost { .. } => {
                self.lost.get_or_insert(Instant::now() + QUIET);
                Vec::new()
            }
            Heard::Ended(ending) => return Err(script::ended(ending)),
            Heard::Sent { .. } | Heard::Outbox => Vec::new(),
        };
        Ok(acts)
    }

    fn event(&mut self, event: Event, talk: &mut Talk) -> Vec<Act> {
        match event {
            Event::Key(key) => {
                let key = keys::read(key);
                let is_writing = matches!(key, Some(Key::Character(_))) && self.desk.mode == Mode::Writing;
                let acts = key.map(|key| self.desk.key(key)).unwrap_or_default();
                if is_writing {
                    self.tell_that_one_writes(talk);
                }
                acts
            }
            Event::Paste(text) => {
                self.desk.paste(&text);
                Vec::new()
            }
            // Drawn anew in any case.
            _ => Vec::new(),
        }
    }

    /// Every few seconds, and not of what is for the program alone.
    fn tell_that_one_writes(&mut self, talk: &mut Talk) {
        let Some(room) = self.desk.current.filter(|_| !self.desk.draft.input.text().starts_with('/')) else {
            return;
        };
        let is_told = |(told, at): (u64, Instant)| told == room && at.elapsed() < TYPING_PERIOD;
        if !self.typed.is_some_and(is_told) {
            self.typed = Some((room, Instant::now()));
            talk.mention("typing", json!({"room": room}));
        }
    }

    /// Milliseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn passed(&mut self, talk: &Talk) {
        let now = Instant::now();
        if self.lost.take_if(|at| *at <= now).is_some() && !talk.is_connected() {
            self.desk.lost();
        }
        self.mark.take_if(|at| *at <= now);
    }

    fn act(&mut self, talk: &mut Talk, act: Act) {
        let done = match act {
            Act::Ask { op, fields, then } => {
                self.asked.insert(talk.ask(op, fields, PATIENCE), then);
                Ok(())
            }
            Act::Write { op, room, fields } => {
                let written = talk.write(op, room, fields.clone()).map(drop);
                if written.is_err() {
                    self.desk.not_kept(op, &fields);
                }
                written
            }
            Act::Discard { item, again } => talk.discard(&item.id).and_then(|()| match again {
                true => talk.write(&item.op, item.room, item.fields).map(drop),
                false => Ok(()),
            }),
            Act::Redraw | Act::Quit => Err(anyhow!("not an act on the chat")),
        };
        if let Err(error) = done {
            self.desk.notice = Some(format!("not kept, so not sent: {error:#}"));
        }
    }
}
