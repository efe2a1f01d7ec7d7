//! Images, read by the library libsquashfs through the crate squashfs-ng.
//!
//! Its bindings are generated with libclang, so it is a package of its own: the other tests build without.

use std::collections::BTreeMap;
use std::path::Path;

use squashfs_ng::read::{Archive, Data, Node};
use storeboot_tests::fixture::ODD;
use storeboot_tests::listing::{Entry, Kind, Listing};

/// Reads everything by its path. The crate takes names for text, so what is in [`ODD`] is left out.
pub fn by_path(path: &Path, expected: &Listing) {
    let archive = Archive::open(path).expect("an image");
    let mut listing = Listing::default();
    let root = archive.get("/").expect("readable").expect("a root");
    read_node(&root, Vec::new(), &mut listing);
    let expected = expected
        .clone()
        .filter(|path| !path.starts_with(ODD.as_bytes()) || path == ODD.as_bytes());
    listing.assert_is(&expected, &format!("{} by squashfs-ng", path.display()));
}

/// Reads everything by its number, without a name.
pub fn by_number(path: &Path, expected: &Listing) {
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
