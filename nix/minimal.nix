# NixOS's minimal netboot profile, packed by storeboot and started by its stage 1.
{
  pkgs,
  system,
  makeNetboot,
}:
let
  nixos = import (pkgs.path + "/nixos/lib/eval-config.nix") {
    inherit system;
    modules = [
      (pkgs.path + "/nixos/modules/installer/netboot/netboot-minimal.nix")
      # Without an initrd of NixOS's own the system's `init` is the script that activates the system and starts systemd.
      # With a systemd initrd it would be systemd itself, and the activation the initrd's business.
      (
        { lib, ... }:
        {
          boot.initrd.enable = lib.mkForce false;
        }
      )
    ];
  };
  inherit (nixos) config;
  inherit (config.system.build) toplevel;
in
makeNetboot {
  name = "netboot-minimal";
  kernel = "${config.system.build.kernel}/${config.system.boot.loader.kernelFile}";
  modules = "${config.system.modulesTree}";
  init = "${toplevel}/init";
  roots = config.netboot.storeContents;
  cmdline = toString config.boot.kernelParams;
}
// {
  inherit toplevel config;
}
