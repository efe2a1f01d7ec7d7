# The options of the netboot image.
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
        Store paths that the image carries, with their closure. The system itself is always one of them; paths that are
        named here are added.
      '';
    };

    squashfsCompression = mkOption {
      type = types.str;
      default = "zstd -Xcompression-level 19";
      example = "zstd -Xcompression-level 6";
      description = ''
        How the store's images are compressed, in mksquashfs' words, as in nixpkgs' module: `zstd` and `gzip` with
        `-Xcompression-level`, `xz` with `-Xdict-size 100%`, or `lz4` with `-Xhc`. xz's `-Xbcj` is ignored.
        {option}`netboot.compression` says the same in storeboot's words. Not used if that is set, nor in layout `direct`.
      '';
    };

    compression = mkOption {
      type = types.nullOr (types.strMatching "none|(zstd|xz|gzip|lz4)(:[0-9]+)?");
      default = if cfg.layout == "direct" then null else import ./compression.nix { inherit lib; } cfg.squashfsCompression;
      defaultText = literalExpression ''
        if config.netboot.layout == "direct" then null else /* config.netboot.squashfsCompression in storeboot's words */
      '';
      example = "zstd:12";
      description = ''
        How the store is compressed: `zstd:LEVEL`, `xz:LEVEL`, `gzip:LEVEL`, `lz4:LEVEL` or `none`. If it is null,
        storeboot chooses what suits the layout.
      '';
    };

    layout = mkOption {
      type = types.enum [
        "in-place"
        "file"
        "direct"
        "fetch"
      ];
      default = if kernel.kernelAtLeast "6.8" then "in-place" else "file";
      defaultText = literalExpression ''
        if config.boot.kernelPackages.kernel.kernelAtLeast "6.8" then "in-place" else "file"
      '';
      example = "direct";
      description = ''
        How the store lies in the initrd:

        - `in-place`: as squashfs images that are mounted where the boot loader put them. Needs the least memory, and
          Linux 6.8.
        - `file`: as squashfs images that the kernel unpacks to files first, as nixpkgs does. Needs twice the memory.
        - `direct`: as the files themselves. Needs memory for the unpacked store; quick to build and to read.
        - `fetch`: not at all. The initrd is small; the squashfs images lie beside it in the folder `images`, and stage 1 gets
          them over HTTP and checks every chunk. {option}`netboot.fetch.url` says from where.
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

        - `solid`: one archive. The smallest.
        - `per-path`: one archive for each store path; several are packed at once. A little larger. A boot needs up to
          128 MiB less memory to unpack it, since the window of an archive is no larger than its path.

        The other layouts have store images instead.
      '';
    };

    blockSize = mkOption {
      type = types.nullOr (
        types.enum [
          4096
          8192
          16384
          32768
          65536
          131072
          262144
          524288
          1048576
        ]
      );
      default = null;
      example = 131072;
      description = ''
        Bytes in a block of the store's images: a power of two from 4096 to 1048576. Smaller blocks are read faster and
        compress worse. If it is null, storeboot takes 1048576, as nixpkgs does. Layout `direct` has no blocks.
      '';
    };

    imageLimit = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = literalExpression "2 * 1024 * 1024 * 1024";
      description = ''
        The size limit of a store image, in bytes. A larger store becomes several images. If it is null, storeboot takes
        4 GiB, or 2 GiB for a kernel before 6.8; and sets no limit in layout `fetch`. Layers have 2 GiB then.
      '';
    };

    layers = mkOption {
      type = types.either (types.enum [ "nixos" ]) (types.listOf (types.listOf types.path));
      default = [ ];
      example = "nixos";
      description = ''
        Parts of the store that are packed separately, so that a build after a change packs only what changed: lists of
        store paths, those that change least first. Each layer holds the closure of its paths without the paths of the
        layers before it. `"nixos"` stands for the layers that suit a NixOS system: the kernel; systemd and Nix; the
        packages. With {option}`system.replaceDependencies.replacements`, whose paths have other names, it stands for none.
        Layout `direct` has no layers.
      '';
    };

    extraModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "virtio_net" ];
      description = ''
        Kernel modules that storeboot's stage 1 loads besides those that mount the store. With NixOS's stage 1 they are
        added to {option}`boot.initrd.kernelModules`. udev loads what the hardware needs in stage 2; such modules need not
        be named here.
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
        The stage 1, which the kernel starts:

        - `nixos`: NixOS's own, systemd or script, with everything in {option}`boot.initrd`.
        - `storeboot`: storeboot's, one static program. It mounts the store and starts stage 2. It has no udev and no LVM,
          a network in layout `fetch` only, and asks for no passphrase; options that need these are refused.
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
        boot with a message. The check reads each image once.
      '';
    };

    verity = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether each store image has a hash tree of dm-verity. The kernel then checks every block of the store when it reads
        it, as long as the machine runs; {option}`netboot.verify` checks once, before the store is mounted. The trees make
        the images less than 1 % larger. Layout `direct` has no images.
      '';
    };

    readOnlyStore = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether the store is read-only: stage 1 mounts the store's images and nothing over them that could be written to. In
        layout `direct`, which has no images, and where another archive of the initrd adds to the store, it mounts the store
        read-only; Nix, run as root, can undo that.
      '';
    };

    sbom = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether the netboot directory has `sbom.cdx.json`: a software bill of materials of the closure and the kernel, in
        CycloneDX 1.5.
      '';
    };

    noCheck = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to leave out the check that each store path has the NAR hash that Nix recorded, which a build makes while
        it packs.
      '';
    };

    profile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = literalExpression "./boot.profile";
      description = ''
        A boot profile: a file that lists which files of the store a boot reads, in order. The store's images hold these
        files first, so that a boot reads less of them. A machine with {option}`netboot.stage1` `storeboot` records one
        in `/run/storeboot/profile` if `storeboot.profile` is on its kernel's command line.
      '';
    };

    stream = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Layout `fetch`: whether the system starts as soon as what {option}`netboot.profile` names is there. Stage 1 fetches
        the rest of the store while the system runs, and a read of what is not there yet waits for it. Needs
        {option}`netboot.stage1` `storeboot`.
      '';
    };

    ukiStub = mkOption {
      type = types.path;
      default = "${config.systemd.package}/lib/systemd/boot/efi/linux${
        if pkgs.stdenv.hostPlatform.isAarch64 then "aa64" else "x64"
      }.efi.stub";
      defaultText = literalExpression ''
        "''${config.systemd.package}/lib/systemd/boot/efi/linuxx64.efi.stub"
      '';
      example = literalExpression ''"''${pkgs.systemdUkify}/lib/systemd/boot/efi/linuxx64.efi.stub"'';
      description = ''
        The stub of {option}`system.build.netbootUki`, the image as one file that UEFI starts.
      '';
    };

    registerDatabase = mkOption {
      type = types.bool;
      default = config.nix.enable;
      defaultText = literalExpression "config.nix.enable";
      example = false;
      description = ''
        Whether to tell Nix at boot what the store holds, and to make the system the current one of the profile
        `system`. Without it no path of the store is valid for Nix.
      '';
    };

    package = mkOption {
      type = types.package;
      default = pkgs.buildPackages.storeboot or (pkgs.buildPackages.pkgsStatic.callPackage ../../package.nix { });
      defaultText = literalExpression "pkgs.buildPackages.storeboot";
      example = literalExpression "inputs.storeboot.packages.\${pkgs.stdenv.buildPlatform.system}.storeboot";
      description = ''
        The storeboot that packs the image. It must be static: it is a derivation's builder, without any other program. By
        default it is compiled with the Rust of this nixpkgs, which has to be 1.95 or later.
      '';
    };

    stage1Package = mkOption {
      type = types.package;
      default =
        if pkgs.stdenv.hostPlatform.system == pkgs.stdenv.buildPlatform.system then
          cfg.package
        else
          pkgs.storeboot or (pkgs.pkgsStatic.callPackage ../../package.nix { });
      defaultText = literalExpression ''
        if pkgs.stdenv.hostPlatform.system == pkgs.stdenv.buildPlatform.system then config.netboot.package else pkgs.storeboot
      '';
      example = literalExpression "inputs.storeboot.packages.\${pkgs.stdenv.hostPlatform.system}.storeboot";
      description = ''
        The storeboot whose stage 1 and `attach` the image has: one for the processor that boots. It differs from
        {option}`netboot.package` where that has another processor than the machine that builds.
      '';
    };
  };

  config = {
    netboot.storeContents = [ config.system.build.toplevel ];

    assertions = [
      {
        assertion = cfg.layout == "in-place" -> kernel.kernelAtLeast "6.8";
        message = ''
          netboot.layout = "in-place" needs Linux 6.8 and this is ${kernel.version}. Take netboot.layout = "file", or set
          boot.kernelPackages to a later kernel.
        '';
      }
      {
        assertion = cfg.archives != "solid" -> cfg.layout == "direct";
        message = ''
          netboot.archives = "${cfg.archives}" is for netboot.layout = "direct", and netboot.layout = "${cfg.layout}" has no
          archive. Take netboot.layout = "direct", or leave netboot.archives out.
        '';
      }
      {
        assertion = cfg.blockSize != null || cfg.imageLimit != null || cfg.profile != null -> cfg.layout != "direct";
        message = ''
          netboot.blockSize, netboot.imageLimit and netboot.profile are for store images, and netboot.layout = "direct" has
          none. Take netboot.layout = "in-place", "file" or "fetch", or leave them out.
        '';
      }
      {
        assertion = cfg.verity -> cfg.layout != "direct";
        message = ''
          netboot.verity is for store images, and netboot.layout = "direct" has none. Take netboot.layout = "in-place",
          "file" or "fetch".
        '';
      }
      {
        assertion = cfg.verify -> cfg.layout != "direct";
        message = ''
          netboot.verify is for store images, and netboot.layout = "direct" has none. Take netboot.layout = "in-place",
          "file" or "fetch".
        '';
      }
      {
        assertion = cfg.stream -> cfg.layout == "fetch" && cfg.stage1 == "storeboot" && cfg.profile != null;
        message = ''
          netboot.stream needs netboot.layout = "fetch", netboot.stage1 = "storeboot", and a boot profile in netboot.profile,
          by which stage 1 knows what the system begins with.
        '';
      }
      {
        assertion = cfg.stream -> !cfg.verify && cfg.fetch.keep == null;
        message = ''
          netboot.stream starts the system before its store is there, and netboot.verify and netboot.fetch.keep need all of
          it first. Leave out these, or netboot.stream. netboot.verity checks each block when it is read.
        '';
      }
      {
        assertion = cfg.layers != [ ] -> cfg.layout != "direct";
        message = ''
          netboot.layers are store images, and netboot.layout = "direct" has none. Take netboot.layout = "in-place",
          "file" or "fetch".
        '';
      }
    ];

    # The builder adds the layout's own argument, too. It is here for tools that take the command line from the system, as
    # nixos-images' kexec installer and pixiecore recipes do.
    boot.kernelParams =
      import ./kernel-params.nix cfg
      ++ lib.optional cfg.verify "storeboot.verify"
      ++ lib.optional cfg.readOnlyStore "storeboot.ro-store";
  };
}
