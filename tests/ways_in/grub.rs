//! GRUB on a disk, started by BIOS or by UEFI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_index::Layout;
use storeboot_tests::command::{have, installed, printed};

use crate::machine::{self, Firmware};
use crate::systems::{arrived, command_line, has_keys, keys, netboot, place, scratch, system};

pub fn bios(layout: Layout) {
    boots(layout, Firmware::Bios, "/usr/lib/grub/i386-pc");
}

pub fn uefi(layout: Layout) {
    boots(layout, Firmware::Uefi, "/usr/lib/grub/x86_64-efi");
}

fn boots(layout: Layout, firmware: Firmware, modules: &str) {
    let tools = ["grub-mkrescue", "xorriso", "mformat"];
    let (true, Some(modules), Some(system)) = (have(&tools), installed(&[modules]), system())
    else {
        return;
    };
    let (netboot, folder) = (
        netboot(system, layout),
        scratch(&format!("grub-{firmware:?}"), layout),
    );
    let files = folder.join("files");
    fs::create_dir_all(files.join("boot/grub")).expect("folders");
    place(netboot, &["bzImage", "initrd"], &files.join("boot"));
    fs::write(files.join("boot/keys.cpio"), keys()).expect("an archive");
    let configuration = format!(
        "set timeout=0\n\
         menuentry storeboot {{\n  linux /boot/bzImage {}\n  initrd /boot/initrd /boot/keys.cpio\n}}\n",
        command_line(netboot, layout, "grub")
    );
    fs::write(files.join("boot/grub/grub.cfg"), configuration).expect("a configuration");
    let disk = disk(&folder, &modules, &files);
    let drive = format!("file={},format=raw,if=virtio,readonly=on", disk.display());
    let [nic, model] = machine::card_for(layout);
    let Some(boot) = machine::boot(firmware, &[nic, model, "-drive", &drive]) else {
        return;
    };
    arrived(system, &boot, layout, "grub");
    has_keys(&boot);
}

/// A disk with GRUB and these files on it.
fn disk(folder: &Path, modules: &Path, files: &Path) -> PathBuf {
    let disk = folder.join("disk.iso");
    let mut grub = Command::new("grub-mkrescue");
    grub.args(["--locales=", "--fonts=", "--themes=", "--directory"])
        .arg(modules)
        .arg("--output")
        .arg(&disk)
        .arg(files);
    printed(&mut grub);
    disk
}
