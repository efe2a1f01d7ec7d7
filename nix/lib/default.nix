# Builders in plain Nix: no nixpkgs, no shell, no stdenv. Each makes one derivation whose builder is the storeboot
# command itself; the derivation's structured attributes say what to do (`storeboot nix-builder`).
#
#   storeboot = import ./nix/lib { storeboot = <the package, or a folder with bin/storeboot in it>; };
#   storeboot.makeNetboot { kernel = "${linux}/bzImage"; init = "${toplevel}/init"; roots = [ toplevel ]; }
#
# Each file explains its function.
{
  storeboot,
  system ? builtins.currentSystem,
}:
let
  derive = import ./derive.nix { inherit storeboot system; };
  all = {
    # Store paths as layers, each a derivation of its own.
    makeLayers = import ./layers.nix derive;

    # A netboot directory: kernel, initrd, command line, iPXE and kexec scripts, manifest.
    makeNetboot = import ./netboot.nix (derive // { inherit (all) makeLayers; });

    # A netboot directory as one file for UEFI and Secure Boot.
    makeUki = import ./uki.nix derive;

    # The closure of some store paths as one file: a squashfs image, or a cpio archive.
    makeStoreImage = import ./store-image.nix derive;

    # An initrd of store paths and links to them, for another stage 1.
    makeInitrd = import ./initrd.nix derive;

    # The layers that suit a NixOS configuration, for makeNetboot.
    nixosLayers = import ./nixos-layers.nix;

    # Builders that replace nixpkgs' own, for a package set.
    withPkgs =
      pkgs:
      import ./nixpkgs.nix {
        storeboot = all;
        inherit pkgs;
      };
  };
in
all
