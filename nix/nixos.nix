# A NixOS system from modules, with the packages, overlays and configuration of `pkgs`: as nixpkgs' own `pkgs.nixos` makes it.
{
  pkgs,
  storeboot,
}:
modules:
import (pkgs.path + "/nixos/lib/eval-config.nix") {
  # That of `pkgs`.
  system = null;
  modules = modules ++ [
    (
      { config, lib, ... }:
      {
        nixpkgs.pkgs = lib.mkDefault pkgs;
        netboot.package = lib.mkDefault storeboot;
        # Nothing that such a system writes is older than the system.
        system.stateVersion = lib.mkDefault config.system.nixos.release;
      }
    )
  ];
}
