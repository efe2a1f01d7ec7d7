//! The closures that are made up.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use storeboot_closure::nar;

const FILES: usize = 10;
const HUGE: u64 = 20_000_000_000;
/// Bytes of the file that a path has many times, and how often.
const REPEATED: u64 = 1_000_000_000;
const TIMES: u64 = HUGE / REPEATED;

/// A closure: what it is called, and the folder that it is made in.
pub struct Shape {
    pub name: String,
    pub folder: String,
    kind: Kind,
}

/// What is in a closure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small(usize),
    Holes,
    Repeated,
}

impl Shape {
    /// Whether it is of many small files.
    pub fn is_small(&self) -> bool {
        matches!(self.kind, Kind::Small(_))
    }

    /// Whether it has so many small files that mksquashfs, which compares each with all of its size, does not get through them.
    pub fn is_too_much_for_mksquashfs(&self) -> bool {
        matches!(self.kind, Kind::Small(100_000..))
    }

    /// Makes it in this folder, if it is not there.
    pub fn make(&self, folder: &Path) -> Result<()> {
        match self.kind {
            Kind::Small(paths) => small(folder, paths),
            Kind::Holes => holes(folder),
            Kind::Repeated => repeated(folder),
        }
    }
}

/// All of them but those of more store paths than this.
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
