//! The command line.

use std::path::PathBuf;

use clap::Parser;
use storeboot_tests::debian::repository;

/// Finds the least memory with which a closure boots, and the time to stage 2, for each layout and for nixpkgs' own.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The closure, as `nix path-info --json --recursive` tells of it; the default is what scripts/bench-closure made.
    #[arg(long, value_name = "FILE", default_value_os_t = bench("path-info.json"))]
    pub path_info: PathBuf,
    /// The closure's init, which says `storeboot-bench: stage 2 reached SECONDS s` and powers off; the default is that of
    /// scripts/bench-closure.
    #[arg(long, value_name = "PATH")]
    pub init: Option<String>,
    /// zstd's level for store images. The archive of layout direct is packed at 10, or at this level if it is lower.
    #[arg(long, default_value_t = 19)]
    pub level: u32,
    /// A squashfs of the closure for nixpkgs' layout, instead of one that mksquashfs makes now.
    #[arg(long, value_name = "FILE")]
    pub nixpkgs_image: Option<PathBuf>,
    /// Only these rows of the table; may be given several times.
    #[arg(long = "only", value_name = "ROW", value_parser = crate::rows::ROWS)]
    pub rows: Vec<String>,
    /// The memory is searched in steps of so many MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub step: u32,
    /// The memory, in MiB, with which times are taken and which is enough for everything.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub memory: u32,
    /// The processor that QEMU emulates, as its -cpu takes it. What it can do decides how fast the kernel copies memory.
    #[arg(long, value_name = "MODEL", default_value = "qemu64")]
    pub cpu: String,
    /// UEFI's firmware, such as /usr/share/ovmf/OVMF.fd, to boot by it; the default is BIOS.
    #[arg(long, value_name = "FILE")]
    pub firmware: Option<PathBuf>,
    /// More words for the kernel's command line. With `nokaslr`, the memory that a boot by UEFI needs is the same each time.
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub append: String,
    /// So many boots are timed, and so many in a row must succeed with the least memory.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
    /// A boot that takes longer hangs; the default is four times as long as the slowest that was timed, and half a minute.
    #[arg(long, value_name = "SECONDS")]
    pub deadline: Option<u64>,
    /// The folder for netboot directories, which are built again when what they are made of changes, and for what failed
    /// boots wrote to their consoles.
    #[arg(long, value_name = "DIR", default_value_os_t = bench("boot-memory"))]
    pub work: PathBuf,
}

fn bench(name: &str) -> PathBuf {
    repository().join("target/bench").join(name)
}
