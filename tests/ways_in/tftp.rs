//! Plain PXE: TFTP transfers every file.

use std::fs;
use std::path::Path;
use std::process::Command;

use storeboot_index::Layout;
use storeboot_tests::command::{have, installed, printed};
use storeboot_tests::qemu::Boot;

use crate::machine::{self, Firmware, network_card};
use crate::systems::{
    arrived, command_line, has_keys, keys, netboot, place, scratch, store_url, system,
};

/// iPXE, as the card's ROM, with our script as it is.
pub fn ipxe_bios(layout: Layout) {
    let Some(system) = system() else { return };
    let (netboot, folder) = (netboot(system, layout), scratch("ipxe-tftp", layout));
    place(netboot, &["bzImage", "initrd"], &folder);
    // Nothing sets `cmdline` here, so the script itself must name the way and the other files to load.
    let script = fs::read_to_string(netboot.join("netboot.ipxe")).expect("a script");
    let script = script
        .replace(
            "#!ipxe\n",
            &format!("#!ipxe\nset store-url {}\n", store_url(netboot)),
        )
        .replace(" ${cmdline}", " way=tftp ${cmdline}")
        .replace("boot ||", "initrd keys.cpio\nboot ||");
    fs::write(folder.join("keys.cpio"), keys()).expect("an archive");
    fs::write(folder.join("netboot.ipxe"), script).expect("a script");
    let Some(boot) = boot(Firmware::Bios, &folder, "netboot.ipxe", &network_card()) else {
        return;
    };
    arrived(system, &boot, layout, "tftp");
    has_keys(&boot);
}

/// PXELINUX. The card's ROM is iPXE's again, which offers what any other PXE ROM does.
pub fn pxelinux_bios(layout: Layout) {
    let Some(system) = system() else { return };
    let programs = [
        installed(&["/usr/lib/PXELINUX/pxelinux.0"]),
        installed(&["/usr/lib/syslinux/modules/bios/ldlinux.c32"]),
    ];
    let [Some(pxelinux), Some(ldlinux)] = programs else {
        return;
    };
    let (netboot, folder) = (netboot(system, layout), scratch("pxelinux", layout));
    place(netboot, &["bzImage", "initrd"], &folder);
    fs::copy(pxelinux, folder.join("pxelinux.0")).expect("a copy");
    fs::copy(ldlinux, folder.join("ldlinux.c32")).expect("a copy");
    fs::write(folder.join("keys.cpio"), keys()).expect("an archive");
    fs::create_dir(folder.join("pxelinux.cfg")).expect("a folder");
    let configuration = format!(
        "DEFAULT storeboot\n\
         LABEL storeboot\n  KERNEL bzImage\n  INITRD initrd,keys.cpio\n  SYSAPPEND 3\n  APPEND {}\n",
        command_line(netboot, layout, "pxelinux")
    );
    fs::write(folder.join("pxelinux.cfg/default"), configuration).expect("a configuration");
    let Some(boot) = boot(Firmware::Bios, &folder, "pxelinux.0", &network_card()) else {
        return;
    };
    arrived(system, &boot, layout, "pxelinux");
    has_keys(&boot);
}

/// GRUB, fetched by UEFI's own PXE: the card has no ROM.
pub fn grub_uefi(layout: Layout) {
    if !have(&["grub-mkimage"]) || installed(&["/usr/lib/grub/x86_64-efi/tftp.mod"]).is_none() {
        return;
    }
    let Some(system) = system() else { return };
    let (netboot, folder) = (netboot(system, layout), scratch("grub-tftp", layout));
    place(netboot, &["bzImage", "initrd"], &folder);
    let configuration = format!(
        "linux (tftp)/bzImage {}\ninitrd (tftp)/initrd (tftp)/keys.cpio\nboot\n",
        command_line(netboot, layout, "grub-tftp")
    );
    fs::write(folder.join("keys.cpio"), keys()).expect("an archive");
    let file = folder.join("grub.cfg");
    fs::write(&file, configuration).expect("a configuration");
    let mut grub = Command::new("grub-mkimage");
    grub.args(["-O", "x86_64-efi", "-p", "/", "-c"])
        .arg(&file)
        .arg("-o")
        .arg(folder.join("grubx64.efi"))
        .args(["efinet", "tftp", "linux", "normal", "boot"]);
    printed(&mut grub);
    let card = "virtio-net-pci,netdev=net,bootindex=0,romfile=";
    let Some(boot) = boot(Firmware::Uefi, &folder, "grubx64.efi", card) else {
        return;
    };
    arrived(system, &boot, layout, "grub-tftp");
    has_keys(&boot);
}

/// Boots a file from a folder that TFTP serves.
fn boot(firmware: Firmware, folder: &Path, file: &str, card: &str) -> Option<Boot> {
    let network = format!("user,id=net,tftp={},bootfile={file}", folder.display());
    machine::boot(firmware, &["-netdev", &network, "-device", card])
}
