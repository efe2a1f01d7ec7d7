# The options of the server. Those that are named like an option of the command are that option.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  path = types.nullOr types.path;
  cfg = config.services.storeboot-serve;
  hasRules = cfg.rules.default != { } || cfg.rules.machine != [ ];
  sources = [
    "directory"
    "rulesFile"
    "flake"
    "configurations"
    "profiles"
  ];
in
{
  options.services.storeboot-serve = {
    enable = lib.mkEnableOption "`storeboot serve`, from which machines on the network boot";

    package = mkOption {
      type = types.package;
      default = pkgs.storeboot or (pkgs.pkgsStatic.callPackage ../../package.nix { });
      defaultText = literalExpression "pkgs.storeboot or (pkgs.pkgsStatic.callPackage ./nix/package.nix { })";
      example = literalExpression "pkgs.storeboot";
      description = "The package with the command `storeboot`.";
    };

    directory = mkOption {
      type = path;
      default = null;
      example = literalExpression "inputs.self.nixosConfigurations.machine.config.system.build.netboot";
      description = ''
        The netboot directory that every machine gets for which no rule says otherwise. What a machine gets changes with the
        next `nixos-rebuild switch`, without an interruption for those that are loading.
      '';
    };

    rules = {
      default = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        example = {
          directory = "/srv/netboot/plain";
          append = "quiet";
        };
        description = "What every machine gets for which no rule says otherwise: `[default]` of the rules file.";
      };

      machine = mkOption {
        type = types.listOf (types.attrsOf types.anything);
        default = [ ];
        example = [
          {
            mac = "52:54:00:12:34:56";
            host-name = "web-1";
          }
        ];
        description = ''
          Which machine gets what: each `[[machine]]` of the rules file. It lies in the Nix store, which everybody can read:
          let it name archives with secrets, as {option}`services.storeboot-serve.credentials` does, and hold none.
        '';
      };
    };

    rulesFile = mkOption {
      type = path;
      default = null;
      example = "/etc/storeboot/rules.toml";
      description = ''
        A rules file outside the Nix store, in the place of {option}`services.storeboot-serve.rules.default` and
        {option}`services.storeboot-serve.rules.machine`. The server reads it again when it changes.
      '';
    };

    credentials = mkOption {
      # A text: a path would come into the store, which everybody can read.
      type = types.attrsOf (types.strMatching "/.*");
      default = { };
      example = {
        web-1 = "/run/secrets/web-1.cpio";
      };
      description = ''
        Archives for single machines that only root may read here. A rule names one as
        `/run/credentials/storeboot-serve.service/NAME`.
      '';
    };

    flake = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "path:/etc/nixos#machine";
      description = ''
        A flake whose `nixosConfigurations` are built when a machine asks for them. With `#NAME`, every machine gets that one
        for which no rule says otherwise, in the place of {option}`services.storeboot-serve.directory`. The server runs as a user of its own, and
        Nix refuses the git repository of another user: take `path:` for a folder.
      '';
    };

    configurations = mkOption {
      type = path;
      default = null;
      example = "/etc/storeboot/configurations";
      description = ''
        A folder of NixOS configurations, `NAME.nix` or `NAME/default.nix`, that are built when a machine asks for them. They
        find `<nixpkgs>` where {option}`nix.nixPath` says.
      '';
    };

    profiles = mkOption {
      type = path;
      default = null;
      example = "/nix/var/nix/profiles/per-machine";
      description = "A folder of profiles, links to built NixOS systems, that are packed when a machine asks for them.";
    };

    hydras = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "https://hydra.example.org" ];
      description = ''
        Hydra servers whose jobs machines can ask for. Their latest builds are fetched, so Nix has to know their caches.
      '';
    };

    publicKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression "config.nix.settings.trusted-public-keys";
      description = ''
        Keys of which one must have signed each netboot directory (`storeboot sign`), `NAME:BASE64` as Nix has them. Without
        any, directories need not be signed. What is built when a machine asks for it is not signed.
      '';
    };

    cacheSize = mkOption {
      type = types.str;
      default = "10G";
      example = "50G";
      description = "The largest size of the cache of packed store paths. What was built comes on top.";
    };

    listen = mkOption {
      type = types.str;
      default = "[::]:8080";
      example = "192.0.2.1:80";
      description = ''
        The address and the port where HTTP listens; `[::]` is every address, of IPv4 too. systemd listens there and hands the
        socket to the server, so that a restart of the server refuses nobody.
      '';
    };

    interfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "enp1s0" ];
      description = ''
        The network interfaces on which DHCP is answered. If the list is empty, it is all of them. TFTP and HTTP answer
        where {option}`services.storeboot-serve.listen` says.
      '';
    };

    dhcp = mkOption {
      type = types.enum [
        "proxy"
        "off"
      ];
      default = "proxy";
      example = "off";
      description = ''
        How machines learn of the server: `proxy` answers beside the DHCP server of the network, which stays as it is. `off`
        answers no DHCP; then the DHCP server has to name this one, and `storeboot serve --print` says how.
      '';
    };

    tftp = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether firmware can load by TFTP. Firmware that loads by PXE has nothing else.";
    };

    ipxe = mkOption {
      type = path;
      default = pkgs.ipxe;
      defaultText = literalExpression "pkgs.ipxe";
      example = "/srv/ipxe";
      description = "The folder with iPXE's files. If it is null, the server looks in the usual places.";
    };

    rate = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 100;
      description = "The most that HTTP sends to all machines together, in MiB a second.";
    };

    json = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether the journal gets JSON for what machines do, and not lines for people.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the ports of HTTP, DHCP and TFTP in the firewall, on every interface.";
    };

    extraArguments = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--quiet" ];
      description = "More arguments for `storeboot serve`.";
    };
  };

  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = !hasRules || cfg.rulesFile == null;
      message = "services.storeboot-serve has rules and rulesFile: take one of them.";
    }
    {
      assertion = hasRules || cfg.hydras != [ ] || lib.any (name: cfg.${name} != null) sources;
      message = ''
        services.storeboot-serve has nothing to serve: set directory, rules, rulesFile, flake, configurations, profiles or
        hydras.
      '';
    }
    {
      assertion = cfg.directory == null || cfg.flake == null;
      message = ''
        services.storeboot-serve has directory and flake: let a rule name the directory, as rules.default.directory.
      '';
    }
    {
      assertion = builtins.match ".*:[0-9]+" cfg.listen != null;
      message = "services.storeboot-serve.listen has no port: write ADDRESS:PORT, such as [::]:8080.";
    }
  ];
}
