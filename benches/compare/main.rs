//! Packs one closure with storeboot and with other programs, one after the other, and writes `docs/benchmarks.md` and
//! its pictures.

mod cold;
mod contenders;
mod measure;
mod plot;
mod report;

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use contenders::Closure;
use measure::{Measured, run, warm_up};

/// The rows that compare images at the default level.
const LEVEL_19: [&str; 2] = ["mksquashfs, zstd 19", "storeboot, squashfs, zstd 19"];

/// Compares storeboot with other programs that pack a closure.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder that scripts/bench-closure and scripts/bench-peers filled; packed files are written there, too.
    #[arg(long, default_value = "target/bench")]
    work: PathBuf,
    /// A folder that `scripts/bench-closure server` filled, with a second closure, of which only the rows at level 19
    /// are measured.
    #[arg(long)]
    second: Option<PathBuf>,
    /// The command to measure.
    #[arg(long, env = "STOREBOOT")]
    storeboot: PathBuf,
    /// The number of runs of each command, whose median is reported. The default is three runs for commands that take
    /// less than half a minute, and one run for the others.
    #[arg(long)]
    rounds: Option<NonZeroUsize>,
    /// Measures only the rows whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Leaves out the rows whose name contains this. Can be given several times.
    #[arg(long, value_name = "PART")]
    without: Vec<String>,
    /// The folder to write benchmarks.md and its pictures to. Without it, prints the page.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let closure = Closure::open(&arguments.work, &arguments.storeboot)?;
    let mut contenders = contenders::all();
    if let Some(part) = &arguments.only {
        contenders.retain(|contender| contender.name.contains(part));
    }
    contenders.retain(|contender| {
        let mut without = arguments.without.iter();
        !without.any(|part| contender.name.contains(part.as_str()))
    });
    let mut left_out = None;
    if contenders.iter().any(|contender| contender.cold)
        && let Err(error) = cold::forget_files()
    {
        eprintln!("warning: no row with a cold page cache: {error:#}");
        left_out = Some(format!("{error:#}"));
        contenders.retain(|contender| !contender.cold);
    }
    warm_up(&closure)?;
    let mut measured: Vec<Measured> = Vec::new();
    for contender in contenders {
        eprintln!("{}", contender.name);
        measured.push(run(&contender, &closure, arguments.rounds)?);
    }
    let mut second = None;
    if let Some(work) = &arguments.second {
        let closure = Closure::open(work, &arguments.storeboot)?;
        warm_up(&closure)?;
        let mut measured = Vec::new();
        for contender in contenders::all() {
            if LEVEL_19.contains(&contender.name) {
                eprintln!("{}, the second closure", contender.name);
                measured.push(run(&contender, &closure, arguments.rounds)?);
            }
        }
        second = Some((closure, measured));
    }
    let text = report::document(
        &closure,
        &measured,
        second.as_ref(),
        arguments.rounds,
        left_out.as_deref(),
    )?;
    let Some(folder) = &arguments.output else {
        print!("{text}");
        return Ok(());
    };
    for (name, text) in [
        ("benchmarks.md", text),
        ("benchmarks.svg", plot::svg(&measured)),
        ("benchmarks-cores.svg", plot::cores(&measured, &LEVEL_19)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
