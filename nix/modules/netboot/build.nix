# The image and its files, under the names of nixpkgs' module.
{
  config,
  lib,
  pkgs,
  modulesPath,
  ...
}:
let
  cfg = config.netboot;
  inherit (config.system) build;

  storeboot = import ../../lib {
    storeboot = cfg.package;
    inherit (pkgs.stdenv.buildPlatform) system;
  };

  netboot = storeboot.makeNetboot (
    {
      kernel = "${build.kernel}/${config.system.boot.loader.kernelFile}";
      init = "${build.toplevel}/init";
      roots = cfg.storeContents;
      cmdline = toString (lib.subtractLists (import ./kernel-params.nix cfg) config.boot.kernelParams);
      inherit (cfg)
        layout
        compression
        blockSize
        imageLimit
        prepend
        profile
        ;
      archives = if cfg.layout == "direct" then cfg.archives else null;
      layers = if cfg.layers == "nixos" then storeboot.nixosLayers config else cfg.layers;
    }
    // (
      if cfg.stage1 == "storeboot" then
        {
          modules = "${config.system.modulesTree}";
          inherit (cfg) extraModules;
        }
      else
        { initrd = "${build.initialRamdisk}/initrd"; }
    )
    // lib.optionalAttrs cfg.sbom { sbom = true; }
    // lib.optionalAttrs cfg.verity { verity = true; }
    // lib.optionalAttrs cfg.stream { stream = true; }
    // lib.optionalAttrs cfg.noCheck { noCheck = true; }
    // lib.optionalAttrs (cfg.layout == "fetch") (
      {
        inherit (cfg.fetch) keep;
        storeUrl = unlessEmpty cfg.fetch.url;
      }
      // lib.optionalAttrs (cfg.stage1 == "storeboot") {
        inherit (cfg.fetch) networkModules;
        diskModules = unlessEmpty cfg.fetch.diskModules;
        firmware = if cfg.fetch.firmware == null then null else "${cfg.fetch.firmware}";
      }
    )
    # storeboot runs on the machine that builds; its stage 1 runs on the machine that boots.
    // lib.optionalAttrs (cfg.stage1Package != cfg.package) {
      stage1 = "${cfg.stage1Package}/bin/storeboot-init";
    }
  );

  # The name of the kernel in a netboot directory, whatever the kernel package calls it.
  kernelName = if pkgs.stdenv.hostPlatform.isAarch64 then "Image" else "bzImage";

  unlessEmpty = list: if list == [ ] then null else list;

  # A folder with one file of the image, as nixpkgs has it: boot folders are joined from such folders. `more` are names of
  # what else is in it.
  onlyWith =
    more: file:
    pkgs.linkFarm "netboot-${file}" (
      map (name: {
        inherit name;
        path = "${netboot}/${name}";
      }) ([ file ] ++ more)
    );
  only = onlyWith [ ];

  # Declares `image.*`, since NixOS 25.05.
  imageOptions = modulesPath + "/image/file-options.nix";
  hasImageOptions = builtins.pathExists imageOptions;
in
{
  imports = lib.optional hasImageOptions imageOptions;

  config = lib.mkMerge [
    {
      system.build = {
        # A default: nixos-images' netboot installer defines this name itself.
        netboot = lib.mkDefault netboot;

        netbootUki = storeboot.makeUki {
          inherit netboot;
          stub = cfg.ukiStub;
          osRelease = config.environment.etc."os-release".source;
        };

        squashfsStore = storeboot.makeStoreImage {
          name = "squashfs.img";
          roots = cfg.storeContents;
          # Layout direct has another compression, of archives.
          compression =
            if cfg.layout != "direct" && cfg.compression != null then
              cfg.compression
            else
              import ./compression.nix { inherit lib; } cfg.squashfsCompression;
          inherit (cfg) blockSize;
          noCheck = if cfg.noCheck then true else null;
        };

        netbootRamdisk = only "initrd";
        # By this script, a machine finds the images beside it.
        netbootIpxeScript = onlyWith (
          lib.optional (cfg.layout == "fetch") "images"
          # nixpkgs' users put the kernel beside it under the kernel's own name.
          ++ lib.optional (kernelName != config.system.boot.loader.kernelFile) kernelName
        ) "netboot.ipxe";
      }
      // import ./kexec.nix {
        inherit
          config
          pkgs
          modulesPath
          netboot
          kernelName
          ;
        tarballName =
          if hasImageOptions then
            config.image.baseName
          else
            "nixos-kexec-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}";
      };
    }
    (lib.optionalAttrs hasImageOptions {
      image.extension = "tar.xz";
      image.filePath = "tarball/${config.image.fileName}";
      system.nixos.tags = [ "kexec" ];
      system.build.image = build.kexecTarball;
    })
  ];
}
