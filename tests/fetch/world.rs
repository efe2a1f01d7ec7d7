//! The system that the machines fetch, and damaged copies of its image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_index::{CHUNK_SIZE, Layout};
use storeboot_tests::command::{names, printed, storeboot};
use storeboot_tests::qemu::{Boot, Kernel};
use storeboot_tests::small_system::{SmallSystem, scripts};

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
        let image = the_image(&netboot);
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
        let layer = self.layer("layer", &[]);
        let more = [Path::new("--verity"), Path::new("--layer"), &layer];
        self.system.build("layered", Layout::Fetch, &more)
    }

    /// The same, of a system that starts before all is there.
    pub fn streamed_with_layer(&self) -> PathBuf {
        let profile = self.profile();
        let layer = self.layer("hot-layer", &[Path::new("--profile"), &profile]);
        let more = [Path::new("--verity"), Path::new("--layer"), &layer];
        self.streamed_as("streamed-layered", "", 60, &more)
    }

    /// A netboot directory of a system that starts before all is there. `script` is a part of what stage 2 does first.
    /// In the end, it waits so many seconds until all is there.
    pub fn streamed(&self, name: &str, script: &str, seconds: u32) -> PathBuf {
        self.streamed_as(name, script, seconds, &[])
    }

    fn streamed_as(&self, name: &str, script: &str, seconds: u32, more: &[&Path]) -> PathBuf {
        let busybox = self.system.busybox();
        let functions = format!("busybox={busybox}\n{STREAMED}");
        let first = format!("{functions}say first \"$(processes)\"\n{script}");
        let next = format!("{functions}seconds={seconds}{NEXT}");
        let archive = self.folder.join(format!("{name}.cpio"));
        fs::write(&archive, scripts(&[("first", &first), ("next", &next)])).expect("an archive");
        let profile = self.profile();
        let mut arguments = vec![Path::new("--stream"), Path::new("--profile"), &profile];
        arguments.extend([Path::new("--prepend"), &archive]);
        arguments.extend(more);
        self.system.build(name, Layout::Fetch, &arguments)
    }

    /// A profile that has all files but the data.
    fn profile(&self) -> PathBuf {
        let path = self.folder.join("boot.profile");
        let text = "storeboot profile 1\nsystem/init\nbusybox/bin/busybox\n";
        fs::write(&path, text).expect("a profile");
        path
    }

    /// A layer with all of the system.
    fn layer(&self, name: &str, more: &[&Path]) -> PathBuf {
        let layer = self.folder.join(name);
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
            .args(more)
            .arg("--output")
            .arg(&layer);
        printed(&mut command);
        layer
    }

    /// A folder that has the image with other bytes.
    pub fn with_image(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        self.with_image_of(&self.netboot, name, change)
    }

    /// A folder that has the image of a netboot directory, the only one, with other bytes.
    pub fn with_image_of(
        &self,
        netboot: &Path,
        name: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> PathBuf {
        let (folder, image) = (self.folder.join(name), the_image(netboot));
        let mut bytes = fs::read(netboot.join(&image)).expect("the image");
        change(&mut bytes);
        fs::create_dir_all(folder.join("images")).expect("a folder");
        fs::write(folder.join(&image), bytes).expect("an image");
        folder
    }

    /// The offset of a byte that lies in this chunk of the image.
    pub fn byte_in_chunk(&self, chunk: u64) -> usize {
        let offset = chunk * CHUNK_SIZE + 12_345;
        assert!(offset < self.image_size, "the image has that chunk");
        usize::try_from(offset).expect("it is in memory")
    }

    /// The SHA-256 of the last 1000 bytes of the data.
    pub fn end_of_data(&self) -> String {
        let data = self.system.data();
        HEXLOWER.encode(&Sha256::digest(&data[data.len() - 1000..]))
    }

    /// Checks that the machine booted the system, and that its store is complete.
    pub fn is_booted(&self, boot: &Boot) {
        self.system.is_booted(boot, Layout::Fetch);
    }
}

/// The path of the only store image in a netboot directory.
fn the_image(netboot: &Path) -> String {
    let images = names(&netboot.join("images"));
    let [name] = &images[..] else {
        panic!("there is one image: {images:?}");
    };
    format!("images/{}", name.to_str().expect("text"))
}

/// What the scripts of a system that starts before all is there have in common.
const STREAMED: &str = r#"
b() { "$busybox" "$@"; }
say() { echo "STAGE2 $1: $2"; }
processes() { b grep -l '^@storeboot-' /proc/[0-9]*/cmdline 2>/dev/null | b wc -l; }
names() { b ls -d "$@" 2>/dev/null | b sed 's|.*/||' | b sort | b tr '\n' ' '; }
"#;

/// Waits until all is there, and tells what is left of what that took.
const NEXT: &str = r#"
for _ in $(b seq $seconds); do
  [ "$(processes)" = 0 ] && break
  b sleep 1
done
# What stage 1 said since the system runs is in the kernel's log only.
b dmesg | b grep -F 'cannot be fetched now'
say last "$(processes)"
say below "$(names /sys/block/dm-*/slaves/*)"
say 'network block devices' "$(b ls -d /sys/block/nbd*/pid 2>/dev/null)"
say 'end of data' "$(b tail -c 1000 /nix/store/*-data/data | b sha256sum | b cut -d ' ' -f 1)"
say again "$(b find /nix/store -type f ! -name nix-path-registration | b sort | b xargs "$busybox" sha256sum | b sha256sum | b cut -d ' ' -f 1)"
"#;

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
