# The units of the server. It has no user of its own and nothing but what it needs: the network, and a folder for what it
# packed.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.storeboot-serve;
  name = "storeboot-serve";

  given = lib.filterAttrs (_: value: value != { } && value != [ ]) { inherit (cfg.rules) default machine; };
  hasRules = given != { };
  rules = if hasRules then (pkgs.formats.toml { }).generate "rules.toml" given else cfg.rulesFile;
  builds =
    cfg.hydras != [ ]
    || lib.any (value: value != null) [
      cfg.flake
      cfg.configurations
      cfg.profiles
    ];
  port = lib.toInt (lib.last (lib.splitString ":" cfg.listen));

  option = option: value: lib.optionals (value != null) [
      "--${option}"
      # A path comes into the store.
      (if builtins.isInt value then toString value else "${value}")
    ];
  arguments =
    lib.optionals (cfg.directory != null) [ "${cfg.directory}" ]
    ++ option "rules" rules
    ++ option "flake" cfg.flake
    ++ option "configurations" cfg.configurations
    ++ option "profiles" cfg.profiles
    ++ lib.concatMap (option "hydra") cfg.hydras
    ++ lib.concatMap (option "public-key") cfg.publicKeys
    ++ lib.optionals builds (option "cache" "/var/cache/${name}" ++ option "cache-size" cfg.cacheSize)
    ++ option "listen" cfg.listen
    ++ lib.concatMap (option "interface") cfg.interfaces
    ++ option "dhcp" cfg.dhcp
    ++ option "tftp" (if cfg.tftp then "on" else "off")
    ++ option "ipxe" cfg.ipxe
    ++ option "rate" cfg.rate
    ++ lib.optional cfg.json "--json"
    ++ cfg.extraArguments;

  # systemd opens the port of HTTP. DHCP and TFTP have ports below 1024, and a packet socket where another program has
  # the port of DHCP.
  capabilities =
    lib.optional (cfg.dhcp != "off" || cfg.tftp) "CAP_NET_BIND_SERVICE" ++ lib.optional (cfg.dhcp != "off") "CAP_NET_RAW";
in
{
  config = lib.mkIf cfg.enable {
    systemd.sockets.${name} = {
      description = "HTTP for machines that boot over the network";
      wantedBy = [ "sockets.target" ];
      listenStreams = [ cfg.listen ];
      # Many machines are switched on at once.
      socketConfig.Backlog = 4096;
      # [::] has the addresses of IPv4, too, whatever the system's default is.
      socketConfig.BindIPv6Only = "both";
      # A single address comes with the network, after the socket.
      socketConfig.FreeBind = true;
    };

    systemd.services.${name} = {
      description = "Machines on the network boot from this one";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      requires = [ "${name}.socket" ];
      after = [
        "network-online.target"
        "${name}.socket"
      ];
      # Nix evaluates and builds what is asked for; git fetches flakes, and curl asks Hydra.
      path =
        lib.optionals builds [
          config.nix.package
          pkgs.gitMinimal
        ]
        ++ lib.optional (cfg.hydras != [ ]) pkgs.curl;
      environment = lib.optionalAttrs builds {
        HOME = "/var/cache/${name}";
        XDG_CACHE_HOME = "/var/cache/${name}";
      }
      # Where a configuration finds <nixpkgs>. NixOS sets it for logins only.
      // lib.optionalAttrs (builds && config.nix.nixPath != [ ]) {
        NIX_PATH = lib.concatStringsSep ":" config.nix.nixPath;
      };
      serviceConfig = {
        Type = "notify";
        # Before it is ready, it hashes every directory that the rules name.
        TimeoutStartSec = "infinity";
        ExecStart = utils.escapeSystemdExecArgs ([ "${cfg.package}/bin/storeboot" "serve" ] ++ arguments);
        Restart = "on-failure";
        RestartSec = 2;
        # Each machine has a connection or two, and each file that is served is open.
        LimitNOFILE = 65536;

        DynamicUser = true;
        CacheDirectory = name;
        CacheDirectoryMode = "0700";
        LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") cfg.credentials;

        AmbientCapabilities = capabilities;
        # An empty list would leave all of them.
        CapabilityBoundingSet = if capabilities == [ ] then "" else capabilities;
        NoNewPrivileges = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_NETLINK"
          "AF_UNIX"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
        ];
        UMask = "0077";
      };
    };

    networking.firewall = lib.mkIf cfg.openFirewall {
      allowedTCPPorts = [ port ];
      allowedUDPPorts =
        lib.optionals (cfg.dhcp != "off") [
          67
          4011
        ]
        ++ lib.optional cfg.tftp 69;
    };
  };
}
