# A NixOS system as a netboot image, packed by storeboot. It stands in the place of nixpkgs'
# `installer/netboot/netboot.nix` and keeps its names; docs/nixos.md lists them all.
{
  imports = [
    ./netboot/options.nix
    ./netboot/stage1-nixos.nix
    ./netboot/stage1-storeboot.nix
    ./netboot/register.nix
    ./netboot/build.nix
  ];

  disabledModules = [ "installer/netboot/netboot.nix" ];

  # Nobody installs a boot loader on a machine that boots from the network.
  boot.loader.grub.enable = false;
  boot.loader.timeout = 10;
}
