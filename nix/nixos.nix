# A NixOS system, from modules, as nixpkgs' own tools make it.
{
  pkgs,
  system,
  storeboot,
}:
modules:
import (pkgs.path + "/nixos/lib/eval-config.nix") {
  inherit system;
  modules = modules ++ [ { netboot.package = storeboot; } ];
}
