use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A tree as sysfs.
struct Sysfs(TempDir);

impl Sysfs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A device with a file, where a link leads from its bus.
    fn device(&self, bus: &str, name: &str, file: &str, content: &str) {
        let device = self.0.path().join("devices").join(bus).join(name);
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join(file), content).unwrap();
        let devices = self.0.path().join("bus").join(bus).join("devices");
        fs::create_dir_all(&devices).unwrap();
        let _ = symlink(format!("../../../devices/{bus}/{name}"), devices.join(name));
    }

    fn drivers<'a>(&self, drivers: &'a Drivers) -> DeviceDrivers<'a> {
        DeviceDrivers {
            sysfs: self.0.path().to_str().unwrap().into(),
            ..DeviceDrivers::new(drivers)
        }
    }
}

fn driver(name: &str, class: Class, files: &[usize], aliases: &[&str]) -> Driver {
    Driver {
        name: name.into(),
        class,
        files: files.into(),
        aliases: aliases.iter().map(|alias| String::from(*alias)).collect(),
    }
}

fn sample() -> Drivers {
    let file = |name: &str| format!("storeboot/modules/{name}.ko");
    let drivers = Drivers {
        files: [
            "virtio",
            "virtio_pci",
            "virtio_net",
            "virtio_blk",
            "af_packet",
            "bonding",
            "phy",
        ]
        .map(file)
        .into(),
        firmware: vec!["lib/firmware/a/b.bin".into()],
        drivers: vec![
            driver(
                "virtio_net",
                Class::Network,
                &[0, 2],
                &["virtio:d00000001v*"],
            ),
            driver("virtio_blk", Class::Disk, &[0, 3], &["virtio:d00000002v*"]),
            driver("virtio_pci", Class::Bus, &[0, 1], &["pci:v00001AF4d*"]),
            driver("af_packet", Class::Named, &[4], &[]),
            driver("bonding", Class::Network, &[5], &[]),
            driver(
                "phy",
                Class::Network,
                &[6],
                &["mdio:0000000000011100110010010001????", "mmc:block"],
            ),
        ],
    };
    drivers.check().unwrap();
    drivers
}

/// Loads drivers of a class; `then` may add devices after each module. Returns the modules' names and purposes.
fn loaded(drivers: &mut DeviceDrivers<'_>, class: Class, then: impl Fn(&str)) -> Vec<String> {
    let mut log = Vec::new();
    drivers.load_all(class, &mut |file, purpose| {
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        log.push(format!("{name}{purpose}"));
        then(name);
    });
    log
}

#[test]
fn drivers_are_loaded_for_devices_until_nothing_new_appears() {
    let (list, sysfs) = (sample(), Sysfs::new());
    sysfs.device(
        "pci",
        "0000:00:03.0",
        "modalias",
        "pci:v00001AF4d00001000sv\n",
    );
    sysfs.device(
        "pci",
        "0000:00:00.0",
        "modalias",
        "pci:v00008086d00001237sv\n",
    );
    sysfs.device(
        "memory",
        "memory0",
        "modalias",
        "virtio:d00000001v00001AF4\n",
    );
    let mut drivers = sysfs.drivers(&list);
    let log = loaded(&mut drivers, Class::Network, |name| {
        if name == "virtio_pci" {
            sysfs.device(
                "virtio",
                "virtio0",
                "modalias",
                "virtio:d00000001v00001AF4\n",
            );
            sysfs.device(
                "virtio",
                "virtio1",
                "modalias",
                "virtio:d00000002v00001AF4\n",
            );
        }
    });
    assert_eq!(
        log,
        [
            "virtio for virtio_pci, which pci device 0000:00:03.0 needs",
            "virtio_pci for virtio_pci, which pci device 0000:00:03.0 needs",
            "virtio_net for virtio_net, which virtio device virtio0 needs",
            "bonding for bonding",
        ]
    );
    // Nothing is loaded twice, and the disk's device is known already.
    assert_eq!(loaded(&mut drivers, Class::Network, |_| {}), [""; 0]);
    assert_eq!(
        loaded(&mut drivers, Class::Disk, |_| {}),
        ["virtio_blk for virtio_blk, which virtio device virtio1 needs"]
    );
}

#[test]
fn devices_without_a_modalias_file_are_found() {
    let (list, sysfs) = (sample(), Sysfs::new());
    let mut drivers = sysfs.drivers(&list);
    assert_eq!(
        loaded(&mut drivers, Class::Network, |_| {}),
        ["bonding for bonding"]
    );
    sysfs.device("mdio_bus", "r8169-0-100:00", "phy_id", "0x001cc800\n");
    sysfs.device("mdio_bus", "r8169-0-100:01", "phy_id", "nonsense\n");
    sysfs.device("mdio_bus", "r8169-0-100:02", "modalias", "mmc:block\n");
    assert_eq!(loaded(&mut drivers, Class::Network, |_| {}), [""; 0]);
    sysfs.device("mdio_bus", "r8169-0-200:00", "phy_id", "0x001cc915\n");
    assert_eq!(
        loaded(&mut drivers, Class::Network, |_| {}),
        ["phy for phy, which mdio_bus device r8169-0-200:00 needs"]
    );
    let mut drivers = sysfs.drivers(&list);
    sysfs.device(
        "mmc",
        "mmc0:0001",
        "uevent",
        "DRIVER=none\nMODALIAS=mmc:block\n",
    );
    sysfs.device("mdio_bus", "r8169-0-200:00", "phy_id", "\n");
    assert!(
        loaded(&mut drivers, Class::Network, |_| {})
            .contains(&"phy for phy, which mmc device mmc0:0001 needs".into())
    );
}

#[test]
fn an_odd_sysfs_does_no_harm() {
    let (list, sysfs) = (sample(), Sysfs::new());
    let bus = sysfs.0.path().join("bus");
    fs::create_dir_all(bus.join("empty")).unwrap();
    fs::write(bus.join("file"), "").unwrap();
    sysfs.device("pci", "binary", "modalias", "placeholder");
    fs::write(
        sysfs.0.path().join("devices/pci/binary/modalias"),
        [0xff, 0xfe],
    )
    .unwrap();
    sysfs.device("pci", "large", "modalias", &"x".repeat(1 << 17));
    sysfs.device("pci", "empty", "modalias", "\n");
    sysfs.device("pci", "none", "other", "");
    sysfs.device("zz", "last", "modalias", "virtio:d00000001v00001AF4");
    let mut drivers = sysfs.drivers(&list);
    let log = loaded(&mut drivers, Class::Network, |_| {});
    assert_eq!(log.len(), 3, "{log:?}");
    let nowhere = Drivers::default();
    let mut drivers = DeviceDrivers {
        sysfs: "/no/such/folder".into(),
        ..DeviceDrivers::new(&nowhere)
    };
    assert_eq!(
        drivers.load_for_devices(Class::Network, &Console::plain()),
        0
    );
}

#[test]
fn what_has_no_device_is_loaded_by_its_name() {
    let (list, sysfs) = (sample(), Sysfs::new());
    let mut drivers = sysfs.drivers(&list);
    let console = Console::plain();
    assert!(!drivers.load_by_name("ipv6", &console));
    // The file is not there: a warning, and the next call does not repeat it.
    assert!(drivers.load_by_name("af_packet", &console));
    assert_eq!(
        drivers.files_done,
        [false, false, false, false, true, false, false]
    );
    assert!(drivers.load_by_name("af_packet", &console));
}

#[test]
fn waiting_ends_when_it_is_enough_or_too_late() {
    let list = Drivers::default();
    let sysfs = Sysfs::new();
    let mut drivers = sysfs.drivers(&list);
    let console = Console::plain();
    let mut rounds = 0;
    let far = sys::boot_time() + Duration::from_secs(3600);
    assert!(drivers.load_until(Class::Disk, far, &console, || {
        rounds += 1;
        rounds == 3
    }));
    assert_eq!(rounds, 3);
    assert!(!drivers.load_until(Class::Disk, sys::boot_time(), &console, || false));
}

#[test]
fn files_of_drivers_are_removed_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    let list = sample();
    // One is missing.
    list.files[1..]
        .iter()
        .chain(&list.firmware)
        .for_each(|path| write(path));
    write("storeboot/index");
    write("lib/other/file");
    assert_eq!(
        remove_files(root.path().to_str().unwrap(), &list),
        list.files.len()
    );
    assert!(root.path().join("storeboot/index").exists());
    assert!(!root.path().join("storeboot/modules").exists());
    assert!(root.path().join("lib/other/file").exists());
    assert!(!root.path().join("lib/firmware").exists());
}
