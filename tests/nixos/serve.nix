# `services.storeboot-serve` in a whole NixOS: its units, and the rules that it makes.
{
  lib,
  nixpkgs,
  system,
  ...
}:
let
  served =
    settings: expect:
    let
      inherit
        (import (nixpkgs + "/nixos/lib/eval-config.nix") {
          system = null;
          modules = [
            ../../nix/modules/serve.nix
            {
              nixpkgs.hostPlatform = system;
              system.stateVersion = lib.trivial.release;
              boot.loader.grub.enable = false;
              fileSystems."/" = {
                device = "/dev/vda";
                fsType = "ext4";
              };
              services.storeboot-serve = {
                enable = true;
              }
              // settings;
            }
          ];
        })
        config
        ;
      wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) (expect config));
    in
    if wrong != [ ] then
      throw "This does not hold: ${lib.concatStringsSep "; " wrong}."
    else
      {
        inherit (config.system.build) toplevel;
        service = config.systemd.units."storeboot-serve.service".text;
        socket = config.systemd.units."storeboot-serve.socket".text;
      };
  inUnit = config: text: lib.hasInfix text config.systemd.units."storeboot-serve.service".text;
in
{
  "serve/directory".value = served { directory = "/srv/netboot"; } (config: {
    "the command names the directory" = inUnit config ''"serve" "/srv/netboot" "--listen" "[::]:8080"'';
    "iPXE comes from nixpkgs" = inUnit config ''"--ipxe" "/nix/store/'';
    "systemd listens" = lib.hasInfix "ListenStream=[::]:8080" config.systemd.units."storeboot-serve.socket".text;
  });
  "serve/rules".value =
    served
      {
        rules.default.configuration = "plain";
        rules.machine = [
          {
            mac = [ "52:54:00:12:34:56" ];
            host-name = "web-1";
            archives = [ "/run/credentials/storeboot-serve.service/web-1" ];
          }
        ];
        configurations = "/srv/configurations";
        credentials.web-1 = "/run/secrets/web-1.cpio";
        openFirewall = true;
      }
      (config: {
        "the rules are a file in the store" = builtins.match ".*\"--rules\" \"/nix/store/[^ ]*rules.toml\".*" (
          lib.replaceStrings [ "\n" ] [ " " ] config.systemd.units."storeboot-serve.service".text
        ) != null;
        "the archive is a credential" = inUnit config "LoadCredential=web-1:/run/secrets/web-1.cpio";
        "HTTP is open" = config.networking.firewall.allowedTCPPorts == [ 8080 ];
      });
  "serve/http-only".value =
    served
      {
        directory = "/srv/netboot";
        dhcp = "off";
        tftp = false;
      }
      (config: {
        "the server has no capability" = inUnit config "CapabilityBoundingSet=\n";
      });
}
