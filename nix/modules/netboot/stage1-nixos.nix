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
  inherit (config.boot.kernelPackages) kernel;
  # The option goes with the script.
  systemd = initrd.systemd.enable or true;
  unit = path: "${utils.escapeSystemdPath path}.mount";

  # A program that the image has beside NixOS's initrd makes the store visible: how many store images there are is known
  # only when they are made, and NixOS alone could mount one. It finds them all, checks them if `storeboot.verify` is on
  # the kernel's command line, and moves the files of layout `direct` to where they are not deleted.
  #
  # Other images with the same initrd do not have it, such as the virtual machines of nixpkgs or an initrd that was put
  # together by hand. So nothing may require it: where it is missing, the file systems are mounted as they are configured.
  attach = "/storeboot/attach";

  chosen = import ./chosen.nix { inherit config lib options; };
  direct = chosen "direct";

  # The program mounts the read-only part, `/nix/.ro-store`, and NixOS mounts the overlay over it. In layout `direct` and
  # with `readOnlyStore` there is no overlay, and the program makes the whole store.
  underlay = !direct && !cfg.readOnlyStore;

  # The script runs no command between one mount and the next. So the program mounts here, in the initrd, before the
  # script mounts anything, and the script binds it to its place.
  early = "storeboot/ro-store";

  # Where nixpkgs' module has the store's image in the initrd.
  image = "nix-store.squashfs";

  overlay = {
    "/nix/.ro-store" = mkImageMediaOverride (
      if systemd then
        {
          fsType = "squashfs";
          device = "../${image}";
          options = [ "loop" ] ++ lib.optional (kernel.kernelAtLeast "6.2") "threads=multi";
          neededForBoot = true;
        }
      else
        {
          fsType = "none";
          # The script takes a path that begins with / for one of the new root.
          device = "../${early}";
          options = [ "bind" ];
          neededForBoot = true;
        }
    );
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

  # Among the script's commands after the mounts are those that take the network down.
  whileThereIsANetwork = if chosen "fetch" then lib.mkBefore else (commands: commands);

  before =
    if underlay then
      [ (unit "/sysroot/nix/store") ]
    else
      [
        "initrd-fs.target"
        "initrd-find-nixos-closure.service"
        # Of `system.etc.overlay`.
        "initrd-find-etc.service"
      ];

  service = {
    description = "Nix store in the initrd";
    unitConfig = {
      DefaultDependencies = false;
      # A configuration may mount /nix in stage 1.
      RequiresMountsFor = "/sysroot/nix";
      ConditionPathExists = attach;
    };
    after = [ "systemd-modules-load.service" ];
    inherit before;
    requiredBy = [ (builtins.head before) ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "${attach} ${if underlay then "--store /sysroot/nix/.ro-store" else "--root /sysroot"}";
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
      (mkIf underlay overlay)
    ];

    boot.initrd = {
      availableKernelModules = [
        "squashfs"
        "overlay"
      ];
      # The program calls mount(2), which loads no modules.
      kernelModules = [
        "loop"
        "overlay"
        "squashfs"
      ]
      ++ lib.optionals cfg.verity [
        "dm_mod"
        "dm_verity"
      ]
      ++ cfg.extraModules;
      systemd = mkIf systemd {
        services.storeboot-attach = service;
        # Where the program mounts the store, systemd does not.
        units = mkIf underlay {
          ${unit "/sysroot/nix/.ro-store"} = {
            overrideStrategy = "asDropin";
            text = ''
              [Unit]
              ConditionPathExists=!${attach}
            '';
          };
        };
      };
    }
    # NixOS removes the script, and these options with it.
    // lib.optionalAttrs (options.boot.initrd ? postMountCommands) {
      postDeviceCommands = mkIf (underlay && !systemd) ''
        if [ -e ${attach} ]; then
          ${attach} --store /${early} || fail
        elif [ -e /${image} ]; then
          mkdir -p /${early}
          mount -t squashfs -o loop,ro /${image} /${early} || fail
        fi
      '';
      postMountCommands = mkIf (!underlay && !systemd) (
        whileThereIsANetwork ''
          if [ -e ${attach} ]; then
            ${attach} --root $targetRoot || fail
          fi
        ''
      );
    };
  };
}
