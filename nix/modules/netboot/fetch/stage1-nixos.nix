# Layout `fetch` with NixOS's own stage 1, which sets up the network: drivers, DHCP on every wired card that nothing else
# configures, and the program that fetches the store after that. All of it gives way to what a configuration says.
{
  config,
  lib,
  options,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkDefault mkIf;
  cfg = config.netboot;
  inherit (cfg) fetch;
  inherit (config.boot) initrd;
  chosen = import ../chosen.nix { inherit config lib options; };
  # The option goes with the script.
  systemd = initrd.systemd.enable or true;

  drivers = import ./drivers.nix {
    inherit lib pkgs;
    inherit (config.boot.kernelPackages) kernel;
  };
  modules = wanted: common: if wanted == "common" then common else if wanted == "all" then [ ] else wanted;

  # The device of the disk, by udev's links.
  device =
    if lib.hasPrefix "LABEL=" fetch.keep then
      "/dev/disk/by-label/${lib.removePrefix "LABEL=" fetch.keep}"
    else if lib.hasPrefix "UUID=" fetch.keep then
      "/dev/disk/by-uuid/${lib.removePrefix "UUID=" fetch.keep}"
    else if lib.hasPrefix "PARTUUID=" fetch.keep then
      "/dev/disk/by-partuuid/${lib.toLower (lib.removePrefix "PARTUUID=" fetch.keep)}"
    else
      fetch.keep;
  disk = lib.optional (fetch.keep != null) "${utils.escapeSystemdPath device}.device";
in
{
  config = mkIf (cfg.stage1 == "nixos" && chosen "fetch") {
    assertions = [
      {
        assertion = if systemd then initrd.systemd.network.enable else initrd.network.enable;
        message = ''
          netboot.layout = "fetch" needs a network in stage 1, and ${
            if systemd then "boot.initrd.systemd.network.enable" else "boot.initrd.network.enable"
          } is false. Take another layout, or leave it out.
        '';
      }
    ];

    boot.initrd = {
      # With systemd, this takes the interfaces of `networking` into the initrd, too.
      network = {
        enable = mkDefault true;
      }
      # The option goes with the script.
      // lib.optionalAttrs (options.boot.initrd.network ? udhcpc) {
        udhcpc.enable = mkIf (!systemd) (mkDefault true);
      };

      availableKernelModules = modules fetch.networkModules drivers.network ++ modules fetch.diskModules drivers.disk;
      # The program calls mount(2), which loads no modules.
      kernelModules = lib.optionals (fetch.keep != null) drivers.fileSystems;

      systemd = mkIf systemd {
        network.wait-online.anyInterface = mkDefault true;
        # Networks are tried in the order of their names. This comes after those of `networking.interfaces` and of the
        # kernel's command line, and before NixOS's own for all cards.
        network.networks."99-boot" = {
          matchConfig = {
            Type = "ether";
            # A card, and no bridge or the like.
            Kind = "!*";
          };
          DHCP = mkDefault "yes";
          # As firmware and iPXE asked for an address: the machine's ID is another one at each boot, and would get a lease
          # of its own each time.
          dhcpV4Config.ClientIdentifier = mkDefault "mac";
          # A link-local address is not enough.
          linkConfig.RequiredForOnline = mkDefault "routable";
        };

        services.storeboot-attach = {
          wants = [ "network-online.target" ] ++ disk;
          after = [
            "network-online.target"
            "systemd-resolved.service"
          ]
          ++ disk;
        };
      };
    };
  };
}
