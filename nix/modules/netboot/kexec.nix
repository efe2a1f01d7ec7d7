# The parts of `system.build` that boot the image from a running Linux.
{
  config,
  pkgs,
  modulesPath,
  netboot,
  kernelName,
  tarballName,
}:
let
  inherit (config.system) build;
  kernelFile = config.system.boot.loader.kernelFile;

  # What kexec loads. In layout `fetch` these are copies: links would have the images with them, which the machine fetches
  # as it boots, wherever a closure is copied to a machine.
  files =
    if config.netboot.layout == "fetch" then
      pkgs.runCommand "kexec-files" { preferLocalBuild = true; } ''
        mkdir $out
        cp ${netboot}/${kernelName} ${netboot}/initrd $out/
      ''
    else
      netboot;
in
{
  # Boots the files beside it, or those in the store if there are none.
  kexecScript = pkgs.runCommand "kexec-boot" { preferLocalBuild = true; } ''
    sed 's|^built=$|built=${files}|' ${netboot}/kexec-boot >$out
    grep -qx 'built=${files}' $out
    chmod 755 $out
  '';

  kexecTree = pkgs.linkFarm "kexec-tree" [
    {
      name = "initrd.gz";
      path = if config.netboot.layout == "fetch" then "${files}/initrd" else "${build.netbootRamdisk}/initrd";
    }
    {
      name = "bzImage";
      path = "${build.kernel}/${kernelFile}";
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
