//! Measures how time and memory grow with the closure, and writes `docs/benchmarks-scale.md`. The synthetic closures
//! have a thousand to a hundred thousand store paths with ten small files each, or one path of 20 GB with holes or
//! duplicates.

mod closures;

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use storeboot_benches::{cost, publish, time};

/// Measures how time and memory grow with the closure.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder for the closures, which are kept and used again.
    #[arg(long, default_value = "target/bench/scale")]
    work: PathBuf,
    /// The command to measure.
    #[arg(long, env = "STOREBOOT")]
    storeboot: PathBuf,
    /// The mksquashfs to compare with; scripts/bench-peers installs the default.
    #[arg(long, default_value = "target/bench/peers/bin/mksquashfs")]
    mksquashfs: PathBuf,
    /// Leaves out closures with more store paths than this.
    #[arg(long, default_value_t = 100_000)]
    paths: usize,
    /// Measures only the rows whose name contains this, such as "1000 paths, 10000 files: cpio".
    #[arg(long)]
    only: Option<String>,
    /// Leaves out the rows whose name contains this. Can be given several times.
    #[arg(long, value_name = "PART")]
    without: Vec<String>,
    /// The page to write. Without it, prints the page.
    #[arg(long)]
    output: Option<PathBuf>,
}

impl Arguments {
    fn wants(&self, row: &str) -> bool {
        let mut without = self.without.iter();
        self.only.as_ref().is_none_or(|part| row.contains(part))
            && !without.any(|part| row.contains(part.as_str()))
    }
}

/// A way to pack a closure.
struct Way {
    what: &'static str,
    with: With,
    /// Whether it packs only closures of small files: it is too slow for large files, or cannot hold them.
    small: bool,
}

enum With {
    Mksquashfs,
    /// `storeboot pack` with these options and this cache.
    Storeboot(&'static [&'static str], Cache),
}

/// The state of the cache before a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    None,
    Empty,
    Full,
}

const WAYS: [Way; 6] = [
    Way {
        what: "mksquashfs, zstd 3",
        with: With::Mksquashfs,
        small: true,
    },
    Way {
        what: "squashfs, zstd 3",
        with: With::Storeboot(&["--format", "squashfs"], Cache::None),
        small: false,
    },
    Way {
        what: "squashfs, zstd 3, an empty cache",
        with: With::Storeboot(&["--format", "squashfs"], Cache::Empty),
        small: false,
    },
    Way {
        what: "squashfs, zstd 3, a full cache",
        with: With::Storeboot(&["--format", "squashfs"], Cache::Full),
        small: false,
    },
    Way {
        what: "cpio, zstd 3",
        with: With::Storeboot(&["--format", "cpio"], Cache::None),
        small: true,
    },
    Way {
        what: "cpio, zstd 3, an archive for each path",
        with: With::Storeboot(&["--format", "cpio", "--archives", "per-path"], Cache::None),
        small: true,
    },
];

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    for program in [&mut arguments.storeboot, &mut arguments.mksquashfs] {
        *program = fs::canonicalize(&*program)
            .with_context(|| format!("cannot open {}", program.display()))?;
    }
    let mut text = String::from(include_str!("introduction.md"));
    text += "\n| closure | packed as | wall, s | CPU, s | memory, MB | size, MB |\n| --- | --- | --- | --- | --- | --- |\n";
    for shape in closures::shapes(arguments.paths) {
        let ways: Vec<&Way> = WAYS
            .iter()
            .filter(|way| shape.is_small() || !way.small)
            .filter(|way| {
                !matches!(way.with, With::Mksquashfs) || !shape.is_too_much_for_mksquashfs()
            })
            .filter(|way| arguments.wants(&format!("{}: {}", shape.name, way.what)))
            .collect();
        if ways.is_empty() {
            continue;
        }
        let folder = arguments.work.join(&shape.folder);
        shape.make(&folder)?;
        for way in ways {
            eprintln!("{}: {}", shape.name, way.what);
            let row = row(&arguments, &folder, &way.with)?;
            writeln!(text, "| {} | {} | {row} |", shape.name, way.what)?;
        }
        forget(&folder.join("cache"))?;
    }
    text += "\n";
    text += include_str!("notes.md");
    publish(&text, arguments.output.as_deref())
}

/// Measures one way to pack.
fn row(arguments: &Arguments, folder: &Path, with: &With) -> Result<String> {
    let (options, cache) = match with {
        With::Mksquashfs => {
            let options = "nix/store out -no-hardlinks -all-root -no-progress -quiet -b 1048576 -comp zstd -Xcompression-level 3";
            return measure(&arguments.mksquashfs, options.split(' '), folder);
        }
        With::Storeboot(options, cache) => (*options, *cache),
    };
    let place = folder.join("cache");
    let mut all: Vec<&str> =
        "pack --quiet --path-info path-info.json --store-root . --output out --compression zstd:3"
            .split(' ')
            .collect();
    all.extend(options);
    if cache != Cache::None {
        all.extend(["--cache", "cache"]);
    }
    let pack = || measure(&arguments.storeboot, all.iter().copied(), folder);
    match cache {
        Cache::Empty => forget(&place)?,
        Cache::Full if !place.exists() => drop(pack()?),
        Cache::Full | Cache::None => {}
    }
    pack()
}

fn forget(cache: &Path) -> Result<()> {
    match fs::remove_dir_all(cache) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", cache.display()))
        }
        _ => Ok(()),
    }
}

/// Runs a command that writes the file `out`. Returns its figures, as cells of the table.
fn measure<'a>(
    program: &Path,
    options: impl Iterator<Item = &'a str>,
    folder: &Path,
) -> Result<String> {
    let output = time(Path::new("time"))
        .arg(program)
        .args(options)
        .current_dir(folder)
        .output()
        .context("/usr/bin/time is needed")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let cost = cost(&folder.join("time"))?;
    let size = fs::metadata(folder.join("out"))?.len() as f64 / 1e6;
    fs::remove_file(folder.join("out"))?;
    Ok(format!(
        "{:.1} | {:.1} | {:.0} | {size:.1}",
        cost.wall,
        cost.cpu,
        cost.memory as f64 / 1e6
    ))
}
