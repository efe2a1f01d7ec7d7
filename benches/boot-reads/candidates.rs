//! The candidates to compare, with the files to boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot::Layout;
use storeboot::manifest::Manifest;
use storeboot_benches::ingredients::Ingredients;
use storeboot_benches::nixpkgs::Nixpkgs;
use storeboot_tests::command::printed;
use storeboot_tests::debian::static_binaries;
use storeboot_tests::qemu::Kernel;

use crate::arguments::Arguments;

/// Lifts the limit on what rootfs may hold.
const OPTION: &str = "initramfs_options=size=95%";
/// Arguments on every command line, besides those that the layout needs.
pub const FLAGS: &str = "quiet loglevel=2";
/// `direct` is packed at this level at most.
const DIRECT_LEVEL: u32 = 10;

/// Something to boot.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name in the table.
    pub name: String,
    /// The kernel to boot.
    pub kernel: PathBuf,
    /// The initrd to boot.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub command_line: String,
    /// The netboot directory, if the machine fetches from it.
    pub netboot: Option<PathBuf>,
    /// Bytes of all that the machine has to get besides the kernel.
    pub size: u64,
}

/// A system of scripts/bench-closure, and how to make candidates of it.
pub struct System<'a> {
    arguments: &'a Arguments,
    kernel: &'a Kernel,
    path_info: PathBuf,
    top: PathBuf,
    work: PathBuf,
}

impl<'a> System<'a> {
    /// Finds a system by its name.
    pub fn new(name: &str, arguments: &'a Arguments, kernel: &'a Kernel) -> Result<Self> {
        let folder = Arguments::folder(name);
        let link = folder.join("system");
        let top = fs::read_link(&link)
            .with_context(|| format!("{}: run scripts/bench-closure {name}", link.display()))?;
        let work = folder.join("boot-reads");
        fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
        Ok(Self {
            arguments,
            kernel,
            path_info: folder.join("path-info.json"),
            top,
            work,
        })
    }

    /// The folder for what is made of it.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Builds a netboot directory, as a user would, in blocks of this size and by a profile.
    pub fn storeboot(
        &self,
        name: &str,
        layout: Layout,
        block_size: &str,
        profile: Option<&Path>,
    ) -> Result<Candidate> {
        self.storeboot_with(name, layout, block_size, profile, &[])
    }

    /// The same with more options.
    pub fn storeboot_with(
        &self,
        name: &str,
        layout: Layout,
        block_size: &str,
        profile: Option<&Path>,
        options: &[&str],
    ) -> Result<Candidate> {
        let level = match layout {
            Layout::Direct => self.arguments.level.min(DIRECT_LEVEL),
            _ => self.arguments.level,
        };
        let binaries = static_binaries();
        let (program, stage1) = (binaries.join("storeboot"), binaries.join("storeboot-init"));
        let init = self.top.join("init");
        let netboot = self.work.join(name.replace([' ', ','], "-"));
        let mut made_of = Ingredients::new()
            .file(&program)?
            .file(&stage1)?
            .file(&self.path_info)?
            .file(self.kernel.image())?
            .text(&format!(
                "{layout} {level} {block_size} {FLAGS} {options:?}"
            ));
        if let Some(profile) = profile {
            made_of = made_of.file(profile)?;
        }
        made_of.unless_there(&netboot, || {
            let mut build = Command::new(&program);
            build
                .args(["build", "--quiet", "--layout", &layout.to_string()])
                .args(["--compression", &format!("zstd:{level}")])
                .args(["--block-size", block_size, "--cmdline", FLAGS, "--init"])
                .arg(&init)
                .arg("--path-info")
                .arg(&self.path_info)
                .arg("--kernel")
                .arg(self.kernel.image())
                .arg("--modules")
                .arg(self.kernel.folder())
                .arg("--cache")
                .arg(self.work.join("cache"))
                .args(options)
                .arg("--output")
                .arg(&netboot);
            if let Some(profile) = profile {
                build.arg("--profile").arg(profile);
            }
            printed(&mut build);
            Ok(())
        })?;
        let json = netboot.join("manifest.json");
        let text = fs::read_to_string(&json).with_context(|| json.display().to_string())?;
        let manifest = Manifest::from_json(&text).context("the manifest that storeboot wrote")?;
        let initrd = netboot.join("initrd");
        let mut size = size(&initrd)?;
        let fetches = layout == Layout::Fetch;
        if fetches {
            for entry in fs::read_dir(netboot.join("images")).context("the images")? {
                size += entry?.metadata()?.len();
            }
        }
        Ok(Candidate {
            name: name.into(),
            kernel: netboot.join(manifest.kernel.file),
            initrd,
            command_line: manifest.command_line,
            netboot: fetches.then_some(netboot),
            size,
        })
    }

    /// Makes nixpkgs' layout, with more options for mksquashfs.
    pub fn nixpkgs(&self, name: &str, options: &[&str]) -> Result<Candidate> {
        let nixpkgs = Nixpkgs {
            path_info: &self.path_info,
            level: self.arguments.level,
            work: &self.work,
        };
        let image = nixpkgs.image(&name.replace([' ', ',', '\''], "-"), options)?;
        let initrd = nixpkgs.initrd(&image, self.kernel)?;
        Ok(Candidate {
            name: name.into(),
            kernel: self.kernel.image().to_owned(),
            command_line: format!("init={}/init {FLAGS} {OPTION}", self.top.display()),
            netboot: None,
            size: size(&initrd)?,
            initrd,
        })
    }

    /// What the closure is: the number of its paths, and their bytes.
    pub fn path_info(&self) -> &Path {
        &self.path_info
    }
}

fn size(file: &Path) -> Result<u64> {
    let metadata = fs::metadata(file).with_context(|| file.display().to_string())?;
    Ok(metadata.len())
}
