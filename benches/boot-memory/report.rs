//! Writes the table of results.

use std::fmt::Write;
use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot_closure::{StoreDir, read_path_info};
use storeboot_tests::command::printed;
use storeboot_tests::qemu::Kernel;

use crate::arguments::Arguments;
use crate::boot::Stage2;
use crate::candidate::{Candidate, FLAGS};
use crate::rows::{ALONE, Way};

/// Returns all results in Markdown.
pub fn table(
    arguments: &Arguments,
    kernel: &Kernel,
    candidates: &[Candidate],
    times: &[Vec<Stage2>],
    least: &[u32],
) -> Result<String> {
    let mut text = circumstances(arguments, kernel)?;
    for way in Way::ALL {
        let rows = candidates.iter().zip(times).zip(least);
        let mut rows = rows.filter(|((candidate, _), _)| candidate.way == way);
        let Some(first) = rows.next() else { continue };
        text.push_str(heading(way));
        for ((candidate, times), least) in std::iter::once(first).chain(rows) {
            text.push_str(&row(candidate, times, *least)?);
        }
        text.push_str(&comparison(way, candidates, times, least)?);
    }
    Ok(text)
}

/// What stands before the rows of a way.
fn heading(way: Way) -> &'static str {
    match way {
        Way::Kernel => {
            "\n| layout | initrd, MB | least memory, MiB | by the manifest, MiB | stage 2 after, s |\n\
             | --- | --- | --- | --- | --- |\n"
        }
        Way::IpxeBios => {
            "\n| BIOS and iPXE over HTTP | initrd, MB | least memory, MiB | by the manifest, MiB | power-on to power-off, s |\n\
             | --- | --- | --- | --- | --- |\n"
        }
        Way::IpxeUefi => {
            "\n| UEFI and iPXE over HTTP | initrd, MB | least memory, MiB | by the manifest, MiB | power-on to power-off, s |\n\
             | --- | --- | --- | --- | --- |\n"
        }
    }
}

/// The row of a candidate.
fn row(candidate: &Candidate, times: &[Stage2], least: u32) -> Result<String> {
    let size = fs::metadata(&candidate.initrd)
        .with_context(|| candidate.initrd.display().to_string())?
        .len();
    let seconds = sorted(candidate.way, times);
    Ok(format!(
        "| {} | {:.1} | {least} | {} | {:.2} ({:.2} to {:.2}) |\n",
        candidate.name,
        size as f64 / 1e6,
        estimate(candidate, least),
        median(&seconds),
        seconds[0],
        seconds[seconds.len() - 1],
    ))
}

/// Describes the closure and the machine that all rows share.
fn circumstances(arguments: &Arguments, kernel: &Kernel) -> Result<String> {
    let json = File::open(&arguments.path_info).context("the closure")?;
    let closure = read_path_info(json, &StoreDir::default())?;
    let release = kernel.modules().file_name().unwrap_or_default();
    let qemu = printed(Command::new("qemu-system-x86_64").arg("--version"));
    let qemu = String::from_utf8_lossy(&qemu);
    let words = [FLAGS, &arguments.append].join(" ");
    let firmware = match &arguments.firmware {
        None => "BIOS".into(),
        Some(file) => file.display().to_string(),
    };
    Ok(format!(
        "{} store paths, {:.0} MB. Store images: zstd {}, blocks of 1 MiB. Linux {}, `{}`. {}, {firmware}, -accel tcg, one processor, -cpu {}.\n\
         Least memory: the least -m of QEMU, in steps of {} MiB, with which {} boots in a row succeed. Times: median, minimum and maximum of {} boots with {} MiB.\n",
        closure.len(),
        closure.nar_size().unwrap_or_default() as f64 / 1e6,
        arguments.level,
        release.display(),
        words.trim(),
        qemu.lines().next().unwrap_or_default(),
        arguments.cpu,
        arguments.step,
        arguments.boots,
        arguments.boots,
        arguments.memory,
    ))
}

/// The manifest's estimate, and its deviation from the measurement.
fn estimate(candidate: &Candidate, least: u32) -> String {
    let Some(bytes) = candidate.estimate else {
        return "–".into();
    };
    let mib = bytes.div_ceil(1 << 20);
    let off = (mib as f64 / f64::from(least) - 1.0) * 100.0;
    format!("{mib} ({off:+.0} %)")
}

/// Compares storeboot's layouts with both forms of nixpkgs' layout: `in-place` where QEMU loads the files, `fetch` where
/// iPXE does.
fn comparison(
    way: Way,
    candidates: &[Candidate],
    times: &[Vec<Stage2>],
    least: &[u32],
) -> Result<String> {
    let numbers = |layout: &str| {
        let at = candidates
            .iter()
            .position(|candidate| Way::of(candidate.row) == (way, layout))?;
        let time = median(&sorted(way, &times[at]));
        Some((&candidates[at], f64::from(least[at]), time))
    };
    let mut text = String::new();
    let ours = if way.is_ipxe() { "fetch" } else { "in-place" };
    let Some((_, memory, time)) = numbers(ours) else {
        return Ok(text);
    };
    let alone = numbers(ALONE);
    for row in ["in-place", "nixpkgs-plain", "nixpkgs"] {
        let Some((peer, peer_memory, peer_time)) = numbers(row).filter(|_| row != ours) else {
            continue;
        };
        writeln!(
            text,
            "\n`{ours}` needs {:.2} of the memory that {} needs, and {:.2} of its time.",
            memory / peer_memory,
            peer.name,
            time / peer_time,
        )?;
        if let Some((_, memory_alone, time_alone)) = alone.filter(|alone| alone.1 < peer_memory) {
            writeln!(
                text,
                "Without the kernel's own share, that is {:.2} of the memory and {:.2} of the time.",
                (memory - memory_alone) / (peer_memory - memory_alone),
                (time - time_alone) / (peer_time - time_alone),
            )?;
        }
    }
    Ok(text)
}

/// Seconds until stage 2 is reached: from the kernel's start, or, where a boot loader asks for the files, those that the
/// machine runs at all.
fn sorted(way: Way, times: &[Stage2]) -> Vec<f64> {
    let seconds = |boot: &Stage2| {
        if way.is_ipxe() {
            boot.wall.as_secs_f64()
        } else {
            boot.after
        }
    };
    let mut seconds: Vec<f64> = times.iter().map(seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// The median of a sorted slice that is not empty.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0]), 1.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    }

    #[test]
    fn an_estimate_comes_with_its_error() {
        let mut candidate = Candidate {
            row: "file",
            name: String::new(),
            way: Way::Kernel,
            kernel: "bzImage".into(),
            initrd: "initrd".into(),
            command_line: String::new(),
            netboot: None,
            estimate: Some((400 << 20) + 1),
        };
        assert_eq!(estimate(&candidate, 400), "401 (+0 %)");
        assert_eq!(estimate(&candidate, 500), "401 (-20 %)");
        candidate.estimate = None;
        assert_eq!(estimate(&candidate, 500), "–");
    }
}
