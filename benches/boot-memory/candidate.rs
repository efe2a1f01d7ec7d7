//! The candidates to compare: a row of the table each, with the files to boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot::Layout;
use storeboot::manifest::Manifest;
use storeboot_benches::busybox::{self, BUSYBOX};
use storeboot_benches::ingredients::Ingredients;
use storeboot_benches::nixpkgs::Nixpkgs;
use storeboot_tests::command::printed;
use storeboot_tests::debian::static_binaries;
use storeboot_tests::qemu::Kernel;

use crate::arguments::Arguments;
use crate::rows::{ALONE, ROWS, Way};

/// Lifts the limit on what rootfs may hold, where the kernel knows it.
const OPTION: &str = "initramfs_options=size=95%";
/// Arguments on every command line, besides those that the layout needs.
pub const FLAGS: &str = "quiet";
/// `direct` is packed at this level at most.
const DIRECT_LEVEL: u32 = 10;

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its short name.
    pub row: &'static str,
    /// Its name.
    pub name: String,
    /// How the machine gets the files.
    pub way: Way,
    /// The kernel to boot.
    pub kernel: PathBuf,
    /// The initrd to boot.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub command_line: String,
    /// The netboot directory, where the machine has to fetch more than kernel and initrd or has a script for iPXE.
    pub netboot: Option<PathBuf>,
    /// The memory that the manifest says is needed.
    pub estimate: Option<u64>,
}

/// Makes the candidates that the arguments name, and reuses files that are up to date.
pub fn build(arguments: &Arguments, kernel: &Kernel) -> Result<Vec<Candidate>> {
    let init = init(arguments)?;
    let binaries = static_binaries();
    let asked_for =
        |row: &&str| arguments.rows.is_empty() || arguments.rows.iter().any(|r| r == row);
    let mut candidates = Vec::new();
    for row in ROWS.into_iter().filter(asked_for) {
        let (way, layout) = Way::of(row);
        let (base, plain) = match layout.strip_suffix("-plain") {
            Some(base) => (base, true),
            None => (layout, false),
        };
        let candidate = match base {
            ALONE => Candidate {
                row,
                name: "no store: the kernel, and a busybox that reads the clock".into(),
                way,
                kernel: kernel.image().to_owned(),
                initrd: alone(arguments)?,
                command_line: FLAGS.into(),
                netboot: None,
                estimate: None,
            },
            "nixpkgs" => {
                let initrd = nixpkgs(arguments, kernel)?;
                let option = if plain { "" } else { OPTION };
                Candidate {
                    row,
                    name: with_or_without("nixpkgs' layout", "with", !plain),
                    way,
                    kernel: kernel.image().to_owned(),
                    initrd,
                    command_line: format!("init={init} {FLAGS} {option}"),
                    netboot: None,
                    estimate: None,
                }
            }
            layout => {
                let netboot = storeboot(arguments, kernel, &binaries, layout, &init)?;
                from_netboot_directory(arguments, row, &netboot, plain)?
            }
        };
        candidates.push(candidate);
    }
    Ok(candidates)
}

/// An initrd that prints stage 2's line at once.
fn alone(arguments: &Arguments) -> Result<PathBuf> {
    const STAGE1: &str = include_str!("kernel-alone.sh");

    let initrd = arguments.work.join("kernel-alone");
    let made_of = Ingredients::new().file(Path::new(BUSYBOX))?.text(STAGE1);
    made_of.unless_there(&initrd, || {
        let stage1 = busybox::stage1(&arguments.work.join("stage1"), STAGE1)?;
        busybox::pack(&[&stage1], &initrd);
        Ok(())
    })?;
    Ok(initrd)
}

/// The initrd of nixpkgs' layout.
fn nixpkgs(arguments: &Arguments, kernel: &Kernel) -> Result<PathBuf> {
    let nixpkgs = Nixpkgs {
        path_info: &arguments.path_info,
        level: arguments.level,
        work: &arguments.work,
    };
    let image = match &arguments.nixpkgs_image {
        Some(image) => image.clone(),
        None => nixpkgs.image("nixpkgs", &[])?,
    };
    nixpkgs.initrd(&image, kernel)
}

fn with_or_without(name: &str, word: &str, said: bool) -> String {
    if said {
        format!("{name} {word} `{OPTION}`")
    } else {
        name.to_owned()
    }
}

fn from_netboot_directory(
    arguments: &Arguments,
    row: &'static str,
    netboot: &Path,
    plain: bool,
) -> Result<Candidate> {
    let text = read(&netboot.join("manifest.json"))?;
    let manifest = Manifest::from_json(&text).context("the manifest that storeboot wrote")?;
    let (way, _) = Way::of(row);
    let layout = manifest.layout;
    let words = manifest.command_line.split(' ');
    let words: Vec<&str> = words.filter(|word| !(plain && *word == OPTION)).collect();
    let by_uefi = match way {
        Way::Kernel => arguments.firmware.is_some(),
        Way::IpxeBios => false,
        Way::IpxeUefi => true,
    };
    let estimate = if by_uefi {
        manifest.memory_uefi
    } else {
        manifest.memory
    };
    let needs_server = way.is_ipxe() || layout == Layout::Fetch;
    Ok(Candidate {
        row,
        name: with_or_without(&format!("`{layout}`"), "without", plain),
        way,
        kernel: netboot.join(manifest.kernel.file),
        initrd: netboot.join("initrd"),
        command_line: words.join(" "),
        netboot: needs_server.then(|| netboot.to_owned()),
        // The estimate holds only for the command line that storeboot wrote.
        estimate: (!plain).then_some(estimate),
    })
}

/// Builds a netboot directory, as a user would.
fn storeboot(
    arguments: &Arguments,
    kernel: &Kernel,
    binaries: &Path,
    layout: &str,
    init: &str,
) -> Result<PathBuf> {
    let level = match layout {
        "direct" => arguments.level.min(DIRECT_LEVEL),
        _ => arguments.level,
    };
    let netboot = arguments.work.join(layout);
    let (program, stage1) = (binaries.join("storeboot"), binaries.join("storeboot-init"));
    let made_of = Ingredients::new()
        .file(&program)?
        .file(&stage1)?
        .file(&arguments.path_info)?
        .file(kernel.image())?
        .text(&format!("{layout} {level} {init} {FLAGS}"));
    made_of.unless_there(&netboot, || {
        printed(
            Command::new(&program)
                .args(["build", "--quiet", "--layout", layout, "--init", init])
                .args([
                    "--compression",
                    &format!("zstd:{level}"),
                    "--cmdline",
                    FLAGS,
                ])
                .arg("--path-info")
                .arg(&arguments.path_info)
                .arg("--kernel")
                .arg(kernel.image())
                .arg("--modules")
                .arg(kernel.folder())
                .arg("--output")
                .arg(&netboot),
        );
        Ok(())
    })?;
    Ok(netboot)
}

/// The init that all candidates start.
fn init(arguments: &Arguments) -> Result<String> {
    if let Some(init) = &arguments.init {
        return Ok(init.clone());
    }
    // The link to the system lies beside its description.
    let link = arguments.path_info.with_file_name("system");
    let system = fs::read_link(&link).with_context(|| {
        format!(
            "{} (run scripts/bench-closure, or give --init)",
            link.display()
        )
    })?;
    Ok(format!("{}/init", system.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
