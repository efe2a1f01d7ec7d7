//! Netboot directories for aarch64, built on any machine, boot in every layout.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use storeboot::manifest::Manifest;
use storeboot_tests::command::{Scratch, printed, storeboot};
use storeboot_tests::debian::{busybox, stage1};
use storeboot_tests::fixture::{Fixture, INIT, Manner, Recipe, SYSTEM};
use storeboot_tests::http::Site;
use storeboot_tests::qemu::{Architecture, Boot, Kernel, LIMIT, Machine, QUIET};

const BUSYBOX: &str = "00000000000000000000000000000000-busybox";
/// A store path with a file that does not compress.
const DATA: &str = "11111111111111111111111111111111-data";
const DATA_SIZE: usize = 3 << 20;

#[test]
fn in_place() {
    let Some(boot) = boots("in-place") else {
        return;
    };
    assert_eq!(fact(&boot, "store"), "overlay", "{boot}");
    assert_eq!(fact(&boot, "root"), "tmpfs", "{boot}");
}

#[test]
fn file() {
    let Some(boot) = boots("file") else {
        return;
    };
    assert_eq!(fact(&boot, "store"), "overlay", "{boot}");
    assert_eq!(fact(&boot, "root"), "tmpfs", "{boot}");
}

#[test]
fn direct() {
    let Some(boot) = boots("direct") else {
        return;
    };
    assert_eq!(fact(&boot, "store"), "", "{boot}");
    assert_eq!(fact(&boot, "root"), "rootfs", "{boot}");
}

#[test]
fn fetch() {
    let Some(boot) = boots("fetch") else {
        return;
    };
    assert_eq!(fact(&boot, "store"), "overlay", "{boot}");
    assert_eq!(fact(&boot, "root"), "tmpfs", "{boot}");
}

/// Builds a netboot directory in this layout and boots it until it powers off.
fn boots(layout: &str) -> Option<Boot> {
    let kernel = Kernel::debian_for(Architecture::Aarch64, "6.12")?;
    let scratch = Scratch::new();
    let store = store(scratch.path());
    let netboot = scratch.join("netboot");
    printed(
        Command::new(storeboot())
            .args(["build", "--quiet", "--path-info"])
            .arg(&store.path_info)
            .arg("--store-root")
            .arg(&store.root)
            .arg("--kernel")
            .arg(kernel.image())
            .arg("--modules")
            .arg(kernel.folder())
            .arg("--stage1")
            .arg(stage1(Architecture::Aarch64))
            .args(["--init", INIT, "--layout", layout])
            .args([
                "--cmdline",
                &format!("{QUIET} storeboot.debug"),
                "--compression",
                "zstd:3",
            ])
            .arg("--output")
            .arg(&netboot),
    );
    is_for_aarch64(&netboot);

    let command_line = fs::read_to_string(netboot.join("kernelAppend")).expect("kernelAppend");
    let text = fs::read_to_string(netboot.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&text).expect("a manifest");
    let mut machine = Machine::new()
        .architecture(Architecture::Aarch64)
        // The memory that the manifest estimates must be enough.
        .memory_mib(u32::try_from(manifest.memory.div_ceil(1 << 20)).expect("MiB"))
        .kernel(netboot.join("Image"))
        .initrd(netboot.join("initrd"))
        .append(command_line.trim());
    if layout == "fetch" {
        let server = Site::of(&netboot).serve();
        machine = machine
            .append(&format!("storeboot.store={}", server.url("")))
            .argument("-nic")
            .argument("user,model=virtio-net-pci");
    }
    let boot = machine.boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    assert!(boot.console.contains(&format!("layout {layout}")), "{boot}");
    assert!(!boot.console.contains("storeboot: warning"), "{boot}");
    for (name, value) in [
        ("machine", "aarch64"),
        ("pid", "1"),
        ("data", &sha256(&store, DATA)),
        ("write", "written"),
        ("pivot", "done"),
    ] {
        assert_eq!(fact(&boot, name), value, "{boot}");
    }
    Some(boot)
}

/// Checks the name of the kernel and the arguments in the scripts for aarch64.
fn is_for_aarch64(netboot: &Path) {
    assert!(netboot.join("Image").is_file());
    assert!(!netboot.join("bzImage").exists());
    let text = |name| fs::read_to_string(netboot.join(name)).expect(name);
    assert!(text("netboot.ipxe").contains("\nkernel Image "));
    assert!(text("kexec-boot").contains("/Image"));
    let manifest: Value = serde_json::from_str(&text("manifest.json")).expect("JSON");
    assert_eq!(manifest["kernel"]["architecture"], "aarch64");
    assert_eq!(manifest["kernel"]["file"], "Image");
}

/// Returns a value that stage 2 printed.
fn fact(boot: &Boot, name: &str) -> String {
    let prefix = format!("STAGE2 {name}:");
    let mut values = boot.lines_with(&prefix);
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name} in {boot}"));
    value.to_owned()
}

/// Makes a store with a shell for aarch64, a file to read, and a system whose init prints what it finds.
fn store(folder: &Path) -> Fixture {
    let shell = format!("/nix/store/{BUSYBOX}/bin/busybox");
    let mut recipe = Recipe::default();
    recipe.program(
        format!("{BUSYBOX}/bin/busybox"),
        fs::read(busybox(Architecture::Aarch64)).expect("busybox"),
    );
    // The upper bytes of a linear congruential generator.
    let noise = std::iter::successors(Some(1_u64), |state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    });
    let noise: Vec<u8> = noise
        .map(|state| (state >> 56) as u8)
        .take(DATA_SIZE)
        .collect();
    recipe.file(DATA, noise);
    let stage2 = include_str!("aarch64/stage2.sh");
    recipe.program(
        format!("{SYSTEM}/init"),
        format!("#!{shell} sh\nbusybox={shell}\ndata=/nix/store/{DATA}\n{stage2}"),
    );
    recipe.write(folder, Manner::default())
}

/// Returns the output of `sha256sum` for a file in the store.
fn sha256(store: &Fixture, name: &str) -> String {
    let file = store.root.join("nix/store").join(name);
    let text = printed(Command::new("sha256sum").arg(file));
    let text = String::from_utf8(text).expect("text");
    text.split(' ').next().expect("a hash").to_owned()
}
