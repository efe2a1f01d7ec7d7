# What default.nix and flake.nix offer, with this nixpkgs in the place of the pinned one, and the examples.
{
  lib,
  nixpkgs,
  pkgs,
  pkgsFor,
  system,
  ...
}:
let
  inherit (lib) mapAttrs mapAttrs' nameValuePair;
  under = prefix: mapAttrs' (name: value: nameValuePair "${prefix}/${name}" { inherit value; });

  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  ours = lib.genAttrs systems (system: import ../../. {
    inherit system;
    pkgs = pkgsFor system;
  });

  # nixpkgs as a flake's input.
  input = {
    outPath = toString nixpkgs;
    legacyPackages = lib.genAttrs systems pkgsFor;
    lib = lib // {
      nixosSystem = args: import (nixpkgs + "/nixos/lib/eval-config.nix") ({ system = null; } // args);
    };
  };
  flakeOf =
    path: inputs:
    let
      self = { outPath = toString path; } // (import (path + "/flake.nix")).outputs (inputs // { inherit self; });
    in
    self;
  flake = flakeOf ../.. { nixpkgs = input; };
  example =
    name:
    (flakeOf (../../examples + "/${name}") {
      nixpkgs = input;
      storeboot = flake;
    }).packages.x86_64-linux;

  # With another kernel than nixpkgs' own, which the images must have then.
  otherPkgs = import nixpkgs {
    inherit system;
    overlays = [
      (_: prev: {
        linuxPackages = prev.linuxPackages_6_6 or prev.linuxPackages_6_1 or prev.linuxPackages_5_15;
      })
    ];
  };
  withOther = (import ../../. {
    inherit system;
    pkgs = otherPkgs;
  }).netboot_minimal;
in
lib.concatMapAttrs (
  system: it:
  under "default.nix/${system}" {
    inherit (it) storeboot netboot_minimal netboot_demo;
    hydra = it.hydra;
    apps = mapAttrs (_: app: app.program) it.apps;
  }
  // under "tests/${system}" it.tests
) ours
// lib.concatMapAttrs (
  system: _:
  under "flake.nix/${system}" {
    packages = flake.packages.${system};
    apps = mapAttrs (_: app: [ app.program ] ++ lib.attrValues (app.meta or { })) flake.apps.${system};
    checks = lib.attrNames flake.checks.${system};
    hydraJobs = {
      storeboot = flake.hydraJobs.storeboot.${system};
      netboot_minimal = flake.hydraJobs.netboot_minimal.${system};
      tests = lib.attrNames flake.hydraJobs.tests.${system};
    };
  }
) ours
// under "example" (
  lib.genAttrs [
    "minimal"
    "appliance"
    "fleet"
    "installer"
  ] example
)
// {
  "example/fleet-server".value =
    (flakeOf ../../examples/fleet {
      nixpkgs = input;
      storeboot = flake;
    }).nixosConfigurations.server.config.system.build.etc;
  "default.nix/the-kernel-of-the-pkgs-it-is-given".value =
    let
      inherit (withOther.config.boot.kernelPackages) kernel;
    in
    if kernel.version == otherPkgs.linuxPackages.kernel.version then
      withOther
    else
      throw "netboot_minimal has Linux ${kernel.version} and not ${otherPkgs.linuxPackages.kernel.version}, which its pkgs say.";
}
