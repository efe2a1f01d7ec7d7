//! Collects the device drivers of Debian's kernels.

use std::io::Write;

use storeboot::compress::{SegmentOptions, SegmentWriter};
use storeboot::kernel::KernelImage;
use storeboot::modules::{DriverRequest, DriverSet, collect_drivers};
use storeboot_index::{Class, Drivers, Lookup};
use storeboot_tests::qemu::Kernel;

fn collect(kernel: &Kernel, network: &str, disk: &str) -> DriverSet {
    let release = KernelImage::read(kernel.image())
        .expect("a kernel")
        .version
        .release;
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(Into::into).collect() };
    let request = DriverRequest {
        network: &words(network),
        disk: &words(disk),
        firmware: None,
    };
    let set = collect_drivers(kernel.folder(), &release, &request).expect("drivers");
    let text = set.drivers.to_string();
    assert_eq!(Drivers::parse(text.as_bytes()).as_ref(), Ok(&set.drivers));
    assert!(
        text.len() < storeboot_index::MAX_DRIVERS_TEXT / 8,
        "{} bytes",
        text.len()
    );
    // Whatever a driver needs comes before it.
    for driver in &set.drivers.drivers {
        assert!(driver.files.is_sorted(), "{}", driver.name);
    }
    assert_eq!(set.unmet_soft, [""; 0]);
    set
}

/// The names of the drivers for a device.
fn drivers_for<'a>(set: &'a DriverSet, modalias: &str) -> Vec<&'a str> {
    let found = Lookup::new(&set.drivers).drivers(modalias);
    found
        .into_iter()
        .map(|at| set.drivers.drivers[at].name.as_str())
        .collect()
}

/// The names of the modules of a driver, in the order of loading.
fn modules<'a>(set: &'a DriverSet, name: &str) -> Vec<&'a str> {
    let driver = set
        .drivers
        .drivers
        .iter()
        .find(|driver| driver.name == name);
    let driver = driver.unwrap_or_else(|| panic!("no driver {name}"));
    driver
        .files
        .iter()
        .map(|file| set.modules[*file].name.as_str())
        .collect()
}

fn bytes(set: &DriverSet) -> usize {
    set.modules.iter().map(|module| module.data.len()).sum()
}

/// The size of the modules as the initrd has them.
fn packed(set: &DriverSet) -> usize {
    let options = SegmentOptions::new("zstd:9".parse().expect("zstd"));
    let mut writer = SegmentWriter::new(Vec::new(), options).expect("set up");
    for module in &set.modules {
        writer.write_all(&module.data).expect("write");
    }
    writer.finish().expect("finish").len()
}

/// A card's modalias as QEMU's machines show it.
const E1000E: &str = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00";
const VIRTIO_PCI: &str = "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00";
const AHCI: &str = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";

#[test]
fn all_wired_cards_of_a_kernel_for_all_machines() {
    let Some(kernel) = Kernel::debian_with_all_drivers("6.1") else {
        return;
    };
    let set = collect(&kernel, "all", "");
    let is_below = |folder: &str| {
        let folder = kernel.modules().join(folder);
        set.modules
            .iter()
            .filter(move |module| module.path.starts_with(&folder))
            .count()
    };
    // Debian's 6.1 has 112 modules there, of which 16 are for PCMCIA or are not needed by any driver.
    let cards = is_below("kernel/drivers/net/ethernet");
    assert!(
        (85..125).contains(&cards),
        "{cards} modules of Ethernet cards"
    );
    for folder in [
        "kernel/drivers/net/wireless",
        "kernel/drivers/net/can",
        "kernel/drivers/scsi",
    ] {
        assert_eq!(is_below(folder), 0, "{folder}");
    }
    let total = bytes(&set);
    assert!((30_000_000..55_000_000).contains(&total), "{total} bytes");
    let packed = packed(&set);
    assert!(
        (5_000_000..12_000_000).contains(&packed),
        "{packed} bytes packed"
    );

    assert_eq!(drivers_for(&set, E1000E), ["e1000e"]);
    assert_eq!(drivers_for(&set, VIRTIO_PCI), ["virtio_pci"]);
    assert_eq!(
        drivers_for(&set, "virtio:d00000001v00001AF4"),
        ["virtio_net"]
    );
    assert_eq!(drivers_for(&set, "acpi:VMBUS:"), ["hv_vmbus"]);
    assert_eq!(
        drivers_for(
            &set,
            "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30"
        ),
        ["xhci_pci"]
    );
    assert_eq!(drivers_for(&set, AHCI), [""; 0]);
    assert_eq!(
        drivers_for(&set, "usb:v0525pA4A2d0000dc02dsc00dp00ic02isc06ip00in00"),
        ["cdc_ether", "cdc_subset"]
    );
    assert_eq!(
        drivers_for(&set, "mdio:00000000000111001100100100010101"),
        ["realtek"]
    );
    assert_eq!(
        modules(&set, "r8169"),
        ["libphy", "mdio_devres", "realtek", "r8169"]
    );
    assert_eq!(modules(&set, "mlx4_core"), ["mlx4_core", "mlx4_en"]);
    // Without the algorithm that the library asks for by its alias, the card does not start.
    assert!(modules(&set, "bnx2x").contains(&"crc32c_generic"));
    assert!(
        set.missing_firmware
            .iter()
            .any(|name| name.starts_with("bnx2x/"))
    );
    let named = |name: &str| {
        let driver = set
            .drivers
            .drivers
            .iter()
            .find(|driver| driver.name == name);
        driver.map(|driver| driver.class)
    };
    assert_eq!(named("8021q"), Some(Class::Named));
    assert_eq!(named("virtio_pci"), Some(Class::Bus));
}

#[test]
fn all_disks_of_a_kernel_for_all_machines() {
    let Some(kernel) = Kernel::debian_with_all_drivers("6.1") else {
        return;
    };
    let set = collect(&kernel, "", "all");
    assert_eq!(drivers_for(&set, AHCI), ["ahci"]);
    assert_eq!(
        drivers_for(
            &set,
            "pci:v00008086d00005845sv00001AF4sd00001100bc01sc08i02"
        ),
        ["nvme"]
    );
    assert_eq!(drivers_for(&set, "scsi:t-0x00"), ["sd_mod"]);
    assert_eq!(drivers_for(&set, "scsi:t-0x05"), [""; 0], "a CD is no disk");
    assert_eq!(drivers_for(&set, "mmc:block"), ["mmc_block"]);
    assert_eq!(drivers_for(&set, E1000E), [""; 0]);
    assert_eq!(
        modules(&set, "ext4"),
        ["crc32c_generic", "jbd2", "mbcache", "crc16", "ext4"]
    );
    let vfat = modules(&set, "vfat");
    assert!(
        vfat.contains(&"nls_cp437") && vfat.contains(&"nls_iso8859_1"),
        "{vfat:?}"
    );
    assert!(modules(&set, "xfs").contains(&"libcrc32c"));
}

#[test]
fn common_is_less_and_every_name_of_it_is_one_of_all() {
    let Some(kernel) = Kernel::debian_with_all_drivers("6.1") else {
        return;
    };
    let (all, common) = (
        collect(&kernel, "all", "all"),
        collect(&kernel, "common", "common"),
    );
    assert!(
        bytes(&common) < bytes(&all) * 3 / 4,
        "{} of {}",
        bytes(&common),
        bytes(&all)
    );
    for driver in &common.drivers.drivers {
        assert!(
            all.drivers
                .drivers
                .iter()
                .any(|other| other.name == driver.name),
            "{}",
            driver.name
        );
    }
    for modalias in [E1000E, VIRTIO_PCI, AHCI] {
        assert_eq!(drivers_for(&common, modalias), drivers_for(&all, modalias));
        assert_eq!(drivers_for(&common, modalias).len(), 1);
    }
}

/// This kernel's modules are compressed, and it has fewer drivers.
#[test]
fn a_kernel_for_virtual_machines() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let set = collect(&kernel, "common", "common");
    assert_eq!(
        drivers_for(&set, "virtio:d00000001v00001AF4"),
        ["virtio_net"]
    );
    assert_eq!(
        drivers_for(&set, "virtio:d00000002v00001AF4"),
        ["virtio_blk"]
    );
    assert_eq!(
        drivers_for(
            &set,
            "pci:v00001D0Fd0000EC20sv00001D0Fsd0000EC20bc02sc00i00"
        ),
        ["ena"]
    );
    assert!(modules(&set, "virtio_net").contains(&"net_failover"));
    for module in &set.modules {
        assert!(
            module.data.starts_with(b"\x7fELF"),
            "{} is unpacked",
            module.name
        );
    }
}
