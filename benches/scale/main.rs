//! How time and memory grow with the closure: made-up closures of a thousand to a hundred thousand store paths with ten
//! small files each, and two with one path of 20 GB, mostly holes or mostly the same again. `docs/benchmarks-scale.md` holds
//! what it printed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write as _};
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
    /// Only the rows that contain this, closure and way of packing: "1000 paths, 10000 files: cpio".
    #[arg(long)]
    only: Option<String>,
    /// Not the rows that contain one of these.
    #[arg(long, value_name = "PART")]
    without: Vec<String>,
}

impl Arguments {
    fn wants(&self, row: &str) -> bool {
        let mut without = self.without.iter();
        self.only.as_ref().is_none_or(|part| row.contains(part))
            && !without.any(|part| row.contains(part.as_str()))
    }
}

const FILES: usize = 10;
const HUGE: u64 = 20_000_000_000;
/// Bytes of the file that a path has many times, and how often.
const REPEATED: u64 = 1_000_000_000;
const TIMES: u64 = HUGE / REPEATED;

/// A closure: what it is called, and the folder that it is made in.
struct Shape {
    name: String,
    folder: String,
    kind: Kind,
    /// Whether newc can hold it, in a time that is worth it.
    cpio: bool,
}

/// What is in a closure.
#[derive(Clone, Copy)]
enum Kind {
    Small(usize),
    Holes,
    Repeated,
}

/// What the cache is like when a row begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    None,
    Empty,
    Full,
}

/// The ways to pack: the row's name, the options, and the cache.
const WAYS: [(&str, &[&str], Cache); 5] = [
    ("squashfs, zstd 3", &["--format", "squashfs"], Cache::None),
    (
        "squashfs, zstd 3, an empty cache",
        &["--format", "squashfs"],
        Cache::Empty,
    ),
    (
        "squashfs, zstd 3, a full cache",
        &["--format", "squashfs"],
        Cache::Full,
    ),
    ("cpio, zstd 3", &["--format", "cpio"], Cache::None),
    (
        "cpio, zstd 3, a frame for each path",
        &["--format", "cpio", "--frames", "path"],
        Cache::None,
    ),
];

fn shapes(most_paths: usize) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = [1_000, 10_000, 100_000]
        .into_iter()
        .filter(|&paths| paths <= most_paths)
        .map(|paths| Shape {
            name: format!("{paths} paths, {} files", paths * FILES),
            folder: paths.to_string(),
            kind: Kind::Small(paths),
            cpio: true,
        })
        .collect();
    shapes.push(Shape {
        name: "1 path of 20 GB, holes".into(),
        folder: "huge".into(),
        kind: Kind::Holes,
        cpio: false,
    });
    shapes.push(Shape {
        name: "1 path of 20 GB, a file of 1 GB twenty times".into(),
        folder: "repeated".into(),
        kind: Kind::Repeated,
        cpio: false,
    });
    shapes
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let storeboot = fs::canonicalize(&arguments.storeboot)
        .with_context(|| format!("cannot open {}", arguments.storeboot.display()))?;
    println!(
        "| closure | packed as | wall, s | CPU, s | memory, MB | size, MB |\n| --- | --- | --- | --- | --- | --- |"
    );
    for shape in shapes(arguments.paths) {
        let mut ways = WAYS.to_vec();
        ways.retain(|(what, options, _)| {
            (shape.cpio || !options.contains(&"cpio"))
                && arguments.wants(&format!("{}: {what}", shape.name))
        });
        if ways.is_empty() {
            continue;
        }
        let folder = arguments.work.join(&shape.folder);
        match shape.kind {
            Kind::Small(paths) => small(&folder, paths)?,
            Kind::Holes => holes(&folder)?,
            Kind::Repeated => repeated(&folder)?,
        }
        for (what, options, cache) in ways {
            let row = row(&storeboot, &folder, options, cache)?;
            println!("| {} | {what} | {row} |", shape.name);
        }
        forget(&folder.join("cache"))?;
    }
    Ok(())
}

/// Measures one way to pack.
fn row(storeboot: &Path, folder: &Path, options: &[&str], cache: Cache) -> Result<String> {
    let place = folder.join("cache");
    if cache == Cache::None {
        return measure(storeboot, folder, options);
    }
    let options = [options, &["--cache", "cache"]].concat();
    if cache == Cache::Empty {
        forget(&place)?;
    } else if !place.exists() {
        measure(storeboot, folder, &options)?;
    }
    measure(storeboot, folder, &options)
}

fn forget(cache: &Path) -> Result<()> {
    match fs::remove_dir_all(cache) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", cache.display()))
        }
        _ => Ok(()),
    }
}

/// Runs `pack`; its figures, as cells of the table.
fn measure(storeboot: &Path, folder: &Path, options: &[&str]) -> Result<String> {
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
            "--compression",
            "zstd:3",
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
fn small(folder: &Path, paths: usize) -> Result<()> {
    make(folder, |store| {
        let mut infos = Vec::new();
        let mut before: Option<String> = None;
        for number in 0..paths {
            // Names differ in their first digits, as hashes do.
            let name = format!("{:07}{number:025}-made-up", number * 7_919 % 1_000_003);
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
fn holes(folder: &Path) -> Result<()> {
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

/// A path that has one file many times: as hard links, as `nix-store --optimise` would make of them.
fn repeated(folder: &Path) -> Result<()> {
    make(folder, |store| {
        let name = format!("{:032}-repeated", 0);
        let path = store.join(&name);
        fs::create_dir(&path)?;
        let first = path.join("0");
        let mut file = BufWriter::new(File::create(&first)?);
        let mut state = 1_u64;
        for _ in 0..REPEATED / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Packs to half.
            file.write_all(&(state & 0x0f0f_0f0f_0f0f_0f0f).to_le_bytes())?;
        }
        file.flush()?;
        for number in 1..TIMES {
            fs::hard_link(&first, path.join(number.to_string()))?;
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
fn make(folder: &Path, fill: impl FnOnce(&Path) -> Result<Vec<Value>>) -> Result<()> {
    let list = folder.join("path-info.json");
    if !list.exists() {
        let store = folder.join("nix/store");
        fs::create_dir_all(&store)?;
        let infos = fill(&store)
            .with_context(|| format!("cannot make {}; remove it to try again", folder.display()))?;
        fs::write(&list, Value::from(infos).to_string())?;
    }
    Ok(())
}
