//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use storeboot_tests::debian::repository;

/// Measures what a boot reads of the store, and the time to multi-user.target.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The system, by the folder that scripts/bench-closure makes for it: systemd or desktop.
    #[arg(long, default_value = "systemd")]
    pub system: String,
    /// What to compare.
    #[arg(long, value_enum, default_value = "layouts")]
    pub plan: Plan,
    /// Measures only the candidates whose name is this. Can be given several times.
    #[arg(long = "only", value_name = "NAME")]
    pub only: Vec<String>,
    /// The zstd level of store images. Layout direct uses level 10, or this level if it is lower.
    #[arg(long, default_value_t = 19)]
    pub level: u32,
    /// A boot profile. By default, a boot of layout in-place without a profile records one.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// The memory, in MiB. It must be enough for every candidate.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub memory: u32,
    /// The processor that QEMU emulates, as a value of its -cpu.
    #[arg(long, value_name = "MODEL", default_value = "max")]
    pub cpu: String,
    /// The number of processors.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub processors: u32,
    /// The number of boots of each candidate.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
    /// The most that a machine fetches in a second, in MB. Without it, as much as can be.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// A boot that takes longer counts as hung.
    #[arg(long, value_name = "SECONDS", default_value_t = 1200)]
    pub deadline: u64,
}

/// What to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plan {
    /// Each layout with and without a profile, and nixpkgs' layout.
    Layouts,
    /// Sizes of blocks, fragments, and orders of the files. Each boot then reads the whole store, too.
    Frontier,
    /// Layout fetch with all fetched before stage 2, and with the rest fetched while it runs.
    Stream,
    /// The system `next` with no profile, with its own, and with the one that was recorded of the system.
    Update,
}

impl Arguments {
    /// The folder that has the description of a system.
    pub fn folder(system: &str) -> PathBuf {
        repository().join("target/bench").join(system)
    }

    /// The folder for everything that this makes.
    pub fn work(&self) -> PathBuf {
        Self::folder(&self.system).join("boot-reads")
    }
}
