# nixos-images' installers, with our module in the place of nixpkgs'. They choose their stage 1 themselves.
{
  lib,
  nixosFor,
  nixosImages,
  system,
  unless,
  ...
}:
let
  installer = modules: build: {
    value =
      (nixosFor system (map (module: nixosImages + "/nix/${module}") modules)).config.system.build.${build};
    skipped = unless (nixosImages != null) "NIXOS_IMAGES is not given";
  };
in
lib.mapAttrs' (name: lib.nameValuePair "nixos-images/${name}") {
  netboot = installer [ "netboot-installer/module.nix" ] "netboot";
  kexec = installer [ "kexec-installer/module.nix" ] "kexecInstallerTarball";
  kexec-noninteractive = installer [
    "kexec-installer/module.nix"
    "noninteractive.nix"
  ] "kexecInstallerTarball";
}
