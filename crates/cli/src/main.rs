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
            eprintln!("storeboot: {error}");
            ExitCode::FAILURE
        }
    }
}
