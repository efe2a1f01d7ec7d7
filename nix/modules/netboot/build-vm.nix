# The virtual machines of `nixos-rebuild build-vm` and of nixpkgs' tests have a disk of their own and the builder's store,
# which NixOS's stage 1 mounts and nixpkgs' module registers. Only such a machine has this option of nixpkgs' qemu-vm.nix.
{
  lib,
  options,
  ...
}:
{
  config = lib.optionalAttrs (options ? virtualisation && options.virtualisation ? directBoot) {
    netboot = {
      stage1 = lib.mkVMOverride "nixos";
      registerDatabase = lib.mkVMOverride false;
    };
  };
}
