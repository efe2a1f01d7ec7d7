//! What the command prints. Whoever reads may have seen enough and be gone (`storeboot inspect … | head`): that is no
//! failure, and no reason to stop in the middle of a build.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::{Error, Result};

/// Prints what was asked for.
pub fn print(text: impl Display) -> Result<()> {
    let mut stdout = stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::from(error).context("cannot write to the standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints a line for whoever watches: one line of plain text, whatever names are in it. Files may be called as they like,
/// line breaks and a terminal's commands included.
pub fn say(text: impl Display) {
    // There is nobody else to tell.
    let _ = writeln!(stderr(), "{}", plain(&text.to_string()));
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_is_not_text_is_escaped() {
        assert_eq!(plain("a\nb\u{1b}[31m ü"), "a\\nb\\u{1b}[31m ü");
    }
}
