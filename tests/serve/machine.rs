//! A machine at a port of the LAN, without a disk: its firmware has to find what to boot.

use std::path::PathBuf;

use storeboot_tests::qemu::{Boot, LIMIT, Machine, ovmf};

use crate::network::Lan;

/// How a machine finds what to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, with the iPXE in the network card's ROM.
    Bios,
    /// OVMF's PXE.
    UefiPxe,
    /// OVMF's HTTP boot.
    UefiHttp,
}

impl Firmware {
    /// QEMU's arguments for it. None if it is not installed.
    pub fn file(self) -> Option<Vec<String>> {
        let ovmf = || ovmf().map(|path: PathBuf| path.display().to_string());
        let words: Vec<&str> = match self {
            Self::Bios => vec![],
            Self::UefiPxe => vec!["-bios", "OVMF"],
            // Without PXE, so that it is not tried first.
            Self::UefiHttp => vec![
                "-bios",
                "OVMF",
                "-fw_cfg",
                "name=opt/org.tianocore/IPv4PXESupport,string=n",
            ],
        };
        // A card without a ROM has UEFI's own driver.
        let rom = match self {
            Self::Bios => "",
            Self::UefiPxe | Self::UefiHttp => ",romfile=",
        };
        let mut arguments = vec![
            "-netdev".into(),
            "tap,id=net,ifname=tap0,script=no,downscript=no".into(),
            "-device".into(),
            format!("virtio-net-pci,netdev=net,bootindex=0,mac=52:54:00:12:34:56{rom}"),
        ];
        for word in words {
            arguments.push(match word {
                "OVMF" => ovmf()?,
                word => word.into(),
            });
        }
        Some(arguments)
    }
}

/// Runs a machine in the LAN until it ends.
pub fn boot(lan: &Lan, arguments: Vec<String>) -> Boot {
    let machine = arguments
        .into_iter()
        .fold(Machine::new().memory_mib(1024), Machine::argument);
    lan.inside(|| machine.boot(LIMIT))
}
