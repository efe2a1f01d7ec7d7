//! iPXE over HTTP: the network card's ROM fetches a script, and the script everything else.

use std::fs;

use storeboot_index::Layout;

use crate::http::Server;
use crate::machine::{self, Firmware, network_card};
use crate::systems::{arrived, netboot, system};

pub fn http_bios(layout: Layout) {
    boots(layout, Firmware::Bios, "netboot.ipxe");
}

pub fn http_uefi(layout: Layout) {
    boots(layout, Firmware::Uefi, "netboot.ipxe");
}

pub fn segments_bios(layout: Layout) {
    boots(layout, Firmware::Bios, "netboot-segments.ipxe");
}

pub fn segments_uefi(layout: Layout) {
    boots(layout, Firmware::Uefi, "netboot-segments.ipxe");
}

fn boots(layout: Layout, firmware: Firmware, script: &str) {
    let Some(system) = system() else { return };
    let netboot = netboot(system, layout);
    // As a menu does that chains to ours: what it has in `cmdline` gets to the kernel.
    let menu = format!("#!ipxe\nset cmdline way=ipxe\nchain {script}\n");
    let server = Server::start(netboot, "menu.ipxe", menu);
    let network = format!("user,id=net,bootfile={}", server.url("menu.ipxe"));
    let devices = ["-netdev", &network, "-device", &network_card()];
    let Some(boot) = machine::boot(firmware, &devices) else {
        return;
    };
    arrived(system, &boot, layout, "ipxe");

    let mut expected = vec![
        "menu.ipxe".to_owned(),
        script.to_owned(),
        "bzImage".to_owned(),
    ];
    expected.extend(initrds(
        &fs::read_to_string(netboot.join(script)).expect("a script"),
    ));
    assert_eq!(server.asked(), expected, "{boot}");
}

/// The files that a script loads as the initrd.
fn initrds(script: &str) -> impl Iterator<Item = String> {
    let names = script
        .lines()
        .filter_map(|line| line.strip_prefix("initrd "));
    names.map(str::to_owned)
}
