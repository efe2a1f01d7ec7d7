//! Boots with kexec from a running system, by `kexec-boot`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_cpio::Metadata;
use storeboot_index::Layout;
use storeboot_tests::command::{installed, printed};
use storeboot_tests::small_system::SmallSystem;

use crate::archive::Archive;
use crate::machine;
use crate::systems::{arrived, command_line, has_keys, keys, netboot, scratch, system, text};

/// The tools that `kexec-boot` needs on the first system.
const TOOLS: [&str; 10] = [
    "cat", "dd", "dirname", "mkdir", "mktemp", "readlink", "rm", "sh", "sync", "wc",
];

/// Boots the system directly, with a netboot directory in a second archive, and runs `kexec-boot` there.
pub fn boots(layout: Layout) {
    let Some(system) = system() else { return };
    let Some(kexec) = installed(&["/usr/sbin/kexec", "/sbin/kexec", "/usr/bin/kexec"]) else {
        return;
    };
    let first = netboot(system, Layout::Direct);
    let mut initrd = fs::read(first.join("initrd")).expect("an initrd");
    initrd.extend(going_on(system, layout, netboot(system, layout), &kexec));
    let file = scratch("kexec", layout).join("initrd");
    fs::write(&file, initrd).expect("an initrd");

    let first_line = command_line(first, Layout::Direct, "qemu");
    let Some(mut boot) = machine::boot_kernel(layout, &first.join("bzImage"), &file, &first_line)
    else {
        return;
    };
    let second = boot
        .console
        .split_once("NEXT")
        .unwrap_or_else(|| panic!("no kexec in {boot}"))
        .1;
    boot.console = second.to_owned();
    arrived(system, &boot, layout, "kexec");
    has_keys(&boot);
}

/// Makes the archive with the next system, `kexec-boot`, and the tools that it needs.
fn going_on(system: &SmallSystem, layout: Layout, netboot: &Path, kexec: &Path) -> Vec<u8> {
    let mut archive = Archive::new();
    for name in ["bzImage", "initrd", "kexec-boot"] {
        let content = fs::read(netboot.join(name)).expect("a file of a netboot directory");
        archive.file(
            &format!("next/netboot/{name}"),
            &Metadata::executable(),
            &content,
        );
    }
    // kexec and its libraries keep their paths, so that they find each other.
    for file in with_libraries(kexec) {
        let content = fs::read(&file).expect("a program or a library");
        let name = file
            .to_str()
            .expect("a path in text")
            .trim_start_matches('/');
        archive.file(name, &Metadata::executable(), &content);
    }
    for tool in TOOLS {
        archive.link(&format!("bin/{tool}"), &system.busybox());
    }
    archive.file("next/keys.cpio", &Metadata::file(), &keys());
    let words = command_line(netboot, layout, "kexec").replace(&text(netboot, "kernelAppend"), "");
    let run = RUN.replace("WORDS", words.trim());
    archive.file("next/run", &Metadata::executable(), run.as_bytes());
    archive.finish()
}

/// The script that the first system runs.
const RUN: &str = "\
export PATH=/bin:/sbin:/usr/sbin:/usr/bin
mkdir /tmp
echo NEXT
/next/netboot/kexec-boot --append-archive /next/keys.cpio WORDS
echo 'kexec-boot came back'
";

/// Returns the paths of a program, of its libraries, and of the dynamic loader.
fn with_libraries(program: &Path) -> Vec<PathBuf> {
    let text = printed(Command::new("ldd").arg(program));
    let text = String::from_utf8(text).expect("ldd writes text");
    let files = text.split_whitespace().filter(|word| word.starts_with('/'));
    [program.to_owned()]
        .into_iter()
        .chain(files.map(PathBuf::from))
        .collect()
}
