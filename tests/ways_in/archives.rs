//! A user's own archives before and after ours, compressed or not: the booted system has their files, and no other
//! files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_cpio::Metadata;
use storeboot_index::Layout;
use storeboot_tests::command::{have, printed};
use storeboot_tests::qemu::Boot;
use storeboot_tests::small_system::SmallSystem;

use crate::archive::Archive;
use crate::machine;
use crate::systems::{command_line, scratch, system};

pub fn boots(layout: Layout) {
    if !have(&["cpio", "gzip", "zstd"]) {
        return;
    }
    let Some(system) = system() else { return };
    let folder = scratch("archives", layout);
    let netboot = with_prepended(system, layout, &folder);
    let mut initrd = before();
    // The prepended bytes move the image off page and sector boundaries.
    assert_eq!(initrd.len() % 4, 0);
    assert_ne!(initrd.len() % 512, 0);
    initrd.extend(fs::read(netboot.join("initrd")).expect("an initrd"));
    initrd.extend(packed_behind(&folder.join("behind")));
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(behind());
    let file = folder.join("initrd");
    fs::write(&file, initrd).expect("an initrd");

    let Some(boot) = machine::boot_kernel(
        layout,
        &netboot.join("bzImage"),
        &file,
        &command_line(&netboot, layout, "archives"),
    ) else {
        return;
    };
    system.is_booted(&boot, layout);
    let moved = boot.console.contains("0.squashfs was found at byte");
    assert_eq!(moved, layout == Layout::InPlace, "{boot}");
    let regular = |name: &str, facts: &str, content: &[u8]| {
        let hash = HEXLOWER.encode(&Sha256::digest(content));
        format!("{name}: regular file {facts} {hash}")
    };
    let mut expected = vec![
        regular("/etc/before", "640 12:34", b"before"),
        regular("/etc/behind", "444 0:0", b"behind"),
        "/etc/link: symbolic link 777 0:0 ../one".to_owned(),
        regular("/etc/prepended-packed", "444 0:0", b"prepended, packed"),
        regular("/etc/prepended", "444 0:0", b"prepended"),
        regular("/large", "4755 1:2", &vec![7; 3_000_001]),
        // The last file of a name wins, as everywhere in an initrd.
        regular("/one", "400 0:0", b"the last one"),
        regular(
            "/root/.ssh/authorized_keys",
            "600 0:0",
            b"ssh-ed25519 AAAA me\n",
        ),
    ];
    expected.sort();
    assert_eq!(files(&boot), expected, "{boot}");
}

/// Builds a netboot directory with prepended archives. Files that only the kernel reads do not reach the system.
fn with_prepended(system: &SmallSystem, layout: Layout, folder: &Path) -> std::path::PathBuf {
    let mut plain = Archive::new();
    plain.file(
        "kernel/firmware/acpi/for-the-kernel",
        &Metadata::file(),
        b"not looked at",
    );
    plain.file("etc/prepended", &Metadata::file(), b"prepended");
    let mut packed = Archive::new();
    packed.file(
        "etc/prepended-packed",
        &Metadata::file(),
        b"prepended, packed",
    );
    let [first, second] = ["plain", "packed"].map(|name| folder.join(name));
    fs::write(&first, plain.finish()).expect("an archive");
    fs::write(&second, packed.finish()).expect("an archive");
    printed(Command::new("zstd").args(["-q", "--rm"]).arg(&second));
    let second = second.with_extension("zst");
    let prepend: &Path = "--prepend".as_ref();
    system.build(
        &format!("archives-{layout}"),
        layout,
        &[prepend, &first, prepend, &second],
    )
}

/// Makes the archives before the initrd.
fn before() -> Vec<u8> {
    let mut archive = Archive::new();
    let owner = Metadata {
        uid: 12,
        gid: 34,
        ..Metadata::mode(0o640)
    };
    archive.file("etc/before", &owner, b"before");
    archive.file("one", &Metadata::file(), b"the first one");
    archive.finish()
}

/// Makes an archive to append as nixos-images' installer does, without any padding.
fn packed_behind(folder: &Path) -> Vec<u8> {
    let ssh = folder.join("root/.ssh");
    fs::create_dir_all(&ssh).expect("folders");
    let keys = ssh.join("authorized_keys");
    fs::write(&keys, "ssh-ed25519 AAAA me\n").expect("a file");
    fs::set_permissions(keys, PermissionsExt::from_mode(0o600)).expect("a mode");
    fs::create_dir(folder.join("etc")).expect("a folder");
    symlink("../one", folder.join("etc/link")).expect("a link");
    let pipe = "find . | cpio --quiet -o -H newc -R 0:0 | gzip -9";
    printed(Command::new("sh").args(["-c", pipe]).current_dir(folder))
}

/// The last archive.
fn behind() -> Vec<u8> {
    let mut archive = Archive::new();
    archive.file("etc/behind", &Metadata::file(), b"behind");
    archive.file("one", &Metadata::mode(0o400), b"the last one");
    let owner = Metadata {
        uid: 1,
        gid: 2,
        ..Metadata::mode(0o4755)
    };
    archive.file("large", &owner, &vec![7; 3_000_001]);
    archive.finish()
}

/// Returns all files that stage 2 found outside of the store.
fn files(boot: &Boot) -> Vec<String> {
    let mut files: Vec<String> = boot.lines_with("STAGE2 file ").map(str::to_owned).collect();
    files.sort();
    files
}
