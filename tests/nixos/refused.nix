# What is refused, and with which words.
{
  lib,
  stage1s,
  skippedStage1,
  hasModule,
  ...
}:
let
  refused =
    stage1: config: refused:
    {
      modules = [
        stage1s.${stage1}
        config
      ];
      inherit refused;
      skipped = skippedStage1.${stage1} or null;
    };
  byStoreboot = refused "storeboot";
  by = refused "systemd";
in
lib.mapAttrs' (name: lib.nameValuePair "refused/${name}") {
  luks = byStoreboot {
    boot.initrd.luks.devices.data.device = "/dev/sda2";
  } "has no LUKS, which boot.initrd.luks.devices needs";
  network = byStoreboot { boot.initrd.network.enable = true; } "has no network, which boot.initrd.network.enable needs";
  secrets = byStoreboot {
    boot.initrd.secrets."/key" = "/etc/key";
  } "has no place for the files of boot.initrd.secrets";
  resume = byStoreboot { boot.resumeDevice = "/dev/sda3"; } "has no hibernation, which boot.resumeDevice needs";
  early = byStoreboot {
    fileSystems."/var" = {
      device = "/dev/sda1";
      fsType = "ext4";
    };
  } "NixOS mounts /var in stage 1";
  units = byStoreboot { boot.initrd.systemd.services.mine.script = "true"; } "boot.initrd.systemd.services";
  commands = byStoreboot { boot.initrd.postMountCommands = "true"; } "boot.initrd.postMountCommands" // {
    skipped = skippedStage1.script;
  };
  nixos-init = byStoreboot {
    system.nixos-init.enable = true;
    system.etc.overlay.enable = true;
    services.userborn.enable = true;
  } "nixos-init" // {
    skipped = hasModule "./system/activation/nixos-init.nix";
  };
  no-initrd = by { boot.initrd.enable = false; } ''netboot.stage1 = "nixos" needs boot.initrd.enable'';
  old-kernel = by (
    { pkgs, ... }:
    {
      netboot.layout = "in-place";
      boot.kernelPackages = pkgs.linuxPackages_6_6 or pkgs.linuxPackages_6_1 or pkgs.linuxPackages_5_15;
    }
  ) ''netboot.layout = "in-place" needs Linux 6.8'';
  archives = by {
    netboot.layout = "file";
    netboot.archives = "per-path";
  } ''netboot.archives = "per-path" is for netboot.layout = "direct"'';
  layers = by {
    netboot.layout = "direct";
    netboot.layers = "nixos";
  } "layers are store images";
  verify = by {
    netboot.layout = "direct";
    netboot.verify = true;
  } "netboot.verify is for store images";
  block-size = by {
    netboot.layout = "direct";
    netboot.blockSize = 4096;
  } "netboot.blockSize, netboot.imageLimit and netboot.profile are for store images";
  mounts = byStoreboot {
    boot.initrd.systemd.mounts = [ { where = "/sysroot/data"; what = "/dev/sda1"; } ];
  } "boot.initrd.systemd.mounts";
  compression = by { netboot.compression = "zstd -19"; } "netboot.compression";
  verity = by {
    netboot.layout = "direct";
    netboot.verity = true;
  } "netboot.verity is for store images";
  stream = by {
    netboot.layout = "fetch";
    netboot.stream = true;
  } "netboot.stream needs";
  fetch-elsewhere = by { netboot.fetch.url = "http://10.0.0.1"; } "netboot.fetch.url and netboot.fetch.keep are for";
  fetch-tls = by {
    netboot.layout = "fetch";
    netboot.fetch.url = "https://boot.example";
  } "stage 1 has no TLS";
  fetch-all-drivers = by {
    netboot.layout = "fetch";
    netboot.fetch.networkModules = "all";
  } ''netboot.fetch.networkModules = "all" needs netboot.stage1 = "storeboot"'';
  fetch-without-network = by {
    netboot.layout = "fetch";
    boot.initrd.network.enable = false;
  } "needs a network in stage 1, and boot.initrd.systemd.network.enable is false";
  fetch-two-networks = byStoreboot {
    netboot.layout = "fetch";
    boot.initrd.network.enable = true;
  } "since it sets up the network by itself";
  lzo = by { netboot.squashfsCompression = "lzo"; } "lzo";
  layout = by { netboot.layout = "elsewhere"; } "netboot.layout";
}
