# Not NixOS: a stand-in for nixpkgs' nixos/lib/eval-config.nix, with the options of tests/nix/nixos-options.nix.
{
  modules,
  system ? "x86_64-linux",
}:
import ../../../evaluate.nix {
  inherit modules;
  # Null where `nixpkgs.pkgs` says it.
  system = if system == null then "x86_64-linux" else system;
  withNetboot = false;
}
