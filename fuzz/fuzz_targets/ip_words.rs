//! The words of the kernel command line that set up the network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_netconf::words::{Method, Settings};

fuzz_target!(|text: &str| {
    let settings = Settings::parse(text.split_ascii_whitespace());
    for configuration in &settings.configurations {
        if let Method::Static(network) = &configuration.method {
            let longest = if network.address.is_ipv4() { 32 } else { 128 };
            assert!(network.prefix_len <= longest);
        }
    }
    for problem in &settings.problems {
        assert!(problem.to_string().contains(&problem.word));
    }
});
