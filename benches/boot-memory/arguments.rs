//! The command line.

use std::path::PathBuf;

use clap::Parser;
use storeboot_tests::debian::repository;

/// Finds the least memory with which a closure boots, and the time to stage 2, for each layout and for nixpkgs' own.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The closure, as `nix path-info --json --recursive` prints it. The default is the output of
    /// scripts/bench-closure.
    #[arg(long, value_name = "FILE", default_value_os_t = bench("path-info.json"))]
    pub path_info: PathBuf,
    /// The closure's init, which prints `storeboot-bench: stage 2 reached SECONDS s` and powers off. The default is the
    /// init that scripts/bench-closure builds.
    #[arg(long, value_name = "PATH")]
    pub init: Option<String>,
    /// The zstd level of store images. Layout direct uses level 10, or this level if it is lower.
    #[arg(long, default_value_t = 19)]
    pub level: u32,
    /// A squashfs image of the closure for nixpkgs' layout. By default, mksquashfs makes one.
    #[arg(long, value_name = "FILE")]
    pub nixpkgs_image: Option<PathBuf>,
    /// Measures only these rows of the table. Can be given several times.
    #[arg(long = "only", value_name = "ROW", value_parser = crate::rows::ROWS)]
    pub rows: Vec<String>,
    /// The step, in MiB, of the search for the least memory.
    #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub step: u32,
    /// The memory, in MiB, for measuring times. It must be enough for every layout.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub memory: u32,
    /// The processor that QEMU emulates, as a value of its -cpu. Its features decide how fast the kernel copies memory.
    #[arg(long, value_name = "MODEL", default_value = "qemu64")]
    pub cpu: String,
    /// The UEFI firmware for the rows that QEMU boots by itself, such as /usr/share/ovmf/OVMF.fd, and for the rows of
    /// iPXE and UEFI. The default is BIOS for the former, and Debian's OVMF for the latter.
    #[arg(long, value_name = "FILE")]
    pub firmware: Option<PathBuf>,
    /// More arguments for the kernel command line. With `nokaslr`, each boot with UEFI needs the same memory.
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub append: String,
    /// The number of boots to time, and of boots in a row that must succeed with the least memory.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
    /// A boot that takes longer counts as hung. The default is half a minute plus four times the row's slowest timed
    /// boot.
    #[arg(long, value_name = "SECONDS")]
    pub deadline: Option<u64>,
    /// The folder for netboot directories, and for the consoles of failed boots. A netboot directory is built again
    /// when its inputs change.
    #[arg(long, value_name = "DIR", default_value_os_t = bench("boot-memory"))]
    pub work: PathBuf,
}

fn bench(name: &str) -> PathBuf {
    repository().join("target/bench").join(name)
}
