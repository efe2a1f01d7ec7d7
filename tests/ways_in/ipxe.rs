//! iPXE over HTTP: the network card's ROM fetches a script, and the script everything else.

use std::fs;
use std::path::Path;

use storeboot_index::Layout;
use storeboot_tests::http::{Fault, Site};
use storeboot_tests::qemu::{LIMIT, Machine};

use crate::machine::{self, Firmware, network_card};
use crate::systems::{arrived_from, netboot, netboot_with_odd_words, store_url, system};

pub fn http_bios(layout: Layout) {
    boots_on_second_try(layout, Firmware::Bios, ("initrd", Fault::CutOff));
}

pub fn http_uefi(layout: Layout) {
    boots_on_second_try(
        layout,
        Firmware::Uefi,
        ("bzImage", Fault::Unavailable(None)),
    );
}

pub fn segments_bios(layout: Layout) {
    segments(layout, Firmware::Bios);
}

pub fn segments_uefi(layout: Layout) {
    segments(layout, Firmware::Uefi);
}

/// A download fails once, and the command line has all that iPXE would change if it were not quoted.
fn boots_on_second_try(layout: Layout, firmware: Firmware, fault: (&'static str, Fault)) {
    let Some(system) = system() else { return };
    let netboot = netboot_with_odd_words(system, layout);
    boots(layout, firmware, netboot, "netboot.ipxe", Some(fault));
}

fn segments(layout: Layout, firmware: Firmware) {
    let Some(system) = system() else { return };
    let netboot = netboot(system, layout);
    boots(layout, firmware, netboot, "netboot-segments.ipxe", None);
}

fn boots(
    layout: Layout,
    firmware: Firmware,
    netboot: &Path,
    script: &str,
    fault: Option<(&'static str, Fault)>,
) {
    let Some(system) = system() else { return };
    // As a menu does that chains to ours: what it has in `cmdline` gets to the kernel.
    let mut menu = "#!ipxe\nset cmdline way=ipxe\n".to_owned();
    if layout == Layout::Fetch {
        // Older versions of iPXE, such as Debian's, do not know where a script came from.
        menu += &format!("set store-url {}\n", store_url(netboot));
    }
    menu += &format!("chain {script}\n");
    let tries_again = fault.is_some();
    let mut site = Site::of(netboot).text("menu.ipxe", menu);
    if let Some((name, fault)) = fault {
        site = site.fault(name, 1, fault);
    }
    let server = site.serve();
    let network = format!("user,id=net,bootfile={}", server.url("menu.ipxe"));
    let devices = ["-netdev", &network, "-device", &network_card()];
    let Some(boot) = machine::boot(firmware, &devices) else {
        return;
    };
    arrived_from(netboot, system, &boot, layout, "ipxe");
    let tried_again = boot.console.contains("storeboot: a download failed");
    assert_eq!(tried_again, tries_again, "{boot}");

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

/// The iPXE of Debian has no `imgverify`. A script that asks for it ends there, before anything is started.
pub fn ends_where_nothing_is_checked() {
    let Some(system) = system() else { return };
    let netboot = system.build("imgverify", Layout::File, &["--imgverify".as_ref()]);
    let server = Site::of(&netboot).serve();
    let network = format!("user,id=net,bootfile={}", server.url("netboot.ipxe"));
    let mut machine = Machine::new()
        .argument("-netdev")
        .argument(network)
        .argument("-device")
        .argument(network_card())
        .start();
    machine.wait_for("does not trust the file", LIMIT);
    machine.wait_for("press a key", LIMIT);
    assert!(!server.asked().contains(&"initrd".to_owned()));
}

/// The files that a script loads as the initrd.
fn initrds(script: &str) -> impl Iterator<Item = String> {
    let names = script
        .lines()
        .filter_map(|line| line.strip_prefix("initrd ")?.split(' ').next());
    names.map(str::to_owned)
}
