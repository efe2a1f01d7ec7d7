//! Machines without a given kernel: their firmware must find what to boot.

use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_index::Layout;
use storeboot_tests::command::ran;
use storeboot_tests::qemu::{Boot, End, LIMIT, ovmf};

/// The exit status of `timeout` when it had to end the machine.
const HUNG: i32 = 124;

/// The firmware of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Uefi,
}

impl Firmware {
    /// Returns the firmware's file, which BIOS does not need. None if it is not installed.
    fn arguments(self) -> Option<Vec<PathBuf>> {
        match self {
            Self::Bios => Some(Vec::new()),
            Self::Uefi => {
                let file = ovmf()?;
                Some(vec!["-bios".into(), file])
            }
        }
    }
}

/// Returns the argument for a network card, which boots first, with the iPXE of its ROM.
pub fn network_card() -> String {
    // This variable selects another version of iPXE than the installed one.
    let rom = std::env::var("IPXE_ROM").map_or(String::new(), |rom| format!(",romfile={rom}"));
    format!("virtio-net-pci,netdev=net,bootindex=0{rom}")
}

/// Runs a machine with these devices until it ends. Returns None if the firmware is not installed.
pub fn boot(firmware: Firmware, devices: &[&str]) -> Option<Boot> {
    let mut qemu = Command::new("timeout");
    qemu.arg(LIMIT.as_secs().to_string())
        .arg("qemu-system-x86_64")
        .args(["-accel", "tcg", "-nographic", "-no-reboot", "-m", "512"])
        .args(firmware.arguments()?)
        .args(devices);
    let output = ran(&mut qemu);
    Some(Boot {
        console: String::from_utf8_lossy(&output.stdout).replace('\r', ""),
        complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
        end: match output.status.code() {
            Some(HUNG) => End::Hung,
            _ => End::Stopped(output.status),
        },
    })
}

/// Returns the network of a machine that boots without one: it has a card only if its layout needs that.
pub fn card_for(layout: Layout) -> [&'static str; 2] {
    match layout {
        Layout::Fetch => ["-nic", "user,model=virtio-net-pci"],
        _ => ["-nic", "none"],
    }
}

/// Runs a machine whose kernel and initrd QEMU itself loads into memory.
pub fn boot_kernel(
    layout: Layout,
    kernel: &Path,
    initrd: &Path,
    command_line: &str,
) -> Option<Boot> {
    let [nic, model] = card_for(layout);
    let devices = [
        nic,
        model,
        "-kernel",
        kernel.to_str().expect("a path in text"),
        "-initrd",
        initrd.to_str().expect("a path in text"),
        "-append",
        command_line,
    ];
    boot(Firmware::Bios, &devices)
}
