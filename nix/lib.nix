# Builders in plain Nix: no nixpkgs, no shell, no stdenv. Each makes one derivation whose builder is the storeboot
# command itself; what the command is to do lies in the derivation's structured attributes (`storeboot nix-builder`).
#
#   storeboot = import ./nix/lib.nix { storeboot = <the package, or a folder with bin/storeboot in it>; };
#   storeboot.makeNetboot { kernel = "${linux}/bzImage"; init = "${toplevel}/init"; roots = [ toplevel ]; }
{
  storeboot,
  system ? builtins.currentSystem,
}:
let
  run =
    { name, roots }:
    attributes:
    derivation (
      {
        inherit name system;
        builder = storeboot.program or "${storeboot}/bin/storeboot";
        # Said here since Nix 2.8 names the file as it is called outside of the sandbox; inside, it lies in the
        # folder that a build starts in.
        args = [
          "nix-builder"
          "--attributes"
          ".attrs.json"
        ];
        __structuredAttrs = true;
        # Strings, so that a path from a Nix file is in the store before its references are asked for.
        exportReferencesGraph.closure = map (root: "${root}") roots;
        storeboot = attributes;
      }
      // discardReferences
    );

  # The result holds the closure, so it need not drag the closure's paths along in the store that it was built in.
  # From 2.14 to 2.15 this was an experiment that had to be switched on, and before that Nix did not know it.
  discardReferences =
    if builtins.compareVersions builtins.nixVersion "2.16" >= 0 then
      { unsafeDiscardReferences.out = true; }
    else
      { };

  # What was left out is left out for the command too: its defaults are written in one place, and not here.
  optional = set: builtins.removeAttrs set (builtins.filter (name: set.${name} == null) (builtins.attrNames set));
in
{
  # A netboot directory: kernel, initrd, command line, iPXE and kexec scripts, manifest.
  #
  #   kernel        the kernel's file, such as "${linux}/bzImage"
  #   init          the system's own init, such as "${toplevel}/init"
  #   roots         the store paths whose closure the initrd carries
  #   modules       a folder with lib/modules/VERSION in it
  #   extraModules  names of modules to load besides those that mount the store
  #   cmdline       what to put on the kernel's command line besides init
  #   layout        how the store lies in the initrd: "in-place", "file" or "direct"
  #   compression   such as "zstd:19"
  #   blockSize     of the store image, in bytes
  #   imageLimit    bytes of a store image at most; a larger store becomes several images
  #   segments      whether to write the initrd's segments as files of their own, too
  #   prepend       archives to put first in the initrd, such as a processor's microcode
  #   stage1        another program as the initrd's /init
  makeNetboot =
    {
      name ? "netboot",
      kernel,
      init,
      roots,
      modules ? null,
      extraModules ? null,
      cmdline ? null,
      layout ? null,
      compression ? null,
      blockSize ? null,
      imageLimit ? null,
      segments ? null,
      prepend ? null,
      stage1 ? null,
    }:
    run { inherit name roots; } (
      { action = "build"; }
      // optional {
        inherit
          kernel
          init
          modules
          extraModules
          cmdline
          layout
          compression
          blockSize
          imageLimit
          segments
          prepend
          stage1
          ;
      }
    );

  # The closure of some store paths as one file: a squashfs image, or a cpio archive.
  makeStoreImage =
    {
      name ? "store.${format}",
      roots,
      format ? "squashfs",
      compression ? null,
      blockSize ? null,
    }:
    run { inherit name roots; } (
      {
        action = "pack";
        inherit format;
      }
      // optional { inherit compression blockSize; }
    );
}
