# What our options do, with each stage 1.
{
  lib,
  modulesOf,
  perStage1,
  ...
}:
let
  with_ = module: { modules = [ module ]; };
  # The newest of nixpkgs' kernels that is too old for layout `in-place`.
  oldKernel =
    { pkgs, ... }:
    {
      boot.kernelPackages = pkgs.linuxPackages_6_6 or pkgs.linuxPackages_6_1 or pkgs.linuxPackages_5_15;
    };
in
perStage1 "option/layers" (with_ { netboot.layers = "nixos"; })
// perStage1 "option/layers-of-paths" (with_ ({ pkgs, ... }: { netboot.layers = [ [ pkgs.hello ] ]; }))
// perStage1 "option/read-only" (with_ { netboot.readOnlyStore = true; })
// perStage1 "option/verify" (with_ { netboot.verify = true; })
// perStage1 "option/verity" {
  modules = [ { netboot.verity = true; } ];
  expect = config: {
    "NixOS's initrd has dm-verity" = config.boot.initrd.enable -> lib.elem "dm_verity" config.boot.initrd.kernelModules;
  };
}
// perStage1 "option/several-images" (with_ { netboot.imageLimit = 64 * 1024 * 1024; })
// perStage1 "option/archives" (with_ {
  netboot.layout = "direct";
  netboot.archives = "per-path";
})
// perStage1 "option/direct-read-only" (with_ {
  netboot.layout = "direct";
  netboot.readOnlyStore = true;
})
// perStage1 "option/fetch-url" {
  modules = [
    {
      netboot.layout = "fetch";
      netboot.fetch.url = [
        "http://10.0.0.1/machine"
        "http://10.0.0.2/machine"
      ];
      hardware.enableRedistributableFirmware = true;
    }
  ];
  expect = config: {
    "the command line has both places" =
      lib.elem "storeboot.store=http://10.0.0.1/machine,http://10.0.0.2/machine" config.boot.kernelParams;
    "NixOS's stage 1 has a network" = with config.boot.initrd; enable == network.enable;
  };
}
// perStage1 "option/fetch-keep" {
  modules = [
    {
      netboot.layout = "fetch";
      netboot.fetch.keep = "LABEL=store";
    }
  ];
  expect = config: {
    "the command line has the disk" = lib.elem "storeboot.keep=LABEL=store" config.boot.kernelParams;
    "NixOS's initrd has its file systems" =
      config.boot.initrd.enable -> lib.all (fs: lib.elem fs config.boot.initrd.kernelModules) [ "ext4" "vfat" "xfs" ];
  };
}
// perStage1 "option/fetch-read-only" (with_ {
  netboot.layout = "fetch";
  netboot.readOnlyStore = true;
})
// perStage1 "option/fetch-drivers" (with_ {
  netboot.layout = "fetch";
  netboot.layers = "nixos";
  netboot.fetch.networkModules = [ "virtio_net" ];
})
// perStage1 "option/fetch-static-address" (with_ {
  netboot.layout = "fetch";
  networking.useDHCP = false;
  networking.interfaces.eth0.ipv4.addresses = [
    {
      address = "10.0.0.2";
      prefixLength = 24;
    }
  ];
})
// perStage1 "option/compression" (with_ {
  netboot.squashfsCompression = "xz -Xdict-size 100%";
  netboot.blockSize = 131072;
})
// perStage1 "option/contents" (with_ ({ pkgs, ... }: { netboot.storeContents = [ pkgs.hello ]; }))
// perStage1 "option/modules" (with_ { netboot.extraModules = [ "virtio_net" ]; })
// perStage1 "option/microcode" (with_ {
  hardware.cpu.amd.updateMicrocode = true;
  hardware.cpu.intel.updateMicrocode = true;
})
// perStage1 "option/old-kernel" {
  modules = [ oldKernel ];
  expect = config: { "the layout is file" = config.netboot.layout == "file"; };
}
// perStage1 "option/no-nix" {
  modules = [ { nix.enable = false; } ];
  expect = config: { "no database is registered" = !config.netboot.registerDatabase; };
}
// perStage1 "option/more-file-systems" (with_ {
  fileSystems."/data" = {
    device = "/dev/sda1";
    fsType = "ext4";
  };
})
// perStage1 "profile/zfs-appliance" (with_ ../../nix/profiles/netboot-zfs-appliance.nix)
// perStage1 "profile/netboot-minimal" (with_ ../../nix/profiles/netboot-minimal.nix)
