//! Stores with files that are too large for an archive member or an image: no layout loses anything.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use storeboot_tests::command::{Scratch, have, printed, ran, storeboot};
use storeboot_tests::debian::static_binaries;
use storeboot_tests::qemu::{Kernel, LIMIT, Machine, QUIET};

const BUSYBOX: &str = "/bin/busybox";
const SYSTEM: &str = "00000000000000000000000000000000-system";
const LARGE: &str = "11111111111111111111111111111111-large";
const MANY: &str = "22222222222222222222222222222222-many";
const GIB: u64 = 1 << 30;
/// The memory of the machines.
const MEMORY_MIB: u64 = 512;

/// A store with a sparse file of 6 GiB, and a path of many files that do not compress.
struct Store {
    root: Scratch,
    graph: PathBuf,
}

impl Store {
    fn new() -> Self {
        let root = Scratch::new();
        let path = |name: &str| root.join("nix/store").join(name);

        fs::create_dir_all(path(SYSTEM)).expect("a folder");
        fs::copy(BUSYBOX, path(SYSTEM).join("busybox")).expect("busybox");
        let init = path(SYSTEM).join("init");
        fs::write(&init, stage2()).expect("init");
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("executable");

        fs::create_dir_all(path(LARGE)).expect("a folder");
        let mut file = File::create(path(LARGE).join("file")).expect("a file");
        file.set_len(6 * GIB).expect("a sparse file");
        for (at, text) in [(0, "first"), (4 * GIB - 2, "across"), (6 * GIB - 4, "last")] {
            file.seek(SeekFrom::Start(at)).expect("a place");
            file.write_all(text.as_bytes()).expect("written");
        }

        let many = path(MANY).join("inner");
        fs::create_dir_all(&many).expect("a folder");
        let mut state = 1u64;
        for number in 0..24 {
            let noise: Vec<u8> = (0..256 << 10)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            fs::write(many.join(format!("{number:02}")), noise).expect("a file");
        }
        symlink("inner", path(MANY).join("link")).expect("a link");

        // Hashing a NAR of 6 GiB takes long, and this test does not compare it (`--no-check`).
        let info = |name: &str| {
            json!({
                "path": format!("/nix/store/{name}"),
                "narHash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                "narSize": 7 * GIB,
                "references": [],
            })
        };
        let graph = root.join("graph");
        let text = json!([info(SYSTEM), info(LARGE), info(MANY)]).to_string();
        fs::write(&graph, text).expect("a graph");
        Self { root, graph }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.root.join("nix/store").join(inside)
    }

    fn build(&self, kernel: &Kernel, layout: &str, limit: &str) -> (PathBuf, Output) {
        let output = self.root.join(format!("{layout}-{limit}"));
        let mut build = Command::new(storeboot());
        // Per-path archives can hold files, and parts of files, in folders that an earlier archive created.
        if layout == "direct" {
            build.args(["build", "--archives", "per-path"]);
        } else {
            build.arg("build");
        }
        build
            .args(["--quiet", "--no-check", "--layout", layout])
            .args(["--image-limit", limit])
            .args(["--compression", "zstd:1", "--init"])
            .arg(format!("/nix/store/{SYSTEM}/init"))
            .arg("--graph")
            .arg(&self.graph)
            .arg("--store-root")
            .arg(self.root.path())
            .arg("--kernel")
            .arg(kernel.image())
            .arg("--modules")
            .arg(kernel.folder())
            .arg("--stage1")
            .arg(static_binaries().join("storeboot-init"))
            .arg("--output")
            .arg(&output);
        let built = ran(&mut build);
        (output, built)
    }
}

/// Returns a stage 2 that prints the hashes of all files, and the number of lower directories of the store.
fn stage2() -> String {
    format!(
        "#!/nix/store/{SYSTEM}/busybox sh\n\
         b=/nix/store/{SYSTEM}/busybox\n\
         cd /nix/store\n\
         $b md5sum {MANY}/link/* {LARGE}/file\n\
         echo images: $($b ls -d /nix/.ro-store* | $b wc -l)\n\
         echo left of the initrd: $($b ls -d /storeboot | $b wc -l)\n\
         $b poweroff -f\n"
    )
}

fn hashes(store: &Store) -> Vec<String> {
    let mut command = Command::new("sh");
    command
        .args(["-c", "md5sum */file */link/*"])
        .current_dir(store.path(""));
    let text = printed(&mut command);
    let text = String::from_utf8(text).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn manifest(output: &Path) -> Value {
    let manifest = fs::read(output.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&manifest).expect("JSON")
}

#[test]
fn a_file_of_6_gib_and_a_path_cut_in_two_read_back_with_their_hashes() {
    if !have(&["qemu-system-x86_64", BUSYBOX, "md5sum"]) {
        return;
    }
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let store = Store::new();
    let expected = hashes(&store);
    assert_eq!(expected.len(), 25);
    thread::scope(|scope| {
        // An emulated processor needs a minute or more to hash 6 GiB.
        for layout in ["in-place", "file", "direct"] {
            let (store, kernel, expected) = (&store, &kernel, &expected);
            scope.spawn(move || {
                // This limit is smaller than the path with many files, which is split because of it.
                let (output, built) = store.build(kernel, layout, "4M");
                assert!(built.status.success(), "{built:?}");
                let manifest = manifest(&output);
                let images = manifest["images"].as_array().expect("images").len();
                let direct = layout == "direct";
                assert!(direct && images == 0 || images > 1, "{images}");
                // The holes of the large file take no space.
                let memory = manifest["memory"].as_u64().expect("a number");
                assert!(memory < MEMORY_MIB << 20, "{layout}: {memory}");
                let append = fs::read_to_string(output.join("kernelAppend")).expect("there");
                let boot = Machine::new()
                    .kernel(output.join("bzImage"))
                    .initrd(output.join("initrd"))
                    .append(append.trim())
                    .append(QUIET)
                    .append(if direct { "storeboot.debug" } else { "" })
                    .memory_mib(MEMORY_MIB as u32)
                    .boot(LIMIT);
                assert!(boot.powered_off(), "{layout}: {boot}");
                for line in expected {
                    assert!(boot.console.contains(line), "{layout}: {line}: {boot}");
                }
                let said = format!("images: {images}");
                assert!(boot.console.contains(&said), "{layout}: {said}: {boot}");
                let warned = boot.console.contains("storeboot: warning");
                assert!(!warned, "{layout}: {boot}");
                if direct {
                    let told = format!(
                        "put /nix/store/{LARGE}/file together, 6442450944 bytes of 3 parts"
                    );
                    assert!(boot.console.contains(&told), "{boot}");
                    assert!(boot.console.contains("left of the initrd: 0"), "{boot}");
                }
            });
        }
    });
}

#[test]
fn a_file_that_cannot_be_split_is_named_and_nothing_is_written() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let store = Store::new();
    let said = |built: &Output| String::from_utf8_lossy(&built.stderr).into_owned();

    // A plain archive is unpacked without stage 1, which would join the parts of a file.
    let output = store.root.join("archive");
    let mut pack = Command::new(storeboot());
    pack.args([
        "pack",
        "--quiet",
        "--no-check",
        "--format",
        "cpio",
        "--graph",
    ])
    .arg(&store.graph)
    .arg("--store-root")
    .arg(store.root.path())
    .arg("--output")
    .arg(&output);
    let packed = ran(&mut pack);
    assert_eq!(packed.status.code(), Some(1), "{packed:?}");
    assert!(
        said(&packed).contains("large/file has 6442450944 bytes"),
        "{packed:?}"
    );
    assert!(!output.exists());

    // One file of 256 KiB that does not compress is over the limit of an image.
    let (output, built) = store.build(&kernel, "in-place", "128K");
    assert_eq!(built.status.code(), Some(1), "{built:?}");
    assert!(
        said(&built).contains("makes a store image of"),
        "{}",
        said(&built)
    );
    assert!(!output.exists());
}
