//! Many processes that fetch at once.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

/// What many processes did.
pub struct Outcome {
    /// Seconds from the start of the first process to the end of the last one.
    pub seconds: f64,
    /// How many ended in good order and said what they had to say.
    pub complete: usize,
    /// How many ended in good order, but said that they had got something else.
    pub wrong: usize,
    /// How many failed. What they said about it is on standard error.
    pub failed: usize,
}

/// Runs as many processes at once, each of which must say `expected` on standard output.
pub fn run(number: u32, expected: &str, command: impl Fn() -> Command) -> Result<Outcome> {
    let start = Instant::now();
    let start_one = |_| {
        let mut command = command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))
    };
    let children: Vec<Child> = (0..number).map(start_one).collect::<Result<_>>()?;
    let mut outcome = Outcome {
        seconds: 0.0,
        complete: 0,
        wrong: 0,
        failed: 0,
    };
    for child in children {
        let output = child.wait_with_output().context("a client")?;
        let said = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), said.trim() == expected) {
            (true, true) => outcome.complete += 1,
            (true, false) => outcome.wrong += 1,
            (false, _) => outcome.failed += 1,
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}
