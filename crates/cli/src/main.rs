//! The `storeboot` command.

mod arguments;
mod documents;
mod failure;
mod hints;
mod input;
mod progress;
mod run;
mod say;
mod serve;
mod signals;
mod writer;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use say::say;
use storeboot::Cancel;

/// Uses an allocator that asks for huge pages. The slow levels of zstd access a table of 16 MiB at random, and pages of
/// 4 KiB cost them much time in TLB misses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cancel = Cancel::new();
    if let Err(error) = signals::cancel_on_signals(&cancel) {
        say(format_args!("storeboot: cannot wait for signals: {error}"));
        return ExitCode::FAILURE;
    }
    let result = run::run(arguments, &cancel);
    signals::end_if_interrupted();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("storeboot: {}", failure::sentence(&error)));
            ExitCode::FAILURE
        }
    }
}
