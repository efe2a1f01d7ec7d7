//! An image whose codec was left out of the program is an error that names the codec.

use std::io::Cursor;

use storeboot_squashfs::format::{NO_TABLE, Superblock, compressor};
use storeboot_squashfs::reader::{Image, ReadError};

/// A superblock without anything after it.
fn superblock(compressor: u16) -> Vec<u8> {
    let superblock = Superblock {
        inode_count: 1,
        mod_time: 1,
        block_size: 4096,
        fragment_count: 0,
        compressor,
        flags: 0,
        id_count: 1,
        root_inode: 0,
        bytes_used: 96,
        id_table_start: 96,
        xattr_id_table_start: NO_TABLE,
        inode_table_start: 96,
        directory_table_start: 96,
        fragment_table_start: NO_TABLE,
        export_table_start: NO_TABLE,
    };
    superblock.encode().to_vec()
}

#[test]
fn a_codec_that_was_left_out_is_named() {
    for (number, codec, built_in) in [
        (compressor::GZIP, "gzip", cfg!(feature = "gzip")),
        (compressor::XZ, "xz", cfg!(feature = "xz")),
        (compressor::LZ4, "lz4", cfg!(feature = "lz4")),
        (compressor::ZSTD, "zstd", cfg!(feature = "zstd")),
    ] {
        let image = Image::open(Cursor::new(superblock(number)));
        let error = image.err().expect("there is nothing in it");
        match &error {
            ReadError::CodecLeftOut { name } => assert!(*name == codec && !built_in, "{error}"),
            other => assert!(built_in, "{other}"),
        }
    }
}

#[test]
fn a_compressor_that_is_unknown_is_named() {
    for (number, named) in [(2, "lzma"), (3, "lzo"), (99, "99")] {
        let image = Image::open(Cursor::new(superblock(number)));
        let error = image.err().expect("it is unknown");
        assert!(matches!(error, ReadError::Compressor { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
