//! `qemu-system-x86_64 -kernel … -initrd … -append …`

use storeboot_index::Layout;

use crate::machine::{self, Firmware};
use crate::systems::{arrived, command_line, netboot, system};

pub fn boots(layout: Layout) {
    let Some(system) = system() else { return };
    let netboot = netboot(system, layout);
    let [kernel, initrd] = ["bzImage", "initrd"].map(|name| netboot.join(name));
    let line = command_line(netboot, "qemu");
    let devices = [
        "-nic",
        "none",
        "-kernel",
        kernel.to_str().expect("a path in text"),
        "-initrd",
        initrd.to_str().expect("a path in text"),
        "-append",
        &line,
    ];
    if let Some(boot) = machine::boot(Firmware::Bios, &devices) {
        arrived(system, &boot, layout, "qemu");
    }
}
