//! Words for the person or the script that called: results on standard output, the rest on standard error.

use std::io::{self, Write};

/// A result: one line on standard output, flushed so that whoever reads a pipe has it now.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Nobody is left to be told when standard output is closed.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// One line of a stream of them on standard output, flushed.
///
/// # Errors
/// When nobody reads it any more.
pub fn print(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush())
}

/// What went wrong, or how far a long command is: one line on standard error.
pub fn complain(message: &str) {
    let line: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let _ = writeln!(io::stderr().lock(), "{}", line.join("; "));
}
