//! What the kernel hands on of a router advertisement.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storeboot_netconf::router::Advertised;

fuzz_target!(|data: &[u8]| {
    let _: Result<_, _> = Advertised::read(data);

    // The same bytes as options, for the header hides most of them.
    let data = &data[..data.len().min(2048)];
    let len = u16::try_from(data.len()).expect("at most 2048");
    let mut message = vec![10, 0];
    message.extend(len.to_ne_bytes());
    message.extend([2, 0, 0, 0, 134, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(data);
    if let Ok(advertised) = Advertised::read(&message) {
        assert!(advertised.name_servers.len() <= 8);
        assert!(
            advertised
                .mtu
                .is_none_or(|mtu| (1280..=65535).contains(&mtu))
        );
    }
});
