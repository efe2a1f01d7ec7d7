//! What the initrd tells stage 1: the index, the hashes of chunks, the drivers, the parts of large files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_index::{Chunks, Drivers, Image, Index, PartedFile};

fuzz_target!(|data: &[u8]| {
    if let Ok(index) = Index::parse(data) {
        assert_eq!(
            Index::parse(index.to_string().as_bytes()),
            Ok(index.clone())
        );
        let _: Result<_, _> = Chunks::parse(data, &index.images);
    }
    let images: &[Image] = &[];
    let _: Result<_, _> = Chunks::parse(data, images);
    if let Ok(drivers) = Drivers::parse(data) {
        assert_eq!(Drivers::parse(drivers.to_string().as_bytes()), Ok(drivers));
    }
    if let Ok(file) = PartedFile::parse(data) {
        assert_eq!(PartedFile::parse(file.to_string().as_bytes()), Ok(file));
    }
});
