# `nixos-rebuild build-vm` mounts the machine's disk and the builder's store in NixOS's stage 1.
{
  lib,
  options,
  ...
}:
let
  nixosStage1.netboot.stage1 = lib.mkVMOverride "nixos";
in
{
  config = lib.optionalAttrs (options ? virtualisation && options.virtualisation ? vmVariant) {
    virtualisation.vmVariant = nixosStage1;
    virtualisation.vmVariantWithBootLoader = nixosStage1;
  };
}
