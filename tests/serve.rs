//! `storeboot serve` in a LAN whose DHCP server knows nothing of booting: the firmware of machines without a disk does
//! the rest. Each LAN is in a network namespace, so root is needed; this machine's own network stays as it is.

#[path = "serve/killed.rs"]
mod killed;
#[path = "serve/machine.rs"]
mod machine;
#[path = "serve/print.rs"]
mod print;
#[path = "serve/server.rs"]
mod server;

use std::path::Path;

use storeboot_index::Layout;
use storeboot_tests::lan::Lan;

use machine::Firmware;
use server::{ADDRESS, SECOND, Server, netboot, system};

/// A DHCP server that hands out addresses, and a port for a machine. By this system's default, sockets of IPv6 do not
/// have the addresses of IPv4.
const LAN: &str = "\
echo 1 >/proc/sys/net/ipv6/bindv6only
ip address add 192.0.2.1/24 dev lan
ip address add 192.0.2.2/24 dev lan
serve --port=0 --dhcp-range=192.0.2.100,192.0.2.150,1h
port tap0
";

// Each firmware once, and each layout: what the firmware loads does not depend on the layout.

#[test]
fn bios_with_ipxe_in_the_card() {
    boots(Firmware::Bios, Layout::Fetch);
}

/// And the server listens at the second of its addresses in the LAN only: machines find HTTP and TFTP there.
#[test]
fn uefi_pxe() {
    boots_from(Firmware::UefiPxe, Layout::InPlace, Some(SECOND));
}

#[test]
fn uefi_http() {
    boots(Firmware::UefiHttp, Layout::Direct);
}

#[test]
fn uefi_arm64_pxe() {
    boots(Firmware::UefiArm64Pxe, Layout::Fetch);
}

fn boots(firmware: Firmware, layout: Layout) {
    boots_from(firmware, layout, None);
}

fn boots_from(firmware: Firmware, layout: Layout, listen: Option<&str>) {
    let Some(system) = system(firmware.architecture()) else {
        return;
    };
    let (Some(machine), Some(ipxe)) = (firmware.machine(0), firmware.ipxe()) else {
        return;
    };
    let Some(lan) = Lan::new(LAN) else { return };
    let netboot = netboot(system, layout);
    let mut arguments = vec![netboot, Path::new("--ipxe"), &ipxe];
    arguments.extend(
        listen
            .iter()
            .flat_map(|place| ["--listen", place])
            .map(Path::new),
    );
    let server = Server::start(&lan, &arguments);
    let boot = machine::boot(&lan, &machine);
    system.is_booted(&boot, layout);
    server.told(firmware, listen.unwrap_or(ADDRESS));
}

/// The same without proxyDHCP: the DHCP server was told what `--print dnsmasq` writes.
fn boots_by_dnsmasq(firmware: Firmware) {
    let Some(system) = system(firmware.architecture()) else {
        return;
    };
    let (Some(machine), Some(_)) = (firmware.machine(0), firmware.ipxe()) else {
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
    let arguments = ["--dhcp=off", "--listen", ADDRESS].map(Path::new);
    let server = Server::start(&lan, &[&[netboot], &arguments[..]].concat());
    let boot = machine::boot(&lan, &machine);
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
