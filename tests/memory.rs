//! The memory that a manifest says is needed: with exactly that, each layout boots.

use std::fs;
use std::path::Path;

use storeboot::manifest::Manifest;
use storeboot_index::Layout;
use storeboot_tests::qemu::{Kernel, LIMIT, Machine};
use storeboot_tests::small_system::SmallSystem;

/// Boots the small system, laid out like that, on a machine with as much memory as its manifest says.
fn boots_with_its_estimate(series: &str, layout: Layout) {
    let Some(kernel) = Kernel::debian(series) else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("memory-{series}-{layout}"));
    let system = SmallSystem::in_folder(&folder, kernel);
    let netboot = system.build("netboot", layout, &[]);
    let text = fs::read_to_string(netboot.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&text).expect("a manifest");
    let memory = u32::try_from(manifest.memory.div_ceil(1 << 20)).expect("MiB");
    let boot = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .memory_mib(memory)
        .append(&manifest.command_line)
        .boot(LIMIT);
    system.is_booted(&boot, layout);
    // It is what stage 1 says, too, and there is no reason to warn.
    assert!(
        boot.console
            .contains(&format!("memory: {memory} MiB needed")),
        "{boot}"
    );
    assert!(!boot.console.contains("storeboot: warning"), "{boot}");
}

#[test]
fn in_place() {
    boots_with_its_estimate("6.12", Layout::InPlace);
}

#[test]
fn file() {
    boots_with_its_estimate("6.12", Layout::File);
}

#[test]
fn file_on_6_1() {
    boots_with_its_estimate("6.1", Layout::File);
}

#[test]
fn direct() {
    boots_with_its_estimate("6.12", Layout::Direct);
}
