//! What machines send to the ports of DHCP and of PXE's boot servers, as a message and as a raw socket gets it.
#![no_main]

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use storeboot_serve::Loaders;
use storeboot_serve::dhcp::{Answer, BOOT_SERVER, DHCP, Place, answer, unpack};

const PLACE: Place = Place {
    address: Ipv4Addr::new(192, 0, 2, 1),
    http: 8080,
    tftp: true,
};
const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
/// Where the options begin, and the number before them that says that they are options.
const OPTIONS_AT: usize = 240;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

fuzz_target!(|data: &[u8]| {
    for port in [DHCP, BOOT_SERVER] {
        if let Some((message, _)) = unpack(data, port) {
            assert!(message.len() <= data.len());
            check(message, port);
        }
        check(data, port);
        // Most messages have a right head, or the checks would hide what comes after it.
        let mut message = vec![0; OPTIONS_AT];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[OPTIONS_AT - MAGIC.len()..].copy_from_slice(&MAGIC);
        message.extend(data);
        check(&message, port);
        // With the words that make it a question of firmware.
        let kind = if port == DHCP { 1 } else { 3 };
        message.truncate(OPTIONS_AT);
        message.extend([53, 1, kind, 60, 9]);
        message.extend(b"PXEClient");
        message.extend([93, 2, 0, 0]);
        message.extend(data);
        check(&message, port);
    }
});

fn check(asked: &[u8], port: u16) {
    match answer(asked, port, FROM, PLACE, loaders()) {
        Answer::Nothing => {}
        Answer::Refused { reason, .. } => assert!(!reason.is_empty()),
        Answer::Told { what, message, .. } => {
            assert!(!what.is_empty() && message.len() >= 300);
            assert_eq!(message[0], 2, "it is a reply");
            assert_eq!(message[4..8], asked[4..8], "it is of the same transaction");
            assert_eq!(message[16..20], [0; 4], "it hands out no address");
        }
    }
}

fn loaders() -> &'static Loaders {
    static LOADERS: OnceLock<Loaders> = OnceLock::new();
    LOADERS.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("storeboot-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("undionly.kpxe"), "a loader").expect("a file");
        let loaders = Loaders::find(&[&folder]);
        fs::remove_dir_all(&folder).expect("the folder");
        loaders
    })
}
