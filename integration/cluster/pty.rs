//! A terminal of the test's own with the program at it: keys go in, and what it draws is read as people would.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};

use super::program::{Process, command_by};
use super::wait::{PATIENCE, poll};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

pub struct Pty {
    pub process: Process,
    keys: File,
    /// The program's side, held so that how it left the terminal can be seen.
    its_side: OwnedFd,
    before: Termios,
    screen: Arc<Mutex<Screen>>,
}

impl Pty {
    /// Starts the program at a new terminal.
    pub fn start(arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        let side = || pty.slave.try_clone().unwrap();
        // The terminal becomes its own: it does not look at the one from which tests are started.
        let mut command = command_by(&["setsid", "--ctty"]);
        command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(side()).stdout(side()).stderr(side());
        let process = Process(command.spawn().unwrap());
        drop(command);
        let screen = Arc::new(Mutex::new(Screen::new()));
        let (mut drawn, seen) = (File::from(pty.master.try_clone().unwrap()), Arc::clone(&screen));
        // Ends when nobody holds the other side any more.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = drawn.read(&mut bytes) {
                seen.lock().unwrap().take(&bytes[..length]);
            }
        });
        Self { process, keys: File::from(pty.master), its_side: pty.slave, before, screen }
    }

    /// Presses these keys, as a terminal sends them.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is to be read on the screen.
    pub async fn shows(&self, text: &str) {
        let look = async || self.screen.lock().unwrap().text().contains(text).then_some(());
        if poll(PATIENCE, look).await.is_none() {
            panic!("{text:?} is not shown:\n{}", self.screen());
        }
    }

    /// What is to be read now.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().text()
    }

    /// Waits until the program has ended in good order and all that it drew was read; then the terminal must be as
    /// it was before.
    pub async fn ended_and_put_it_back(mut self) {
        let status = self.process.ended(PATIENCE).await;
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", self.screen());
        // The modes that a full screen sets and nothing else does; a cursor is shown at first.
        let put_back = async || {
            let modes = self.screen.lock().unwrap().modes.clone();
            (modes == BTreeSet::from([SHOWN_CURSOR])).then_some(())
        };
        assert!(poll(PATIENCE, put_back).await.is_some(), "{:?}", self.screen.lock().unwrap().modes);
        let after = tcgetattr(&self.its_side).unwrap();
        let flags =
            |modes: &Termios| (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
        assert_eq!(flags(&after), flags(&self.before), "the terminal is not as it was");
    }
}

const SHOWN_CURSOR: u16 = 25;

/// As much of a terminal as the program makes use of: text, a cursor that is moved, modes.
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    modes: BTreeSet<u16>,
    /// Bytes of a character that is not whole yet.
    rest: Vec<u8>,
    /// What came of a sequence that is not whole yet.
    sequence: Option<String>,
}

impl Screen {
    fn new() -> Self {
        let rows = vec![vec![' '; COLUMNS.into()]; ROWS.into()];
        let modes = BTreeSet::from([SHOWN_CURSOR]);
        Self { rows, row: 0, column: 0, modes, rest: Vec::new(), sequence: None }
    }

    fn text(&self) -> String {
        let lines: Vec<String> = self.rows.iter().map(|row| row.iter().collect()).collect();
        lines.join("\n")
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let whole = match str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        String::from_utf8(text).unwrap().chars().for_each(|character| self.character(character));
    }

    fn character(&mut self, character: char) {
        match (&mut self.sequence, character) {
            (None, '\u{1b}') => self.sequence = Some(String::new()),
            (None, '\r') => self.column = 0,
            (None, '\n') => self.row += 1,
            (None, character) => {
                if let Some(cell) = self.rows.get_mut(self.row).and_then(|row| row.get_mut(self.column)) {
                    *cell = character;
                }
                self.column += 1;
            }
            (Some(sequence), character) => {
                sequence.push(character);
                let is_whole = match sequence.strip_prefix('[') {
                    None => true,
                    Some(inner) => inner.ends_with(|last| ('@'..='~').contains(&last)),
                };
                if is_whole {
                    let sequence = self.sequence.take().unwrap_or_default();
                    self.obey(&sequence);
                }
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        let Some(inner) = sequence.strip_prefix('[') else { return };
        let (words, what) = inner.split_at(inner.len() - 1);
        let numbers =
            |words: &str| words.split(';').map(|word| word.parse().unwrap_or(1)).collect::<Vec<_>>();
        match (what, words.strip_prefix('?')) {
            ("h", Some(modes)) => self.modes.extend(numbers(modes)),
            ("l", Some(modes)) => {
                let off = numbers(modes);
                self.modes.retain(|mode| !off.contains(mode));
            }
            ("H", None) => {
                let place = numbers(words);
                let at = |index: usize| usize::from(*place.get(index).unwrap_or(&1)).saturating_sub(1);
                (self.row, self.column) = (at(0), at(1));
            }
            ("J", None) => self.rows.iter_mut().for_each(|row| row.fill(' ')),
            _ => {}
        }
    }
}

#[test]
fn a_screen_is_read_as_it_is_drawn() {
    let mut screen = Screen::new();
    screen.take("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2;3Ha\u{1b}[1mb".as_bytes());
    let (first, second) = "…".as_bytes().split_at(1);
    screen.take(first);
    screen.take(second);
    screen.take(b"\r\nc\x1b[1;1Hd");
    let text = screen.text();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines[..3], ["d", "  ab…", "c"]);
    assert_eq!(screen.modes, BTreeSet::from([1049]));
    screen.take(b"\x1b[2J");
    assert_eq!(screen.text().trim(), "");
}
