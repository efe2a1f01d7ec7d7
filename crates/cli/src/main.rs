//! The `storeboot` command.

mod arguments;
mod documents;
mod input;
mod progress;
mod run;
mod say;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use say::say;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentence holds its cause already.
            say(format_args!("storeboot: {error}"));
            ExitCode::FAILURE
        }
    }
}
