//! What `all` and `common` stand for. All names are normal ones; those that a kernel lacks are skipped.

/// A kind of device.
pub(super) struct Kind {
    /// Where `all` finds the drivers: folders below that of the release. Only what has an alias for devices is taken.
    pub folders: &'static [&'static str],
    /// The drivers of the usual machines.
    pub common: &'static [&'static str],
    /// What any driver of this kind may need.
    pub always: &'static [&'static str],
    /// What is loaded by its name when it is needed.
    pub named: &'static [&'static str],
}

/// Wired network cards.
pub(super) const NETWORK: Kind = Kind {
    folders: &[
        "kernel/drivers/net/ethernet",
        "kernel/drivers/net/hyperv",
        "kernel/drivers/net/mdio",
        "kernel/drivers/net/phy",
        "kernel/drivers/net/usb",
        "kernel/drivers/net/vmxnet3",
    ],
    common: &[
        // Virtual machines and clouds.
        "ena",
        "gve",
        "hv_netvsc",
        "mana",
        "ne2k_pci",
        "pcnet32",
        "tulip", // Hyper-V's "legacy network adapter"
        "virtio_net",
        "vmxnet3",
        "xen_netfront",
        // Intel.
        "e100",
        "e1000",
        "e1000e",
        "i40e",
        "iavf",
        "ice",
        "idpf",
        "igb",
        "igbvf",
        "igc",
        "ixgbe",
        "ixgbevf",
        // Broadcom.
        "b44",
        "bnx2",
        "bnx2x",
        "bnxt_en",
        "tg3",
        // Realtek.
        "8139cp",
        "8139too",
        "r8169",
        // Other cards of computers.
        "alx",
        "atl1c",
        "atl1e",
        "atlantic",
        "forcedeth",
        "jme",
        "sky2",
        "via_velocity",
        // Other cards of servers.
        "amd_xgbe",
        "be2net",
        "cxgb4",
        "enic",
        "hclge",
        "hinic",
        "hns3",
        "ionic",
        "mlx4_core",
        "mlx5_core",
        "qede",
        "sfc",
        "txgbe",
        // Small boards.
        "genet",
        "lan743x",
        "macb",
        // USB.
        "aqc111",
        "asix",
        "ax88179_178a",
        "cdc_ether",
        "cdc_ncm",
        "lan78xx",
        "r8152",
        "r8153_ecm",
        "smsc75xx",
        "smsc95xx",
        // Chips on some of these, which the cards' drivers do not depend on.
        "ax88796b",
        "broadcom",
        "marvell",
        "mdio_bcm_unimac",
        "micrel",
        "microchip",
        "realtek",
        "smsc",
    ],
    always: &[],
    named: &["8021q", "af_packet", "ipv6"],
};

/// Disks.
pub(super) const DISK: Kind = Kind {
    folders: &[
        "kernel/drivers/ata",
        "kernel/drivers/block",
        "kernel/drivers/message/fusion",
        "kernel/drivers/mmc",
        "kernel/drivers/nvme/host",
        "kernel/drivers/scsi",
        "kernel/drivers/ufs",
        "kernel/drivers/usb/storage",
    ],
    common: &[
        // Virtual machines and clouds.
        "hv_storvsc",
        "mptsas",
        "mptspi",
        "sym53c8xx",
        "virtio_blk",
        "virtio_scsi",
        "vmw_pvscsi",
        "xen_blkfront",
        // Computers.
        "ahci",
        "ata_generic",
        "ata_piix",
        "nvme",
        "rtsx_pci_sdmmc",
        "sdhci_acpi",
        "sdhci_iproc",
        "sdhci_pci",
        "uas",
        "usb_storage",
        "vmd",
        // Servers.
        "aacraid",
        "hpsa",
        "isci",
        "megaraid_sas",
        "mpi3mr",
        "mpt3sas",
        "smartpqi",
    ],
    always: &["mmc_block", "sd_mod"],
    named: &["ext4", "vfat", "xfs"],
};

/// What `all` leaves out of the folders: modems, and drives that are no disks.
pub(super) const EXCLUDED: [&str; 14] = [
    "cdc_mbim",
    "cdc_phonet",
    "ch",
    "floppy",
    "hso",
    "huawei_cdc_ncm",
    "kalmia",
    "lg_vl600",
    "qmi_wwan",
    "sdio_uart",
    "ses",
    "sierra_net",
    "sr_mod",
    "st",
];

/// What `all` takes besides for the boards of a device tree, where a card or a disk may hang on a clock, a regulator or
/// a PHY: folders of which it takes the drivers that have an alias for a device tree.
pub(super) const BOARDS: [&str; 10] = [
    "kernel/drivers/clk",
    "kernel/drivers/gpio",
    "kernel/drivers/i2c/busses",
    "kernel/drivers/mailbox",
    "kernel/drivers/mfd",
    "kernel/drivers/nvmem",
    "kernel/drivers/phy",
    "kernel/drivers/pinctrl",
    "kernel/drivers/regulator",
    "kernel/drivers/reset",
];

/// What finds the devices on a bus: what stands before the colon of their modaliases, modules, and folders of modules.
pub(super) const CARRIERS: [(&str, &[&str], &[&str]); 4] = [
    ("pci", &[], &["kernel/drivers/pci/controller"]),
    (
        "usb",
        &[],
        &[
            "kernel/drivers/usb/chipidea",
            "kernel/drivers/usb/dwc2",
            "kernel/drivers/usb/dwc3",
            "kernel/drivers/usb/host",
        ],
    ),
    ("virtio", &["virtio_mmio", "virtio_pci"], &[]),
    ("vmbus", &["hv_vmbus"], &[]),
];

/// What a module needs to be of use, although nothing in it says so.
pub(super) fn companions(module: &str) -> &'static [&'static str] {
    match module {
        // Before Linux 6.6, the card's driver asked `modprobe` for its network half.
        "mlx4_core" => &["mlx4_en"],
        // It makes devices for these, by which it finds what is plugged into it.
        "txgbe" => &["i2c_designware_platform", "sfp"],
        // The code pages that kernels are built to use for the names of files.
        "vfat" => &["nls_ascii", "nls_cp437", "nls_iso8859_1", "nls_utf8"],
        _ => &[],
    }
}
