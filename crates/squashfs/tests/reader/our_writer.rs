//! Images by our own writer, and ways into an image.

use std::io::{Cursor, Read};

use storeboot_squashfs::reader::{Image, InodeKind};
use storeboot_squashfs::{Compression, GzipLevel, ImageWriter, Options};

use crate::trees::{Content, noise, text, tree_in};

/// A small tree by our own writer.
pub fn written(compression: Compression, block_size: u32) -> Vec<u8> {
    let options = Options::new()
        .compression(compression)
        .block_size(block_size)
        .export(true);
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options).expect("set up");
    let mut add = |name: &[u8], bytes: Vec<u8>| {
        let length = bytes.len() as u64;
        image
            .file(name, 0o444, length, Cursor::new(bytes))
            .expect("a file");
    };
    add(b"blocks", text(block_size as usize * 2 + 5));
    add(b"hole", vec![0; block_size as usize * 3]);
    add(b"noise", noise(block_size as usize + 5));
    image.enter_directory(b"one", 0o555).expect("a directory");
    image.enter_directory(b"two", 0o555).expect("a directory");
    image.symlink(b"up", b"../blocks").expect("a symlink");
    image.leave_directory().expect("leave");
    image
        .file(b"empty", 0o555, 0, Cursor::new(b""))
        .expect("a file");
    image.leave_directory().expect("leave");
    image.enter_directory(b"other", 0o555).expect("a directory");
    image.leave_directory().expect("leave");
    image.finish().expect("finish").0.into_inner()
}

pub fn plain() -> Vec<u8> {
    written(Compression::None, 4096)
}

#[test]
fn what_our_writer_writes_is_read() {
    for form in ["none", "gzip:9", "xz:1", "lz4:12", "zstd:3"] {
        let bytes = written(form.parse().expect(form), 4096);
        let mut image = Image::open(Cursor::new(bytes)).expect(form);
        let tree = tree_in(&mut image);
        let content = |path: &str| &tree[path.as_bytes()].content;
        assert_eq!(tree.len(), 9);
        assert!(*content("blocks") == Content::File(text(8197)), "{form}");
        assert!(*content("hole") == Content::File(vec![0; 12288]), "{form}");
        assert!(*content("noise") == Content::File(noise(4101)), "{form}");
        assert_eq!(
            *content("one/two/up"),
            Content::Symlink(b"../blocks".to_vec())
        );
        assert_eq!(tree[&b"one/empty"[..]].mode, 0o555);
        assert_eq!(tree[&b"one/empty"[..]].mtime, 1);
    }
}

#[test]
fn paths_and_numbers_lead_to_inodes() {
    let mut image = Image::open(Cursor::new(plain())).expect("sound");
    let up = image.lookup(b"one/two/up").expect("sound").expect("there");
    assert_eq!(
        image.lookup(b"//one//two/up/").expect("sound").as_ref(),
        Some(&up)
    );
    for missing in ["one/three", "blocks/x", "zzz", "one/two/up/x", "one/."] {
        assert_eq!(
            image.lookup(missing.as_bytes()).expect("sound"),
            None,
            "{missing}"
        );
    }
    let root = image.lookup(b"").expect("sound").expect("there");
    assert_eq!(root.reference, image.root());
    let count = image.superblock().inode_count;
    for number in 1..=count {
        let reference = image
            .inode_by_number(number)
            .expect("sound")
            .expect("a table");
        assert_eq!(image.inode(reference).expect("sound").number, number);
    }
    assert!(image.inode_by_number(0).is_err() && image.inode_by_number(count + 1).is_err());
}

#[test]
fn files_are_read_in_pieces_of_any_size() {
    let mut image = Image::open(Cursor::new(written(
        Compression::Gzip(GzipLevel::MAX),
        4096,
    )))
    .expect("sound");
    let inode = image.lookup(b"blocks").expect("sound").expect("there");
    let InodeKind::File(file) = inode.kind else {
        panic!("{inode:?}");
    };
    for size in [1, 7, 4096, 5000, 100_000] {
        let mut reader = image.read(&file);
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; size]);
        loop {
            let length = reader.read(&mut buffer).expect("content");
            if length == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..length]);
        }
        assert!(bytes == text(8197), "{size}");
    }
}

#[test]
fn an_image_may_lie_inside_another_file() {
    let mut bytes = b"an archive's header ".to_vec();
    let start = bytes.len() as u64;
    bytes.extend_from_slice(&plain());
    bytes.extend_from_slice(b"and what follows");
    assert!(Image::open(Cursor::new(&bytes)).is_err());
    let mut image = Image::open_at(Cursor::new(&bytes), start).expect("sound");
    assert_eq!(tree_in(&mut image).len(), 9);
}
