//! The netboot directories to damage, and the positions of the parts of their initrds.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use storeboot_index::Layout;
use storeboot_tests::debian::static_binaries;
use storeboot_tests::qemu::{Kernel, LIMIT, Machine};
use storeboot_tests::small_system::SmallSystem;

use crate::outcome::{self, Outcome};

/// A netboot directory, and the positions of the parts of its initrd.
pub struct Build {
    pub layout: Layout,
    pub initrd: Vec<u8>,
    /// The segments, in their order.
    pub segments: Vec<Range<usize>>,
    /// The store images.
    pub images: Vec<Range<usize>>,
    /// The text of the index.
    pub index: Range<usize>,
    /// The program stage 1.
    pub init: Range<usize>,
    folder: PathBuf,
    command_line: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("damage")
}

fn system() -> Option<&'static SmallSystem> {
    static SYSTEM: OnceLock<Option<SmallSystem>> = OnceLock::new();
    let make = || Some(SmallSystem::in_folder(&folder(), Kernel::debian("6.12")?));
    SYSTEM.get_or_init(make).as_ref()
}

/// Returns the system in this layout, or None if machines cannot be run.
pub fn build(layout: Layout) -> Option<&'static Build> {
    static BUILDS: [OnceLock<Build>; 3] = [const { OnceLock::new() }; 3];
    let system = system()?;
    Some(BUILDS[layout as usize].get_or_init(|| Build::new(system, layout)))
}

impl Build {
    fn new(system: &SmallSystem, layout: Layout) -> Self {
        let folder = system.build(&layout.to_string(), layout, &[]);
        let initrd = fs::read(folder.join("initrd")).expect("an initrd");
        let manifest = fs::read(folder.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
        let ranges = |list: &str| {
            manifest[list]
                .as_array()
                .expect("a list")
                .iter()
                .map(range)
                .collect()
        };
        let command_line = manifest["commandLine"].as_str().expect("a text");

        let index = find(&initrd, b"storeboot-index 1\n");
        let trailer = index + find(&initrd[index..], b"070701");
        let lines = initrd[index..trailer]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let stage1 = fs::read(static_binaries().join("storeboot-init")).expect("stage 1");
        let init = find(&initrd, &stage1);
        Self {
            layout,
            segments: ranges("segments"),
            images: ranges("images"),
            index: index..index + lines.expect("lines") + 1,
            init: init..init + stage1.len(),
            // Without this, stage 1 prints a line for each step among which its error would be hard to find.
            command_line: command_line.replace("storeboot.debug", ""),
            initrd,
            folder,
        }
    }

    /// Boots these bytes with more arguments on the command line, and returns the outcome.
    pub fn boot(&self, initrd: &[u8], append: &str) -> Outcome<String> {
        self.boot_with(initrd, &format!("{} {append}", self.command_line))
    }

    /// Boots what was built, without what layout in-place needs on the command line.
    pub fn boot_without_retaining(&self) -> Outcome<String> {
        let line = self.command_line.replace(" retain_initrd ", " ");
        assert_ne!(line, self.command_line);
        self.boot_with(&self.initrd, &line)
    }

    fn boot_with(&self, initrd: &[u8], command_line: &str) -> Outcome<String> {
        let machine = Machine::new()
            .kernel(self.folder.join("bzImage"))
            .memory_mib(256)
            .append(command_line);
        let boot = machine.boot_bytes(initrd, &self.folder, LIMIT);
        outcome::of(system().expect("it was built"), &boot, self.layout)
    }

    /// Returns the size of the image without padding, from its superblock.
    pub fn used(&self) -> usize {
        let superblock = &self.initrd[self.images[0].clone()][..96];
        let used = superblock[40..48].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(used)).expect("it is read into memory")
    }
}

fn range(entry: &Value) -> Range<usize> {
    let number = |name: &str| {
        let number = entry[name].as_u64().expect("a number");
        usize::try_from(number).expect("it is read into memory")
    };
    number("offset")..number("offset") + number("size")
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .position(|window| window == what)
        .expect("it is in there")
}
