//! How much memory a machine needs to boot a closure, and how long it takes, for each layout and for nixpkgs' own.
//!
//! Every layout carries the same closure and boots on the same kernel with the same flags. The least memory is found by
//! bisection of QEMU's `-m`; the time is what stage 2 reads in `/proc/uptime`. `docs/benchmarks-boot.md` tells how to run it.

mod arguments;
mod boot;
mod busybox;
mod candidate;
mod ingredients;
mod nixpkgs;
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
        bail!("no machine can be run here; `make deps` installs what that takes");
    };
    fs::create_dir_all(&arguments.work)
        .with_context(|| format!("cannot make {}", arguments.work.display()))?;
    let candidates = candidate::build(&arguments, &kernel)?;

    let times = time(&candidates, &arguments)?;
    let slowest = times.iter().flatten().map(|boot| boot.wall.as_secs_f64());
    let mut booter = Booter::new(&arguments);
    booter.set_limit(slowest.fold(0.0, f64::max));
    let least: Vec<u32> = candidates
        .iter()
        .map(|candidate| {
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

/// Boots everything in turn, again and again, so that what else the machine does falls on all of them alike.
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
