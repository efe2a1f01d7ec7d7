# The parts of `system.build` that boot the image from a running Linux.
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
  # Boots the files beside it, or those in the store if there are none.
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
