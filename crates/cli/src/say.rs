//! Prints to standard output and standard error. A reader that closes the pipe early (`storeboot inspect … | head`) is
//! not a failure and does not stop a build.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::{Error, Result};
use storeboot::Plain;

/// Prints the result of a command to standard output.
pub fn print(text: impl Display) -> Result<()> {
    let mut stdout = stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::from(error).context("cannot write to the standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints the result of a command as one line, with control characters escaped.
pub fn print_line(text: impl Display) -> Result<()> {
    print(Plain(&text.to_string()).to_string() + "\n")
}

/// Prints a message to standard error, as one line of plain text. Escapes control characters, since file names can
/// contain line breaks and terminal escape sequences.
pub fn say(text: impl Display) {
    // There is no other place to report a failure of standard error.
    let text = Plain(&text.to_string()).to_string();
    let _ = writeln!(stderr(), "{text}");
}
