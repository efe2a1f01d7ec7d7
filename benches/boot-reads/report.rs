//! Writes the table of results.

use std::fmt::Write;
use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result};
use storeboot_closure::{StoreDir, read_path_info};
use storeboot_tests::command::printed;
use storeboot_tests::qemu::Kernel;

use crate::arguments::{Arguments, Plan};
use crate::boot::Told;
use crate::candidates::{Candidate, FLAGS};

const MIB: f64 = 1024.0 * 1024.0;

/// The medians of a candidate's boots.
struct Medians {
    read_stage2: f64,
    read: f64,
    seconds_stage2: f64,
    seconds: f64,
    least: f64,
    most: f64,
    processor: f64,
    used: f64,
    read_all: f64,
    received: f64,
}

/// Returns all results in Markdown.
pub fn table(
    arguments: &Arguments,
    kernel: &Kernel,
    candidates: &[Candidate],
    boots: &[Vec<Told>],
) -> Result<String> {
    let mut text = circumstances(arguments, kernel)?;
    let frontier = arguments.plan == Plan::Frontier;
    text.push_str(
        "\n| | initrd and images, MB | read up to stage 2, MiB | up to `multi-user.target`, MiB | memory used there, MiB | \
         stage 2 after, s | `multi-user.target` after, s | processor time, s |",
    );
    let stream = arguments.plan == Plan::Stream;
    text.push_str(if frontier { " all read in, s |" } else { "" });
    text.push_str(if stream { " received, MiB |" } else { "" });
    text.push_str("\n| --- | --- | --- | --- | --- | --- | --- | --- |");
    text.push_str(if frontier || stream { " --- |\n" } else { "\n" });
    let medians: Vec<Medians> = boots
        .iter()
        .map(|boots| medians(arguments, boots))
        .collect();
    for (candidate, medians) in candidates.iter().zip(&medians) {
        write!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} | {:.2} ({:.2} to {:.2}) | {:.1} |",
            candidate.name,
            candidate.size as f64 / 1e6,
            medians.read_stage2 / MIB,
            medians.read / MIB,
            medians.used / MIB,
            medians.seconds_stage2,
            medians.seconds,
            medians.least,
            medians.most,
            medians.processor,
        )?;
        if frontier {
            write!(text, " {:.1} |", medians.read_all)?;
        }
        if stream {
            write!(text, " {:.1} |", medians.received / MIB)?;
        }
        text.push('\n');
    }
    let numbers = |name: &str| {
        let at = candidates
            .iter()
            .position(|candidate| candidate.name == name)?;
        Some((&candidates[at], &medians[at]))
    };
    match arguments.plan {
        Plan::Layouts => {
            for name in ["in-place", "file", "fetch"] {
                let with = numbers(&format!("{name} with a profile"));
                let (Some(without), Some(with)) = (numbers(name), with) else {
                    continue;
                };
                writeln!(
                    text,
                    "\nWith a profile, `{name}` reads {:.3} of what it reads without, is {:+.2} % larger, and takes {:.3} of the time \
                     and {:.3} of the processor time.",
                    with.1.read / without.1.read,
                    (with.0.size as f64 / without.0.size as f64 - 1.0) * 100.0,
                    with.1.seconds / without.1.seconds,
                    with.1.processor / without.1.processor,
                )?;
                if let Some(peer) = numbers("nixpkgs' layout") {
                    writeln!(
                        text,
                        "It takes {:.3} of the time of nixpkgs' layout, and {:.3} of its processor time.",
                        with.1.seconds / peer.1.seconds,
                        with.1.processor / peer.1.processor,
                    )?;
                }
            }
        }
        Plan::Update => {
            let before = numbers("the profile of the build before");
            if let (Some(none), Some(own), Some(before)) =
                (numbers("no profile"), numbers("its own profile"), before)
            {
                writeln!(
                    text,
                    "\nOf what its own profile saves, the profile of the build before saves {:.3}.",
                    (none.1.read - before.1.read) / (none.1.read - own.1.read),
                )?;
            }
        }
        Plan::Stream => {
            let streamed = numbers("fetch with a profile, --stream");
            if let (Some(before), Some(streamed)) = (numbers("fetch"), streamed) {
                writeln!(
                    text,
                    "\nWith --stream, {:.3} of the initrd and the images come before `multi-user.target`, which is reached in \
                     {:.3} of the time.",
                    streamed.1.received / streamed.0.size as f64,
                    streamed.1.seconds / before.1.seconds,
                )?;
            }
        }
        Plan::Frontier => {}
    }
    Ok(text)
}

/// Describes the closure and the machine that all rows share.
fn circumstances(arguments: &Arguments, kernel: &Kernel) -> Result<String> {
    let system = match arguments.plan {
        Plan::Update => "next",
        _ => &arguments.system,
    };
    let json =
        File::open(Arguments::folder(system).join("path-info.json")).context("the closure")?;
    let closure = read_path_info(json, &StoreDir::default())?;
    let release = kernel.modules().file_name().unwrap_or_default();
    let qemu = printed(Command::new("qemu-system-x86_64").arg("--version"));
    let qemu = String::from_utf8_lossy(&qemu);
    let rate = arguments.rate.map_or_else(String::new, |rate| {
        format!(" The server sends at most {rate} MB/s.")
    });
    Ok(format!(
        "The system `{system}`: {} store paths, {:.0} MB. zstd {}. Linux {}, `{FLAGS}`. {}, -accel tcg, -cpu {}, {} processors, {} MiB. Medians of {} boots, in turn; for the time, the least and the most, too.{rate}\n",
        closure.len(),
        closure.nar_size().unwrap_or_default() as f64 / 1e6,
        arguments.level,
        release.display(),
        qemu.lines().next().unwrap_or_default(),
        arguments.cpu,
        arguments.processors,
        arguments.memory,
        arguments.boots,
    ))
}

fn medians(arguments: &Arguments, boots: &[Told]) -> Medians {
    let sorted = |value: &dyn Fn(&Told) -> Option<f64>| {
        let mut values: Vec<f64> = boots.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let memory = f64::from(arguments.memory) * MIB;
    let seconds = sorted(&|told| Some(told.point("multi-user")?.seconds));
    Medians {
        read_stage2: median(&sorted(&|told| Some(told.point("stage-2")?.read as f64))),
        read: median(&sorted(&|told| Some(told.point("multi-user")?.read as f64))),
        seconds_stage2: median(&sorted(&|told| Some(told.point("stage-2")?.seconds))),
        least: seconds.first().copied().unwrap_or(f64::NAN),
        most: seconds.last().copied().unwrap_or(f64::NAN),
        seconds: median(&seconds),
        processor: median(&sorted(&|told| Some(told.processor))),
        used: median(&sorted(&|told| {
            Some(memory - told.point("multi-user")?.available as f64)
        })),
        received: median(&sorted(&|told| {
            Some(told.point("multi-user")?.received as f64)
        })),
        read_all: median(&sorted(&|told| {
            Some(told.point("read-to")?.seconds - told.point("read-from")?.seconds)
        })),
    }
}

/// The median of a sorted slice; no number, if it is empty.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    }
}
