# nixos-images' installers, with our module in the place of nixpkgs'.
{
  lib,
  modulesOf,
  nixosFor,
  nixosImages,
  netboot,
  pkgs,
  stage1s,
  skippedStage1,
  system,
  ...
}:
let
  installers = {
    kexec = {
      modules = [ (nixosImages + "/nix/kexec-installer/module.nix") ];
      build = "kexecInstallerTarball";
    };
    kexec-noninteractive = {
      modules = [
        (nixosImages + "/nix/kexec-installer/module.nix")
        (nixosImages + "/nix/noninteractive.nix")
      ];
      build = "kexecInstallerTarball";
    };
    netboot = {
      modules = [ (nixosImages + "/nix/netboot-installer/module.nix") ];
      build = "netboot";
    };
  };
in
lib.concatMapAttrs (
  name: installer:
  lib.mapAttrs' (
    stage1: module:
    lib.nameValuePair "nixos-images/${name}/${stage1}" {
      value = (nixosFor system ([ module ] ++ installer.modules)).config.system.build.${installer.build};
      skipped =
        if nixosImages == null then "NIXOS_IMAGES is not given" else skippedStage1.${stage1} or null;
    }
  ) stage1s
) installers
