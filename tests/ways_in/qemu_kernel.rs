//! `qemu-system-x86_64 -kernel … -initrd … -append …`

use std::path::Path;

use storeboot_index::Layout;
use storeboot_tests::small_system::SmallSystem;

use crate::machine;
use crate::systems::{arrived, command_line, netboot, system};

pub fn boots(layout: Layout) {
    let Some(system) = system() else { return };
    boots_from(netboot(system, layout), system, layout);
}

/// Layout `direct` with an archive for each store path.
pub fn boots_by_paths() {
    let Some(system) = system() else { return };
    let more = ["--archives", "per-path"].map(str::as_ref);
    let netboot = system.build("direct-by-paths", Layout::Direct, &more);
    // The directories, the store paths, the registration, and the rest of the initrd.
    let inspection = storeboot::inspect(&netboot.join("initrd")).expect("it can be read");
    let storeboot::Inspection::Initrd { segments } = inspection else {
        panic!("{inspection}");
    };
    assert!(segments.len() > 5, "{} archives", segments.len());
    boots_from(&netboot, system, Layout::Direct);
}

fn boots_from(netboot: &Path, system: &SmallSystem, layout: Layout) {
    let [kernel, initrd] = ["bzImage", "initrd"].map(|name| netboot.join(name));
    let line = command_line(netboot, layout, "qemu");
    if let Some(boot) = machine::boot_kernel(layout, &kernel, &initrd, &line) {
        arrived(system, &boot, layout, "qemu");
    }
}
