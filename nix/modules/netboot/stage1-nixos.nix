# NixOS's own stage 1, systemd or script: file systems under the names of nixpkgs' module, and what makes the store
# visible to them.
{
  config,
  lib,
  options,
  utils,
  ...
}:
let
  inherit (lib) mkIf mkImageMediaOverride;
  cfg = config.netboot;
  inherit (config.boot) initrd;
  systemd = initrd.systemd.enable;
  unit = path: "${utils.escapeSystemdPath path}.mount";

  # A program in the initrd beside NixOS's own makes the store visible: how many images there are is not known before they
  # are made, and NixOS alone could mount one. It finds them, however many, checks them if it is told to, and moves the
  # files of layout `direct` to where they are not deleted. It heeds `storeboot.verify` and `storeboot.ro-store` on the
  # kernel's command line.
  #
  # It makes no more than what is read-only, `/nix/.ro-store`, and NixOS puts what is written over that as ever. Where
  # nothing can be put over it, or nothing is to be, it makes the whole store.
  underlay = cfg.layout != "direct" && !cfg.readOnlyStore;
  # For the script, which has no place for it between one mount and the next, in the initrd; it is bound to its place then.
  early = "storeboot/ro-store";

  writable = {
    "/nix/.rw-store" = mkImageMediaOverride {
      fsType = "tmpfs";
      options = [ "mode=0755" ];
      neededForBoot = true;
    };
    "/nix/store" = mkImageMediaOverride {
      overlay = {
        lowerdir = [ "/nix/.ro-store" ];
        upperdir = "/nix/.rw-store/store";
        workdir = "/nix/.rw-store/work";
      };
      neededForBoot = true;
    };
  };

  service = {
    description = "Nix store in the initrd";
    unitConfig = {
      DefaultDependencies = false;
      RequiresMountsFor = "/sysroot";
    };
    after = [ "systemd-modules-load.service" ];
    before =
      if underlay then
        [ (unit "/sysroot/nix/store") ]
      else
        [
          "initrd-fs.target"
          "initrd-find-nixos-closure.service"
        ];
    requiredBy = if underlay then [ (unit "/sysroot/nix/store") ] else [ "initrd-fs.target" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "/storeboot/attach ${if underlay then "--store /sysroot/nix/.ro-store" else "--root /sysroot"}";
    };
  };
in
{
  config = mkIf (cfg.stage1 == "nixos") {
    assertions = [
      {
        assertion = initrd.enable;
        message = ''
          netboot.stage1 = "nixos" needs boot.initrd.enable. Take netboot.stage1 = "storeboot" for a system without
          NixOS's initrd.
        '';
      }
    ];

    fileSystems = lib.mkMerge [
      {
        "/" = mkImageMediaOverride {
          fsType = "tmpfs";
          options = [ "mode=0755" ];
        };
      }
      (mkIf underlay writable)
      (mkIf (underlay && !systemd) {
        "/nix/.ro-store" = mkImageMediaOverride {
          fsType = "none";
          # Not from / on: then the script takes it for a folder of the initrd, and not of the new root.
          device = "../${early}";
          options = [ "bind" ];
          neededForBoot = true;
        };
      })
    ];

    boot.initrd = {
      availableKernelModules = [
        "squashfs"
        "overlay"
      ];
      # Loaded, since who only calls mount(2) cannot rely on somebody who loads them then.
      kernelModules = [
        "loop"
        "overlay"
        "squashfs"
      ]
      ++ cfg.extraModules;
      systemd.services.storeboot-attach = mkIf systemd service;
    }
    # NixOS is about to do without the script.
    // lib.optionalAttrs (options.boot.initrd ? postMountCommands) {
      postDeviceCommands = mkIf (underlay && !systemd) ''
        /storeboot/attach --store /${early} || fail
      '';
      postMountCommands = mkIf (!underlay && !systemd) ''
        /storeboot/attach --root $targetRoot || fail
      '';
    };
  };
}
