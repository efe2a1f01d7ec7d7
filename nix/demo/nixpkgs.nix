# What the demo is made of, from nixpkgs.
{ pkgs, system }:
let
  linux = pkgs.linuxPackages.kernel;
in
{
  run = import ../busybox.nix {
    inherit system;
    busybox = "${pkgs.busybox}/bin/busybox";
  };
  kernel = linux;
  modules = linux.modules or linux;
  applets = pkgs.busybox;
  environment = pkgs.buildEnv {
    name = "demo-environment";
    paths = [
      pkgs.bashInteractive
      pkgs.coreutils
      pkgs.nix
    ];
  };
}
