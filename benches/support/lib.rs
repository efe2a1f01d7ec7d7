//! Measures commands with time(1), writes pages of results, and has what several benchmarks load.

pub mod busybox;
pub mod ingredients;
pub mod nixpkgs;
pub mod processor;

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

/// Bytes that do not compress, four of each number: the upper halves of a linear congruential generator's numbers.
pub fn noise(numbers: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 32) as u32).to_le_bytes()
    };
    (0..numbers).flat_map(next).collect()
}

/// Returns a command that loads a URL with curl to /dev/null, and prints how many bytes came.
#[must_use]
pub fn curl(url: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--output",
        "/dev/null",
    ])
    .args(["--write-out", "%{size_download}"])
    .arg(url);
    curl
}
