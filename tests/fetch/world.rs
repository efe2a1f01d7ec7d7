//! The system that the machines fetch, and damaged copies of its image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use storeboot_index::{CHUNK_SIZE, Layout};
use storeboot_tests::command::{names, printed, storeboot};
use storeboot_tests::qemu::{Boot, Kernel};
use storeboot_tests::small_system::SmallSystem;

/// The size of the image's data in MiB: enough chunks for several connections, and for something to go wrong at half.
const DATA_MIB: u32 = 20;

/// A system, and a netboot directory for it.
pub struct World {
    folder: PathBuf,
    system: SmallSystem,
    pub netboot: PathBuf,
    /// The path of the store image in the netboot directory: `images/HASH.squashfs`.
    pub image: String,
    pub image_size: u64,
}

/// Returns the system that all tests share, or None if machines cannot be run.
pub fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD
        .get_or_init(|| Some(World::new(Kernel::debian("6.12")?)))
        .as_ref()
}

impl World {
    fn new(kernel: Kernel) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fetch");
        let system = SmallSystem::with_data(&folder, kernel, DATA_MIB);
        let netboot = system.build("netboot", Layout::Fetch, &[]);
        let images = names(&netboot.join("images"));
        let [name] = &images[..] else {
            panic!("there is one image: {images:?}");
        };
        let image = format!("images/{}", name.to_str().expect("text"));
        let metadata = fs::metadata(netboot.join(&image)).expect("an image");
        Self {
            image,
            image_size: metadata.len(),
            folder,
            system,
            netboot,
        }
    }

    /// A netboot directory whose store is in two images with hash trees: all of it is in a layer, and the registration
    /// on top.
    pub fn with_layer(&self) -> PathBuf {
        let layer = self.folder.join("layer");
        let mut command = Command::new(storeboot());
        command
            .args([
                "layer",
                "--quiet",
                "--verity",
                "--compression",
                "zstd:1",
                "--path-info",
            ])
            .arg(self.system.path_info())
            .arg("--store-root")
            .arg(self.system.store_root())
            .arg("--output")
            .arg(&layer);
        printed(&mut command);
        let more = [Path::new("--verity"), Path::new("--layer"), &layer];
        self.system.build("layered", Layout::Fetch, &more)
    }

    /// A folder that has the image with other bytes.
    pub fn with_image(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let folder = self.folder.join(name);
        let mut bytes = fs::read(self.netboot.join(&self.image)).expect("the image");
        change(&mut bytes);
        fs::create_dir_all(folder.join("images")).expect("a folder");
        fs::write(folder.join(&self.image), bytes).expect("an image");
        folder
    }

    /// The offset of a byte that lies in this chunk of the image.
    pub fn byte_in_chunk(&self, chunk: u64) -> usize {
        let offset = chunk * CHUNK_SIZE + 12_345;
        assert!(offset < self.image_size, "the image has that chunk");
        usize::try_from(offset).expect("it is in memory")
    }

    /// Checks that the machine booted the system, and that its store is complete.
    pub fn is_booted(&self, boot: &Boot) {
        self.system.is_booted(boot, Layout::Fetch);
    }
}

/// Checks that the machine did not reach stage 2, and that the sentence with which stage 1 ended has these words.
pub fn ended_with(boot: &Boot, words: &[&str]) {
    assert!(boot.panicked(), "{boot}");
    assert!(!boot.console.contains("STAGE2"), "{boot}");
    let before_panic = boot
        .console
        .split("Kernel panic")
        .next()
        .unwrap_or_default();
    let sentence = before_panic
        .lines()
        .filter_map(|line| line.split_once("storeboot: "))
        .next_back()
        .unwrap_or_else(|| panic!("no sentence in {boot}"))
        .1;
    for word in words {
        assert!(
            sentence.contains(word),
            "no {word:?} in {sentence:?}: {boot}"
        );
    }
}

/// Checks that stage 1 said a sentence with all these words, which is not the last one.
pub fn said(boot: &Boot, words: &[&str]) {
    let found = boot
        .lines_with("storeboot: ")
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no sentence has all of {words:?}: {boot}");
}
