//! Boot profiles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot::Profile;

fuzz_target!(|text: &[u8]| {
    if let Ok(profile) = Profile::parse(text) {
        assert!(profile.len() <= text.split(|&byte| byte == b'\n').count());
    }
});
