//! Makes the synthetic closures.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use storeboot_closure::nar;

const FILES: usize = 10;
const HUGE: u64 = 20_000_000_000;
/// The size of the file that a path holds many times, and the number of times.
const REPEATED: u64 = 1_000_000_000;
const TIMES: u64 = HUGE / REPEATED;

/// A synthetic closure: its name, and the folder that it is made in.
pub struct Shape {
    pub name: String,
    pub folder: String,
    kind: Kind,
}

/// The content of a closure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small(usize),
    Holes,
    Repeated,
}

impl Shape {
    /// Whether the closure has many small files.
    pub fn is_small(&self) -> bool {
        matches!(self.kind, Kind::Small(_))
    }

    /// Whether the closure has too many small files for mksquashfs, which compares each file with all files of its
    /// size.
    pub fn is_too_much_for_mksquashfs(&self) -> bool {
        matches!(self.kind, Kind::Small(100_000..))
    }

    /// Makes the closure in this folder, unless it exists.
    pub fn make(&self, folder: &Path) -> Result<()> {
        match self.kind {
            Kind::Small(paths) => small(folder, paths),
            Kind::Holes => holes(folder),
            Kind::Repeated => repeated(folder),
        }
    }
}

/// All closures with at most this many store paths.
pub fn shapes(most_paths: usize) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = [1_000, 10_000, 100_000]
        .into_iter()
        .filter(|&paths| paths <= most_paths)
        .map(|paths| Shape {
            name: format!("{paths} paths, {} files", paths * FILES),
            folder: paths.to_string(),
            kind: Kind::Small(paths),
        })
        .collect();
    shapes.push(Shape {
        name: "1 path of 20 GB, holes".into(),
        folder: "huge".into(),
        kind: Kind::Holes,
    });
    shapes.push(Shape {
        name: "1 path of 20 GB, a file of 1 GB twenty times".into(),
        folder: "repeated".into(),
        kind: Kind::Repeated,
    });
    shapes
}

/// Makes a closure of `paths` store paths, each with a few files of about a kilobyte and a reference to the path
/// before.
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

/// Makes a store path of four sparse files, each with some data.
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

/// Makes a store path with many hard links to one file, as `nix-store --optimise` leaves them.
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
            // These bytes compress to half their size.
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

/// Makes a closure unless it exists: `nix/store`, and then `path-info.json`.
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
