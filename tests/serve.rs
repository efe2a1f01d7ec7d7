//! `storeboot serve` in a LAN whose DHCP server knows nothing of booting: the firmware of machines without a disk does
//! the rest. Each LAN is in a network namespace, so root is needed; this machine's own network stays as it is.

// What the tests of layout `fetch` have in their LANs, these need only in part.
#[path = "serve/machine.rs"]
mod machine;
#[expect(dead_code)]
#[path = "lan/network.rs"]
mod network;
#[path = "serve/print.rs"]
mod print;
#[path = "serve/server.rs"]
mod server;

use storeboot_index::Layout;
use storeboot_tests::command::installed;

use machine::Firmware;
use network::Lan;
use server::{ADDRESS, Server, netboot, system};

/// A DHCP server that hands out addresses, and a port for a machine.
const LAN: &str = "\
ip address add 192.0.2.1/24 dev lan
serve --port=0 --dhcp-range=192.0.2.100,192.0.2.150,1h
port tap0
";

/// Makes a test for each layout.
macro_rules! boots {
    ($($name:ident = $firmware:expr;)*) => {
        $(mod $name {
            use super::{Firmware, Layout, boots};

            #[test]
            fn in_place() {
                boots($firmware, Layout::InPlace);
            }

            #[test]
            fn file() {
                boots($firmware, Layout::File);
            }

            #[test]
            fn direct() {
                boots($firmware, Layout::Direct);
            }

            #[test]
            fn fetch() {
                boots($firmware, Layout::Fetch);
            }
        })*
    };
}

boots! {
    bios_with_ipxe_in_the_card = Firmware::Bios;
    uefi_pxe = Firmware::UefiPxe;
    uefi_http = Firmware::UefiHttp;
}

fn boots(firmware: Firmware, layout: Layout) {
    let Some(system) = system() else { return };
    let (Some(firmware_file), Some(_)) = (firmware.file(), installed(&["/usr/lib/ipxe/ipxe.efi"]))
    else {
        return;
    };
    let Some(lan) = Lan::new(LAN) else { return };
    let server = Server::start(&lan, netboot(system, layout), &[]);
    let boot = machine::boot(&lan, firmware_file);
    system.is_booted(&boot, layout);
    server.told(firmware);
}

/// The same without proxyDHCP: the DHCP server was told what `--print dnsmasq` writes.
fn boots_by_dnsmasq(firmware: Firmware) {
    let Some(system) = system() else { return };
    let (Some(firmware_file), Some(_)) = (firmware.file(), installed(&["/usr/lib/ipxe/ipxe.efi"]))
    else {
        return;
    };
    // On dnsmasq's command line, lines have hyphens before them.
    let printed = print::printed("dnsmasq");
    let told = printed.lines().filter(|line| !line.starts_with('#'));
    let told: String = told.map(|line| format!(" '--{line}'")).collect();
    let settings = LAN.replace(",1h\n", &format!(",1h{told}\n"));
    let Some(lan) = Lan::new(&settings) else {
        return;
    };
    let netboot = netboot(system, Layout::File);
    let server = Server::start(&lan, netboot, &["--dhcp=off", "--listen", ADDRESS]);
    let boot = machine::boot(&lan, firmware_file);
    system.is_booted(&boot, Layout::File);
    assert!(
        !server.log().contains("asks how to boot"),
        "{}",
        server.log()
    );
}

#[test]
fn dnsmasq_for_bios() {
    boots_by_dnsmasq(Firmware::Bios);
}

#[test]
fn dnsmasq_for_uefi_pxe() {
    boots_by_dnsmasq(Firmware::UefiPxe);
}

#[test]
fn dnsmasq_for_uefi_http() {
    boots_by_dnsmasq(Firmware::UefiHttp);
}
