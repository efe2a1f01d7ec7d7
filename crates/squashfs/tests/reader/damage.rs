//! Images that are cut off, damaged, or made to mislead.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use proptest::prelude::*;
use storeboot_squashfs::reader::{Image, InodeKind, ReadError};
use storeboot_squashfs::{Compression, ZstdLevel, format};

use crate::our_writer::{plain, written};

fn open_error(bytes: &[u8]) -> ReadError {
    Image::open(Cursor::new(bytes)).err().expect("an error")
}

#[test]
fn a_cut_off_image_tells_both_sizes() {
    let bytes = plain();
    let used = u64::from_le_bytes(bytes[40..48].try_into().expect("8 bytes"));
    let error = open_error(&bytes[..1000]);
    assert!(
        matches!(error, ReadError::CutOff { expected, found: 1000 } if expected == used),
        "{error}"
    );
    assert!(matches!(open_error(&bytes[..95]), ReadError::NotSquashfs));
    assert!(matches!(open_error(&[0; 4096]), ReadError::NotSquashfs));
}

/// Where an entry's name is in an image whose metadata is stored as it is.
fn entry_at(image: &[u8], name: &str) -> usize {
    let table = u64::from_le_bytes(image[72..80].try_into().expect("8 bytes")) as usize;
    let names = image[table..]
        .windows(name.len())
        .position(|window| window == name.as_bytes());
    table + names.expect(name) - 8
}

fn walk_error(bytes: &[u8]) -> ReadError {
    let mut image = Image::open(Cursor::new(bytes)).expect("opens");
    let mut walk = image.walk();
    loop {
        match walk.next(&mut image) {
            Ok(found) => assert!(found.is_some(), "no error"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_directory_has_one_place_in_the_tree() {
    let sound = plain();
    // `other` leads to `one`: both are entries of the root, in one run.
    let (one, other) = (entry_at(&sound, "one"), entry_at(&sound, "other"));
    let mut bytes = sound.clone();
    bytes.copy_within(one..one + 4, other);
    assert!(walk_error(&bytes).to_string().contains("second place"));
    // `two` leads to the root, which it is in.
    let mut bytes = sound.clone();
    let two = entry_at(&sound, "two");
    bytes.copy_within(32..34, two); // the offset of the root's inode
    let error = walk_error(&bytes).to_string();
    assert!(error.contains("second place"), "{error}");
    // `two` leads to `one`, which it is in.
    let mut bytes = sound.clone();
    bytes.copy_within(one..one + 2, two);
    let error = walk_error(&bytes).to_string();
    assert!(error.contains("second place"), "{error}");
}

#[test]
fn damage_is_named() {
    let sound = plain();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = sound.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        walk_error(&bytes).to_string()
    };
    let hole = entry_at(&sound, "hole");
    assert!(with(hole + 8, b"ho/e").contains("impossible name"));
    assert!(with(hole + 8, b"hol\0").contains("impossible name"));
    assert!(with(hole + 8, b"aaaa").contains("out of order"));
    assert!(with(hole + 4, &[9]).contains("unknown type 9"));
    assert!(with(hole + 4, &[3]).contains("should be the inode"));
    assert!(with(hole + 6, &[0xff, 0xff]).contains("65536 bytes"));
    assert!(with(hole, &[0xff, 0xff]).contains("byte 65535 of this metadata block"));
    let inodes = u64::from_le_bytes(sound[64..72].try_into().expect("8 bytes")) as usize;
    assert!(with(inodes, &[0, 0]).contains("cannot have 0 bytes"));
    assert!(with(inodes, &[0xff, 0xff]).contains("cannot have 32767 bytes"));
    assert!(with(inodes + 2, &[99]).contains("unknown type 99"));
    let open = |at: usize, new: u64| {
        let mut bytes = sound.clone();
        bytes[at..at + 8].copy_from_slice(&new.to_le_bytes());
        open_error(&bytes).to_string()
    };
    assert!(open(64, u64::MAX).contains("tables"));
    assert!(open(72, 96).contains("tables"));
    assert!(open(48, u64::MAX).contains("8 bytes should be here"));
    assert!(open(88, format::SUPERBLOCK_SIZE as u64).contains("table"));
}

#[test]
fn a_damaged_file_never_reads_as_a_whole_one() {
    let sound = written(Compression::Zstd(ZstdLevel::MIN), 4096);
    let mut image = Image::open(Cursor::new(&sound)).expect("sound");
    let inode = image.lookup(b"blocks").expect("sound").expect("there");
    let InodeKind::File(file) = inode.kind else {
        panic!("{inode:?}");
    };
    let mut bytes = sound.clone();
    // The first block of the first file: after the superblock and the compressor's options.
    bytes[102..110].fill(0xff);
    let mut image = Image::open(Cursor::new(&bytes)).expect("opens");
    let mut reader = image.read(&file);
    let mut buffer = [0; 100];
    for _ in 0..3 {
        let error = reader.read(&mut buffer).expect_err("damage");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

/// Reads everything there is in an image, as long as it is not unreasonable. It may fail, and must end.
fn read_all(bytes: &[u8]) {
    let Ok(mut image) = Image::open(Cursor::new(bytes)) else {
        return;
    };
    let mut walk = image.walk();
    // More steps than there are bytes cannot be: every inode takes some.
    for step in 0.. {
        assert!(step <= bytes.len(), "the walk does not end");
        match walk.next(&mut image) {
            Ok(None) => break,
            Ok(Some(found)) => {
                if let InodeKind::File(file) = &found.inode.kind {
                    let _ =
                        std::io::copy(&mut image.read(file).take(1 << 20), &mut std::io::sink());
                }
            }
            Err(_) => {}
        }
    }
    for number in 0..40 {
        let _ = image.inode_by_number(number);
    }
}

/// The one whose tables are stored as they are is there twice, as most can be done to it.
static IMAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let forms = ["none", "none", "gzip:1", "lz4:1", "zstd:1"];
    forms
        .map(|form| written(form.parse().expect(form), 4096))
        .into()
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn flipped_bytes_never_panic_nor_loop(
        form in 0_usize..IMAGES.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = IMAGES[form].clone();
        // Half of the flips go where the tables are: everything after the files' blocks, and the superblock.
        let inodes = u64::from_le_bytes(bytes[64..72].try_into().expect("8 bytes")) as usize;
        let used = u64::from_le_bytes(bytes[40..48].try_into().expect("8 bytes")) as usize;
        for (at, tables, value) in flips {
            let at = match tables {
                true => match at.index(used - inodes + 96) {
                    at if at < 96 => at,
                    at => at - 96 + inodes,
                },
                false => at.index(used),
            };
            bytes[at] = value;
        }
        read_all(&bytes);
    }
}
