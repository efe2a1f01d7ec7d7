# storeboot for Nix. With nixpkgs (the one that flake.lock names, or the caller's):
#
#   nix-build -A storeboot          the command and stage 1
#   nix-build -A netboot_minimal    NixOS's minimal netboot profile
#   nix-build -A netboot_demo       a small system that checks the store it was booted from
#   nix-build -A tests.in-place     a VM test of nixpkgs' test driver; see nix/tests for the others
#
# Without nixpkgs, from a folder of Debian packages (scripts/demo-packages) and the binaries that Cargo built:
#
#   nix-build -A netboot_demo --arg debs ./target/demo/debs --arg binaries ./target/x86_64-unknown-linux-gnu/release
#   nix-build -A netboot_systemd --arg debs ./target/systemd/debs …   a system as NixOS has it, with systemd (docs/systemd.md)
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
    type = "derivation";
    name = "storeboot";
    outPath = builtins.path {
      name = "storeboot";
      path = binaries;
      filter = path: _: builtins.elem (baseNameOf path) [ "storeboot" "storeboot-init" ];
    };
    program = "${outPath}/storeboot";
  };
  package = pkgs: pkgs.pkgsStatic.callPackage ./nix/package.nix { };
  packageOf = pkgs: if binaries != null then fromBinaries else package pkgs;
  # For the machine that boots. What packs runs on the machine that builds.
  storeboot = packageOf pkgs;
  builder = packageOf pkgs.buildPackages;
  lib = import ./nix/lib.nix {
    storeboot = builder;
    system = if binaries != null then system else pkgs.stdenv.buildPlatform.system;
  };

  nixos = import ./nix/nixos.nix {
    inherit pkgs;
    storeboot = builder;
  };
  product = import ./nix/hydra.nix { inherit pkgs; };
  app = import ./nix/run.nix { inherit pkgs; };

  netboot_demo = import ./nix/demo {
    inherit system debs pkgs;
    inherit (lib) makeNetboot;
  };

  minimal = nixos [ ./nix/profiles/netboot-minimal.nix ];
  netboot_minimal = minimal.config.system.build.netboot // {
    inherit (minimal) config;
    inherit (minimal.config.system.build) toplevel;
  };
in
{
  inherit storeboot lib netboot_demo netboot_minimal;

  # Overlays for a nixpkgs: the package; and storeboot's builder of initrds instead of nixpkgs' own, which then packs
  # NixOS's initrd, too.
  overlays = {
      default = final: _: {
        storeboot = package final;
      };
      initrd =
        final: _:
        let
          builders = import ./nix/lib {
            storeboot = package final.buildPackages;
            inherit (final.stdenv.buildPlatform) system;
          };
        in
        {
          inherit (builders.withPkgs final) makeInitrdNG makeInitrd;
        };
    };

  nixosModules = {
    netboot = ./nix/modules/netboot.nix;
    netboot-minimal = ./nix/profiles/netboot-minimal.nix;
    netboot-zfs-appliance = ./nix/profiles/netboot-zfs-appliance.nix;
    serve = ./nix/modules/serve.nix;
  };

  tests = import ./nix/tests { inherit pkgs nixos; };

  # With the list of files that Hydra offers to download.
  hydra.netboot_minimal = product "netboot-minimal" netboot_minimal;

  # Programs that boot an image in QEMU.
  apps = {
    netboot_minimal = app "netboot-minimal" netboot_minimal;
    netboot_demo = app "netboot-demo" netboot_demo;
  };
}
// (
  # Only from Debian's packages: with nixpkgs there is NixOS itself.
  if debs == null then
    { }
  else
    {
      netboot_systemd = import ./nix/systemd {
        inherit system debs;
        inherit (lib) makeNetboot;
      };
    }
)
