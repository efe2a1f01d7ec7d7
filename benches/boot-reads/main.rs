//! Measures what a boot reads of the store, and how long it takes to `multi-user.target`, for each layout, with and without
//! a boot profile, and for nixpkgs' own layout.
//!
//! The system tells its figures itself, see `nix/bench/systemd`. All candidates boot in turn, several times, so that other
//! load of the machine affects all of them alike. `docs/benchmarks-boot.md` says how to run this.

mod arguments;
mod boot;
mod candidates;
mod plan;
mod report;

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Parser;
use storeboot_tests::qemu::Kernel;

use arguments::{Arguments, Plan};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(kernel) = Kernel::debian("6.12") else {
        bail!("cannot run machines here; `make deps` installs the programs for that");
    };
    fs::create_dir_all(arguments.work())
        .with_context(|| format!("cannot make {}", arguments.work().display()))?;
    let candidates = plan::candidates(&arguments, &kernel)?;
    let words = match arguments.plan {
        Plan::Frontier => "storeboot-bench.read",
        Plan::Layouts | Plan::Update | Plan::Stream => "",
    };
    let mut boots = vec![Vec::new(); candidates.len()];
    for round in 1..=arguments.boots {
        for (candidate, boots) in candidates.iter().zip(&mut boots) {
            let told = boot::boot(candidate, &arguments, words)?;
            eprintln!("round {round}: {}: {:?}", candidate.name, told.points);
            boots.push(told);
        }
    }
    print!(
        "{}",
        report::table(&arguments, &kernel, &candidates, &boots)?
    );
    Ok(())
}
