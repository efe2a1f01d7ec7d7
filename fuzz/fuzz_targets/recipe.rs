//! The recipes of store paths in a cache.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| storeboot::fuzzing::recipe(data));
