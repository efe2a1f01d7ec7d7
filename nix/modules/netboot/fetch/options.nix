# The options of layout `fetch`.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.netboot;
  inherit (cfg) fetch;

  modules = types.either (types.enum [
    "all"
    "common"
  ]) (types.listOf types.str);

  whole = pattern: text: builtins.match pattern text != null;
  isUrl = whole "http://[^, \"]+";
  isPlace = whole "(LABEL=|UUID=|PARTUUID=|/dev/)[^ \"]+";
  ofNixos = name: ''
    netboot.fetch.${name} = "all" needs netboot.stage1 = "storeboot": NixOS's initrd takes modules by their names. Take
    "common", or a list of names.
  '';
in
{
  options.netboot.fetch = {
    url = mkOption {
      type = types.either types.str (types.listOf types.str);
      default = [ ];
      apply = url: if builtins.isList url then url else [ url ];
      example = "http://10.0.0.1/machine";
      description = ''
        Where the machines find the folder `images` of the netboot directory: `http://10.0.0.1/machine` stands for
        `http://10.0.0.1/machine/images/…`. A list names several servers with the same files. It becomes `storeboot.store=`
        on the kernel's command line. Stage 1 has no TLS and takes `http` only: it checks each chunk by its SHA-256, which
        the initrd has.

        If it is empty, `netboot.ipxe` takes the place that it came from, which iPXE 2 and later tell, and `kexec-boot`
        takes `storeboot.store=URL` as an argument. Whatever else starts the kernel has to add `storeboot.store=URL` to the
        command line.
      '';
    };

    networkModules = mkOption {
      type = modules;
      default = if cfg.stage1 == "storeboot" then "all" else "common";
      defaultText = literalExpression ''if config.netboot.stage1 == "storeboot" then "all" else "common"'';
      example = [
        "e1000e"
        "virtio_net"
      ];
      description = ''
        Drivers of wired network cards in the initrd: `"all"` that the kernel has, the `"common"` ones, or a list of names.
        Each comes with the modules that it needs. storeboot's stage 1 loads what the cards ask for of these, and knows no
        {option}`boot.blacklistedKernelModules`. With NixOS's stage 1 they are added to
        {option}`boot.initrd.availableKernelModules`, and there is no `"all"`.
      '';
    };

    diskModules = mkOption {
      type = modules;
      default = if fetch.keep == null then [ ] else "common";
      defaultText = literalExpression ''if config.netboot.fetch.keep == null then [ ] else "common"'';
      example = [ "nvme" ];
      description = ''
        Drivers of disks in the initrd, for {option}`netboot.fetch.keep`, in the words of
        {option}`netboot.fetch.networkModules`.
      '';
    };

    firmware = mkOption {
      type = types.nullOr types.path;
      default = if cfg.stage1 == "storeboot" then config.hardware.firmware or null else null;
      defaultText = literalExpression ''
        if config.netboot.stage1 == "storeboot" then config.hardware.firmware else null
      '';
      example = literalExpression "pkgs.linux-firmware";
      description = ''
        A package of firmware, or a folder of firmware files; the initrd has those that the drivers name. Some network cards
        do not work without theirs: {option}`hardware.enableRedistributableFirmware` adds it to
        {option}`hardware.firmware`. Null stands for none. With NixOS's stage 1 it is null: NixOS's initrd takes its
        firmware from {option}`hardware.firmware`.
      '';
    };

    keep = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "LABEL=store";
      description = ''
        A file system on the machine's disk that keeps the images between boots: `LABEL=…`, `UUID=…`, `PARTUUID=…` or
        `/dev/…`, with ext4, xfs or vfat on it. Stage 1 fetches only what is missing there, and the store takes no
        memory. If the disk cannot be used, stage 1 fetches the images into memory; if this option is null, it always
        does. It becomes `storeboot.keep=` on the kernel's command line.
      '';
    };
  };

  config.assertions = [
    {
      assertion = fetch.url != [ ] || fetch.keep != null -> cfg.layout == "fetch";
      message = ''
        netboot.fetch.url and netboot.fetch.keep are for netboot.layout = "fetch", and netboot.layout = "${cfg.layout}" has
        the store in the initrd. Take netboot.layout = "fetch", or leave them out.
      '';
    }
    {
      assertion = lib.all isUrl fetch.url;
      message = ''
        netboot.fetch.url is to be a URL such as "http://10.0.0.1/machine", or a list of them: stage 1 has no TLS, and a
        comma, a space or a quote in a URL is to be written as %2C, %20 or %22.
      '';
    }
    {
      assertion = fetch.keep != null -> isPlace fetch.keep;
      message = ''
        netboot.fetch.keep = "${toString fetch.keep}" names no file system: it is to be LABEL=…, UUID=…, PARTUUID=… or /dev/….
      '';
    }
    {
      assertion = fetch.networkModules == "all" -> cfg.stage1 == "storeboot";
      message = ofNixos "networkModules";
    }
    {
      assertion = fetch.diskModules == "all" -> cfg.stage1 == "storeboot";
      message = ofNixos "diskModules";
    }
    {
      assertion = fetch.firmware != null -> cfg.stage1 == "storeboot";
      message = ''
        netboot.fetch.firmware needs netboot.stage1 = "storeboot": NixOS's initrd takes its firmware from hardware.firmware.
        Set that, and leave netboot.fetch.firmware out.
      '';
    }
  ];
}
