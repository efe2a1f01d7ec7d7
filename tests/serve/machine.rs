//! A machine at a port of the LAN, without a disk: its firmware has to find what to boot.

use std::path::PathBuf;

use storeboot_tests::command::installed;
use storeboot_tests::debian::unpacked;
use storeboot_tests::lan::Lan;
use storeboot_tests::qemu::{Architecture, Boot, LIMIT, Machine, ovmf, uefi_arm64};

/// Without PXE, so that HTTP boot is what is tried first.
const NO_PXE: [&str; 2] = ["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"];

/// How a machine finds what to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, with the iPXE in the network card's ROM.
    Bios,
    /// OVMF's PXE.
    UefiPxe,
    /// OVMF's HTTP boot.
    UefiHttp,
    /// The PXE of UEFI for 64-bit Arm.
    UefiArm64Pxe,
}

impl Firmware {
    /// The processor of its machines.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Bios | Self::UefiPxe | Self::UefiHttp => Architecture::X86_64,
            Self::UefiArm64Pxe => Architecture::Aarch64,
        }
    }

    /// The folder with iPXE for it. None if it is not installed.
    pub fn ipxe(self) -> Option<PathBuf> {
        match self.architecture() {
            Architecture::X86_64 => {
                let loader = installed(&["/usr/lib/ipxe/ipxe.efi"])?;
                loader.parent().map(Into::into)
            }
            // bookworm's package has none for 64-bit Arm.
            Architecture::Aarch64 => Some(unpacked("trixie", "ipxe").join("usr/lib/ipxe")),
        }
    }

    /// A machine with it at the port `tap0`, or at that of another number. None if it is not installed.
    pub fn machine(self, port: u8) -> Option<Machine> {
        let file = match self {
            Self::Bios => None,
            Self::UefiPxe | Self::UefiHttp => Some(ovmf()?),
            Self::UefiArm64Pxe => Some(uefi_arm64()?),
        };
        // A card without a ROM has UEFI's own driver.
        let rom = match self {
            Self::Bios => "",
            _ => ",romfile=",
        };
        let mut machine = Machine::new()
            .architecture(self.architecture())
            .memory_mib(1024)
            .argument("-netdev")
            .argument(format!(
                "tap,id=net,ifname=tap{port},script=no,downscript=no"
            ))
            .argument("-device")
            .argument(format!(
                "virtio-net-pci,netdev=net,bootindex=0,mac=52:54:00:12:34:{:02x}{rom}",
                0x56 + port
            ));
        if let Some(file) = file {
            machine = machine
                .argument("-bios")
                .argument(file.display().to_string());
        }
        if self == Self::UefiHttp {
            machine = NO_PXE.into_iter().fold(machine, Machine::argument);
        }
        Some(machine)
    }
}

/// Runs a machine in the LAN until it ends.
pub fn boot(lan: &Lan, machine: &Machine) -> Boot {
    lan.inside(|| machine.boot(LIMIT))
}
