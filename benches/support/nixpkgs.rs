//! A copy of nixpkgs' layout: an archive with a stage 1, and an archive with a squashfs image, made with the options
//! that nixpkgs gives mksquashfs. zstd compresses both archives at level 10.
//!
//! The stage 1 is a busybox of one megabyte, where NixOS's has ten or more. This favours nixpkgs in memory and time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use storeboot_closure::{Closure, Registration, StoreDir, StoreRoot, read_path_info};
use storeboot_tests::command::printed;
use storeboot_tests::qemu::Kernel;

use crate::busybox::{self, BUSYBOX, empty, pack};
use crate::ingredients::Ingredients;

const MODULES: [&str; 3] = ["loop", "squashfs", "overlay"];
const STAGE1: &str = include_str!("nixpkgs-stage1.sh");

/// What nixpkgs' layout is made from.
#[derive(Clone, Copy, Debug)]
pub struct Nixpkgs<'a> {
    /// The closure, as `nix path-info --json --recursive` prints it.
    pub path_info: &'a Path,
    /// The zstd level of the image.
    pub level: u32,
    /// The folder for the files.
    pub work: &'a Path,
}

impl Nixpkgs<'_> {
    /// Makes the initrd with a store image.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn initrd(&self, image: &Path, kernel: &Kernel) -> Result<PathBuf> {
        let work = self.work.join("nixpkgs");
        fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
        // Two images of the same closure differ in their names.
        let name = image.file_stem().unwrap_or_default();
        let initrd = work.join(name).with_extension("initrd");
        let made_of = Ingredients::new()
            .file(image)?
            .file(kernel.image())?
            .file(Path::new(BUSYBOX))?
            .text(STAGE1);
        made_of.unless_there(&initrd, || {
            let stage1 = busybox::stage1(&work.join("stage1"), STAGE1)?;
            for module in MODULES {
                let path = stage1.join(format!("lib/modules/{module}.ko"));
                fs::write(path, kernel.module(module))?;
            }
            let store = empty(&work.join("store"))?;
            fs::hard_link(image, store.join("nix-store.squashfs"))
                .or_else(|_| fs::copy(image, store.join("nix-store.squashfs")).map(drop))
                .context("the image's place in the archive")?;
            pack(&[&stage1, &store], &initrd);
            fs::remove_dir_all(&store).context("the image's place in the archive")
        })?;
        Ok(initrd)
    }

    /// Makes the store image as nixpkgs' make-squashfs.nix does, with more options for mksquashfs. Without `-b`, blocks have 1 MiB.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn image(&self, name: &str, options: &[&str]) -> Result<PathBuf> {
        let image = self.work.join(name).with_extension("squashfs");
        let level = self.level.to_string();
        let made_of = Ingredients::new()
            .file(self.path_info)?
            .text(&level)
            .text(&options.join(" "));
        made_of.unless_there(&image, || {
            let store_dir = StoreDir::default();
            let json = File::open(self.path_info)?;
            let closure = read_path_info(json, &store_dir)?;
            let registration = self.work.join("nix-path-registration");
            closure.write_registration(File::create(&registration)?, Registration::ClosureInfo)?;
            // mksquashfs would append to an existing file.
            let new = image.with_extension("new");
            let _ = fs::remove_file(&new);
            let mut mksquashfs = Command::new("mksquashfs");
            mksquashfs
                .arg(&registration)
                .args(store_paths(&closure))
                .arg(&new)
                .args(["-no-hardlinks", "-keep-as-directory", "-all-root"])
                .args(["-comp", "zstd", "-Xcompression-level", &level])
                .args(["-quiet", "-no-progress"]);
            if !options.contains(&"-b") {
                mksquashfs.args(["-b", "1048576"]);
            }
            printed(mksquashfs.args(options));
            fs::rename(&new, &image).with_context(|| image.display().to_string())
        })?;
        Ok(image)
    }
}

fn store_paths(closure: &Closure) -> Vec<PathBuf> {
    let (store_dir, root) = (closure.store_dir(), StoreRoot::system());
    let paths = closure.paths();
    paths
        .map(|info| root.locate(store_dir, &info.path))
        .collect()
}
