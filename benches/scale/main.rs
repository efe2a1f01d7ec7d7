//! How time and memory grow with the closure: made-up closures of a thousand to a hundred thousand store paths with ten
//! small files each, and one path of 20 GB that is mostly holes. `docs/benchmarks-scale.md` holds what it printed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use storeboot_benches::{cost, time};
use storeboot_closure::nar;

/// Measures how time and memory grow with the closure.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the closures are made; there they stay, to be used again.
    #[arg(long, default_value = "target/bench/scale")]
    work: PathBuf,
    /// The command to measure.
    #[arg(long, env = "STOREBOOT")]
    storeboot: PathBuf,
    /// Closures of more store paths than this are left out.
    #[arg(long, default_value_t = 100_000)]
    paths: usize,
}

const FILES: usize = 10;
const HUGE: u64 = 20_000_000_000;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut closures = Vec::new();
    for paths in [1_000, 10_000, 100_000] {
        if paths <= arguments.paths {
            let folder = arguments.work.join(paths.to_string());
            closures.push((
                format!("{paths} paths, {} files", paths * FILES),
                small(&folder, paths)?,
            ));
        }
    }
    closures.push((
        "1 path of 20 GB".into(),
        huge(&arguments.work.join("huge"))?,
    ));

    let commands: [(&str, &[&str]); 5] = [
        (
            "squashfs, zstd 3",
            &["--format", "squashfs", "--compression", "zstd:3"],
        ),
        (
            "the same, an empty cache",
            &[
                "--format",
                "squashfs",
                "--compression",
                "zstd:3",
                "--cache",
                "cache",
            ],
        ),
        (
            "the same, a full cache",
            &[
                "--format",
                "squashfs",
                "--compression",
                "zstd:3",
                "--cache",
                "cache",
            ],
        ),
        (
            "cpio, zstd 3",
            &["--format", "cpio", "--compression", "zstd:3"],
        ),
        (
            "cpio, zstd 3, a frame for each path",
            &[
                "--format",
                "cpio",
                "--compression",
                "zstd:3",
                "--frames",
                "path",
            ],
        ),
    ];
    println!(
        "| closure | packed as | wall, s | CPU, s | memory, MB | size, MB |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (name, folder) in &closures {
        for (what, options) in commands {
            // newc has no files over 4 GiB, and these are 5 GB each.
            if name.contains("GB") && what.starts_with("cpio") {
                continue;
            }
            println!(
                "| {name} | {what} | {} |",
                measure(&arguments.storeboot, folder, options)?
            );
        }
        let cache = folder.join("cache");
        fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;
    }
    Ok(())
}

/// Runs `pack`; its figures, as cells of the table.
fn measure(storeboot: &Path, folder: &Path, options: &[&str]) -> Result<String> {
    let storeboot = fs::canonicalize(storeboot)?;
    let output = time(Path::new("time"))
        .arg(storeboot)
        .args([
            "pack",
            "--quiet",
            "--path-info",
            "path-info.json",
            "--store-root",
            ".",
            "--output",
            "out",
        ])
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

/// A closure of so many paths, each with a few files of about a kilobyte and a reference to the one before.
fn small(folder: &Path, paths: usize) -> Result<PathBuf> {
    make(folder, |store| {
        let mut infos = Vec::new();
        let mut before: Option<String> = None;
        for number in 0..paths {
            let name = format!("{number:032}-made-up");
            let path = store.join(&name);
            fs::create_dir(&path)?;
            for file in 0..FILES {
                let mut text = String::new();
                let mut state = (number * FILES + file) as u64;
                for line in 0..20 {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    writeln!(
                        text,
                        "line {line} of file {file} says {state:x} and nothing more"
                    )?;
                }
                fs::write(path.join(format!("file-{file}")), text)?;
            }
            infos.push(info(&path, &name, before.as_deref())?);
            before = Some(name);
        }
        Ok(infos)
    })
}

/// A path of four files, each with some data here and there.
fn huge(folder: &Path) -> Result<PathBuf> {
    make(folder, |store| {
        let name = format!("{:032}-huge", 0);
        let path = store.join(&name);
        fs::create_dir(&path)?;
        for number in 0..4 {
            let mut file = File::create(path.join(number.to_string()))?;
            file.set_len(HUGE / 4)?;
            for place in 0..100 {
                file.seek(SeekFrom::Start(place * (HUGE / 400)))?;
                writeln!(file, "file {number}, place {place}")?;
            }
        }
        Ok(vec![info(&path, &name, None)?])
    })
}

fn info(path: &Path, name: &str, reference: Option<&str>) -> Result<Value> {
    let (hash, size) = nar::hash(path)?;
    let references: Vec<String> = reference
        .iter()
        .map(|name| format!("/nix/store/{name}"))
        .collect();
    Ok(json!({
        "path": format!("/nix/store/{name}"),
        "narHash": hash.to_string(),
        "narSize": size,
        "references": references,
    }))
}

/// Makes a closure, if it is not there: `nix/store` and `path-info.json`, which comes last.
fn make(folder: &Path, fill: impl FnOnce(&Path) -> Result<Vec<Value>>) -> Result<PathBuf> {
    let list = folder.join("path-info.json");
    if !list.exists() {
        let store = folder.join("nix/store");
        fs::create_dir_all(&store)?;
        let infos = fill(&store)
            .with_context(|| format!("cannot make {}; remove it to try again", folder.display()))?;
        fs::write(&list, Value::from(infos).to_string())?;
    }
    Ok(folder.to_owned())
}
