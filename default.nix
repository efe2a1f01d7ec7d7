# storeboot for Nix. With nixpkgs (the one that flake.lock names, or the caller's):
#
#   nix-build -A storeboot          the command and stage 1
#   nix-build -A netboot_minimal    NixOS's minimal netboot profile
#   nix-build -A netboot_demo       a small system that checks the store it was booted from
#
# Without nixpkgs, from a folder of Debian packages (scripts/demo-packages) and the binaries that Cargo made:
#
#   nix-build -A netboot_demo --arg debs ./target/demo/debs --arg binaries ./target/x86_64-unknown-linux-gnu/release
{
  system ? builtins.currentSystem,
  # A folder that holds the static binaries `storeboot` and `storeboot-init`.
  binaries ? null,
  # A folder that scripts/fetch-debs made.
  debs ? null,
  pkgs ? import (import ./nix/pin.nix) { inherit system; },
}:
let
  fromBinaries = rec {
    outPath = builtins.path {
      name = "storeboot";
      path = binaries;
      filter = path: _: builtins.elem (baseNameOf path) [ "storeboot" "storeboot-init" ];
    };
    program = "${outPath}/storeboot";
  };
  storeboot = if binaries != null then fromBinaries else pkgs.pkgsStatic.callPackage ./nix/package.nix { };
  lib = import ./nix/lib.nix { inherit storeboot system; };
in
{
  inherit storeboot lib;

  netboot_demo = import ./nix/demo {
    inherit system debs pkgs;
    inherit (lib) makeNetboot;
  };

  netboot_minimal = import ./nix/minimal.nix {
    inherit pkgs system;
    inherit (lib) makeNetboot;
  };
}
