//! The `storeboot` command.

mod arguments;
mod documents;
mod input;
mod progress;
mod run;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentence holds its cause already.
            eprintln!("storeboot: {}", plain(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// One line of plain text: names of files that an error repeats may have line breaks and a terminal's commands in them.
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
