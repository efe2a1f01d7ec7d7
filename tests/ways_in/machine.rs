//! Machines that are given no kernel: their firmware has to find what to boot.

use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_tests::command::ran;
use storeboot_tests::qemu::{Boot, End, LIMIT, ovmf};

/// What `timeout` ends with when it had to end the machine.
const HUNG: i32 = 124;

/// What a machine has in its ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Uefi,
}

impl Firmware {
    /// UEFI's file; none is needed for BIOS. Nothing where it is not installed.
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

/// The argument that makes a network card, which boots first: by iPXE, which is what QEMU's cards have in their ROM.
pub fn network_card() -> String {
    // Other versions of iPXE than the one that is installed can be tried by this.
    let rom = std::env::var("IPXE_ROM").map_or(String::new(), |rom| format!(",romfile={rom}"));
    format!("virtio-net-pci,netdev=net,bootindex=0{rom}")
}

/// Runs a machine with these devices until it ends. Nothing where the firmware is not installed.
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

/// Runs a machine whose kernel and initrd QEMU itself puts into its memory.
pub fn boot_kernel(kernel: &Path, initrd: &Path, command_line: &str) -> Option<Boot> {
    let devices = [
        "-nic",
        "none",
        "-kernel",
        kernel.to_str().expect("a path in text"),
        "-initrd",
        initrd.to_str().expect("a path in text"),
        "-append",
        command_line,
    ];
    boot(Firmware::Bios, &devices)
}
