//! Systems whose stage 2 tells of each file whether it can be read, and what it holds.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};
use storeboot_index::Layout;
use storeboot_tests::command::{printed, storeboot};
use storeboot_tests::debian::{busybox, stage1};
use storeboot_tests::fixture::{Fixture, INIT, Manner, Recipe, make_removable};
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine, QUIET};

const BUSYBOX: &str = "11111111111111111111111111111111-busybox";
/// Stage 2 writes one fact a line, after this.
const MARK: &str = "STAGE2 ";

const STAGE2: &str = r#"
say() { echo "STAGE2 $*"; }
say "devices $(b awk '$3 == "squashfs" { print $1 }' /proc/mounts | b tr '\n' ' ')"
b find /nix/store -type f ! -name nix-path-registration | b sort | while read -r file; do
  if hash=$(b sha256sum "$file" 2>/dev/null); then say "read ${hash%% *} $file"; else say "refused $file"; fi
done
say end
b poweroff -f
"#;

/// A store of busybox, stage 2 and paths with noise, and a kernel to boot it.
pub struct World {
    folder: PathBuf,
    store: Fixture,
    kernel: Kernel,
    /// The hash of each file, by its path.
    hashes: BTreeMap<String, String>,
}

/// Bytes that do not compress, others for each seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let blocks = (0..length.div_ceil(32) as u64).flat_map(|number| {
        let seeds = [seed.to_le_bytes(), number.to_le_bytes()];
        Sha256::digest(seeds.as_flattened())
    });
    blocks.take(length).collect()
}

/// The path with this number in the booted system.
pub fn noise_file(number: usize) -> String {
    format!("/nix/store/{number:032}-data/noise")
}

impl World {
    /// A store with so many paths of so many bytes of noise.
    pub fn new(name: &str, kernel: Kernel, paths: usize, length: usize) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        make_removable(&folder);
        let _ = fs::remove_dir_all(&folder);
        let shell = format!("/nix/store/{BUSYBOX}/bin/busybox");
        let program =
            fs::read(busybox(kernel.architecture())).expect("busybox-static is installed");
        let init = format!("#!{shell} sh\nb() {{ {shell} \"$@\"; }}\n{STAGE2}");
        let mut contents = vec![(shell, program, true), (INIT.into(), init.into(), true)];
        contents.extend((0..paths).map(|number| {
            let content = noise(number as u64, length);
            (noise_file(number), content, false)
        }));
        let mut recipe = Recipe::default();
        let mut hashes = BTreeMap::new();
        for (path, content, executable) in contents {
            hashes.insert(path.clone(), HEXLOWER.encode(&Sha256::digest(&content)));
            let inside = path.trim_start_matches("/nix/store/").to_owned();
            match executable {
                true => recipe.program(inside, content),
                false => recipe.file(inside, content),
            }
        }
        Self {
            store: recipe.write(&folder, Manner::default()),
            folder,
            kernel,
            hashes,
        }
    }

    /// A netboot directory with hash trees.
    pub fn build(&self, layout: Layout, arguments: &[&Path]) -> Netboot<'_> {
        let output = self.folder.join(layout.to_string());
        let mut command = self.command("build", &self.store.path_info, &output);
        command
            .arg("--kernel")
            .arg(self.kernel.image())
            .arg("--modules")
            .arg(self.kernel.modules())
            .args(["--init", INIT, "--layout", &layout.to_string()])
            .arg("--cmdline")
            .arg(format!("{} {QUIET}", self.kernel.architecture().words()))
            .arg("--stage1")
            .arg(stage1(self.kernel.architecture()))
            .args(arguments);
        printed(&mut command);
        let manifest = fs::read(output.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
        let images = manifest["images"].as_array().expect("a list");
        let segments = manifest["segments"].as_array().expect("a list");
        let index = segments.iter().find(|segment| segment["kind"] == "index");
        let index = index.expect("a segment with the index");
        let start = number(&index["offset"]);
        Netboot {
            world: self,
            initrd: fs::read(output.join("initrd")).expect("an initrd"),
            command_line: manifest["commandLine"].as_str().expect("text").into(),
            images: images.iter().map(Image::new).collect(),
            index: start..start + number(&index["size"]),
            folder: output,
        }
    }

    /// A layer of all the noise, with hash trees, whose images have so many bytes at most.
    pub fn layer(&self, limit: &str) -> PathBuf {
        let mut closure = self.store.closure.clone();
        let paths = closure.as_array_mut().expect("a list");
        paths.retain(|info| {
            info["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("-data"))
        });
        let path_info = self.folder.join("layer.json");
        fs::write(&path_info, closure.to_string()).expect("a file");
        let layer = self.folder.join("layer");
        let mut command = self.command("layer", &path_info, &layer);
        printed(command.args(["--image-limit", limit]));
        layer
    }

    fn command(&self, action: &str, path_info: &Path, output: &Path) -> Command {
        let mut command = Command::new(storeboot());
        command
            .args(["--quiet", action, "--verity", "--path-info"])
            .arg(path_info)
            .arg("--store-root")
            .arg(&self.store.root)
            // Blocks that are smaller than the files, so that files do not share them.
            .args([
                "--block-size",
                "128K",
                "--compression",
                "zstd:1",
                "--output",
            ])
            .arg(output);
        command
    }
}

/// A place or a size in the initrd.
fn number(value: &Value) -> usize {
    let number = value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"));
    usize::try_from(number).expect("it is in memory")
}

/// A store image in an initrd.
pub struct Image {
    pub offset: usize,
    pub data_size: usize,
    pub size: usize,
    pub root_hash: String,
}

impl Image {
    fn new(value: &Value) -> Self {
        let verity = &value["verity"];
        Self {
            offset: number(&value["offset"]),
            size: number(&value["size"]),
            data_size: number(&verity["dataSize"]),
            root_hash: verity["rootHash"].as_str().expect("text").into(),
        }
    }

    /// Where it is in the initrd, with its tree.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.size
    }

    /// Where the tree is in the initrd.
    pub fn tree(&self) -> Range<usize> {
        self.offset + self.data_size..self.offset + self.size
    }
}

/// What was built, with its initrd in memory.
pub struct Netboot<'a> {
    world: &'a World,
    folder: PathBuf,
    command_line: String,
    pub initrd: Vec<u8>,
    pub images: Vec<Image>,
    /// Where the segment with the index is in the initrd.
    pub index: Range<usize>,
}

/// What became of a boot.
#[derive(Debug)]
pub enum Outcome {
    /// Stage 2 ran to its end. These files could not be read, and all others were right.
    Refused(Vec<String>),
    /// Stage 1 ended with this sentence.
    Says(String),
    /// Neither: the kernel panicked with this text.
    Panics(String),
}

impl Netboot<'_> {
    /// The initrd with bytes that `change` has changed.
    pub fn changed(&self, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut initrd = self.initrd.clone();
        change(&mut initrd);
        initrd
    }

    /// Boots an initrd with more words on the command line.
    pub fn boot(&self, initrd: &[u8], words: &str) -> Boot {
        let machine = Machine::new()
            .kernel(self.folder.join("bzImage"))
            .memory_mib(256 + 2 * (initrd.len() >> 20) as u32)
            .append(&format!("{} {words}", self.command_line));
        machine.boot_bytes(initrd, &self.folder, LIMIT)
    }

    /// What became of a boot. A file with other bytes is never one of the outcomes.
    pub fn outcome(&self, boot: &Boot) -> Outcome {
        let facts: Vec<&str> = boot.lines_with(MARK).collect();
        let mut refused = Vec::new();
        let mut right = 0;
        for fact in &facts {
            if let Some(file) = fact.strip_prefix("refused ") {
                refused.push(file.to_owned());
            } else if let Some((hash, file)) = fact
                .strip_prefix("read ")
                .and_then(|rest| rest.split_once(' '))
            {
                assert_eq!(
                    self.world.hashes.get(file).map(String::as_str),
                    Some(hash),
                    "{boot}"
                );
                right += 1;
            }
        }
        if facts.last() == Some(&"end") {
            assert_eq!(right + refused.len(), self.world.hashes.len(), "{boot}");
            assert!(boot.powered_off(), "{boot}");
            return Outcome::Refused(refused);
        }
        assert!(boot.panicked(), "{boot}");
        let said = boot
            .lines_with("storeboot: ")
            .filter(|line| !line.starts_with("warning: "));
        match said.last() {
            Some(sentence) if facts.is_empty() => Outcome::Says(sentence.into()),
            _ => Outcome::Panics(boot.lines_with("Kernel panic - not syncing: ").collect()),
        }
    }

    /// The devices that the images are mounted from.
    pub fn devices(boot: &Boot) -> Vec<&str> {
        let devices = boot.lines_with("STAGE2 devices ").next().expect("stage 2");
        devices.split_whitespace().collect()
    }
}
