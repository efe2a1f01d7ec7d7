{
  imports = [ ./netboot-base.nix ];
  boot.kernelParams = [ "minimal" ];
}
