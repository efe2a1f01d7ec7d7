{
  imports = [ ./netboot.nix ];
}
