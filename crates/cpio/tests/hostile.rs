//! Whatever the bytes, the reader ends, does not panic, and says how far it came.

use std::io::Read;

use proptest::prelude::*;
use storeboot_cpio::{Metadata, Reader, Writer};

fn walk(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut before = 0;
    let mut read = 0_u64;
    while let Ok(Some(mut entry)) = reader.next_entry() {
        let _ = entry.target();
        if read.is_multiple_of(2) {
            let _ = entry.read_to_end(&mut Vec::new());
        }
        read += 1;
        // It gets on with every member.
        assert!(reader.position() > before);
        before = reader.position();
    }
    assert!(reader.position() <= bytes.len() as u64);
    assert!(reader.next_entry().is_err() || reader.position() > 0);
}

fn good() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.directory("dir", &Metadata::directory()).unwrap();
    writer
        .symlink("dir/link", &Metadata::symlink(), "file")
        .unwrap();
    writer
        .hard_links(&["dir/a", "dir/b"], &Metadata::file(), 9, &b"some data"[..])
        .unwrap();
    writer
        .aligned_file("image", &Metadata::file(), 64, 5, &b"12345"[..])
        .unwrap();
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        walk(&bytes);
    }

    #[test]
    fn random_bytes_after_a_magic_number(
        digits in prop::collection::vec(prop::sample::select(b"0123456789abcdefABCDEFg\0".to_vec()), 0..300),
    ) {
        walk(&[b"070701", &digits[..]].concat());
    }

    #[test]
    fn a_good_archive_with_changed_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = good();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        walk(&bytes);
    }
}
