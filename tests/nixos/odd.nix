# Configurations that people have and that touch what the module touches: the kernel, the initrd, file systems, the
# activation, the packages.
{
  lib,
  hasFile,
  hasModule,
  modulesOf,
  netboot,
  nixosFor,
  nixpkgs,
  perStage1,
  pkgs,
  stage1s,
  skippedStage1,
  system,
  unless,
  ...
}:
let
  with_ = module: { modules = [ module ]; };
  ours = import ../../. { inherit system pkgs; };

  # The kernel that those file systems need.
  kernelBy =
    wanted:
    { config, pkgs, ... }:
    {
      boot.kernelPackages = if wanted config then pkgs.linuxPackages_latest else pkgs.linuxPackages;
    };
  mountsBcachefs = config: lib.any (fs: fs.fsType == "bcachefs") (lib.attrValues config.fileSystems);
  supportsZfs = config: config.boot.supportedFilesystems.zfs or false;

  nixosInit = {
    system.nixos-init.enable = true;
    system.etc.overlay.enable = true;
    services.userborn.enable = true;
  };
  aarch64 = "aarch64-linux";
  onSystemd =
    name: modules: skipped:
    {
      "odd/${name}" = {
        modules = [ stage1s.systemd ] ++ modules;
        inherit skipped;
      };
    };
  # Cases of which more is expected than that they evaluate: of the unit that makes the store visible.
  expecting = sentence: holds: lib.mapAttrs (
    _: case:
    case // { expect = config: { ${sentence} = holds config.boot.initrd.systemd.services.storeboot-attach; }; }
  );

  # The machine that `nixos-rebuild build-vm` makes.
  vm =
    stage1: name: module:
    let
      inherit (nixosFor system [ stage1s.${stage1} module ]) config;
      inherit (config.virtualisation) vmVariant vmVariantWithBootLoader;
      isNixos = variant: variant.netboot.stage1 == "nixos" && !variant.netboot.registerDatabase;
    in
    {
      value =
        if lib.all isNixos [ vmVariant vmVariantWithBootLoader ] then
          config.system.build.${name}
        else
          throw "a virtual machine has another stage 1 than NixOS's, or registers its store twice";
      skipped = skippedStage1.${stage1} or null;
    };
  vms = lib.concatMapAttrs (stage1: _: {
    "vm/build-vm/${stage1}" = vm stage1 "vm" { };
    "vm/build-vm-with-bootloader/${stage1}" = vm stage1 "vmWithBootLoader" { };
    "vm/vmVariant/${stage1}" = vm stage1 "vm" { virtualisation.vmVariant.virtualisation.memorySize = 4096; };
  }) stage1s;

  kexecTest = nixpkgs + "/nixos/tests/kexec.nix";
in
perStage1 "odd/kernel-by-file-systems" (with_ (kernelBy mountsBcachefs))
// perStage1 "odd/kernel-by-supported-file-systems" (with_ (kernelBy supportsZfs))
// perStage1 "odd/zfs" (with_ {
  boot.supportedFilesystems = [ "zfs" ];
  networking.hostId = "5704eb00";
})
// perStage1 "odd/bcachefs" {
  modules = [ { boot.supportedFilesystems = [ "bcachefs" ]; } ];
  skipped = hasModule "./tasks/filesystems/bcachefs.nix";
}
// perStage1 "odd/containers" {
  modules = [
    {
      containers.web.autoStart = true;
      containers.web.config = {
        services.openssh.enable = true;
        system.stateVersion = lib.trivial.release;
      };
    }
  ];
  skipped = hasModule "./virtualisation/nixos-containers.nix";
}
// perStage1 "odd/plasma" {
  modules = [
    {
      services.desktopManager.plasma6.enable = true;
      services.displayManager.sddm.enable = true;
    }
  ];
  # Imports that of Plasma.
  skipped = hasModule "./services/x11/desktop-managers/default.nix";
}
// perStage1 "odd/lix" {
  modules = [ { nix.package = pkgs.lixPackageSets.stable.lix or pkgs.lix; } ];
  skipped = unless (pkgs ? lixPackageSets.stable.lix || pkgs ? lix) "no Lix";
}
// perStage1 "odd/specialisation" {
  modules = [ { specialisation.other.configuration.boot.kernelParams = [ "other=1" ]; } ];
  expect = config: {
    "the specialisation keeps the layout" =
      config.specialisation.other.configuration.netboot.layout == config.netboot.layout;
  };
}
// perStage1 "odd/hardened" {
  modules = [ (modulesOf "profiles/hardened.nix") ];
  skipped = hasFile "/nixos/modules/profiles/hardened.nix";
}
// perStage1 "odd/headless" (with_ (modulesOf "profiles/headless.nix"))
// perStage1 "odd/overlay-default" {
  modules = [ { nixpkgs.overlays = [ ours.overlays.default ]; } ];
}
// perStage1 "odd/overlay-initrd" {
  modules = [
    {
      nixpkgs.overlays = [
        ours.overlays.default
        ours.overlays.initrd
      ];
    }
  ];
}
// perStage1 "odd/networkd" (with_ { networking.useNetworkd = true; })
// perStage1 "odd/imported-twice" (with_ {
  imports = [
    netboot
    (modulesOf "installer/netboot/netboot.nix")
  ];
})
// perStage1 "odd/${aarch64}" (with_ { nixpkgs.hostPlatform = aarch64; })
// perStage1 "odd/cross-to-${aarch64}" (with_ {
  nixpkgs.buildPlatform = system;
  nixpkgs.hostPlatform = aarch64;
})

# What only an initrd of systemd's has.
// onSystemd "nixos-init" [ nixosInit ] (hasModule "./system/activation/nixos-init.nix")
// onSystemd "bashless" [ (modulesOf "profiles/bashless.nix") ] (hasFile "/nixos/modules/profiles/bashless.nix")
// onSystemd "perlless" [ (modulesOf "profiles/perlless.nix") ] (hasFile "/nixos/modules/profiles/perlless.nix")
// onSystemd "etc-overlay" [ { system.etc.overlay.enable = true; } ] (hasModule "./system/etc/etc-activation.nix")
# Here no mount unit of the store tells others that it is there.
// expecting "the store is there before etc is looked for" (unit: lib.elem "initrd-find-etc.service" unit.before) (
  lib.concatMapAttrs (
    name: netboot:
    onSystemd "etc-overlay-${name}" [ { inherit netboot; system.etc.overlay.enable = true; } ] (
      hasModule "./system/etc/etc-activation.nix"
    )
  ) {
    direct.layout = "direct";
    read-only.readOnlyStore = true;
  }
)
// expecting "the store is made after /nix is mounted" (unit: unit.unitConfig.RequiresMountsFor == "/sysroot/nix") (
  onSystemd "nix-on-a-disk" [
    {
      netboot.layout = "direct";
      fileSystems."/nix" = {
        device = "/dev/sda1";
        fsType = "ext4";
        neededForBoot = true;
      };
    }
  ] null
)
// onSystemd "luks" [ { boot.initrd.luks.devices.data.device = "/dev/sda2"; } ] null
// onSystemd "initrd-ssh" [
  {
    boot.initrd.network.enable = true;
    boot.initrd.network.ssh = {
      enable = true;
      # A path, as NixOS wants it without a boot loader. Any file will do.
      hostKeys = [ ./odd.nix ];
      authorizedKeys = [ "ssh-ed25519 AAAA" ];
    };
  }
] null
// onSystemd "var-on-a-disk" [
  {
    fileSystems."/var" = {
      device = "/dev/sda1";
      fsType = "ext4";
    };
  }
] null

// vms
// {
  "vm/nixpkgs-kexec-test" = {
    value = pkgs.testers.runNixOSTest {
      imports = [ kexecTest ];
      nodes.node2.imports = [ netboot ];
    };
    skipped = unless (
      builtins.pathExists kexecTest && !lib.hasInfix "make-test-python" (builtins.readFile kexecTest)
    ) "nixos/tests/kexec.nix is no module";
  };

  # The package itself, and what a builder of another processor needs.
  "odd/package".value = ours.storeboot;
  "odd/package-cross".value =
    let
      cross = import ../../. {
        inherit system;
        pkgs = import nixpkgs {
          inherit system;
          crossSystem = aarch64;
        };
      };
      inherit (cross.netboot_minimal.config) netboot;
    in
    if netboot.package.stdenv.hostPlatform.system == system && netboot.stage1Package.stdenv.hostPlatform.system == aarch64 then
      [ cross.storeboot netboot.package netboot.stage1Package ]
    else
      throw "what packs is not for the machine that builds, or stage 1 is not for the one that boots";

  "odd/pkgs-nixos".value =
    (pkgs.nixos [
      netboot
      { system.stateVersion = lib.trivial.release; }
    ]).config.system.build.netboot;
}
