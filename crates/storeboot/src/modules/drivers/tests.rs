use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::modules::tests::{Fixture, RELEASE};

fn collect(fixture: &Fixture, network: &[&str], disk: &[&str]) -> Result<DriverSet, ModulesError> {
    let owned =
        |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).into()).collect() };
    let request = DriverRequest {
        network: &owned(network),
        disk: &owned(disk),
        firmware: None,
    };
    collect_drivers(fixture.root(), RELEASE, &request)
}

/// Each driver with its class and the names of its modules.
fn shown(set: &DriverSet) -> Vec<String> {
    let module = |file: &usize| {
        let name = &set.modules[*file].name;
        assert_eq!(
            set.drivers.files[*file],
            format!("storeboot/modules/{name}.ko")
        );
        name.as_str()
    };
    let drivers = set.drivers.drivers.iter();
    drivers
        .map(|driver| {
            let files: Vec<&str> = driver.files.iter().map(module).collect();
            format!("{} {}: {}", driver.class, driver.name, files.join(" "))
        })
        .collect()
}

fn virtual_machine() -> Fixture {
    Fixture::new()
        .module("drivers/virtio/virtio.ko", &[])
        .module(
            "drivers/virtio/virtio_pci.ko",
            &["depends=virtio", "alias=pci:v00001AF4d*sv*sd*bc*sc*i*"],
        )
        .module(
            "drivers/net/virtio_net.ko.xz",
            &["depends=virtio,net_failover", "alias=virtio:d00000001v*"],
        )
        .module("drivers/net/net_failover.ko", &[])
        .module("drivers/net/veth.ko", &["alias=rtnl-link-veth"])
        .module(
            "drivers/block/virtio_blk.ko",
            &["depends=virtio", "alias=virtio:d00000002v*"],
        )
        .module("net/packet/af_packet.ko", &["alias=net-pf-17"])
        .module("fs/fat/fat.ko", &[])
        .module("fs/fat/vfat.ko", &["depends=fat", "alias=fs-vfat"])
        .module("fs/nls/nls_cp437.ko", &[])
        .module("fs/nls/nls_iso8859-1.ko", &[])
}

#[test]
fn a_driver_brings_its_bus_and_what_is_loaded_by_name() {
    let fixture = virtual_machine();
    let set = collect(&fixture, &["virtio-net"], &[]).expect("drivers");
    assert_eq!(
        shown(&set),
        [
            "named af_packet: af_packet",
            "network virtio_net: virtio net_failover virtio_net",
            "bus virtio_pci: virtio virtio_pci",
        ]
    );
    assert_eq!(set.drivers.drivers[1].aliases, ["virtio:d00000001v*"]);
    assert!(
        set.drivers.drivers[0].aliases.is_empty(),
        "net-pf-17 is no device"
    );
    let set = collect(&fixture, &[], &["common"]).expect("drivers");
    assert_eq!(
        shown(&set),
        [
            "named vfat: fat vfat nls_cp437 nls_iso8859_1",
            "disk virtio_blk: virtio virtio_blk",
            "bus virtio_pci: virtio virtio_pci",
        ]
    );
    assert_eq!(collect(&fixture, &[], &[]).expect("none").modules, []);
}

#[test]
fn shared_modules_are_there_once_and_the_order_of_words_does_not_matter() {
    let fixture = virtual_machine();
    let one = collect(
        &fixture,
        &["virtio_net", "veth", "all"],
        &["all", "virtio_net"],
    );
    let other = collect(
        &fixture,
        &["all", "veth", "virtio-net", "veth"],
        &["virtio_net", "all"],
    );
    let (one, other) = (one.expect("drivers"), other.expect("drivers"));
    assert_eq!(one.drivers, other.drivers);
    assert_eq!(one.modules, other.modules);
    let virtio = one.modules.iter().filter(|module| module.name == "virtio");
    assert_eq!(virtio.count(), 1);
    let shown = shown(&one);
    assert!(
        shown.contains(&"bus virtio_net: virtio net_failover virtio_net".into()),
        "{shown:?}"
    );
    assert!(shown.contains(&"network veth: veth".into()), "{shown:?}");
}

#[test]
fn all_is_every_wired_card_and_no_other() {
    let fixture = Fixture::new()
        .module("drivers/net/ethernet/a/lib_a.ko", &[])
        .module(
            "drivers/net/ethernet/a/b/card-b.ko.zst",
            &["depends=lib-a", "alias=pci:v1d2*"],
        )
        .module(
            "drivers/net/ethernet/a/card_cs.ko",
            &["alias=pcmcia:m*c*f*"],
        )
        .module(
            "drivers/net/usb/dongle.ko",
            &["alias=usb:v1p2*", "softdep=pre: realtek"],
        )
        .module("drivers/net/usb/qmi_wwan.ko", &["alias=usb:v3p4*"])
        .module(
            "drivers/net/phy/realtek.ko",
            &["alias=mdio:000000000001110011001?????????????"],
        )
        .module("drivers/net/wireless/wifi.ko", &["alias=pci:v5d6*"])
        .module("drivers/net/can/bus.ko", &["alias=pci:v5d7*"])
        .module(
            "drivers/usb/host/xhci-pci.ko",
            &["depends=xhci-hcd", "alias=pci:v*d*bc0Csc03i30*"],
        )
        .module("drivers/usb/host/xhci-hcd.ko", &[])
        .module("drivers/scsi/sd_mod.ko", &["alias=scsi:t-0x00*"])
        .module("drivers/mfd/reader.ko", &["alias=pci:v7d8*"])
        .module(
            "drivers/mmc/host/reader_mmc.ko",
            &["depends=reader", "alias=platform:reader_mmc"],
        )
        .module(
            "drivers/regulator/fixed.ko",
            &["alias=of:N*T*Cregulator-fixed"],
        )
        .module("drivers/regulator/other.ko", &["alias=platform:other"])
        .module("drivers/scsi/sr_mod.ko", &["alias=scsi:t-0x05*"]);
    let set = collect(&fixture, &["all"], &[]).expect("drivers");
    assert_eq!(
        shown(&set),
        [
            "network card_b: lib_a card_b",
            "network dongle: realtek dongle",
            "bus fixed: fixed",
            "network realtek: realtek",
            "bus xhci_pci: xhci_hcd xhci_pci",
        ]
    );
    let set = collect(&fixture, &[], &["all"]).expect("drivers");
    assert_eq!(
        shown(&set),
        [
            "bus fixed: fixed",
            // Its device hangs on the reader's, which no list names.
            "bus reader: reader",
            "disk reader_mmc: reader reader_mmc",
            "disk sd_mod: sd_mod",
        ]
    );
}

#[test]
fn what_is_named_must_be_there() {
    let fixture = virtual_machine();
    fixture.write("modules.builtin", b"kernel/drivers/net/ethernet/e1000.ko\n");
    let error = collect(&fixture, &["common", "e1000e"], &[]).expect_err("it is missing");
    assert!(error.to_string().contains("no module e1000e"), "{error}");
    let error = collect(&fixture, &["../e1000"], &[]).expect_err("no name");
    assert!(matches!(error, ModulesError::Name { .. }), "{error}");
    let set = collect(&fixture, &["e1000"], &[]).expect("it is built in");
    assert_eq!(set.builtin, ["e1000"]);
    assert_eq!(shown(&set), ["named af_packet: af_packet"]);
}

#[test]
fn drivers_come_in_the_order_of_the_kernel() {
    let card = |name: &str| format!("drivers/net/ethernet/{name}.ko");
    let alias = ["alias=pci:v1d2*"];
    let fixture = ["a", "b", "c", "d"]
        .iter()
        .fold(Fixture::new(), |fixture, name| {
            fixture.module(&card(name), &alias)
        });
    fixture.write(
        "modules.order",
        b"kernel/drivers/net/ethernet/d.ko\nkernel/drivers/net/ethernet/b.o\nkernel/drivers/net/ethernet/a.ko\n",
    );
    let set = collect(&fixture, &["all"], &[]).expect("drivers");
    let order: Vec<&str> = set
        .drivers
        .drivers
        .iter()
        .map(|driver| driver.name.as_str())
        .collect();
    assert_eq!(order, ["d", "a", "b", "c"]);
}

#[test]
fn a_card_gets_what_its_driver_would_have_asked_modprobe_for() {
    let fixture = Fixture::new()
        .module(
            "drivers/net/ethernet/mellanox/mlx4_core.ko",
            &["alias=pci:v1d2*"],
        )
        .module(
            "drivers/net/ethernet/mellanox/mlx4_en.ko",
            &["depends=mlx4_core,ptp"],
        )
        .module("drivers/ptp/ptp.ko", &[]);
    let set = collect(&fixture, &["mlx4_core"], &[]).expect("drivers");
    assert_eq!(shown(&set), ["network mlx4_core: mlx4_core ptp mlx4_en"]);
}

#[test]
fn firmware_is_found_and_what_is_missing_is_named() {
    let names = [
        "a/plain.bin",
        "a/packed.bin",
        "b/link.bin",
        "b/dangling.bin",
        "b",
        "../secret",
        "none.bin",
    ];
    let entries: Vec<String> = ["alias=pci:v1d2*".into()]
        .into_iter()
        .chain(names.iter().map(|name| format!("firmware={name}")))
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let fixture = Fixture::new().module("drivers/net/ethernet/card.ko", &entries);
    let outside = TempDir::new().expect("a folder");
    fs::write(outside.path().join("secret"), "no firmware").expect("write");
    let folder = outside.path().join("firmware");
    let below = folder.join("lib/firmware");
    fs::create_dir_all(below.join("a")).expect("folders");
    fs::create_dir_all(folder.join("b")).expect("folders");
    fs::write(below.join("a/plain.bin"), "1").expect("write");
    fs::write(below.join("a/plain.bin.xz"), "2").expect("write");
    fs::write(below.join("a/packed.bin.xz"), "3").expect("write");
    symlink("../lib/firmware/a/plain.bin", folder.join("b/link.bin")).expect("a link");
    symlink("nowhere", folder.join("b/dangling.bin")).expect("a link");
    let network = ["card".to_owned()];
    let collect = |firmware| {
        let request = DriverRequest {
            network: &network,
            firmware,
            ..DriverRequest::default()
        };
        collect_drivers(fixture.root(), RELEASE, &request)
    };
    let set = collect(Some(&folder)).expect("drivers");
    let file = |name: &str, path| Firmware {
        name: format!("lib/firmware/{name}"),
        path,
    };
    assert_eq!(
        set.firmware,
        [
            file("a/packed.bin.xz", below.join("a/packed.bin.xz")),
            file("a/plain.bin", below.join("a/plain.bin")),
            file("b/link.bin", folder.join("b/link.bin")),
        ]
    );
    let listed: Vec<&String> = set.firmware.iter().map(|file| &file.name).collect();
    assert_eq!(set.drivers.firmware.iter().collect::<Vec<_>>(), listed);
    assert_eq!(
        set.missing_firmware,
        ["../secret", "b", "b/dangling.bin", "none.bin"]
    );
    assert_eq!(
        collect(None).expect("drivers").missing_firmware.len(),
        names.len()
    );
    let error = collect(Some("/no/such/folder".as_ref())).expect_err("no folder");
    assert!(
        error.to_string().contains("cannot read /no/such/folder"),
        "{error}"
    );
}
