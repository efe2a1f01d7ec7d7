//! Reads images with Linux: a machine mounts them all and writes what it sees to an archive on its disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use storeboot::modules::collect;
use storeboot_cpio::{FileType, Metadata, Reader, Writer};
use storeboot_tests::command::have;
use storeboot_tests::listing::{Entry, Kind, Listing};
use storeboot_tests::qemu::{Kernel, LIMIT, Machine, QUIET};

use super::folder;

/// The size of the disk for the archive. Unwritten parts of the disk take no space.
const DISK_SIZE: u64 = 1 << 30;

/// Mounts every image of /images; damage that the kernel finds ends it at once.
const SCRIPT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
set -eu
trap '[ $? = 0 ] || echo CONFORMANCE failed; poweroff -f' EXIT
mount -t proc none /proc
mount -t devtmpfs none /dev
for module in /modules/*; do insmod "$module"; done
for image in /images/*; do
  name=${image##*/}
  mkdir "/mnt/$name"
  mount -t squashfs -o ro,loop,errors=panic "$image" "/mnt/$name"
done
cd /mnt
find . -mindepth 1 -print0 | cpio --null -o -H newc > /dev/vda
sync
# The kernel keeps what it does not write to the console.
dmesg > /log
grep 'SQUASHFS error' /log || true
echo CONFORMANCE done
"#;

/// Boots a machine with these images, by name, and compares what it sees.
pub fn reads(images: &[(&str, PathBuf, &Listing)]) {
    if !have(&["busybox"]) {
        return;
    }
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let disk = folder().join("disk");
    File::create(&disk)
        .and_then(|file| file.set_len(DISK_SIZE))
        .expect("a disk");
    let initrd = folder().join("kernel-initrd");
    fs::write(&initrd, archive(&kernel, images)).expect("an initrd");
    let boot = Machine::new()
        .kernel(kernel.image())
        .initrd(initrd)
        .memory_mib(1024)
        .append(QUIET)
        .argument("-drive")
        .argument(format!(
            "file={},format=raw,if=none,id=disk",
            disk.display()
        ))
        .argument("-device")
        .argument("virtio-blk-pci,drive=disk")
        .boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    assert_eq!(
        boot.lines_with("CONFORMANCE ").collect::<Vec<_>>(),
        ["done"],
        "{boot}"
    );
    assert!(!boot.console.contains("SQUASHFS error"), "{boot}");

    let seen = listing(&disk);
    for (name, _, expected) in images {
        let tree = Listing {
            entries: seen
                .entries
                .iter()
                .filter_map(|(path, entry)| Some((below(path, name)?.to_vec(), entry.clone())))
                .collect(),
        };
        tree.assert_is(expected, &format!("{name} by Linux"));
    }
    fs::remove_file(disk).expect("it was there");
}

/// The path from `top` on, if it is there.
fn below<'a>(path: &'a [u8], top: &str) -> Option<&'a [u8]> {
    match path.strip_prefix(top.as_bytes())? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn archive(kernel: &Kernel, images: &[(&str, PathBuf, &Listing)]) -> Vec<u8> {
    let mut archive = Writer::new(Vec::new());
    for name in ["bin", "dev", "proc", "mnt", "modules", "images"] {
        archive
            .directory(name, &Metadata::directory())
            .expect("in memory");
    }
    archive
        .char_device("dev/console", &Metadata::mode(0o600), 5, 1)
        .expect("in memory");
    let mut file = |name: &str, content: &[u8]| {
        let size = content.len() as u64;
        archive
            .file(name, &Metadata::executable(), size, content)
            .expect("in memory");
    };
    file("init", SCRIPT.as_bytes());
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let busybox = busybox.iter().find(|path| path.exists());
    let busybox = fs::read(busybox.expect("busybox in /bin")).expect("readable");
    file("bin/busybox", &busybox);
    let modules = kernel.modules();
    let release = modules.file_name().and_then(|name| name.to_str());
    let wanted = ["loop", "squashfs", "virtio_pci", "virtio_blk"];
    let modules = collect(modules, release.expect("a release"), wanted).expect("the modules");
    for (number, module) in modules.load.iter().enumerate() {
        file(
            &format!("modules/{number:02}-{}", module.name),
            &module.data,
        );
    }
    for (name, image, _) in images {
        file(
            &format!("images/{name}"),
            &fs::read(image).expect("readable"),
        );
    }
    archive.finish().expect("in memory")
}

/// What the archive on the disk holds.
fn listing(disk: &Path) -> Listing {
    let disk = BufReader::new(File::open(disk).expect("a disk"));
    let mut reader = Reader::new(disk);
    let mut listing = Listing::default();
    let mut links = Vec::new();
    while let Some(mut entry) = reader.next_entry().expect("an archive") {
        let header = *entry.header();
        let path = entry.name().strip_prefix(b"./").unwrap_or(entry.name());
        let path = path.to_vec();
        let kind = match header.file_type() {
            Some(FileType::Directory) => Kind::Directory,
            Some(FileType::File) => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("readable");
                Kind::File(content)
            }
            Some(FileType::Symlink) => {
                let target = entry.target().expect("readable");
                Kind::Symlink(target.unwrap_or_default())
            }
            other => panic!("{}: {other:?}", path.escape_ascii()),
        };
        links.push((path.clone(), header.nlink));
        let entry = Entry {
            kind,
            mode: header.permissions(),
            owner: (header.uid, header.gid),
            mtime: header.mtime.into(),
        };
        listing.entries.insert(path, entry);
    }
    check_links(&listing, &links);
    listing
}

/// Directories have a link for each directory in them, and two more; everything else has one.
fn check_links(listing: &Listing, links: &[(Vec<u8>, u32)]) {
    let mut expected: BTreeMap<&[u8], u32> = BTreeMap::new();
    for (path, entry) in &listing.entries {
        let directory = entry.kind == Kind::Directory;
        *expected.entry(path).or_default() += if directory { 2 } else { 1 };
        if let Some(slash) = path.iter().rposition(|byte| *byte == b'/')
            && directory
        {
            *expected.entry(&path[..slash]).or_default() += 1;
        }
    }
    for (path, links) in links {
        assert_eq!(
            *links,
            expected[&path[..]],
            "links of {}",
            path.escape_ascii()
        );
    }
}
