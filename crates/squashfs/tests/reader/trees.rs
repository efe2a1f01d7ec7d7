//! Trees of files with everything in them that is special to squashfs, and what they look like from both sides.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use storeboot_squashfs::reader::{Found, Image, InodeKind};
use tempfile::TempDir;

/// What a file is, as far as the file system it came from and the image can agree.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    pub links: u64,
    pub content: Content,
}

pub type Tree = BTreeMap<Vec<u8>, Item>;

pub fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 + 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub fn text(length: usize) -> Vec<u8> {
    b"a line of text like any other\n"
        .iter()
        .copied()
        .cycle()
        .take(length)
        .collect()
}

/// Files around every edge of the format; `block` is the size of a block.
pub fn sources(block: usize) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let file = |name: &str, bytes: &[u8]| fs::write(at(name), bytes).expect("write");
    for name in ["deep", "deep/er", "deep/er/still", "empty", "many"] {
        fs::create_dir(at(name)).expect("a directory");
    }
    file("nothing", b"");
    file("small", b"small");
    file("deep/er/still/here", b"down here");
    for (name, length) in [
        ("block-less", block - 1),
        ("block", block),
        ("block-more", block + 1),
        ("blocks", block * 3),
        ("blocks-more", block * 3 + 100),
    ] {
        file(name, &text(length));
        file(&format!("deep/{name}-noise"), &noise(length));
    }
    let sparse = File::create(at("sparse")).expect("a file");
    sparse.set_len(block as u64 * 300 + 17).expect("a length");
    sparse
        .write_all_at(b"in the middle", block as u64 * 150 + 5)
        .expect("write");
    let hole = File::create(at("only-a-hole")).expect("a file");
    hole.set_len(block as u64 * 2).expect("a length");
    // Long names, so that the listing takes several metadata blocks and gets an index.
    for number in 0..1200 {
        let name = format!("many/{number:04}-{}", "name".repeat(number % 20 + 1));
        // More tail ends than one block of the fragment table holds, where blocks are small.
        file(&name, number.to_string().repeat(600).as_bytes());
    }
    file(&"n".repeat(255), b"long name");
    let odd = std::ffi::OsString::from_vec(b"not \xff\xfe utf-8\n".to_vec());
    fs::write(folder.path().join(odd), b"odd").expect("write");
    fs::hard_link(at("small"), at("deep/hard-link")).expect("a hard link");
    symlink("small", at("link")).expect("a symlink");
    symlink("x".repeat(2000), at("long-link")).expect("a symlink");
    for (name, mode) in [("small", 0o4755), ("empty", 0o1700), ("nothing", 0)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(at(name), mode).expect("a mode");
    }
    folder
}

/// The tree as the file system has it.
pub fn tree_of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        let full = root.join(&path);
        let metadata = fs::symlink_metadata(&full).expect("metadata");
        let content = if metadata.is_dir() {
            for entry in fs::read_dir(&full).expect("a directory") {
                left.push(path.join(entry.expect("an entry").file_name()));
            }
            Content::Directory
        } else if metadata.is_symlink() {
            let target = fs::read_link(&full).expect("a target");
            Content::Symlink(target.into_os_string().into_vec())
        } else {
            Content::File(fs::read(&full).expect("content"))
        };
        let item = Item {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: metadata.mtime(),
            links: metadata.nlink(),
            content,
        };
        tree.insert(path.as_os_str().as_bytes().to_vec(), item);
    }
    tree
}

/// The tree as the reader finds it.
pub fn tree_in<R: Read + Seek>(image: &mut Image<R>) -> Tree {
    let mut tree = Tree::new();
    let mut walk = image.walk();
    let mut before: Option<Vec<Vec<u8>>> = None;
    while let Some(found) = walk.next(image).expect("a sound image") {
        let Found { path, inode, .. } = found;
        let names: Vec<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        assert!(before.is_none_or(|before| before < names), "in path order");
        before = Some(names);
        let by_number = image.inode_by_number(inode.number).expect("sound");
        assert!(by_number.is_none_or(|reference| reference == inode.reference));
        let content = match &inode.kind {
            InodeKind::Directory(_) => Content::Directory,
            InodeKind::Symlink(target) => Content::Symlink(target.clone()),
            InodeKind::File(file) => {
                let mut bytes = Vec::new();
                image.read(file).read_to_end(&mut bytes).expect("content");
                assert_eq!(bytes.len() as u64, file.size);
                Content::File(bytes)
            }
            other => panic!("{other:?}"),
        };
        let item = Item {
            mode: inode.mode.into(),
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime.into(),
            links: inode.links.into(),
            content,
        };
        tree.insert(path, item);
    }
    tree
}

pub fn assert_same(found: &Tree, expected: &Tree, what: &str) {
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    for (path, item) in expected {
        // Not `assert_eq`: nobody wants to see the content.
        assert!(found[path] == *item, "{what}: {}", path.escape_ascii());
    }
}
