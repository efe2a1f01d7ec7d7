# What a configuration says of its netboot image.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  inherit (config.boot.kernelPackages) kernel;
  cfg = config.netboot;
in
{
  options.netboot = {
    storeContents = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = literalExpression "[ pkgs.stdenv ]";
      description = ''
        Store paths that the image carries, with all that they refer to. The system itself is one of them;
        what is named here comes on top.
      '';
    };

    squashfsCompression = mkOption {
      type = types.str;
      default = "zstd -Xcompression-level 19";
      example = "zstd -Xcompression-level 6";
      description = ''
        How the store's images are compressed, in mksquashfs' words, as nixpkgs' module takes it. Understood are `zstd`
        and `gzip` with `-Xcompression-level`, `xz` with `-Xdict-size 100%`, and `lz4` with `-Xhc`; xz's `-Xbcj` is left
        out. {option}`netboot.compression` says the same in storeboot's words.
      '';
    };

    compression = mkOption {
      type = types.nullOr types.str;
      default = if cfg.layout == "direct" then null else import ./compression.nix { inherit lib; } cfg.squashfsCompression;
      defaultText = literalExpression ''
        if config.netboot.layout == "direct" then null else /* what config.netboot.squashfsCompression says */
      '';
      example = "zstd:12";
      description = ''
        How the store is compressed: `zstd:LEVEL`, `xz:LEVEL`, `gzip:LEVEL`, `lz4:LEVEL` or `none`. Where it is null,
        storeboot takes what suits the layout.
      '';
    };

    layout = mkOption {
      type = types.enum [
        "in-place"
        "file"
        "direct"
      ];
      default = if kernel.kernelAtLeast "6.8" then "in-place" else "file";
      defaultText = literalExpression ''
        if config.boot.kernelPackages.kernel.kernelAtLeast "6.8" then "in-place" else "file"
      '';
      example = "direct";
      description = ''
        How the store lies in the initrd:

        - `in-place`: as squashfs images that are mounted where the boot loader put them. Takes the least memory; needs
          Linux 6.8.
        - `file`: as squashfs images that the kernel unpacks to files first. Takes twice the memory; what nixpkgs does.
        - `direct`: as the files themselves. Takes the memory that the unpacked store needs; quick to build and to read.
      '';
    };

    archives = mkOption {
      type = types.enum [
        "solid"
        "per-path"
      ];
      default = "solid";
      example = "per-path";
      description = ''
        How the archive of layout `direct` is cut:

        - `solid`: as one archive. The smallest.
        - `per-path`: as one archive for each store path, several of which are packed at once. A little larger; a boot needs up to
          128 MiB less memory to unpack it, as an archive's window is no larger than its path.

        The other layouts have images, and no such archive.
      '';
    };

    blockSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 131072;
      description = ''
        Bytes of a block of the store's images: a power of two from 4096 to 1048576. Smaller blocks are read faster and
        compress worse. Where it is null, storeboot takes 1048576, as nixpkgs does. Layout `direct` has no blocks.
      '';
    };

    imageLimit = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = literalExpression "2 * 1024 * 1024 * 1024";
      description = ''
        Bytes of a store image at most. A larger store becomes several images. Where it is null, storeboot takes 4 GiB,
        or 2 GiB for a kernel before 6.8.
      '';
    };

    layers = mkOption {
      type = types.either (types.enum [ "nixos" ]) (types.listOf (types.listOf types.path));
      default = [ ];
      example = "nixos";
      description = ''
        Parts of the store that are packed by themselves, so that a build after a change packs only what changed: lists
        of store paths, what changes least first. Each layer holds the closure of its paths without what the layers
        before it hold. `"nixos"` stands for the layers that suit a NixOS system: the kernel; systemd and Nix; the
        packages. Layout `direct` has none.
      '';
    };

    extraModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "virtio_net" ];
      description = ''
        Kernel modules that storeboot's stage 1 loads besides those that mount the store. With NixOS's stage 1 they are
        added to {option}`boot.initrd.kernelModules`. What the hardware needs is loaded by udev in stage 2 without a
        word here.
      '';
    };

    stage1 = mkOption {
      type = types.enum [
        "nixos"
        "storeboot"
      ];
      default = "nixos";
      example = "storeboot";
      description = ''
        What the kernel starts:

        - `nixos`: NixOS's own stage 1, systemd or script, with all that {option}`boot.initrd` says.
        - `storeboot`: storeboot's, one static program of 150 KB. It mounts the store and starts stage 2. It has no
          udev, no LVM, no network and asks for no passphrase; options that need these are refused.
      '';
    };

    prepend = mkOption {
      type = types.listOf types.path;
      default = lib.optionals (cfg.stage1 == "storeboot") config.boot.initrd.prepend;
      defaultText = literalExpression ''
        lib.optionals (config.netboot.stage1 == "storeboot") config.boot.initrd.prepend
      '';
      example = literalExpression ''[ "''${pkgs.microcode-amd}/amd-ucode.img" ]'';
      description = ''
        Archives to put first in the initrd, such as a processor's microcode. NixOS's own initrd begins with those of
        {option}`boot.initrd.prepend` already.
      '';
    };

    verify = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to check the SHA-256 of each store image at boot, before it is mounted. A damaged image then ends the
        boot with a message instead of an odd error later. It takes as long as reading the images once.
      '';
    };

    readOnlyStore = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether stage 1 mounts `/nix/store` read-only. Nix, run as root, lifts that for itself where it adds a path, as
        on any NixOS.
      '';
    };

    registerDatabase = mkOption {
      type = types.bool;
      default = config.nix.enable;
      defaultText = literalExpression "config.nix.enable";
      example = false;
      description = ''
        Whether to tell Nix at boot what the store holds, and to make the system the current one of the profile
        `system`. Without it Nix takes no path of the store for valid.
      '';
    };

    package = mkOption {
      type = types.package;
      default = pkgs.buildPackages.storeboot or (pkgs.buildPackages.pkgsStatic.callPackage ../../package.nix { });
      defaultText = literalExpression "pkgs.buildPackages.storeboot";
      example = literalExpression "inputs.storeboot.packages.\${pkgs.stdenv.buildPlatform.system}.storeboot";
      description = "The storeboot that packs the image: a static one, since it runs where there is nothing else.";
    };
  };

  config = {
    netboot.storeContents = [ config.system.build.toplevel ];

    assertions = [
      {
        assertion = cfg.layout == "in-place" -> kernel.kernelAtLeast "6.8";
        message = ''
          netboot.layout = "in-place" needs Linux 6.8 and this is ${kernel.version}. Take "file", or a later kernel by
          boot.kernelPackages.
        '';
      }
      {
        assertion = cfg.archives != "solid" -> cfg.layout == "direct";
        message = ''
          netboot.archives = "${cfg.archives}" cuts the archive of layout "direct", and netboot.layout = "${cfg.layout}" has
          none. Take netboot.layout = "direct", or leave it out.
        '';
      }
      {
        assertion = cfg.layers != [ ] -> cfg.layout != "direct";
        message = ''
          netboot.layers are store images, and netboot.layout = "direct" has none. Take "in-place" or "file".
        '';
      }
    ];

    # The builder puts the layout's own argument on the command line too; here it is for those who take the command line
    # from the system, as nixos-images' kexec installer and pixiecore recipes do.
    boot.kernelParams =
      import ./kernel-params.nix cfg.layout
      ++ lib.optional cfg.verify "storeboot.verify"
      ++ lib.optional cfg.readOnlyStore "storeboot.ro-store";
  };
}
