//! Measures commands with time(1), and writes pages of results.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The cost of a command, with all its child processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Elapsed seconds.
    pub wall: f64,
    /// CPU seconds of all processes.
    pub cpu: f64,
    /// Peak memory of the largest process, in bytes.
    pub memory: u64,
}

/// Returns a command that runs time(1). Add the command to measure as arguments; time(1) writes its cost to `figures`.
#[must_use]
pub fn time(figures: &Path) -> Command {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%e %U %S %M", "-o"]).arg(figures);
    time
}

/// Reads the file that [`time`] wrote.
///
/// # Errors
/// If the file cannot be read or has other content.
pub fn cost(figures: &Path) -> Result<Cost> {
    let text = fs::read_to_string(figures)?;
    let words = text.split_whitespace();
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let [wall, user, system, kilobytes] = numbers[..] else {
        bail!("time wrote {text:?}");
    };
    Ok(Cost {
        wall,
        cpu: user + system,
        memory: kilobytes as u64 * 1024,
    })
}

/// Writes a page to `place`, or prints it if there is no place.
///
/// # Errors
/// If the page cannot be written.
pub fn publish(page: &str, place: Option<&Path>) -> Result<()> {
    match place {
        Some(path) => {
            fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
        }
        None => {
            print!("{page}");
            Ok(())
        }
    }
}
