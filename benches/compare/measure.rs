//! Runs a command as a process of its own and takes what the kernel knows of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::contenders::{Closure, Contender, Series};

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

/// A contender's outcome: the round whose time is the median.
pub struct Measured {
    pub name: &'static str,
    pub series: Series,
    pub command: String,
    pub cost: Cost,
    /// Bytes of what was made.
    pub size: u64,
}

pub fn run(contender: &Contender, closure: &Closure, rounds: usize) -> Result<Measured> {
    let out = closure.work.join("out");
    let mut costs = Vec::new();
    for _ in 0..rounds {
        bash(&contender.before, closure)?;
        if out.exists() {
            fs::remove_file(&out)?;
        }
        costs.push(timed(&contender.command, closure).with_context(|| contender.name.to_owned())?);
    }
    costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let size = fs::metadata(&out)
        .with_context(|| format!("{} made nothing", contender.name))?
        .len();
    Ok(Measured {
        name: contender.name,
        series: contender.series,
        command: contender.command.clone(),
        cost: costs[costs.len() / 2],
        size,
    })
}

/// Does what goes before and is not measured.
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

fn timed(command: &str, closure: &Closure) -> Result<Cost> {
    let figures = closure.work.join("time");
    let status = Command::new("/usr/bin/time")
        .args(["-f", "%e %U %S %M", "-o"])
        .arg(&figures)
        .args(["bash", "-euo", "pipefail", "-c", command])
        .env("PATH", path(&closure.storeboot)?)
        .current_dir(&closure.work)
        .status()
        .context("/usr/bin/time is needed")?;
    if !status.success() {
        bail!("`{command}`: {status}");
    }
    let text = fs::read_to_string(&figures)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [wall, user, system, kilobytes] = numbers[..] else {
        bail!("time wrote {text:?}");
    };
    Ok(Cost {
        wall,
        cpu: user + system,
        memory: kilobytes as u64 * 1024,
    })
}

/// The commands are as a person would type them.
fn path(storeboot: &Path) -> Result<String> {
    let folder = storeboot.parent().context("the command is in a folder")?;
    Ok(format!("{}:{}", folder.display(), std::env::var("PATH")?))
}
