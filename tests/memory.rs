//! Each layout boots with exactly the memory that its manifest estimates.

use std::fs;
use std::path::{Path, PathBuf};

use storeboot::manifest::Manifest;
use storeboot_index::Layout;
use storeboot_tests::qemu::{Kernel, LIMIT, Machine, ovmf};
use storeboot_tests::small_system::SmallSystem;

/// Boots the small system in this layout on a machine with the memory that its manifest estimates.
fn boots_with_its_estimate(series: &str, layout: Layout) {
    boots(series, layout, "zstd:1", None);
}

/// The same with another compression, or by UEFI's firmware.
fn boots(series: &str, layout: Layout, compression: &str, firmware: Option<PathBuf>) {
    let Some(kernel) = Kernel::debian(series) else {
        return;
    };
    let way = if firmware.is_some() { "uefi" } else { "" };
    let name = format!("memory-{series}-{layout}-{compression}-{way}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let system = SmallSystem::in_folder(&folder, kernel);
    boots_system(&system, layout, compression, firmware);
}

fn boots_system(
    system: &SmallSystem,
    layout: Layout,
    compression: &str,
    firmware: Option<PathBuf>,
) {
    let arguments = ["--compression", compression].map(Path::new);
    let netboot = system.build("netboot", layout, &arguments);
    let text = fs::read_to_string(netboot.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&text).expect("a manifest");
    let mib = |bytes: u64| u32::try_from(bytes.div_ceil(1 << 20)).expect("MiB");
    let needed = match firmware {
        None => manifest.memory,
        Some(_) => manifest.memory_uefi,
    };
    let mut machine = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .memory_mib(mib(needed))
        .append(&manifest.command_line);
    if let Some(file) = firmware {
        machine = machine
            .argument("-bios")
            .argument(file.to_string_lossy().into_owned());
    }
    let boot = machine.boot(LIMIT);
    system.is_booted(&boot, layout);
    // Stage 1 prints the same estimate, and does not warn.
    let memory = mib(manifest.memory);
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

/// Rootfs has room for fewer files than for bytes.
#[test]
fn direct_with_many_small_files() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory-many-files");
    let system = SmallSystem::with_empty_files(&folder, kernel, 30_000);
    boots_system(&system, Layout::Direct, "zstd:1", None);
}

#[test]
fn direct_by_lz4() {
    boots("6.12", Layout::Direct, "lz4", None);
}

#[test]
fn direct_by_xz() {
    boots("6.12", Layout::Direct, "xz", None);
}

/// The kernel is put where chance has it, and this is enough wherever that is.
#[test]
fn in_place_by_uefi() {
    if let Some(firmware) = ovmf() {
        boots("6.12", Layout::InPlace, "zstd:1", Some(firmware));
    }
}

#[test]
fn direct_by_uefi() {
    if let Some(firmware) = ovmf() {
        boots("6.12", Layout::Direct, "zstd:1", Some(firmware));
    }
}
