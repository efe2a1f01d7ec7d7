# Registers the store in Nix's database and sets root's password when the system boots, as nixpkgs' module does. Both are
# units: `system.nixos-init.enable` refuses `boot.postBootCommands`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.netboot;
  nix = config.nix.package;
  registration = "/nix/store/nix-path-registration";

  # Runs once, before any service and any login.
  early = {
    wantedBy = [ "sysinit.target" ];
    before = [
      "sysinit.target"
      "shutdown.target"
    ];
    conflicts = [ "shutdown.target" ];
    unitConfig.DefaultDependencies = false;
    restartIfChanged = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
  };
in
{
  systemd.services = {
    # Under the name that nixpkgs' module has for it. There is no shell in it: a system may have none.
    register-nix-paths = lib.mkIf cfg.registerDatabase (
      lib.mkMerge [
        early
        {
          description = "Register the store's paths in Nix's database";
          # The same system may run from a disk.
          unitConfig.ConditionPathExists = registration;
          after = [
            "local-fs.target"
            # Makes root's home, where nix-env leaves a link.
            "systemd-tmpfiles-setup.service"
          ];
          before = [
            "nix-daemon.socket"
            "nix-daemon.service"
          ];
          environment.HOME = "/root";
          serviceConfig = {
            # For the first command: the paths that came with the initrd. The database is in memory and empty.
            StandardInput = "file:${registration}";
            ExecStart = [
              "${nix}/bin/nix-store --load-db"
              # nixos-rebuild needs this file, and the profile `system`.
              # Fails where /etc is read-only.
              "-${pkgs.coreutils}/bin/touch /etc/NIXOS"
              "${nix}/bin/nix-env -p /nix/var/nix/profiles/system --set /run/current-system"
            ];
          };
        }
      ]
    );

    # Ends the record of what this boot reads at a point that is the same every time.
    storeboot-profile = lib.mkIf (cfg.stage1 == "storeboot") {
      description = "Complete the boot profile";
      wantedBy = [ "multi-user.target" ];
      after = [ "multi-user.target" ];
      unitConfig.ConditionKernelCommandLine = "storeboot.profile";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${pkgs.coreutils}/bin/touch /run/storeboot/profile.stop";
      };
    };

    # Without a shell there is no login.
    netboot-root-password = lib.mkIf (config.environment.shell.enable or true) (
      lib.mkMerge [
        early
        {
          description = "Set root's password as the kernel's command line says";
          unitConfig.ConditionKernelCommandLine = [
            "|live.nixos.password"
            "|live.nixos.passwordHash"
          ];
          # These make the users, where the activation script does not.
          after = [
            "local-fs.target"
            "systemd-sysusers.service"
            "userborn.service"
          ];
          path = [
            pkgs.gnugrep
            pkgs.shadow
          ];
          script = builtins.readFile ./root-password.sh;
        }
      ]
    );
  };
}
