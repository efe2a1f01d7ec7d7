//! What a process took, as time(1) tells it, and pages that say so.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What a command took, of all the processes that it is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds by the clock.
    pub wall: f64,
    /// Seconds of all processors.
    pub cpu: f64,
    /// Bytes of the largest process.
    pub memory: u64,
}

/// time(1), which writes to the file `figures` what the command took that is added behind.
#[must_use]
pub fn time(figures: &Path) -> Command {
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%e %U %S %M", "-o"]).arg(figures);
    time
}

/// What [`time`] has written.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
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

/// Writes a page to its place, or prints it where it has none.
///
/// # Errors
/// Where it cannot be written.
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
