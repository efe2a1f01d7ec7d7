//! The attributes of a derivation whose builder is storeboot.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| storeboot::fuzzing::attributes(data));
