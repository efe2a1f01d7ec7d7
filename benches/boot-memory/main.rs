//! Measures how much memory a machine needs to boot a closure, and how long the boot takes, for each layout and for
//! nixpkgs' own layout.
//!
//! Every layout carries the same closure and boots on the same kernel with the same flags. A bisection of QEMU's `-m`
//! finds the least memory. Stage 2 reads the time from `/proc/uptime`. `docs/benchmarks-boot.md` says how to run this.

mod arguments;
mod boot;
mod candidate;
mod machine;
mod report;
mod rows;
mod search;

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Parser;
use storeboot_tests::qemu::Kernel;

use arguments::Arguments;
use boot::{Booter, Stage2};
use candidate::Candidate;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(kernel) = Kernel::debian("6.12") else {
        bail!("cannot run machines here; `make deps` installs the programs for that");
    };
    fs::create_dir_all(&arguments.work)
        .with_context(|| format!("cannot make {}", arguments.work.display()))?;
    let candidates = candidate::build(&arguments, &kernel)?;

    let times = time(&candidates, &arguments)?;
    let mut booter = Booter::new(&arguments);
    let least: Vec<u32> = candidates
        .iter()
        .zip(&times)
        .map(|(candidate, times)| {
            let slowest = times.iter().map(|boot| boot.wall.as_secs_f64());
            booter.set_limit(slowest.fold(0.0, f64::max));
            search::least(
                arguments.step,
                arguments.memory,
                arguments.boots,
                |memory| booter.reaches_stage2(candidate, memory),
            )
        })
        .collect();
    print!(
        "{}",
        report::table(&arguments, &kernel, &candidates, &times, &least)?
    );
    Ok(())
}

/// Boots the candidates in turn, several times, so that other load of the machine affects all of them alike.
fn time(candidates: &[Candidate], arguments: &Arguments) -> Result<Vec<Vec<Stage2>>> {
    let booter = Booter::new(arguments);
    let mut times = vec![Vec::new(); candidates.len()];
    for _ in 0..arguments.boots {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            let boot = booter
                .boot(candidate, arguments.memory)
                .map_err(|failure| {
                    anyhow::anyhow!(
                        "{} does not boot with {} MiB, so there is nothing to bisect: {failure}",
                        candidate.name,
                        arguments.memory,
                    )
                })?;
            times.push(boot);
        }
    }
    Ok(times)
}
