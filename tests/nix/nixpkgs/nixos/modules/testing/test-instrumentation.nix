{
  boot.kernelParams = [ "console=ttyS0" ];
}
