//! Which candidates are compared.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use storeboot::Layout;
use storeboot_benches::ingredients::Ingredients;
use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
use storeboot_tests::qemu::Kernel;

use crate::arguments::{Arguments, Plan};
use crate::boot::boot;
use crate::candidates::{Candidate, System};

/// The size of blocks, unless sizes of blocks are compared.
const BLOCK: &str = "1M";
/// The sizes of blocks that are compared.
const BLOCKS: [&str; 4] = ["128K", "256K", "512K", "1M"];

/// Makes the candidates that the arguments ask for, and reuses files that are up to date.
pub fn candidates(arguments: &Arguments, kernel: &Kernel) -> Result<Vec<Candidate>> {
    let system = System::new(&arguments.system, arguments, kernel)?;
    let profile = match &arguments.profile {
        Some(profile) => profile.clone(),
        None => recorded(&system, arguments)?,
    };
    let asked_for =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let mut candidates = Vec::new();
    let mut add = |name: &str, make: &dyn Fn(&str) -> Result<Candidate>| -> Result<()> {
        if asked_for(name) {
            candidates.push(make(name)?);
        }
        Ok(())
    };
    match arguments.plan {
        Plan::Layouts => {
            for layout in [Layout::InPlace, Layout::File, Layout::Fetch] {
                add(&layout.to_string(), &|name| {
                    system.storeboot(name, layout, BLOCK, None)
                })?;
                add(&format!("{layout} with a profile"), &|name| {
                    system.storeboot(name, layout, BLOCK, Some(&profile))
                })?;
            }
            add("direct", &|name| {
                system.storeboot(name, Layout::Direct, BLOCK, None)
            })?;
            add("nixpkgs' layout", &|name| system.nixpkgs(name, &[]))?;
        }
        Plan::Frontier => {
            let guess = guess(&system)?;
            for block in BLOCKS {
                for (order, profile) in [
                    ("the store's order", None),
                    ("a guess first", Some(&guess)),
                    ("a profile first", Some(&profile)),
                ] {
                    add(&format!("{block}, {order}"), &|name| {
                        system.storeboot(
                            name,
                            Layout::InPlace,
                            block,
                            profile.map(PathBuf::as_path),
                        )
                    })?;
                }
            }
            for (block, bytes) in [("128K", "131072"), (BLOCK, "1048576")] {
                for (fragments, option) in [
                    ("no fragments", "-no-fragments"),
                    ("fragments of small files", "-no-tailends"),
                    ("fragments of all ends", "-tailends"),
                ] {
                    add(&format!("{block}, mksquashfs, {fragments}"), &|name| {
                        system.nixpkgs(name, &["-b", bytes, option])
                    })?;
                }
            }
        }
        Plan::Stream => {
            for (name, profile, options) in [
                ("fetch", None, &[][..]),
                ("fetch with a profile", Some(&profile), &[]),
                (
                    "fetch with a profile, --stream",
                    Some(&profile),
                    &["--stream"],
                ),
            ] {
                add(name, &|name| {
                    let profile = profile.map(PathBuf::as_path);
                    system.storeboot_with(name, Layout::Fetch, BLOCK, profile, options)
                })?;
            }
        }
        Plan::Update => {
            let next = System::new("next", arguments, kernel)?;
            let own = recorded(&next, arguments)?;
            for (name, profile) in [
                ("no profile", None),
                ("its own profile", Some(&own)),
                ("the profile of the build before", Some(&profile)),
            ] {
                add(name, &|name| {
                    next.storeboot(name, Layout::InPlace, BLOCK, profile.map(PathBuf::as_path))
                })?;
            }
        }
    }
    if candidates.is_empty() {
        bail!("the plan has no candidate of this name");
    }
    Ok(candidates)
}

/// The profile of a boot of layout in-place, recorded once.
fn recorded(system: &System, arguments: &Arguments) -> Result<PathBuf> {
    let candidate = system.storeboot("in-place", Layout::InPlace, BLOCK, None)?;
    let profile = system.work().join("boot.profile");
    let made_of = Ingredients::new().file(&candidate.initrd)?;
    made_of.unless_there(&profile, || {
        let told = boot(&candidate, arguments, "storeboot.profile")?;
        fs::write(&profile, told.profile).with_context(|| profile.display().to_string())
    })?;
    Ok(profile)
}

/// What could be guessed of a NixOS system without booting it: shared libraries, and all of systemd. Written as a profile,
/// in the order of the store.
fn guess(system: &System) -> Result<PathBuf> {
    let json = fs::File::open(system.path_info()).context("the closure")?;
    let closure = read_path_info(json, &StoreDir::default())?;
    let mut text = String::from("storeboot profile 1\n");
    for info in closure.paths() {
        let top = StoreRoot::system().locate(closure.store_dir(), &info.path);
        let mut files = Vec::new();
        walk(&top, &mut files)?;
        files.sort();
        for file in files {
            let Some(inside) = file.strip_prefix(&top).ok().and_then(Path::to_str) else {
                continue;
            };
            let name = info.path.name();
            let libraries = Path::new(inside)
                .file_name()
                .is_some_and(|name| name.as_bytes().windows(3).any(|part| part == b".so"));
            if libraries || name.starts_with("systemd-") || inside.contains("systemd") {
                text.push_str(&format!("{name}/{inside}\n"));
            }
        }
    }
    let guess = system.work().join("guess.profile");
    fs::write(&guess, text).with_context(|| guess.display().to_string())?;
    Ok(guess)
}

/// All regular files below a folder.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
