# A NixOS system as a netboot image, packed by storeboot. This module replaces nixpkgs'
# `installer/netboot/netboot.nix` and keeps its names; docs/nixos.md lists them all.
{
  imports = [
    ./netboot/options.nix
    ./netboot/fetch/options.nix
    ./netboot/fetch/stage1-nixos.nix
    ./netboot/stage1-nixos.nix
    ./netboot/stage1-storeboot.nix
    ./netboot/register.nix
    ./netboot/build.nix
    ./netboot/build-vm.nix
  ];

  disabledModules = [ "installer/netboot/netboot.nix" ];

  # A machine that boots from the network needs no boot loader on its disk.
  boot.loader.grub.enable = false;
  boot.loader.timeout = 10;
}
