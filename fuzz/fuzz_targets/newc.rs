//! newc archives, as they are read of initrds.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use storeboot_cpio::Reader;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    let mut read = 0;
    loop {
        match reader.next_entry() {
            Ok(Some(mut entry)) => {
                let _: Result<_, _> = entry.target();
                let mut content = Vec::new();
                let _: Result<_, _> = entry.read_to_end(&mut content);
                read += content.len();
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
    }
    assert!(read <= data.len(), "no more comes out than went in");
});
