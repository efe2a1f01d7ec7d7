# A small system that boots from the network and keeps its data on the machine's disks, in a ZFS pool:
#
#   zpool create tank mirror /dev/disk/by-id/…          on the machine, once: boot it with netboot-minimal
#   zfs create -o mountpoint=legacy tank/persist
#
# The system is in memory, and the same at each boot. Files under /persist stay, and so do those in the directories of
# `netboot.persist.directories`. A configuration adds the machine's services.
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
        The ZFS dataset for the data, with its property `mountpoint` set to `legacy`. Its pool is imported at boot.
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
        Directories that are kept in the dataset, under the same path, and are mounted before the services start. A missing
        one is made, empty and owned by root. `/var`, `/var/lib`, `/var/log` and others that NixOS mounts in stage 1 need
        {option}`netboot.stage1` `nixos`.
      '';
    };
  };

  config = {
    netboot.stage1 = mkDefault "storeboot";
    # Without Nix, nothing on the machine writes to the store.
    nix.enable = mkDefault false;
    netboot.readOnlyStore = mkDefault (!config.nix.enable);

    boot.supportedFilesystems = [ "zfs" ];
    # The pool is for data; the root is in memory.
    boot.zfs.forceImportRoot = false;
    # ZFS checks which machine had the pool last; every boot is the same machine.
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

    # The mount of a missing directory fails, and ends in emergency mode.
    systemd.services.persist-directories = lib.mkIf (cfg.directories != [ ]) {
      description = "Make the directories that are kept";
      unitConfig = {
        DefaultDependencies = false;
        RequiresMountsFor = cfg.mountPoint;
      };
      before = mountUnits;
      requiredBy = mountUnits;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = utils.escapeSystemdExecArgs (
          [
            "${pkgs.coreutils}/bin/mkdir"
            "-p"
          ]
          ++ map kept cfg.directories
        );
      };
    };

    services.openssh = {
      enable = mkDefault true;
      settings.PasswordAuthentication = mkDefault false;
      # Otherwise each boot would make a new host key.
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
