# storeboot's stage 1, which mounts the store and starts stage 2. Options that need more are refused.
{
  config,
  lib,
  options,
  pkgs,
  utils,
  modulesPath,
  ...
}:
let
  inherit (lib) mkDefault mkForce mkIf;
  cfg = config.netboot;
  inherit (config.boot) initrd;

  refuse = what: ''
    netboot.stage1 = "storeboot" has no ${what}. Take netboot.stage1 = "nixos", or leave it out.
  '';

  # NixOS's own modules set these options in every system. So only definitions from other files count.
  isByUser =
    path:
    let
      option = lib.attrByPath path null options.boot;
      written = definition: !(lib.elem definition.value [ null false "" [ ] { } ]);
      ofNixos = definition: lib.any (folder: lib.hasPrefix "${toString folder}/" (toString definition.file)) [ modulesPath ./. ];
    in
    option != null && lib.any (definition: written definition && !ofNixos definition) (option.definitionsWithLocations or [ ]);
  byUser = map (path: "boot.initrd.${lib.concatStringsSep "." path}") (
    lib.filter (path: isByUser ([ "initrd" ] ++ path)) readByNixosOnly
  );
  readByNixosOnly = [
    [ "preDeviceCommands" ]
    [ "preLVMCommands" ]
    [ "postDeviceCommands" ]
    [ "postResumeCommands" ]
    [ "postMountCommands" ]
    [ "preFailCommands" ]
    [ "extraUtilsCommands" ]
    [ "extraUdevRulesCommands" ]
    [ "extraFiles" ]
    [ "services" "udev" "binPackages" ]
    [ "services" "udev" "packages" ]
    [ "services" "udev" "rules" ]
    [ "systemd" "automounts" ]
    [ "systemd" "contents" ]
    [ "systemd" "extraBin" ]
    [ "systemd" "initrdBin" ]
    [ "systemd" "mounts" ]
    [ "systemd" "network" "links" ]
    [ "systemd" "network" "netdevs" ]
    [ "systemd" "network" "networks" ]
    [ "systemd" "packages" ]
    [ "systemd" "paths" ]
    [ "systemd" "repart" "enable" ]
    [ "systemd" "services" ]
    [ "systemd" "slices" ]
    [ "systemd" "sockets" ]
    [ "systemd" "storePaths" ]
    [ "systemd" "targets" ]
    [ "systemd" "timers" ]
    [ "systemd" "tmpfiles" "settings" ]
    [ "systemd" "units" ]
  ];

  # NixOS mounts these in stage 1, before the system is activated.
  early = lib.filter (place: place != "/") (
    map (fs: fs.mountPoint) (lib.filter utils.fsNeededForBoot (lib.attrValues config.fileSystems))
  );
in
{
  config = mkIf (cfg.stage1 == "storeboot") {
    # With systemd in the initrd, the system's `init` is systemd itself, and the initrd has to activate the system.
    boot.initrd = {
      enable = mkForce false;
    }
    # The option goes with NixOS's script.
    // lib.optionalAttrs (options.boot.initrd.systemd ? enable) {
      systemd.enable = mkForce false;
    };

    # NixOS before 26.05 links to these in every system that has a kernel.
    system.build.initialRamdisk = mkDefault (pkgs.writeTextDir config.system.boot.loader.initrdFile "");
    system.build.initialRamdiskSecretAppender = mkDefault (
      pkgs.writeShellScriptBin "append-initrd-secrets" "exit 0"
    );

    # Stage 1 has mounted it; stage 2 mounts it again with these options. The store needs no entry.
    fileSystems."/" = lib.mkImageMediaOverride {
      fsType = "tmpfs";
      options = [ "mode=0755" ];
    };

    # Generated configurations set the first, and most machines boot without.
    warnings =
      lib.optional (isByUser [ "initrd" "kernelModules" ]) ''
        netboot.stage1 = "storeboot" does not load boot.initrd.kernelModules. netboot.extraModules has modules for stage 1,
        and boot.kernelModules those for stage 2, where udev loads what the hardware needs.
      ''
      ++
        lib.optional
          (
            cfg.layout == "fetch"
            && cfg.fetch.networkModules == "all"
            && (isByUser [ "blacklistedKernelModules" ] || isByUser [ "extraModprobeConfig" ])
          )
          ''
            netboot.stage1 = "storeboot" loads the driver of each network card itself, and knows neither
            boot.blacklistedKernelModules nor boot.extraModprobeConfig. Name the drivers that it is to have in
            netboot.fetch.networkModules.
          '';

    assertions = [
      {
        assertion = initrd.luks.devices == { };
        message = refuse "LUKS, which boot.initrd.luks.devices needs";
      }
      {
        assertion = !initrd.network.enable;
        message = refuse (
          if cfg.layout == "fetch" then
            "use for boot.initrd.network.enable, since it sets up the network by itself"
          else
            "network, which boot.initrd.network.enable needs; stage 2 has one"
        );
      }
      {
        assertion = initrd.secrets == { };
        message = refuse "place for the files of boot.initrd.secrets";
      }
      {
        assertion = config.boot.resumeDevice == "";
        message = refuse "hibernation, which boot.resumeDevice needs";
      }
      {
        assertion = early == [ ];
        message = refuse "file system except / and the store, and NixOS mounts ${lib.concatStringsSep ", " early} in stage 1 (fileSystems.<name>.neededForBoot, or a place such as /var)";
      }
      {
        assertion = byUser == [ ];
        message = refuse "use for ${lib.concatStringsSep ", " byUser}";
      }
    ];
  };
}
