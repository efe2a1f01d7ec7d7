# NixOS's minimal netboot system, an installer with a shell, started by storeboot's stage 1.
{
  lib,
  modulesPath,
  ...
}:
{
  imports = [
    (modulesPath + "/installer/netboot/netboot-minimal.nix")
    ../modules/netboot.nix
  ];

  netboot.stage1 = lib.mkDefault "storeboot";
}
