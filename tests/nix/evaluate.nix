# A system with the netboot module in it, evaluated by nixpkgs' lib if there is one and by the stand-in otherwise; and what
# the tests look at, as plain data. The image itself is called @netboot@ in it.
{
  # A folder with nixpkgs' `lib` in it.
  nixpkgs ? null,
  system ? "x86_64-linux",
  buildSystem ? system,
  # What the configuration under test says.
  modules ? [ ],
  # Whether our module is there, or comes with those.
  withNetboot ? true,
  modulesPath ? toString ./nixpkgs/nixos/modules,
  # Whether NixOS has the stage 1 that is a script.
  scripted ? true,
}:
let
  lib = if nixpkgs == null then import ./stand-in/lib.nix else import (nixpkgs + "/lib");
  evaluated = lib.evalModules {
    modules = [
      ./nixos-options.nix
      { nixpkgs.pkgs = lib.mkOptionDefault (import ./stand-in/pkgs.nix { inherit system buildSystem; }); }
    ]
    ++ (if withNetboot then [ ../../nix/modules/netboot.nix ] else [ ])
    ++ modules;
    specialArgs = {
      inherit (config.nixpkgs) pkgs;
      inherit scripted;
      utils = import ./stand-in/utils.nix;
      inherit modulesPath;
    };
  };
  inherit (evaluated) config options;
  inherit (config.system) build;

  image = "${build.netboot}";
  named =
    value:
    if builtins.isString value then
      builtins.replaceStrings [ image ] [ "@netboot@" ] (builtins.unsafeDiscardStringContext value)
    else if builtins.isList value then
      map named value
    else if builtins.isAttrs value && value ? outPath then
      named value.outPath
    else if builtins.isAttrs value then
      builtins.mapAttrs (_: named) value
    else
      value;
  asked = names: builtins.listToAttrs (map (name: { inherit name; value = named build.${name}.asked; }) names);
in
{
  inherit lib config options build;

  # Whatever does not hold.
  inherit (config) warnings;
  refused = map (entry: entry.message) (builtins.filter (entry: !entry.assertion) config.assertions);

  # What the image's derivation says to storeboot.
  netboot = build.netboot.drvAttrs.storeboot;
  inherit (build.netboot.drvAttrs) system;
  roots = build.netboot.drvAttrs.exportReferencesGraph.closure;
  squashfs = build.squashfsStore.drvAttrs;
  inherit (build.netboot.drvAttrs) builder;

  # What the derivation of the file for UEFI says to storeboot.
  uki = named build.netbootUki.drvAttrs.storeboot;

  files = asked [
    "netbootRamdisk"
    "netbootIpxeScript"
    "kexecScript"
    "kexecTree"
    "kexecTarball"
  ];

  fileSystems = builtins.mapAttrs (_: fs: {
    inherit (fs) device fsType options overlay neededForBoot;
  }) config.fileSystems;

  initrd = {
    inherit (config.boot.initrd) enable kernelModules availableKernelModules postDeviceCommands postMountCommands;
    systemd = config.boot.initrd.systemd.enable or true;
    inherit (config.boot.initrd.systemd) services units;
    network = {
      inherit (config.boot.initrd.network) enable;
      dhcp = config.boot.initrd.network.udhcpc.enable or false;
      systemd = config.boot.initrd.systemd.network;
    };
  };
  inherit (config.boot) kernelParams;
  inherit (config.systemd) services;
}
