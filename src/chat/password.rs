//! Names and passwords, asked for at the terminal itself: standard input may be a message.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, bail};
use nix::sys::termios::{self, LocalFlags, SetArg};

/// Where scripts put a password: not an argument, which everybody on the machine can read.
pub const VARIABLE: &str = "CHAT_PASSWORD";

/// The password from the environment.
pub fn from_environment() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|password| !password.is_empty())
}

/// The terminal of this process, for questions.
pub struct Terminal(File);

impl Terminal {
    /// `None` when there is none, as in a script.
    pub fn open() -> Option<Self> {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Asks for one line.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        write!(self.0, "{question}: ")?;
        self.0.flush()?;
        self.read()
    }

    /// Asks for one line that is not shown.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask_silently(&mut self, question: &str) -> anyhow::Result<String> {
        let shown = termios::tcgetattr(&self.0).context("cannot switch off the echo of the terminal")?;
        let mut silent = shown.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &silent)
            .context("cannot switch off the echo of the terminal")?;
        let answer = self.ask(question);
        let restored = termios::tcsetattr(&self.0, SetArg::TCSAFLUSH, &shown);
        writeln!(self.0)?;
        restored.context("cannot switch on the echo of the terminal: type `reset`")?;
        answer
    }

    fn read(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if BufReader::new(&self.0).read_line(&mut line)? == 0 {
            bail!("no answer: the terminal was closed");
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
