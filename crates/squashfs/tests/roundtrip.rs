//! Whatever tree goes into an image comes out of it, and the same bytes come out whatever the number of threads.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_squashfs::{Compression, ImageWriter, Options};

const BLOCK: usize = 4096;

#[derive(Clone, Debug)]
enum Tree {
    File { executable: bool, content: Vec<u8> },
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

/// Names are any bytes that a name may have.
fn name() -> impl Strategy<Value = Vec<u8>> {
    vec(
        any::<u8>().prop_filter("no slash, no NUL", |&byte| byte != b'/' && byte != 0),
        1..24,
    )
    .prop_filter("neither . nor ..", |name| name != b"." && name != b"..")
}

/// Contents around the block size, of stretches that repeat, that are zero, or that do not shrink; few seeds, so that
/// equal files and equal beginnings come up.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![
        Just(0),
        1..64usize,
        BLOCK - 2..BLOCK + 2,
        2 * BLOCK - 2..2 * BLOCK + 2,
        1..4 * BLOCK
    ];
    let stretch = (0..3u8, 0..2u64);
    (vec(stretch, 1..5), sizes).prop_map(|(stretches, size)| {
        let mut state = 0u64;
        (0..size)
            .map(|at| {
                let (kind, seed) = stretches[(at / BLOCK).min(stretches.len() - 1)];
                state = (seed + 1 + state).wrapping_mul(6_364_136_223_846_793_005);
                match kind {
                    0 => 0,
                    1 => seed as u8 + 1,
                    _ => (state >> 56) as u8,
                }
            })
            .collect()
    })
}

fn directory() -> impl Strategy<Value = BTreeMap<Vec<u8>, Tree>> {
    let leaf = prop_oneof![
        4 => (any::<bool>(), content())
            .prop_map(|(executable, content)| Tree::File { executable, content }),
        1 => vec(1..=255u8, 1..100).prop_map(Tree::Symlink),
    ];
    let tree = leaf.prop_recursive(3, 24, 6, |inner| {
        btree_map(name(), inner, 0..6).prop_map(Tree::Directory)
    });
    btree_map(name(), tree, 0..8)
}

fn add(image: &mut ImageWriter<Cursor<Vec<u8>>>, entries: &BTreeMap<Vec<u8>, Tree>) {
    for (name, tree) in entries {
        match tree {
            Tree::File {
                executable,
                content,
            } => {
                let mode = if *executable { 0o555 } else { 0o444 };
                let size = content.len() as u64;
                image
                    .file(name, mode, size, Cursor::new(content))
                    .expect("a file");
            }
            Tree::Symlink(target) => image.symlink(name, target).expect("a symlink"),
            Tree::Directory(entries) => {
                image.enter_directory(name, 0o555).expect("a directory");
                add(image, entries);
                image.leave_directory().expect("it was entered");
            }
        }
    }
}

fn pack(entries: &BTreeMap<Vec<u8>, Tree>, compression: Compression, jobs: usize) -> Vec<u8> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let options = Options::new()
        .compression(compression)
        .block_size(BLOCK as u32)
        .pool(Arc::new(pool.expect("threads")))
        .export(true);
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options).expect("a writer");
    add(&mut image, entries);
    let bound = image.settled_size().expect("settled");
    let (bytes, summary) = image.finish().expect("an image");
    assert!(
        summary.image_size <= bound,
        "{} <= {bound}",
        summary.image_size
    );
    bytes.into_inner()
}

fn flatten(prefix: &[u8], entries: &BTreeMap<Vec<u8>, Tree>, all: &mut BTreeMap<Vec<u8>, String>) {
    for (name, tree) in entries {
        let path = [prefix, name].concat();
        let said = match tree {
            Tree::File {
                executable,
                content,
            } => format!("{executable} {content:?}"),
            Tree::Symlink(target) => format!("-> {target:?}"),
            Tree::Directory(inner) => {
                flatten(&[&path, b"/".as_slice()].concat(), inner, all);
                format!("/ {}", inner.len())
            }
        };
        all.insert(path, said);
    }
}

fn unpack(bytes: Vec<u8>) -> BTreeMap<Vec<u8>, String> {
    let mut image = Image::open(Cursor::new(bytes)).expect("an image");
    let mut walk = image.walk();
    let mut all = BTreeMap::new();
    while let Some(found) = walk.next(&mut image).expect("sound") {
        let inode = found.inode;
        assert_eq!((inode.uid, inode.gid, inode.mtime), (0, 0, 1));
        let by_number = image.inode_by_number(inode.number).expect("sound");
        assert_eq!(by_number, Some(inode.reference), "the export table");
        let said = match &inode.kind {
            InodeKind::File(file) => {
                let mut content = Vec::new();
                image.read(file).read_to_end(&mut content).expect("sound");
                format!("{} {content:?}", inode.mode == 0o555)
            }
            InodeKind::Symlink(target) => format!("-> {target:?}"),
            InodeKind::Directory(directory) => {
                format!("/ {}", image.list(directory).expect("sound").len())
            }
            other => panic!("{other:?}"),
        };
        if !found.path.is_empty() {
            all.insert(found.path, said);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(entries in directory(), which in 0..5usize) {
        let text = ["none", "zstd:3", "xz:1", "gzip:6", "lz4:3"][which];
        let compression = text.parse().expect(text);
        let bytes = pack(&entries, compression, 1);
        prop_assert!(bytes == pack(&entries, compression, 3), "the same for any number of threads");
        let mut expected = BTreeMap::new();
        flatten(b"", &entries, &mut expected);
        prop_assert_eq!(unpack(bytes), expected);
    }
}
