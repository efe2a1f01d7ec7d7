//! Runs a command as a process of its own and measures time, memory and processor load.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use storeboot_benches::processor::TICKS;
use storeboot_benches::{Cost, cost, time};

use crate::cold::forget_files;
use crate::contenders::{Closure, Contender, READ, Series};

/// The number of busy cores in each [`STEP`] of a run, including the load of other processes.
pub type Trace = Vec<f64>;

/// The time between two measurements of the load.
pub const STEP: Duration = Duration::from_millis(500);

/// The result of a contender: the round with the median time.
pub struct Measured {
    pub name: &'static str,
    pub series: Series,
    /// The command that ran first and was not measured.
    pub before: String,
    pub command: String,
    pub cost: Cost,
    pub trace: Trace,
    /// The size of the output in bytes.
    pub size: u64,
}

/// Commands that take less than this many seconds run several times, unless the arguments set the number.
pub const SHORT: f64 = 30.0;
/// The number of runs of a short command.
pub const ROUNDS: usize = 3;

pub fn run(
    contender: &Contender,
    closure: &Closure,
    rounds: Option<NonZeroUsize>,
) -> Result<Measured> {
    let out = closure.work.join("out");
    let mut costs: Vec<(Cost, Trace)> = Vec::new();
    let enough = |first: &Cost| match rounds {
        Some(rounds) => rounds.get(),
        None if first.wall < SHORT => ROUNDS,
        None => 1,
    };
    while costs
        .first()
        .is_none_or(|(first, _)| costs.len() < enough(first))
    {
        bash(&contender.before, closure)?;
        if out.exists() {
            fs::remove_file(&out)?;
        }
        if contender.cold {
            forget_files()?;
        }
        costs.push(timed(&contender.command, closure).with_context(|| contender.name.to_owned())?);
    }
    costs.sort_by(|(a, _), (b, _)| a.wall.total_cmp(&b.wall));
    let (cost, trace) = costs.swap_remove(costs.len() / 2);
    let size = fs::metadata(&out)
        .with_context(|| format!("{} wrote no output", contender.name))?
        .len();
    Ok(Measured {
        name: contender.name,
        series: contender.series,
        before: contender.before.clone(),
        command: contender.command.clone(),
        cost,
        trace,
        size,
    })
}

/// Puts all files into the page cache.
pub fn warm_up(closure: &Closure) -> Result<()> {
    bash(READ, closure)
}

/// Runs a command that is not measured.
fn bash(script: &str, closure: &Closure) -> Result<()> {
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(&closure.work)
        .status()?;
    if !status.success() {
        bail!("`{script}`: {status}");
    }
    Ok(())
}

fn timed(command: &str, closure: &Closure) -> Result<(Cost, Trace)> {
    let figures = closure.work.join("time");
    let mut process = time(&figures)
        .args(["bash", "-euo", "pipefail", "-c", command])
        .env("PATH", path(&closure.storeboot)?)
        .current_dir(&closure.work)
        .spawn()
        .context("/usr/bin/time is needed")?;
    let (mut trace, mut before) = (Trace::new(), busy()?);
    let mut next = Instant::now() + STEP;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
        if Instant::now() >= next {
            let now = busy()?;
            trace.push((now - before) as f64 / TICKS / STEP.as_secs_f64());
            (before, next) = (now, next + STEP);
        }
    };
    if !status.success() {
        bail!("`{command}`: {status}");
    }
    Ok((cost(&figures)?, trace))
}

/// The busy ticks of all processors: user, nice and system of the first line.
fn busy() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().context("/proc/stat is empty")?;
    Ok(first
        .split_whitespace()
        .skip(1)
        .take(3)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum())
}

/// A PATH with storeboot on it, so that the commands read as a person would type them.
fn path(storeboot: &Path) -> Result<String> {
    let folder = storeboot.parent().context("the command is in a folder")?;
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH")?))
}
