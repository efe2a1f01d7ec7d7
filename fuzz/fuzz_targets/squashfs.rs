//! Store images: everything in them, and all that their files hold.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use storeboot_squashfs::reader::{Image, InodeKind};

/// A small image can describe a file of any size, most of it holes.
const MOST: u64 = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(mut image) = Image::open(Cursor::new(data)) else {
        return;
    };
    let mut walk = image.walk();
    // An image may list one directory in many places.
    for _ in 0..2000 {
        match walk.next(&mut image) {
            Ok(Some(found)) => {
                assert!(!found.path.contains(&0));
                if let InodeKind::File(file) = &found.inode.kind {
                    let mut content = image.read(file).take(MOST);
                    let _: Result<_, _> = std::io::copy(&mut content, &mut std::io::sink());
                }
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    let _: Result<_, _> = image.lookup(b"nix-path-registration");
});
