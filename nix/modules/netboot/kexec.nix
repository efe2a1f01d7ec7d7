# The image for those who boot it from a running Linux: the parts of `system.build` for that.
{
  config,
  pkgs,
  modulesPath,
  netboot,
  tarballName,
}:
let
  inherit (config.system) build;
in
{
  # Boots the files that lie beside it, or else those in the store.
  kexecScript = pkgs.runCommand "kexec-boot" { preferLocalBuild = true; } ''
    sed 's|^built=$|built=${netboot}|' ${netboot}/kexec-boot >$out
    grep -qx 'built=${netboot}' $out
    chmod 755 $out
  '';

  kexecTree = pkgs.linkFarm "kexec-tree" [
    {
      name = "initrd.gz";
      path = "${build.netbootRamdisk}/initrd";
    }
    {
      name = "bzImage";
      path = "${build.kernel}/${config.system.boot.loader.kernelFile}";
    }
    {
      name = "kexec-boot";
      path = build.kexecScript;
    }
  ];

  kexecTarball = pkgs.callPackage (modulesPath + "/../lib/make-system-tarball.nix") {
    fileName = tarballName;
    storeContents = [
      {
        object = build.kexecScript;
        symlink = "/kexec_nixos";
      }
    ];
    contents = [ ];
  };
}
