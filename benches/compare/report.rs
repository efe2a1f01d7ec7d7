//! Writes the measurements as a page.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::process::Command;

use anyhow::Result;

use crate::cold;
use crate::contenders::Closure;
use crate::measure::{self, Measured};

/// A goal: the figure of `ours` divided by the sum of the figures of `theirs` is at most `limit`.
struct Goal {
    what: &'static str,
    ours: &'static str,
    theirs: &'static [&'static str],
    /// What counts: CPU time where both keep all cores busy, since machines are shared; wall time where a program
    /// leaves cores idle or waits for a disk.
    of: fn(&Measured) -> f64,
    limit: f64,
}

impl Goal {
    /// The ratio of a figure. `None`: a row of the goal was not measured.
    fn ratio(&self, measured: &[Measured], of: fn(&Measured) -> f64) -> Option<f64> {
        let find = |name: &str| measured.iter().find(|row| row.name == name);
        let theirs: Option<Vec<&Measured>> = self.theirs.iter().map(|name| find(name)).collect();
        Some(of(find(self.ours)?) / theirs?.into_iter().map(of).sum::<f64>())
    }

    fn is_about_time(&self) -> bool {
        self.what.contains("time ")
    }
}

const NIXPKGS: &[&str] = &[
    "mksquashfs, zstd 19",
    "nixpkgs' second pass over that image: cpio, zstd 10",
];

fn wall(measured: &Measured) -> f64 {
    measured.cost.wall
}

fn cpu(measured: &Measured) -> f64 {
    measured.cost.cpu
}

fn size(measured: &Measured) -> f64 {
    measured.size as f64
}

fn memory(measured: &Measured) -> f64 {
    measured.cost.memory as f64
}

const GOALS: [Goal; 14] = [
    Goal {
        what: "time of an image at level 19",
        ours: "storeboot, squashfs, zstd 19",
        theirs: &["mksquashfs, zstd 19"],
        of: cpu,
        limit: 0.95,
    },
    Goal {
        what: "its bytes",
        ours: "storeboot, squashfs, zstd 19",
        theirs: &["mksquashfs, zstd 19"],
        of: size,
        limit: 1.001,
    },
    Goal {
        what: "its memory",
        ours: "storeboot, squashfs, zstd 19",
        theirs: &["mksquashfs, zstd 19"],
        of: memory,
        limit: 0.2,
    },
    Goal {
        what: "time of `direct`, nixpkgs' two passes being 1",
        ours: "storeboot, direct, zstd 10",
        theirs: NIXPKGS,
        of: cpu,
        limit: 0.12,
    },
    Goal {
        what: "its bytes, nixpkgs' initrd being 1",
        ours: "storeboot, direct, zstd 10",
        theirs: &[NIXPKGS[1]],
        of: size,
        limit: 0.98,
    },
    Goal {
        what: "time of an archive for each path",
        ours: "storeboot, direct, an archive for each path, an empty cache",
        theirs: &["nix-cpio-generator, an empty cache"],
        of: wall,
        limit: 0.6,
    },
    Goal {
        what: "its bytes",
        ours: "storeboot, direct, an archive for each path, an empty cache",
        theirs: &["nix-cpio-generator, an empty cache"],
        of: size,
        limit: 1.0,
    },
    Goal {
        what: "its time where nothing changed",
        ours: "storeboot, direct, an archive for each path, nothing changed",
        theirs: &["nix-cpio-generator, nothing changed"],
        of: wall,
        limit: 0.5,
    },
    Goal {
        what: "time of an image where one path changed, nixpkgs' two passes being 1",
        ours: "storeboot, squashfs, zstd 19, one path of 1 MB changed",
        theirs: NIXPKGS,
        of: cpu,
        limit: 0.02,
    },
    Goal {
        what: "time of an image at level 18",
        ours: "storeboot, squashfs, zstd 18",
        theirs: &["mksquashfs, zstd 18"],
        of: cpu,
        limit: 0.95,
    },
    Goal {
        what: "time of an image at level 15",
        ours: "storeboot, squashfs, zstd 15",
        theirs: &["mksquashfs, zstd 15"],
        of: cpu,
        limit: 0.95,
    },
    Goal {
        what: "time of an image at level 3",
        ours: "storeboot, squashfs, zstd 3",
        theirs: &["mksquashfs, zstd 3"],
        of: cpu,
        limit: 0.95,
    },
    Goal {
        what: "time of an image at level 3, a cold page cache",
        ours: "storeboot, squashfs, zstd 3, a cold page cache",
        theirs: &["mksquashfs, zstd 3, a cold page cache"],
        of: wall,
        limit: 0.95,
    },
    Goal {
        what: "time of `direct` with a cold page cache, reading first and packing then being 1",
        ours: "storeboot, direct, zstd 3, a cold page cache",
        theirs: &[
            "reading all files, a cold page cache",
            "storeboot, direct, zstd 3",
        ],
        of: wall,
        limit: 1.0,
    },
];

/// Returns the page. `no_cold` is the reason why the rows with a cold page cache are missing, if they are.
pub fn document(
    closure: &Closure,
    measured: &[Measured],
    second: Option<&(Closure, Vec<Measured>)>,
    rounds: Option<NonZeroUsize>,
    no_cold: Option<&str>,
) -> Result<String> {
    let mut text = String::new();
    let version = |script: &str| -> Result<String> {
        let output = Command::new("bash")
            .args(["-c", script])
            .current_dir(&closure.work)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    writeln!(text, "# Packing, measured\n")?;
    writeln!(
        text,
        "`make bench` measures all of this and writes this page. For the time and memory of a boot, see [booting, measured](benchmarks-boot.md).\n"
    )?;
    writeln!(
        text,
        "`scripts/bench-closure` builds the closure with real Nix from Debian packages: {} store paths, {:.1} MB of NARs, with the \
         kernel, interpreters and libraries of a workstation. Its files were in the page cache, except in rows that say otherwise. {}. storeboot compares each store path with its \
         NAR hash, as it does unless told otherwise; the other programs check nothing.\n",
        closure.paths,
        closure.nar_size as f64 / 1e6,
        match rounds {
            None => format!(
                "The commands ran one after the other. Commands of less than {} s ran {} times, and the row has the median time",
                measure::SHORT,
                measure::ROUNDS
            ),
            Some(rounds) =>
                format!("Each command ran {rounds} times, and the row has the median time"),
        },
    )?;
    if let Some(reason) = no_cold {
        writeln!(
            text,
            "**The rows with a cold page cache are missing: {reason}. They need root on a machine that is not a container.**\n"
        )?;
    }
    writeln!(
        text,
        "Machine: {}, {} cores, {} of memory, Linux {}.",
        version("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1")?,
        version("nproc")?,
        version("free -h --si | awk '/^Mem/ {print $2}'")?,
        version("uname -r")?
    )?;
    writeln!(
        text,
        "Programs: {}; {}; {}; {}; nix-cpio-generator 0.3.3; {}; {}.\n",
        storeboot_version(closure)?,
        version("peers/bin/mksquashfs -version | sed -n '1s/ (.*//p'")?,
        version("cpio --version | head -n 1")?,
        version("zstd --version | grep -o 'v[0-9.]*' | sed 's/^/zstd /'")?,
        version("gensquashfs --version | head -n 1")?,
        version("peers/bin/mkfs.erofs --version | head -n 1")?,
    )?;
    text += &table(measured)?;
    writeln!(
        text,
        "## Ratios\n\nThe ratio that counts is that of CPU time, since machines are shared; where one of the programs leaves cores \
         idle or waits for a disk, it is that of wall time.\n"
    )?;
    text += &goals(measured);
    if let Some((closure, measured)) = second {
        writeln!(
            text,
            "## A second closure\n\n`scripts/bench-closure server` builds it: {} store paths, {:.1} MB of NARs, with the programs of a \
             server.\n",
            closure.paths,
            closure.nar_size as f64 / 1e6
        )?;
        text += &table(measured)?;
        text += &goals(measured);
    }
    writeln!(
        text,
        "## Size against time\n\n![Bytes of the packed closure against the time it takes](benchmarks.svg)\n\n## Busy cores\n\n![Busy cores over the time of a run](benchmarks-cores.svg)\n"
    )?;
    writeln!(
        text,
        "## Commands\n\nThe commands ran in `target/bench`. Lines that end in `# not measured` ran first. Before each run with a cold \
         page cache, `sync; echo 3 >{}` ran.\n\n```sh",
        cold::DROP
    )?;
    for contender in measured {
        writeln!(text, "# {}", contender.name)?;
        if !contender.before.is_empty() {
            writeln!(text, "{}  # not measured", contender.before)?;
        }
        writeln!(text, "{}", contender.command)?;
    }
    writeln!(text, "```")?;
    writeln!(text, "\n{}", include_str!("notes.md").trim_end())?;
    Ok(text)
}

fn storeboot_version(closure: &Closure) -> Result<String> {
    let output = Command::new(&closure.storeboot).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn table(measured: &[Measured]) -> Result<String> {
    let mut text = String::from(
        "| what | wall, s | CPU, s | cores used | memory, MB | size, MB |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in measured {
        let cost = row.cost;
        writeln!(
            text,
            "| {} | {:.2} | {:.1} | {:.2} | {:.0} | {:.2} |",
            row.name,
            cost.wall,
            cost.cpu,
            cost.cpu / cost.wall.max(0.01),
            cost.memory as f64 / 1e6,
            row.size as f64 / 1e6
        )?;
    }
    text.push('\n');
    Ok(text)
}

fn goals(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| what | of | ratio | by CPU time | by wall time | goal | |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for goal in &GOALS {
        let Some(ratio) = goal.ratio(measured, goal.of) else {
            continue;
        };
        let met = if ratio <= goal.limit {
            "met"
        } else {
            "not met"
        };
        let by = |of| match goal.is_about_time() {
            true => goal
                .ratio(measured, of)
                .map_or_else(String::new, |ratio| format!("{ratio:.4}")),
            false => String::new(),
        };
        text += &format!(
            "| {} | {} | {ratio:.4} | {} | {} | {} | {met} |\n",
            goal.what,
            goal.ours,
            by(cpu),
            by(wall),
            goal.limit
        );
    }
    text.push('\n');
    text
}
