# The virtual machines of `nixos-rebuild build-vm` and of nixpkgs' tests have a disk of their own and the builder's store,
# which NixOS's stage 1 mounts and nixpkgs' module registers.
{
  lib,
  options,
  ...
}:
let
  asVm.netboot = {
    stage1 = lib.mkVMOverride "nixos";
    registerDatabase = lib.mkVMOverride false;
  };
  virtualisation = options.virtualisation or { };
in
{
  config = lib.mkMerge [
    (lib.optionalAttrs (virtualisation ? vmVariant) {
      virtualisation.vmVariant = asVm;
      virtualisation.vmVariantWithBootLoader = asVm;
    })
    # Only such a machine has this option.
    (lib.optionalAttrs (virtualisation ? directBoot) asVm)
  ];
}
