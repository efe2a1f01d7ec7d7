# A lean machine that boots from the network and keeps its data on its own disks, in a ZFS pool:
#
#   zpool create tank mirror /dev/disk/by-id/…          on the machine, once: boot it with netboot-minimal
#   zfs create -o mountpoint=legacy tank/persist
#
# The system is in memory and as it was built at each boot; what is under /persist stays, and so do the directories that
# `netboot.persist.directories` names. A configuration adds what the machine is there for.
{
  config,
  lib,
  modulesPath,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.netboot.persist;
  kept = directory: cfg.mountPoint + directory;
  mountUnits = map (directory: "${utils.escapeSystemdPath directory}.mount") cfg.directories;
in
{
  imports = [
    (modulesPath + "/profiles/minimal.nix")
    ../modules/netboot.nix
  ];

  options.netboot.persist = {
    dataset = mkOption {
      type = types.str;
      default = "tank/persist";
      example = "data/machine";
      description = ''
        The ZFS dataset that holds what stays, with its property `mountpoint` set to `legacy`. Its pool is imported at
        boot.
      '';
    };

    mountPoint = mkOption {
      type = types.path;
      default = "/persist";
      example = "/data";
      description = "Where the dataset is mounted.";
    };

    directories = mkOption {
      type = types.listOf types.path;
      default = [ "/var/log/journal" ];
      example = [ "/var/lib/postgresql" ];
      description = ''
        Directories that lie in the dataset, under the same path, and are mounted before the services start. What is not
        there yet is made, empty and root's.
      '';
    };
  };

  config = {
    netboot.stage1 = mkDefault "storeboot";
    # Without Nix on the machine, nobody has a reason to write to the store.
    nix.enable = mkDefault false;
    netboot.readOnlyStore = mkDefault (!config.nix.enable);

    boot.supportedFilesystems = [ "zfs" ];
    # The pool is for data; the root is in memory.
    boot.zfs.forceImportRoot = false;
    # ZFS asks which machine had the pool last. Here that is this one.
    networking.hostId = mkDefault "5704eb00";

    fileSystems = {
      ${cfg.mountPoint} = {
        device = cfg.dataset;
        fsType = "zfs";
      };
    }
    // lib.genAttrs cfg.directories (directory: {
      device = kept directory;
      fsType = "none";
      options = [ "bind" ];
      depends = [ cfg.mountPoint ];
    });

    # A mount of what is not there would end in emergency mode.
    systemd.services.persist-directories = lib.mkIf (cfg.directories != [ ]) {
      description = "Directories that stay";
      unitConfig = {
        DefaultDependencies = false;
        RequiresMountsFor = cfg.mountPoint;
      };
      before = mountUnits;
      requiredBy = mountUnits;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${pkgs.coreutils}/bin/mkdir -p ${toString (map kept cfg.directories)}";
      };
    };

    services.openssh = {
      enable = mkDefault true;
      settings.PasswordAuthentication = mkDefault false;
      # Otherwise the machine would be another one after each boot.
      hostKeys = mkDefault [
        {
          path = "${cfg.mountPoint}/ssh/ssh_host_ed25519_key";
          type = "ed25519";
        }
      ];
    };

    networking.useDHCP = mkDefault true;
  };
}
