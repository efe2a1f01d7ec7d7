# Not NixOS: the options of nixpkgs that nix/modules reads or sets, declared as there (docs/nixos.md names the files), and
# as much of what NixOS puts into them as the tests look at.
{
  config,
  lib,
  pkgs,
  scripted,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  strings = option (types.listOf types.str) [ ];
  lines = option types.lines "";
  yes = option types.bool true;
  no = option types.bool false;
  sets = option (types.attrsOf types.unspecified) { };

  fileSystem =
  { name, config, ... }: {
    options = {
      mountPoint = option types.str name;
      device = option (types.nullOr types.str) null;
      fsType = mkOption { type = types.str; };
      options = option (types.listOf types.str) [ "defaults" ];
      depends = strings;
      neededForBoot = no;
      overlay = {
        lowerdir = option (types.nullOr (types.listOf types.str)) null;
        upperdir = option (types.nullOr types.str) null;
        workdir = option (types.nullOr types.str) null;
      };
    };
    config.fsType = lib.mkIf (config.overlay.lowerdir != null) "overlay";
  };

  service = {
    options = {
      description = option types.str "";
      after = strings;
      before = strings;
      conflicts = strings;
      requires = strings;
      requiredBy = strings;
      wants = strings;
      wantedBy = strings;
      unitConfig = sets;
      serviceConfig = sets;
      environment = sets;
      path = option (types.listOf types.package) [ ];
      restartIfChanged = yes;
      script = lines;
    };
  };

  socket.options = {
    description = option types.str "";
    wantedBy = strings;
    listenStreams = strings;
    socketConfig = sets;
  };

  network.options = {
    matchConfig = sets;
    DHCP = option (types.nullOr types.str) null;
    dhcpV4Config = sets;
    linkConfig = sets;
  };

  toplevel = {
    type = "derivation";
    name = "system";
    outPath = "/stand-in/system";
  };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = strings;
    boot = {
      kernelPackages = option types.raw pkgs.linuxPackages;
      kernelParams = strings;
      blacklistedKernelModules = strings;
      extraModprobeConfig = lines;
      postBootCommands = lines;
      resumeDevice = option types.str "";
      supportedFilesystems = strings;
      zfs = {
        forceImportRoot = yes;
        extraPools = strings;
      };
      loader = {
        grub.enable = yes;
        timeout = option (types.nullOr types.int) 5;
      };
      initrd = {
        enable = yes;
        availableKernelModules = strings;
        kernelModules = strings;
        prepend = strings;
        compressor = option types.str "zstd";
        secrets = option (types.attrsOf (types.nullOr types.path)) { };
        extraFiles = sets;
        luks.devices = sets;
        network = {
          enable = no;
        }
        // lib.optionalAttrs scripted {
          udhcpc.enable = no;
        };
        systemd = {
          contents = sets;
          storePaths = option (types.listOf types.unspecified) [ ];
          mounts = option (types.listOf types.unspecified) [ ];
          repart.enable = no;
          services = option (types.attrsOf (types.submodule service)) { };
          units = sets;
          network = {
            # As nixos/modules/system/boot/networkd.nix does.
            enable = option types.bool config.boot.initrd.network.enable;
            networks = option (types.attrsOf (types.submodule network)) { };
            wait-online.anyInterface = no;
          };
        }
        // lib.optionalAttrs scripted {
          enable = yes;
        };
      }
      // lib.optionalAttrs scripted {
        preDeviceCommands = lines;
        preLVMCommands = lines;
        postDeviceCommands = lines;
        postResumeCommands = lines;
        postMountCommands = lines;
        preFailCommands = lines;
        extraUtilsCommands = lines;
        extraUdevRulesCommands = lines;
      };
    };
    documentation.enable = yes;
    environment.etc = sets;
    environment.shell.enable = yes;
    fileSystems = option (types.attrsOf (types.submodule fileSystem)) { };
    networking = {
      firewall.allowedTCPPorts = option (types.listOf types.int) [ ];
      firewall.allowedUDPPorts = option (types.listOf types.int) [ ];
      hostId = option (types.nullOr types.str) null;
      hostName = option types.str "nixos";
      useDHCP = yes;
      useNetworkd = no;
    };
    nix = {
      enable = yes;
      package = option types.package pkgs.nix;
      nixPath = option (types.listOf types.str) [ "nixpkgs=/nix/var/nix/profiles/per-user/root/channels/nixos" ];
    };
    nixpkgs.pkgs = mkOption { type = types.raw; };
    services.nginx = sets;
    services.postgresql = sets;
    services.openssh = {
      enable = no;
      settings = sets;
      hostKeys = option (types.listOf types.unspecified) [ ];
    };
    systemd.services = option (types.attrsOf (types.submodule service)) { };
    systemd.sockets = option (types.attrsOf (types.submodule socket)) { };
    systemd.package = option types.package pkgs.systemd;
    hardware.enableRedistributableFirmware = no;
    hardware.firmware = option types.package pkgs.firmware;
    system = {
      build = option (types.lazyAttrsOf types.unspecified) { };
      boot.loader = {
        kernelFile = option types.str config.boot.kernelPackages.kernel.target;
        initrdFile = option types.str "initrd";
      };
      path = option types.path "/stand-in/path";
      modulesTree = option types.path "/stand-in/modules";
      nixos.label = option types.str "26.11";
      nixos.release = option types.str "26.11";
      nixos.tags = strings;
      nixos-init.enable = no;
      # NixOS has a default, and a warning where it is taken.
      stateVersion = mkOption { type = types.str; };
    };
    users.users = sets;
    virtualisation.vmVariant = sets;
    virtualisation.vmVariantWithBootLoader = sets;
  };

  # As nixos/modules/tasks/filesystems.nix does.
  config.boot.supportedFilesystems = map (fs: fs.fsType) (lib.attrValues config.fileSystems);

  # As nixos/modules/system/activation/nixos-init.nix does.
  config.assertions = [
    {
      assertion = config.system.nixos-init.enable -> config.boot.postBootCommands == "";
      message = "nixos-init cannot be used with boot.postBootCommands";
    }
  ];

  # As nixos/modules/system/{boot/kernel,activation/top-level,boot/stage-1}.nix do.
  config.system.build = {
    inherit (config.boot.kernelPackages) kernel;
    inherit toplevel;
    initialRamdisk = lib.mkIf config.boot.initrd.enable {
      type = "derivation";
      name = "initrd";
      outPath = "/stand-in/initrd";
    };
  };
}
