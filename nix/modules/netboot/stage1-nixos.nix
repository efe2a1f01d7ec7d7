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

  # One image that the kernel unpacked to a file: NixOS can mount it itself, as with nixpkgs' module.
  plain =
    cfg.layout == "file" && cfg.imageLimit == null && cfg.layers == [ ] && !cfg.verify && !cfg.readOnlyStore;

  # In all other cases by a program that lies in the initrd beside NixOS's own. It finds the images, however many, checks
  # them if it is told to, and moves the files of layout `direct` to where they are not deleted. It heeds
  # `storeboot.verify` and `storeboot.ro-store` on the kernel's command line.
  #
  # systemd's stage 1 can have it mount no more than what is read-only, and put what is written over that as ever. The
  # script has no place for it between one mount and the next; there, and where nothing can be put over, it makes the
  # whole store.
  underlay = systemd && cfg.layout != "direct" && !cfg.readOnlyStore;
  attach = root: "/storeboot/attach ${if underlay then "--store ${root}/nix/.ro-store" else "--root ${root}"}";

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
      ExecStart = attach "/sysroot";
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
      (mkIf plain {
        "/nix/.ro-store" = mkImageMediaOverride {
          fsType = "squashfs";
          # Not from / on: then both kinds of stage 1 take it for a file of the initrd, and not of the new root.
          device = "../nix-store.squashfs";
          # `threads`: blocks are unpacked on all processors.
          options = [ "loop" ] ++ lib.optional (config.boot.kernelPackages.kernel.kernelAtLeast "6.2") "threads=multi";
          neededForBoot = true;
        };
      })
      (mkIf (plain || underlay) writable)
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
      ]
      ++ lib.optional (!plain) "squashfs"
      ++ cfg.extraModules;
      systemd.services.storeboot-attach = mkIf (!plain && systemd) service;
    }
    # NixOS is about to do without the script.
    // lib.optionalAttrs (options.boot.initrd ? postMountCommands) {
      postMountCommands = mkIf (!plain && !systemd) ''
        ${attach "$targetRoot"} || fail
      '';
    };
  };
}
