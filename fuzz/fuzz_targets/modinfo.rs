//! Kernel modules, of which `.modinfo` is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| storeboot::fuzzing::modinfo(data));
