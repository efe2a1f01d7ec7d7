//! Images, read by our own reader and by programs of two other projects. A library reads them in `tests/squashfs-ng`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_tests::command::{Scratch, have, is_root, printed};
use storeboot_tests::listing::{Entry, Kind, Listing};

/// Our own reader.
pub fn ours(path: &Path, expected: &Listing) {
    let mut image = Image::open(File::open(path).expect("a file")).expect("an image");
    let mut listing = Listing::default();
    let mut walk = image.walk();
    while let Some(found) = walk.next(&mut image).expect("it is sound") {
        let inode = found.inode;
        let kind = match &inode.kind {
            InodeKind::Directory(_) => Kind::Directory,
            InodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            InodeKind::File(file) => {
                let mut content = Vec::new();
                image
                    .read(file)
                    .read_to_end(&mut content)
                    .expect("readable");
                Kind::File(content)
            }
            other => panic!("{other:?}"),
        };
        let entry = Entry {
            kind,
            mode: inode.mode.into(),
            owner: (inode.uid, inode.gid),
            mtime: inode.mtime.into(),
        };
        listing.entries.insert(found.path, entry);
    }
    listing.assert_is(expected, &format!("{} by our reader", path.display()));
}

/// Our own reader, which reads each inode by its number.
pub fn ours_by_number(path: &Path) {
    let mut image = Image::open(File::open(path).expect("a file")).expect("an image");
    for number in 1..=image.superblock().inode_count {
        let place = image.inode_by_number(number).expect("readable");
        let inode = image.inode(place.expect("an export table")).expect("sound");
        assert_eq!(inode.number, number);
    }
}

/// unsquashfs of squashfs-tools.
pub fn unsquashfs(image: &Path, expected: &Listing) {
    if !have(&["unsquashfs"]) {
        return;
    }
    let scratch = Scratch::new();
    let out = scratch.join("out");
    printed(
        Command::new("unsquashfs")
            .args(["-no-progress", "-quiet", "-strict-errors", "-dest"])
            .arg(&out)
            .arg(image),
    );
    unpacked(&out, expected, image, "unsquashfs");
}

/// rdsquashfs of squashfs-tools-ng, which unpacks and lists.
pub fn rdsquashfs(image: &Path, expected: &Listing) {
    if !have(&["rdsquashfs"]) {
        return;
    }
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let mut command = Command::new("rdsquashfs");
    command.args(["--quiet", "--set-times", "--chmod", "--unpack-path", "/"]);
    if is_root() {
        command.arg("--chown");
    }
    printed(command.arg("--unpack-root").arg(&out).arg(image));
    // It leaves the folder that it unpacks into as it made it.
    let inside = expected.clone().filter(|path| !path.is_empty());
    unpacked(&out, &inside, image, "rdsquashfs");

    let description = printed(Command::new("rdsquashfs").arg("--describe").arg(image));
    described(&description, expected);
}

/// Compares a folder that an image was unpacked into.
fn unpacked(folder: &Path, expected: &Listing, image: &Path, by: &str) {
    let image = image.display();
    let listing = Listing::of_folder(folder);
    // Only root can change the owner of files.
    let listing = match is_root() {
        true => listing,
        false => listing.map(|_, entry| entry.owner = (0, 0)),
    };
    let listing = listing.filter(|path| expected.entries.contains_key(path) || !path.is_empty());
    listing.assert_is(expected, &format!("{image} by {by}"));
}

/// Compares what `rdsquashfs --describe` printed: a line for each entry, without contents and times. It escapes too
/// little to be read back without doubt, so what it should print is compared.
fn described(text: &[u8], expected: &Listing) {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    // The root is not in it.
    for (path, entry) in expected.entries.iter().filter(|(path, _)| !path.is_empty()) {
        let (kind, target) = match &entry.kind {
            Kind::Directory => ("dir", None),
            Kind::File(_) => ("file", None),
            Kind::Symlink(target) => ("slink", Some(target)),
            other => panic!("{other:?}"),
        };
        let path = quoted(path);
        let (mode, (user, group)) = (entry.mode, entry.owner);
        let mut line = [
            kind.as_bytes(),
            b" ",
            &path,
            format!(" 0{mode:03o} {user} {group}").as_bytes(),
        ]
        .concat();
        if let Some(target) = target {
            line.push(b' ');
            line.extend_from_slice(target);
        }
        lines.push(line);
    }
    let expected = lines.join(&b'\n');
    let sorted = |text: &[u8]| {
        let text = text.trim_ascii_end().to_vec();
        let mut lines: Vec<_> = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        lines.sort();
        lines
    };
    let (found, expected) = (sorted(text), sorted(&expected));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            found == expected,
            "rdsquashfs describes {}, should be {}",
            found.escape_ascii(),
            expected.escape_ascii()
        );
    }
    assert_eq!(found.len(), expected.len(), "lines of rdsquashfs");
}

/// A path as it is described: in quotes where it must.
fn quoted(path: &[u8]) -> Vec<u8> {
    if !path.iter().any(|byte| b" \"".contains(byte)) {
        return path.to_vec();
    }
    let mut quoted = vec![b'"'];
    for byte in path {
        if b"\\\"".contains(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted
}

/// What `unsquashfs -stat` says of an image.
pub fn superblock(image: &Path, exportable: bool, compressor: &str, block_size: u32) {
    if !have(&["unsquashfs"]) {
        return;
    }
    let text = printed(
        Command::new("unsquashfs")
            .args(["-UTC", "-stat"])
            .arg(image),
    );
    let text = String::from_utf8(text).expect("text");
    let negation = if exportable { "" } else { "not " };
    for line in [
        format!("Filesystem is {negation}exportable via NFS"),
        format!("Compression {compressor}"),
        format!("Block size {block_size}"),
        "Creation or last append time Thu Jan  1 00:00:01 1970".into(),
        "Duplicates are removed".into(),
        "Xattrs are not stored".into(),
        "Number of ids 1".into(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no {line:?} in:\n{text}"
        );
    }
}
