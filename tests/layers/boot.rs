//! Boots a system with a layer in layout `file`, where the kernel unpacks images to files.

use std::fs;
use std::path::Path;
use std::process::Command;

use storeboot_index::Layout;
use storeboot_tests::command::{printed, storeboot};
use storeboot_tests::qemu::{Kernel, LIMIT, Machine};
use storeboot_tests::small_system::SmallSystem;

#[test]
fn a_system_that_lies_in_a_layer_is_checked_and_booted() {
    let Some(kernel) = Kernel::debian("6.1") else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layers");
    let system = SmallSystem::in_folder(&folder, kernel);
    let layer = folder.join("layer");
    let mut command = Command::new(storeboot());
    command
        .args(["layer", "--quiet", "--compression", "zstd:1", "--path-info"])
        .arg(folder.join("path-info.json"))
        .arg("--store-root")
        .arg(folder.join("root"))
        .arg("--output")
        .arg(&layer);
    printed(&mut command);
    let netboot = system.build(
        "netboot",
        Layout::File,
        &[Path::new("--layer"), layer.as_path()],
    );

    let append = fs::read_to_string(netboot.join("kernelAppend")).expect("there");
    let boot = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .append(append.trim())
        .append("storeboot.verify")
        .boot(LIMIT);
    system.is_booted(&boot, Layout::File);
    // The image on top holds only the registration.
    for image in ["0.squashfs", "1.squashfs"] {
        let checked = format!("the SHA-256 of /storeboot/images/{image} is right");
        assert!(boot.console.contains(&checked), "{boot}");
    }
}
