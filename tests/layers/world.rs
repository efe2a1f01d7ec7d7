//! A store of three paths, and the layers and netboot directories that are built from it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use storeboot::compress::ZstdLevel;
use storeboot::{Compression, Context, Layer, Netboot, Store};
use storeboot_closure::{StoreDir, StorePath, StoreRoot, read_path_info};
use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_tests::command::{Scratch, bz_image, static_program};
use storeboot_tests::fixture::{Fixture, INIT, Manner, Recipe, SYSTEM};

pub const KERNEL: &str = "11111111111111111111111111111111-kernel";
pub const BASE: &str = "22222222222222222222222222222222-base";

/// A fast compression, since the size does not matter here.
pub const FAST: Option<Compression> = Some(Compression::Zstd(ZstdLevel::MIN));

pub struct World {
    scratch: Scratch,
    fixture: Fixture,
}

impl World {
    pub fn new() -> Self {
        let mut recipe = Recipe::default();
        recipe.file(format!("{KERNEL}/bzImage"), "a kernel");
        // Bytes that do not compress and differ in every block.
        let mut state = 1_u64;
        for file in 0..3 {
            let data: Vec<u8> = (0..1 << 17)
                .flat_map(|_| random(&mut state).to_le_bytes())
                .collect();
            recipe.file(format!("{BASE}/data-{file}"), data);
        }
        recipe.program(format!("{SYSTEM}/init"), "#!/bin/sh\n");
        let scratch = Scratch::new();
        let fixture = recipe.write(scratch.path(), Manner::default());
        fs::write(scratch.join("bzImage"), bz_image("6.12.1")).expect("a file");
        fs::write(scratch.join("stage1"), static_program()).expect("a file");
        Self { scratch, fixture }
    }

    /// Returns a path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Returns the folder that holds the store.
    pub fn root(&self) -> &Path {
        &self.fixture.root
    }

    /// The description of a closure of these paths.
    pub fn path_info(&self, names: &[&str]) -> PathBuf {
        let gone: Vec<&str> = [KERNEL, BASE, SYSTEM]
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect();
        let part = self.fixture.without(&gone);
        // Parts of the same size have one name there.
        let path = self.path(&format!("{}.json", names.concat()));
        fs::rename(part.path_info, &path).expect("renamed");
        path
    }

    /// A closure of these paths.
    pub fn store(&self, names: &[&str]) -> Store {
        let file = File::open(self.path_info(names)).expect("there");
        let closure = read_path_info(file, &StoreDir::default()).expect("a closure");
        Store::new(closure, StoreRoot::under(self.root()), &Context::new()).expect("a store")
    }

    pub fn paths(&self, names: &[&str]) -> BTreeSet<StorePath> {
        let path = |name: &&str| StorePath::from_basename(name.as_bytes()).expect("a path");
        names.iter().map(path).collect()
    }

    /// Builds a layer of these paths, without the paths of the layers below.
    pub fn layer(&self, name: &str, names: &[&str], below: &[&str]) -> PathBuf {
        let output = self.path(name);
        let mut layer = Layer::default();
        layer.below = self.paths(below);
        layer.compression = FAST;
        layer
            .build(&self.store(names), &output, &Context::new())
            .expect("built");
        output
    }

    /// The kernel's layer, and that of the base above it.
    pub fn two_layers(&self) -> [PathBuf; 2] {
        [
            self.layer("kernel.layer", &[KERNEL], &[]),
            self.layer("base.layer", &[KERNEL, BASE], &[KERNEL]),
        ]
    }

    /// Returns a build that succeeds.
    pub fn netboot(&self) -> Netboot {
        let mut netboot = Netboot::new(self.path("bzImage"), INIT, self.path("stage1"));
        netboot.compression = FAST;
        netboot
    }
}

/// Returns the names at the root of the store image at this offset of a file.
pub fn names_in(path: &Path, offset: u64) -> BTreeSet<String> {
    let mut image = Image::open_at(File::open(path).expect("there"), offset).expect("an image");
    let root = image.root();
    let InodeKind::Directory(root) = image.inode(root).expect("readable").kind else {
        panic!("the root is a directory");
    };
    let entries = image.list(&root).expect("readable");
    entries
        .into_iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect()
}

/// Returns the next number of a pseudo-random sequence (xorshift64).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
