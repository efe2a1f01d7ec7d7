//! Images, read by our own reader, by a library and by programs of two other projects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use squashfs_ng::read::{Archive, Data, Node};
use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_tests::command::{Scratch, have, is_root, printed};
use storeboot_tests::fixture::ODD;
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

/// Our own reader, which gets at everything by its number.
pub fn ours_by_number(path: &Path) {
    let mut image = Image::open(File::open(path).expect("a file")).expect("an image");
    for number in 1..=image.superblock().inode_count {
        let place = image.inode_by_number(number).expect("readable");
        let inode = image.inode(place.expect("an export table")).expect("sound");
        assert_eq!(inode.number, number);
    }
}

/// The library libsquashfs, through the crate squashfs-ng, which takes names for text.
pub fn library(path: &Path, expected: &Listing) {
    let archive = Archive::open(path).expect("an image");
    let mut listing = Listing::default();
    let root = archive.get("/").expect("readable").expect("a root");
    read_node(&root, Vec::new(), &mut listing);
    let expected = expected
        .clone()
        .filter(|path| !path.starts_with(ODD.as_bytes()) || path == ODD.as_bytes());
    listing.assert_is(&expected, &format!("{} by squashfs-ng", path.display()));
}

/// The same library, which gets at everything by its number, without a name.
pub fn library_by_number(path: &Path, expected: &Listing) {
    let archive = Archive::open(path).expect("an image");
    let count = archive.size();
    assert_eq!(count as usize, expected.entries.len());
    // Everything has to be there as often as it should.
    let mut contents: BTreeMap<String, i64> = BTreeMap::new();
    let mut count_one = |what: String, by: i64| *contents.entry(what).or_default() += by;
    for entry in expected.entries.values() {
        count_one(format!("{:?} {:o}", summary(&entry.kind), entry.mode), 1);
    }
    for number in 1..=count {
        let node = archive.get_id(number.into()).expect("an inode");
        assert_eq!(node.id(), number);
        let kind = match node.data().expect("readable") {
            Data::Dir(_) => Kind::Directory,
            Data::File(mut file) => Kind::File(file.to_bytes().expect("readable")),
            // Whatever the target is: the crate loses bytes of what is not text.
            Data::Symlink(_) => Kind::Symlink(Vec::new()),
            other => panic!("inode {number}: {}", other.name()),
        };
        count_one(
            format!("{:?} {:o}", summary(&kind), node.mode() & 0o7777),
            -1,
        );
    }
    contents.retain(|_, count| *count != 0);
    assert!(
        contents.is_empty(),
        "too few (or, below 0, too many): {contents:#?}"
    );
}

/// Enough of a content to count it.
fn summary(kind: &Kind) -> String {
    match kind {
        Kind::Symlink(_) => "link".into(),
        Kind::File(content) => {
            let sum = content.iter().fold(7_u64, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add((*byte).into())
            });
            format!("file {} {sum:x}", content.len())
        }
        other => format!("{other:?}"),
    }
}

fn read_node(node: &Node<'_>, path: Vec<u8>, listing: &mut Listing) {
    let kind = match node.data().expect("readable") {
        Data::File(mut file) => Kind::File(file.to_bytes().expect("readable")),
        Data::Symlink(target) => Kind::Symlink(target.into_os_string().into_encoded_bytes()),
        Data::Dir(_) if path == ODD.as_bytes() => Kind::Directory,
        Data::Dir(children) => {
            for child in children {
                let child = child.expect("readable");
                let name = child.name().expect("read with its path");
                let mut path = path.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name.as_bytes());
                read_node(&child, path, listing);
            }
            Kind::Directory
        }
        other => panic!("{}", other.name()),
    };
    let owner = if path.contains(&b'/') {
        // To look one up takes reading the table anew; a few are enough.
        (0, 0)
    } else {
        (node.uid().expect("a user"), node.gid().expect("a group"))
    };
    let entry = Entry {
        kind,
        mode: u32::from(node.mode()) & 0o7777,
        owner,
        mtime: node.mtime().into(),
    };
    listing.entries.insert(path, entry);
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
    // Who is not root cannot give files away.
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
