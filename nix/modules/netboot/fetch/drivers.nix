# What "common" stands for in an initrd of NixOS's: drivers that nixpkgs' kernels have. The initrd does not build with a
# name that the kernel lacks.
{ lib, pkgs, kernel }:
let
  inherit (pkgs.stdenv) hostPlatform;
  inherit (lib) optional optionals;
in
{
  network = [
    # Virtual machines and clouds.
    "ena"
    "gve"
    "virtio_net"
    "virtio_pci"
    "vmxnet3"
    # Intel.
    "e100"
    "e1000"
    "e1000e"
    "i40e"
    "iavf"
    "ice"
    "igb"
    "igbvf"
    "igc"
    "ixgbe"
    "ixgbevf"
    # Broadcom.
    "bnx2"
    "bnx2x"
    "bnxt_en"
    "tg3"
    # Realtek.
    "8139cp"
    "8139too"
    "r8169"
    # Other cards of computers.
    "alx"
    "atl1c"
    "atl1e"
    "atlantic"
    "jme"
    "sky2"
    # Other cards of servers.
    "amd-xgbe"
    "be2net"
    "cxgb4"
    "enic"
    "ionic"
    "mlx4_en"
    "mlx5_core"
    "qede"
    "sfc"
    # USB.
    "asix"
    "ax88179_178a"
    "cdc_ether"
    "cdc_ncm"
    "lan78xx"
    "r8152"
    "smsc75xx"
    "smsc95xx"
    # Chips on some of these, which the cards' drivers do not depend on.
    "broadcom"
    "marvell"
    "micrel"
    "realtek"
    "smsc"
  ]
  ++ optional (kernel.kernelAtLeast "6.12") "idpf"
  ++ optionals hostPlatform.isx86 [
    "b44"
    "forcedeth"
    "hv_netvsc"
    "xen-netfront"
  ]
  ++ optional (hostPlatform.isx86 && kernel.kernelAtLeast "5.15") "mana"
  ++ optionals hostPlatform.isAarch64 [
    "dwmac-rk"
    "dwmac-sun8i"
    "genet"
    "hclge"
    "macb"
    "mvneta"
    "mvpp2"
    "virtio_mmio"
  ];

  disk = [
    "aacraid"
    "ahci"
    "ata_generic"
    "hpsa"
    "megaraid_sas"
    "mmc_block"
    "mpt3sas"
    "mptsas"
    "mptspi"
    "nvme"
    "sd_mod"
    "sdhci_pci"
    "smartpqi"
    "uas"
    "usb_storage"
    "virtio_blk"
    "virtio_pci"
    "virtio_scsi"
  ]
  ++ optionals hostPlatform.isx86 [
    "ata_piix"
    "hv_storvsc"
    "isci"
    "sdhci_acpi"
    "vmd"
    "vmw_pvscsi"
    "xen-blkfront"
  ];

  # The file systems that may keep the images, with the code pages that vfat takes for names.
  fileSystems = [
    "ext4"
    "nls_cp437"
    "nls_iso8859-1"
    "vfat"
    "xfs"
  ];
}
